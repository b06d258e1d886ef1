"""Settings as the page lists them."""

from __future__ import annotations

from crosstrait.report.settings_list import settings_parts


def test_settings_of_the_experiment_stand_before_those_of_each_model() -> None:
    parts = settings_parts(
        {
            "name": "byxrm",
            "data": {"panel": "byxrm", "prune_r": 0.94, "traits": None},
            "models": [
                {"label": "ridge", "config": {"type": "ridge"}, "fixed": ["train.scope", "x"]},
                {"label": "trees", "config": {"type": "trees", "depth": 6}},
            ],
        }
    )
    assert [(part.heading, part.n_lines) for part in parts] == [
        ("Experiment", 3),
        ("ridge", 2),
        ("trees", 2),
    ]
    assert parts[0].lines[1:] == (("data.panel", "byxrm"), ("data.prune_r", "0.94"))
    assert parts[1].lines == (("config.type", "ridge"), ("fixed", "train.scope, x"))


def test_a_table_of_models_as_a_file_has_it_is_listed_too() -> None:
    (part,) = settings_parts({"model": [{"type": "ridge"}, {"type": "trees"}]})
    assert part.lines == (("model[0].type", "ridge"), ("model[1].type", "trees"))


def test_nothing_gives_no_part() -> None:
    assert settings_parts({}) == []
