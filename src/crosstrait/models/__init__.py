"""One file a model: pure maths behind a small config class."""

from __future__ import annotations

import importlib
from typing import Any

# Imported on first use: the networks need torch.
_LAZY = {
    "forward_members": "crosstrait.models.members",
    "import_checkpoint": "crosstrait.models.published",
    "load_published": "crosstrait.models.published",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'crosstrait.models' has no attribute {name!r}")
