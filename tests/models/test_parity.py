"""Every model computes what its published implementation computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crosstrait.models import blocks, products
from support.parity import OPTIONS, load_fixture

FIVE_STEPS = sorted(set(OPTIONS) - {"rijal_multienv"})


@pytest.fixture(autouse=True, params=["few loci", "many loci"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ways that a CPU may take, both at the 20 loci of the fixtures."""
    if request.param == "many loci":
        monkeypatch.setattr(blocks, "_FEWEST_LOCI", 1)
        monkeypatch.setattr(blocks, "_BLOCK", 150)  # scores: several blocks of queries
        monkeypatch.setattr(products, "_WORTH_ONEDNN", 0)


@pytest.mark.parametrize("name", OPTIONS)
def test_outputs_and_loss_agree_with_the_published_model(parity: Path, name: str) -> None:
    fixture = load_fixture(parity, name)
    module = fixture.module()
    torch.testing.assert_close(
        fixture.predict(module), fixture.tensor("output"), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(fixture.loss(module), fixture.tensor("loss"), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_agree_with_the_published_model(parity: Path, name: str) -> None:
    fixture = load_fixture(parity, name)
    module = fixture.module()
    fixture.loss(module).backward()
    published = dict(fixture.gradients())
    ours = {key: weight.grad for key, weight in module.named_parameters()}
    assert ours.keys() == published.keys()
    largest = max(gradient.abs().max() for gradient in published.values())
    for key, gradient in published.items():
        # A constant added to all keys changes no softmax: that gradient is rounding, near zero.
        zero = key == "key_bias"
        bound = 1e-6 * largest if zero else 1e-4 * gradient.abs().max()
        assert ours[key] is not None
        assert (ours[key] - gradient).abs().max() <= bound, key


@pytest.mark.parametrize("name", FIVE_STEPS)
def test_five_optimiser_steps_agree_with_the_published_model(parity: Path, name: str) -> None:
    fixture = load_fixture(parity, name)
    module = fixture.module().train()
    if name == "rijal":
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.0)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = fixture.loss(module)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    torch.testing.assert_close(
        torch.tensor(losses, dtype=torch.float64),
        fixture.tensor("loss_5_steps"),
        rtol=1e-5,
        atol=0,
    )
    torch.testing.assert_close(
        fixture.predict(module), fixture.tensor("output_after_5_steps"), rtol=1e-5, atol=1e-5
    )
