"""Attention by its definition, without ever holding the scores of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils._python_dispatch import TorchDispatchMode

from crosstrait.models import attention
from crosstrait.models.attention import attend, layer_norm, pad_width, scaled_tokens
from crosstrait.models.locus_attention import attend_loci
from crosstrait.models.pooled_attention import attend_mean
from crosstrait.models.pooled_norm import mean_norm
from crosstrait.models.registry import parse_model

M, B, H, L, D, W = 2, 3, 2, 23, 5, 4


def drawn(*shape: int, size: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    return (size * torch.randn(shape)).to(dtype).requires_grad_()


def by_definition(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    return torch.softmax(scale * query @ key.mT, dim=-1) @ value


def heads_beside_one_another(attended: Tensor) -> Tensor:
    return attended.transpose(2, 3).flatten(3)


def loci_by_definition(
    t: Tensor, query: Tensor, key: Tensor, value: Tensor, query_bias: Tensor, *, scale: float
) -> Tensor:
    own = t[:, :, None, :, None]
    attended = by_definition(
        own * query.unsqueeze(1) + query_bias[:, None, :, None],
        own * key.unsqueeze(1),
        own * value.unsqueeze(1),
        scale=scale,
    )
    return heads_beside_one_another(attended)


def mean_by_definition(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    return by_definition(query, key, value, scale=scale).mean(dim=2)


def mean_norm_by_definition(
    tokens: Tensor, weight: Tensor, bias: Tensor, *, scale: float
) -> Tensor:
    normed = F.layer_norm(scale * tokens, (tokens.shape[-1],))
    return (normed * weight[:, None, None] + bias[:, None, None]).mean(dim=2)


def scaled_mean_norm(tokens: Tensor, weight: Tensor, bias: Tensor, *, scale: float) -> Tensor:
    return mean_norm(scale * tokens, weight, bias)


Inputs = Callable[..., list[Tensor]]
CASES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], Inputs]] = {
    "one head": (
        attend,
        by_definition,
        lambda **how: [drawn(M, B, L, n, **how) for n in (D, D, W)],
    ),
    "heads": (
        attend,
        by_definition,
        lambda **how: [drawn(M, B, H, L, n, **how) for n in (D, D, W)],
    ),
    "loci": (
        attend_loci,
        loci_by_definition,
        lambda **how: [
            drawn(M, B, L, **how),
            drawn(M, H, L, D, **how),
            drawn(M, H, L, D, **how),
            drawn(M, H, L, W, **how),
            drawn(M, H, D, **how),
        ],
    ),
    "mean": (
        attend_mean,
        mean_by_definition,
        lambda **how: [drawn(M, B, L, n, **how) for n in (D, D, W)],
    ),
    "mean norm": (
        scaled_mean_norm,
        mean_norm_by_definition,
        lambda **how: [drawn(M, B, L, D, **how), drawn(M, D, **how), drawn(M, D, **how)],
    ),
}


@pytest.mark.parametrize("case", CASES)
# Scores of about 1; of about 400, which overflow without a shift; of 0.
@pytest.mark.parametrize("size", [0.7, 6.0, 0.0])
@pytest.mark.usefixtures("cpu_path")
def test_outputs_and_gradients_are_those_of_the_definition(case: str, size: float) -> None:
    torch.manual_seed(0)
    ours, definition, inputs = CASES[case]
    parts = inputs(size=size)
    exact = [part.detach().double().requires_grad_() for part in parts]
    mine, theirs = ours(*parts, scale=0.8), definition(*exact, scale=0.8)
    assert mine.shape == theirs.shape
    tolerance = 1e-5 * max(1.0, size**4)  # a score of 400 is known to 400 * 6e-8
    torch.testing.assert_close(mine.double(), theirs, rtol=tolerance, atol=tolerance)
    upstream = torch.randn_like(theirs)
    found = torch.autograd.grad(mine, parts, upstream.float())
    for own, expected in zip(found, torch.autograd.grad(theirs, exact, upstream), strict=True):
        bound = tolerance * max(1.0, float(expected.abs().max()))
        assert (own.double() - expected).abs().max() <= 3 * bound


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("many_loci")
def test_gradients_in_blocks_are_derivatives(case: str) -> None:
    torch.manual_seed(1)
    ours, _, inputs = CASES[case]
    parts = inputs(size=0.7, dtype=torch.float64)
    # One sample's and one head's worth of entries is enough for finite differences.
    assert torch.autograd.gradcheck(lambda *own: ours(*own, scale=0.8), parts, fast_mode=True)


@pytest.mark.usefixtures("many_loci")
def test_genotypes_get_no_gradient_that_nobody_asks_for() -> None:
    _, _, inputs = CASES["loci"]
    t, *others = inputs()
    t = t.detach()
    attended = attend_loci(t, *others)
    assert attended.requires_grad
    attended.sum().backward()
    assert t.grad is None
    assert all(part.grad is not None for part in others)


class Largest(TorchDispatchMode):
    """Watches how many elements the largest tensor has that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for part in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(part, Tensor):
                self.elements = max(self.elements, part.untyped_storage().nbytes() // 4)
        return made


@pytest.mark.parametrize("n_loci", [200, 300])  # PyTorch's attention, and our blocks
@pytest.mark.parametrize(
    "model",
    [
        {"type": "rijal"},
        {"type": "rijal_multienv"},
        {"type": "canonical", "embedding_dim": 8},
        {"type": "canonical", "embedding_dim": 8, "layer_norm": True, "skip_connections": True},
        {"type": "transformer", "embedding_dim": 8, "n_heads": 2, "feedforward_dim": 16},
    ],
    ids=lambda values: values["type"],
)
def test_no_model_holds_the_scores_of_a_batch(model: dict[str, Any], n_loci: int) -> None:
    n_samples = 16
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that all operations are seen here
    try:
        config = parse_model(model)
        module = config.build(n_loci=n_loci, n_traits=1)
        X = torch.rand(n_samples, n_loci) * 2 - 1
        with Largest() as largest:
            module(X).square().mean().backward()
    finally:
        torch.set_num_threads(threads)
    assert n_samples * n_loci <= largest.elements < n_samples * n_loci**2 // 4


def test_layer_norms_of_members_are_those_of_each() -> None:
    units, weight, bias = torch.randn(3, 2, 7, 5), torch.randn(3, 5), torch.randn(3, 5)
    together = layer_norm(units, weight, bias)
    for m in range(3):
        torch.testing.assert_close(together[m], F.layer_norm(units[m], (5,), weight[m], bias[m]))
        torch.testing.assert_close(
            layer_norm(units[m : m + 1], weight[m : m + 1], bias[m : m + 1])[0], together[m]
        )


def test_scaled_loci_are_the_layer_norm_of_the_tokens() -> None:
    X = torch.rand(2, 3, 7) * 2 - 1
    X[0, 0, 0] = 0.0
    embedding = 0.01 * torch.randn(2, 7, 5)  # so small that eps matters
    loadings, loci = scaled_tokens(X, embedding)
    tokens = X.unsqueeze(-1) * embedding.unsqueeze(1)
    torch.testing.assert_close(
        loadings.unsqueeze(-1) * loci.unsqueeze(1), F.layer_norm(tokens, (5,))
    )


@pytest.mark.parametrize(("device", "width"), [("cpu", 16), ("cuda", 16), ("meta", 13)])
def test_widths_are_filled_up_for_the_fused_kernels(
    device: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        device = "meta"  # which has shapes and no values
        monkeypatch.setitem(attention._VECTOR, "meta", attention._VECTOR["cuda"])
    units = torch.ones(2, 3, 13, device=device)
    padded = pad_width(units)
    assert padded.shape == (2, 3, width)
    if device != "meta":
        assert padded.sum() == units.sum()
