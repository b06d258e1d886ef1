"""The outputs of the published implementations, as numbers to agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crosstrait.models.published import load_published
from crosstrait.models.published_names import rename_published

OPTIONS: dict[str, dict[str, Any]] = {
    "rijal": {},
    "rijal_multienv": {},
    "canonical": {},
    "canonical_toggled": {"skip_connections": True, "scaled_attention": True},
    "transformer": {"n_heads": 4},
}


@dataclass(frozen=True)
class Fixture:
    """One published model on random weights: its inputs, outputs and gradients."""

    kind: str
    options: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def module(self) -> nn.Module:
        return load_published(self.kind, self.under("weight/"), **self.options)

    def predict(self, module: nn.Module) -> Tensor:
        """Return the outputs in the shape of the fixture's own."""
        predicted: Tensor = module(self.tensor("genotypes"))
        if "environment" in self.arrays:
            return predicted[torch.arange(len(predicted)), self.tensor("environment")]
        return predicted

    def loss(self, module: nn.Module) -> Tensor:
        return (self.predict(module) - self.tensor("targets")).square().mean()

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the published gradients under our parameter names."""
        gradients = self.under("grad/")
        buffers = {n: a for n, a in self.under("weight/").items() if n not in gradients}
        yield from rename_published(self.kind, gradients | buffers).items()


def load_fixture(folder: Path, name: str) -> Fixture:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    return Fixture(kind=name.removesuffix("_toggled"), options=OPTIONS[name], arrays=arrays)
