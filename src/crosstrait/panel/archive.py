"""Unpack a zip archive that comes from somebody else."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from crosstrait.errors import DataError, StorageError, listed

_ENCRYPTED = 0x1
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that no Python has
    ValueError,  # names that are no text
)


def unpack(archive: Path, *, into: Path, holding: Sequence[str], max_bytes: int) -> Path:
    """Unpack the folder of a zip archive that holds the wanted files.

    Every entry of the archive is checked before anything is written: one that is unsafe refuses
    the whole archive. The files are written beside ``into`` and get their place in one step; a
    failure leaves nothing behind.

    Parameters
    ----------
    archive
        The zip file.
    into
        The folder to make; it must not exist.
    holding
        Names of files. The one folder of the archive that has them all, at any depth, becomes
        ``into``, with everything in it.
    max_bytes
        The most that the unpacked archive may take up.

    Returns
    -------
    Path
        ``into``.

    Raises
    ------
    DataError
        If the archive is damaged or encrypted; if an entry is absolute, leads out of the folder,
        is a link or another special file, or occurs twice; if it would unpack to more than
        ``max_bytes``; if no folder, or more than one, holds the wanted files.
    StorageError
        If the files cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked(opened.infolist(), archive=archive, max_bytes=max_bytes)
            root = _root(entries, holding, archive=archive)
            into.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
            try:
                _write(opened, entries, root, beside)
                beside.chmod(0o755)  # mkdtemp makes it private
                beside.rename(into)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{archive} is no whole zip archive: {error}; fetch it again") from None
    except OSError as error:
        raise StorageError(
            f"cannot unpack {archive} to {into}: {error.strerror or error}; it needs up to "
            f"{max_bytes:,} bytes there"
        ) from error
    return into


def _checked(
    infos: list[zipfile.ZipInfo], *, archive: Path, max_bytes: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files of the archive by their path in it, or refuse it."""
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    seen: set[str] = set()
    for info in infos:
        path = PurePosixPath(info.orig_filename)
        if fault := _fault(info):
            raise DataError(f"{archive} is refused: its entry {info.orig_filename!r} {fault}")
        folders.update(_folded(parent) for parent in path.parents)
        if info.is_dir():
            folders.add(_folded(path))
            continue
        if _folded(path) in seen:
            raise DataError(f"{archive} is refused: its entry {str(path)!r} occurs twice")
        seen.add(_folded(path))
        files[path] = info
    for path in files:
        if _folded(path) in folders:
            raise DataError(f"{archive} is refused: its entry {str(path)!r} is a file and a folder")
    size = sum(info.file_size for info in files.values())
    if size > max_bytes:
        raise DataError(
            f"{archive} is refused: it would unpack to {size:,} bytes, over the limit of "
            f"{max_bytes:,}"
        )
    return files


def _fault(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name):
        return "has an absolute path"
    if "\\" in name or "\0" in name:
        return "has a character in its name that file systems take for something else"
    if ".." in name.split("/"):
        return "leads out of the folder"
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a special file"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return ""


def _folded(path: PurePosixPath) -> str:
    """Return the name under which file systems that ignore case would keep ``path``."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _root(
    entries: dict[PurePosixPath, zipfile.ZipInfo], holding: Sequence[str], *, archive: Path
) -> PurePosixPath:
    parents = {path.parent for path in entries}
    roots = sorted(root for root in parents if all(root / name in entries for name in holding))
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise DataError(f"{archive} holds {listed(holding)} more than once: in {listed(roots)}")
    raise DataError(
        f"{archive} has no folder with all of {listed(holding, most=20)}; it holds "
        f"{listed(sorted(map(str, entries)), most=20)}"
    )


def _write(
    opened: zipfile.ZipFile,
    entries: dict[PurePosixPath, zipfile.ZipInfo],
    root: PurePosixPath,
    folder: Path,
) -> None:
    for path, info in entries.items():
        if not path.is_relative_to(root):
            continue
        place = folder / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, place.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
