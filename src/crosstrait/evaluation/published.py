"""Published test R2 on the 18 environments of the 2022 yeast cross, to show beside one's own.

They were measured on other test samples than a run's own, and partly under another rule for
missing traits, so they are a reference and never part of a paired comparison.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_TRAITS = "23C 25C 27C 30C 33C 35C 37C cu suloc ynb eth gu li mann mol raff sds 4NQO"
_RIJAL = ("Rijal et al. 2025, Fig. 3 (read off the figure)", "10.1101/2025.04.11.648465")
_ARCADIA = "Arcadia Science 2025, cross-trait learning with a canonical transformer"

# model, source, doi of the article ("" where it has none), rule for missing traits, scores
_ROWS = (
    (
        "rijal",
        *_RIJAL,
        "a sample without the trait is dropped",
        ".612 .621 .632 .609 .615 .582 .566 .610 .638 .487 .604 .566 .630 .600 .618 .653 .630 .609",
    ),
    (
        "canonical",
        _ARCADIA,
        "",
        "complete cases: a sample without any one trait is dropped",
        ".633 .645 .652 .640 .644 .594 .589 .626 .640 .488 .613 .548 .632 .596 .602 .658 .644 .608",
    ),
    (
        "transformer",
        _ARCADIA,
        "",
        "complete cases: a sample without any one trait is dropped",
        ".636 .646 .654 .638 .645 .604 .599 .626 .643 .499 .609 .562 .634 .604 .612 .659 .644 .621",
    ),
)


# The article's table: model, source, doi, mean and SD over replicates of the mean R2 over 18
# traits, replicates, seconds of a training on one A10G (of rijal: 18 networks of 9,300 s).
_TABLE_1 = (
    ("rijal", *_RIJAL, 0.605, np.nan, 1, np.nan),
    ("rijal", f"{_ARCADIA}: its reproduction", "", 0.605, np.nan, 1, 18 * 9_300.0),
    ("canonical", _ARCADIA, "", 0.614, 0.002, 5, 5_500.0),
    ("transformer", _ARCADIA, "", 0.619, 0.002, 5, 24_200.0),
)


def published_means() -> pd.DataFrame:
    """Return the published test R2 averaged over the 18 traits, and what it cost.

    Returns
    -------
    pandas.DataFrame
        Columns ``model`` (as registered here), ``source``, ``doi``, ``r2``, ``sd`` over
        replicates (NaN where there was one), ``n_replicates``, ``train_seconds`` of one replicate
        on an A10G (NaN where not published).
    """
    names = ["model", "source", "doi", "r2", "sd", "n_replicates", "train_seconds"]
    return pd.DataFrame(list(_TABLE_1), columns=names)


def published_r2() -> pd.DataFrame:
    """Return the published test R2 by model and trait.

    Returns
    -------
    pandas.DataFrame
        Columns ``model`` (as registered here), ``trait``, ``r2``, ``n_replicates``, ``source``,
        ``doi`` (empty where the source has none) and ``missing_rule``; traits in the articles'
        order.
    """
    rows = [
        (model, trait, float(value), 1 if model == "rijal" else 5, source, doi, rule)
        for model, source, doi, rule, values in _ROWS
        for trait, value in zip(_TRAITS.split(), values.split(), strict=True)
    ]
    names = ["model", "trait", "r2", "n_replicates", "source", "doi", "missing_rule"]
    return pd.DataFrame(rows, columns=names)
