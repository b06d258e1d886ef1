"""Data sets by name: looked up, fetched once, checked, and safe to open from many processes."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crosstrait.errors import DataError, DownloadError, SettingsError, StorageError
from crosstrait.panel.catalogue import DataFile, Dataset, RecordArchive
from crosstrait.panel.download import Patience
from crosstrait.panel.registry import dataset, datasets, locate, open_dataset
from crosstrait.panel.sources import load_panel
from support.bad_server import Answer, Site, bad_server

HASTY = Patience(stall_seconds=2.0, tries=2, backoff_seconds=0.01)
CALLS = b"marker\tA01_01\tA01_02\nx\tB\tR\n" * 500
TRAITS = b"\tgrowth\nA01_01\t1\nA01_02\tNA\n"
EXTRA = b"trait,position\n"
NEEDED = tuple(f"{kind}_{part}.npy" for kind in ("geno", "pheno") for part in ("train", "test"))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with bad_server() as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of the set ``cross``, empty."""
    monkeypatch.setenv("CROSSTRAIT_DATA", str(tmp_path / "own"))
    folder = tmp_path / "own" / "cross"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSTRAIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSTRAIT_DATA", raising=False)
    return tmp_path / "cache"


def entry(**more: Any) -> Dataset:
    return Dataset(
        name="cross",
        title="A cross",
        citation="Nobody 2000",
        doi="10.0/0",
        licence="none",
        home="http://home.example/",
        n_samples=2,
        n_loci=1,
        n_traits=1,
        **more,
    )


def data_file(site: Site, name: str, content: bytes, *answers: Answer, **more: Any) -> DataFile:
    """Serve ``content``, compressed where the name says so, and describe it."""
    stored = gzip.compress(content) if name.endswith(".gz") else content
    return DataFile(
        name=name,
        what="",
        url=site.serve(f"/{name}", *(answers or [Answer(body=stored)])),
        sha256=hashlib.sha256(content).hexdigest(),
        n_bytes=len(content),
        **more,
    )


def cross(site: Site) -> Dataset:
    return entry(
        files=(
            data_file(site, "calls.txt.gz", CALLS),
            data_file(site, "traits.txt", TRAITS),
            data_file(site, "extra.csv", EXTRA, needed=False),
        )
    )


def zipped(*, prefix: str = "datasets/", more: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in (*(prefix + name for name in NEEDED), *more):
            archive.writestr(name, name.encode())
    return buffer.getvalue()


def recorded(site: Site, body: bytes, *, md5: str | None = None, **changes: Any) -> Dataset:
    """Serve a Zenodo-like record of an archive."""
    described = {
        "key": "datasets.zip",
        "checksum": "md5:" + (md5 or hashlib.md5(body).hexdigest()),
        "links": {"self": site.serve("/zip", Answer(body=body))},
    } | changes
    record = json.dumps({"files": [{"key": "other"}, described]}).encode()
    archive = RecordArchive(
        record=site.serve("/record", Answer(body=record)),
        key="datasets.zip",
        holding=NEEDED,
        max_bytes=10_000,
    )
    return entry(archive=archive)


def hidden(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


# The entries


def test_the_three_public_sets_are_listed_with_what_one_must_know() -> None:
    assert [known.name for known in datasets()] == ["byxrm", "bbq_li", "bbq_18"]
    for known in datasets():
        assert re.fullmatch(r"10\.\d+/\S+", known.doi)
        assert known.title
        assert known.citation
        assert known.licence
        assert known.home.startswith("http")
        assert known.needed
        assert bool(known.files) != bool(known.archive)


@pytest.mark.parametrize("file", [file for known in datasets() for file in known.files])
def test_every_address_is_fixed_to_one_version(file: DataFile) -> None:
    assert re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", file.url)
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"unknown data set 'byrxm'.*did you mean 'byxrm'"):
        open_dataset("byrxm")


@pytest.mark.parametrize("name", ["byxrm", "bbq_li"])
def test_the_real_files_are_the_published_ones(
    real_data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("CROSSTRAIT_DATA", str(real_data))
    folder = open_dataset(name)  # a file that differs would be a warning, and so a failure
    assert folder == real_data / name
    for file in dataset(name).files:
        found = file.find(folder)
        assert found is not None
        assert file.checksum(found.name).matches(found)


def test_the_stated_sizes_are_those_of_the_real_files(real_data: Path) -> None:
    known = dataset("byxrm")
    with gzip.open(real_data / "byxrm" / "BYxRM_GenoData.txt.gz", "rt") as lines:
        assert len(next(lines).split("\t")) - 1 == known.n_samples
        assert sum(1 for _ in lines) == known.n_loci
    with gzip.open(real_data / "byxrm" / "BYxRM_PhenoData.txt.gz", "rt") as lines:
        assert len(next(lines).split("\t")) - 1 == known.n_traits
    known = dataset("bbq_li")
    with gzip.open(real_data / "bbq_li" / "qtls_li_hq.csv.gz", "rt") as lines:
        next(lines)
        assert len(next(lines).split(",")[0]) == known.n_loci
        assert sum(1 for _ in lines) + 1 == known.n_samples


def test_the_real_set_makes_the_same_panel_fetched_as_from_the_own_folder(
    site: Site, real_data: Path
) -> None:
    known = dataset("bbq_li")
    served = []
    for file in known.files:
        own = file.find(real_data / "bbq_li")
        assert own is not None
        body = own.read_bytes() if own.name == file.name else gzip.decompress(own.read_bytes())
        served.append(dataclasses.replace(file, url=site.serve(f"/{file.name}", Answer(body=body))))
    fetched = locate(dataclasses.replace(known, files=tuple(served)), patience=HASTY)
    assert load_panel(fetched).digest == load_panel(real_data / "bbq_li").digest


# The user's own copy


def test_the_own_copy_comes_first(site: Site, own: Path, cache: Path) -> None:
    (own / "calls.txt").write_bytes(CALLS)  # not compressed, as one may have it
    (own / "traits.txt.gz").write_bytes(gzip.compress(TRAITS))
    assert locate(cross(site)) == own
    assert not site.asked
    assert not cache.exists()


def test_an_own_copy_that_differs_is_used_with_a_warning(site: Site, own: Path) -> None:
    (own / "calls.txt.gz").write_bytes(gzip.compress(CALLS + b"y\tR\tR\n"))
    (own / "traits.txt").write_bytes(TRAITS)
    with pytest.warns(UserWarning, match=r"calls\.txt\.gz is not the published file"):
        assert locate(cross(site)) == own


def test_an_incomplete_own_copy_is_not_used(site: Site, own: Path, cache: Path) -> None:
    (own / "calls.txt.gz").write_bytes(gzip.compress(CALLS))
    with pytest.warns(UserWarning, match=r"own/cross is not used: it lacks traits\.txt"):
        assert locate(cross(site), patience=HASTY) == cache / "cross"


def test_without_a_folder_of_the_set_it_is_fetched(site: Site, own: Path, cache: Path) -> None:
    own.rmdir()
    assert locate(cross(site), patience=HASTY) == cache / "cross"


def test_a_data_folder_that_is_none_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSTRAIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        SettingsError, match=r"CROSSTRAIT_DATA names .*nowhere', which is no folder"
    ):
        locate(cross(site))


# The cache


def test_files_are_fetched_once(site: Site, cache: Path) -> None:
    known = cross(site)
    folder = locate(known, patience=HASTY)
    assert folder == cache / "cross"
    assert sorted(path.name for path in folder.iterdir()) == [
        "calls.txt.gz",
        "extra.csv",
        "traits.txt",
    ]
    assert gzip.decompress((folder / "calls.txt.gz").read_bytes()) == CALLS
    assert len(site.asked) == 3
    assert locate(known) == folder
    assert len(site.asked) == 3


def test_a_fetched_file_that_changed_is_fetched_anew(site: Site) -> None:
    known = cross(site)
    folder = locate(known, patience=HASTY)
    (folder / "traits.txt").write_bytes(TRAITS.replace(b"1", b"2"))
    with pytest.warns(UserWarning, match=r"traits\.txt has changed since it was fetched"):
        locate(known, patience=HASTY)
    assert (folder / "traits.txt").read_bytes() == TRAITS
    assert len(site.requests("/traits.txt")) == 2
    assert len(site.requests("/calls.txt.gz")) == 1


def test_wrong_bytes_never_enter_the_cache(site: Site, cache: Path) -> None:
    wrong = gzip.compress(CALLS[:-1] + b"!")
    known = entry(files=(data_file(site, "calls.txt.gz", CALLS, Answer(body=wrong)),))
    with pytest.raises(DownloadError) as caught:
        locate(known, patience=HASTY)
    message = str(caught.value)
    assert "calls.txt.gz" in message
    assert hashlib.sha256(CALLS).hexdigest() in message
    assert hashlib.sha256(CALLS[:-1] + b"!").hexdigest() in message
    assert "by hand from http://home.example/" in message
    assert "put calls.txt.gz into a folder DIR/cross and set CROSSTRAIT_DATA=DIR" in message
    assert not any((cache / "cross").iterdir())


def test_a_compressed_file_does_not_pass_for_a_plain_one(site: Site) -> None:
    known = entry(
        files=(data_file(site, "traits.txt", TRAITS, Answer(body=gzip.compress(TRAITS))),)
    )
    with pytest.raises(DownloadError, match=r"traits\.txt .* is not the expected file"):
        locate(known, patience=HASTY)


def test_what_arrived_before_a_failure_is_not_fetched_again(site: Site) -> None:
    known = entry(
        files=(
            data_file(site, "calls.txt.gz", CALLS),
            data_file(site, "traits.txt", TRAITS, Answer(status=404)),
        )
    )
    with pytest.raises(DownloadError, match="404"):
        locate(known, patience=HASTY)
    site.serve("/traits.txt", Answer(body=TRAITS))
    locate(known, patience=HASTY)
    assert len(site.requests("/calls.txt.gz")) == 1


def test_a_file_for_comparison_may_fail(site: Site) -> None:
    known = entry(
        files=(
            data_file(site, "extra.csv", EXTRA, Answer(status=404), needed=False),
            data_file(site, "traits.txt", TRAITS),
        )
    )
    with pytest.warns(UserWarning, match=r"cross goes without extra\.csv: .*404"):
        folder = locate(known, patience=HASTY)
    assert [path.name for path in folder.iterdir()] == ["traits.txt"]


def test_many_at_once_fetch_once(site: Site) -> None:
    known = cross(site)
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: locate(known, patience=HASTY), range(8)))
    assert len(folders) == 1
    assert len(site.asked) == 3


def test_a_cache_that_cannot_be_written_is_a_storage_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CROSSTRAIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"cannot write to the cache .*file: .*CROSSTRAIT_CACHE"):
        locate(cross(site), patience=HASTY)


def test_a_process_killed_while_it_fetches_leaves_what_the_next_one_continues(
    site: Site, cache: Path
) -> None:
    body = bytes(range(256)) * 2000
    file = data_file(site, "calls.bin", body, Answer(body=body, stall_after=300_000))
    known = entry(files=(file,))
    code = "\n".join(
        [
            "from crosstrait.panel.catalogue import *",
            "from crosstrait.panel.registry import locate",
            f"locate({known!r})",
        ]
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    part = cache / "cross" / "calls.bin.part"
    until = time.monotonic() + 30
    while time.monotonic() < until and not (part.exists() and part.stat().st_size >= 262_144):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert [path.name for path in (cache / "cross").glob("*.bin")] == []
    site.serve("/calls.bin", Answer(body=body))
    folder = locate(known, patience=HASTY)
    assert (folder / "calls.bin").read_bytes() == body
    assert "Range" in site.requests("/calls.bin")[-1]


# A set in an archive


def test_the_archive_of_a_record_is_fetched_checked_and_unpacked(site: Site, cache: Path) -> None:
    known = recorded(site, zipped())
    folder = locate(known, patience=HASTY)
    assert folder == cache / "cross"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: f"datasets/{name}".encode() for name in NEEDED
    }
    assert hidden(cache) == [".cross.lock", "cross"]
    locate(known)
    assert len(site.asked) == 2


def test_an_archive_with_another_md5_than_the_record_states_is_refused(
    site: Site, cache: Path
) -> None:
    body = zipped()
    with pytest.raises(DownloadError) as caught:
        locate(recorded(site, body, md5="0" * 32), patience=HASTY)
    assert "its md5 should be " + "0" * 32 in str(caught.value)
    assert hashlib.md5(body).hexdigest() in str(caught.value)
    assert hidden(cache) == [".cross.lock"]


@pytest.mark.parametrize("bad", ["../evil", "/evil", "datasets/../../evil"])
def test_an_unsafe_archive_is_refused_and_not_kept(site: Site, cache: Path, bad: str) -> None:
    with pytest.raises(DataError, match="is refused"):
        locate(recorded(site, zipped(more=(bad,))), patience=HASTY)
    assert hidden(cache) == [".cross.lock"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"key": "data.zip"}, r"holds no datasets\.zip; it holds data\.zip, other"),
        ({"checksum": "sha1:123"}, "states the checksum 'sha1:123'"),
        ({"checksum": None}, "states the checksum 'None'"),
        ({"links": {}}, "does not describe its files as expected"),
        ({"links": {"self": "file:///etc/passwd"}}, "cannot be fetched"),
    ],
)
def test_a_record_that_does_not_describe_the_archive_is_refused(
    site: Site, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(DownloadError, match=match):
        locate(recorded(site, zipped(), **changes), patience=HASTY)


@pytest.mark.parametrize("body", [b"[]", b'{"files": [3]}', b'{"message": "gone"}', b"null"])
def test_a_record_that_is_none_is_refused(site: Site, body: bytes) -> None:
    known = recorded(site, zipped())
    site.serve("/record", Answer(body=body))
    with pytest.raises(DownloadError, match="does not describe its files"):
        locate(known, patience=HASTY)


def test_leavings_of_a_killed_process_are_cleared_and_its_archive_used(
    site: Site, cache: Path
) -> None:
    (cache / "cross").mkdir(parents=True)
    (cache / "cross" / NEEDED[0]).write_text("of an older, incomplete copy")
    (cache / ".cross.abc").mkdir()
    (cache / ".cross.abc" / NEEDED[0]).write_text("half")
    (cache / "cross.zip").write_bytes(zipped())
    folder = locate(recorded(site, zipped()), patience=HASTY)
    assert {path.name for path in folder.iterdir()} == set(NEEDED)
    assert hidden(cache) == [".cross.lock", "cross"]
    assert not site.requests("/zip")


def test_an_archive_that_does_not_fit_is_kept_for_when_there_is_room(
    site: Site, cache: Path
) -> None:
    known = recorded(site, zipped())
    cache.mkdir()
    (cache / "cross").write_text("a file in the way of the folder")
    with pytest.raises(StorageError, match="cannot unpack"):
        locate(known, patience=HASTY)
    assert hidden(cache) == [".cross.lock", "cross", "cross.zip"]


def test_the_limit_on_what_an_archive_unpacks_to_is_kept(site: Site) -> None:
    known = recorded(site, zipped())
    assert known.archive is not None
    tight = dataclasses.replace(known, archive=dataclasses.replace(known.archive, max_bytes=10))
    with pytest.raises(DataError, match="over the limit of 10"):
        locate(tight, patience=HASTY)
