"""The one LightningModule: M members trained in one pass, each as if it were alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from crosstrait.models.members import RunMembers, forward_members, run_members
from crosstrait.training.checkpoint import CheckpointFile, State, under
from crosstrait.training.compiled import CompiledMembers, worth_compiling
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.loss import (
    masked_mean_squared_error,
    mean_r2,
    measured_cells,
    squared_error,
)
from crosstrait.training.member import Member
from crosstrait.training.processes import Processes
from crosstrait.training.progress import EpochDone, Progress
from crosstrait.training.steps import StepRecord


class JointTraining(LightningModule):
    """Steps, epochs and checkpoints of M members that share a device and nothing else.

    Lightning's loader only counts: a batch is its number in the epoch, and its samples are cut
    by index from data that already lie on the device.

    Several processes may train one network together. Each computes the gradients of its share of
    a batch over the measured cells of the whole batch, since holes fall unevenly; torch adds them
    up, before they are clipped.

    Attributes
    ----------
    epoch
        The epoch that runs or would run next, from 0.
    next_step
        Its step that runs or would run next, from 0.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: DeviceData,
        config: TrainConfig,
        *,
        checkpoint: CheckpointFile | None = None,
        checkpoint_seconds: float = 5.0,
        progress: Progress | None = None,
        processes: Processes | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.networks = torch.nn.ModuleList(member.network for member in members)
        self.members = members
        self.data = data
        self.config = config
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.progress = progress
        self.processes = processes or Processes()
        self.epoch = 0
        self.next_step = 0
        self.n_batches = max(member.n_batches for member in members)
        self.steps = StepRecord(self.n_batches, len(members), device=data.X.device)
        n_steps = self.n_batches * config.max_epochs
        compiled = self.processes.count == 1 and worth_compiling(
            members[0].network, device=data.X.device, n_steps=n_steps
        )
        self._run: RunMembers = CompiledMembers() if compiled else run_members
        traits = [member.task.traits for member in members]
        every = tuple(range(data.Y.shape[1]))
        self._traits = (
            None
            if all(own == every for own in traits)
            else torch.tensor(traits, device=data.Y.device)
        )
        self._order = torch.empty(0)
        self._judged: list[int] = []
        self._validated: list[Tensor] = []
        self._seconds_before = 0.0
        self._started = self._saved = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return self.epoch >= self.config.max_epochs or all(m.stopped for m in self.members)

    @property
    def seconds(self) -> float:
        """Training time so far, that before an interruption included."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def validation_rows(self) -> int:
        """Samples of a validation batch; without gradients four times as many fit."""
        share = -(-self.config.batch_size // self.processes.count)
        return 4 * (self.config.micro_batch_size or share)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimisers of the members."""
        return [member.optimizer for member in self.members]

    def transfer_batch_to_device(
        self,
        batch: int,
        device: torch.device,  # noqa: ARG002 - Lightning's signature
        dataloader_idx: int,  # noqa: ARG002
    ) -> int:
        """Return ``batch``: there is nothing to move."""
        return batch

    def on_train_start(self) -> None:
        """Start the clocks."""
        self._started = self._saved = time.monotonic()

    def on_train_epoch_start(self) -> None:
        """Draw the order of the samples of every member."""
        size = self.n_batches * self.config.batch_size
        orders = [member.order(self.epoch) for member in self.members]
        self._order = torch.stack([F.pad(order, (0, size - len(order))) for order in orders])

    def training_step(self, batch: int) -> None:
        """Take one step with every member that still has samples in this epoch."""
        if batch < self.next_step:
            return
        first = batch * self.config.batch_size
        active = [m for m in self._running() if first < len(self.members[m].rows)]
        if not active:
            return
        rows, target = self._cut(active, first)
        cells = measured_cells(target)
        rows, target = self.processes.share(rows, target)
        if self.processes.count > 1:
            self._seed_dropout(active, batch)
        error = torch.zeros(len(active), device=target.device)
        size = self.config.micro_batch_size or self.config.batch_size
        parts = list(zip(torch.split(rows, size, 1), torch.split(target, size, 1), strict=True))
        for i, (rows_part, target_part) in enumerate(parts):
            with self._gradients_apart(until_last=i == len(parts) - 1):
                part = squared_error(self._forward(active, rows_part), target_part)
                # torch averages the gradients of several processes; theirs are shares of a sum.
                loss = (part / cells.clamp(min=1)).sum() * self.processes.count
                self.manual_backward(loss)
            error += part.detach()
        error = self.processes.total(error)
        rates = [self.members[m].learning_rate for m in active]
        self.steps.write(batch, active, loss=error / cells.clamp(min=1), cells=cells, rates=rates)
        for m in active:
            self.members[m].step()

    def on_train_batch_end(self, outputs: object, batch: int, batch_idx: int) -> None:  # noqa: ARG002
        """Save now and then, and leave when the process is told to end."""
        self.next_step = max(self.next_step, batch + 1)
        if self.next_step == self.n_batches:
            return  # the end of the epoch comes first
        if self.trainer.received_sigterm:
            raise SIGTERMException
        if self._save_is_due():
            self.save()

    def on_validation_start(self) -> None:
        """Validate the weights that would be kept."""
        self._validated, self._judged = [], self._running()
        for member in self.members:
            member.swap_average()

    def validation_step(self, batch: int) -> None:
        """Predict one block of validation samples with every member."""
        first = batch * self.validation_rows
        X = self.data.X_validation[first : first + self.validation_rows].float()
        networks = [self.members[m].network for m in self._judged]
        if batch % self.processes.count != self.processes.rank:
            n_traits = len(self.members[0].task.traits)
            self._validated.append(torch.zeros(len(networks), len(X), n_traits, device=X.device))
            return
        prediction = forward_members(networks, X.expand(len(networks), -1, -1))
        self._validated.append(prediction.float())

    def on_validation_end(self) -> None:
        """Go back to the weights in training."""
        for member in self.members:
            member.swap_average()

    def on_train_epoch_end(self) -> None:
        """Judge the epoch of every member, save, and stop when all are done."""
        loss, cells = self.steps.losses()
        val_loss, val_r2 = self._validation_scores()
        if self.processes.count > 1:
            agreed = self.processes.agree(np.vstack([loss, val_loss, val_r2]), device=self.device)
            loss, val_loss, val_r2 = agreed[:-2], agreed[-2], agreed[-1]
        for m, member in enumerate(self.members):
            if member.stopped:
                continue
            steps = member.n_batches
            if reason := self._failure(m, loss[:steps, m], val_loss[m]):
                member.fail(reason)
                continue
            done = EpochDone(
                seed=member.task.seed,
                member=member.task.name,
                epoch=self.epoch + 1,
                n_epochs=self.config.max_epochs,
                train_loss=float(np.average(loss[:steps, m], weights=cells[:steps, m])),
                val_loss=float(val_loss[m]),
                val_r2=float(val_r2[m]),
                learning_rate=self.steps.rate(steps - 1, m),
                seconds=self.seconds,
            )
            member.end_epoch(done)
            if self.progress is not None:
                self.progress(done)
        self.epoch += 1
        self.next_step = 0
        if self.done or self._save_is_due():
            self.save()
        self.trainer.should_stop = self.done

    def save(self) -> None:
        """Write the checkpoint, where there is one to write."""
        if self.checkpoint is None or not self.processes.is_first:
            return
        tensors = {f"steps.{name}": tensor for name, tensor in self.steps.state().items()}
        tensors["random"] = torch.get_rng_state()
        if self.data.X.is_cuda:
            tensors["random_cuda"] = torch.cuda.get_rng_state(self.data.X.device)
        members = []
        for m, member in enumerate(self.members):
            own, values = member.state()
            tensors |= {f"{m}.{name}": tensor for name, tensor in own.items()}
            members.append(values)
        values = {
            "epoch": self.epoch,
            "next_step": self.next_step,
            "seconds": self.seconds,
            "members": members,
        }
        self.checkpoint.save(State(tensors=tensors, values=values))
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        state = None if self.checkpoint is None else self.checkpoint.load()
        if state is None:
            return
        self.steps.load_state(under("steps.", state.tensors))
        torch.set_rng_state(state.tensors["random"])
        if self.data.X.is_cuda:
            torch.cuda.set_rng_state(state.tensors["random_cuda"], self.data.X.device)
        for m, member in enumerate(self.members):
            member.load_state(under(f"{m}.", state.tensors), state.values["members"][m])
        self.epoch, self.next_step = state.values["epoch"], state.values["next_step"]
        self._seconds_before = state.values["seconds"]
        self._started = time.monotonic()

    def _running(self) -> list[int]:
        return [m for m, member in enumerate(self.members) if not member.stopped]

    def _cut(self, active: list[int], first: int) -> tuple[Tensor, Tensor]:
        """Return the rows (A, B) and the targets (A, B, T) of a batch.

        Members with fewer samples left are filled up with rows whose cells do not count.
        """
        left = [len(self.members[m].rows) - first for m in active]
        size = min(self.config.batch_size, max(left))
        rows = self._order[:, first : first + size]
        every = len(active) == len(self.members)
        if not every:
            rows = rows[active]
        target = self.data.Y.index_select(0, rows.flatten()).view(*rows.shape, -1)
        if self._traits is not None:
            traits = self._traits if every else self._traits[active]
            target = target.gather(2, traits.unsqueeze(1).expand(-1, size, -1))
        if min(left) < size:
            end = torch.tensor(left, device=rows.device)
            filling = torch.arange(size, device=rows.device) >= end.unsqueeze(1)
            target = target.masked_fill(filling.unsqueeze(2), torch.nan)
        return rows, target

    def _forward(self, active: list[int], rows: Tensor) -> Tensor:
        X = self.data.X.index_select(0, rows.flatten()).float().view(*rows.shape, -1)
        members = [self.members[m] for m in active]
        prediction = forward_members(
            [member.network for member in members],
            X,
            generators=[member.generator for member in members],
            run=self._run,
        )
        return prediction.float()

    def _validation_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss (M,) and R2 (M,) of the members; NaN where there is none."""
        loss, r2 = np.full((2, len(self.members)), np.nan)
        if self._validated:
            every = self.processes.total(torch.cat(self._validated, dim=1))
            prediction = every.double()  # (A, V, T)
            target = self.data.Y_validation.double()
            if self._traits is None:
                target = target.expand(len(self._judged), -1, -1)
            else:
                target = target[:, self._traits[self._judged]].transpose(0, 1)
            loss[self._judged] = masked_mean_squared_error(prediction, target).cpu()
            r2[self._judged] = mean_r2(prediction, target).cpu()
        return loss, r2

    def _seed_dropout(self, active: list[int], step: int) -> None:
        for m in active:
            member = self.members[m]
            seed = self.processes.seed_of_step(member.task.seed, epoch=self.epoch, step=step)
            member.generator.manual_seed(seed)
            torch.manual_seed(seed)  # for networks that draw from torch's own generator

    def _gradients_apart(self, *, until_last: bool) -> AbstractContextManager[None]:
        """Let gradients add up in this process until the last part of a batch is in."""
        strategy = self.trainer.strategy
        if until_last or not isinstance(strategy, DDPStrategy):
            return nullcontext()
        return strategy.block_backward_sync()

    def _failure(self, m: int, loss: np.ndarray, val_loss: float) -> str | None:
        member = self.members[m]
        bad = np.flatnonzero(~np.isfinite(loss))
        if bad.size:
            step, what = int(bad[0]) + 1, "the training loss"
        elif self._validated and not np.isfinite(val_loss):
            step, what = member.n_batches, "the validation loss after"
        else:
            return None
        return (
            f"{what} is not finite at step {step} of epoch {self.epoch + 1} "
            f"(learning rate {self.steps.rate(step - 1, m):g})"
        )

    def _save_is_due(self) -> bool:
        return time.monotonic() - self._saved >= self.checkpoint_seconds
