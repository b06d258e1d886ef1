"""Groups of runs that only exist to be talked about."""

from __future__ import annotations

from typing import Literal

from crosstrait.experiments.plan import Group, Run
from crosstrait.models.registry import config_class
from crosstrait.training.config import TrainConfig
from crosstrait.training.progress import EpochDone


def a_group(
    number: int,
    *,
    label: str = "canonical",
    replicates: int = 1,
    traits: tuple[str, ...] = ("a",),
    scope: Literal["multi", "single"] = "multi",
) -> Group:
    """Runs of fold ``number`` that nobody will train."""
    runs = [
        Run(
            label=label,
            config=config_class("ridge")(),
            train=TrainConfig(scope=scope),
            traits=traits,
            prune_r=None,
            fold=number,
            replicate=replicate,
            seed=replicate,
            key=f"{number:04x}{replicate:04x}" + 56 * "0",
            parts={},
        )
        for replicate in range(replicates)
    ]
    return Group(tuple(runs))


def an_epoch(
    epoch: int, *, seed: int = 0, member: str = "all", seconds: float = 0.5, n_epochs: int = 10
) -> EpochDone:
    """An epoch of ten."""
    values = dict.fromkeys(("train_loss", "val_loss", "val_r2", "learning_rate"), 0.5)
    return EpochDone(
        seed=seed, member=member, epoch=epoch, n_epochs=n_epochs, seconds=seconds, **values
    )
