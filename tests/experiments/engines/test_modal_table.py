from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import plan
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from support.experiments import TINY, write_tiny

ASKED = '[modal]\ngpu = "H100"\nmemory_gb = 16\nminutes = 60\n'


def test_what_containers_have_changes_no_run(tmp_path: Path) -> None:
    plain = read_experiment(write_tiny(tmp_path))
    asked = read_experiment(write_tiny(tmp_path, text=TINY + ASKED))
    assert (asked.modal.gpu, asked.modal.memory_gb, asked.modal.minutes) == ("H100", 16, 60)
    panel = open_panel(tmp_path / "cross.zarr")
    splits = k_fold(panel, folds=2)
    keys = [[run.key for run in plan(e, panel=panel, splits=splits)] for e in (plain, asked)]
    assert keys[0] == keys[1]
    assert plain.model_dump() == asked.model_dump()


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('gpus = "H100"', "did you mean 'gpu'?"),
        ('gpu = "H100 or so"', "gpu = 'H100 or so'"),
        ("minutes = 2000", "minutes = 2000"),
        ("memory_gb = 0", "memory_gb = 0"),
    ],
)
def test_a_setting_that_modal_would_refuse_is_refused(tmp_path: Path, line: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_experiment(write_tiny(tmp_path, text=f"{TINY}[modal]\n{line}\n"))
    assert "[modal]" in str(caught.value)
    assert part in str(caught.value)
