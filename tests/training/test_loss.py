from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from crosstrait.training.loss import masked_mean_squared_error, mean_r2


def cells(seed: int, missing: float, shape: tuple[int, int, int] = (2, 9, 4)) -> list[torch.Tensor]:
    random = np.random.default_rng(seed)
    prediction, target = random.normal(size=(2, *shape)).astype(np.float32)
    target[random.random(shape) < missing] = np.nan
    return [torch.from_numpy(prediction), torch.from_numpy(target)]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), missing=st.sampled_from([0.0, 0.3, 0.9]))
def test_the_loss_is_the_mean_over_measured_cells(seed: int, missing: float) -> None:
    prediction, target = cells(seed, missing)
    loss = masked_mean_squared_error(prediction, target)
    for m in range(2):
        measured = ~target[m].isnan()
        errors = (prediction[m] - target[m])[measured].double().square()
        expected = errors.mean() if measured.any() else torch.tensor(0.0)
        assert loss[m].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_hole_has_no_gradient_and_no_say_in_that_of_others() -> None:
    prediction, target = cells(0, 0.4)
    prediction.requires_grad_()
    masked_mean_squared_error(prediction, target).sum().backward()
    measured = ~target.isnan()
    assert prediction.grad is not None
    assert (prediction.grad[~measured] == 0).all()
    expected = 2 * (prediction - target).detach() / measured.sum(dim=(1, 2), keepdim=True)
    np.testing.assert_allclose(prediction.grad[measured], expected[measured], rtol=1e-5)


def test_a_batch_without_measured_cells_contributes_nothing() -> None:
    prediction = torch.randn(1, 3, 2, requires_grad=True)
    loss = masked_mean_squared_error(prediction, torch.full((1, 3, 2), torch.nan))
    loss.sum().backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert (prediction.grad == 0).all()


def test_r2_is_scikit_learns_on_the_measured_cells_of_each_trait() -> None:
    prediction, target = cells(3, 0.3, shape=(2, 40, 3))
    expected = []
    for m in range(2):
        traits = []
        for t in range(3):
            measured = ~target[m, :, t].isnan()
            traits.append(r2_score(target[m, measured, t], prediction[m, measured, t]))
        expected.append(np.mean(traits))
    np.testing.assert_allclose(mean_r2(prediction, target), expected, rtol=1e-6)


def test_r2_leaves_out_traits_that_cannot_vary() -> None:
    prediction, target = cells(4, 0.0, shape=(1, 8, 3))
    alone = mean_r2(prediction[..., :1], target[..., :1])
    target[..., 1] = 0.5  # constant
    target[:, 1:, 2] = torch.nan  # one cell
    torch.testing.assert_close(mean_r2(prediction, target), alone)
    assert mean_r2(prediction[..., 1:], target[..., 1:]).isnan().all()
