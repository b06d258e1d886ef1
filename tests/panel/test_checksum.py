"""Fingerprints of files, with or without the compression around them."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from crosstrait.panel.checksum import Checksum

TEXT = b"marker\tA01_01\n" * 1000
SUM = hashlib.sha256(TEXT).hexdigest()


def test_the_digest_of_the_stored_bytes_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT))
    assert Checksum("md5", "").of(path) == hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("stamp", [0, 1_700_000_000])
def test_the_digest_of_the_content_does_not_depend_on_when_it_was_compressed(
    tmp_path: Path, stamp: int
) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT, mtime=stamp))
    assert Checksum("sha256", SUM, len(TEXT)).matches(path)


def test_content_that_was_never_compressed_has_the_same_digest(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(TEXT)
    assert Checksum("sha256", SUM, len(TEXT)).matches(path)


@pytest.mark.parametrize("keep", [5, -1, -8, -40])
def test_a_cut_stream_never_matches(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT)[:keep])
    assert Checksum("sha256", SUM, len(TEXT)).of(path) == _stored(path)


def test_content_is_read_no_further_than_its_known_size(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT + b"!"))
    assert Checksum("sha256", SUM, len(TEXT)).of(path) == _stored(path)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a")
    before = Checksum("sha256", "").of(path)
    path.write_bytes(b"b")
    os.utime(path, ns=(1, 1))
    assert Checksum("sha256", "").of(path) != before


def _stored(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
