from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.driver import check_engine, run_experiment
from crosstrait.experiments.engines import ray_engine
from crosstrait.experiments.engines.ray_engine import _Cluster, _connect
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.file import read_experiment
from support.experiments import TINY, write_tiny

TUNED = TINY.replace("[train]", "[tune]\ntrials = 2\n[train]\nthreads = 1")
FAILING = '[[model]]\ntype = "canonical"\nname = "wild"\nembedding_dim = 2\n'
FAILING += "[model.train]\nlearning_rate = 1e30\n"


def test_without_ray_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"needs Ray: pip install 'crosstrait\[ray\]'"):
        check_engine("ray", workers=None)


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ConnectionError("no\nanswer"), "no Ray cluster answers at RAY_ADDRESS=head: no answer"),
        (ValueError("Invalid address format: head"), "RAY_ADDRESS=head: Invalid address format"),
        (RuntimeError("Version mismatch:\n  Ray: 2.1"), "RAY_ADDRESS=head: Version mismatch: Ray"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, part: str
) -> None:
    class Refusing:
        exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
        is_initialized = staticmethod(lambda: False)

        def init(self, **_: object) -> None:
            raise error

    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(SettingsError) as caught:
        _connect(Refusing())
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tasks_that_end_while_others_are_cancelled_disturb_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = _Cluster(SimpleNamespace(), threads=1)  # type: ignore[arg-type]
    cancelled = []

    class Ray:
        def cancel(self, reference: str, *, force: bool) -> None:
            cancelled.append(reference)
            cluster._running.pop(futures[reference])

        def kill(self, mailbox: object) -> None:
            cancelled.append("mailbox")

    futures = {name: Future[Reply]() for name in "ab"}
    cluster._running = {future: name for name, future in futures.items()}
    cluster._mailbox = None
    monkeypatch.setattr(ray_engine, "_ray", Ray)
    cluster.__exit__(None, None, None)
    assert cancelled == ["a", "b", "mailbox"]


def test_a_ray_cluster_gives_the_bits_of_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="tunes on the cluster too")
    pytest.importorskip("ray", reason="needs Ray: pip install 'crosstrait[ray]'")
    path = write_tiny(tmp_path, text=TUNED + FAILING)
    # A process of its own, as Ray warns of what pytest makes errors of. Its workers are to have
    # their share of a busy machine, which the niceness that Ray gives them would deny.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    command = [sys.executable, "-m", "crosstrait.cli", "run", str(path), "--executor", "ray"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "ray")],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 1, done.stderr
    assert "runs: 6 trained, 0 found finished, 4 failed" in done.stdout
    assert (tmp_path / "ray" / "report.html").is_file()
    [log, *_] = (tmp_path / "ray" / "logs").iterdir()
    assert "not finite" in log.read_text()
    trials = pd.read_csv(tmp_path / "ray" / "tuning.csv").dropna(subset=["trial"])
    assert trials.groupby(["model", "fold"]).size().to_dict() == {
        (model, fold): 2 for model in ("canonical", "wild") for fold in (0, 1)
    }
    local = run_experiment(read_experiment(path), out=tmp_path / "local").folder
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "ray" / "predictions.parquet"),
        pd.read_parquet(local / "predictions.parquet"),
        check_exact=True,
    )
    boards = [pd.read_csv(out / "leaderboard.csv") for out in (tmp_path / "ray", local)]
    left, right = (board.drop(columns="train_seconds") for board in boards)
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    for path in (local / "runs").glob("*/metrics.csv"):
        there = tmp_path / "ray" / "runs" / path.parent.name
        assert path.read_bytes() == (there / "metrics.csv").read_bytes()
        provenance = json.loads((there / "provenance.json").read_text())
        assert "--executor ray" in provenance["command"]
    assert list((tmp_path / "ray" / "runs" / ".work").iterdir()) == []
