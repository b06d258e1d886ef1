from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info

from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.engines.processors import limited_threads, share_out, visible_gpus
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.provenance import usable_cores
from support.experiments import TINY, write_tiny


def test_cores_are_shared_out_evenly_and_each_worker_keeps_to_its_own() -> None:
    shares = share_out(workers=3, threads=2, cores=[0, 1, 4, 5, 6, 7, 8])
    assert [share.cores for share in shares] == [(0, 1), (4, 5), (6, 7)]
    assert {share.threads for share in shares} == {2}


@pytest.mark.parametrize(("workers", "threads"), [(2, 1), (3, 4), (9, 1)])
def test_workers_that_do_not_fill_the_machine_or_crowd_it_are_not_pinned(
    workers: int, threads: int
) -> None:
    shares = share_out(workers=workers, threads=threads, cores=range(8))
    assert {share.cores for share in shares} == {None}
    assert {share.threads for share in shares} == {threads}


def test_workers_take_turns_on_the_gpus() -> None:
    shares = share_out(workers=5, threads=1, cores=range(8), gpus=["2", "3"])
    assert [share.gpus for share in shares] == [("2",), ("3",), ("2",), ("3",), ("2",)]


def test_workers_see_as_many_gpus_and_cores_as_their_trainings_use_devices() -> None:
    names = ["0", "1", "2", "3"]
    shares = share_out(workers=2, threads=1, cores=range(4), gpus=names, devices=2)
    assert [share.gpus for share in shares] == [("0", "1"), ("2", "3")]
    assert [share.cores for share in shares] == [(0, 1), (2, 3)]
    shares = share_out(workers=3, threads=1, cores=range(64), gpus=names[:3], devices=2)
    assert [share.gpus for share in shares] == [("0", "1"), ("2", "0"), ("1", "2")]
    shares = share_out(workers=1, threads=1, cores=range(4), gpus=names[:1], devices=2)
    assert shares[0].gpus == ("0",)  # too few, which the training says


def test_the_gpus_are_those_that_cuda_was_told_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    assert visible_gpus() == ["5", "7"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert visible_gpus() == []


TAKES = """
import os, torch
from crosstrait.experiments.engines.processors import Share, take
from crosstrait.experiments.provenance import usable_cores
take(Share(threads=1, cores=(usable_cores()[-1],), gpus=("3", "1")))
print(usable_cores(), torch.get_num_threads(), os.environ["CUDA_VISIBLE_DEVICES"])
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pins by Linux' affinity")
def test_a_worker_takes_its_share() -> None:
    done = subprocess.run([sys.executable, "-c", TAKES], capture_output=True, text=True, check=True)
    assert done.stdout == f"[{usable_cores()[-1]}] 1 3,1\n"


def test_threads_are_limited_for_a_while() -> None:
    before = torch.get_num_threads()
    with limited_threads(1):
        assert torch.get_num_threads() == 1
        assert {library["num_threads"] for library in threadpool_info()} == {1}
    assert torch.get_num_threads() == before


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    text = TINY + (
        '[[model]]\ntype = "residual"\nepochs = 2\n[[model]]\ntype = "trees"\nmax_rounds = 20\n'
        '[[model]]\nname = "wild"\ntype = "canonical"\n[model.train]\nlearning_rate = 1e30\n'
    )
    experiment = read_experiment(write_tiny(tmp_path, text=text))
    tables = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}"
        result = run_experiment(experiment, out=out, workers=workers, tensorboard=True)
        assert [failure.run.label for failure in result.failures] == ["wild"] * 4
        assert all("not finite" in failure.message for failure in result.failures)
        finished = {path.name for path in (out / "runs").glob("canonical-*")}
        assert {path.name for path in (out / "tensorboard").glob("canonical-*")} == finished
        board = pd.read_csv(out / "leaderboard.csv").drop(columns="train_seconds")
        tables.append((board, pd.read_parquet(out / "predictions.parquet")))
    for one, two in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
