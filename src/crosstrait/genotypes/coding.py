"""From dosages with holes to the coded genotypes that every model sees."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import DataError
from crosstrait.genotypes.table import StringArray

_BLOCK_CELLS = 1 << 22
_STRINGS = ("variant_id", "variant_contig", "variant_allele")


@dataclass(frozen=True, kw_only=True, eq=False)
class GenotypeEncoder:
    """Codes K chosen loci as g = 2 dosage / ploidy - 1, filling holes with training means.

    Attributes
    ----------
    columns
        (K,) which of the panel's loci are used, ascending.
    n_loci
        L, the number of loci of the panel.
    mean
        (K,) mean dosage of the training samples, in [0, ploidy]; ploidy / 2 at a locus that no
        training sample has a call for.
    ploidy
        Gene copies a sample carries.
    variant_id, variant_contig, variant_position, variant_allele
        (K,), (K,), (K,), (K, 2) what the used loci are, so that new genotypes can be matched.
    """

    columns: NDArray[np.intp]
    n_loci: int
    mean: NDArray[np.float32]
    ploidy: int
    variant_id: StringArray
    variant_contig: StringArray
    variant_position: NDArray[np.int64]
    variant_allele: StringArray

    @classmethod
    def fit(
        cls,
        dosage: ArrayLike,
        *,
        rows: ArrayLike,
        columns: ArrayLike | None = None,
        ploidy: int,
        variant_id: StringArray,
        variant_contig: StringArray,
        variant_position: NDArray[np.int64],
        variant_allele: StringArray,
    ) -> Self:
        """Learn the mean dosages on the training samples.

        Parameters
        ----------
        dosage
            (N, L) dosages in [0, ploidy]; NaN is missing.
        rows
            Row numbers of the training samples.
        columns
            Loci to use, ascending; all of them where not given.
        ploidy
            Gene copies a sample carries.
        variant_id, variant_contig, variant_position, variant_allele
            Descriptions of all L loci, of which those of ``columns`` are kept.

        Raises
        ------
        DataError
            If ``columns`` is empty, not ascending or names loci that are not there.
        """
        calls = np.asarray(dosage)
        n_loci = calls.shape[1]
        used = np.arange(n_loci) if columns is None else np.asarray(columns, dtype=np.intp)
        if used.size == 0 or used[0] < 0 or used[-1] >= n_loci or (np.diff(used) <= 0).any():
            raise DataError(
                f"the loci to use must be ascending numbers in [0, {n_loci}), at least one; "
                f"got {used}"
            )
        total, called = np.zeros(used.size), np.zeros(used.size, dtype=np.int64)
        for _, block in _blocks(calls, np.asarray(rows, dtype=np.intp), used):
            total += np.nansum(block, axis=0, dtype=np.float64)
            called += (~np.isnan(block)).sum(axis=0)
        mean = np.divide(total, called, out=np.full(used.size, ploidy / 2), where=called > 0)
        return cls(
            columns=used,
            n_loci=n_loci,
            mean=mean.astype(np.float32),
            ploidy=int(ploidy),
            variant_id=np.asarray(variant_id)[used],
            variant_contig=np.asarray(variant_contig)[used],
            variant_position=np.asarray(variant_position)[used],
            variant_allele=np.asarray(variant_allele)[used],
        )

    def encode(self, dosage: ArrayLike, *, rows: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return (n, K) coded genotypes in [-1, +1], without holes.

        Parameters
        ----------
        dosage
            (n, L) dosages of all loci of the panel, in its order; NaN is missing.
        rows
            Row numbers to code; all of them where not given.

        Raises
        ------
        DataError
            If the number of loci is not the panel's or a dosage lies outside [0, ploidy].
        """
        calls, chosen = self._checked(dosage, rows)
        coded = np.empty((chosen.size, self.columns.size), dtype=np.float32)
        for start, block in _blocks(calls, chosen, self.columns):
            part = coded[start : start + len(block)]
            part[:] = block
            np.copyto(part, self.mean, where=np.isnan(part))
            outside = ~((part >= 0) & (part <= self.ploidy))
            if outside.any():
                i, k = np.argwhere(outside)[0]
                allele = str(self.variant_allele[k, 1])
                raise DataError(
                    f"a dosage must lie in [0, ploidy] = [0, {self.ploidy}]; row "
                    f"{chosen[start + i]} has {block[i, k]} at locus {str(self.variant_id[k])!r}; "
                    f"give copies of {f'allele {allele!r}' if allele else 'one allele'}, not "
                    f"coded genotypes, and check the ploidy"
                )
            part *= np.float32(2 / self.ploidy)
            part -= np.float32(1)
        return coded

    def n_missing(self, dosage: ArrayLike, *, rows: ArrayLike | None = None) -> int:
        """Count the cells of the used loci that ``encode`` fills."""
        calls, chosen = self._checked(dosage, rows)
        return sum(int(np.isnan(block).sum()) for _, block in _blocks(calls, chosen, self.columns))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything as numeric arrays; strings as the bytes of a JSON list."""
        state: dict[str, NDArray[Any]] = {
            "columns": self.columns.astype(np.int64),
            "n_loci": np.array([self.n_loci], dtype=np.int64),
            "mean": self.mean,
            "ploidy": np.array([self.ploidy], dtype=np.int64),
            "variant_position": self.variant_position.astype(np.int64),
        }
        for name in _STRINGS:
            text = json.dumps(getattr(self, name).tolist())
            state[name] = np.frombuffer(text.encode(), dtype=np.uint8)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what ``state`` returned."""
        strings = {
            name: np.asarray(json.loads(bytes(state[name]).decode()), dtype=np.str_)
            for name in _STRINGS
        }
        return cls(
            columns=np.asarray(state["columns"], dtype=np.intp),
            n_loci=int(state["n_loci"].item()),
            mean=np.asarray(state["mean"], dtype=np.float32),
            ploidy=int(state["ploidy"].item()),
            variant_position=np.asarray(state["variant_position"], dtype=np.int64),
            **strings,
        )

    def _checked(
        self, dosage: ArrayLike, rows: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[np.intp]]:
        calls = np.asarray(dosage)
        if calls.ndim != 2 or calls.shape[1] != self.n_loci:
            raise DataError(
                f"dosage must be (samples, {self.n_loci}), one column a locus of the panel that "
                f"the model learned from, in its order; got shape {calls.shape}"
            )
        if rows is None:
            return calls, np.arange(len(calls))
        return calls, np.asarray(rows, dtype=np.intp)


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return ``values`` in single precision; numpy converts half precision 50 times slower."""
    if values.dtype != np.float16:
        return values.astype(np.float32, copy=False)
    if not values.flags.writeable:
        values = values.copy()
    return torch.from_numpy(values).float().numpy()


def _blocks(
    calls: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (first, cells): a few rows at a time, so that no copy grows with the panel."""
    step = max(1, _BLOCK_CELLS // columns.size)
    every_locus = columns.size == calls.shape[1]
    for start in range(0, rows.size, step):
        chosen = rows[start : start + step]
        block = calls[chosen] if every_locus else calls[np.ix_(chosen, columns)]
        yield start, as_float32(block)
