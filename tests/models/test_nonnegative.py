"""The quadratic programme against a search over its corners."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.models.nonnegative import Float64, minimise_nonnegative


def searched(A: Float64, b: Float64, total: float | None) -> float:
    """The least value over every set of weights that are not zero."""
    K = len(b)
    best = 0.0 if total is None else np.inf
    for chosen in map(
        list, chain.from_iterable(combinations(range(K), n) for n in range(1, K + 1))
    ):
        inverse = np.linalg.inv(A[np.ix_(chosen, chosen)])
        w = inverse @ b[chosen]
        if total is not None:
            w += inverse.sum(axis=1) * (total - w.sum()) / inverse.sum()
        if (w >= -1e-12).all():
            best = min(best, w @ A[np.ix_(chosen, chosen)] @ w - 2 * b[chosen] @ w)
    return best


@pytest.mark.parametrize("total", [None, 1.0, 0.3])
@settings(max_examples=30, deadline=None)
@given(K=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_no_other_weights_are_better(total: float | None, K: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(K + 2, K))
    A, b = root.T @ root + 0.01 * np.eye(K), rng.normal(size=K)
    w = minimise_nonnegative(A, b, total=total)
    assert (w >= 0).all()
    if total is not None:
        assert w.sum() == pytest.approx(total)
    assert w @ A @ w - 2 * b @ w == pytest.approx(searched(A, b, total), rel=1e-4, abs=1e-6)
