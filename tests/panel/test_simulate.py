from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstrait.errors import DataError
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.panel.simulate import SimulationConfig, Truth, demo_config, simulate
from crosstrait.panel.simulate_settings import Missing

N_SAMPLES = 5000


@pytest.fixture(scope="module")
def cross() -> tuple[Panel, Truth]:
    config = SimulationConfig(
        n_samples=N_SAMPLES,
        n_loci=200,
        n_traits=3,
        n_causal=60,
        additive=(0.6, 0.3, 0.1),
        epistasis={"share": (0.1, 0.3, 0.5), "n_hubs": 2, "n_pairs": 10, "n_triples": 15},
        genetic_correlation=((1, 0.5, 0), (0.5, 1, -0.3), (0, -0.3, 1)),
        missing={"traits": 0.2, "clustering": 0.3, "calls": 0.05},
        seed=7,
    )
    return simulate(config)


@pytest.fixture(scope="module")
def whole(cross: tuple[Panel, Truth]) -> tuple[Panel, Truth]:
    """The same cross with nothing missing."""
    return simulate(cross[1].config.model_copy(update={"missing": Missing()}))


def small(**changes: Any) -> Panel:
    return simulate(demo_config(n_samples=50, n_loci=40, **changes))[0]


def test_genetic_variances_and_correlations_are_exactly_those_asked_for(
    cross: tuple[Panel, Truth],
) -> None:
    _, truth = cross
    for values, shares in [
        (truth.additive_value, [0.6, 0.3, 0.1]),
        (truth.epistatic_value, [0.1, 0.3, 0.5]),
    ]:
        np.testing.assert_allclose(values.var(axis=0), shares, rtol=1e-9)
        correlation = np.corrcoef(values, rowvar=False)
        np.testing.assert_allclose(correlation, truth.config.correlation(), atol=1e-9)


def test_shares_of_the_phenotypic_variance_are_those_asked_for_within_sampling_error(
    whole: tuple[Panel, Truth],
) -> None:
    """Traits have variance 1 but for chance, and components covary only by chance.

    The covariance of two uncorrelated components over N samples has the standard error
    sqrt(mean(x^2 y^2) / N), the variance of normal noise sqrt(2 / N) of itself.
    """
    panel, truth = whole
    for t in range(3):
        y = panel["trait_value"].values[:, t]
        additive, epistatic = truth.additive_value[:, t], truth.epistatic_value[:, t]
        noise = y - additive - epistatic
        noise_error = np.sqrt(2 / N_SAMPLES) * truth.noise_variance[t]
        assert abs(noise.var() - truth.noise_variance[t]) < 5 * noise_error
        total_error = noise_error
        for left, right in [(additive, epistatic), (additive, noise), (epistatic, noise)]:
            error = np.sqrt(np.mean(left**2 * right**2) / N_SAMPLES)
            assert abs(np.cov(left, right)[0, 1]) < 5 * error
            total_error += 2 * error
        assert abs(y.var() - 1) < 5 * total_error
        assert panel["trait_se"].values[0, t] ** 2 == pytest.approx(truth.noise_variance[t])


def test_interactions_are_no_additive_effects_in_disguise(whole: tuple[Panel, Truth]) -> None:
    """Regression on L loci explains L / N of the variance of pure noise, and of epistasis."""
    panel, truth = whole
    g = panel["call_dosage"].values.astype(float)
    g -= g.mean(axis=0)
    weights = np.linalg.solve(g.T @ g, g.T @ truth.epistatic_value)
    explained = (g @ weights).var(axis=0) / truth.epistatic_value.var(axis=0)
    assert (explained < 2 * 200 / N_SAMPLES).all()


def test_the_effects_give_the_genetic_values(cross: tuple[Panel, Truth]) -> None:
    panel, truth = cross
    g = 2 * panel["call_dosage"].values.astype(float) - 1
    complete = ~np.isnan(g[:, truth.effect.any(axis=1)]).any(axis=1)
    g = np.nan_to_num(g[complete])
    value = truth.intercept + g @ truth.effect
    value += g[:, truth.pairs].prod(axis=2) @ truth.pair_effect
    value += g[:, truth.triples].prod(axis=2) @ truth.triple_effect
    assert complete.sum() > 50
    np.testing.assert_allclose(value, truth.genetic_value[complete], atol=1e-9)
    assert np.count_nonzero(truth.effect.any(axis=1)) == 60
    assert truth.pairs.shape == (30, 2)
    assert truth.triples.shape == (15, 3)


def test_a_perfect_predictor_reaches_the_attainable_r2(cross: tuple[Panel, Truth]) -> None:
    """R2 = 1 - noise / total; noise and total are each known to about sqrt(2 / n)."""
    panel, truth = cross
    for t in range(3):
        y = panel["trait_value"].values[:, t]
        measured = ~np.isnan(y)
        residual = y - truth.genetic_value[:, t]
        r2 = 1 - residual[measured].var() / y[measured].var()
        noise_share = 1 - truth.attainable_r2[t]
        error = noise_share * 2 * np.sqrt(2 / measured.sum())
        assert abs(r2 - truth.attainable_r2[t]) < 5 * error
    assert (truth.attainable_additive_r2 < truth.attainable_r2).all()


def test_cells_are_missing_as_often_and_as_clustered_as_asked(cross: tuple[Panel, Truth]) -> None:
    """Cells of a sample correlate by 0.3, which widens the error of a share over 3 of them."""
    panel, _ = cross
    missing = np.isnan(panel["trait_value"].values)
    error = np.sqrt(0.2 * 0.8 * (1 + 2 * 0.3) / missing.size)
    assert abs(missing.mean() - 0.2) < 5 * error
    z = (missing - 0.2) / np.sqrt(0.2 * 0.8)
    together = np.mean([z[:, i] * z[:, j] for i, j in [(0, 1), (0, 2), (1, 2)]], axis=0)
    assert abs(together.mean() - 0.3) < 4 * together.std() / np.sqrt(N_SAMPLES)
    assert together.std() / np.sqrt(N_SAMPLES) < 0.017
    holes = np.isnan(panel["call_dosage"].values)
    assert abs(holes.mean() - 0.05) < 5 * np.sqrt(0.05 * 0.95 / holes.size)


def test_environments_share_a_genetic_effect() -> None:
    panel, truth = simulate(
        demo_config(
            n_samples=300, n_traits=1, additive=0.5, environments={"count": 4, "share": 0.25}
        )
    )
    assert panel.sizes["traits"] == 4
    correlation = np.corrcoef(truth.additive_value, rowvar=False)
    np.testing.assert_allclose(correlation[np.triu_indices(4, 1)], 0.75, atol=1e-9)


def test_an_f2_has_dosages_in_proportions_of_one_two_one() -> None:
    panel, _ = simulate(demo_config(n_samples=4000, ploidy=2))
    calls = panel["call_dosage"].values
    assert panel.attrs["ploidy"] == 2
    for dosage, share in [(0, 0.25), (1, 0.5), (2, 0.25)]:
        observed = (calls == dosage).mean(axis=0)
        assert np.abs(observed - share).max() < 5 * np.sqrt(share * (1 - share) / 4000)


def test_the_same_seed_gives_the_same_panel_and_another_seed_another() -> None:
    panel, truth = simulate(demo_config(n_samples=50, n_loci=40, seed=3))
    assert truth.panel_digest == panel.attrs["digest"]
    assert panel.attrs["digest"] == small(seed=3).attrs["digest"]
    assert panel.attrs["digest"] != small(seed=4).attrs["digest"]


def test_other_traits_leave_the_genotypes_and_missing_cells_leave_the_rest() -> None:
    panel = small()
    other = small(additive=0.1)
    assert (panel["call_dosage"].values == other["call_dosage"].values).all()
    whole = small(missing={})
    measured = ~np.isnan(panel["trait_value"].values)
    assert not measured.all()
    values = whole["trait_value"].values
    assert (panel["trait_value"].values[measured] == values[measured]).all()


def test_the_panel_knows_its_map() -> None:
    panel = small()
    assert set(panel["variant_contig"].values) <= {f"chr{i:02}" for i in range(1, 17)}
    first = panel["variant_contig"].values == panel["variant_contig"].values[0]
    assert (np.diff(panel["variant_cm"].values[first]) > 0).all()
    name = f"{panel['variant_contig'].values[5]}_{panel['variant_position'].values[5]}"
    assert panel["variant_id"].values[5] == name


def test_map_positions_must_be_one_a_locus() -> None:
    with pytest.raises(DataError, match="variant_cm has 3 entries for 2 loci"):
        from_arrays(
            [[0, 1], [1, 0]], trait_value=[[1], [2]], trait_names=["a"], variant_cm=[1, 2, 3]
        )
