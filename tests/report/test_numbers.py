"""Numbers are rounded honestly."""

from __future__ import annotations

import math

import pytest

from crosstrait.report.numbers import (
    ABSENT,
    MINUS,
    NO_BREAK,
    duration,
    fixed,
    interval_text,
    share,
    significant,
    spread,
    times,
)

NAN = math.nan


def test_what_is_absent_is_a_dash_and_never_a_number() -> None:
    values = [fixed(NAN), share(NAN), significant(NAN), duration(NAN), times(NAN), times(0.0)]
    assert {*values, interval_text(NAN, 1.0), fixed(math.inf)} == {ABSENT}
    assert spread(NAN) == ""


def test_a_value_that_rounds_to_zero_has_no_sign() -> None:
    assert fixed(-0.0004) == fixed(0.0004, sign=True) == "0.000"
    assert fixed(-0.0006) == f"{MINUS}0.001"
    assert fixed(0.0006, sign=True) == "+0.001"


def test_a_spread_is_zero_only_if_it_is() -> None:
    assert spread(0.0) == "± 0.000"
    assert spread(0.0004) == "± <0.001"
    assert spread(0.0006) == "± 0.001"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0994, "99 ms"),
        (0.996, "1.00 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "1 min 40 s"),
        (599.6, "10 min"),
        (3599.0, "1 h"),
        (86_400.0, "24 h"),
    ],
)
def test_durations_do_not_jump_at_a_change_of_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text.replace(" ", NO_BREAK)


def test_three_figures_keep_their_zeros() -> None:
    assert [significant(v) for v in (1.4, 0.0, 1234.0, -0.05)] == [
        "1.40",
        "0.00",
        "1.23e+03",
        f"{MINUS}0.0500",
    ]
