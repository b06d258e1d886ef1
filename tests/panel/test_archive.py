"""Archives are unpacked whole and safely, or not at all."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from crosstrait.errors import DataError, StorageError
from crosstrait.panel.archive import unpack

LIMIT = 1 << 20
WANTED = ("a.npy", "b.npy")


def make(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    """Write a zip with exactly these entries, in this order, under these names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name  # the constructor would tidy the name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.NameToInfo.clear()  # or a name that occurs twice is a warning here
            archive.writestr(info, content)
    return path


def good(prefix: str = "") -> list[tuple[str, bytes]]:
    return [(f"{prefix}a.npy", b"aa"), (f"{prefix}b.npy", b"bbb")]


def refuse(folder: Path, archive: Path, match: str) -> None:
    into = folder / "out" / "set"
    with pytest.raises(DataError, match=match):
        unpack(archive, into=into, holding=WANTED, max_bytes=LIMIT)
    assert not into.parent.exists() or not any(into.parent.iterdir())


@pytest.mark.parametrize("prefix", ["", "datasets/", "deep/er/"])
def test_the_folder_that_holds_the_wanted_files_is_unpacked(tmp_path: Path, prefix: str) -> None:
    archive = make(
        tmp_path / "x.zip", [*good(prefix), (f"{prefix}more/c.txt", b"c"), ("junk/._a.npy", b"")]
    )
    into = unpack(archive, into=tmp_path / "out" / "set", holding=WANTED, max_bytes=LIMIT)
    assert (into / "a.npy").read_bytes() == b"aa"
    assert (into / "b.npy").read_bytes() == b"bbb"
    assert (into / "more" / "c.txt").read_bytes() == b"c"
    assert [path.name for path in into.parent.iterdir()] == ["set"]
    assert stat.S_IMODE(into.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../evil", "leads out"),
        ("datasets/../../evil", "leads out"),
        ("datasets/..", "leads out"),
        ("/etc/evil", "absolute"),
        ("//host/evil", "absolute"),
        ("\\\\host\\evil", "absolute"),
        ("C:/evil", "absolute"),
        ("c:evil", "absolute"),
        ("..\\evil", "character"),
        ("datasets\\evil", "character"),
        ("a.npy", "twice"),
        ("./a.npy", "twice"),
        ("A.NPY", "twice"),
        ("a.npy/evil", "a file and a folder"),
        ("A.npy/", "a file and a folder"),
    ],
)
def test_an_entry_with_an_unsafe_name_refuses_the_whole_archive(
    tmp_path: Path, name: str, match: str
) -> None:
    refuse(tmp_path, make(tmp_path / "x.zip", [*good(), (name, b"evil")]), match)
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize(
    ("mode", "match"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "special"), (stat.S_IFCHR, "spec")]
)
def test_links_and_special_files_are_refused(tmp_path: Path, mode: int, match: str) -> None:
    archive = make(tmp_path / "x.zip", good())
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = (mode | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    refuse(tmp_path, archive, match)


def test_an_archive_that_explodes_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    archive = make(tmp_path / "x.zip", [*good(), ("c", b"\0" * LIMIT)])
    assert archive.stat().st_size < LIMIT / 100
    refuse(tmp_path, archive, "would unpack to 1,048,581 bytes, over the limit of 1,048,576")


def test_an_entry_longer_than_it_declares_leaves_nothing_behind(tmp_path: Path) -> None:
    archive = make(tmp_path / "x.zip", [*good(), ("c", b"\0" * LIMIT)])
    raw = bytearray(archive.read_bytes())
    while (where := raw.find(struct.pack("<I", LIMIT))) >= 0:
        raw[where : where + 4] = struct.pack("<I", 10)
    archive.write_bytes(raw)
    refuse(tmp_path, archive, "no whole zip archive")


def test_a_damaged_entry_leaves_nothing_behind(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("a.npy", b"aa")
        opened.writestr("b.npy", content)
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace(content, content[:-1] + b"!"))
    refuse(tmp_path, archive, "CRC")


@pytest.mark.parametrize("keep", [0, 10, -30])
def test_what_is_no_whole_zip_is_refused(tmp_path: Path, keep: int) -> None:
    archive = make(tmp_path / "x.zip", good())
    archive.write_bytes(archive.read_bytes()[:keep])
    refuse(tmp_path, archive, "no whole zip archive")


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "x.zip", good())
    raw = bytearray(archive.read_bytes())
    raw[6] |= 1  # the flag in the first local header ...
    raw[raw.find(b"PK\x01\x02") + 8] |= 1  # ... and in the central directory
    archive.write_bytes(raw)
    refuse(tmp_path, archive, "encrypted")


def test_wanted_files_must_be_together_and_only_once(tmp_path: Path) -> None:
    apart = make(tmp_path / "x.zip", [("one/a.npy", b""), ("two/b.npy", b"")])
    refuse(tmp_path, apart, r"no folder with all of a.npy, b.npy; it holds one/a.npy, two/b.npy")
    twice = make(tmp_path / "y.zip", [*good("one/"), *good("two/")])
    refuse(tmp_path, twice, "more than once: in one, two")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    archive = make(tmp_path / "x.zip", good())
    with pytest.raises(StorageError, match=r"cannot unpack .*x\.zip to .*set"):
        unpack(archive, into=tmp_path / "file" / "set", holding=WANTED, max_bytes=LIMIT)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    into = tmp_path / "out" / "set"
    into.mkdir(parents=True)
    (into / "mine").write_text("keep")
    archive = make(tmp_path / "x.zip", good())
    with pytest.raises(StorageError):
        unpack(archive, into=into, holding=WANTED, max_bytes=LIMIT)
    assert [path.name for path in into.parent.iterdir()] == ["set"]
    assert (into / "mine").read_text() == "keep"
