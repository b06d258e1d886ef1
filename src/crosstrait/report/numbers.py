"""Numbers as people read them, rounded no finer than they are known."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

MINUS = "\u2212"
PLUS_MINUS = "\u00b1"
ABSENT = "\u2014"
NO_BREAK = "\u00a0"
THIN = "\u202f"


def fixed(value: float, *, digits: int = 3, sign: bool = False) -> str:
    """Return ``value`` with ``digits`` decimals, a true minus, and a dash where it is absent.

    Examples
    --------
    >>> fixed(0.40249), fixed(-0.5, digits=1) == MINUS + "0.5"
    ('0.402', True)
    >>> fixed(0.0071, sign=True)
    '+0.007'
    """
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def spread(sd: float, *, digits: int = 3) -> str:
    """Return "± sd", never a zero that was merely rounded.

    Examples
    --------
    >>> spread(0.0021), spread(0.0001), spread(0.0)
    ('± 0.002', '± <0.001', '± 0.000')
    """
    if not math.isfinite(sd):
        return ""
    smallest = 10.0**-digits
    text = f"<{smallest:.{digits}f}" if 0 < sd < smallest / 2 else f"{sd:.{digits}f}"
    return f"{PLUS_MINUS} {text}"


def interval_text(low: float, high: float, *, digits: int = 3, sign: bool = False) -> str:
    """Return "low to high", a dash where there is no interval.

    Examples
    --------
    >>> interval_text(0.0012, 0.004)
    '0.001 to 0.004'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ABSENT
    return f"{fixed(low, digits=digits, sign=sign)} to {fixed(high, digits=digits, sign=sign)}"


def digits_of(low: float, high: float) -> int:
    """Return how many decimals a difference needs so that its interval is not rounded away.

    Examples
    --------
    >>> digits_of(0.004, 0.016), digits_of(-0.0001, 0.0014)
    (3, 4)
    """
    return 4 if high - low < 0.003 else 3


def listed(names: Sequence[str], *, most: int = 3, joint: str = "and") -> str:
    """Return names as a sentence has them, the last of many counted.

    Examples
    --------
    >>> listed(["gp"]), listed(["gp", "trees"], joint="or"), listed(["a", "b", "c", "d", "e"])
    ('gp', 'gp or trees', 'a, b and 3 more')
    """
    shown = list(names) if len(names) <= most else list(names[: most - 1])
    if len(shown) < len(names):
        return f"{', '.join(shown)} {joint} {len(names) - len(shown)} more"
    return f" {joint} ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)


def share(value: float) -> str:
    """Return a fraction as a percentage.

    Examples
    --------
    >>> share(0.0523) == "5.2" + NO_BREAK + "%"
    True
    """
    return ABSENT if not math.isfinite(value) else f"{fixed(100 * value, digits=1)}{NO_BREAK}%"


def significant(value: float) -> str:
    """Return ``value`` to three figures.

    Examples
    --------
    >>> significant(1.4), significant(123.4), significant(0.00512)
    ('1.40', '123', '0.00512')
    """
    return f"{value:#.3g}".rstrip(".").replace("-", MINUS) if math.isfinite(value) else ABSENT


def count(value: float) -> str:
    """Return a whole number with thin no-break spaces between thousands.

    Examples
    --------
    >>> count(44062) == "44" + THIN + "062"
    True
    """
    return f"{int(value):,}".replace(",", THIN)


def spaced(text: str) -> str:
    """Return a sentence with its thousands written as `count` does.

    Examples
    --------
    >>> spaced("43,946 of 46,368 cells, 3,4") == f"43{THIN}946 of 46{THIN}368 cells, 3,4"
    True
    """
    return re.sub(r"(?<=\d),(?=\d{3}\b)", THIN, text)


def duration(seconds: float) -> str:
    """Return a time to two or three figures in the unit that suits it.

    Examples
    --------
    >>> [duration(t).replace(NO_BREAK, " ") for t in (0.0031, 0.42, 7.25, 83, 119.7, 600, 5400)]
    ['3 ms', '0.42 s', '7.2 s', '83 s', '2 min', '10 min', '1 h 30 min']
    """
    if not math.isfinite(seconds):
        return ABSENT
    if seconds < 0.1:
        text = f"{seconds * 1000:.0f} ms"
    elif seconds < 1:
        text = f"{seconds:.2f} s"
    elif seconds < 9.95:
        text = f"{seconds:.1f} s"
    elif seconds < 99.5:
        text = f"{seconds:.0f} s"
    elif seconds < 599.5:
        text = _two_units(round(seconds), "min", "s")
    else:
        text = _two_units(round(seconds / 60), "h", "min")
    return text.replace(" ", NO_BREAK)


def _two_units(small: int, large_unit: str, small_unit: str) -> str:
    large, rest = divmod(small, 60)
    parts = [f"{large} {large_unit}"] if large else []
    return " ".join([*parts, *([f"{rest} {small_unit}"] if rest else [])])


def times(ratio: float) -> str:
    """Return how many times as much, to two figures.

    Examples
    --------
    >>> times(1.04), times(37.4), times(314.0), times(0.031)
    ('1.0', '37', '310', '0.031')
    """
    if not (math.isfinite(ratio) and ratio > 0):
        return ABSENT
    if 1 <= ratio < 10:
        return f"{ratio:.1f}"
    digits = max(0, 1 - math.floor(math.log10(ratio)))
    rounded = round(ratio, 1 - math.floor(math.log10(ratio)))
    return count(rounded) if ratio >= 10 else f"{rounded:.{digits}f}"
