from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstrait import split
from crosstrait.errors import DataError, SettingsError
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.split import SplitConfig, draw


@pytest.fixture
def panel() -> Panel:
    return from_arrays(
        np.arange(40)[:, None] % 2,
        trait_value=np.arange(40.0)[:, None],
        trait_names=["height"],
        sample_group=[f"family {i % 8}" for i in range(40)],
    )


def parse(**values: Any) -> SplitConfig:
    return SplitConfig.parse(values, where="[split]")


def test_each_scheme_draws_what_its_function_draws(panel: Panel, tmp_path: Path) -> None:
    split.random(panel, seed=9).save(tmp_path / "split.json")
    shared = {"folds": 4, "validation": 0.2, "seed": 3}
    cases = [
        (parse(test=0.3, seed=5), [split.random(panel, test=0.3, seed=5)]),
        (parse(scheme="kfold", **shared), split.k_fold(panel, **shared)),
        (parse(scheme="group", **shared), split.group(panel, **shared)),
        (parse(scheme="published"), [split.published(panel)]),
        (parse(scheme="file", path=str(tmp_path / "split.json")), [split.random(panel, seed=9)]),
    ]
    for config, expected in cases:
        assert draw(config, panel) == expected


def test_repeats_use_one_seed_after_the_other(panel: Panel) -> None:
    drawn = draw(parse(repeats=3, seed=4), panel)
    assert [s.digest for s in drawn] == [split.random(panel, seed=4 + r).digest for r in range(3)]
    assert [(s.fold, s.pooled) for s in drawn] == [(0, False), (1, False), (2, False)]


def test_the_defaults_are_those_of_the_functions(panel: Panel) -> None:
    assert draw(SplitConfig(), panel) == [split.random(panel)]
    assert draw(parse(scheme="kfold"), panel) == split.k_fold(panel)
    assert draw(parse(scheme="group"), panel) == split.group(panel)


@pytest.mark.parametrize("scheme", ["random", "kfold", "group", "published"])
def test_a_configuration_survives_json(scheme: str) -> None:
    config = parse(scheme=scheme)
    assert SplitConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scheme": "kfold", "test": 0.2}, r"test = 0\.2 has no effect with scheme = 'kfold'"),
        ({"folds": 5}, r"folds = 5 has no effect .* or use scheme 'kfold' or 'group'"),
        ({"scheme": "published", "seed": 0}, r"seed = 0 has no effect .* uses no option"),
        ({"scheme": "file"}, r"\[split\]: scheme = 'file' needs path"),
        ({"test": 1.5}, r"test = 1\.5: input should be less than 1"),
        ({"sceme": "random", "sed": 1}, r"did you mean 'scheme'.*did you mean 'seed'"),
        ({"scheme": "k-fold"}, r"scheme = 'k-fold': input should be .*'kfold'"),
        ({"scheme": ["random"]}, r"scheme = \['random'\]: input should be"),
    ],
)
def test_what_the_scheme_does_not_use_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SplitConfig.parse(values, where="[split]")


def test_a_manifest_of_other_samples_is_refused_when_it_is_drawn(
    panel: Panel, tmp_path: Path
) -> None:
    split.from_ids(train=["a", "b"], test=["sample_1"]).save(tmp_path / "split.json")
    with pytest.raises(DataError, match="2 train samples of the split are not in the panel: a, b"):
        draw(parse(scheme="file", path=tmp_path / "split.json"), panel)
