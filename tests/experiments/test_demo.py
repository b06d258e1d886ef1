from __future__ import annotations

from pathlib import Path

from crosstrait.experiments.demo import prepare_demo
from crosstrait.panel.storage import open_panel


def test_the_demonstration_has_a_cross_and_all_models_and_can_be_run_again(tmp_path: Path) -> None:
    experiment = prepare_demo(tmp_path / "demo")
    labels = {entry.label for entry in experiment.models}
    assert labels >= {"ridge", "trees", "rijal", "canonical", "transformer"}
    assert experiment.data.panel == str(tmp_path / "demo" / "cross.zarr")
    assert (tmp_path / "demo" / "cross.truth.safetensors").is_file()
    digest = open_panel(tmp_path / "demo" / "cross.zarr").digest
    assert prepare_demo(tmp_path / "demo") == experiment
    assert open_panel(tmp_path / "demo" / "cross.zarr").digest == digest
