from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crosstrait.errors import StorageError
from crosstrait.experiments.storage import make_folder, storage_errors, write_json, write_text


def test_a_text_replaces_the_file_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_text(path, "old")
    write_text(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    code = f"""
import resource, signal
from pathlib import Path
from crosstrait.experiments.storage import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_text(Path({str(path)!r}), "x" * 5000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "StorageError: cannot write" in done.stderr
    assert "size limit" in done.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_without_a_number_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"r2": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="there is a file of that name"):
        make_folder(tmp_path / "out")


def test_errors_of_ours_pass_unchanged() -> None:
    with pytest.raises(StorageError, match=r"^mine$"), storage_errors(Path("x")):
        raise StorageError("mine")
