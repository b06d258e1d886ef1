"""Which loci act on the traits, alone and together, and how strongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import SettingsError
from crosstrait.panel.simulate_settings import Epistasis

Indices = NDArray[np.intp]
Float64Array = NDArray[np.float64]

_BLOCK_SAMPLES = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """Interactions of one order: products of the coded genotypes of k loci.

    Attributes
    ----------
    loci
        (M, k) numbers of the loci; k = 1 for additive effects.
    effect
        (M, T) coefficients of the products of g = 2 dosage / ploidy - 1.
    """

    loci: Indices
    effect: Float64Array


def draw_interactions(
    config: Epistasis, *, causal: Indices, chromosome: Indices, rng: np.random.Generator
) -> tuple[Indices, Indices, Indices]:
    """Choose hubs and interacting loci among the causal ones.

    Interacting loci lie on different chromosomes: a product of linked loci would be partly an
    additive effect of a third locus near them.

    Parameters
    ----------
    config
        Numbers of hubs, partners, pairs and triples.
    causal
        (C,) numbers of the causal loci.
    chromosome
        (L,) chromosome of every locus.
    rng
        Source of all randomness.

    Returns
    -------
    hubs, pairs, triples
        (H,), (P, 2) and (Q, 3) numbers of loci; the pairs of the hubs come first, hub first.

    Raises
    ------
    SettingsError
        If there are fewer such sets of causal loci than asked for.
    """
    if config.n_hubs > causal.size:
        raise SettingsError(
            f"n_hubs = {config.n_hubs} hubs do not fit in {causal.size} causal loci"
        )
    hubs = np.sort(rng.choice(causal, config.n_hubs, replace=False))
    others = np.setdiff1d(causal, hubs)
    hub_pairs = []
    for hub in hubs:
        unlinked = others[chromosome[others] != chromosome[hub]]
        if unlinked.size < config.hub_partners:
            raise SettingsError(
                f"a hub needs hub_partners = {config.hub_partners} causal loci on other "
                f"chromosomes, and there are {unlinked.size}; raise n_causal"
            )
        partners = np.sort(rng.choice(unlinked, config.hub_partners, replace=False))
        hub_pairs.append(np.column_stack([np.full(partners.size, hub), partners]))
    free_pairs = _unlinked_sets(others, chromosome, size=2, count=config.n_pairs, rng=rng)
    pairs = np.concatenate([*hub_pairs, free_pairs])
    triples = _unlinked_sets(others, chromosome, size=3, count=config.n_triples, rng=rng)
    return hubs, pairs, triples


def scaled_terms(
    calls: NDArray[np.uint8],
    loci: Sequence[Indices],
    *,
    ploidy: int,
    covariance: Float64Array,
    rng: np.random.Generator,
) -> tuple[Float64Array, list[Term], Float64Array]:
    """Draw effects that give the values of these very samples the asked covariance.

    Effects are drawn from a normal distribution, and then mixed across traits by the one linear
    map that takes the covariance of the values they give to ``covariance``.

    Parameters
    ----------
    calls
        (N, L) dosages.
    loci
        (M, k) loci of the terms, an array for each order k.
    ploidy
        Gene copies a sample carries.
    covariance
        (T, T) covariance of the values over the samples (divisor N).
    rng
        Source of all randomness.

    Returns
    -------
    values, terms, intercept
        (N, T) values with mean 0, the terms of each array of ``loci``, and the (T,) constant
        that added to the sum of the terms gives ``values``.

    Raises
    ------
    SettingsError
        If the samples or terms are too few to make the traits differ.
    """
    n_traits = len(covariance)
    terms = [Term(loci=index, effect=rng.standard_normal((len(index), n_traits))) for index in loci]
    values = sum_of_terms(calls, terms, ploidy=ploidy)
    mean = values.mean(axis=0)
    values -= mean
    variance, axes = np.linalg.eigh(values.T @ values / len(values))
    if variance[0] <= 1e-10 * variance[-1]:
        raise SettingsError(
            f"{len(calls)} samples and {sum(map(len, loci))} effects a trait cannot tell "
            f"{n_traits} traits apart; simulate more samples, or more causal loci or interactions"
        )
    whiten = axes / np.sqrt(variance) @ axes.T
    target, target_axes = np.linalg.eigh(covariance)
    mix = whiten @ (target_axes * np.sqrt(np.maximum(target, 0)) @ target_axes.T)
    mixed = [Term(loci=term.loci, effect=term.effect @ mix) for term in terms]
    return values @ mix, mixed, -mean @ mix


def sum_of_terms(calls: NDArray[np.uint8], terms: Sequence[Term], *, ploidy: int) -> Float64Array:
    """Return (N, T) sums over all terms of effect x product of coded genotypes."""
    total = np.zeros((len(calls), terms[0].effect.shape[1]))
    for start in range(0, len(calls), _BLOCK_SAMPLES):
        block = calls[start : start + _BLOCK_SAMPLES]
        for term in terms:
            product = np.ones((len(block), len(term.loci)))
            for column in term.loci.T:
                product *= block[:, column] * (2 / ploidy) - 1
            total[start : start + len(block)] += product @ term.effect
    return total


def _unlinked_sets(
    loci: Indices, chromosome: Indices, *, size: int, count: int, rng: np.random.Generator
) -> Indices:
    """Draw ``count`` different sets of ``size`` loci, all on different chromosomes."""
    available = [1] + [0] * size
    for on_one in np.bincount(chromosome[loci]) if loci.size else ():
        for k in range(size, 0, -1):
            available[k] += available[k - 1] * int(on_one)
    if count > available[size]:
        raise SettingsError(
            f"{count} sets of {size} causal loci on different chromosomes are asked for, and "
            f"there are {available[size]}; raise n_causal or ask for fewer interactions"
        )
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        drawn = np.sort(rng.choice(loci, (2 * count + 16, size)), axis=1)
        on = np.sort(chromosome[drawn], axis=1)
        for chosen in drawn[(np.diff(on, axis=1) > 0).all(axis=1)].tolist():
            found[tuple(chosen)] = None
    return np.array(list(found)[:count], dtype=np.intp).reshape(count, size)
