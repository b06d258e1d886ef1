"""Fingerprints of files that were fetched or that the user brought."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Checksum:
    """What a file must hash to.

    Attributes
    ----------
    algorithm
        A name that ``hashlib`` knows, such as ``sha256`` or ``md5``.
    hexdigest
        The expected digest in lower-case hexadecimal.
    content_bytes
        Size in bytes of the decompressed content, where the digest is of that content and not
        of the file as stored. gzip writes the date into its header, so that the same data
        compressed twice are different files; only their content identifies them. None where the
        digest is of the stored bytes.
    """

    algorithm: str
    hexdigest: str
    content_bytes: int | None = None

    def of(self, path: Path) -> str:
        """Return the digest of ``path``, computed the way this one was.

        A file that is no whole gzip stream, or one that decompresses to more than
        ``content_bytes``, is hashed as it is stored, so that every file has a digest.
        """
        state = path.stat()
        return _digest(path, state.st_size, state.st_mtime_ns, self.algorithm, self.content_bytes)

    def matches(self, path: Path) -> bool:
        """Say whether ``path`` is the expected file."""
        return self.of(path) == self.hexdigest


@lru_cache(maxsize=256)
def _digest(
    path: Path,
    size: int,  # noqa: ARG001  size and time are the key: a file is read again once it changes
    changed: int,  # noqa: ARG001
    algorithm: str,
    content_bytes: int | None,
) -> str:
    if content_bytes is not None:
        with path.open("rb") as stored:
            compressed = stored.read(2) == b"\x1f\x8b"
        if compressed:
            try:
                with gzip.open(path) as content:
                    return _hash(content, algorithm, at_most=content_bytes)
            except (EOFError, gzip.BadGzipFile, zlib.error, _TooMuchError):
                pass
    with path.open("rb") as stored:
        return _hash(stored, algorithm)


class _TooMuchError(Exception):
    """The content is longer than the expected one."""


def _hash(stream: IO[bytes] | gzip.GzipFile, algorithm: str, *, at_most: int | None = None) -> str:
    total = hashlib.new(algorithm, usedforsecurity=False)
    length = 0
    for block in _blocks(stream):
        length += len(block)
        if at_most is not None and length > at_most:
            raise _TooMuchError
        total.update(block)
    return total.hexdigest()


def _blocks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block
