"""Groups of test samples (families, crosses, years) that are drawn and scored as wholes.

Samples of a group share what no model learned of it, and so their errors. Where whole groups are
tested, a resample draws whole groups: a cluster bootstrap (Field & Welsh 2007, J. R. Stat. Soc. B
69:369; Cameron, Gelbach & Miller 2008, Rev. Econ. Stat. 90:414).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from crosstrait.errors import DataError, listed
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split

FloatArray = NDArray[np.floating[Any]]

FEW_GROUPS = 10
"""Percentile intervals from fewer groups than this are clearly too narrow."""


def tested_groups(panel: Panel, *, splits: Sequence[Split]) -> dict[str, str] | None:
    """Return the group of every sample by id, None where a split does not test whole groups.

    Parameters
    ----------
    panel
        The panel that was split.
    splits
        Its splits; those of scheme ``group`` test whole groups.
    """
    if "sample_group" not in panel or any(split.scheme != "group" for split in splits):
        return None
    ids, labels = panel["sample_id"].values.tolist(), panel["sample_group"].values.tolist()
    return dict(zip(ids, labels, strict=True))


def number_groups(
    samples: Sequence[str], *, groups: Mapping[str, str]
) -> tuple[NDArray[np.intp], int]:
    """Return the (n,) numbers of the groups of ``samples``, from 0, and how many groups there are.

    Groups are numbered by their first sample id in alphabetical order, so that neither their
    names nor the order of the samples decides which are drawn.

    Raises
    ------
    DataError
        If a sample has no group.
    """
    nameless = [sample for sample in samples if not groups.get(sample)]
    if nameless:
        raise DataError(
            f"whole groups are resampled, and {len(nameless)} scored samples have none: "
            f"{listed(nameless)}; name their group, or score without groups"
        )
    number: dict[str, int] = {}
    for sample in sorted(samples):
        number.setdefault(groups[sample], len(number))
    member = np.fromiter((number[groups[s]] for s in samples), dtype=np.intp, count=len(samples))
    return member, len(number)


@dataclass(frozen=True, eq=False)
class GroupedRows:
    """The rows of a block, by group.

    Attributes
    ----------
    member
        (n,) number of each row's group.
    n_groups
        How many groups are drawn from; some may have no row here.
    """

    member: NDArray[np.intp]
    n_groups: int

    def total(self, values: NDArray[Any]) -> FloatArray:
        """Return (n_groups, T) sums of (n, T) ``values``."""
        total: FloatArray = self._indicator @ values
        return total

    @cached_property
    def _indicator(self) -> csr_array:
        """(n_groups, n), 1 where a row is in a group."""
        n = len(self.member)
        return csr_array((np.ones(n), (self.member, np.arange(n))), shape=(self.n_groups, n))
