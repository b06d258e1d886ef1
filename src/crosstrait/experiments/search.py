"""One search: try settings inside the learning samples of a split, by Optuna's TPE sampler.

Tree-structured Parzen estimator: Bergstra et al. 2011, Advances in Neural Information Processing
Systems 24. Importing this module does not import Optuna.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import LostError, TrainingError
from crosstrait.evaluation.metrics import pearson_r, r2
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.searches import Search, inner_splits, with_settings
from crosstrait.experiments.trials import Trial, best_of, read_trials, write_trial
from crosstrait.extras import require
from crosstrait.models.search_space import Choice, Range, Real, SearchSpace
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone, Progress

if TYPE_CHECKING:
    import optuna

_METRICS: Mapping[str, Callable[..., NDArray[np.floating[Any]]]] = {
    "r2": r2,
    "pearson_r": pearson_r,
}


def check_optuna() -> None:
    """Check that settings can be searched.

    Raises
    ------
    SettingsError
        If Optuna is not installed.
    """
    require("optuna", extra="tune", why="tuning needs Optuna")


def carry_out_search(search: Search, *, at: Workplace, progress: Progress | None = None) -> None:
    """Try settings until the budget is used up; every trial stays as a file.

    The trials of an earlier, killed search are told to the sampler, which then goes on as it
    would have.

    Raises
    ------
    TrainingError
        If no trial could be trained.
    SettingsError
        If settings of the search space do not go together.
    """
    check_optuna()
    if search.first.config.network:
        # Imports Lightning: seconds, which are no trial's.
        import crosstrait.training.replicates  # noqa: F401
    folder = search_folder(search, at=at)
    work = at.cache.folder / ".work" / search.name
    stored = read_trials(folder)
    trials: list[Trial] = []
    sampler = _Sampler(search.space, seed=search.tune.seed)
    splits = inner_splits(at.splits[search.first.fold], panel=at.panel, tune=search.tune)
    while not search.ended(trials):
        number = len(trials)
        settings = sampler.ask() if number else search.default()
        if number < len(stored) and dict(stored[number].settings) == settings:
            trial = stored[number]
        else:
            stored = []  # those of another version of the sampler
            trial = _carry_out_trial(search, settings, splits=splits, at=at, work=work)
            write_trial(folder, number, trial)
        sampler.tell(settings, trial.score, asked=number > 0)
        trials.append(trial)
        if progress is not None:
            progress(_as_epoch(search, trials))
    shutil.rmtree(work, ignore_errors=True)
    if best_of(trials) is None:
        raise TrainingError(
            f"none of {len(trials)} trials of {search.first.label} could be scored; the first: "
            f"{trials[0].message}"
        )


def search_folder(search: Search, *, at: Workplace) -> Path:
    """Return where the trials of a search are kept."""
    return at.cache.folder.parent / "tuning" / search.name


def _carry_out_trial(
    search: Search, settings: dict[str, Any], *, splits: Sequence[Split], at: Workplace, work: Path
) -> Trial:
    from crosstrait.training.fit import fit_replicates
    from crosstrait.training.preparation import complete_cases

    start = time.perf_counter()
    config, train = with_settings(search.first, settings)
    score: float | None = None
    message = ""
    try:
        scores = []
        for i, split in enumerate(splits):
            [fitted] = fit_replicates(
                config,
                at.panel,
                split,
                seeds=[search.tune.seed],
                train=train,
                traits=search.first.traits,
                prune_r=search.first.prune_r,
                folder=work / f"part-{i}",
            )
            rows = split.rows(at.panel, "test")
            observed = _trait_values(at, search)[rows]
            if train.protocol == "complete-cases":
                whole = complete_cases(observed)
                rows, observed = rows[whole], observed[whole]
            predicted = fitted.predict_samples(at.panel, rows)
            scores.append(_mean_score(observed, predicted, search.tune.metric))
        score = sum(scores) / len(scores)
        if not math.isfinite(score):
            score, message = None, "the held-out samples do not vary in any trait"
    except Exception as error:
        if not _blames_settings(error):
            raise
        message = str(error) if isinstance(error, TrainingError) else repr(error)
    shutil.rmtree(work, ignore_errors=True)
    seconds = time.perf_counter() - start
    return Trial(settings=settings, score=score, seconds=seconds, message=message)


def _blames_settings(error: Exception) -> bool:
    """Whether the same settings would fail again, on a machine like this."""
    if isinstance(error, TrainingError):
        return not isinstance(error, LostError)
    # That of torch, which is not imported for models that do without.
    out_of_memory = type(error).__name__ == "OutOfMemoryError"
    return out_of_memory or isinstance(error, MemoryError | np.linalg.LinAlgError)


def _trait_values(at: Workplace, search: Search) -> NDArray[np.float64]:
    """Return the traits (N, T), NaN where the experiment's own test cells are."""
    from crosstrait.training.preparation import trait_columns

    learnable = at.splits[search.first.fold].learnable(at.panel)
    values: NDArray[np.float64] = np.where(learnable, at.panel["trait_value"].values, np.nan)
    return values[:, trait_columns(at.panel, search.first.traits)]


def _mean_score(observed: ArrayLike, predicted: ArrayLike, metric: str) -> float:
    by_trait = _METRICS[metric](observed, predicted=predicted)
    scored = by_trait[~np.isnan(by_trait)]
    return float(scored.mean()) if scored.size else math.nan


def _as_epoch(search: Search, trials: list[Trial]) -> EpochDone:
    """Tell a trial as an epoch of the search, whose validation score is the best so far."""
    best = best_of(trials)
    return EpochDone(
        seed=search.tune.seed,
        member="trials",
        epoch=len(trials),
        n_epochs=search.tune.trials,
        train_loss=math.nan,
        val_loss=math.nan,
        val_r2=math.nan if best is None or best.score is None else best.score,
        learning_rate=math.nan,
        seconds=sum(trial.seconds for trial in trials),
    )


class _Sampler:
    """Optuna's ask and tell, the same for the same seed and history."""

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._ranges = space
        self._space = {name: _distribution(values) for name, values in space.items()}
        self._study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        self._asked: optuna.Trial | None = None

    def ask(self) -> dict[str, Any]:
        """Return the settings to try next."""
        self._asked = self._study.ask(self._space)
        return dict(self._asked.params)

    def tell(self, settings: dict[str, Any], score: float | None, *, asked: bool) -> None:
        """Hear the score of settings, None where training failed.

        Settings that `ask` did not return may lie outside the space, where nothing can be
        learned from them.
        """
        from optuna.trial import TrialState, create_trial

        if asked:
            assert self._asked is not None
            state = TrialState.FAIL if score is None else TrialState.COMPLETE
            self._study.tell(self._asked, score, state=state)
        elif score is not None and all(settings[k] in r for k, r in self._ranges.items()):
            self._study.add_trial(
                create_trial(params=settings, distributions=self._space, value=score)
            )


def _distribution(values: Range) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if isinstance(values, Choice):
        return distributions.CategoricalDistribution(values.values)
    if isinstance(values, Real):
        return distributions.FloatDistribution(values.low, values.high, log=values.log)
    return distributions.IntDistribution(values.low, values.high, log=values.log)
