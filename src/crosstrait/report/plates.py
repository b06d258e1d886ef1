"""The figures with their captions; one whose data a run has not produced is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from crosstrait.evaluation.leaderboard import MEAN, leaderboard_rows
from crosstrait.evaluation.trait_correlation import trait_correlations
from crosstrait.report.answer import Answer
from crosstrait.report.curves import best_epoch, learning_curves
from crosstrait.report.figures import any_beyond, r2_by_trait, trait_differences
from crosstrait.report.folder import RunRecord
from crosstrait.report.frontier import frontier
from crosstrait.report.maps import missing_map, observed_against_predicted, trait_correlation_map
from crosstrait.report.numbers import count, fixed, share
from crosstrait.report.reference import known_traits
from crosstrait.report.style import MM
from crosstrait.report.svg import inline_svg

PAGE_MM = 300.0
"""The widest that a page has room for."""

_PIXELS_A_MM = 96 * MM
_MOST_STOPS = 8


class Draw(Protocol):
    """What draws a figure of a given width, text and lines staying as large as they are."""

    def __call__(self, *, width_mm: float) -> Figure:
        """Return the figure."""


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A figure and what is said of it, for a page and for a paper.

    Attributes
    ----------
    name
        Unique in a page.
    title
        What it is, in a few words.
    caption
        What it shows and how to read it.
    width_mm
        The width that suits its contents; a page shows it so.
    draw
        Draws it at another width.
    """

    name: str
    title: str
    caption: str
    width_mm: float
    draw: Draw

    @cached_property
    def svg(self) -> Markup:
        """The figure, safe to insert into a page."""
        figure = self.draw(width_mm=self.width_mm)
        svg = inline_svg(figure, name=self.name, title=self.title, description=self.caption)
        return Markup(svg)

    @property
    def width_px(self) -> int:
        """Its width in a page; wider than the window, it scrolls rather than shrinks to nothing."""
        return round(self.width_mm * _PIXELS_A_MM)


def scores_plate(
    leaderboard: pd.DataFrame,
    *,
    units: str,
    drawn: str = "the test samples",
    colours: Mapping[str, str] | None = None,
) -> Plate:
    """Draw R2 by trait, with published values where the traits have the same names.

    ``units`` names what the SD is over, ``drawn`` what a resample consists of.
    """
    rows = [row for row in leaderboard_rows(leaderboard, metric="r2") if row.trait != MEAN]
    published = known_traits(leaderboard)
    bars = (
        f"the SD over {units}"
        if any(np.isfinite(row.sd) for row in rows)
        else f"the 95 % interval under resampling of {drawn}"
    )
    caption = f"R² on the test cells by trait and model; thin lines are {bars}."
    if any_beyond(rows):
        caption += " An arrowhead marks one that goes on below the axis."
    own = {row.model for row in rows}
    if published is not None and own & set(published["model"]):
        caption += (
            " Lines across bars are published values: other test samples, and partly another rule "
            "for missing traits, so a reference and no paired comparison."
        )
    n_bars = len({row.trait for row in rows}) * (len(own) + 1)
    return Plate(
        name="scores",
        title="R² by trait",
        caption=caption,
        width_mm=min(PAGE_MM, max(90.0, 16 + 7.0 * n_bars)),
        draw=partial(r2_by_trait, leaderboard, published=published, colours=colours),
    )


def difference_plates(comparison: pd.DataFrame, *, answer: Answer, colour: str) -> list[Plate]:
    """Draw the best model's gain on each trait over the runner-up and over ridge."""
    if answer.best is None or len(answer.traits) < 2:
        return []
    leads = {row.other: row for row in (answer.over_runner_up, answer.over_baseline) if row}
    plates = []
    for k, other in enumerate(leads):
        draw = partial(
            trait_differences, comparison, model=answer.best.model, other=other, colour=colour
        )
        caption = (
            f"R² of {answer.best.model} minus R² of {other} on each trait, with the 95 % interval "
            f"of the paired difference; a hollow point is a difference that may be zero."
        )
        plates.append(
            Plate(
                name=f"difference-{k}",
                title=f"{answer.best.model} against {other}",
                caption=caption,
                width_mm=PAGE_MM,
                draw=draw,
            )
        )
    return plates


def frontier_plate(
    leaderboard: pd.DataFrame, *, colours: Mapping[str, str] | None = None
) -> Plate | None:
    """Draw mean R2 against training time."""
    rows = leaderboard_rows(leaderboard, metric="r2")
    timed = [r for r in rows if r.trait == MEAN and np.isfinite(r.mean) and r.train_seconds > 0]
    if len(timed) < 2:
        return None
    caption = (
        "R² (with its 95 % interval) against the time of one training, on a logarithmic "
        "scale. The line joins the models that no cheaper model beats; their names are bold."
    )
    return Plate(
        name="frontier",
        title="Accuracy against training time",
        caption=caption,
        width_mm=200,
        draw=partial(frontier, leaderboard, colours=colours),
    )


def density_plate(cells: pd.DataFrame, *, model: str, traits: list[str]) -> Plate:
    """Draw observed against predicted values of the best model."""
    caption = (
        f"Test samples of each trait, observed against predicted by {model} (mean over "
        f"replicates), in SD of the trait about its mean; the stronger the colour, the more "
        f"samples. On the line, both are equal; predictions vary less than observations, as they "
        f"should."
    )
    panel_mm = 70.0 if len(traits) <= 3 else 44.0
    return Plate(
        name="density",
        title="Observed against predicted",
        caption=caption,
        width_mm=min(PAGE_MM, 10 + panel_mm * len(traits)),
        draw=partial(observed_against_predicted, cells, model=model, traits=traits),
    )


def curves_plate(runs: tuple[RunRecord, ...], *, colours: dict[str, str]) -> Plate | None:
    """Draw the learning curves of the networks."""
    histories: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        for _, member in run.history.groupby("member", sort=False):
            histories.setdefault(run.model, []).append(member)
    if not histories:
        return None
    stops = [
        f"{model}: epoch {_span([best_epoch(t)[0] for t in tables])} "
        f"of {_span([int(t['epoch'].max()) for t in tables])}"
        for model, tables in histories.items()
        if all(table["val_loss"].notna().any() for table in tables)
    ]
    caption = (
        "Mean squared error by epoch, a curve a network (of more than twelve, their median and "
        "middle 80 %), on validation samples (solid) and in training (dashed). Each network is "
        "scored as it was at its best epoch."
    )
    if 0 < len(stops) <= _MOST_STOPS:
        caption += f" Best epochs: {'; '.join(stops)}."
    return Plate(
        name="curves",
        title="Learning curves",
        caption=caption,
        width_mm=min(PAGE_MM, 92.0 * len(histories)),
        draw=partial(learning_curves, histories, colours=colours),
    )


def missing_plate(cells: pd.DataFrame, *, model: str, traits: list[str]) -> Plate | None:
    """Draw which test cells have no measurement."""
    measured = _measured(cells[cells["model"] == model], traits=traits)
    if measured.all():
        return None
    full = int(measured.all(axis=1).sum())
    caption = (
        f"Test cells without a measurement: {share(float(1 - measured.mean()))} of "
        f"{count(measured.size)}. Of {count(len(measured))} samples with a measurement "
        f"{count(full)} have every trait; a rule that drops incomplete samples would keep only "
        f"these."
    )
    return Plate(
        name="missing",
        title="Missing trait values",
        caption=caption,
        width_mm=180,
        draw=partial(missing_map, measured, traits=traits),
    )


def _measured(cells: pd.DataFrame, *, traits: list[str]) -> NDArray[np.bool_]:
    """Return (samples, traits) which cells one model was scored on."""
    first = cells[cells["replicate"] == cells["replicate"].min()]
    sample, _ = pd.factorize(first["sample"].astype(str))
    column = first["trait"].astype(str).map({t: j for j, t in enumerate(traits)}).to_numpy()
    measured = np.zeros((sample.max() + 1, len(traits)), dtype=bool)
    measured[sample, column] = True
    return measured


def correlation_plate(cells: pd.DataFrame, *, model: str) -> Plate | None:
    """Draw correlations between traits, observed and predicted."""
    observed, predicted = trait_correlations(cells, model=model)
    if len(observed) < 2:
        return None
    off = ~np.eye(len(observed), dtype=bool)
    strength = [float(np.nanmean(np.abs(r.to_numpy()[off]))) for r in (observed, predicted)]
    caption = (
        f"Pearson correlations between traits over the test samples, as observed (below the "
        f"diagonal, mean |r| {fixed(strength[0], digits=2)}) and as predicted by {model} (above, "
        f"{fixed(strength[1], digits=2)}). Predictions carry no measurement noise, so those of a "
        f"good model may correlate more strongly than the measurements do."
    )
    return Plate(
        name="correlations",
        title="Trait correlations",
        caption=caption,
        width_mm=min(200.0, 45 + max(50.0, 8.0 * len(observed))),
        draw=partial(trait_correlation_map, observed, predicted),
    )


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
