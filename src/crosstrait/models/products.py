"""Matrix products on CPUs at the speed of the processor, whoever made it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., Any]


def _find_onednn() -> Any:
    """Return oneDNN's product ``x @ w.T + b`` if this processor gains from it."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    if wide and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    return None


# `torch.matmul` calls MKL, which keeps its AVX-512 kernels to Intel's processors; oneDNN, which
# PyTorch carries too, uses them on all: about twice as fast on an AMD EPYC (Zen 5).
_ONEDNN = _find_onednn()
_WORTH_ONEDNN = 2**20  # multiplications; below, MKL's smaller cost of a call wins


def first_order(backward: Backward) -> Backward:
    """Refuse derivatives of the gradients that a ``backward`` without autograd returns."""

    @functools.wraps(backward)
    def checked(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the attention models have no second derivatives on a CPU: "
                "take differences of predictions or of gradients (without create_graph)"
            )
        return backward(ctx, *gradients)

    return checked


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a (n, k) @ b (k, m) + bias (m,), without gradients.

    Fastest with a contiguous, and b or its transpose.
    """
    worth = a.numel() * b.shape[-1] >= _WORTH_ONEDNN
    if _ONEDNN is None or not worth or a.dtype != torch.float32:
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    if not (b.is_contiguous() or b.mT.is_contiguous()):
        b = b.contiguous()
    made: Tensor = _ONEDNN(a, b.mT, bias, "none", [], "")
    return made


def linear(units: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``units @ weight + bias`` for every member.

    Parameters
    ----------
    units
        (M, ..., d_in).
    weight
        (M, d_in, d_out).
    bias
        (M, d_out).
    """
    rows = units.reshape(len(units), -1, units.shape[-1])  # (M, R, d_in)
    large = rows[0].numel() * weight.shape[-1] >= _WORTH_ONEDNN
    if large and rows.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        mapped: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    elif bias is None:
        mapped = torch.bmm(rows, weight)
    else:
        mapped = torch.baddbmm(bias.unsqueeze(1), rows, weight)
    return mapped.view(*units.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    """`linear` of rows (M, R, d_in) by `product`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        biases = [None] * len(rows) if bias is None else list(bias)
        return _stacked(*map(product, rows, weight, biases))

    @staticmethod
    @first_order
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        of_rows, _, of_bias = ctx.needs_input_grad
        d_rows = _stacked(*map(product, gradient, weight.mT)) if of_rows else None
        # `product` copies a transposed left factor: let it be the narrower one.
        if rows.shape[-1] <= gradient.shape[-1]:
            d_weight = _stacked(*map(product, rows.mT, gradient))
        else:
            d_weight = _stacked(*map(product, gradient.mT, rows)).mT
        return d_rows, d_weight, gradient.sum(1) if of_bias else None


def _stacked(*matrices: Tensor) -> Tensor:
    return matrices[0].unsqueeze(0) if len(matrices) == 1 else torch.stack(matrices)
