"""Every registered model, small enough to fit in no time."""

from __future__ import annotations

from typing import Any

SMALL_SETTINGS: dict[str, dict[str, Any]] = {
    "residual": {"focus": (0, 1), "width": 32, "epochs": 10},
    "sparse_attention": {"n_pairs": 10, "networks": {"focus": (0, 1), "width": 8, "epochs": 2}},
    "stack": {"models": ["ridge", "lasso"]},
    "gp": {"steps": 10},
    "rijal": {"embedding_dim": 3, "n_layers": 1},
    "rijal_multienv": {"locus_dim": 2, "n_layers": 1},
    "canonical": {"embedding_dim": 4, "n_layers": 1},
    "transformer": {"embedding_dim": 4, "n_heads": 2, "n_layers": 1, "feedforward_dim": 4},
}
SHORT_TRAINING = {"max_epochs": 2, "batch_size": 16}


def small_model(name: str) -> dict[str, Any]:
    """Return the model's settings with its type, as `ct.fit` takes them."""
    return {"type": name, **SMALL_SETTINGS.get(name, {})}
