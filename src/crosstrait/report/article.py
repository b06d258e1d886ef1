"""The article's figures 1 to 3, of any runs: published values beside one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.evaluation.published import published_r2
from crosstrait.report.figures import r2_by_trait
from crosstrait.report.folder import RunFolder
from crosstrait.report.plates import Plate
from crosstrait.report.style import model_colours

SOURCE = "Rijal et al. 2025"
"""Whose published values are the source of all three figures."""

_SOURCE_COLOUR = "#aab3bf"

ARTICLE: Mapping[str, tuple[str, ...]] = {
    "fig1": ("rijal",),
    "fig2": ("canonical",),
    "fig3": ("canonical", "transformer"),
}
"""Figure -> the models that it shows beside the source; ``experiments/published`` trains them."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """A model of a folder in a figure.

    Attributes
    ----------
    kind
        What it is, as registered.
    rows
        Its R2 by trait.
    """

    model: str
    kind: str
    rows: tuple[LeaderboardRow, ...]


def article_plate(name: str, folders: Sequence[RunFolder], *, models: Sequence[str] = ()) -> Plate:
    """Draw one of the article's figures from finished runs.

    Parameters
    ----------
    name
        A key of `ARTICLE`.
    folders
        Experiments or single runs; a model is taken from whichever has it.
    models
        Models to show in place of the figure's own.

    Raises
    ------
    DataError
        If no folder has a model of the figure, or two have one of the same name.
    """
    roles = _find(name, folders, models)
    own = [row for role in roles for row in role.rows]
    published = published_r2()
    traits = set(published["trait"]) & {row.trait for row in own}
    order = [trait for trait in dict.fromkeys(published["trait"]) if trait in traits]
    order += [trait for trait in dict.fromkeys(row.trait for row in own) if trait not in traits]
    at = published[published["trait"].isin(traits)]
    nan = math.nan
    source = [
        LeaderboardRow(SOURCE, str(trait), "r2", float(r2), nan, nan, nan, 1, 0, nan)
        for model, trait, r2 in zip(at["model"], at["trait"], at["r2"], strict=True)
        if model == "rijal"
    ]
    names = [role.model for role in roles]
    marks = pd.concat([at[at["model"] == role.kind].assign(model=role.model) for role in roles])
    marks = marks[marks["model"].isin(role.model for role in roles if role.kind != "rijal")]
    draw = partial(
        r2_by_trait,
        pd.DataFrame([*source, *own]),
        published=marks,
        traits=order,
        colours={SOURCE: _SOURCE_COLOUR, **model_colours(names)},
    )
    n_bars = len(order) * (len(roles) + 2)
    return Plate(
        name=name,
        title=f"R² by trait: {', '.join([*([SOURCE] if source else []), *names])}",
        caption=_caption(roles, with_source=bool(source), with_marks=bool(len(marks))),
        width_mm=min(180.0, max(85.0, 16 + 4.0 * n_bars)),
        draw=draw,
    )


def _caption(roles: Sequence[Role], *, with_source: bool, with_marks: bool) -> str:
    with_sd = any(math.isfinite(row.sd) for role in roles for row in role.rows)
    bars = "the SD over replicates" if with_sd else "95 % intervals under resampling of the samples"
    caption = f"R² on the test cells by trait; thin lines are {bars}."
    if with_source:
        caption += f" Grey: the values of {SOURCE}, read off their Fig. 3."
    if with_marks:
        caption += " Lines across bars: the article's own values."
    if with_source or with_marks:
        caption += " Published values are of other test samples: a reference, no paired comparison."
    return caption


def _find(name: str, folders: Sequence[RunFolder], models: Sequence[str]) -> list[Role]:
    there: dict[str, Role] = {}
    for folder in folders:
        for role in _roles(folder):
            if role.model in there:
                raise DataError(
                    f"model {role.model!r} is in {folder.path} and in a folder before it; give "
                    f"folders whose models have different names"
                )
            there[role.model] = role
    for model in models:
        if model not in there:
            raise SettingsError(unknown("model", model, there))
    if models:
        return [there[model] for model in models]
    wanted = ARTICLE[name]
    found = [
        role
        for kind in wanted
        for role in ([there[kind]] if kind in there else _of_kind(kind, there))
    ]
    if not found:
        raise DataError(
            f"{listed(folder.path for folder in folders)} holds no {' and no '.join(wanted)} model "
            f"with scores, which figure {name!r} shows; name others with --model, of: "
            f"{listed(there, most=20)}"
        )
    return found


def _of_kind(kind: str, there: Mapping[str, Role]) -> list[Role]:
    return [role for role in there.values() if role.kind == kind]


def _roles(folder: RunFolder) -> list[Role]:
    kinds = _kinds(folder)
    by_model: dict[str, list[LeaderboardRow]] = {}
    for row in leaderboard_rows(folder.leaderboard, metric="r2"):
        if row.trait != MEAN and math.isfinite(row.mean):
            by_model.setdefault(row.model, []).append(row)
    return [
        Role(model=model, kind=kinds.get(model, model), rows=tuple(rows))
        for model, rows in by_model.items()
    ]


def _kinds(folder: RunFolder) -> dict[str, str]:
    """Return label -> registered name, as the folder's settings tell."""
    settings = folder.experiment.get("experiment", {})
    kinds = {
        str(model["label"]): str(model["config"]["type"]) for model in settings.get("models", [])
    }
    runs = folder.experiment.get("runs", [])
    if "type" in settings.get("model", {}) and len(runs) == 1:
        kinds[str(runs[0]["model"])] = str(settings["model"]["type"])
    return kinds
