"""Loci on a linkage map, and gametes of a hybrid of two inbred parents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import SettingsError
from crosstrait.panel.simulate_settings import Chromosome

_BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, kw_only=True, eq=False)
class Loci:
    """L loci in map order.

    Attributes
    ----------
    chromosome
        (L,) number of the chromosome in the map, from 0.
    position
        (L,) base pairs, from 1.
    cm
        (L,) centimorgans from the start of the chromosome.
    """

    chromosome: NDArray[np.intp]
    position: NDArray[np.int64]
    cm: NDArray[np.float64]


def place_loci(
    chromosomes: tuple[Chromosome, ...], *, n_loci: int, rng: np.random.Generator
) -> Loci:
    """Place loci uniformly at random on the linkage map, no two at one base pair.

    Raises
    ------
    SettingsError
        If a chromosome has fewer base pairs than loci.
    """
    morgans = np.array([c.morgans for c in chromosomes])
    weight = morgans if morgans.any() else np.ones(len(chromosomes))
    counts = rng.multinomial(n_loci, weight / weight.sum())
    positions = []
    for chromosome, count in zip(chromosomes, counts, strict=True):
        if count > chromosome.length_bp:
            raise SettingsError(
                f"{count} loci do not fit on {chromosome.name}, which has "
                f"{chromosome.length_bp} base pairs; simulate fewer loci or a longer chromosome"
            )
        places = rng.choice(chromosome.length_bp, count, replace=False, shuffle=False)
        positions.append(np.sort(places) + 1)
    number = np.repeat(np.arange(len(chromosomes)), counts)
    position = np.concatenate(positions).astype(np.int64)
    length = np.array([c.length_bp for c in chromosomes])[number]
    return Loci(chromosome=number, position=position, cm=100 * morgans[number] * position / length)


def recombination(loci: Loci) -> NDArray[np.float64]:
    """Return the (L,) chance that a gamete changes its parent between a locus and the one before.

    Haldane's map function r = (1 - exp(-2 d)) / 2 of the distance d in Morgans: crossovers are
    a Poisson process, without interference. It is 1/2 at the first locus of a chromosome.
    """
    distance = np.diff(loci.cm, prepend=0.0) / 100
    first = np.diff(loci.chromosome, prepend=-1) != 0
    return np.where(first, 0.5, -np.expm1(-2 * np.where(first, 0.0, distance)) / 2)


def gametes(
    switch: NDArray[np.float64], *, n_gametes: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return (n_gametes, L) alleles 0 (first parent) and 1 (second parent).

    Parameters
    ----------
    switch
        (L,) chances of a change of parent, as ``recombination`` gives them.
    n_gametes
        How many independent meioses to sample one gamete from.
    rng
        Source of all randomness.
    """
    alleles = np.empty((n_gametes, switch.size), dtype=np.uint8)
    chance = switch.astype(np.float32)
    step = max(1, _BLOCK_CELLS // switch.size)
    for start in range(0, n_gametes, step):
        block = alleles[start : start + step]
        switches = rng.random(block.shape, dtype=np.float32) < chance
        np.bitwise_xor.accumulate(switches.view(np.uint8), axis=1, out=block)
    return alleles
