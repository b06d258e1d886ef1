"""From models, splits and seeds to the runs that an experiment consists of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crosstrait.errors import SettingsError, unknown
from crosstrait.experiments.file import Experiment
from crosstrait.experiments.key import key_parts, run_key
from crosstrait.experiments.model_tables import ModelEntry
from crosstrait.models.base import ModelConfig
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: a model on one split with one seed.

    Attributes
    ----------
    label
        What the experiment calls the model.
    config, train
        The model's settings and its training settings.
    traits
        The traits it is fitted on, in the panel's order.
    prune_r
        Linkage pruning inside the split, or None.
    fold
        Place of the split in the experiment, from 0.
    replicate
        Which of the replicates this is, from 0; its seed is ``seed``.
    key
        The run key, hexadecimal; ``parts`` are what it is a digest of.
    """

    label: str
    config: ModelConfig
    train: TrainConfig
    traits: tuple[str, ...]
    prune_r: float | None
    fold: int
    replicate: int
    seed: int
    key: str
    parts: dict[str, Any]

    @property
    def place(self) -> tuple[str, int, int]:
        """Model label, replicate and fold, as the predictions table names them."""
        return self.label, self.replicate, self.fold

    def __str__(self) -> str:
        return f"{self.label} replicate {self.replicate} fold {self.fold}"


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone, so that they may be trained in one pass."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """Any of the runs, for what they share."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """A name for files, the same for the same runs in any order."""
        keys = sorted(run.key for run in self.runs)
        return f"{self.first.label}-{run_key({'runs': keys})[:16]}"

    @property
    def locks(self) -> tuple[str, ...]:
        """What must be locked while it is trained."""
        return tuple(sorted(run.key[:32] for run in self.runs))

    def __str__(self) -> str:
        first, last = self.first, self.runs[-1]
        seeds = str(first.replicate)
        if len(self.runs) > 1:
            seeds = f"{first.replicate}-{last.replicate}"
        return f"{first.label} replicate {seeds} fold {first.fold}"


def plan(experiment: Experiment, *, panel: Panel, splits: Sequence[Split]) -> list[Run]:
    """Return every run of ``experiment``: models in its order, then folds, then replicates.

    A model without randomness runs once a fold, as replicates would be copies.

    Raises
    ------
    SettingsError
        If a trait is not in the panel.
    """
    selected = select_traits(panel, experiment.data.traits, where="[data]")
    return plan_runs(
        experiment.models,
        panel=panel,
        splits=splits,
        seeds=range(experiment.seed, experiment.seed + experiment.replicates),
        traits=selected,
        prune_r=experiment.data.prune_r,
    )


def plan_runs(
    models: Iterable[ModelEntry],
    *,
    panel: Panel,
    splits: Sequence[Split],
    seeds: Sequence[int],
    traits: tuple[str, ...],
    prune_r: float | None,
) -> list[Run]:
    """Return the runs of ``models`` on every split with every seed; see `plan`."""
    runs = []
    for entry in models:
        own = traits
        if entry.traits is not None:
            own = select_traits(panel, entry.traits, where=f"model {entry.label!r}", among=traits)
        for fold, split in enumerate(splits):
            for replicate, seed in enumerate(seeds[:1] if entry.config.deterministic else seeds):
                parts = key_parts(
                    panel_digest=panel.attrs["digest"],
                    split_digest=split.digest,
                    traits=own,
                    prune_r=prune_r,
                    config=entry.config,
                    train=entry.train,
                    seed=seed,
                )
                runs.append(
                    Run(
                        label=entry.label,
                        config=entry.config,
                        train=entry.train,
                        traits=own,
                        prune_r=prune_r,
                        fold=fold,
                        replicate=replicate,
                        seed=seed,
                        key=run_key(parts),
                        parts=parts,
                    )
                )
    return runs


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Put runs that differ in their seed alone together; equal keys are one run."""
    groups: dict[str, dict[str, Run]] = {}
    for run in runs:
        shared = run_key({**run.parts, "seed": None})
        groups.setdefault(shared, {}).setdefault(run.key, run)
    return [Group(tuple(members.values())) for members in groups.values()]


def select_traits(
    panel: Panel,
    names: Sequence[str] | None,
    *,
    where: str,
    among: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Return ``names`` in the panel's order, or all traits for None.

    Parameters
    ----------
    panel
        The panel that has the traits.
    names
        The traits to use.
    where
        What to call the place in messages.
    among
        The traits that may be named; all of the panel where not given.

    Raises
    ------
    SettingsError
        If a name is none of them; the message offers the nearest.
    """
    known = [str(name) for name in panel["trait_name"].values]
    allowed = known if among is None else list(among)
    wrong = [unknown("trait", name, allowed) for name in names or () if name not in allowed]
    if wrong:
        raise SettingsError(f"{where}: {'; '.join(wrong)}")
    return tuple(name for name in allowed if names is None or name in names)
