"""What a model is: a frozen config that builds either a network or an estimator.

Every model sees coded genotypes X (N, L) in [-1, +1] without holes and standardised traits
Y (N, T) with NaN where a trait was not measured; a hole costs its cell, never its sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crosstrait.models.search_space import SearchSpace
from crosstrait.settings import Settings

if TYPE_CHECKING:  # a second to import, which estimators and configs do without
    from torch import nn

Array = NDArray[np.floating[Any]]


class Estimator(ABC):
    """A model that fits itself: a closed form or a library's own loop.

    Attributes
    ----------
    held_out
        Set by ``fit``: (n, T) errors of predictions for samples that what predicted them had not
        learned from, each over its ``spread``, NaN where nothing was measured; None where the
        model knows of none.
    """

    held_out: Array | None = None

    @abstractmethod
    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn from X (N, L) and Y (N, T); NaN in Y is a cell without a measurement.

        ``X_validation`` (M, L) and ``Y_validation`` (M, T) may have M = 0. An estimator that
        needs no validation samples trains on them too, so that all models see the same data.
        """

    @abstractmethod
    def predict(self, X: Array) -> Array:
        """Return predictions (n, T), in the units of the Y that was fitted."""

    def spread(self, X: Array) -> Array:
        """Return the size (n, T) of each prediction's error, relative to ``held_out``.

        One for all where a model does not tell sure predictions from unsure ones.
        """
        return np.ones_like(self.predict(X))

    @property
    def noise_variance(self) -> Array | None:
        """(T,) learned variance of the noise, in the units of Y squared; None if none is."""
        return None

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was learned, as named arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""


class ModelConfig(Settings):
    """The settings of one model; subclasses are registered under ``type``.

    Attributes
    ----------
    type
        The name in experiment files, ``[[model]] type = "..."``.
    """

    type: str

    deterministic: ClassVar[bool] = False
    """Whether the seed changes nothing, so that replicates would be copies."""

    network: ClassVar[bool] = False
    """Whether ``build`` returns a network, to be trained by epochs, and not an `Estimator`."""

    train_defaults: ClassVar[Mapping[str, Any]] = {}
    """Training settings that suit this network, under the names of ``TrainConfig``."""

    search_space: ClassVar[SearchSpace] = {}
    """What ``crosstrait run --tune`` searches; empty for a model that tunes itself in ``fit``."""

    @property
    def single_trait(self) -> bool:
        """Whether one network serves one trait; ``fit`` then trains one a trait."""
        return False

    @abstractmethod
    def build(self, *, n_loci: int, n_traits: int) -> nn.Module | Estimator:
        """Return the untrained model.

        A network maps coded genotypes (B, L) to standardised traits (B, n_traits); its weights
        are drawn from torch's global generator, which the caller has seeded.
        """
