"""The run key: a digest of everything that decides a run's numbers, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from crosstrait.models.base import ModelConfig
from crosstrait.training.config import TrainConfig

# Raised whenever a change of the code changes the numbers of a run or the files of its folder,
# so that older runs are trained again.
CODE_SCHEMA = 2


def key_parts(
    *,
    panel_digest: str,
    split_digest: str,
    traits: Sequence[str],
    prune_r: float | None,
    config: ModelConfig,
    train: TrainConfig,
    seed: int,
) -> dict[str, Any]:
    """Return what the run key is a digest of, as JSON values.

    Labels, folders, the numbers of workers and devices and the machine are not in it. The kind of
    device and the precision that were asked for are, as they change the last digits.

    Parameters
    ----------
    panel_digest, split_digest
        Digests of the panel and of the split's sample ids.
    traits
        The traits that the model is fitted on, in the panel's order.
    prune_r
        Linkage pruning inside the split, or None.
    config, train
        The model's settings and the training settings that it reads.
    seed
        Of initial weights, batches and dropout. It is left out for a model without randomness.
    """
    return {
        "code_schema": CODE_SCHEMA,
        "panel": panel_digest,
        "split": split_digest,
        "traits": list(traits),
        "prune_r": prune_r,
        "model": config.model_dump(mode="json"),
        "training": train.numbers(),
        "seed": None if config.deterministic else seed,
    }


def run_key(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of ``parts``: sorted keys, no spaces, UTF-8."""
    text = json.dumps(
        parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()
