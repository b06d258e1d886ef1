"""Training on plain arrays, against a loop written out, and against itself."""

from __future__ import annotations

import copy
import logging
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from crosstrait.errors import SettingsError
from crosstrait.training.config import TrainConfig
from crosstrait.training.data import DeviceData
from crosstrait.training.member import MemberTask
from crosstrait.training.network import train_network
from crosstrait.training.progress import EpochDone
from support.training import (
    assert_same_weights,
    cross,
    replicate,
    single_trait,
    training,
    weights,
)

SUMS = {"rtol": 1e-4, "atol": 1e-6}


def written_out(task: MemberTask, data: DeviceData, config: TrainConfig) -> list[nn.Module]:
    """The network after each epoch, by the shortest loop that does the same."""
    network = copy.deepcopy(task.network)
    target = data.Y[:, list(task.traits)]
    rows = np.flatnonzero((~target.isnan()).any(dim=1))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    optimizer = kind(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    after = []
    for epoch in range(config.max_epochs):
        order = rows[np.random.default_rng([task.seed, epoch]).permutation(len(rows))]
        for first in range(0, len(order), config.batch_size):
            batch = order[first : first + config.batch_size]
            error = network(data.X[batch]) - target[batch]
            optimizer.zero_grad()
            error[~target[batch].isnan()].square().mean().backward()
            if config.gradient_clip:
                nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            optimizer.step()
        after.append(copy.deepcopy(network))
    return after


def validation_loss(network: nn.Module, data: DeviceData, traits: tuple[int, ...]) -> float:
    with torch.no_grad():
        error = network(data.X_validation) - data.Y_validation[:, list(traits)]
    return float(error[~error.isnan()].double().square().mean())


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam"},
        {"weight_decay": 0.3},
        {"gradient_clip": 0.05},
        {"micro_batch_size": 5},
        {"batch_size": 1000},
    ],
    ids=str,
)
def test_training_equals_the_loop_written_out(changes: dict[str, object]) -> None:
    data, config = cross(), training(keep="last", **changes)
    task = replicate(3)
    expected = written_out(task, data, config)
    [outcome] = train_network([task], data, config)
    assert_same_weights(outcome.network, expected[-1], **SUMS)
    losses = [validation_loss(network, data, task.traits) for network in expected]
    np.testing.assert_allclose([e.val_loss for e in outcome.history], losses, rtol=1e-4)


def test_replicates_in_one_pass_equal_one_by_one() -> None:
    data, config = cross(), training()
    together = train_network([replicate(seed) for seed in (0, 5, 2)], data, config)
    for seed, outcome in zip((0, 5, 2), together, strict=True):
        [alone] = train_network([replicate(seed)], data, config)
        assert_same_weights(outcome.network, alone.network, **SUMS)
        for ours, its in zip(outcome.history, alone.history, strict=True):
            assert ours.seed == seed
            assert ours.train_loss == pytest.approx(its.train_loss, rel=1e-4)
            assert ours.val_r2 == pytest.approx(its.val_r2, rel=1e-3)


def test_single_trait_networks_in_one_pass_equal_one_by_one_on_their_own_cells() -> None:
    data, config = cross(), training()
    data.Y[10:, 1] = torch.nan  # one batch an epoch beside several
    data.Y[:31, 2] = torch.nan
    together = train_network([single_trait(t) for t in range(3)], data, config)
    for t, outcome in enumerate(together):
        [alone] = train_network([single_trait(t)], data, config)
        assert_same_weights(outcome.network, alone.network, **SUMS)
        expected = written_out(single_trait(t), data, config)
        best = min(expected, key=lambda network: validation_loss(network, data, (t,)))
        assert_same_weights(outcome.network, best, **SUMS)


def test_dropout_of_a_member_depends_on_its_seed_alone() -> None:
    data, config = cross(), training()
    tasks = [replicate(seed, dropout=0.4) for seed in (0, 5)]
    together = train_network(tasks, data, config)
    [alone] = train_network([replicate(5, dropout=0.4)], data, config)
    [without] = train_network([replicate(5)], data, config)
    assert_same_weights(together[1].network, alone.network, **SUMS)
    assert not np.allclose(weights(alone.network)["hidden"], weights(without.network)["hidden"])


def test_the_same_seed_gives_the_same_bits() -> None:
    data, config = cross(), training(average_decay=0.9, schedule="one_cycle")
    first, second = (
        train_network([replicate(1, dropout=0.2), replicate(2, dropout=0.2)], data, config)
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        assert_same_weights(one.network, other.network)


def test_a_sample_without_any_measured_trait_changes_nothing() -> None:
    data, config = cross(missing=0.0), training()
    data.Y[20:25] = torch.nan
    measured = ~data.Y.isnan().all(dim=1)
    fewer = DeviceData(
        X=data.X[measured],
        Y=data.Y[measured],
        X_validation=data.X_validation,
        Y_validation=data.Y_validation,
    )
    [all_rows] = train_network([replicate(0)], data, config)
    [some_rows] = train_network([replicate(0)], fewer, config)
    assert_same_weights(all_rows.network, some_rows.network)


class TestStopping:
    """A member that stops early leaves the others as they would be alone."""

    # Trait 0 is noise, which a network soon overfits.
    data = cross(missing=0.0)
    data.Y[:, 0] = torch.randn(70, generator=torch.Generator().manual_seed(0))
    config = training(max_epochs=25, patience=2, learning_rate=0.05)

    def test_patience_counts_epochs_without_a_better_validation_loss(self) -> None:
        together = train_network([single_trait(t) for t in range(3)], self.data, self.config)
        lengths = [len(outcome.history) for outcome in together]
        assert lengths[0] < max(lengths)
        for outcome in together:
            losses = [done.val_loss for done in outcome.history]
            if len(losses) < 25:
                assert int(np.argmin(losses)) == len(losses) - 1 - 2
        for t in range(3):
            [alone] = train_network([single_trait(t)], self.data, self.config)
            assert len(alone.history) == lengths[t]
            assert_same_weights(together[t].network, alone.network, **SUMS)

    def test_the_weights_of_the_best_epoch_are_kept(self) -> None:
        [outcome] = train_network([single_trait(0)], self.data, self.config)
        losses = [done.val_loss for done in outcome.history]
        kept = validation_loss(outcome.network, self.data, (0,))
        assert kept == pytest.approx(min(losses), rel=1e-5)
        assert losses[-1] > min(losses)

    def test_or_those_of_the_last(self) -> None:
        config = self.config.model_copy(update={"keep": "last"})
        [outcome] = train_network([single_trait(0)], self.data, config)
        kept = validation_loss(outcome.network, self.data, (0,))
        assert kept == pytest.approx(outcome.history[-1].val_loss, rel=1e-5)


def test_averaged_weights_are_the_corrected_exponential_mean_of_all_steps() -> None:
    data, decay = cross(), 0.8
    config = training(max_epochs=4, batch_size=1000, average_decay=decay, keep="last")
    task = replicate(1)
    after = written_out(task, data, config)  # one step an epoch
    [outcome] = train_network([task], data, config)
    shares = np.array([decay ** (4 - 1 - k) for k in range(4)])
    for name, value in weights(outcome.network).items():
        steps = np.stack([weights(network)[name] for network in after])
        expected = np.tensordot(shares / shares.sum(), steps, axes=1)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
    kept = validation_loss(outcome.network, data, task.traits)
    assert outcome.history[-1].val_loss == pytest.approx(kept, rel=1e-5)


def test_a_member_that_diverges_is_told_where_and_the_others_finish() -> None:
    data = cross()
    config = training(max_epochs=4)
    broken = replicate(1)
    with torch.no_grad():
        broken.network.readout.fill_(3e38)  # its squared error overflows at once
    outcomes = train_network([replicate(0), broken, replicate(2)], data, config)
    assert outcomes[1].failure is not None
    assert "step 1 of epoch 1 (learning rate 0.02)" in outcomes[1].failure
    assert outcomes[1].history == []
    for seed, outcome in ((0, outcomes[0]), (2, outcomes[2])):
        assert outcome.failure is None
        [alone] = train_network([replicate(seed)], data, config)
        assert_same_weights(outcome.network, alone.network, **SUMS)


def test_a_network_that_overflows_on_validation_samples_only_is_told_too() -> None:
    data = cross()
    data.X_validation[0, 0] = torch.inf
    [outcome] = train_network([linear(0)], data, training(keep="last"))
    assert outcome.failure is not None
    assert outcome.failure.startswith("the validation loss after is not finite at step 5 of epoch")


def test_weights_that_overflow_in_the_last_step_are_told_too() -> None:
    config = training(
        max_epochs=1, batch_size=1000, keep="last", learning_rate=1e30, weight_decay=1e30
    )
    [outcome] = train_network([replicate(0)], cross(n_validation=0), config)
    assert outcome.failure == "the weights are not finite after the last step"


def linear(seed: int) -> MemberTask:
    """A network of PyTorch's own, which knows nothing of members."""
    torch.manual_seed(seed)
    return MemberTask(network=nn.Linear(6, 3), seed=seed, traits=(0, 1, 2))


def test_any_module_can_be_trained() -> None:
    data, config = cross(), training(keep="last", optimizer="adam")
    expected = written_out(linear(1), data, config)
    [outcome] = train_network([linear(1)], data, config)
    assert_same_weights(outcome.network, expected[-1], **SUMS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "keep = 'best'"),
        ({"keep": "last", "patience": 3}, "patience = 3"),
        ({"keep": "last", "schedule": "plateau"}, "schedule = 'plateau'"),
    ],
    ids=["best", "patience", "plateau"],
)
def test_settings_that_need_validation_samples_are_refused_without(
    changes: dict[str, object], named: str
) -> None:
    with pytest.raises(SettingsError, match=f"{named} needs .*validation = 0.1"):
        train_network([replicate(0)], cross(n_validation=0), training(**changes))
    measured_elsewhere = cross()
    measured_elsewhere.Y_validation[:, 1] = torch.nan
    with pytest.raises(SettingsError, match="of trait 'trait_1'"):
        train_network([single_trait(1)], measured_elsewhere, training(**changes))


def test_the_last_epoch_needs_no_validation_samples() -> None:
    data, config = cross(n_validation=0), training(keep="last")
    [outcome] = train_network([replicate(0)], data, config)
    assert_same_weights(outcome.network, written_out(replicate(0), data, config)[-1], **SUMS)
    assert all(np.isnan([done.val_loss, done.val_r2]).all() for done in outcome.history)


def test_the_plateau_schedule_lowers_the_rate_as_pytorchs_does() -> None:
    data = cross()
    config = training(
        max_epochs=30,
        schedule="plateau",
        plateau_patience=1,
        plateau_factor=0.5,
        minimum_rate=0.008,
        learning_rate=0.05,
    )
    [outcome] = train_network([replicate(0)], data, config)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=0.05)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, min_lr=0.008
    )
    rates = []
    for done in outcome.history:
        rates.append(optimizer.param_groups[0]["lr"])
        expected.step(done.val_loss)
    assert [done.learning_rate for done in outcome.history] == rates
    assert rates[-1] == 0.008


def test_the_one_cycle_schedule_ends_near_zero_after_all_steps() -> None:
    config = training(max_epochs=20, schedule="one_cycle", learning_rate=0.05)
    [outcome] = train_network([replicate(0)], cross(), config)
    rates = [done.learning_rate for done in outcome.history]
    assert max(rates) == pytest.approx(0.05, rel=0.01)
    assert int(np.argmax(rates)) == 5  # 30 % of the steps, then down
    assert rates[-1] == pytest.approx(0.05 / 25 / 1e4)


def test_progress_tells_every_epoch_of_every_member() -> None:
    seen: list[EpochDone] = []
    outcomes = train_network(
        [single_trait(0), single_trait(2)], cross(), training(), progress=seen.append
    )
    assert [(done.member, done.epoch) for done in seen] == [
        (name, epoch) for epoch in (1, 2, 3) for name in ("trait_0", "trait_2")
    ]
    assert seen == [
        done for pair in zip(*(o.history for o in outcomes), strict=True) for done in pair
    ]
    assert all(done.n_epochs == 3 for done in seen)
    assert seen[-1].seconds >= seen[0].seconds > 0


def test_training_is_silent_leaves_no_files_and_no_other_random_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("lightning.pytorch")
    torch.manual_seed(0)
    before, level = torch.get_rng_state(), logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_network([replicate(0)], cross(), training())
    assert torch.equal(torch.get_rng_state(), before)
    assert logger.level == level
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_a_keyboard_interrupt_and_can_be_pressed_again() -> None:
    def press(_: EpochDone) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_network([replicate(0)], cross(), training(), progress=press)
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_of_the_progress_callback_is_not_hidden() -> None:
    def fail(_: EpochDone) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_network([replicate(0)], cross(), training(), progress=fail)
