"""The sentences that open sections: what a figure says, in its numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow
from crosstrait.report.numbers import count, duration, fixed, listed
from crosstrait.report.scopes import Gain
from crosstrait.report.standings import Standing

_CHEAPER = 0.8  # of the time: what is worth a sentence


def wins_text(rows: Sequence[LeaderboardRow]) -> str:
    """Return which models have the highest R2 on how many traits; "" for one model or trait."""
    best: dict[str, LeaderboardRow] = {}
    for row in rows:
        known = row.trait != MEAN and math.isfinite(row.mean)
        if known and (row.trait not in best or row.mean > best[row.trait].mean):
            best[row.trait] = row
    scored = {row.model for row in rows if math.isfinite(row.mean)}
    if len(best) < 2 or len(scored) < 2:
        return ""
    (first, most), *others = Counter(row.model for row in best.values()).most_common()
    text = f"{first} has the highest R² on {count(most)} of {count(len(best))} traits"
    if others:
        text += f"; {', '.join(f'{model} on {n}' for model, n in others)}"
    return f"{text}."


def bargain_text(lines: Sequence[Standing]) -> str:
    """Return what the best cheaper model gives up, and what it saves; "" where none is cheaper."""
    ranked = [line for line in lines if line.rank and line.train_seconds > 0]
    if not ranked or ranked[0].rank != 1:
        return ""
    best = ranked[0]
    if len(ranked) > 1 and best.train_seconds <= min(line.train_seconds for line in ranked):
        return f"{best.model} is the best and the cheapest."
    cheaper = [line for line in ranked[1:] if line.train_seconds < _CHEAPER * best.train_seconds]
    if not cheaper:
        return ""
    other = max(cheaper, key=lambda line: line.r2)
    hardly = [line for line in ranked[1:] if line.train_seconds < best.train_seconds]
    which = "The best of the cheaper models"
    if any(line.r2 > other.r2 for line in hardly):
        saved = f"{100 * (1 - _CHEAPER):.0f}\u00a0%"
        which = f"The best of the models that are more than {saved} cheaper"
    lost = fixed(best.r2 - other.r2)
    gives = f"has {lost} less R² than" if float(lost) else "has the R² of"
    return (
        f"{which}, {other.model}, {gives} {best.model} and takes "
        f"{duration(other.train_seconds)} instead of {duration(best.train_seconds)}."
    )


def scopes_text(found: Sequence[Gain]) -> str:
    """Return which models learning across traits surely helps, and which it hurts."""
    kinds = {
        "helps": [gain for gain in found if gain.mean.ci_low > 0],
        "hurts": [gain for gain in found if gain.mean.ci_high < 0],
        "makes no sure difference for": [
            gain for gain in found if gain.mean.ci_low <= 0 <= gain.mean.ci_high
        ],
    }
    parts = [
        f"{verb} {listed([_with_gain(gain) for gain in some], most=len(some))}"
        for verb, some in kinds.items()
        if some
    ]
    return f"On average over traits it {', '.join(parts)}." if parts else ""


def _with_gain(gain: Gain) -> str:
    return f"{gain.mean.model} ({fixed(gain.mean.difference, sign=True)})"
