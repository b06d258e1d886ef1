"""Reading text: plain or gzip, any line end, any size, blocks of whole lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError, StorageError
from crosstrait.genotypes import text
from crosstrait.genotypes.text import TextReader, sniff_delimiter, split_fields

LINE = st.text(st.characters(codec="ascii", exclude_characters="\r\n\x00"), max_size=40)


def read(path: Path) -> list[tuple[int, bytes]]:
    with TextReader(path) as reader:
        return list(reader.lines())


@settings(deadline=None)
@given(
    lines=st.lists(LINE, min_size=1, max_size=30).filter(lambda lines: any(map(str.strip, lines))),
    block=st.integers(1, 64),
    zipped=st.booleans(),
    end=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
)
def test_lines_come_back_with_their_numbers_whatever_the_blocks_and_line_ends(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    block: int,
    zipped: bool,
    end: bytes,
    closed: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    content = end.join(line.encode() for line in lines) + (end if closed else b"")
    if content.startswith((b"##fileformat=VCF", b"PK\x03\x04", b"l\x1b\x01", b"\x1f\x8b")):
        return
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_BLOCK_BYTES", block)
        assert read(path) == [(i, line.encode()) for i, line in enumerate(lines, 1) if line]


def test_a_peeked_line_is_taken_later(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfa\nb\nc")
    with TextReader(path) as reader:
        assert reader.peek(2) == [b"a", b"b"]
        assert reader.take_line() == b"a"
        assert list(reader.lines()) == [(2, b"b"), (3, b"c")]


def test_concatenated_gzip_files_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    assert read(path) == [(1, b"a"), (2, b"b")]


def test_gzip_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(gzip.compress(b"a\n"))
    assert read(path) == [(1, b"a")]


def test_the_number_of_lines_is_foreseen_from_the_first_ones(tmp_path: Path) -> None:
    path = tmp_path / "t.txt.gz"
    path.write_bytes(gzip.compress(b"".join(b"%09d\n" % i for i in range(700_000)), 1))
    with TextReader(path) as reader:
        next(reader.blocks())
        assert reader.expected_lines == pytest.approx(700_000, rel=0.1)


def test_a_folder_cannot_be_opened_as_text(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened: Is a directory"):
        TextReader(tmp_path)


def test_a_line_of_the_file_is_named_when_gzip_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "t.txt.gz"
    lines = b"".join(b"%d\n" % (i * 7919) for i in range(100_000))
    path.write_bytes(gzip.compress(lines)[:-3000])
    with pytest.raises(DataError, match=r"t\.txt\.gz: the gzip stream is cut off after line \d+"):
        read(path)


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["id,a,b", "s,1,2"], ","),
        (["id;a;b", "s;1,5;2,5"], ";"),
        (["id\ta, mean", "s\t1"], "\t"),
        (["a,b", "s,1,2"], ","),  # R: no name over the ids
        (['"id","a;b"', '"s",1'], ","),
        (["id\ta,b,c\td", "s\t1\t2"], "\t"),
        (["id,a,b,c;x", "s,1"], ","),  # ragged: the most frequent
    ],
)
def test_the_delimiter_is_the_one_that_two_lines_agree_on(
    lines: list[str], delimiter: str, tmp_path: Path
) -> None:
    assert sniff_delimiter([line.encode() for line in lines], path=tmp_path) == delimiter


def test_quoted_fields_may_hold_the_delimiter(tmp_path: Path) -> None:
    fields = split_fields(b'"a,1",b,"say ""c"""', delimiter=",", path=tmp_path, line=1)
    assert fields == ["a,1", "b", 'say "c"']
