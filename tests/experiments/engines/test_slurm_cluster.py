"""What is asked of Slurm's commands and understood of their answers, which are real ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crosstrait.cli import run_command
from crosstrait.errors import SettingsError
from crosstrait.experiments.engines import slurm_cluster
from crosstrait.experiments.engines.slurm_cluster import SlurmCluster, check_slurm
from crosstrait.experiments.engines.slurm_job import SlurmJob
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from support.experiments import write_tiny

pytest.importorskip("submitit", reason="needs submitit: pip install 'crosstrait[slurm]'")

Commands = Callable[[str, str], None]
JOBS = [SlurmJob(runs="/r/runs", ticket=str(i), threads=3) for i in range(2)]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Put a command of Slurm on the PATH, a shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    put("srun", "exit 1")
    return put


def cluster(**settings: object) -> SlurmCluster:
    return SlurmCluster(config=SlurmConfig.parse(settings, where="[slurm]"), threads=3)


def test_without_submitit_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SettingsError, match=r"needs submitit: pip install 'crosstrait\[slurm\]'"):
        check_slurm()


def test_without_slurm_the_command_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "out"
    assert run_command(["run", str(path), "--out", str(out), "--executor", "slurm"]) == 2
    said = capsys.readouterr().err
    assert "there is no sbatch on this machine; start the command on a login node" in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_an_array_asks_for_what_the_table_says(tmp_path: Path, command: Commands) -> None:
    command("sbatch", f'cp "$1" {tmp_path}/script; echo Submitted batch job 17')
    slurm = cluster(
        partition="short",
        account="lab",
        minutes=30,
        memory_gb=1.5,
        gpu="a100",
        flags={"constraint": "a|b", "exclusive": True},
    )
    folder = tmp_path / "jobs"
    assert slurm.submit(JOBS, folder=folder, at_once=1, gpus=1) == ["17_0", "17_1"]
    lines = (tmp_path / "script").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert asked >= {
        "partition=short",
        "account=lab",
        "time=30",
        "mem=1536M",
        "gres=gpu:a100:1",
        "constraint='a|b'",
        "exclusive",
        "requeue",
        "cpus-per-task=3",
        "array=0-1%1",
        "signal=USR2@90",
    }
    assert any(line.startswith("srun ") and "--cpus-per-task=3" in line for line in lines)
    slurm.submit(JOBS, folder=folder, at_once=1, gpus=4)
    script = (tmp_path / "script").read_text()
    assert "--gres=gpu:a100:4" in script
    assert script.count("--cpus-per-task=4") == 2  # a process a GPU
    slurm.submit(JOBS, folder=folder, at_once=None, gpus=0)
    script = (tmp_path / "script").read_text()
    assert "--array=0-1%2" in script
    assert "gres" not in script


def test_a_driver_in_a_job_does_not_hand_its_own_share_on(
    tmp_path: Path, command: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("sbatch", f"env > {tmp_path}/environment; echo Submitted batch job 17")
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURM_CONF"):
        monkeypatch.setenv(name, "3")
    cluster().submit(JOBS, folder=tmp_path / "jobs", at_once=None, gpus=0)
    there = (tmp_path / "environment").read_text()
    assert "SLURM_CONF=3" in there
    assert "SLURM_JOB_ID" not in there
    assert "SLURM_CPUS_PER_TASK" not in there
    assert os.environ["SLURM_CPUS_PER_TASK"] == "3"


def test_what_is_pickled_is_texts_and_a_number(tmp_path: Path, command: Commands) -> None:
    command("sbatch", "echo Submitted batch job 17")
    cluster().submit(JOBS, folder=tmp_path / "jobs", at_once=None, gpus=0)
    [first, _] = sorted((tmp_path / "jobs").glob("*.pkl"))
    assert first.stat().st_size < 600


def test_a_refusal_of_sbatch_is_told_in_one_line(
    tmp_path: Path, command: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ("invalid partition specified: nowhere", "Batch job submission failed")
    command("sbatch", f"echo 'sbatch: error: {said[0]}\nsbatch: error: {said[1]}' >&2; exit 1")
    with pytest.raises(SettingsError) as caught:
        cluster().submit(JOBS, folder=tmp_path / "jobs", at_once=None, gpus=0)
    assert str(caught.value) == f"Slurm refuses the jobs: {said[0]}; {said[1]}; see [slurm]"
    assert capsys.readouterr() == ("", "")


def test_the_states_of_jobs_are_read_from_squeue(command: Commands) -> None:
    command("squeue", 'echo "17_1 COMPLETING\n17_0 RUNNING\n18 PENDING"')
    known = cluster().states(["17_0", "17_1", "17_2", "18"])
    assert known == {"17_0": "RUNNING", "17_1": "COMPLETING", "18": "PENDING"}


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("slurm_load_jobs error: Invalid job id specified", {}),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", None),
    ],
)
def test_jobs_that_are_forgotten_differ_from_a_cluster_that_does_not_answer(
    command: Commands, said: str, known: dict[str, str] | None
) -> None:
    command("squeue", f"echo '{said}' >&2; exit 1")
    assert cluster().states(["17_0"]) == known


@pytest.mark.parametrize(
    ("script", "heard"),
    [
        ("exit 0", True),
        ("echo 'error: Kill job error on job id 17: Invalid job id specified' >&2; exit 1", True),
        ("echo 'error: Unable to contact slurm controller' >&2; exit 1", False),
        ("exec sleep 20", False),
    ],
)
def test_whether_jobs_were_cancelled_is_known(
    command: Commands, monkeypatch: pytest.MonkeyPatch, script: str, heard: bool
) -> None:
    monkeypatch.setattr(slurm_cluster, "_ANSWER_SECONDS", 1)
    command("scancel", script)
    assert cluster().cancel(["17_0"]) == heard


def test_a_cluster_that_hangs_gives_no_answer(
    command: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_cluster, "_ANSWER_SECONDS", 0.2)
    command("squeue", "exec sleep 20")
    assert cluster().states(["17_0"]) is None
