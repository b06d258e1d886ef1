"""Published models come from their own files, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from crosstrait.errors import DataError, SettingsError, StorageError
from crosstrait.models import load_published
from crosstrait.models.published import import_checkpoint
from support.parity import OPTIONS, load_fixture
from support.torch_files import Call, dumps, save_checkpoint, tensor_call, write_torch_file

CHECKPOINTS = {"rijal": "rijal_23C", "canonical": "canonical_rep_00"}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_published_checkpoints_give_their_published_outputs(parity: Path, kind: str) -> None:
    stem = f"checkpoint_{CHECKPOINTS[kind]}"
    with np.load(parity / f"{stem}.npz") as stored:
        genotypes, output = torch.from_numpy(stored["genotypes"]).float(), stored["output"]
    module = load_published(kind, parity / f"{stem}.ckpt")
    assert not module.training
    with torch.no_grad():
        np.testing.assert_allclose(module(genotypes).numpy(), output, atol=1e-4, rtol=0)


def test_a_checkpoint_tells_its_model_traits_and_training(parity: Path) -> None:
    found = import_checkpoint(parity / "checkpoint_canonical_rep_00.ckpt")
    assert found.kind == "canonical"
    assert (found.n_loci, found.n_traits) == (1164, 18)
    assert found.config.model_dump() == {
        "type": "canonical",
        "embedding_dim": 128,
        "n_layers": 3,
        "learned_embedding": True,
        "bias": "linear",
        "scaled_attention": False,
        "layer_norm": False,
        "skip_connections": False,
        "feedforward_dim": 0,
        "readout": "mean",
        "per_trait": False,
        "dropout": 0.0,
        "init_scale": 0.03,
    }
    assert found.trait_names is not None
    assert found.trait_names[:2] + found.trait_names[-1:] == ["23C", "25C", "4NQO"]
    assert found.train["learning_rate"] == 0.001
    assert found.metadata["epoch"] == 54
    assert found.metadata["name"] == "std_d128_rep_00"
    assert found.state.keys() == dict(found.build().named_parameters()).keys()


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("suffix", [".npz", ".ckpt", ".pt", ".safetensors"])
def test_every_kind_loads_from_every_file_format(
    parity: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    fixture = load_fixture(parity, name)
    weights = {k: torch.from_numpy(v) for k, v in fixture.under("weight/").items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        shutil.copy(parity / f"{name}.npz", path)
    elif suffix == ".ckpt":
        save_checkpoint(path, {f"model.{k}": v for k, v in weights.items()})
    elif suffix == ".pt":
        torch.save(weights, path)
    else:
        from safetensors.torch import save_file

        save_file(weights, path)
    module = load_published(fixture.kind, path, **fixture.options)
    with torch.no_grad():
        assert torch.equal(fixture.predict(module), fixture.predict(fixture.module()))
    assert import_checkpoint(path, **fixture.options).kind == fixture.kind


def test_settings_pickled_with_a_checkpoint_are_used(parity: Path, tmp_path: Path) -> None:
    fixture = load_fixture(parity, "canonical")
    weights = fixture.under("weight/")
    data, calls = {}, {}
    for i, (name, array) in enumerate(weights.items()):
        data[str(i)] = array.tobytes()
        stride = tuple(step // array.itemsize for step in array.strides)
        kind = "LongStorage" if array.dtype == np.int64 else "FloatStorage"
        calls[f"model.{name}"] = tensor_call(
            array.shape, stride, kind=kind, entry=str(i), count=array.size
        )
    settings = {"model_type": "modified", "scaled_attention": True, "dropout_rate": 0.1, "nhead": 4}
    content = {
        "state_dict": calls,
        "hyper_parameters": {
            "model_config": Call("analysis.base.ModelConfig", state=settings),
            "train_config": Call("analysis.base.TrainConfig", state={"lr_schedule": True}),
        },
    }
    path = write_torch_file(tmp_path / "a.ckpt", dumps(content), data=data)
    found = import_checkpoint(path)
    assert found.config.model_dump()["scaled_attention"] is True
    assert found.config.model_dump()["dropout"] == 0.1
    assert found.train == {"schedule": "plateau"}
    assert found.trait_names is None
    overruled = import_checkpoint(path, scaled_attention=False)
    assert overruled.config.model_dump()["scaled_attention"] is False


def test_loci_are_embedded_in_the_order_of_the_published_indices(parity: Path) -> None:
    fixture = load_fixture(parity, "canonical")
    weights = fixture.under("weight/")
    order = np.random.default_rng(0).permutation(20)
    shuffled = {
        **weights,
        "locus_indices": order,
        "locus_embeddings.weight": weights["locus_embeddings.weight"][np.argsort(order)],
    }
    with torch.no_grad():
        found = load_published("canonical", shuffled)(fixture.tensor("genotypes"))
        torch.testing.assert_close(found, fixture.tensor("output"))


def test_an_unknown_kind_is_named_with_the_nearest(parity: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'canonical'"):
        load_published("cannonical", {})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("canonical", {"embedding_dim": 32}, "contradicts the weights, which say 16"),
        ("canonical", {"n_heads": 2}, "unknown setting 'n_heads'"),
        ("transformer", {"n_heads": 5}, "does not divide"),
    ],
)
def test_options_must_exist_and_agree_with_the_weights(
    parity: Path, name: str, options: dict[str, int], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_published(name, load_fixture(parity, name).under("weight/"), **options)


def test_weights_of_another_kind_are_refused(parity: Path) -> None:
    weights = load_fixture(parity, "rijal").under("weight/")
    with pytest.raises(DataError, match=r"no canonical weights.*'locus_embeddings\.weight'"):
        load_published("canonical", weights)
    with pytest.raises(DataError, match="do not fit together"):
        load_published("rijal_multienv", weights)


def test_weights_left_over_missing_or_not_finite_are_refused(parity: Path) -> None:
    weights = load_fixture(parity, "rijal").under("weight/")
    with pytest.raises(DataError, match="nothing is known of extra"):
        load_published("rijal", {**weights, "extra": np.ones(2, np.float32)})
    without = {name: array for name, array in weights.items() if name != "query_matrices.2"}
    with pytest.raises(DataError, match="do not fit together: key is"):
        load_published("rijal", without)
    broken = {**weights, "offset": np.array([np.nan], np.float32)}
    with pytest.raises(DataError, match="'offset' holds values that are not finite"):
        load_published("rijal", broken)
    with pytest.raises(DataError, match=r"'random_matrix' has the shape \(20,\), not 2 dim"):
        load_published("rijal", {**weights, "random_matrix": np.ones(20, np.float32)})
    with pytest.raises(DataError, match="'offset' is a str, not an array"):
        load_published("rijal", {**weights, "offset": "0"})


def test_a_file_of_no_published_model_is_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="of no published model"):
        import_checkpoint(tmp_path / "a.pt")
    with pytest.raises(StorageError, match="no file"):
        import_checkpoint(tmp_path / "b.pt")


def test_pickled_arrays_in_an_npz_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", random_matrix=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="no archive of plain arrays"):
        load_published("rijal", tmp_path / "a.npz")
