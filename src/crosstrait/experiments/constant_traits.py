"""Traits that do not vary in what a split trains on: found before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from crosstrait.errors import SettingsError, listed
from crosstrait.experiments.plan import Run
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split


def check_traits_vary(
    runs: Sequence[Run], *, panel: Panel, splits: Sequence[Split], where: str
) -> None:
    """Refuse runs on a trait that has no two different values among their training samples.

    Each of them would fail, and without them no model of that trait could be ranked.

    Parameters
    ----------
    runs
        What is to be trained.
    panel, splits
        The data, and the splits by fold.
    where
        Where traits are chosen, for the message, such as ``in [data]``.

    Raises
    ------
    SettingsError
        If there is one; the message says which, where, and the traits that are left.
    """
    known = [str(name) for name in panel["trait_name"].values]
    found: dict[str, list[str]] = {}
    learned_in: dict[int, set[str]] = {}
    for run in runs:
        learned_in.setdefault(run.fold, set()).update(run.traits)
    for fold, learned in sorted(learned_in.items()):
        split = splits[fold]
        rows = split.rows(panel, "train")
        values = np.where(split.learnable(panel), panel["trait_value"].values, np.nan)[rows]
        for name, own in zip(known, values.T, strict=True):
            own = own[~np.isnan(own)]
            if name in learned and (own.size == 0 or (own == own[0]).all()):
                said = (
                    f"is {own[0]:g} in all {own.size} measured"
                    if own.size
                    else "is measured in none"
                )
                found.setdefault(name, []).append(
                    f"{said} of the {len(rows)} training samples of fold {fold} ({split.scheme})"
                )
    if not found:
        return
    wanted = {name for run in runs for name in run.traits}
    left = [name for name in known if name in wanted and name not in found]
    problems = [
        f"trait {name!r} {listed(places, most=2)}: nothing can be learned of it there"
        for name, places in found.items()
    ]
    if left:
        them = "it" if len(found) == 1 else "them"
        remedy = f"leave {them} out; {where} use: traits = {json.dumps(left, ensure_ascii=False)}"
    else:
        remedy = "no trait is left; use a split whose folds have samples that differ"
    own_traits = {
        run.label: None for run in runs if set(run.traits) < wanted and found.keys() & {*run.traits}
    }
    if left and own_traits:
        remedy += f", and leave {them} out of the traits of model {listed(own_traits)} too"
    raise SettingsError(f"{'; '.join(problems)}; {remedy}")
