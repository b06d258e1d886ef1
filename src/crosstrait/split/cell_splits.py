"""Splits of cells: traits to predict in samples whose other traits are learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import SettingsError
from crosstrait.panel.schema import Panel, check_panel
from crosstrait.split.manifest import Cells, Split

Mask = NDArray[np.bool_]


def cells(panel: Panel, *, test: float = 0.2, validation: float = 0.1, seed: int = 0) -> Split:
    """Hold out a random share of the measured cells, of samples that all learn (CV2).

    Every sample keeps at least one measured trait to learn from.

    Parameters
    ----------
    panel
        The panel to split.
    test
        Share of the measured cells that is held out, in (0, 1).
    validation
        Share of all samples that validates, in [0, 1).
    seed
        Of the samples' order and of the cells.

    Raises
    ------
    SettingsError
        If a share is out of range, or leaves a part empty.

    References
    ----------
    Burgueno, de los Campos, Weigel and Crossa 2012, Crop Science 52:707 (CV1 and CV2).
    """
    check_panel(panel)
    if not 0 < test < 1:
        raise SettingsError(f"test = {test!r} is a share of all cells and must lie between 0 and 1")
    ids = panel["sample_id"].values
    n_validation = 0 if validation == 0 else round(validation * len(ids))
    if not 0 <= n_validation <= len(ids) - 2 or (validation and not n_validation):
        raise SettingsError(
            f"validation = {validation!r} of {len(ids)} samples must be at least one sample and "
            f"leave two to train on"
        )
    order = np.random.default_rng(seed).permutation(len(ids))
    measured = ~np.isnan(panel["trait_value"].values)
    held = _draw(measured, share=test, seed=(seed, 0))
    if not held.any():
        raise SettingsError(
            f"test = {test!r} of the measured cells is none, as every sample keeps a trait to "
            f"learn from: a split of cells needs samples with several measured traits"
        )
    n_train = len(ids) - n_validation
    return Split(
        train=tuple(ids[order[:n_train]].tolist()),
        validation=tuple(ids[order[n_train:]].tolist()),
        test=(),
        test_cells=_named(held, panel),
        scheme="cells",
    )


def hide(split: Split, panel: Panel, *, share: float, seed: int = 0) -> Split:
    """Hide a random share of the measured cells that the split may learn from.

    Hidden cells are neither learned from nor predicted: the test cells stay the same, and with
    one seed a larger share hides what a smaller one does and more. Every sample keeps at least one
    measured trait.

    Parameters
    ----------
    split, panel
        The split, and the panel that it is of.
    share
        In [0, 1).
    seed
        Of the choice.
    """
    if not 0 <= share < 1:
        raise SettingsError(f"hide = {share!r} is a share of cells and must lie in [0, 1)")
    learned = split.learnable(panel) & ~np.isnan(panel["trait_value"].values)
    hidden = _draw(learned, share=share, seed=(seed, 1))
    return replace(split, hidden=_named(hidden, panel))


def _draw(measured: Mask, *, share: float, seed: tuple[int, int]) -> Mask:
    """Draw cells (N, T) among the measured ones, all but the surest to stay of each sample."""
    chance = np.where(measured, np.random.default_rng(seed).random(measured.shape), -1.0)
    drawn = measured & (chance < share)
    keeps = chance.argmax(axis=1)
    drawn[np.arange(len(drawn)), keeps] = False
    return drawn


def _named(mask: Mask, panel: Panel) -> Cells:
    ids, traits = panel["sample_id"].values, panel["trait_name"].values
    return tuple(
        (str(ids[row]), tuple(traits[mask[row]].tolist()))
        for row in np.flatnonzero(mask.any(axis=1))
    )
