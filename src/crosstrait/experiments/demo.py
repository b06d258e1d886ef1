"""The embedded demonstration, and simulated panels from settings."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from crosstrait.errors import SettingsError, StorageError
from crosstrait.experiments.changes import apply_changes
from crosstrait.experiments.file import Experiment, read_experiment
from crosstrait.experiments.storage import make_folder, storage_errors, write_text
from crosstrait.panel.schema import Panel
from crosstrait.panel.simulate import SimulationConfig, demo_config, simulate
from crosstrait.panel.storage import check_target, save_panel


def prepare_demo(out: Path) -> Experiment:
    """Write the simulated cross and the experiment file of the demonstration into ``out``.

    Both can be used again by hand: ``crosstrait run OUT/demo.toml``.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    make_folder(out)
    if not (out / "cross.zarr").exists():
        simulate_to(out / "cross.zarr")
    text = files("crosstrait.experiments").joinpath("demo.toml").read_text(encoding="utf-8")
    write_text(out / "demo.toml", text)
    return read_experiment(out / "demo.toml")


def simulate_to(out: Path, *, file: Path | None = None, changes: Sequence[str] = ()) -> Panel:
    """Simulate a cross, save its panel as ``out`` and its truth beside it.

    Parameters
    ----------
    out
        The panel's folder, which must not exist; the truth goes to ``<name>.truth.safetensors``.
    file
        A TOML file of `SimulationConfig` settings; those of the demonstration where not given.
    changes
        ``key=value``, on top of these.

    Raises
    ------
    SettingsError
        If a setting is unknown or unusable.
    StorageError
        If something is at ``out`` already or it cannot be written.
    """
    check_target(out)
    values: dict[str, Any] = demo_config().model_dump(exclude_unset=True)
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise StorageError(f"cannot read {file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from None
    where = "the simulation" if file is None else str(file)
    config = SimulationConfig.parse(apply_changes(values, changes=changes), where=where)
    panel, truth = simulate(config)
    with storage_errors(out):
        truth.save(out.with_name(f"{out.stem}.truth.safetensors"))
    save_panel(panel, out)
    return panel
