"""Downloads against a real server that breaks off, stalls, lies and answers wrongly."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from crosstrait.errors import DownloadError, StorageError
from crosstrait.panel.checksum import Checksum
from crosstrait.panel.download import Patience, download, read_json
from support.bad_server import Answer, Site, bad_server, closed_address

BODY = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
RIGHT = Checksum("sha256", hashlib.sha256(BODY).hexdigest())
HASTY = Patience(stall_seconds=0.5, tries=3, backoff_seconds=0.01)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with bad_server() as running:
        yield running


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "data.bin"


def fetch(url: str, to: Path, *, patience: Patience = HASTY) -> Path:
    return download(url, to=to, checksum=RIGHT, patience=patience)


def left_behind(to: Path) -> set[str]:
    return {path.name for path in to.parent.iterdir()}


def test_a_good_file_gets_its_name_and_nothing_else_is_left(site: Site, to: Path) -> None:
    assert fetch(site.serve("/f", Answer(body=BODY)), to) == to
    assert to.read_bytes() == BODY
    assert left_behind(to) == {"data.bin"}


def test_a_file_of_unstated_length_is_taken_to_its_end(site: Site, to: Path) -> None:
    fetch(site.serve("/f", Answer(body=BODY, no_length=True)), to)
    assert to.read_bytes() == BODY


def test_redirects_are_followed(site: Site, to: Path) -> None:
    url = site.serve("/moved", Answer(redirect=site.serve("/f", Answer(body=BODY))))
    fetch(url, to)
    assert to.read_bytes() == BODY


def test_a_transfer_that_breaks_off_continues_where_it_was(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=100_000), Answer(body=BODY))
    fetch(url, to)
    assert to.read_bytes() == BODY
    first, second = site.requests("/f")
    assert "Range" not in first
    assert second["Range"] == "bytes=100000-"
    assert second["If-Range"] == '"1"'


def test_a_later_call_continues_an_earlier_one(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=100_000))
    with pytest.raises(DownloadError, match="announced 300,000 bytes and sent 100,000"):
        fetch(url, to, patience=Patience(tries=1))
    assert left_behind(to) == {"data.bin.part", "data.bin.part.json"}
    site.serve("/f", Answer(body=BODY))
    fetch(url, to)
    assert site.requests("/f")[-1]["Range"] == "bytes=100000-"
    assert left_behind(to) == {"data.bin"}


@pytest.mark.parametrize("tag", [None, 'W/"1"'], ids=["no tag", "weak tag"])
def test_without_a_strong_version_mark_the_file_is_taken_again_from_its_start(
    site: Site, to: Path, tag: str | None
) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=9, etag=tag), Answer(body=BODY, etag=tag))
    fetch(url, to)
    assert to.read_bytes() == BODY
    assert all("Range" not in asked for asked in site.requests("/f"))


def test_a_server_that_ignores_range_is_taken_from_its_start(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=9), Answer(body=BODY, ranges=False))
    fetch(url, to)
    assert to.read_bytes() == BODY


def test_a_file_that_changed_between_the_tries_is_taken_from_its_start(
    site: Site, to: Path
) -> None:
    url = site.serve(
        "/f", Answer(body=OTHER, etag='"0"', break_after=100_000), Answer(body=BODY, etag='"1"')
    )
    fetch(url, to)
    assert to.read_bytes() == BODY


def test_a_changed_file_is_noticed_where_the_server_overlooks_if_range(
    site: Site, to: Path
) -> None:
    url = site.serve(
        "/f",
        Answer(body=OTHER, etag='"0"', break_after=100_000),
        Answer(body=BODY, etag='"1"', ignore_if_range=True),
    )
    fetch(url, to)
    assert to.read_bytes() == BODY


def test_a_changed_file_under_the_same_tag_is_caught_by_its_checksum(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=OTHER, break_after=100_000), Answer(body=BODY))
    fetch(url, to)
    assert to.read_bytes() == BODY
    assert ["Range" in asked for asked in site.requests("/f")] == [False, True, False]


def test_a_server_that_sends_another_part_than_asked_for_is_not_believed(
    site: Site, to: Path
) -> None:
    url = site.serve(
        "/f",
        Answer(body=BODY, break_after=100_000),
        Answer(body=BODY, wrong_range=True),
        Answer(body=BODY),
    )
    fetch(url, to)
    assert to.read_bytes() == BODY
    assert "Range" not in site.requests("/f")[2]


@pytest.mark.parametrize(
    "second",
    [
        Answer(body=BODY, wrong_range=True),
        Answer(body=BODY, etag='"2"', ignore_if_range=True),
    ],
    ids=["another part", "another version"],
)
def test_a_part_that_does_not_fit_is_refused_before_it_is_taken(
    site: Site, to: Path, second: Answer
) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=100_000), second)
    with pytest.raises(DownloadError, match="it sent another part than the one asked for"):
        fetch(url, to, patience=Patience(tries=2, backoff_seconds=0.01))
    assert left_behind(to) == set()


def test_a_part_that_was_already_whole_is_used(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, lie=100))
    fetch(url, to)  # the second request asks beyond the end and gets 416
    assert to.read_bytes() == BODY
    assert len(site.requests("/f")) == 2


def test_a_length_stated_too_long_at_every_try_is_said(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=OTHER, lie=100, ranges=False))
    with pytest.raises(DownloadError, match="it announced 300,100 bytes and sent 300,000"):
        fetch(url, to)
    assert not to.exists()


def test_a_length_stated_too_short_cuts_the_file_which_is_refused(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, lie=-100))
    with pytest.raises(DownloadError, match="the 299,900 bytes that came were deleted"):
        fetch(url, to)
    assert left_behind(to) == set()


def test_wrong_bytes_are_deleted_and_both_checksums_named(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=OTHER))
    with pytest.raises(DownloadError) as caught:
        fetch(url, to)
    message = str(caught.value)
    assert "data.bin" in message
    assert url in message
    assert RIGHT.hexdigest in message
    assert hashlib.sha256(OTHER).hexdigest() in message
    assert left_behind(to) == set()
    assert len(site.requests("/f")) == 1  # the server is sure of itself: no use in asking again


def test_wrong_bytes_leave_an_older_good_file_alone(site: Site, to: Path) -> None:
    fetch(site.serve("/f", Answer(body=BODY)), to)
    with pytest.raises(DownloadError):
        fetch(site.serve("/f", Answer(body=OTHER)), to)
    assert to.read_bytes() == BODY


def test_a_stalled_server_is_left_after_the_set_time_and_continued(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, stall_after=100_000), Answer(body=BODY))
    began = time.perf_counter()
    fetch(url, to)
    assert 0.5 <= time.perf_counter() - began < 15  # the server would be silent for 20
    assert to.read_bytes() == BODY
    assert site.requests("/f")[1]["Range"] == "bytes=100000-"


def test_a_server_that_always_stalls_is_named(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, stall_after=0))
    patience = Patience(stall_seconds=0.5, tries=2, backoff_seconds=0.01)
    with pytest.raises(DownloadError, match=r"in 2 tries; the last time it stalled: .* 0\.5 s"):
        fetch(url, to, patience=patience)
    assert not to.exists()


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (410, 1), (500, 3), (503, 3)])
def test_an_error_status_is_named_and_only_a_passing_one_tried_again(
    site: Site, to: Path, status: int, tries: int
) -> None:
    url = site.serve("/f", Answer(body=b"<html>sorry</html>", status=status))
    with pytest.raises(DownloadError, match=f"{re.escape(url)} .*it answered {status} "):
        fetch(url, to)
    assert len(site.requests("/f")) == tries
    assert not to.exists()


def test_a_server_that_recovers_is_forgiven(site: Site, to: Path) -> None:
    fetch(site.serve("/f", Answer(status=500), Answer(status=429), Answer(body=BODY)), to)
    assert to.read_bytes() == BODY


def test_each_pause_before_a_new_try_is_twice_as_long(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(status=500))
    began = time.perf_counter()
    with pytest.raises(DownloadError):
        fetch(url, to, patience=Patience(tries=4, backoff_seconds=0.05))
    assert time.perf_counter() - began >= 0.05 * (1 + 2 + 4)


def test_a_refused_connection_is_said(to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(DownloadError, match=r"in 3 tries; .*Connection refused"):
        fetch(closed_address() + "/f", to)
    assert left_behind(to) == set()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/f", "nowhere", "http://"])
def test_an_address_that_is_none_is_refused_at_once(to: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch(url, to)


def test_endless_redirects_are_refused(site: Site, to: Path) -> None:
    url = site.address + "/loop"
    site.serve("/loop", Answer(redirect=url))
    with pytest.raises(DownloadError, match="redirects"):
        fetch(url, to)


def test_a_file_recoded_on_its_way_is_refused(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=gzip.compress(BODY), encoding="gzip"))
    with pytest.raises(DownloadError, match="came as gzip"):
        fetch(url, to)
    assert left_behind(to) == set()


def test_a_full_disk_is_a_storage_error_and_the_next_try_continues(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))  # no file may grow beyond
    try:
        with pytest.raises(StorageError, match=r"cannot write .*data\.bin\.part: File too large"):
            fetch(url, to)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not to.exists()
    fetch(url, to)
    assert to.read_bytes() == BODY
    assert "Range" in site.requests("/f")[1]


def test_a_cache_that_cannot_be_written_is_a_storage_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="CROSSTRAIT_CACHE"):
        fetch(site.serve("/f", Answer(body=BODY)), tmp_path / "file" / "data.bin")


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": 3}', '{"url": "x", "validator": "y"}'])
def test_a_part_with_no_sound_note_is_not_continued(site: Site, to: Path, note: str) -> None:
    to.parent.mkdir()
    to.with_name("data.bin.part").write_bytes(OTHER)
    to.with_name("data.bin.part.json").write_text(note)
    fetch(site.serve("/f", Answer(body=BODY)), to)
    assert to.read_bytes() == BODY
    assert "Range" not in site.requests("/f")[0]


def test_the_name_never_carries_wrong_bytes_at_any_moment(site: Site, to: Path) -> None:
    url = site.serve(
        "/f",
        Answer(body=OTHER, break_after=100_000),
        Answer(body=BODY, break_after=50_000),
        Answer(body=BODY, ranges=False, break_after=200_000),
        Answer(body=BODY),
    )
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if to.exists():
                seen.add(RIGHT.of(to))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        fetch(url, to, patience=Patience(tries=6, backoff_seconds=0.05))
        time.sleep(0.05)
    finally:
        done.set()
        watcher.join()
    assert seen == {RIGHT.hexdigest}


def test_progress_shows_the_bytes_that_came(site: Site, to: Path) -> None:
    url = site.serve("/f", Answer(body=BODY, break_after=100_000), Answer(body=BODY))
    with Progress(disable=True) as progress:
        download(url, to=to, checksum=RIGHT, patience=HASTY, progress=progress)
        (task,) = progress.tasks
    assert (task.description, task.completed, task.total) == ("data.bin", 300_000, 300_000)


def test_json_is_read_and_what_is_none_is_said(site: Site) -> None:
    body = json.dumps({"files": []}).encode()
    url = site.serve("/r", Answer(status=500), Answer(body=body, break_after=3), Answer(body=body))
    assert read_json(url, patience=HASTY) == {"files": []}
    with pytest.raises(DownloadError, match="did not answer with JSON"):
        read_json(site.serve("/r", Answer(body=b"<html>")), patience=HASTY)
    with pytest.raises(DownloadError, match="it answered 404"):
        read_json(site.address + "/none", patience=HASTY)
