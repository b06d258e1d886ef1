"""Many trainings from Python, kept and resumed like those of an experiment file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from crosstrait.errors import SettingsError, TrainingError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.constant_traits import check_traits_vary
from crosstrait.experiments.driver import carry_out_all
from crosstrait.experiments.engines.choose import check_engine, make_engine
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.engines.slurm_table import SlurmConfig
from crosstrait.experiments.model_tables import ModelEntry
from crosstrait.experiments.plan import plan_runs, select_traits
from crosstrait.experiments.resolve import resolve_training
from crosstrait.experiments.run import Workplace
from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel
from crosstrait.settings import Settings
from crosstrait.split.manifest import Split
from crosstrait.training.config import TrainConfig

Model = str | Mapping[str, Any] | ModelConfig
Train = TrainConfig | Mapping[str, Any] | None
_T = TypeVar("_T", bound=Settings)


def run_trainings(
    jobs: Sequence[tuple[Model, Train]],
    *,
    panel: Panel,
    split: Split | Sequence[Split],
    out: str | Path,
    seeds: Sequence[int] | NDArray[np.integer[Any]] = (0,),
    traits: Sequence[str] | None = None,
    prune_r: float | None = None,
    executor: str = "local",
    workers: int | None = 1,
    threads: int = 1,
    slurm: SlurmConfig | Mapping[str, Any] | None = None,
    modal: ModalConfig | Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> list[Path]:
    """Train every job on every split with every seed, unless it is in ``out`` already.

    Parameters
    ----------
    jobs
        Pairs of a model (a registered name, its settings with their ``type``, or a config) and
        its training settings (all of them, overrides of the model's own, or None).
    panel
        The data.
    split
        One split, or several.
    out
        The folder of the runs; an experiment's folder may be given.
    seeds
        One a replicate, from 0 on. A model without randomness is trained with the first alone.
    traits
        The traits to learn; all where not given.
    prune_r
        Linkage pruning inside each split, or None.
    executor, workers
        As for `run_experiment`.
    threads
        CPU threads of each training, which decide the last digits of its numbers.
    slurm, modal
        What to ask these engines for, as the tables ``[slurm]`` and ``[modal]`` of an experiment
        file do; their defaults where not given.
    console
        Where progress is shown; nowhere if not given.

    Returns
    -------
    list of Path
        The folders of the runs: jobs in their order, then splits, then seeds. Each holds
        ``config.json``, ``metrics.csv``, ``history.csv``, ``cells.parquet``,
        ``model.safetensors``, ``provenance.json``, ``README.md`` and ``DONE``.

    Raises
    ------
    SettingsError
        If a model, a setting, a trait or a seed is unknown or unusable, or a trait does not vary
        among the training samples of a split; nothing is trained then.
    TrainingError
        If some trainings failed, after all others have ended.
    StorageError
        If ``out`` cannot be written.

    Examples
    --------
    >>> jobs = [("ridge", None), ({"type": "canonical", "embedding_dim": 64}, {"max_epochs": 20})]
    >>> folders = run_trainings(jobs, panel=panel, split=split, out="runs")  # doctest: +SKIP
    """
    check_engine(executor, workers=workers)
    slurm = _settings(SlurmConfig, slurm, where="slurm")
    modal = _settings(ModalConfig, modal, where="modal")
    splits = (split,) if isinstance(split, Split) else tuple(split)
    seeds = _checked(seeds)
    runs = plan_runs(
        [_entry(model, train, where=f"job {i}") for i, (model, train) in enumerate(jobs)],
        panel=panel,
        splits=splits,
        seeds=seeds,
        traits=select_traits(panel, traits, where="traits"),
        prune_r=prune_r,
    )
    check_traits_vary(runs, panel=panel, splits=splits, where="in run_trainings")
    at = Workplace(panel=panel, splits=splits, cache=RunCache(Path(out) / "runs"))
    engine = make_engine(executor, workers=workers, threads=threads, slurm=slurm, modal=modal)
    finished, _, failures = carry_out_all(
        runs, at=at, engine=engine, console=console or Console(quiet=True)
    )
    folders = [finished[run.key] for run in runs if run.key in finished]
    if failures:
        reasons = "; ".join(f"{failure.run}: {failure.message}" for failure in failures[:3])
        raise TrainingError(
            f"{len(failures)} of {len(runs)} trainings failed, the others are in {at.cache.folder}"
            f": {reasons}"
        )
    return folders


def _checked(seeds: Iterable[Any]) -> list[int]:
    """Return seeds, whatever holds them, as Python's own numbers."""
    given = list(seeds)
    whole = [seed for seed in given if isinstance(seed, Integral) and not isinstance(seed, bool)]
    if len(whole) < len(given) or any(seed < 0 for seed in whole):
        raise SettingsError(f"seeds = {given}: they must be whole numbers from 0 on")
    if not given or len(set(whole)) < len(whole):
        raise SettingsError(f"seeds = {given}: give at least one, each once")
    return [int(seed) for seed in whole]


def _settings(kind: type[_T], values: _T | Mapping[str, Any] | None, *, where: str) -> _T:
    return values if isinstance(values, kind) else kind.parse(dict(values or {}), where=where)


def _entry(model: Model, train: Train, *, where: str) -> ModelEntry:
    if isinstance(model, ModelConfig):
        config = model
    else:
        config = parse_model({"type": model} if isinstance(model, str) else model, where=where)
    settings = train.model_dump() if isinstance(train, TrainConfig) else dict(train or {})
    resolved = resolve_training(config, settings, where=f"{where} ({config.type})")
    return ModelEntry(label=config.type, config=config, train=resolved)
