"""Tasks as JSON, for processes that share files with the driver and nothing else.

What is read back is planned anew from its settings, so that a task whose run keys come out
otherwise, on another version of the code or other data, is found out before it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.engine import Task
from crosstrait.experiments.key import key_parts, run_key
from crosstrait.experiments.plan import Group, Run
from crosstrait.experiments.searches import Search
from crosstrait.experiments.tune_table import TuneConfig
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.config import TrainConfig


def task_values(task: Task) -> dict[str, Any]:
    """Return everything that decides what ``task`` is, as JSON values."""
    first = task.first
    values: dict[str, Any] = {
        "label": first.label,
        "model": first.config.model_dump(mode="json"),
        "training": first.train.model_dump(mode="json"),
        "traits": list(first.traits),
        "prune_r": first.prune_r,
        "fold": first.fold,
        "runs": [
            {"replicate": run.replicate, "seed": run.seed, "key": run.key} for run in task.runs
        ],
    }
    if isinstance(task, Search):
        values["search"] = {"space": list(task.space), "tune": task.tune.model_dump(mode="json")}
    return values


def read_task(values: Mapping[str, Any], *, panel: Panel, splits: Sequence[Split]) -> Task:
    """Return the task that `task_values` described.

    Raises
    ------
    SettingsError
        If a run has another key here.
    """
    label = str(values["label"])
    config = parse_model(values["model"], where=label)
    train = TrainConfig.parse(values["training"], where=label)
    traits = tuple(values["traits"])
    runs = []
    for one in values["runs"]:
        parts = key_parts(
            panel_digest=str(panel.attrs["digest"]),
            split_digest=splits[values["fold"]].digest,
            traits=traits,
            prune_r=values["prune_r"],
            config=config,
            train=train,
            seed=one["seed"],
        )
        key = run_key(parts)
        if key != one["key"]:
            raise SettingsError(
                f"{label} is run {one['key'][:8]} where the experiment was started and run "
                f"{key[:8]} here: the version of crosstrait, the panel or a split is not the same"
            )
        runs.append(
            Run(
                label=label,
                config=config,
                train=train,
                traits=traits,
                prune_r=values["prune_r"],
                fold=values["fold"],
                replicate=one["replicate"],
                seed=one["seed"],
                key=key,
                parts=parts,
            )
        )
    search = values.get("search")
    if search is None:
        return Group(tuple(runs))
    return Search(
        runs=tuple(runs),
        space={name: config.search_space[name] for name in search["space"]},
        tune=TuneConfig.parse(search["tune"], where="[tune]"),
    )
