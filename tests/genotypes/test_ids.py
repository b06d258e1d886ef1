"""The likely cause of a mismatch is found by trying it."""

from __future__ import annotations

import pytest

from crosstrait.genotypes.ids import explain_mismatch, likely_cause

SIDES = ("genotypes", "traits")
PLAIN = [f"line{i}" for i in range(1, 13)]
NUMBERS = [str(i) for i in range(1, 13)]


@pytest.mark.parametrize(
    ("left", "right", "cause"),
    [
        (PLAIN, [name.upper() for name in PLAIN], "ignoring case"),
        (PLAIN, [f" {name}" for name in PLAIN], "white space"),
        (NUMBERS, [f"{i:03d}" for i in range(1, 13)], "leading zeros"),
        (NUMBERS, [f"{i}.0" for i in range(1, 13)], "leading zeros"),
        ([f"A-{i}" for i in NUMBERS], [f"A_{i}" for i in NUMBERS], "as the same"),
        (PLAIN, [f"S_{name}" for name in PLAIN], "prefix 'S_' in the traits"),
        ([f"S{i}" for i in NUMBERS], NUMBERS, "prefix 'S' in the genotypes"),
        ([f"{name}.bam" for name in PLAIN], PLAIN, "suffix '.bam' in the genotypes"),
        ([f"{name}_{name}" for name in PLAIN], PLAIN, "family id in front in the genotypes"),
        (PLAIN, [f"FAM{i} {name}" for i, name in enumerate(PLAIN)], "family id"),
        ([f"F{i % 5}_{name}" for i, name in enumerate(PLAIN)], PLAIN, "family id"),
        ([f"Line-{i:02d}" for i in range(1, 13)], [f"line_{i}" for i in NUMBERS], "ignoring case"),
    ],
)
def test_each_cause_is_named_with_all_its_matches(
    left: list[str], right: list[str], cause: str
) -> None:
    found, n_matches = likely_cause(left, right, sides=SIDES)
    assert cause in found
    assert n_matches == 12


def test_five_ids_of_each_side_are_shown() -> None:
    message = explain_mismatch(PLAIN, [name.upper() for name in PLAIN], sides=SIDES)
    assert message == (
        "genotypes have 'line1', 'line2', 'line3', 'line4', 'line5' and 7 more; "
        "traits have 'LINE1', 'LINE2', 'LINE3', 'LINE4', 'LINE5' and 7 more; "
        "ignoring case, 12 of them would match"
    )


def test_unlike_ids_get_no_cause() -> None:
    assert likely_cause(["alpha", "beta"], ["x1", "y2"], sides=SIDES) == ("", 0)
    message = explain_mismatch(["alpha", "beta"], ["x1", "y2"], sides=SIDES)
    assert "no simple rewriting" in message


def test_a_cause_that_explains_more_wins_over_a_simpler_one() -> None:
    left = ["a1", "S-b2", "S-c3", "S-d4"]
    found, n_matches = likely_cause(left, ["A1", "b2", "c3", "d4"], sides=SIDES)
    assert "prefix 'S-'" in found
    assert n_matches == 3
