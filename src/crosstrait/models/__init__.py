"""One file a model: pure maths behind a small config class."""

from __future__ import annotations

from crosstrait.lazy import lazily

# The networks need torch.
_LAZY = {
    "forward_members": "crosstrait.models.members",
    "import_checkpoint": "crosstrait.models.published",
    "load_published": "crosstrait.models.published",
}

__all__ = list(_LAZY)
__getattr__ = lazily(__name__, _LAZY)
