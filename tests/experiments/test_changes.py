from __future__ import annotations

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.changes import apply_changes

MODELS = {"model": [{"type": "ridge"}, {"type": "canonical", "name": "wide"}]}


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("a.b=3", 3),
        ("a.b = 0.5", 0.5),
        ("a.b=true", True),
        ("a.b=[1, 2]", [1, 2]),
        ("a.b='x y'", "x y"),
        ("a.b=word", "word"),
        ("a.b=/data/panel.zarr", "/data/panel.zarr"),
        ("a.b=c=d", None),
    ],
)
def test_values_are_toml_or_bare_words(change: str, value: object) -> None:
    if value is None:
        with pytest.raises(SettingsError, match="is no TOML value"):
            apply_changes({}, changes=[change])
    else:
        assert apply_changes({}, changes=[change]) == {"a": {"b": value}}


def test_a_model_is_named_by_place_or_label() -> None:
    changed = apply_changes(
        MODELS, changes=["model.0.train.protocol=masked", "model.wide.n_layers=2"]
    )
    assert changed["model"][0] == {"type": "ridge", "train": {"protocol": "masked"}}
    assert changed["model"][1]["n_layers"] == 2
    assert MODELS["model"][1] == {"type": "canonical", "name": "wide"}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("train.seed", "reads key=value"),
        ("=3", "reads key=value"),
        ("train..seed=3", "reads key=value"),
        ("model.2.name=x", "unknown model '2'"),
        ("model.wdie.n_layers=2", "did you mean 'wide'?"),
        ("model.0=ridge", "is a table; name a setting"),
        ("model.0.type.x=1", "model.0.type is a value, not a table"),
    ],
)
def test_a_change_that_leads_nowhere_is_refused(change: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        apply_changes(MODELS, changes=[change])
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"--set {change}: ")
