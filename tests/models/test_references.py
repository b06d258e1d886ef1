from __future__ import annotations

from crosstrait.models.references import REFERENCES
from crosstrait.models.registry import model_names


def test_every_model_is_described_and_says_whom_to_cite() -> None:
    assert set(REFERENCES) == set(model_names())
    for reference in REFERENCES.values():
        assert reference.about
        assert reference.papers
