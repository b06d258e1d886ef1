"""Whether intervals hold what they promise, and how much noise there is: the section's parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from crosstrait.evaluation.ceiling import STANDARD_ERRORS, above_ceiling
from crosstrait.evaluation.leaderboard import MEAN
from crosstrait.report.numbers import MINUS, fixed, share
from crosstrait.report.plates import Plate
from crosstrait.report.style import FONT_POINTS, INK, MUTED, figure_style, light_grid, new_figure
from crosstrait.report.svg import TIP

SURELY_ABOVE = "the standard errors overstate the noise, or something leaked"
PERHAPS_ABOVE = "within what the sampling of the test cells explains"
"""What is said of a model above the noise ceiling, surely so or not."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How one model's intervals did.

    Attributes
    ----------
    by_level
        Nominal level -> share of the test cells in the intervals, the mean over traits.
    worst
        Largest distance of a trait's coverage from its nominal level, and that trait.
    """

    model: str
    by_level: Mapping[float, float]
    worst: tuple[float, str]

    @property
    def worst_text(self) -> str:
        """The worst trait in words."""
        off, trait = self.worst
        return f"{trait}, {fixed(100 * off, digits=1)} points"


def coverages(table: pd.DataFrame) -> list[Coverage]:
    """Return a line a model of the table of `crosstrait.evaluation.calibration`."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        means = rows[rows["trait"] == MEAN]
        traits = rows[rows["trait"] != MEAN]
        off = (traits["coverage"] - traits["level"]).abs().to_numpy()
        at = int(off.argmax())
        lines.append(
            Coverage(
                model=str(model),
                by_level=dict(zip(means["level"], means["coverage"], strict=True)),
                worst=(float(off[at]), str(traits["trait"].iloc[at])),
            )
        )
    return lines


def calibration_plate(table: pd.DataFrame, *, colours: Mapping[str, str]) -> Plate | None:
    """Draw the coverage of intervals against their nominal level."""
    if table.empty:
        return None
    caption = (
        "Share of the test cells that lie in their predictive intervals, minus the share that "
        "should, a panel a level: a line is the mean over traits, each dot a trait. Right of "
        "zero intervals are wider than they need to be, left of it they promise too much."
    )
    return Plate(
        name="calibration",
        title="Coverage of predictive intervals",
        caption=caption,
        width_mm=180,
        draw=partial(coverage_errors, table, colours=colours),
    )


def coverage_errors(
    table: pd.DataFrame, *, colours: Mapping[str, str], width_mm: float = 180
) -> Figure:
    """Draw coverage minus nominal level of each trait and of the mean, a panel a level."""
    place = {model: k for k, model in enumerate(colours)}  # the leaderboard's order
    models = sorted(dict.fromkeys(table["model"]), key=lambda name: place.get(name, len(place)))
    levels = sorted(table["level"].unique())
    with figure_style():
        beside = width_mm >= 45 * len(levels)
        rows, columns = (1, len(levels)) if beside else (len(levels), 1)
        height = rows * (10 + 6.5 * len(models) * (1 if beside else 0.75)) + 10
        figure = new_figure(width_mm=width_mm, height_mm=height)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, level in zip(grid, levels, strict=True):
            light_grid(axes, axis="x")
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_title(f"{level:.0%} intervals", loc="left", fontweight="bold")
            for y, model in enumerate(models):
                own = table[(table["model"] == model) & (table["level"] == level)]
                colour = colours.get(model, INK)
                for trait, coverage in zip(own["trait"], own["coverage"], strict=True):
                    is_mean = trait == MEAN
                    (point,) = axes.plot(
                        [100 * (coverage - level)],
                        [-y],
                        "|" if is_mean else "o",
                        color=colour,
                        markersize=13 if is_mean else 3,
                        markeredgewidth=2.2 if is_mean else 0,
                        alpha=1.0 if is_mean else 0.45,
                    )
                    point.set_gid(f"{TIP}{model}, {trait}: {share(coverage)}")
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        grid[0].set_yticks([-y for y in range(len(models))], models)
        grid[0].set_ylim(-len(models) + 0.4, 0.6)
        for axes in grid:
            axes.axvspan(-3, 3, color=MUTED, alpha=0.08, linewidth=0)
        figure.supxlabel(f"coverage {MINUS} level (percentage points)", fontsize=FONT_POINTS)
    return figure


@dataclass(frozen=True, kw_only=True)
class NoiseLine:
    """The noise of a trait, as standard errors and models put it.

    Attributes
    ----------
    shares
        Source -> share of the observed variance.
    exceeded, perhaps
        Models whose R2 exceeds the ceiling of the standard errors, surely or within what the
        sampling of the test cells explains.
    """

    trait: str
    shares: Mapping[str, float]
    exceeded: tuple[str, ...]
    perhaps: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What the numbers say of the standard errors."""
        if self.exceeded:
            return (
                f"{', '.join(self.exceeded)} exceed{'s' * (len(self.exceeded) == 1)} the ceiling: "
                f"{SURELY_ABOVE}"
            )
        if self.perhaps:
            return (
                f"{', '.join(self.perhaps)} exceed{'s' * (len(self.perhaps) == 1)} the ceiling, "
                f"but {PERHAPS_ABOVE}"
            )
        claimed = self.shares.get(STANDARD_ERRORS)
        smaller = [
            f"{model} finds {share(found)}"
            for model, found in self.shares.items()
            if claimed is not None and model != STANDARD_ERRORS and found < claimed
        ]
        return f"may overstate the noise: {', '.join(smaller)}" if smaller else ""


def noise_lines(table: pd.DataFrame, *, leaderboard: pd.DataFrame) -> list[NoiseLine]:
    """Return a line a trait of the table of `crosstrait.evaluation.ceiling.noise_table`."""
    above = above_ceiling(leaderboard)
    surely, perhaps = above[above["sure"]], above[~above["sure"]]
    return [
        NoiseLine(
            trait=str(trait),
            shares=dict(zip(rows["source"], rows["noise_share"], strict=True)),
            exceeded=tuple(surely.loc[surely["trait"] == trait, "model"]),
            perhaps=tuple(perhaps.loc[perhaps["trait"] == trait, "model"]),
        )
        for trait, rows in table.groupby("trait", sort=False)
    ]
