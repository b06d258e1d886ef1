"""Many networks in one pass give the numbers of each by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from crosstrait.models import forward_members
from crosstrait.models.registry import parse_model

MEMBERS, SAMPLES, LOCI, TRAITS = 3, 4, 11, 2
CONFIGS: dict[str, dict[str, Any]] = {
    "rijal": {"type": "rijal", "embedding_dim": 5, "init_scale": 0.5},
    "rijal_multienv": {"type": "rijal_multienv", "locus_dim": 4, "init_scale": 0.5},
    "canonical": {"type": "canonical", "embedding_dim": 8, "init_scale": 0.4},
    "canonical toggled": {
        "type": "canonical",
        "embedding_dim": 8,
        "scaled_attention": True,
        "layer_norm": True,
        "skip_connections": True,
        "dropout": 0.3,
    },
    "transformer": {
        "type": "transformer",
        "embedding_dim": 8,
        "n_heads": 2,
        "feedforward_dim": 16,
        "dropout": 0.2,
    },
}


def build(name: str) -> list[nn.Module]:
    torch.manual_seed(0)
    config = parse_model(CONFIGS[name])
    n_traits = 1 if config.single_trait else TRAITS
    modules = [config.build(n_loci=LOCI, n_traits=n_traits) for _ in range(MEMBERS)]
    assert all(isinstance(module, nn.Module) for module in modules)
    for module in modules:
        for weight in module.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.1)  # biases and norms differ too
    return modules


def genotypes(*, hard: bool) -> torch.Tensor:
    drawn = torch.rand(MEMBERS, SAMPLES, LOCI, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return drawn.sign() if hard else drawn


def gradients(modules: list[nn.Module]) -> list[torch.Tensor]:
    found = [weight.grad for module in modules for weight in module.parameters()]
    for module in modules:
        module.zero_grad()
    return [gradient for gradient in found if gradient is not None]


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.usefixtures("cpu_path")
def test_one_pass_equals_one_by_one(name: str, hard: bool) -> None:
    modules, X = build(name), genotypes(hard=hard)
    for module in modules:
        module.eval()
    alone = torch.stack([module(x) for module, x in zip(modules, X, strict=True)])
    weights = torch.randn_like(alone)
    (alone * weights).sum().backward()
    gradients_alone = gradients(modules)

    together = forward_members(modules, X)
    (together * weights).sum().backward()

    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert alone[0].sub(alone[1]).abs().max() > 1e-3
    for mine, theirs in zip(gradients(modules), gradients_alone, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["canonical toggled", "transformer"])
def test_dropout_of_a_member_follows_its_own_generator(name: str) -> None:
    modules, X = build(name), genotypes(hard=True)
    together = forward_members(
        modules, X, generators=[torch.Generator().manual_seed(m) for m in range(MEMBERS)]
    )
    alone = torch.stack(
        [
            module(x, generator=torch.Generator().manual_seed(m))
            for m, (module, x) in enumerate(zip(modules, X, strict=True))
        ]
    )
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    without = torch.stack([module.eval()(x) for module, x in zip(modules, X, strict=True)])
    assert together.sub(without).abs().max() > 1e-3


def test_dropout_without_generators_keeps_the_mean() -> None:
    module, X = build("canonical toggled")[0], genotypes(hard=True)[0]
    torch.manual_seed(0)
    drawn = module(X.repeat(2000, 1)).view(2000, SAMPLES, TRAITS).detach()
    spread = drawn.std(0) / 2000**0.5
    assert (drawn.mean(0) - module.eval()(X)).abs().div(spread).max() < 5


def test_a_step_of_one_member_leaves_the_others_alone() -> None:
    modules, X = build("rijal"), genotypes(hard=True)
    before = [weight.detach().clone() for weight in modules[1].parameters()]
    forward_members(modules, X).sum().backward()
    torch.optim.Adam(modules[0].parameters()).step()
    assert all(torch.equal(a, b) for a, b in zip(before, modules[1].parameters(), strict=True))
    assert not torch.equal(
        modules[0].get_parameter("embedding"), modules[1].get_parameter("embedding")
    )


def test_networks_without_a_stacked_form_are_called_one_after_another() -> None:
    modules = [nn.Linear(LOCI, TRAITS) for _ in range(MEMBERS)]
    X = genotypes(hard=True)
    together = forward_members(modules, X)
    assert torch.equal(together[1], modules[1](X[1]))


def test_every_network_needs_its_batch() -> None:
    with pytest.raises(ValueError, match="3 networks were given 2 batches"):
        forward_members(build("rijal"), genotypes(hard=True)[:2])
