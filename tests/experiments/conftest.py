from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_limits


@pytest.fixture
def kept_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a worker does to the threads of its process, which here is pytest's."""
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", ""))
    before = torch.get_num_threads()
    with threadpool_limits():
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)
