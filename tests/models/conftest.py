"""The two ways that attention takes on a CPU."""

from __future__ import annotations

import pytest

from crosstrait.models import blocks, products


@pytest.fixture(params=["few loci", "many loci"])
def cpu_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take PyTorch's attention, or our blocks (several of them) at any number of loci."""
    if request.param == "many loci":
        monkeypatch.setattr(blocks, "_FEWEST_LOCI", 1)
        monkeypatch.setattr(blocks, "_BLOCK", 150)
        monkeypatch.setattr(products, "_WORTH_ONEDNN", 0)


@pytest.fixture
def many_loci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take our blocks, several of them, at any number of loci."""
    monkeypatch.setattr(blocks, "_FEWEST_LOCI", 1)
    monkeypatch.setattr(blocks, "_BLOCK", 50)
