"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# CI tries the same examples every time; a new failure is found at a desk, not by a merge.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets; absent, the test skips, but fails on CI."""
    folder = os.environ.get("CROSSTRAIT_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    reason = "the real data are not here: set CROSSTRAIT_DATA to the folder that holds byxrm/"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of outputs of the published models, beside the real data."""
    folder = (
        os.environ.get("CROSSTRAIT_PARITY") or os.environ.get("CROSSTRAIT_DATA", "") + "/../parity"
    )
    if Path(folder).is_dir() and (Path(folder) / "rijal.npz").is_file():
        return Path(folder)
    reason = f"the parity fixtures are not at {folder}: set CROSSTRAIT_PARITY"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
