"""What could make an experiment look better than it is, looked for and put into words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import listed
from crosstrait.panel.inspect.duplicates import summarise_duplicates
from crosstrait.panel.inspect.genotypes import summarise_genotypes
from crosstrait.panel.schema import Panel, row_blocks
from crosstrait.split.manifest import Split

# What the sentences of leaks end with, by which a report knows them again.
_OTHER_TRAITS = "the scores do not say how a sample without any measurement is predicted."
_TWINS = "leave all but one out; crosstrait inspect names them."
_GROUPS = "the scores do not say how a new group is predicted."

_OF_TESTS = re.compile(r"([\d,]+) of ([\d,]+) tests are ")
_SLIGHT = 0.01


def leaks(sentences: Sequence[str]) -> list[str]:
    """Return those sentences of `audit` by which what was tested was not new to the models.

    Twins of less than a hundredth of the tests are left to the audit: they carry no score.

    Examples
    --------
    >>> leaks(["No group has samples in training and in test."])
    []
    """
    known = [text for text in sentences if text.endswith((_OTHER_TRAITS, _TWINS, _GROUPS))]
    return [text for text in known if not _is_slight(text)]


def _is_slight(text: str) -> bool:
    """Whether a sentence is on so few twins that they cannot carry a score."""
    counted = _OF_TESTS.match(text)
    if counted is None:
        return False
    n_twins, n_tests = (int(number.replace(",", "")) for number in counted.groups())
    return n_twins < _SLIGHT * n_tests


def audit(panel: Panel, splits: Sequence[Split], *, traits: Sequence[str]) -> list[str]:
    """Return sentences on samples shared between parts, twins, groups and missing cells.

    Parameters
    ----------
    panel, splits
        The data, and the split of every fold.
    traits
        The traits that are predicted.
    """
    return [
        *_coverage(panel, splits),
        *_cells(panel, splits),
        *_twins(panel, splits),
        *_groups(panel, splits),
        *_holes(panel, traits),
    ]


def _coverage(panel: Panel, splits: Sequence[Split]) -> Iterator[str]:
    # Split refuses a sample in two parts; this says how the parts cover the panel.
    yield "No sample is in two of the parts train, validation and test of a split."
    tested = np.zeros(panel.sizes["samples"], dtype=np.intp)
    for split in splits:
        tested += split.tested(panel).any(axis=1)
    if splits[0].pooled and (tested == 1).all():
        yield "Every sample is tested exactly once."
    else:
        n_tested = int((tested > 0).sum())
        yield f"{n_tested:,} of {tested.size:,} samples are tested at least once."


def _cells(panel: Panel, splits: Sequence[Split]) -> Iterator[str]:
    n_test = sum(len(traits) for split in splits for _, traits in split.test_cells)
    n_hidden = sum(len(traits) for split in splits for _, traits in split.hidden)
    if n_test:
        n_both = sum(int((s.learnable(panel) & s.tested(panel)).sum()) for s in splits)
        yield (
            f"{n_test:,} tested cells are of samples whose other traits were learned from (CV2), "
            f"{n_both:,} of them were learned from themselves: {_OTHER_TRAITS}"
        )
    if n_hidden:
        yield f"{n_hidden:,} further cells were hidden from learning, and are not scored."


def _twins(panel: Panel, splits: Sequence[Split]) -> Iterator[str]:
    """Say how many test samples have nearly the genotype of a sample that was learned from."""
    splits = [split for split in splits if split.test]
    if not splits:
        return
    genotype = _genotype_number(panel)
    n_test, twins = 0, []
    for split in splits:
        learned = np.concatenate([split.rows(panel, "train"), split.rows(panel, "validation")])
        test = split.rows(panel, "test")
        n_test += test.size
        shared = test[np.isin(genotype[test], genotype[learned])]
        twins += panel["sample_id"].values[shared].tolist()
    if twins:
        yield (
            f"{len(twins):,} of {n_test:,} tests are of a sample that is nearly equal to one that "
            f"was learned from, such as {listed(dict.fromkeys(twins), most=3)}: put them on one "
            f"side with groups, or {_TWINS}"
        )
    else:
        yield "No test sample is nearly equal to a sample that was learned from."


def _groups(panel: Panel, splits: Sequence[Split]) -> Iterator[str]:
    splits = [split for split in splits if split.test]
    if "sample_group" not in panel or not splits:
        return
    group = panel["sample_group"].values
    split_up: dict[str, None] = {}
    for split in splits:
        test = set(group[split.rows(panel, "test")].tolist())
        split_up |= dict.fromkeys(sorted(test & set(group[split.rows(panel, "train")].tolist())))
    if split_up:
        yield (
            f"{len(split_up)} groups have samples in training and in test, such as "
            f"{listed(split_up, most=3)}: {_GROUPS}"
        )
    else:
        yield "No group has samples in training and in test."


def _holes(panel: Panel, traits: Sequence[str]) -> Iterator[str]:
    calls = panel["call_dosage"].values
    n_missing = sum(int(np.isnan(rows).sum()) for _, rows in row_blocks(calls))
    if n_missing:
        yield (
            f"{n_missing:,} of {calls.size:,} genotype calls are missing; each fold fills them "
            f"with means of its training samples."
        )
    chosen = np.isin(panel["trait_name"].values, list(traits))
    measured = ~np.isnan(panel["trait_value"].values[:, chosen])
    if not measured.all():
        yield (
            f"{int(measured.sum()):,} of {measured.size:,} trait cells are measured, and "
            f"{int(measured.all(axis=1).sum()):,} of {len(measured):,} samples have every trait."
        )


def _genotype_number(panel: Panel) -> NDArray[np.intp]:
    """Return (N,) numbers that are equal for samples that are nearly equal."""
    number = np.arange(panel.sizes["samples"])
    row = {name: i for i, name in enumerate(panel["sample_id"].values.tolist())}
    for group in summarise_duplicates(panel, genotypes=summarise_genotypes(panel)):
        number[[row[name] for name in group.samples]] = row[group.samples[0]]
    return number
