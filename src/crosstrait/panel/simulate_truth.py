"""The truth behind a simulated panel, and its file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from crosstrait.errors import DataError, StorageError
from crosstrait.panel.simulate_settings import SimulationConfig

Indices = NDArray[np.intp]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What a simulated panel was made of; g is the coded genotype 2 dosage / ploidy - 1.

    The genetic value of a sample for a trait is ``additive_value + epistatic_value``, which is
    ``intercept`` plus the sum of all effects times g, g g and g g g of their loci.

    Attributes
    ----------
    config
        What was asked for.
    panel_digest
        Digest of the panel.
    effect
        (L, T) additive effects; 0 at loci that are not causal.
    intercept
        (T,) genetic value at g = 0.
    hubs
        (H,) loci that modulate many others.
    pairs, pair_effect
        (P, 2) loci and (P, T) effects of their products; the pairs of the hubs come first.
    triples, triple_effect
        (Q, 3) loci and (Q, T) effects of their products.
    additive_value, epistatic_value
        (N, T) contributions to the traits of every sample, with mean 0.
    noise_variance
        (T,) variance of what is not genetic.
    """

    config: SimulationConfig
    panel_digest: str
    effect: Float64Array
    intercept: Float64Array
    hubs: Indices
    pairs: Indices
    pair_effect: Float64Array
    triples: Indices
    triple_effect: Float64Array
    additive_value: Float64Array
    epistatic_value: Float64Array
    noise_variance: Float64Array

    @property
    def genetic_value(self) -> Float64Array:
        """(N, T) values that a perfect predictor would give, but for the traits' means."""
        return self.additive_value + self.epistatic_value

    @property
    def attainable_r2(self) -> Float64Array:
        """(T,) R2 that a perfect predictor reaches in expectation."""
        genetic = self.genetic_value.var(axis=0)
        return np.asarray(genetic / (genetic + self.noise_variance))

    @property
    def attainable_additive_r2(self) -> Float64Array:
        """(T,) R2 that a perfect additive predictor reaches in expectation."""
        total = self.genetic_value.var(axis=0) + self.noise_variance
        return np.asarray(self.additive_value.var(axis=0) / total)

    def save(self, path: Path | str) -> None:
        """Write everything to one safetensors file, whole or not at all."""
        path = Path(path)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        metadata = {"config": self.config.model_dump_json(), "panel_digest": self.panel_digest}
        beside = path.with_name(f".{path.name}.part")
        try:
            save_file(arrays, beside, metadata=metadata)
            beside.replace(path)
        except (OSError, SafetensorError) as error:
            beside.unlink(missing_ok=True)
            raise StorageError(f"the truth could not be written to {path}: {error}") from None

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        StorageError
            If there is no such file.
        DataError
            If it is not the truth of a simulated panel.
        """
        if not Path(path).is_file():
            raise StorageError(f"there is no truth of a simulated panel at {path}")
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays: dict[str, Any] = {name: file.get_tensor(name) for name in _ARRAYS}
            config = SimulationConfig.model_validate_json(metadata["config"])
            return cls(config=config, panel_digest=metadata["panel_digest"], **arrays)
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"{path} is not the truth of a simulated panel: {error}") from None


_ARRAYS = [field.name for field in fields(Truth) if field.name not in ("config", "panel_digest")]
