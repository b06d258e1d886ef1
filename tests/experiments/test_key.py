from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstrait.experiments.file import parse_experiment
from crosstrait.experiments.key import run_key
from crosstrait.experiments.plan import plan
from crosstrait.panel import from_arrays
from crosstrait.split import from_ids

BASE: dict[str, Any] = {
    "data": {"panel": "arrays"},
    "train": {"replicates": 2, "max_epochs": 3},
    "model": [{"type": "canonical", "embedding_dim": 4}, {"type": "ridge"}],
}


def arrays(**changes: Any) -> Any:
    rng = np.random.default_rng(0)
    dosage = rng.integers(0, 2, size=(12, 5)).astype(np.float32)
    trait_value = rng.normal(size=(12, 2))
    dosage[0, 0] = changes.pop("genotype", dosage[0, 0])
    return from_arrays(dosage, trait_value=trait_value, trait_names=["a", "b"], **changes)


def ids(n_train: int = 6) -> Any:
    names = [f"sample_{i}" for i in range(12)]
    return from_ids(train=names[:n_train], validation=names[n_train:8], test=names[8:])


def keys(values: dict[str, Any] = BASE, *, panel: Any = None, split: Any = None) -> list[str]:
    experiment = parse_experiment(values, name="x", folder=Path(), where="x")
    runs = plan(experiment, panel=arrays() if panel is None else panel, splits=[split or ids()])
    return [run.key for run in runs]


def changed(table: str, **settings: Any) -> dict[str, Any]:
    if table == "canonical":
        return {**BASE, "model": [{**BASE["model"][0], **settings}, BASE["model"][1]]}
    return {**BASE, table: {**BASE.get(table, {}), **settings}}


def test_the_runs_are_two_replicates_of_the_network_and_one_of_the_closed_form() -> None:
    assert len(keys()) == 3
    assert len(set(keys())) == 3


@pytest.mark.parametrize(
    "values",
    [
        changed("data", traits=["a"]),
        changed("data", prune_r=0.9),
        changed("train", protocol="complete-cases"),
    ],
)
def test_what_concerns_every_model_changes_every_key(values: dict[str, Any]) -> None:
    assert not set(keys(values)) & set(keys())


@pytest.mark.parametrize("panel", [arrays(genotype=np.nan), arrays(ploidy=2)])
def test_another_genotype_or_ploidy_changes_every_key(panel: Any) -> None:
    assert not set(keys(panel=panel)) & set(keys())


def test_another_split_changes_every_key() -> None:
    assert not set(keys(split=ids(5))) & set(keys())


@pytest.mark.parametrize(
    "values",
    [
        changed("train", max_epochs=4),
        changed("train", learning_rate=0.01),
        changed("train", device="cpu"),
        changed("train", precision="32"),
        changed("canonical", n_layers=2),
        changed("canonical", train={"batch_size": 8}),
    ],
)
def test_what_concerns_the_network_changes_its_keys_alone(values: dict[str, Any]) -> None:
    assert not set(keys(values)[:2]) & set(keys()[:2])
    assert keys(values)[2] == keys()[2]


def test_a_seed_decides_its_replicate_alone() -> None:
    shifted = keys(changed("train", seed=1))
    assert shifted[0] == keys()[1]
    assert shifted[1] not in keys()
    assert shifted[2] == keys()[2]


def test_what_does_not_decide_the_numbers_changes_no_key() -> None:
    assert keys(changed("canonical", name="wide")) == keys()
    assert keys(changed("canonical", train={"max_epochs": 3})) == keys()
    assert keys(panel=arrays(source="elsewhere")) == keys()
    assert keys(changed("data", traits=["b", "a"])) == keys()
    assert keys(changed("train", replicates=3))[:2] == keys()[:2]
    assert keys(changed("train", devices=4)) == keys()


def test_traits_of_a_model_change_its_keys() -> None:
    assert keys(changed("canonical", traits=["b"]))[0] != keys()[0]


def test_the_digest_is_that_of_canonical_json() -> None:
    assert run_key({"b": 1.5, "a": None}) == run_key({"a": None, "b": 1.5})
    assert run_key({"b": 1.5, "a": None}) == (
        "d01dfafa1d38f33185d857fa5afd09bb44b58d8fd6e14f31d1458e15352365c8"
    )


def test_not_a_number_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        run_key({"prune_r": float("nan")})
