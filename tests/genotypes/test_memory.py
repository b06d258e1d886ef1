"""A matrix of unknown height is held once, and refused where it cannot fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError
from crosstrait.genotypes.memory import RowStore, available_memory, require_memory


@settings(deadline=None)
@given(
    heights=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    expected=st.integers(0, 60),
    width=st.integers(1, 4),
)
def test_rows_come_back_in_order_however_badly_their_number_was_guessed(
    heights: list[int], expected: int, width: int
) -> None:
    whole = np.random.default_rng(0).normal(size=(sum(heights), width)).astype(np.float32)
    whole[::2, 0] = np.nan
    store = RowStore(width, np.float32)
    store.expect(expected, source=Path("t"))
    start = 0
    for height in heights:
        store.append(whole[start : start + height])
        start += height
    has_value = store.column_has_value.tolist()
    np.testing.assert_array_equal(store.finish(), whole)
    assert has_value == (~np.isnan(whole)).any(axis=0).tolist()


def test_the_available_memory_is_of_a_plausible_size() -> None:
    available = available_memory()
    assert available is not None
    assert 1 << 26 < available < 1 << 50


def test_what_does_not_fit_is_refused_with_both_sizes() -> None:
    require_memory((1000, 1000), np.float32, source=Path("small"))
    with pytest.raises(DataError, match=r"huge needs about 3,725,290\.3 GiB .* GiB are available"):
        require_memory((1e9, 1e6), np.float32, source=Path("huge"))
