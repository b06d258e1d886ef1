"""A published checkpoint becomes a run that predicts what its authors' code predicts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crosstrait.cli import run_command
from crosstrait.errors import DataError, SettingsError, StorageError
from crosstrait.evaluation.metrics import r2
from crosstrait.experiments.cache import is_finished
from crosstrait.experiments.imported import import_run
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.panel.storage import save_panel
from crosstrait.split.schemes import published
from crosstrait.training.load import load_model
from support.parity import load_fixture
from support.torch_files import Call, dumps, write_torch_file

CHECKPOINTS = ["rijal_23C", "canonical_rep_00"]
NAMES = ("23C", "cu", "li")


def stored(parity: Path, name: str) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return a checkpoint with its genotypes and the outputs of the published code."""
    with np.load(parity / f"checkpoint_{name}.npz") as arrays:
        return parity / f"checkpoint_{name}.ckpt", arrays["genotypes"], arrays["output"]


@pytest.fixture
def weights(parity: Path, tmp_path: Path) -> Path:
    """A canonical state dict of 20 loci and 3 traits, as a bare file of arrays."""
    path = tmp_path / "weights.npz"
    np.savez(path, **load_fixture(parity, "canonical").under("weight/"))
    return path


def cross(*, n_loci: int = 20, missing: float = 0.2, n_samples: int = 80) -> Panel:
    """A panel with the trait names of the checkpoint, in another order, each in its own unit."""
    random = np.random.default_rng(0)
    values = random.normal(size=(n_samples, 3)) * [1, 10, 100] + [5, 50, 500]
    values[random.random(values.shape) < missing] = np.nan
    return from_arrays(
        random.integers(0, 2, (n_samples, n_loci)),
        trait_value=values,
        trait_names=NAMES[::-1],
        variant_id=[f"chr1_{j}" for j in range(n_loci)],
    )


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_predict_through_an_imported_run_gives_the_published_outputs(
    parity: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, genotypes, output = stored(parity, name)
    np.save(tmp_path / "geno_test.npy", genotypes)
    run, table = tmp_path / "run", tmp_path / "predicted.csv"
    assert run_command(["import-checkpoint", str(checkpoint), "--out", str(run)]) == 0
    assert "1,164 loci" in capsys.readouterr().out
    assert is_finished(run)
    arguments = [str(run), str(tmp_path / "geno_test.npy"), "--out", str(table)]
    assert run_command(["predict", *arguments]) == 0
    assert "predictions are in standard deviations" in capsys.readouterr().err
    predicted = pd.read_csv(table)
    assert predicted.columns[1] == "23C"
    found = predicted.drop(columns="sample").to_numpy()
    np.testing.assert_allclose(found, output, atol=1e-4, rtol=0)


def test_a_run_without_scores_has_a_report_that_says_so(parity: Path, tmp_path: Path) -> None:
    checkpoint, _, _ = stored(parity, "rijal_23C")
    import_run(checkpoint, out=tmp_path / "run")
    assert run_command(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "rijal has no score here" in page
    assert "fig3_23C" in page
    assert 'id="leaderboard"' not in page
    assert is_finished(tmp_path / "run")


def test_settings_of_the_published_training_are_kept(parity: Path, tmp_path: Path) -> None:
    checkpoint, _, _ = stored(parity, "rijal_23C")
    import_run(checkpoint, out=tmp_path / "run")
    train = load_model(tmp_path / "run").train_config
    assert (train.optimizer, train.max_epochs, train.patience) == ("adam", 200, 200)
    assert train.protocol == "masked"


def test_a_panel_gives_loci_units_and_scores(weights: Path, tmp_path: Path) -> None:
    panel = cross()
    imported = import_run(weights, out=tmp_path / "run", panel=panel, traits=NAMES)
    assert imported.in_trait_units
    fitted = load_model(tmp_path / "run")
    assert fitted.trait_names == NAMES
    assert fitted.encoder.variant_id.tolist() == panel["variant_id"].values.tolist()
    split = published(panel)
    train = split.rows(panel, "train")
    values = panel["trait_value"].values[:, ::-1]  # in the checkpoint's order
    np.testing.assert_allclose(fitted.scaler.mean, np.nanmean(values[train], axis=0))
    np.testing.assert_allclose(fitted.scaler.sd, np.nanstd(values[train], axis=0))

    validation = split.rows(panel, "validation")
    lower, upper = fitted.predict_interval(panel["call_dosage"].values[validation], level=0.5)
    measured = ~np.isnan(values[validation])
    inside = (lower <= values[validation]) & (values[validation] <= upper)
    assert 0.5 <= inside[measured].mean() < 0.8

    test = split.rows(panel, "test")
    test = test[~np.isnan(values[test]).any(axis=1)]  # the published rule
    assert imported.n_cells == 3 * len(test)
    metrics = pd.read_csv(tmp_path / "run" / "metrics.csv", index_col="metric")["value"]
    predicted = fitted.predict(panel["call_dosage"].values[test])
    expected = r2(values[test], predicted=predicted)
    for name, score in zip(NAMES, expected, strict=True):
        assert metrics[f"test_r2_{name}"] == pytest.approx(score)


def test_a_scored_run_is_reported_like_an_experiment(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_panel(cross(), tmp_path / "cross.zarr")
    traits = [word for name in NAMES for word in ("--trait", name)]
    panel = ["--panel", str(tmp_path / "cross.zarr")]
    run = str(tmp_path / "run")
    assert run_command(["import-checkpoint", str(weights), "--out", run, *panel, *traits]) == 0
    assert "trait units" in capsys.readouterr().out
    assert run_command(["report", run]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "canonical is not better than predicting the mean: mean R² " in page
    assert "Beside published values" in page
    arguments = [run, str(tmp_path / "cross.zarr"), "--out", str(tmp_path / "y.csv")]
    assert run_command(["predict", *arguments]) == 0
    assert "standard deviations" not in capsys.readouterr().err


def test_linked_loci_are_pruned_as_published(weights: Path, tmp_path: Path) -> None:
    whole = cross(missing=0)
    dosage = np.repeat(whole["call_dosage"].values, 2, axis=1)  # every locus twice
    panel = from_arrays(dosage, trait_value=whole["trait_value"].values, trait_names=NAMES)
    with pytest.raises(DataError, match="on 20 loci, the panel has 40"):
        import_run(weights, out=tmp_path / "run", panel=panel)
    import_run(weights, out=tmp_path / "run", panel=panel, prune_r=0.94)
    fitted = load_model(tmp_path / "run")
    assert fitted.encoder.columns.tolist() == list(range(0, 40, 2))
    assert np.isfinite(fitted.predict(dosage)).all()


def test_a_setting_that_the_weights_do_not_tell_is_given(parity: Path, tmp_path: Path) -> None:
    fixture = load_fixture(parity, "transformer")
    np.savez(tmp_path / "w.npz", **fixture.under("weight/"))
    for heads in ("2", "4"):
        arguments = ["--out", str(tmp_path / heads), "--set", f"n_heads={heads}"]
        assert run_command(["import-checkpoint", str(tmp_path / "w.npz"), *arguments]) == 0
    dosage = (fixture.arrays["genotypes"] + 1) / 2
    two, four = (load_model(tmp_path / heads).predict(dosage) for heads in ("2", "4"))
    np.testing.assert_allclose(four, fixture.arrays["output"], atol=1e-5)
    assert not np.allclose(two, four, atol=1e-3)


def test_all_environments_of_a_multienv_model_are_its_traits(parity: Path, tmp_path: Path) -> None:
    fixture = load_fixture(parity, "rijal_multienv")
    np.savez(tmp_path / "w.npz", **fixture.under("weight/"))
    imported = import_run(tmp_path / "w.npz", out=tmp_path / "run")
    assert imported.kind == "rijal_multienv"
    assert imported.trait_names == tuple(f"trait_{t}" for t in range(1, 19))
    predicted = load_model(tmp_path / "run").predict((fixture.arrays["genotypes"] + 1) / 2)
    own = predicted[np.arange(6), fixture.arrays["environment"]]
    np.testing.assert_allclose(own, fixture.arrays["output"], atol=1e-5)


def test_a_checkpoint_that_runs_code_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = tmp_path / "ran"
    weights = {"random_matrix": Call("os.system", f"touch {ran}")}
    evil = write_torch_file(tmp_path / "evil.ckpt", dumps({"state_dict": weights}))
    code = run_command(["import-checkpoint", str(evil), "--out", str(tmp_path / "run")])
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert re.fullmatch(
        r"crosstrait: .*evil\.ckpt: refused, for it names os\.system.*\n", captured.err
    )
    assert not ran.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.ckpt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"traits": ("23C",)}, "predicts 3 traits; got 1 names"),
        ({"traits": ("23C", "23C", "cu")}, "3 names, 2 of them different"),
        ({"prune_r": 0.9}, "give the panel too"),
        ({"settings": {"n_layers": 2}}, "contradicts the weights"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_leave_nothing(
    weights: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        import_run(weights, out=tmp_path / "run", **options)
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


def test_traits_that_the_panel_lacks_are_named(weights: Path, tmp_path: Path) -> None:
    traits = ("23C", "cu", "lithium")
    with pytest.raises(SettingsError, match="not the traits of the checkpoint: unknown trait"):
        import_run(weights, out=tmp_path / "run", panel=cross(), traits=traits)
    two = from_arrays(
        cross()["call_dosage"].values,
        trait_value=cross()["trait_value"].values[:, :2],
        trait_names=NAMES[:2],
    )
    with pytest.raises(SettingsError, match="which 3 of the panel's 2 traits"):
        import_run(weights, out=tmp_path / "run", panel=two)


def test_an_imported_run_among_the_runs_of_an_experiment_is_listed_and_predicts(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "experiment" / "runs"
    import_run(weights, out=runs / "canonical-published", panel=cross(), traits=NAMES)
    assert run_command(["runs", str(tmp_path / "experiment")]) == 0
    assert "canonical-published  replicate 0 fold 0 seed None  test R2" in capsys.readouterr().out
    save_panel(cross(), tmp_path / "cross.zarr")
    arguments = [str(tmp_path / "experiment"), str(tmp_path / "cross.zarr")]
    assert run_command(["predict", *arguments, "--out", str(tmp_path / "y.csv")]) == 0


def test_an_existing_folder_is_left_alone(weights: Path, tmp_path: Path) -> None:
    import_run(weights, out=tmp_path / "run")
    before = (tmp_path / "run" / "DONE").read_text()
    with pytest.raises(StorageError, match="there already"):
        import_run(weights, out=tmp_path / "run")
    assert (tmp_path / "run" / "DONE").read_text() == before


def test_weights_of_ones_own_publishing_need_not_come_from_lightning(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = parse_model({"type": "rijal", "embedding_dim": 3, "n_layers": 1}).build(
        n_loci=5, n_traits=1
    )
    assert isinstance(own, torch.nn.Module)
    state = own.state_dict()
    names = {"embedding": "random_matrix", "readout": "coeffs_attended", "offset": "offset"}
    weights = {theirs: state[ours] for ours, theirs in names.items()}
    weights |= {f"{part}_matrices.0": state[part][0] for part in ("query", "key", "value")}
    torch.save(weights, tmp_path / "own.pt")
    import_run(tmp_path / "own.pt", out=tmp_path / "run")
    X = torch.ones(2, 5)
    predicted = load_model(tmp_path / "run").predict(np.ones((2, 5)))
    with torch.no_grad():
        np.testing.assert_allclose(predicted, own(X).numpy(), atol=1e-6)
