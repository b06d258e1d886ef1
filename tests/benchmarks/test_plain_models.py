"""The plain re-statements compute what the published models and ours compute."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from crosstrait.models.registry import parse_model
from support.parity import load_fixture

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from plain_models import plain_copy

PUBLISHED = ["rijal", "canonical", "canonical_toggled", "transformer"]
MODELS = [
    {"type": "rijal", "embedding_dim": 5},
    {"type": "canonical", "embedding_dim": 6},
    {
        "type": "canonical",
        "embedding_dim": 6,
        "scaled_attention": True,
        "layer_norm": True,
        "skip_connections": True,
    },
    {"type": "transformer", "embedding_dim": 8, "n_heads": 2, "feedforward_dim": 12},
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_plain_model_gives_the_published_outputs(parity: Path, name: str) -> None:
    fixture = load_fixture(parity, name)
    found = fixture.predict(plain_copy(fixture.module()))
    torch.testing.assert_close(found, fixture.tensor("output"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: "-".join(map(str, model)))
def test_a_plain_copy_agrees_with_ours_and_shares_no_weight(model: dict[str, object]) -> None:
    torch.manual_seed(0)
    ours = parse_model(model).build(n_loci=9, n_traits=1 if model["type"] == "rijal" else 2)
    assert isinstance(ours, torch.nn.Module)
    with torch.no_grad():  # far from the small initial weights, where all models look linear
        for weight in ours.parameters():
            weight += 0.3 * torch.randn_like(weight)
    plain = plain_copy(ours)
    X = torch.randn(4, 9)
    expected = ours(X)
    torch.testing.assert_close(plain(X), expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.zero_()
    torch.testing.assert_close(ours(X), expected)
