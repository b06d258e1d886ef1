from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crosstrait.cli import run_command
from crosstrait.models.registry import model_names
from crosstrait.panel.schema import Panel, from_arrays
from crosstrait.split.manifest import from_ids
from crosstrait.training.card import model_card
from crosstrait.training.facts import TestScores
from crosstrait.training.fit import fit
from crosstrait.training.fitted import Fitted
from support.small_models import SHORT_TRAINING, small_model

RANDOM = np.random.default_rng(0)
DOSAGE = RANDOM.integers(0, 2, (60, 5)).astype(np.float32)
VALUES = DOSAGE @ RANDOM.normal(size=(5, 2)) + RANDOM.normal(40, 1, (60, 2))
VALUES[:6, 1] = np.nan
HOSTILE = 'a|b]("x): <b>#\n--- \x07\u2028😀'
"""A trait's name with everything that Markdown, YAML or a table may stumble over."""


def panel(**changes: Any) -> Panel:
    given = {"trait_names": ["height", HOSTILE], "source": "/home/somebody/secret/cross.csv"}
    return from_arrays(DOSAGE, trait_value=VALUES, **(given | changes))


PANEL = panel()
IDS = PANEL["sample_id"].values
SPLIT = from_ids(train=IDS[:40], validation=IDS[40:50], test=IDS[50:])
SCORES = TestScores(
    n_samples=10,
    n_cells=(10, 9),
    r2=(0.5, None),
    pearson_r=(0.75, 0.25),
    rmse=(1.23456, None),
    coverage=((0.5, 0.45), (0.95, 1.0)),
)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit("ridge", PANEL, SPLIT)


def parts(card: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the front matter, read as YAML, and the sections by title."""
    _, front, body = card.split("---\n", 2)
    sections = body.split("\n## ")
    return yaml.safe_load(front), dict(s.split("\n", 1) for s in sections[1:])


def rows(section: str) -> list[list[str]]:
    """Return the cells of a section's table."""
    lines = [line for line in section.split("\n") if line.startswith("|")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line[1:-1])] for line in lines]


def test_the_front_matter_is_what_hugging_face_reads(fitted: Fitted) -> None:
    front, _ = parts(model_card(replace(fitted, scores=SCORES)))
    assert front["library_name"] == "crosstrait"
    assert front["pipeline_tag"] == "tabular-regression"
    assert front["tags"] == ["biology", "genomic-prediction", "ridge"]
    assert "license" not in front
    [entry] = front["model-index"]
    assert entry["name"] == "ridge"
    [result] = entry["results"]
    assert result["task"] == {"type": "tabular-regression"}
    assert result["dataset"]["name"] == "cross.csv"
    assert result["dataset"]["revision"] == PANEL.attrs["digest"]
    told = [(metric["type"], metric["name"], metric["value"]) for metric in result["metrics"]]
    assert told == [
        ("r2", "Test R2, mean of 2 traits", 0.5),
        ("pearson_r", "Test Pearson r, mean of 2 traits", 0.5),
        ("r2", "Test R2, height", 0.5),
    ]


def test_names_are_text_in_yaml_and_in_tables(fitted: Fitted) -> None:
    scores = SCORES.model_copy(update={"r2": (0.5, 0.25)})
    front, sections = parts(model_card(replace(fitted, scores=scores)))
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert metrics[-1]["name"] == f"Test R2, {HOSTILE}"
    for title in ("What it predicts", "Scores"):
        table = rows(sections[title])
        assert len({len(row) for row in table}) == 1, title
    assert "<b>" not in model_card(fitted).replace(r"\<b\>", "")


def test_it_tells_data_scores_and_coverage(fitted: Fitted) -> None:
    _, sections = parts(model_card(replace(fitted, scores=SCORES)))
    assert list(sections) == [
        "What it predicts",
        "Data",
        "Scores",
        "Intervals",
        "Intended use and limits",
        "How to use",
        "Made with",
    ]
    assert "60 samples, 5 loci" in sections["Data"]
    assert "40 samples trained, 10 validated (it learned from them too), 10" in sections["Data"]
    assert PANEL.attrs["digest"] in sections["Data"]
    assert SPLIT.digest in sections["Data"]
    height, other = rows(sections["What it predicts"])[2:]
    assert height[1:] == [f"{VALUES[:40, 0].mean():.4g}", f"{VALUES[:40, 0].std():.4g}", "50"]
    assert other[-1] == "44"
    assert rows(sections["Scores"])[2:4] == [
        ["**mean**", "0.500", "0.500", "", "19"],
        ["height", "0.500", "0.750", "1.235", "10"],
    ]
    assert rows(sections["Intervals"])[2:] == [["50%", "45.0%"], ["95%", "100.0%"]]
    assert "Golub" in sections["Made with"]


def test_what_nobody_knows_is_not_made_up(fitted: Fitted) -> None:
    bare = replace(fitted, data=None, errors=None, panel_digest="", split_digest="")
    front, sections = parts(model_card(bare))
    assert "model-index" not in front
    assert sections["Scores"].strip() == "It was not scored on test samples."
    assert sections["Intervals"].startswith("\nIt has none")
    assert "SHA-256" not in sections["Data"]
    assert "level" not in sections["How to use"]


def test_its_recipes_run(fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted.save(tmp_path / "path" / "of" / "this" / "folder")
    calls = PANEL["call_dosage"].to_pandas().iloc[:3]
    calls.index, calls.columns = PANEL["sample_id"].values[:3], PANEL["variant_id"].values
    calls.to_csv(tmp_path / "new.csv")
    monkeypatch.chdir(tmp_path)
    python, shell = re.findall(r"```(?:python|sh)\n(.*?)```", model_card(fitted), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(python, names)
    assert len(names["table"]) == 3  # type: ignore[arg-type]
    assert run_command(shlex.split(shell)[1:]) == 0
    assert (tmp_path / "predicted.csv").is_file()


@pytest.mark.parametrize("model", model_names())
def test_every_model_has_a_card(model: str) -> None:
    one = fit(small_model(model), PANEL, SPLIT, train=SHORT_TRAINING)
    front, sections = parts(model_card(one))
    assert model in front["tags"]
    chose = "(they chose the epoch)" in sections["Data"]
    assert chose == (len(one.history) > 0)
    assert ("Validation samples, which chose the epoch" in sections["Scores"]) == chose


def test_the_same_fit_gives_the_same_bytes_and_no_folder_is_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit("lasso", PANEL, SPLIT, prune_r=0.9).save(tmp_path / name)
    one, two = ((tmp_path / name / "README.md").read_bytes() for name in ("one", "two"))
    assert one == two
    for file in (tmp_path / "one").iterdir():
        assert b"somebody" not in file.read_bytes()
