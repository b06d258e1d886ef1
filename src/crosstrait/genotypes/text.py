"""Text files, plain or gzip, read as blocks of whole lines; a failure names the file and line."""

from __future__ import annotations

import csv
import gzip
import io
import re
import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from crosstrait.errors import DataError, StorageError, nearest

_BLOCK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_EXPORT = "--allow-extra-chr --recode A include-alt --out {stem}; then read {stem}.raw"
_NOT_A_TABLE = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\x93NUMPY": "a NumPy array, which holds no sample ids; write a table with ids",
    b"\x89HDF": "an HDF5 file; export its dosages as a table",
    b"l\x1b\x01": f"a PLINK .bed file; export its dosages: plink --bfile {{stem}} {_EXPORT}",
    b"##fileformat=VCF": (
        f"a VCF file; export its dosages: plink --vcf {{path}} --double-id "
        f"--set-missing-var-ids @:# {_EXPORT}"
    ),
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}


@dataclass(frozen=True)
class Block:
    """Whole lines of a file: ``data`` ends with a newline, its first line is number ``line``."""

    line: int
    data: bytes


class TextReader:
    """A text file, gzip or not by its first bytes, read once from front to back.

    Carriage returns and a byte-order mark are dropped. Lines count from 1.

    Raises
    ------
    DataError
        If the file is missing, empty, not text, or gzip that is cut off or damaged.
    StorageError
        If the file cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw = open_binary(path)
        self._size = path.stat().st_size
        zipped = self._raw.peek(2).startswith(_GZIP)
        self._stream: io.BufferedIOBase = gzip.GzipFile(fileobj=self._raw) if zipped else self._raw
        self._rest = b""
        self._line = 1
        self._ended = False
        try:
            start = self._read()
            for signature, what in _NOT_A_TABLE.items():
                if start.startswith(signature):
                    raise DataError(f"{path} is {_how_to_export(what, path)}")
            self._append(start.removeprefix(b"\xef\xbb\xbf"))
            while not self._rest.strip():
                if self._ended:
                    raise DataError(f"{path} is empty")
                self._append(self._read())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    @property
    def expected_lines(self) -> float:
        """About how many lines the file has, judged by those taken so far."""
        share_read = min(1.0, self._raw.tell() / max(1, self._size))
        return (self._line - 1) / share_read

    def peek(self, n_lines: int) -> list[bytes]:
        """Return up to ``n_lines`` of the lines that come next, without taking them."""
        self._fill(n_lines)
        return self._rest.split(b"\n", n_lines)[: min(n_lines, self._rest.count(b"\n"))]

    def take_line(self) -> bytes:
        """Take the next line."""
        self._fill(1)
        line, _, self._rest = self._rest.partition(b"\n")
        self._line += 1
        return line

    def blocks(self) -> Iterator[Block]:
        """Take the rest of the file, about a megabyte of whole lines at a time."""
        while True:
            self._fill(1)
            if not self._rest:
                return
            cut = self._rest.rindex(b"\n") + 1
            block = Block(self._line, self._rest[:cut])
            self._rest = self._rest[cut:]
            self._line += block.data.count(b"\n")
            yield block

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Take the rest of the file as (number, line), leaving blank lines out."""
        for block in self.blocks():
            for i, line in enumerate(block.data.split(b"\n")):
                if line:
                    yield block.line + i, line

    def _fill(self, n_lines: int) -> None:
        """Hold at least ``n_lines`` whole lines, or all that are left."""
        while not self._ended and (
            b"\n" not in self._rest or (n_lines > 1 and self._rest.count(b"\n") < n_lines)
        ):
            self._append(self._read())

    def _append(self, data: bytes) -> None:
        if b"\0" in data:
            line = self._line + (self._rest + data[: data.index(b"\0")]).count(b"\n")
            raise DataError(f"{self.path}, line {line}: a zero byte; this is not a text file")
        self._ended = not data
        self._rest += data
        if b"\r" in self._rest:
            self._rest = self._rest.replace(b"\r\n", b"\n")
        if self._ended and self._rest and not self._rest.endswith(b"\n"):
            self._rest += b"\n"

    def _read(self) -> bytes:
        """Return the next bytes, none at the end of the file."""
        data = bytearray()
        try:
            while len(data) < _BLOCK_BYTES:
                piece = self._stream.read1(_BLOCK_BYTES - len(data))
                if not piece:
                    break
                data += piece
            return bytes(data)
        except EOFError:
            problem = "the gzip stream is cut off"
        except (zlib.error, gzip.BadGzipFile) as error:
            problem = f"the gzip stream is damaged ({error})"
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error.strerror}") from None
        seen = self._line - 1 + self._rest.count(b"\n") + data.count(b"\n")
        raise DataError(
            f"{self.path}: {problem} after line {seen}; copy or download the file again"
        )


def _how_to_export(what: str, path: Path) -> str:
    stem = re.sub(r"\.(vcf|bed|ped)(\.gz)?$", "", str(path))
    return what.format(path=shlex.quote(str(path)), stem=shlex.quote(stem))


def open_binary(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises
    ------
    DataError
        If it is not there; the message offers the file beside it with the nearest name.
    StorageError
        If it is there and cannot be opened.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(missing_path(path)) from None
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from None


def missing_path(path: Path) -> str:
    """Say that ``path`` does not exist, with the nearest name that does."""
    folder = path.parent
    if not folder.is_dir():
        return f"{path} does not exist; neither does its folder"
    close = nearest(path.name, [entry.name for entry in folder.iterdir()])
    return f"{path} does not exist" + (f" (did you mean {close!r}?)" if close else "")


def decode(data: bytes, *, path: Path, line: int) -> str:
    """Return ``data`` as text.

    Raises
    ------
    DataError
        If it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is not UTF-8 text; save the "
            f"file as UTF-8"
        ) from None


def split_fields(data: bytes, *, delimiter: str, path: Path, line: int) -> list[str]:
    """Split one line into its fields, honouring double quotes."""
    text = decode(data, path=path, line=line)
    if '"' not in text:
        return text.split(delimiter)
    return next(csv.reader([text], delimiter=delimiter))


def sniff_delimiter(lines: list[bytes], *, path: Path) -> str:
    """Return the delimiter (tab, comma or semicolon) that the first lines agree on.

    Raises
    ------
    DataError
        If none occurs in the first line.
    """
    counts = {
        mark: [
            len(split_fields(text, delimiter=mark, path=path, line=1 + i)) - 1
            for i, text in enumerate(lines[:2])
        ]
        for mark in ("\t", ";", ",")
    }
    present = {mark: count for mark, count in counts.items() if count[0] > 0}
    if not present and path.name.endswith((".ped", ".ped.gz")):
        what = f"a PLINK .ped file; export its dosages: plink --file {{stem}} {_EXPORT}"
        raise DataError(f"{path} is {_how_to_export(what, path)}")
    if not present:
        raise DataError(
            f"{path}, line 1: no tab, comma or semicolon between columns; a table needs an id "
            f"and at least one value in each row"
        )
    # R leaves the name of the id column out, so a row may have one field more than the header.
    agreeing = [m for m, count in present.items() if count[-1] - count[0] in (0, 1)]
    return agreeing[0] if agreeing else max(present, key=lambda mark: present[mark][0])
