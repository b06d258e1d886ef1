from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crosstrait.experiments.engines.courier import Courier


class Taker:
    """Takes what a courier sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, bytes]] = []
        self._more = threading.Event()

    def __call__(self, files: dict[str, bytes]) -> None:
        self.sent.append(files)
        self._more.set()

    def wait(self) -> None:
        assert self._more.wait(30)
        self._more.clear()


def test_files_are_sent_when_they_have_changed_and_only_then(tmp_path: Path) -> None:
    taker, work = Taker(), tmp_path / "runs" / ".work" / "a"
    with Courier([work], root=tmp_path, send=taker, between_seconds=0.01):
        work.mkdir(parents=True)
        (work / "checkpoint-1.partial").write_bytes(b"half")
        (work / "checkpoint-1.safetensors").write_bytes(b"one")
        taker.wait()
        (work / "beside").write_bytes(b"two")
        (work / "beside").replace(work / "checkpoint-1.safetensors")
        taker.wait()
    names = {name for files in taker.sent for name in files}
    assert "runs/.work/a/checkpoint-1.safetensors" in names
    assert not any(name.endswith(".partial") for name in names)
    last = [files for files in taker.sent if "runs/.work/a/checkpoint-1.safetensors" in files][-1]
    assert last["runs/.work/a/checkpoint-1.safetensors"] == b"two"
    assert len(taker.sent) <= 3


@pytest.mark.filterwarnings("ignore:checkpoints could not be stored. the line is down")
def test_what_could_not_be_sent_is_sent_again(tmp_path: Path) -> None:
    taker, tries = Taker(), []

    def send(files: dict[str, bytes]) -> None:
        tries.append(files)
        if len(tries) == 1:
            raise ConnectionError("the line is down")
        taker(files)

    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint").write_bytes(b"one")
    with Courier([tmp_path / "work"], root=tmp_path, send=send, between_seconds=0.01):
        taker.wait()
    assert tries == [{"work/checkpoint": b"one"}] * 2


class Changing(type(Path())):  # type: ignore[misc]
    """A folder below which something is deleted during the first look."""

    looks = 0

    def rglob(self, pattern: str) -> Iterator[Path]:
        self.looks += 1
        found = super().rglob(pattern)
        yield next(found)
        if self.looks == 1:
            raise FileNotFoundError
        yield from found


def test_a_folder_that_is_deleted_during_a_look_ends_nothing(tmp_path: Path) -> None:
    """As the checkpoints of a trial are while the next trial is trained."""
    taker, work = Taker(), Changing(tmp_path / "work")
    work.mkdir()
    for name in "ab":
        (work / name).write_text(name)
    with Courier([work], root=tmp_path, send=taker, between_seconds=0.01):
        taker.wait()
        while work.looks < 2:
            taker.wait()
    assert {name: text for files in taker.sent for name, text in files.items()} == {
        "work/a": b"a",
        "work/b": b"b",
    }


def test_a_machine_that_is_taken_away_sends_its_last_files(tmp_path: Path) -> None:
    taker = Taker()
    (tmp_path / "work").mkdir()

    def work() -> None:
        with Courier([tmp_path / "work"], root=tmp_path, send=taker, between_seconds=3600):
            (tmp_path / "work" / "checkpoint").write_bytes(b"one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert taker.sent == [{"work/checkpoint": b"one"}]
