"""The schemes that decide which samples train, validate and test."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, SettingsError, StorageError, listed
from crosstrait.panel.schema import Panel, check_panel
from crosstrait.split.manifest import Split

Rows = NDArray[np.intp]

_PUBLISHED_FRACTION = 0.15


def random(panel: Panel, *, test: float = 0.2, validation: float = 0.1, seed: int = 0) -> Split:
    """Hold out a random share of the N samples.

    ``numpy.random.default_rng(seed).permutation(N)`` orders the samples; the first
    floor(N (1 - test)) learn and the rest test. Of those that learn, the last
    round(validation N) validate and the others train.

    Parameters
    ----------
    panel
        The panel to split.
    test, validation
        Shares of all samples, in (0, 1) and [0, 1), together below 1.
    seed
        Of the permutation.

    Raises
    ------
    SettingsError
        If a share is out of range, or so small that its part would be empty.
    """
    check_panel(panel)
    n_samples = panel.sizes["samples"]
    _check_share("test", test)
    n_validation = _n_validation(n_samples, validation)
    # The nudge keeps 10 samples x (1 - 0.8) at 2, where floating point says 1.9999999999999996.
    n_learn = int(n_samples * (1 - test) + 1e-9)
    _check_part("test", test, n_samples - n_learn, n_samples)
    order = np.random.default_rng(seed).permutation(n_samples)
    return _split(panel, order[:n_learn], n_validation, order[n_learn:], "random", 0)


def k_fold(panel: Panel, *, folds: int = 5, validation: float = 0.1, seed: int = 0) -> list[Split]:
    """Test every sample once, in folds that differ in size by at most one.

    ``numpy.random.default_rng(seed).permutation(N)`` orders the samples, ``numpy.array_split``
    cuts the order into folds. The order, read in a circle from the end of the test fold, gives
    the samples that learn; the last round(validation N) of them validate.

    Parameters
    ----------
    panel
        The panel to split.
    folds
        Number of folds, from 2 to N.
    validation
        Share of all samples that validates in each fold.
    seed
        Of the permutation.

    Raises
    ------
    SettingsError
        If there are more folds than samples, or the share is out of range or leaves a part empty.
    """
    check_panel(panel)
    n_samples = panel.sizes["samples"]
    _check_folds(folds, n_samples, "samples")
    n_validation = _n_validation(n_samples, validation)
    order = np.random.default_rng(seed).permutation(n_samples)
    parts = np.array_split(order, folds)
    splits = []
    for fold, test in enumerate(parts):
        learn = np.concatenate([*parts[fold + 1 :], *parts[:fold]])
        splits.append(_split(panel, learn, n_validation, test, "kfold", fold, pooled=True))
    return splits


def group(panel: Panel, *, folds: int = 5, validation: float = 0.1, seed: int = 0) -> list[Split]:
    """Test every sample once, never apart from its group (family, cross, year ...).

    The largest group goes first, each to the fold that has the fewest samples so far; groups of
    one size in an order drawn from ``seed``. Whole groups validate too, drawn so that their
    number of samples comes close to validation N.

    Parameters
    ----------
    panel
        A panel with ``sample_group``.
    folds
        Number of folds, from 2 to the number of groups.
    validation
        Share of all samples that validates in each fold, as nearly as whole groups allow.
    seed
        Of the order of the groups.

    Raises
    ------
    DataError
        If the panel has no ``sample_group``, or one without a name.
    SettingsError
        If there are more folds than groups, or too few groups to hold some out for validation.
    """
    check_panel(panel)
    if "sample_group" not in panel:
        raise DataError(
            f"a split by group needs the panel's sample_group, which {panel.attrs['source']} "
            f"does not have; name each sample's family with crosstrait import --groups "
            f"families.csv, in Python with load_panel(..., groups=...) or from_arrays(..., "
            f"sample_group=...)"
        )
    labels = panel["sample_group"].values
    if (labels == "").any():
        nameless = panel["sample_id"].values[labels == ""]
        raise DataError(
            f"{len(nameless)} samples have no group: {listed(nameless)}; name their group "
            f"(crosstrait import --groups)"
        )
    names, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    _check_folds(folds, len(names), "groups")
    target = _n_validation(len(labels), validation)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.intp)
    load = np.zeros(folds, dtype=np.intp)
    for g in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[g] = np.argmin(load)
        load[fold_of[g]] += sizes[g]
    splits = []
    for fold in range(folds):
        learn = [g for g in rng.permutation(len(names)) if fold_of[g] != fold]
        validating = _nearest_groups(learn, sizes, target)
        held = np.isin(member, validating)
        splits.append(
            _manifest(
                panel,
                train=np.flatnonzero((fold_of[member] != fold) & ~held),
                validation=np.flatnonzero(held),
                test=np.flatnonzero(fold_of[member] == fold),
                scheme="group",
                fold=fold,
                pooled=True,
            )
        )
    return splits


def published(panel: Panel) -> Split:
    """Return the split that the panel's source brings, or else that of the published models.

    The published split shuffles the N samples with Python's generator seeded with 0, then takes
    15 % of them (rounded up) for testing and 15 % of the rest for validation, each time as
    scikit-learn's ``train_test_split(test_size=0.15, random_state=42)`` does.

    Raises
    ------
    DataError
        If the panel's ``sample_split`` names no test or fewer than two training samples.
    """
    check_panel(panel)
    if "sample_split" in panel:
        part_of = panel["sample_split"].values
        parts = {p: np.flatnonzero(part_of == p) for p in ("train", "validation", "test")}
        if parts["test"].size == 0:
            raise DataError(
                f"the split that {panel.attrs['source']} brings has no test sample; "
                f"use another scheme"
            )
        return _manifest(panel, **parts, scheme="published")
    shuffled = list(range(panel.sizes["samples"]))
    Random(0).shuffle(shuffled)
    learn, test = _sklearn_cut(np.asarray(shuffled, dtype=np.intp))
    train, validation = _sklearn_cut(learn)
    return _manifest(panel, train=train, validation=validation, test=test, scheme="published")


def from_file(path: Path | str) -> Split:
    """Read a manifest that ``Split.save`` or an experiment wrote.

    Raises
    ------
    StorageError
        If there is no such file.
    DataError
        If it is no manifest, or its ids do not give its digest.
    """
    path = Path(path)
    if not path.is_file():
        raise StorageError(f"there is no split manifest at {path}")
    return Split.load(path)


def _sklearn_cut(samples: Rows) -> tuple[Rows, Rows]:
    n_held = ceil(_PUBLISHED_FRACTION * samples.size)
    order = np.random.RandomState(42).permutation(samples.size)
    return samples[order[n_held:]], samples[order[:n_held]]


def _nearest_groups(candidates: list[int], sizes: Rows, target: int) -> list[int]:
    """Choose groups, in the order given, whose sizes add up to nearly ``target`` samples."""
    if target == 0:
        return []
    if len(candidates) < 2:
        raise SettingsError(
            "one group is left to learn from in a fold, so none can be held out for validation; "
            "set validation = 0 or use fewer folds or more groups"
        )
    chosen: list[int] = []
    total = 0
    for g in candidates:
        if abs(total + sizes[g] - target) < abs(total - target):
            chosen.append(g)
            total += sizes[g]
    if len(chosen) == len(candidates):
        chosen.pop()
    return chosen or [min(candidates, key=lambda g: sizes[g])]


def _split(
    panel: Panel,
    learn: Rows,
    n_validation: int,
    test: Rows,
    scheme: str,
    fold: int,
    *,
    pooled: bool = False,
) -> Split:
    n_train = len(learn) - n_validation
    if n_train < 2:
        raise SettingsError(
            f"{len(test)} test and {n_validation} validation of {panel.sizes['samples']} samples "
            f"leave {max(n_train, 0)} to train on; a split needs at least 2: lower the shares"
        )
    return _manifest(
        panel,
        train=learn[:n_train],
        validation=learn[n_train:],
        test=test,
        scheme=scheme,
        fold=fold,
        pooled=pooled,
    )


def _manifest(panel: Panel, *, train: Rows, validation: Rows, test: Rows, **how: Any) -> Split:
    ids = panel["sample_id"].values
    return Split(
        train=tuple(ids[train].tolist()),
        validation=tuple(ids[validation].tolist()),
        test=tuple(ids[test].tolist()),
        **how,
    )


def _n_validation(n_samples: int, validation: float) -> int:
    if validation == 0:
        return 0
    _check_share("validation", validation)
    n_validation = round(validation * n_samples)
    _check_part("validation", validation, n_validation, n_samples)
    return n_validation


def _check_share(name: str, share: float) -> None:
    if not 0 < share < 1:
        raise SettingsError(
            f"{name} = {share!r} is a share of all samples and must lie between 0 and 1"
        )


def _check_part(name: str, share: float, count: int, n_samples: int) -> None:
    if count == 0:
        raise SettingsError(
            f"{name} = {share!r} of {n_samples} samples is none; raise it to at least "
            f"{1 / n_samples:.2g}"
        )


def _check_folds(folds: int, count: int, what: str) -> None:
    if not 2 <= folds <= count:
        raise SettingsError(
            f"folds = {folds!r} must be at least 2 and at most the number of {what}, {count}"
        )
