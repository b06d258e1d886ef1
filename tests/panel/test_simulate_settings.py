from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstrait.errors import SettingsError
from crosstrait.panel.simulate_settings import SimulationConfig, demo_config


def parse(**values: Any) -> SimulationConfig:
    return SimulationConfig.parse(values, where="simulation")


def test_one_share_serves_every_trait_and_noise_is_what_is_left() -> None:
    config = parse(n_traits=3, additive=0.5, epistasis={"share": [0.1, 0.2, 0.5]})
    np.testing.assert_allclose(config.additive_variance(), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(config.epistatic_variance(), [0.1, 0.2, 0.5])
    np.testing.assert_allclose(config.noise_variance(), [0.4, 0.3, 0.0])


def test_the_correlation_may_be_a_number_a_matrix_or_factors() -> None:
    assert (parse(n_traits=2).correlation() == np.eye(2)).all()
    assert parse(n_traits=3, genetic_correlation=0.4).correlation()[0].tolist() == [1, 0.4, 0.4]
    matrix = [[1, -0.5], [-0.5, 1]]
    assert parse(n_traits=2, genetic_correlation=matrix).correlation().tolist() == matrix
    loadings = [[0.8, 0.0], [0.5, 0.5], [0.0, -0.9]]
    np.testing.assert_allclose(
        parse(n_traits=3, factor_loadings=loadings).correlation(),
        [[1, 0.4, 0], [0.4, 1, -0.45], [0, -0.45, 1]],
    )


def test_environments_multiply_the_traits_and_lower_their_correlation() -> None:
    config = parse(n_traits=2, genetic_correlation=0.5, environments={"count": 2, "share": 0.2})
    names = ["trait_1_env_1", "trait_1_env_2", "trait_2_env_1", "trait_2_env_2"]
    assert config.trait_names() == names
    np.testing.assert_allclose(config.correlation()[0], [1, 0.8, 0.5, 0.4])


def test_a_configuration_survives_json() -> None:
    config = demo_config(n_traits=4, environments={"count": 2, "share": 0.1}, additive=0.4)
    assert SimulationConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_causal": 10, "n_loci": 5}, "n_causal = 10 causal loci do not fit in n_loci = 5"),
        ({"n_causal": 5, "n_traits": 6}, "n_causal = 5 must be at least the number of traits, 6"),
        (
            {"epistasis": {"share": 0.1, "n_hubs": 0, "n_pairs": 5}},
            "the number of interactions = 5 must be at least the number of traits, 6",
        ),
        (
            {"additive": 0.8, "epistasis": {"share": 0.3}},
            r"must add up to at most 1 for each trait; they leave -0\.1 for the noise of trait 1",
        ),
        (
            {"additive": [0.1, 0.2]},
            "one for each of the 6 traits; there are 2: 0.1, 0.2; set it .* as in additive=0.1",
        ),
        ({"additive": 1.5}, r"additive\.0 = 1\.5: input should be less than or equal to 1"),
        ({"genetic_correlation": -0.5}, r"negative eigenvalue -1\.5"),
        ({"genetic_correlation": [[1, 0]]}, "a matrix of 6 x 6 numbers, .* got 1 rows of"),
        (
            {"n_traits": 2, "genetic_correlation": [[1, 0.5], [0.2, 1]]},
            "must be symmetric with a diagonal of 1",
        ),
        (
            {"n_traits": 2, "factor_loadings": [[0.9, 0.9], [0, 0]]},
            r"squares of the factor_loadings .* those of trait 1 make 1\.62",
        ),
        (
            {"n_traits": 1, "factor_loadings": [[0.9]], "genetic_correlation": 0.1},
            "say the same thing; give one",
        ),
        ({"missing": {"clustering": 0.5}}, r"clustering needs missing traits > 0"),
        (
            {"chromosomes": [{"name": "c", "length_bp": 9, "morgans": 1}] * 2},
            r"chromosomes must have different names; got \['c', 'c'\]",
        ),
        ({"sampels": 5, "epistasis": {"shar": 1}}, "unknown setting 'sampels'"),
    ],
)
def test_a_cross_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(**values)
