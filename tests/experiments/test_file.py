from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import SettingsError, StorageError
from crosstrait.experiments.file import Experiment, read_experiment
from crosstrait.experiments.model_tables import UnreadSettingWarning, scope_pairs

SMALL = """
[data]
panel = "byxrm"
[split]
scheme = "random"
[[model]]
type = "ridge"
"""


@pytest.fixture
def read(tmp_path: Path):
    def from_text(text: str, *changes: str) -> Experiment:
        path = tmp_path / "small.toml"
        path.write_text(text)
        return read_experiment(path, changes=changes)

    return from_text


def test_a_small_file_is_read_with_defaults(read) -> None:
    experiment = read(SMALL)
    assert experiment.name == "small"
    assert experiment.data.traits is None
    assert experiment.data.prune_r is None
    assert (experiment.replicates, experiment.seed) == (1, 0)
    assert [entry.label for entry in experiment.models] == ["ridge"]


def test_every_problem_is_reported_at_once_with_file_table_and_nearest_spelling(read) -> None:
    with pytest.raises(SettingsError) as caught:
        read(
            """
            [data]
            pannel = "byxrm"
            prune_r = 1.5
            [splitt]
            [split]
            scheme = "random"
            flods = 5
            [train]
            replicats = 3
            mxa_epochs = 2
            [[model]]
            type = "ridge"
            lambda = 2
            [[model]]
            type = "transfromer"
            [[model]]
            type = "canonical"
            embeding_dim = 8
            n_layers = 0
            triats = ["a"]
            epochs = 3
            [model.train]
            batchsize = 2
            """
        )
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "small.toml: unknown table 'splitt' (did you mean 'split'?)",
        "[data]: ",
        "unknown setting 'pannel' (did you mean 'panel'?)",
        "setting 'panel' is required",
        "prune_r = 1.5",
        "[split]: unknown setting 'flods' (did you mean 'folds'?)",
        "[train]: unknown setting",
        "'replicats' (did you mean 'replicates'?)",
        "'mxa_epochs' (did you mean 'max_epochs'?)",
        "[[model]] 1 (ridge): unknown setting 'lambda'",
        "[[model]] 2 (transfromer): unknown model 'transfromer' (did you mean 'transformer'?)",
        "[[model]] 3 (canonical): unknown setting 'embeding_dim' (did you mean 'embedding_dim'?)",
        "unknown setting 'triats' (did you mean 'traits'?)",
        "unknown setting 'epochs' (did you mean 'max_epochs' of [train]?)",
        "n_layers = 0",
        "[model.train]: unknown setting 'batchsize' (did you mean 'batch_size'?)",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[data\n", "is not valid TOML"),
        ("[[model]]\ntype='ridge'", "the table [data] is required"),
        ("[data]\npanel='x'", "at least one [[model]] table"),
        ("[data]\npanel='x'\n[model]\ntype='ridge'", "double brackets"),
        ("data=3\n[[model]]\ntype='ridge'", "[data] must be a table; got data = 3"),
        ("[data]\npanel='x'\n[[model]]\nname='a'", "setting 'type' is required"),
        ("[data]\npanel='x'\ntraits='height'\n[[model]]\ntype='ridge'", "list of trait names"),
        ("[data]\npanel='x'\ntraits=['a','a']\n[[model]]\ntype='ridge'", "named twice"),
        ("[data]\npanel='x'\n[[model]]\ntype='ridge'\nname='a/b'", "name = 'a/b'"),
        ("[data]\npanel='x'\n[[model]]\ntype='ridge'\ntrain=1", "must be a table [model.train]"),
        ("model=[1]\n[data]\npanel='x'", "[[model]] 1 must be a table"),
    ],
)
def test_an_unusable_file_says_what_is_wrong(read, text: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere\.toml: No such file"):
        read_experiment(tmp_path / "nowhere.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_experiment(path)


def test_training_settings_override_in_order_default_shared_own(read) -> None:
    experiment = read(
        """
        [data]
        panel = "byxrm"
        [train]
        replicates = 2
        seed = 5
        max_epochs = 7
        batch_size = 16
        [[model]]
        type = "rijal"
        [model.train]
        max_epochs = 3
        """
    )
    train = experiment.models[0].train
    assert (train.max_epochs, train.batch_size, train.optimizer) == (3, 16, "adam")
    assert (experiment.replicates, experiment.seed) == (2, 5)


def test_an_estimator_keeps_the_protocol_of_the_training_settings_alone(read) -> None:
    text = SMALL.replace(
        "[[model]]", "[train]\nmax_epochs = 3\nprotocol = 'complete-cases'\n[[model]]"
    )
    with pytest.warns(UnreadSettingWarning, match=r"max_epochs has no effect, .* none \(ridge\)"):
        train = read(text).models[0].train
    assert train.protocol == "complete-cases"
    assert train == type(train)(protocol="complete-cases")


def test_a_training_setting_that_no_model_reads_is_pointed_out(read) -> None:
    train = "[train]\nmax_epochs = 3\nlearning_rate = 0.1\ndevice = 'cpu'\nreplicates = 2\n"
    text = SMALL + "[[model]]\ntype = 'residual'\n" + train
    with pytest.warns(UnreadSettingWarning) as caught:
        read(text)
    assert str(caught[0].message).startswith("[train]: learning_rate, max_epochs has no effect")
    assert "residual has epochs of its own, under [[model]]" in str(caught[0].message)
    read(text + "[[model]]\ntype = 'rijal'\n")
    read(SMALL + "[train]\nreplicates = 2\nthreads = 2\nscope = 'single'\nprecision = '32'\n")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("[train]\nlr = 0.1", "[train]: unknown setting 'lr' (did you mean 'learning_rate'?)"),
        ("[train]\nepochs = 9", "[train]: unknown setting 'epochs' (did you mean 'max_epochs'?)"),
        ("[train]\nwd = 0.1", "unknown setting 'wd' (did you mean 'weight_decay'?)"),
        (
            "[[model]]\ntype = 'rijal'\nlr = 0.1",
            "unknown setting 'lr' (did you mean 'learning_rate' of [train]?)",
        ),
        (
            "[[model]]\ntype = 'residual'\nlr = 0.1",
            "unknown setting 'lr' (did you mean 'learning_rate'?)",
        ),
        (
            "[[model]]\ntype = 'residual'\nmax_epochs = 9",
            "unknown setting 'max_epochs' (did you mean 'epochs'?)",
        ),
    ],
)
def test_what_other_libraries_call_a_setting_gets_our_name(read, line: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(SMALL + line + "\n")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("[train]\nreplicates = '3'", "replicates = '3': give a number, without quotes"),
        ("[train]\nlearning_rate = '1e-3'", "learning_rate = '1e-3': give a number, without"),
        ("[train]\nseed = true", "seed = True: give a number"),
        ("[split]\nscheme = 'kfold'\nfolds = '3'", "folds = '3': give a number, without quotes"),
    ],
)
def test_a_number_in_quotes_is_refused(read, line: str, part: str) -> None:
    text = SMALL.replace('[split]\nscheme = "random"\n', "") + line + "\n"
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert part in str(caught.value)
    read(SMALL + "[train]\ngradient_clip = 1\n[[model]]\ntype = 'rijal'\n")  # 1 for 1.0


def test_training_settings_of_an_estimators_own_are_refused(read) -> None:
    with pytest.raises(SettingsError, match=r"ridge fits itself .* remove max_epochs"):
        read(SMALL + "[model.train]\nmax_epochs = 3\n")


def test_models_of_one_type_need_names(read) -> None:
    two = SMALL + "[[model]]\ntype = 'ridge'\n"
    with pytest.raises(SettingsError, match=r"2 \[\[model\]\] tables are called 'ridge'"):
        read(two)
    named = read(two + "name = 'blup'\n")
    assert [entry.label for entry in named.models] == ["ridge", "blup"]


def test_models_under_different_protocols_are_refused_before_any_training(read) -> None:
    text = SMALL + "[[model]]\ntype='canonical'\n[model.train]\nprotocol='complete-cases'\n"
    with pytest.raises(SettingsError, match="compared on the same cells"):
        read(text)
    read(text.replace("complete-cases", "complete-training"))


def test_complete_cases_with_traits_of_a_model_are_refused(read) -> None:
    text = SMALL + "traits = ['a']\n[train]\nprotocol='complete-cases'\n"
    with pytest.raises(SettingsError, match="decide its test samples"):
        read(text)


def test_a_relative_panel_is_found_beside_the_file(read, tmp_path: Path) -> None:
    (tmp_path / "cross.zarr").mkdir()
    assert read(SMALL.replace("byxrm", "cross.zarr")).data.panel == str(tmp_path / "cross.zarr")
    assert read(SMALL).data.panel == "byxrm"


def test_a_split_manifest_is_found_beside_the_file(read, tmp_path: Path) -> None:
    text = SMALL.replace('"random"', '"file"\npath = "split.json"')
    assert read(text).split.path == tmp_path / "split.json"


def test_changes_override_the_file_and_are_named_in_messages(read) -> None:
    experiment = read(SMALL, "train.replicates=3", "data.traits=['a']", "model.0.name=blup")
    assert experiment.replicates == 3
    assert experiment.data.traits == ("a",)
    assert experiment.models[0].label == "blup"
    with pytest.raises(
        SettingsError, match=r"--set train\.sede=3: .*'sede' \(did you mean 'seed'\?\)"
    ):
        read(SMALL, "train.sede=3")


def test_both_scopes_are_two_models_that_form_a_pair(tmp_path: Path) -> None:
    text = """
[data]
panel = "byxrm"
[[model]]
type = "ridge"
scope = "both"
[[model]]
type = "canonical"
name = "attention"
scope = "both"
[[model]]
type = "lasso"
scope = "single"
"""
    path = tmp_path / "scopes.toml"
    path.write_text(text)
    models = read_experiment(path).models
    assert [(m.label, m.train.scope) for m in models] == [
        ("ridge", "multi"),
        ("ridge-single", "single"),
        ("attention", "multi"),
        ("attention-single", "single"),
        ("lasso", "single"),
    ]
    assert scope_pairs(models) == [("ridge", "ridge-single"), ("attention", "attention-single")]


def test_a_scope_that_is_none_or_stands_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scopes.toml"
    path.write_text("""
[data]
panel = "byxrm"
[[model]]
type = "ridge"
scope = "boht"
[[model]]
type = "canonical"
[model.train]
scope = "single"
""")
    with pytest.raises(SettingsError) as refused:
        read_experiment(path)
    assert "unknown scope 'boht' (did you mean 'both'?)" in str(refused.value)
    assert "scope is a setting of [[model]] itself" in str(refused.value)
