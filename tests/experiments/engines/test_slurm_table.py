from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.driver import draw_splits
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import plan
from crosstrait.panel.sources import load_panel
from support.experiments import TINY, write_tiny

TABLE = """
[slurm]
partition = "short"
minutes = 30
memory_gb = 4
gpu = "a100"
flags = { constraint = "icelake", exclusive = true, nice = 100 }
"""


def test_the_table_and_changes_to_it_are_read(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, text=TABLE + TINY)
    slurm = read_experiment(path, changes=["slurm.partition=long"]).slurm
    assert (slurm.partition, slurm.minutes, slurm.memory_gb, slurm.gpu) == ("long", 30, 4.0, "a100")
    assert slurm.flags == {"constraint": "icelake", "exclusive": True, "nice": 100}


def test_the_table_changes_no_run_and_no_result(tmp_path: Path) -> None:
    keys, dumps = [], []
    for text in (TINY, TABLE + TINY):
        experiment = read_experiment(write_tiny(tmp_path, text=text))
        panel = load_panel(experiment.data.panel)
        runs = plan(experiment, panel=panel, splits=draw_splits(experiment, panel))
        keys.append([run.key for run in runs])
        dumps.append(experiment.model_dump(mode="json"))
    assert keys[0] == keys[1]
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"partitoin": "short"}, "did you mean 'partition'?"),
        ({"minutes": 0}, "minutes = 0"),
        ({"memory_gb": -1}, "memory_gb = -1"),
        ({"partition": "a b"}, "partition = 'a b'"),
        ({"gpu": "a100; rm"}, "the name of a type of GPU"),
        ({"flags": {"--constraint": "x"}}, "'--constraint' is no option of sbatch"),
        ({"flags": {"array": "0-3"}}, "array is set by crosstrait"),
        ({"flags": {"time": 3}}, "time has a setting of its own: minutes"),
        ({"flags": {"comment": "a\n#SBATCH --uid=0"}}, "a text of one line"),
        ({"flags": {"exclusive": False}}, "exclusive = False"),
    ],
)
def test_what_slurm_could_not_be_asked_is_refused(values: dict[str, object], part: str) -> None:
    with pytest.raises(SettingsError, match=r"^\[slurm\]: ") as caught:
        SlurmConfig.parse(values, where="[slurm]")
    assert part in str(caught.value)
