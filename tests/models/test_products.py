"""Products are those of `torch.matmul`, whichever library makes them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crosstrait.models import products
from crosstrait.models.products import linear, product


@pytest.fixture(params=["oneDNN", "MKL"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(products, "_WORTH_ONEDNN", 0)
    if request.param == "MKL":
        monkeypatch.setattr(products, "_ONEDNN", None)
    elif products._ONEDNN is None:
        pytest.skip("this processor does not gain from oneDNN")
    return str(request.param)


def matrix(rows: int, columns: int, layout: str, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if layout == "transposed":
        return torch.randn(columns, rows, generator=generator).mT
    if layout == "part":
        return torch.randn(rows, 3 * columns, generator=generator)[:, columns : 2 * columns]
    return torch.randn(rows, columns, generator=generator)


@pytest.mark.parametrize("left", ["whole", "transposed", "part"])
@pytest.mark.parametrize("right", ["whole", "transposed", "part"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 13, 5), (40, 14, 33), (3, 130, 1)])
def test_a_product_is_that_of_its_matrices(
    left: str, right: str, shape: tuple[int, int, int]
) -> None:
    n, k, m = shape
    a, b, bias = matrix(n, k, left, 0), matrix(k, m, right, 1), torch.arange(float(m))
    expected = a.double() @ b.double()
    torch.testing.assert_close(product(a, b).double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(product(a, b, bias).double(), expected + bias, rtol=1e-5, atol=1e-5)


def test_doubles_stay_doubles() -> None:
    a, b = torch.randn(3, 4).double(), torch.randn(4, 5).double()
    assert torch.equal(product(a, b), a @ b)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(("d_in", "d_out"), [(4, 9), (9, 4)])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_maps_of_members_are_those_of_each(
    members: int, d_in: int, d_out: int, biased: bool
) -> None:
    torch.manual_seed(0)
    inputs = [
        torch.randn(members, 2, 6, d_in, requires_grad=True),
        torch.randn(members, d_in, d_out, requires_grad=True),
    ]
    if biased:
        inputs.append(torch.randn(members, d_out, requires_grad=True))
    units, weight, *bias = inputs
    ours = linear(units, weight, *bias)
    expected = torch.einsum("mbli,mio->mblo", units, weight)
    if biased:
        expected = expected + bias[0][:, None, None]
    torch.testing.assert_close(ours, expected)
    upstream = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(ours, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    units = torch.randn(1, 5, 4, requires_grad=True)
    weight = torch.randn(1, 4, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivatives on a CPU"):
        torch.autograd.grad(linear(units, weight).sum(), units, create_graph=True)
