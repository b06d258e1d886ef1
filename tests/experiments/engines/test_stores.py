from __future__ import annotations

from pathlib import Path

from crosstrait.experiments.engines.stores import FileStore


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert store.fetch(["runs/.work/a"]) == {}
    files = {"runs/.work/a/part-0/checkpoint": b"x", "tuning/a/trial-0000.json": b"{}"}
    store.store(files)
    store.store({"runs/.work/b/checkpoint": b"y"})
    assert store.fetch(["runs/.work/a", "tuning/a"]) == files
    assert store.names("runs") == {"runs/.work/a/part-0/checkpoint", "runs/.work/b/checkpoint"}


def test_a_folder_that_is_dropped_is_gone_and_no_other(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.store({"a/one": b"1", "ab/two": b"2"})
    store.drop(["a", "never"])
    assert store.names("") == {"ab/two"}
