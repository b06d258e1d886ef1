"""Training networks on plain arrays: members and data in, trained members out.

Importing this module imports Lightning, which takes seconds: do it inside a fit.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn

from crosstrait.errors import SettingsError
from crosstrait.training.checkpoint import CheckpointFile
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.device import uses_bf16
from crosstrait.training.member import Member, MemberTask
from crosstrait.training.module import JointTraining
from crosstrait.training.processes import Processes
from crosstrait.training.progress import EpochDone, Progress

CHECKPOINT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What became of one member.

    Attributes
    ----------
    task
        What it was to learn.
    network
        With the weights that are kept, in evaluation mode, on the CPU.
    history
        Its epochs.
    failure
        Why it could not be trained; None where it was.
    seconds
        Its share of the training time of the pass.
    """

    task: MemberTask
    network: nn.Module
    history: list[EpochDone]
    failure: str | None
    seconds: float


def train_network(
    tasks: Sequence[MemberTask],
    data: DeviceData,
    config: TrainConfig,
    *,
    checkpoint: CheckpointFile | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: Progress | None = None,
    processes: Processes | None = None,
) -> list[Outcome]:
    """Train M networks of one architecture in one pass, each as if it were alone.

    Parameters
    ----------
    tasks
        The networks, with their seeds and the traits that they learn.
    data
        Samples, on the device that trains.
    config
        How to train.
    checkpoint
        Where to keep the state of the training, and to go on from if it is there.
    checkpoint_seconds
        Time between two checkpoints.
    progress
        Called after each epoch of each member.
    processes
        This process's place among those that train together, in torch's process group, which is
        up; all call this with the same arguments. Alone where not given.

    Returns
    -------
    list of Outcome
        One a task, in their order. A member whose loss stopped being finite has its ``failure``
        set; the others are not affected.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; the last checkpoint stays.
    SystemExit
        On SIGTERM, with a checkpoint of the last step.
    SettingsError
        If ``config`` needs validation samples and a member has none.
    """
    device = data.X.device
    rows = [measured_rows(data.Y, task) for task in tasks]
    for task in tasks:
        _check_validation(task, data, config)
    with _own_random_numbers(tasks[0].seed, device):
        members = [
            Member(task, config, rows=own, device=device)
            for task, own in zip(tasks, rows, strict=True)
        ]
        module = JointTraining(
            members,
            data,
            config,
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            progress=progress,
            processes=processes,
        )
        module.resume()
        if not module.done:
            with _quiet_lightning():
                _run(module, data, config)
    seconds = module.seconds / len(members)
    return [
        Outcome(
            task=member.task,
            network=member.finish(),
            history=member.history,
            failure=member.failure,
            seconds=seconds,
        )
        for member in members
    ]


def measured_rows(Y: Tensor, task: MemberTask) -> Tensor:
    """Return the samples of Y (N, T) with at least one measured trait of ``task``."""
    return torch.nonzero((~Y[:, task.traits].isnan()).any(dim=1))[:, 0]


def _run(module: JointTraining, data: DeviceData, config: TrainConfig) -> None:
    n_validation = len(data.X_validation)
    n_blocks = -(-n_validation // module.validation_rows)
    device = data.X.device
    count = module.processes.count
    together: dict[str, Any] = {}
    if count > 1:
        together = {"strategy": DDPStrategy(), "plugins": [TorchElasticEnvironment()]}
    trainer = Trainer(
        accelerator="cpu" if device.type == "cpu" else "gpu",
        devices=count if device.type == "cpu" or count > 1 else [device.index],
        precision="bf16-mixed" if uses_bf16(config, device) else "32-true",
        max_epochs=config.max_epochs - module.epoch,
        limit_val_batches=1.0 if n_validation else 0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        # Tensors made in inference mode could not become parameters again.
        inference_mode=False,
        # One process, whatever the scheduler's environment variables say, or those that are up.
        **({"plugins": [LightningEnvironment()]} | together),
    )
    try:
        trainer.fit(
            module,
            train_dataloaders=range(module.n_batches),
            val_dataloaders=range(max(1, n_blocks)),
        )
    except SIGTERMException:  # raised between steps alone
        module.save()
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as ended:
        # Lightning turns Ctrl-C into an exit of the process, which is not ours to decide.
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _check_validation(task: MemberTask, data: DeviceData, config: TrainConfig) -> None:
    """Refuse settings that look at validation samples where there are none."""
    needs = [
        f"{name} = {getattr(config, name)!r}"
        for name, needed in [
            ("keep", config.keep == "best"),
            ("patience", config.patience > 0),
            ("schedule", config.schedule == "plateau"),
        ]
        if needed
    ]
    measured = not data.Y_validation[:, task.traits].isnan().all()
    if needs and not (len(data.Y_validation) and measured):
        of_trait = "" if task.name == "all" else f" of trait {task.name!r}"
        raise SettingsError(
            f"{' and '.join(needs)} needs measured validation samples{of_trait}, and the split "
            f"has none: hold some out (validation = 0.1), or set keep = 'last', patience = 0 and "
            f"another schedule"
        )


@contextmanager
def _own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, and leave them as they were found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes on hardware and its tips out of a user's terminal."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning 2.6 itself still asks torch for what torch 2.13 deprecates.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            # Nor is it news to those who have Slurm that a training need not be started by srun.
            warnings.filterwarnings("ignore", message="The `srun` command is available")
            yield
    finally:
        logger.setLevel(level)
