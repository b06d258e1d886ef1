"""``report.html``: whole, safe, the same every time, and of what is there only."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from crosstrait.errors import DataError, StorageError
from crosstrait.evaluation import published_r2
from crosstrait.report.page import write_report
from support.run_folder import ACCURACY, BYXRM_TRAITS, write_run_folder

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects headings, ids, references and text, and refuses tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(found["id"])
        for name in ("href", "src", "aria-labelledby"):
            if found.get(name):
                self.references += [f"{name}={part}" for part in found[name].split()]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append((int(self.open[-1][1]), data))
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


def page(folder: Path) -> tuple[str, Reader]:
    text = write_report(folder).read_text(encoding="utf-8")
    return text, Reader(text)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Reader]:
    return page(write_run_folder(tmp_path_factory.mktemp("usual")))


def test_a_usual_run_has_every_section(usual: tuple[str, Reader]) -> None:
    _, read = usual
    assert [text for level, text in read.headings if level == 2] == [
        "Can it be believed?",
        "Leaderboard",
        "Accuracy by trait",
        "Accuracy against cost",
        "Observed against predicted",
        "Learning curves",
        "Data",
        "Split and leakage audit",
        "Provenance",
    ]


def test_the_answer_is_the_only_first_heading_and_levels_are_not_skipped(
    usual: tuple[str, Reader],
) -> None:
    _, read = usual
    levels = [level for level, _ in read.headings]
    assert levels.count(1) == 1
    assert read.headings[0][1].startswith("transformer predicts best: mean R²")
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_loaded_from_anywhere(usual: tuple[str, Reader]) -> None:
    text, read = usual
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'<> )]+", text)) <= names
    for reference in read.references:
        name, _, target = reference.partition("=")
        assert name == "aria-labelledby" or target.startswith(("#", "data:"))
    assert "default-src 'none'" in text


def test_ids_are_unique_and_every_reference_within_the_page_is_met(
    usual: tuple[str, Reader],
) -> None:
    _, read = usual
    assert len(read.ids) == len(set(read.ids))
    for reference in read.references:
        name, _, target = reference.partition("=")
        if name == "aria-labelledby" or target.startswith("#"):
            assert target.removeprefix("#") in read.ids


def test_every_figure_has_a_name_and_every_table_its_headings(usual: tuple[str, Reader]) -> None:
    _, read = usual
    figures = [found for tag, found in read.tags if tag == "svg" and not found.get("aria-hidden")]
    assert figures
    assert all(found.get("role") == "img" for found in figures)
    assert all(found.get("aria-labelledby") or found.get("aria-label") for found in figures)
    assert all(found.get("scope") for tag, found in read.tags if tag == "th")


def test_numbers_of_the_leaderboard_are_in_the_page(usual: tuple[str, Reader]) -> None:
    _, read = usual
    words = " ".join(read.text)
    assert "crosstrait run experiments/byxrm.toml --out out" in words
    assert "5f" * 32 in words
    assert "split.seed" in words
    assert "No test sample trains or validates" in words


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    write_run_folder(tmp_path)
    assert write_report(tmp_path).read_bytes() == write_report(tmp_path).read_bytes()


def test_a_leaderboard_alone_gives_a_page_of_its_sections_only(tmp_path: Path) -> None:
    write_run_folder(tmp_path / "whole")
    (tmp_path / "leaderboard.csv").write_text((tmp_path / "whole/leaderboard.csv").read_text())
    _, read = page(tmp_path)
    assert [text for level, text in read.headings if level == 2] == [
        "Can it be believed?",
        "Leaderboard",
        "Accuracy by trait",
        "Accuracy against cost",
    ]
    links = [found["href"] for tag, found in read.tags if tag == "a"]
    assert links == [
        *("#main", "#belief", "#leaderboard", "#traits", "#cost"),  # the sections
        "#leaderboard",  # more on a reason
    ]


def test_one_model_on_one_whole_trait_has_a_page(tmp_path: Path) -> None:
    folder = write_run_folder(
        tmp_path, accuracy={"ridge": 0.5}, trait_names=["li"], missing=0, replicates=1, folds=1
    )
    _, read = page(folder)
    headings = [text for _, text in read.headings]
    assert headings[0].startswith("ridge is alone: R² ")
    assert not {"Missing trait values", "Trait correlations", "Learning curves"} & set(headings)


def test_names_cannot_smuggle_markup_into_the_page(tmp_path: Path) -> None:
    bad = "<script>alert('x')</script>"
    folder = write_run_folder(
        tmp_path, trait_names=[bad, 'a"b&c', "$x_1$"], accuracy={"ridge": 0.4, "<b>m": 0.5}
    )
    text, read = page(folder)
    assert "<script>alert" not in text
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert "<b>m" not in text
    assert bad in read.text
    assert "<b>m" in " ".join(read.text)


def test_complete_cases_are_said_before_any_number_of_the_table(tmp_path: Path) -> None:
    text, _ = page(write_run_folder(tmp_path, protocol="complete-cases"))
    assert text.index("Complete cases only.") < text.index("<table")
    assert "(complete cases only)" in text


def test_the_sd_is_said_to_be_over_splits_where_it_is(tmp_path: Path) -> None:
    apart, _ = page(write_run_folder(tmp_path / "a", pooled=False))
    pooled, _ = page(write_run_folder(tmp_path / "b", pooled=True))
    assert "SD over replicates and splits" in apart
    assert "SD over replicates and splits" not in pooled
    assert "SD over replicates" in pooled


def test_a_missing_run_is_said_at_the_leaderboard(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, lost=[("transformer", 1, 0)])
    text, read = page(folder)
    assert "the loss is NaN" in text
    assert read.headings[0][1].startswith(("trees", "canonical"))


def test_a_model_above_the_noise_ceiling_is_flagged(tmp_path: Path) -> None:
    high, low = tmp_path / "high", tmp_path / "low"
    text, _ = page(write_run_folder(high, standard_error=1.3, accuracy={"ridge": 0.7}))
    assert "Above the noise ceiling:" in text
    text, _ = page(write_run_folder(low, standard_error=0.3, accuracy={"ridge": 0.4}))
    assert "Above the noise ceiling:" not in text
    assert "Of ceiling" in text


def test_published_values_stand_beside_the_traits_of_the_same_name(
    tmp_path: Path, usual: tuple[str, Reader]
) -> None:
    traits = list(published_r2()["trait"].unique())
    two = {"ridge": 0.4, "transformer": 0.5}
    folder = write_run_folder(tmp_path, trait_names=traits, accuracy=two, n_samples=80)
    text, _ = page(folder)
    assert "Beside published values" in text
    assert "10.1101/2025.04.11.648465" in text
    assert "published: 0.636" in text
    # The mean over all 18 traits: the article's, and this folder's.
    assert re.search(r"0\.619 .{0,30}± 0\.002.{0,40}<td>6.h.43.min</td><td>0\.[45]", text)
    seven, _ = page(write_run_folder(tmp_path / "7", trait_names=traits[:7], n_samples=80))
    assert "0.619" not in seven
    assert "Beside published values" not in usual[0]


def test_a_large_report_stays_far_below_four_megabytes(tmp_path: Path) -> None:
    models = [*ACCURACY, "rijal", "residual", "gp", "deep"]
    folder = write_run_folder(
        tmp_path,
        n_samples=120,
        trait_names=BYXRM_TRAITS.split(),
        accuracy={model: 0.3 + k / 50 for k, model in enumerate(models)},
        replicates=5,
        folds=1,
        resamples=20,
    )
    assert write_report(folder).stat().st_size < 1_500_000


def test_predictions_of_another_run_are_refused(tmp_path: Path) -> None:
    write_run_folder(tmp_path / "a")
    write_run_folder(tmp_path / "b", trait_names=["other"])
    (tmp_path / "b/predictions.parquet").replace(tmp_path / "a/predictions.parquet")
    with pytest.raises(DataError, match="the two are of different runs"):
        write_report(tmp_path / "a")


def test_a_folder_that_no_run_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_every_model_misses_a_run_there_is_a_page_of_what_is_known(tmp_path: Path) -> None:
    lost = [("ridge", 0, 1), ("trees", 0, 0), ("trees", 1, 0)]
    two = {"ridge": 0.4, "trees": 0.5}
    text, read = page(write_run_folder(tmp_path, accuracy=two, lost=lost, resamples=20))
    assert read.headings[0][1].startswith("Every model misses runs")
    assert [head for level, head in read.headings if level == 2] == [
        "Leaderboard",
        "Data",
        "Split and leakage audit",
        "Provenance",
    ]
    assert "3 runs are missing." in text
    words = " ".join(" ".join(read.text).split())
    for model, replicate, fold in lost:
        assert f"{model}, replicate {replicate}, fold {fold} (the loss is NaN)" in words
    assert "on identical test cells" not in words


def test_where_no_model_can_be_ranked_the_traits_are_still_shown(tmp_path: Path) -> None:
    only = {"ridge": ["Lithium"], "trees": ["x4NQO"]}
    two = {"ridge": 0.4, "trees": 0.5}
    text, read = page(write_run_folder(tmp_path, accuracy=two, only=only, resamples=20))
    assert "none can be called the best" in read.headings[0][1]
    assert "Accuracy by trait" in [head for _, head in read.headings]
    assert "predicts 1 of 2 traits" in text


def test_counts_are_of_the_traits_of_the_experiment(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, resamples=20)
    about = json.loads((folder / "experiment.json").read_text())
    about["panel"] |= {"n_traits": 4, "n_measured": [*about["panel"]["n_measured"], 50]}
    about["panel"]["used"] = {"n_traits": 3, "n_measured": 570, "n_complete_samples": 171}
    (folder / "experiment.json").write_text(json.dumps(about))
    words = " ".join(" ".join(page(folder)[1].text).split())
    assert words.count("3 of 4 traits") == 2
    assert "30 cells (5.0 %); 171 of 200 samples have all 3" in words
