from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from crosstrait.errors import CrosstraitError, StorageError
from crosstrait.models.registry import model_names
from crosstrait.panel.schema import from_arrays
from crosstrait.split.manifest import from_ids
from crosstrait.training.fit import fit
from crosstrait.training.fitted import Fitted
from crosstrait.training.load import load_model
from support.small_models import SHORT_TRAINING, small_model

RANDOM = np.random.default_rng(0)
DOSAGE = RANDOM.integers(0, 3, (80, 7)).astype(np.float32)
DOSAGE[RANDOM.random(DOSAGE.shape) < 0.1] = np.nan
VALUES = np.nan_to_num(DOSAGE) @ RANDOM.normal(size=(7, 2)) + RANDOM.normal(40, 1, (80, 2))
PANEL = from_arrays(DOSAGE, trait_value=VALUES, trait_names=["a", "b"], ploidy=2)
IDS = PANEL["sample_id"].values
SPLIT = from_ids(train=IDS[:60], validation=IDS[60:70], test=IDS[70:])


@pytest.fixture(scope="module", params=model_names())
def fitted(request: pytest.FixtureRequest) -> Fitted:
    return fit(small_model(request.param), PANEL, SPLIT, seed=5, train=SHORT_TRAINING)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("ridge", "canonical", "trees"):
        fit(small_model(name), PANEL, SPLIT, train=SHORT_TRAINING).save(folder / name)
    return folder


def test_every_model_predicts_the_same_bits_after_loading(fitted: Fitted, tmp_path: Path) -> None:
    fitted.save(tmp_path / "one")
    loaded = load_model(tmp_path / "one")
    np.testing.assert_array_equal(loaded.predict(DOSAGE), fitted.predict(DOSAGE))
    np.testing.assert_array_equal(loaded.predict_sd(DOSAGE), fitted.predict_sd(DOSAGE))
    assert loaded.data == fitted.data
    loaded.save(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_folder_without_a_card_or_facts_still_loads(saved: Path, tmp_path: Path) -> None:
    """As saved before there were any."""
    shutil.copytree(saved / "ridge", tmp_path / "old")
    (tmp_path / "old" / "README.md").unlink()
    edit(lambda content: content.pop("data"))(tmp_path / "old")
    old = load_model(tmp_path / "old")
    assert old.data is None
    np.testing.assert_array_equal(old.predict(DOSAGE), load_model(saved / "ridge").predict(DOSAGE))


Damage = Callable[[Path], object]


def edit(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change the settings, which no hash protects."""

    def act(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        change(content)
        (folder / "config.json").write_text(json.dumps(content))

    return act


def rewrite(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """Change the arrays as someone would who writes a fitting hash beside them."""

    def act(folder: Path) -> None:

        arrays = load((folder / "model.safetensors").read_bytes())
        change(arrays)
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        (folder / "model.safetensors").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        edit(lambda settings: settings.update(weights_sha256=digest))(folder)

    return act


def text(name: str, change: Callable[[str], str]) -> Damage:
    """Change a file as text."""
    return lambda folder: (folder / name).write_text(change((folder / name).read_text()))


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def longer(name: str) -> Damage:
    return rewrite(lambda arrays: arrays.update({name: np.append(arrays[name], arrays[name][:1])}))


def put(name: str, value: Any) -> Damage:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name].flat[0] = value

    return rewrite(change)


UNREADABLE = "holds no readable model"
DAMAGED: list[tuple[str, str, Damage, str]] = [
    ("ridge", "absent", shutil.rmtree, "there is no saved model in"),
    ("ridge", "truncated weights", cut, "SHA-256 differ"),
    ("ridge", "weights of another", flip, "SHA-256 differ"),
    ("ridge", "truncated config", text("config.json", lambda t: t[:50]), UNREADABLE),
    ("ridge", "other json", text("config.json", lambda t: "[1, 2]"), UNREADABLE),
    ("ridge", "deep json", text("config.json", lambda t: "[" * 100_000), UNREADABLE),
    ("ridge", "no history", lambda f: (f / "history.csv").unlink(), "no .*history.csv"),
    ("ridge", "other history", text("history.csv", lambda t: "a,b\n1,2\n"), UNREADABLE),
    (
        "ridge",
        "newer",
        edit(lambda c: c.update(format=99)),
        "of format 99, this version of crosstrait reads format 1",
    ),
    ("ridge", "unknown model", edit(lambda c: c["model"].update(type="rigde")), "'rigde'"),
    ("ridge", "unknown setting", edit(lambda c: c.update(trait_nams=[])), "'trait_nams'"),
    ("ridge", "traits no list", edit(lambda c: c.update(trait_names="ab")), "trait_names = 'ab'"),
    ("ridge", "a trait too many", edit(lambda c: c["trait_names"].append("c")), "each trait"),
    ("ridge", "no longer a network", edit(lambda c: c.update(n_networks=1)), UNREADABLE),
    ("ridge", "facts of another kind", edit(lambda c: c.update(data={"source": 3})), "data.source"),
    ("ridge", "array missing", rewrite(lambda a: a.pop("encoder.mean")), UNREADABLE),
    ("ridge", "a mean too many", longer("encoder.mean"), "one mean a locus"),
    ("ridge", "a column too many", longer("encoder.columns"), "ascending columns"),
    ("ridge", "column out of range", put("encoder.columns", -1), "ascending columns"),
    ("ridge", "impossible mean", put("encoder.mean", np.nan), "mean dosages in"),
    ("ridge", "impossible ploidy", put("encoder.ploidy", 0), "mean dosages in"),
    ("ridge", "infinite scale", put("scaler.mean", np.inf), "the scale of each trait"),
    ("ridge", "no scale", put("scaler.sd", 0), "trait scales above 0"),
    ("ridge", "loci not JSON", put("encoder.variant_id", 0), UNREADABLE),
    ("ridge", "too few quantiles", longer("errors.root_mean_square"), "an error a trait"),
    ("ridge", "infinite effect", put("model.coef", np.nan), "finite predictions"),
    ("ridge", "an effect too many", longer("model.coef"), UNREADABLE),
    ("trees", "other trees", put("model.booster_0", ord("T")), "booster of the saved trees"),
    ("canonical", "NaN weight", put("model.0.embedding", np.nan), "finite weights"),
    ("canonical", "other shape", longer("model.0.embedding"), "arrays of its settings"),
    (
        "canonical",
        "wider than its weights",
        edit(lambda c: c["model"].update(embedding_dim=5)),
        "arrays of its settings",
    ),
    (
        "canonical",
        "layers without end",
        edit(lambda c: c["model"].update(n_layers=10**9)),
        r"weights of its settings \(n_layers\)",
    ),
    ("canonical", "many networks", edit(lambda c: c.update(n_networks=10**9)), "as many networks"),
]


@pytest.mark.parametrize(
    ("model", "act", "message"),
    [(model, act, message) for model, _, act, message in DAMAGED],
    ids=[f"{model}: {how}" for model, how, _, _ in DAMAGED],
)
def test_a_damaged_or_hostile_folder_is_refused_in_one_line(
    saved: Path, tmp_path: Path, model: str, act: Damage, message: str
) -> None:
    shutil.copytree(saved / model, tmp_path / "m")
    act(tmp_path / "m")
    with pytest.raises(CrosstraitError, match=message) as caught:
        load_model(tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_pickle_in_the_place_of_the_weights_is_not_run(saved: Path, tmp_path: Path) -> None:

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    shutil.copytree(saved / "ridge", tmp_path / "m")
    content = pickle.dumps(Trap())
    (tmp_path / "m" / "model.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(lambda settings: settings.update(weights_sha256=digest))(tmp_path / "m")
    with pytest.raises(StorageError, match=UNREADABLE):
        load_model(tmp_path / "m")
    assert not (tmp_path / "ran").exists()
