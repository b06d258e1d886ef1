"""From the runs of an experiment to the searches for settings that they wait for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from crosstrait.experiments.file import Experiment
from crosstrait.experiments.key import run_key
from crosstrait.experiments.plan import Run
from crosstrait.experiments.trials import Trial
from crosstrait.experiments.tune_table import TuneConfig
from crosstrait.models.base import ModelConfig
from crosstrait.models.search_space import SearchSpace
from crosstrait.panel.schema import Panel
from crosstrait.split import schemes
from crosstrait.split.manifest import Split
from crosstrait.training.config import TrainConfig

_TRAINING = "train."
_HOLDOUT_PARTS = 5


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search for the settings of one model on the learning samples of one split.

    Attributes
    ----------
    runs
        The replicates that are then trained with what is found; here with the file's settings.
    space
        What is searched: the model's search space without the settings that the file fixes.
    tune
        The budget and the score.
    """

    runs: tuple[Run, ...]
    space: SearchSpace
    tune: TuneConfig

    @property
    def first(self) -> Run:
        """Any of the runs, for what they share."""
        return self.runs[0]

    @cached_property
    def key(self) -> str:
        """Digest of all that decides the scores of the trials; not of how many there are."""
        ranges = {name: [type(r).__name__, asdict(r)] for name, r in self.space.items()}
        decides = self.tune.model_dump(mode="json", exclude={"trials", "seconds"})
        shared = {name: part for name, part in self.first.parts.items() if name != "seed"}
        return run_key({**shared, "space": ranges, "tune": decides})

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.first.label}-{self.key[:16]}"

    @property
    def locks(self) -> tuple[str, ...]:
        """What must be locked while it is carried out."""
        return (self.key[:32],)

    def __str__(self) -> str:
        return f"search for {self.first.label} fold {self.first.fold}"

    def default(self) -> dict[str, Any]:
        """Return the file's values of what is searched."""
        config = self.first.config.model_dump(mode="json")
        train = self.first.train.model_dump(mode="json")
        both = config | {f"{_TRAINING}{name}": value for name, value in train.items()}
        return {name: both[name] for name in self.space}

    def ended(self, trials: list[Trial]) -> bool:
        """Whether ``trials`` use the budget up."""
        return self._exhausted(self.within_budget(trials))

    def within_budget(self, trials: list[Trial]) -> list[Trial]:
        """Return the first of ``trials`` that the budget would have allowed."""
        allowed: list[Trial] = []
        for trial in trials:
            if self._exhausted(allowed):
                break
            allowed.append(trial)
        return allowed

    def _exhausted(self, trials: list[Trial]) -> bool:
        spent = sum(trial.seconds for trial in trials)
        late = self.tune.seconds is not None and spent >= self.tune.seconds
        return len(trials) >= self.tune.trials or (late and bool(trials))


def plan_searches(experiment: Experiment, runs: Iterable[Run]) -> list[Search]:
    """Return one search a model and split, for the models that have something to search."""
    assert experiment.tune is not None
    entries = {entry.label: entry for entry in experiment.models}
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.label, run.fold), []).append(run)
    searches = []
    for (label, _), group in groups.items():
        entry = entries[label]
        space = {k: v for k, v in entry.config.search_space.items() if k not in entry.fixed}
        if entry.tune and space:
            searches.append(Search(runs=tuple(group), space=space, tune=experiment.tune))
    return searches


def with_settings(run: Run, settings: dict[str, Any]) -> tuple[ModelConfig, TrainConfig]:
    """Return the run's model and training settings after some changes.

    Raises
    ------
    SettingsError
        If they do not go together, which fixing one of them in the file avoids.
    """
    where = f"a trial for {run.label}; a setting that the file gives is not searched"
    train = {k.removeprefix(_TRAINING): v for k, v in settings.items() if k.startswith(_TRAINING)}
    own = {k: v for k, v in settings.items() if not k.startswith(_TRAINING)}
    return (
        type(run.config).parse({**run.config.model_dump(), **own}, where=where),
        TrainConfig.parse({**run.train.model_dump(), **train}, where=where),
    )


def with_answer(run: Run, settings: dict[str, Any]) -> Run:
    """Return the run with the settings that a search chose, under the key that they give."""
    config, train = with_settings(run, settings)
    changes = {
        "model": config.model_dump(mode="json"),
        "training": train.numbers(),
    }
    parts = {**run.parts, **changes}
    return replace(run, config=config, train=train, parts=parts, key=run_key(parts))


def without_answer(run: Run) -> Run:
    """Return the run under a key that no training has, as its settings were not found."""
    parts = {**run.parts, "search": "failed"}
    return replace(run, parts=parts, key=run_key(parts))


def has_no_answer(run: Run) -> bool:
    """Whether ``run`` is one of `without_answer`."""
    return "search" in run.parts


def inner_splits(split: Split, *, panel: Panel, tune: TuneConfig) -> list[Split]:
    """Cut the learning samples of ``split`` into parts that are scored in turn.

    Groups stay together where ``split`` keeps them together. Test samples are in no part,
    and nothing learns from the cells that ``split`` keeps from learning.
    """
    learn = np.concatenate([split.rows(panel, "train"), split.rows(panel, "validation")])
    names = [name for name in ("sample_id", "sample_group") if name in panel]
    learning = panel[names].isel(samples=learn)
    grouped = split.scheme == "group"
    parts = tune.folds
    if parts == 1:
        most = len(np.unique(learning["sample_group"].values)) if grouped else len(learn)
        parts = min(_HOLDOUT_PARTS, most)
    # Of the samples that learn in a part, the same share validates as outside.
    share = len(split.validation) / len(learn) * (1 - 1 / parts)
    if split.validation:
        share = max(share, 1 / len(learn))
    scheme = schemes.group if grouped else schemes.k_fold
    drawn = scheme(learning, folds=parts, validation=share, seed=tune.seed)[: tune.folds]
    return [part.without(split.test_cells + split.hidden) for part in drawn]
