"""Why the ids of two files do not match: each likely cause is tried and its matches counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from crosstrait.errors import listed

_VOTERS = 200


def explain_mismatch(left: Sequence[str], right: Sequence[str], *, sides: tuple[str, str]) -> str:
    """Show ids of both sides and the rewriting under which most of them would match.

    Parameters
    ----------
    left, right
        The ids of the two sides.
    sides
        What to call the sides, such as ``("genotypes", "traits")``.

    Returns
    -------
    str
        One clause for an error message.

    Examples
    --------
    >>> explain_mismatch(["S1", "S2"], ["s1", "s2"], sides=("genotypes", "traits"))
    "genotypes have 'S1', 'S2'; traits have 's1', 's2'; ignoring case, 2 of them would match"
    """
    shown = "; ".join(
        f"{side} have {listed((repr(str(name)) for name in names), most=5)}"
        for side, names in zip(sides, (left, right), strict=True)
    )
    cause, n_matches = likely_cause(left, right, sides=sides)
    if n_matches == 0:
        return f"{shown}; no simple rewriting makes them match: are these of the same study?"
    return f"{shown}; {cause}, {n_matches} of them would match"


def likely_cause(
    left: Sequence[str], right: Sequence[str], *, sides: tuple[str, str]
) -> tuple[str, int]:
    """Return the rewriting under which most ids match, and how many then do."""
    best = ("", 0)
    for description, new_left, new_right in _rewritings(list(left), list(right), sides):
        n_matches = len(set(new_left) & set(new_right))
        if n_matches > best[1]:
            best = (description, n_matches)
    return best


def _rewritings(
    left: list[str], right: list[str], sides: tuple[str, str]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (description, left ids, right ids); simple causes first, as the first best wins."""
    for description, rewrite in _ON_BOTH.items():
        yield description, [rewrite(name) for name in left], [rewrite(name) for name in right]
    for k, (names, others) in enumerate(((left, right), (right, left))):
        for description, rewrite in _on_one(names, set(others), side=sides[k]):
            rewritten = [rewrite(name) for name in names]
            pair = (rewritten, right) if k == 0 else (left, rewritten)
            yield description, *pair


def _on_one(
    names: list[str], others: set[str], *, side: str
) -> Iterator[tuple[str, Callable[[str], str]]]:
    prefix = _affix(names, others, at_front=True)
    if prefix:
        yield f"without the prefix {prefix!r} in the {side}", lambda name: name.removeprefix(prefix)
    suffix = _affix(names, others, at_front=False)
    if suffix:
        yield f"without the suffix {suffix!r} in the {side}", lambda name: name.removesuffix(suffix)
    for pattern in (r"^[^_]*_", r"^.*_", r"^.*[\s:]"):
        yield f"without the family id in front in the {side}", partial(re.sub, pattern, "")


def _number_plain(name: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", re.sub(r"^(\d+)\.0+$", r"\1", name.strip()))


def _separators_alike(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "_", name.strip())


_ON_BOTH: dict[str, Callable[[str], str]] = {
    "without white space around them": str.strip,
    "ignoring case": str.casefold,
    "without leading zeros in numbers (7 for 007)": _number_plain,
    "taking space, '_', '-' and '.' as the same": _separators_alike,
    "ignoring case, separators and leading zeros": lambda name: _number_plain(
        _separators_alike(name).casefold()
    ),
}


def _affix(names: list[str], others: set[str], *, at_front: bool) -> str:
    """Return the prefix (or suffix) whose removal most often leads from a name to another."""
    votes: Counter[str] = Counter()
    for name in names[:: max(1, len(names) // _VOTERS)]:
        for cut in range(1, len(name)):
            kept, dropped = (name[cut:], name[:cut]) if at_front else (name[:cut], name[cut:])
            if kept in others:
                votes[dropped] += 1
    return max(votes, key=lambda affix: (votes[affix], len(affix)), default="")
