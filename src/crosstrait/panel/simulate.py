"""Simulating a cross: genotypes by meiosis, traits with a known genetic architecture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstrait.panel.schema import Panel, from_arrays, row_blocks
from crosstrait.panel.simulate_architecture import Term, draw_interactions, scaled_terms
from crosstrait.panel.simulate_meiosis import Loci, gametes, place_loci, recombination
from crosstrait.panel.simulate_settings import SimulationConfig, demo_config
from crosstrait.panel.simulate_truth import Truth

__all__ = ["SimulationConfig", "Truth", "demo_config", "simulate"]


def simulate(config: SimulationConfig) -> tuple[Panel, Truth]:
    """Simulate a cross of two inbred parents.

    Every trait is y = additive value + epistatic value + normal noise, with variance 1 in
    expectation. The variances and correlations of the additive values over the samples are
    exactly those asked for, and so are those of the epistatic values; the covariances between
    additive values, epistatic values and noise are 0 in expectation. Equal settings give equal
    panels, and a setting changes only what depends on it: another noise leaves the genotypes.

    Parameters
    ----------
    config
        The cross, its traits and the seed.

    Returns
    -------
    panel, truth
        The panel, with ``variant_cm`` and, as ``trait_se``, the standard deviation of the noise;
        and what it was made of.

    Raises
    ------
    SettingsError
        If the causal loci or the samples are too few for what is asked.
    DataError
        If so much is missing that no panel remains.

    Examples
    --------
    >>> panel, truth = simulate(demo_config(n_samples=100))
    >>> panel["trait_value"].shape, truth.pairs.shape
    ((100, 6), (10, 2))
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(5)]
    map_rng, meiosis_rng, effect_rng, noise_rng, missing_rng = streams
    loci = place_loci(config.chromosomes, n_loci=config.n_loci, rng=map_rng)
    switch = recombination(loci)
    calls = gametes(switch, n_gametes=config.n_samples, rng=meiosis_rng)
    if config.ploidy == 2:
        calls += gametes(switch, n_gametes=config.n_samples, rng=meiosis_rng)
    truth = _traits(config, loci, calls, effect_rng)
    noise = noise_rng.standard_normal(truth.additive_value.shape)
    noise *= np.sqrt(truth.noise_variance)
    traits = truth.genetic_value + noise
    traits[_missing_cells(config, missing_rng)] = np.nan
    names = np.array([chromosome.name for chromosome in config.chromosomes])
    contig = names[loci.chromosome]
    panel = from_arrays(
        _dosage(calls, config.missing.calls, missing_rng),
        trait_value=traits,
        trait_names=config.trait_names(),
        ploidy=config.ploidy,
        variant_id=[f"{c}_{bp}" for c, bp in zip(contig, loci.position, strict=True)],
        variant_contig=contig,
        variant_position=loci.position,
        variant_allele=np.tile(["parent_1", "parent_2"], (config.n_loci, 1)),
        variant_cm=loci.cm,
        trait_se=np.tile(np.sqrt(truth.noise_variance), (config.n_samples, 1)),
        source=f"a simulated cross, seed {config.seed}",
    )
    return panel, replace(truth, panel_digest=panel.attrs["digest"])


def _traits(
    config: SimulationConfig, loci: Loci, calls: NDArray[np.uint8], rng: np.random.Generator
) -> Truth:
    correlation, n_traits = config.correlation(), config.n_panel_traits
    causal = np.sort(rng.choice(config.n_loci, config.n_causal, replace=False))
    spread = np.sqrt(config.additive_variance())
    additive, (single,), intercept = scaled_terms(
        calls,
        [causal[:, None]],
        ploidy=config.ploidy,
        covariance=correlation * np.outer(spread, spread),
        rng=rng,
    )
    effect = np.zeros((config.n_loci, n_traits))
    effect[causal] = single.effect
    hubs, epistatic = np.empty(0, dtype=np.intp), np.zeros_like(additive)
    pairs, triples = (
        Term(loci=np.empty((0, k), dtype=np.intp), effect=np.empty((0, n_traits))) for k in (2, 3)
    )
    if config.epistasis is not None:
        hubs, *sets = draw_interactions(
            config.epistasis, causal=causal, chromosome=loci.chromosome, rng=rng
        )
        spread = np.sqrt(config.epistatic_variance())
        epistatic, (pairs, triples), constant = scaled_terms(
            calls,
            sets,
            ploidy=config.ploidy,
            covariance=correlation * np.outer(spread, spread),
            rng=rng,
        )
        intercept = intercept + constant
    return Truth(
        config=config,
        panel_digest="",
        effect=effect,
        intercept=intercept,
        hubs=hubs,
        pairs=pairs.loci,
        pair_effect=pairs.effect,
        triples=triples.loci,
        triple_effect=triples.effect,
        additive_value=additive,
        epistatic_value=epistatic,
        noise_variance=config.noise_variance(),
    )


def _missing_cells(config: SimulationConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (N, T): every sample has a chance of its own, from a beta distribution."""
    share, clustering = config.missing.traits, config.missing.clustering
    chance: NDArray[np.float64] = np.full(config.n_samples, share)
    if clustering:
        # A beta distribution's variance is share (1 - share) / (concentration + 1).
        concentration = (1 - clustering) / clustering
        chance = rng.beta(share * concentration, (1 - share) * concentration, config.n_samples)
    return rng.random((config.n_samples, config.n_panel_traits)) < chance[:, None]


def _dosage(
    calls: NDArray[np.uint8], missing: float, rng: np.random.Generator
) -> NDArray[np.float16]:
    dosage = np.empty(calls.shape, dtype=np.float16)
    for start, block in row_blocks(calls):
        part = dosage[start : start + len(block)]
        part[:] = block
        if missing:
            part[rng.random(part.shape, dtype=np.float32) < missing] = np.nan
    return dosage
