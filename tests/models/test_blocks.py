"""Blocks cover the scores, and every part of the work is done once, on a core of its own."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crosstrait.models import blocks
from crosstrait.models.blocks import (
    Part,
    accumulators,
    collected,
    empty_apart,
    exp2_,
    in_blocks,
    needs_shift,
    on_threads,
    parts_of_threads,
    row_blocks,
)


def test_blocks_are_for_many_loci_in_full_precision_on_a_cpu() -> None:
    tokens, many = torch.zeros(1), blocks._FEWEST_LOCI
    assert in_blocks(tokens, many)
    assert not in_blocks(tokens, many - 1)
    assert not in_blocks(tokens.to("meta"), many)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not in_blocks(tokens, many)


@given(n_rows=st.integers(1, 5000), width=st.integers(1, 5000))
def test_row_blocks_cover_the_rows_in_order(n_rows: int, width: int) -> None:
    found = list(row_blocks(n_rows, width))
    assert [i for block in found for i in range(n_rows)[block]] == list(range(n_rows))
    sizes = {block.stop - block.start for block in found[:-1]} or {n_rows}
    assert len(sizes) == 1
    assert max(sizes) * width <= blocks._BLOCK + width


@given(n_heads=st.integers(1, 40), n_samples=st.integers(0, 100), threads=st.integers(1, 40))
def test_parts_hold_every_sample_of_every_head_once(
    n_heads: int, n_samples: int, threads: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        parts = parts_of_threads(n_heads, n_samples)
    held = [(part.head, n) for part in parts for n in part.samples]
    assert sorted(held) == [(h, n) for h in range(n_heads) for n in range(n_samples)]
    assert len({(part.head, part.share) for part in parts}) == len(parts)
    assert len(parts) >= min(threads, blocks._MOST_THREADS, n_heads * n_samples)


@pytest.fixture
def three_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_each_part_is_done_once_with_one_core_and_no_gradients(three_threads: None) -> None:
    parts = [Part(h, 0, range(2)) for h in range(7)]
    seen: list[tuple[int, str, int, bool]] = []

    def work(part: Part) -> None:
        name = threading.current_thread().name
        seen.append((part.head, name, torch.get_num_threads(), torch.is_grad_enabled()))

    on_threads(work, parts)
    assert sorted(head for head, *_ in seen) == list(range(7))
    assert {threads for _, _, threads, _ in seen} == {1}
    assert not any(grad for *_, grad in seen)
    assert torch.get_num_threads() == 3


def test_an_error_of_a_part_is_raised_and_the_threads_restored(three_threads: None) -> None:
    def work(part: Part) -> None:
        raise ArithmeticError(f"part {part.head}")

    with pytest.raises(ArithmeticError, match="part 0"):
        on_threads(work, [Part(h, 0, range(1)) for h in range(4)])
    assert torch.get_num_threads() == 3


def test_no_part_is_no_work() -> None:
    assert parts_of_threads(2, 0) == []
    on_threads(lambda part: pytest.fail("nothing to do"), [])
    assert [own.tolist() for own in collected(accumulators([], torch.ones(2)))] == [[0, 0]]


def test_sums_of_shares_are_collected() -> None:
    parts = [Part(0, 0, range(1)), Part(0, 1, range(1, 2))]
    sums = accumulators(parts, torch.ones(2, 3), torch.ones(4))
    assert [tuple(own.shape) for own in sums] == [(2, 2, 3), (2, 4)]
    for part in parts:
        sums[1][part.share] += part.share + 1
    assert collected(sums)[1].tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_apart_is_like_the_tensor_given_and_as_writable(dtype: torch.dtype) -> None:
    like = torch.ones(2, 3, 4, dtype=dtype).transpose(0, 2)
    made = empty_apart(like)
    assert (made.shape, made.dtype, made.is_contiguous()) == (like.shape, dtype, True)
    assert torch.equal(made.copy_(like), like)
    assert empty_apart(like[:0]).shape == (0, 3, 2)


@pytest.mark.parametrize("offset", [0.0, 300.0, -300.0])
def test_a_shift_changes_rows_by_a_factor_only(offset: float) -> None:
    scores = torch.randn(5, 20, generator=torch.Generator().manual_seed(0)) + offset
    shift = needs_shift(scores.abs().max())
    assert shift is (offset != 0)
    weights = exp2_(scores.clone(), shift=shift)
    expected = torch.softmax(scores.double() * torch.tensor(2.0).double().log(), dim=-1)
    torch.testing.assert_close(
        weights.double() / weights.double().sum(-1, keepdim=True), expected, rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_are_shifted(score: float) -> None:
    assert needs_shift(torch.tensor(score))
