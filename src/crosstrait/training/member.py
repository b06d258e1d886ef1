"""One network in training, with all that is its own: optimiser, schedule, averages, best weights.

Several members train in one pass. Nothing here is shared between them, so that a member learns
what it would learn alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from crosstrait.training.checkpoint import under
from crosstrait.training.config import TrainConfig
from crosstrait.training.progress import EpochDone


@dataclass(frozen=True, kw_only=True, eq=False)
class MemberTask:
    """What one member is and learns.

    Attributes
    ----------
    network
        Maps coded genotypes (B, L) to (B, len(traits)).
    seed
        Seed of the order of its samples and of its dropout.
    traits
        Which columns of the standardised traits it learns.
    name
        Its trait where one network serves one trait, else ``all``.
    """

    network: nn.Module
    seed: int
    traits: tuple[int, ...]
    name: str = "all"


class Member:
    """The state of one member between steps.

    Attributes
    ----------
    rows
        Training samples with at least one measured cell for this member.
    average
        Bias-corrected moving averages of the parameters; empty where averaging is off.
    best
        Weights after the epoch with the lowest validation loss so far.
    stale
        Epochs since then.
    stopped
        Whether training is over for this member, by patience or by failure.
    failure
        What went wrong, in words for the user.
    history
        The epochs so far.
    """

    def __init__(
        self, task: MemberTask, config: TrainConfig, *, rows: Tensor, device: torch.device
    ) -> None:
        self.task = task
        self.config = config
        self.rows = rows
        self.network = task.network.to(device).train()
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.generator = torch.Generator(device).manual_seed(task.seed)
        self.n_steps = 0
        self.average = (
            [torch.zeros_like(p) for p in self.parameters] if config.average_decay else []
        )
        self.best: dict[str, Tensor] = {}
        self.best_loss = float("inf")
        self.stale = 0
        self.stopped = False
        self.failure: str | None = None
        self.history: list[EpochDone] = []
        self.optimizer = self._make_optimizer()
        self.schedule = self._make_schedule()

    @property
    def n_batches(self) -> int:
        """Steps an epoch."""
        return -(-len(self.rows) // self.config.batch_size)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def order(self, epoch: int) -> Tensor:
        """Return this member's samples in the order of ``epoch``, whatever went before."""
        random = np.random.default_rng([self.task.seed, epoch])
        return self.rows[torch.from_numpy(random.permutation(len(self.rows)))]

    def step(self) -> None:
        """Move the parameters along their gradients, and everything that follows steps."""
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        self.n_steps += 1
        if isinstance(self.schedule, OneCycleLR):
            self.schedule.step()
        if self.average:
            # Kingma and Ba 2015, section 3: dividing by 1 - decay^n takes out the start at zero.
            decay = self.config.average_decay
            with torch.no_grad():
                torch._foreach_lerp_(
                    self.average,
                    [p.detach() for p in self.parameters],
                    (1 - decay) / (1 - decay**self.n_steps),
                )

    def swap_average(self) -> None:
        """Exchange the parameters with their averages; a second call undoes the first."""
        for parameter, average in zip(self.parameters, self.average, strict=False):
            parameter.data, average.data = average.data, parameter.data

    def end_epoch(self, done: EpochDone) -> None:
        """Judge an epoch: keep the best weights, lower the rate, stop when patience ends."""
        self.history.append(done)
        if np.isnan(done.val_loss):  # no validation samples: nothing to judge by
            return
        if done.val_loss < self.best_loss:
            self.best_loss, self.stale = done.val_loss, 0
            if self.config.keep == "best":
                self.best = self._weights()
        else:
            self.stale += 1
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(done.val_loss)
        self.stopped = bool(self.config.patience) and self.stale >= self.config.patience

    def fail(self, reason: str) -> None:
        """Take this member out of training."""
        self.failure, self.stopped = reason, True

    def finish(self) -> nn.Module:
        """Return the network with the weights that are kept, on the CPU."""
        if self.best:
            self.network.load_state_dict(self.best)
        else:
            self.swap_average()
        if not all(p.isfinite().all() for p in self.parameters) and self.failure is None:
            self.fail("the weights are not finite after the last step")
        return self.network.eval().cpu()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors by name and JSON values from which `load_state` goes on."""
        optimizer = self.optimizer.state_dict()
        tensors = {"generator": self.generator.get_state()}
        tensors |= {f"weight.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"average.{i}": value for i, value in enumerate(self.average)}
        for i, moments in optimizer["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in moments.items()}
        values = {
            "n_steps": self.n_steps,
            "best_loss": self.best_loss,
            "stale": self.stale,
            "stopped": self.stopped,
            "failure": self.failure,
            "history": [asdict(done) for done in self.history],
            "groups": optimizer["param_groups"],
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
        }
        return tensors, values

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.load_result(tensors, values)
        self.generator.set_state(tensors["generator"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("optimizer.", tensors).items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": values["groups"]})
        if self.schedule is not None:
            self.schedule.load_state_dict(values["schedule"])

    def load_result(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take from what `state` returned all that `finish` and the history need.

        On any device, as the states of a GPU's random numbers are not.
        """
        self.network.load_state_dict(under("weight.", tensors))
        device = self.rows.device
        self.best = {k: v.to(device) for k, v in under("best.", tensors).items()}
        for i, average in enumerate(self.average):
            average.copy_(tensors[f"average.{i}"])
        self.n_steps = values["n_steps"]
        self.best_loss, self.stale = values["best_loss"], values["stale"]
        self.stopped, self.failure = values["stopped"], values["failure"]
        self.history = [EpochDone(**done) for done in values["history"]]

    def _weights(self) -> dict[str, Tensor]:
        self.swap_average()
        weights = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.swap_average()
        return weights

    def _make_optimizer(self) -> torch.optim.Optimizer:
        rate = self.config.learning_rate
        if self.config.optimizer == "adam":
            return torch.optim.Adam(self.parameters, lr=rate, fused=True)
        decay = self.config.weight_decay
        return torch.optim.AdamW(self.parameters, lr=rate, weight_decay=decay, fused=True)

    def _make_schedule(self) -> OneCycleLR | ReduceLROnPlateau | None:
        config = self.config
        if config.schedule == "one_cycle":
            total = self.n_batches * config.max_epochs
            return OneCycleLR(
                self.optimizer, config.learning_rate, total_steps=total, cycle_momentum=False
            )
        if config.schedule == "plateau":
            return ReduceLROnPlateau(
                self.optimizer,
                factor=config.plateau_factor,
                patience=config.plateau_patience,
                min_lr=config.minimum_rate,
            )
        return None
