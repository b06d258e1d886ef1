"""The ablation: every step can run, and its table sets each beside the one that it changes."""

from __future__ import annotations

from pathlib import Path

from ablation_table import changed_from, place, table
from rich.console import Console

from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.simulate_settings import Missing
from crosstrait.panel.storage import save_panel
from crosstrait.report.folder import RunFolder

FILE = Path(__file__).parents[2] / "experiments" / "ablation.toml"


def test_every_step_changes_one_setting_of_the_one_it_is_compared_with() -> None:
    entries = {entry.label: entry for entry in read_experiment(FILE).models}
    for name, entry in entries.items():
        base = changed_from(name, list(entries))
        if base is None:
            assert name == "1-rijal"
            continue
        ours, theirs = (
            {**one.config.model_dump(), **one.train.model_dump()} for one in (entry, entries[base])
        )
        if name == "9-transformer-1-head":  # another class: several small changes at once
            continue
        changed = {key for key in ours if ours[key] != theirs[key]}
        assert len(changed) == 1, (name, changed)
    numbers = sorted({place(name)[0] for name in entries})
    assert numbers == list(range(1, 11))


def test_the_ablation_runs_to_its_table(tmp_path: Path) -> None:
    config = SimulationConfig(
        n_samples=60, n_loci=8, n_traits=2, n_causal=4, missing=Missing(traits=0.2)
    )
    save_panel(simulate(config)[0], tmp_path / "cross.zarr")
    changes = [f"data.panel={tmp_path / 'cross.zarr'}", "train.max_epochs=1", "train.replicates=1"]
    experiment = read_experiment(FILE, changes=changes)
    run_experiment(experiment, out=tmp_path / "out", console=Console(quiet=True))
    lines = table(RunFolder.read(tmp_path / "out")).splitlines()
    names = [line.split(" | ")[0].strip("| ") for line in lines[2:]]
    assert names == sorted((entry.label for entry in experiment.models), key=place)
    assert all(line.count("|") == 6 for line in lines)
    row = next(line for line in lines if line.startswith("| 4c-complete-cases"))
    assert "4-canonical: " in row
    assert " to " in row
