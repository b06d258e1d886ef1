"""An encoder layer is PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from crosstrait.models.encoder import (
    ATTENTION_WEIGHTS,
    FEEDFORWARD_WEIGHTS,
    encoder_layer,
    feed_forward,
)
from crosstrait.models.members import Dropout

M, B, L, D, HEADS, HIDDEN = 2, 3, 23, 8, 2, 12


def layers() -> list[nn.TransformerEncoderLayer]:
    torch.manual_seed(0)
    made = [
        nn.TransformerEncoderLayer(D, HEADS, HIDDEN, 0.0, batch_first=True, norm_first=True)
        for _ in range(M)
    ]
    for layer in made:
        for weight in layer.parameters():
            weight.data.add_(torch.randn_like(weight), alpha=0.2)
    return made


def stacked(made: list[nn.TransformerEncoderLayer]) -> dict[str, Tensor]:
    """Return the weights of PyTorch's layers under our names, (M, ...)."""
    pairs = {
        "attention_norm": [(one.norm1.weight, one.norm1.bias) for one in made],
        "projection": [
            (one.self_attn.in_proj_weight.mT, one.self_attn.in_proj_bias) for one in made
        ],
        "attention_out": [
            (one.self_attn.out_proj.weight.mT, one.self_attn.out_proj.bias) for one in made
        ],
        "feedforward_norm": [(one.norm2.weight, one.norm2.bias) for one in made],
        "feedforward_in": [(one.linear1.weight.mT, one.linear1.bias) for one in made],
        "feedforward_out": [(one.linear2.weight.mT, one.linear2.bias) for one in made],
    }
    return {
        f"{name}_{part}": torch.stack([own[i] for own in parts])
        for name, parts in pairs.items()
        for i, part in enumerate(("weight", "bias"))
    }


@pytest.mark.usefixtures("cpu_path")
def test_a_layer_of_members_is_pytorchs_layer_of_each() -> None:
    made = layers()
    weights = stacked(made)
    assert set(weights) == {*ATTENTION_WEIGHTS, *FEEDFORWARD_WEIGHTS}
    tokens = torch.randn(M, B, L, D, requires_grad=True)
    ours = encoder_layer(tokens, weights, n_heads=HEADS, drop=Dropout(0.0))
    theirs = torch.stack([one(own) for one, own in zip(made, tokens, strict=True)])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)

    wanted = [tokens, *(weight for one in made for weight in one.parameters())]
    upstream = torch.randn_like(theirs)
    found = torch.autograd.grad(ours, wanted, upstream)
    for own, expected in zip(found, torch.autograd.grad(theirs, wanted, upstream), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("cpu_path")
def test_the_feed_forward_is_its_definition() -> None:
    weights = {
        name: weight.detach().requires_grad_()
        for name, weight in stacked(layers()).items()
        if name in FEEDFORWARD_WEIGHTS
    }
    tokens, attended = (torch.randn(M, B, L, D, requires_grad=True) for _ in range(2))
    ours = feed_forward(tokens, attended, weights, drop=Dropout(0.0))

    def mapped(units: Tensor, name: str) -> Tensor:
        made = torch.einsum("mbli,mio->mblo", units, weights[f"{name}_weight"])
        return made + weights[f"{name}_bias"][:, None, None]

    mixed = tokens + mapped(attended, "attention_out")
    normed = F.layer_norm(mixed, (D,)) * weights["feedforward_norm_weight"][:, None, None]
    normed = normed + weights["feedforward_norm_bias"][:, None, None]
    expected = mixed + mapped(mapped(normed, "feedforward_in").relu(), "feedforward_out")
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)

    wanted = [tokens, attended, *weights.values()]
    upstream = torch.randn_like(expected)
    found = torch.autograd.grad(ours, wanted, upstream)
    for own, other in zip(found, torch.autograd.grad(expected, wanted, upstream), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("many_loci")
def test_gradients_in_blocks_are_derivatives() -> None:
    weights = {name: weight.detach().double() for name, weight in stacked(layers()).items()}
    names = list(weights)
    tokens = torch.randn(M, B, L, D, dtype=torch.float64)

    def layer(tokens: Tensor, *own: Tensor) -> Tensor:
        named = dict(zip(names, own, strict=True))
        return encoder_layer(tokens, named, n_heads=HEADS, drop=Dropout(0.0))

    inputs = [part.requires_grad_() for part in (tokens, *weights.values())]
    assert torch.autograd.gradcheck(layer, inputs, fast_mode=True)


@pytest.mark.usefixtures("many_loci")
def test_dropout_acts_on_both_branches_and_the_hidden_units() -> None:
    weights = {name: weight.detach() for name, weight in stacked(layers()).items()}
    tokens, attended = torch.randn(M, B, L, D), torch.randn(M, B, L, D)
    without = feed_forward(tokens, attended, weights, drop=Dropout(0.0))
    generators = [torch.Generator().manual_seed(m) for m in range(M)]
    dropped = feed_forward(tokens, attended, weights, drop=Dropout(0.5, generators))
    assert not torch.isclose(dropped, without).any(dim=-1).all()
    silent = {
        name: torch.zeros_like(weight) if "out" in name else weight
        for name, weight in weights.items()
    }
    dropped = feed_forward(tokens, attended, silent, drop=Dropout(0.5, generators))
    assert torch.equal(dropped, tokens)  # the residual stream itself is never dropped
