"""The whole data set of a fit, resident on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceData:
    """Coded genotypes and standardised traits of N training and V validation samples.

    Attributes
    ----------
    X, X_validation
        (N, L) and (V, L) coded genotypes, in the narrowest type that holds them exactly on a
        GPU, float32 on a CPU.
    Y, Y_validation
        (N, T) and (V, T) float32 standardised traits; NaN is a cell without a measurement.
    """

    X: Tensor
    Y: Tensor
    X_validation: Tensor
    Y_validation: Tensor

    @classmethod
    def place(
        cls,
        X: NDArray[np.float32],
        Y: NDArray[np.floating],
        *,
        X_validation: NDArray[np.float32],
        Y_validation: NDArray[np.floating],
        device: torch.device,
    ) -> Self:
        """Move arrays to ``device``, where they stay until training ends."""
        return cls(
            X=_genotypes(X, device),
            Y=torch.from_numpy(Y.astype(np.float32)).to(device),
            X_validation=_genotypes(X_validation, device),
            Y_validation=torch.from_numpy(Y_validation.astype(np.float32)).to(device),
        )


def narrowed(X: NDArray[np.float32]) -> NDArray[np.generic]:
    """Return X in the narrowest type that holds it exactly: int8, float16 or as it is."""
    for narrow in (np.int8, np.float16):
        small: NDArray[np.generic] = X.astype(narrow)
        if np.array_equal(small, X):
            return small
    return X


def _genotypes(X: NDArray[np.float32], device: torch.device) -> Tensor:
    return torch.from_numpy(X if device.type == "cpu" else narrowed(X)).to(device)
