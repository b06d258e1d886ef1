"""From prepared samples to fitted networks: who trains with whom, and what came of it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from crosstrait.errors import TrainingError
from crosstrait.models.base import ModelConfig
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.members import MemberNetwork
from crosstrait.training.checkpoint import CheckpointFile
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.device import choose_device
from crosstrait.training.fitted import Fitted
from crosstrait.training.member import MemberTask
from crosstrait.training.memory import members_at_once
from crosstrait.training.model_files import history_table
from crosstrait.training.network import Outcome, train_network
from crosstrait.training.preparation import Prepared
from crosstrait.training.progress import EpochDone, Progress
from crosstrait.training.together import JointTask, train_together

# What a checkpoint continues from must be computed alike: raise it when training changes.
_NUMBERS = 1


class ReplicatesError(TrainingError):
    """Some replicates could not be trained; the others are done.

    Attributes
    ----------
    finished
        The fitted replicates, in the order of their seeds.
    """

    def __init__(self, message: str, *, finished: list[Fitted]) -> None:
        super().__init__(message)
        self.finished = finished


def fit_networks(
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    *,
    seeds: Sequence[int],
    folder: Path | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Fit the networks of every seed, as many in one pass as memory allows.

    With several devices a network, one network after another.

    Parameters
    ----------
    config, train_config, prepared
        The model, how it is trained, and on what.
    seeds
        One a replicate. A replicate of a single-trait model is one network a trait, each seeded
        as if it were fitted alone.
    folder
        Where checkpoints go; see `training.fit.fit`.
    progress
        Called after each epoch of each network.

    Raises
    ------
    ReplicatesError
        If the loss of some network stopped being finite, after all others are trained.
    """
    device = choose_device(train_config)
    tasks = [task for seed in seeds for task in _tasks(config, prepared, seed)]

    def file(members: Sequence[MemberTask], folder: Path) -> CheckpointFile:
        key = _key(config, train_config, prepared, members, device)
        return CheckpointFile(folder=folder, key=key)

    if train_config.devices > 1:
        with _folder_or_temporary(folder) as kept:
            outcomes = train_together(
                [JointTask(task=task, checkpoint=file([task], kept)) for task in tasks],
                config,
                train_config,
                prepared,
                device_type=device.type,
                progress=progress,
            )
    else:
        data = DeviceData.place(
            prepared.X,
            prepared.Y,
            X_validation=prepared.X_validation,
            Y_validation=prepared.Y_validation,
            device=device,
        )
        size = _pass_size(tasks, prepared, train_config, device)
        # Those that several devices began, one after another, go on one after another.
        begun = [task for task in tasks if folder and file([task], folder).path.is_file()]
        others = [task for task in tasks if task not in begun]
        passes = [[task] for task in begun]
        passes += [others[first : first + size] for first in range(0, len(others), size)]
        trained: dict[int, Outcome] = {}
        for members in passes:
            checkpoint = None if folder is None else file(members, folder)
            ends = train_network(
                members, data, train_config, checkpoint=checkpoint, progress=progress
            )
            trained |= {id(task): end for task, end in zip(members, ends, strict=True)}
        outcomes = [trained[id(task)] for task in tasks]
    each = len(tasks) // len(seeds)
    finished: list[Fitted] = []
    failures: list[str] = []
    for r, seed in enumerate(seeds):
        own = outcomes[r * each : (r + 1) * each]
        if failed := [_explain(config, outcome) for outcome in own if outcome.failure]:
            failures += failed
        else:
            finished.append(_fitted(config, train_config, prepared, seed=seed, outcomes=own))
    if failures:
        raise ReplicatesError("; ".join(failures), finished=finished)
    return finished


@contextmanager
def _folder_or_temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="crosstrait-") as name:
        yield Path(name)


def _tasks(config: ModelConfig, prepared: Prepared, seed: int) -> list[MemberTask]:
    names = prepared.trait_names
    columns: list[tuple[str, tuple[int, ...]]] = [("all", tuple(range(len(names))))]
    if config.single_trait or prepared.one_a_trait:
        columns = [(name, (t,)) for t, name in enumerate(names)]
    tasks = []
    for name, traits in columns:
        network = prepared.build(config, seed=seed)
        assert isinstance(network, nn.Module)
        tasks.append(MemberTask(network=network, seed=seed, traits=traits, name=name))
    return tasks


def _pass_size(
    tasks: Sequence[MemberTask], prepared: Prepared, config: TrainConfig, device: torch.device
) -> int:
    """Return how many tasks train together: others' networks run one by one anyway."""
    network = tasks[0].network
    if len(tasks) == 1 or not isinstance(network, MemberNetwork):
        return 1
    batch = config.micro_batch_size or config.batch_size
    return members_at_once(network, n_loci=prepared.X.shape[1], batch=batch, device=device)


def _key(
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    tasks: Sequence[MemberTask],
    device: torch.device,
) -> str:
    """Return the digest of all that decides the numbers of a pass."""
    decides = {
        "numbers": _NUMBERS,
        "torch": torch.__version__,
        "device": device.type,
        "model": config.model_dump(mode="json"),
        "train": train_config.numbers(),
        "traits": prepared.trait_names,
        "loci": hashlib.sha256(prepared.encoder.columns.astype("<i8").tobytes()).hexdigest(),
        "panel": prepared.panel_digest,
        "split": prepared.split_digest,
        "members": [[task.seed, task.name] for task in tasks],
    }
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _explain(config: ModelConfig, outcome: Outcome) -> str:
    task = outcome.task
    trait = f", trait {task.name!r}" if task.name != "all" else ""
    return (
        f"{config.type}, seed {task.seed}{trait}: {outcome.failure}; lower learning_rate, or set "
        f"gradient_clip = 1.0"
    )


def _fitted(
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    *,
    seed: int,
    outcomes: Sequence[Outcome],
) -> Fitted:
    fitted = Fitted(
        config=config,
        train_config=train_config,
        encoder=prepared.encoder,
        scaler=prepared.scaler,
        trait_names=prepared.trait_names,
        seed=seed,
        predictor=tuple(outcome.network for outcome in outcomes),
        history=history_table([asdict(done) for outcome in outcomes for done in outcome.history]),
        metrics=_metrics([outcome.history for outcome in outcomes]),
        train_seconds=sum(outcome.seconds for outcome in outcomes),
        panel_digest=prepared.panel_digest,
        split_digest=prepared.split_digest,
    )
    if not len(prepared.X_validation):
        return fitted
    error = prepared.Y_validation - fitted.predict_coded(prepared.X_validation)
    return replace(fitted, errors=ErrorQuantiles.fit(error))


def _metrics(histories: Sequence[Sequence[EpochDone]]) -> dict[str, float]:
    """Return the published names, averaged over the networks of a replicate."""
    chosen = {
        "best": [
            min(history, key=lambda done: (np.isnan(done.val_loss), done.val_loss))
            for history in histories
        ],
        "final": [history[-1] for history in histories],
    }
    return {
        f"{which}_{score}": float(np.mean([getattr(done, score) for done in epochs]))
        for score in ("val_loss", "val_r2")
        for which, epochs in chosen.items()
    }
