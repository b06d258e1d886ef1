"""A fitted model: what predicts new genotypes, in trait units, today and after loading."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from crosstrait.errors import DataError, SettingsError, listed
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.genotypes.table import Genotypes
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.members import forward_members
from crosstrait.panel.schema import Panel, check_panel, genotypes_of
from crosstrait.split.scaling import TraitScaler
from crosstrait.training.card import model_card
from crosstrait.training.config import TrainConfig
from crosstrait.training.device import choose_device
from crosstrait.training.elsewhere import LociWarning, match_loci, prediction_table
from crosstrait.training.facts import DataFacts, TestScores
from crosstrait.training.model_files import history_table, write_model


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A model with everything that was learned.

    Attributes
    ----------
    config, train_config
        How the model was built and trained.
    encoder, scaler
        Genotype coding and trait scaling, learned on the training samples.
    trait_names
        The T predicted traits.
    seed
        What the random numbers were drawn from.
    predictor
        An estimator; or networks: one for all traits, or one a trait.
    errors
        How wrong predictions are: of estimators from what they held out, of networks from the
        validation samples, which also chose the epoch; None where there are no such samples.
    history
        Columns ``epoch, train_loss, val_loss, val_r2, learning_rate, seconds, member``; empty
        for estimators.
    metrics
        ``best_val_loss, final_val_loss, best_val_r2, final_val_r2`` of networks: at the epoch
        with the lowest validation loss and at the last, averaged over single-trait networks.
    train_seconds
        Training time; of replicates trained in one pass, the share of each.
    panel_digest, split_digest
        What it was learned from.
    data, scores
        What its card tells of the data, and of the test; None where nobody knows.
    """

    config: ModelConfig
    train_config: TrainConfig
    encoder: GenotypeEncoder
    scaler: TraitScaler
    trait_names: tuple[str, ...]
    seed: int
    predictor: Estimator | tuple[nn.Module, ...]
    errors: ErrorQuantiles | None = None
    history: pd.DataFrame = field(default_factory=lambda: history_table([]))
    metrics: Mapping[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    panel_digest: str = ""
    split_digest: str = ""
    data: DataFacts | None = None
    scores: TestScores | None = None

    def __repr__(self) -> str:
        """Name the model, its loci and its traits; the arrays are left to the attributes."""
        encoder = self.encoder
        return (
            f"<Fitted {self.config.type}: {listed(self.trait_names)} from "
            f"{len(encoder.columns)} loci, ploidy {encoder.ploidy}>"
        )

    def predict(self, dosage: ArrayLike) -> NDArray[np.float64]:
        """Predict the traits of new genotypes.

        Parameters
        ----------
        dosage
            (n, L) dosages of all loci of the panel that was learned from, in its order and
            coding, in [0, ploidy]; NaN is filled with the locus' training mean.

        Returns
        -------
        numpy.ndarray
            (n, T) in trait units.

        Raises
        ------
        DataError
            If the loci are not as many, or a dosage is out of range.
        """
        calls = _genotypes(dosage)
        return self._predict(calls, np.arange(len(calls)))

    def predict_sd(self, dosage: ArrayLike) -> NDArray[np.float64]:
        """Return the standard deviation (n, T) of a new measurement around its prediction.

        In trait units, noise included, as held-out samples show it; parameters as in `predict`.

        Raises
        ------
        SettingsError
            If no sample was held out that would tell.
        """
        calls = _genotypes(dosage)
        rms = self._held_out_errors().root_mean_square
        return self._spread(calls, np.arange(len(calls))) * rms

    def predict_interval(
        self, dosage: ArrayLike, *, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends (n, T) of intervals that hold a new measurement.

        Parameters
        ----------
        dosage
            As in `predict`.
        level
            Share of new measurements that the intervals are to hold, from 0.01 to 0.99.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper ends in trait units; infinite where too few samples were held out for
            that level.

        Raises
        ------
        SettingsError
            If no sample was held out that would tell, or the level is out of range.
        """
        calls = _genotypes(dosage)
        return self.interval_of(calls, np.arange(len(calls)), level=level)

    def interval_of(
        self, calls: NDArray[Any], rows: ArrayLike, *, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`predict_interval` of some rows (n,) of genotypes (N, L) in the panel's coding."""
        chosen = np.asarray(rows, dtype=np.intp)
        centre = self._predict(calls, chosen)
        [half] = self.half_widths(calls, chosen, levels=[level])
        return centre - half, centre + half

    def half_widths(
        self, calls: NDArray[Any], rows: ArrayLike, *, levels: Sequence[float]
    ) -> list[NDArray[np.float64]]:
        """Return for each level how far (n, T) the intervals of `interval_of` reach either way."""
        errors = self._held_out_errors()
        spread = self._spread(calls, np.asarray(rows, dtype=np.intp))
        with np.errstate(invalid="ignore"):  # infinite quantiles
            return [spread * errors.at(level) for level in levels]

    @property
    def noise_variance(self) -> NDArray[np.float64] | None:
        """(T,) learned variance of the noise, in trait units squared; None if none is."""
        learned = self.predictor.noise_variance if isinstance(self.predictor, Estimator) else None
        return None if learned is None else learned * self.scaler.sd**2

    def _held_out_errors(self) -> ErrorQuantiles:
        if self.errors is None:
            raise SettingsError(
                f"{self.config.type} held no samples out, so it cannot say how wrong it is; give "
                f"the split validation samples"
            )
        return self.errors

    def predict_samples(self, panel: Panel, rows: ArrayLike) -> NDArray[np.float64]:
        """Predict the traits (n, T) of ``rows`` of a panel with the loci that were learned from.

        Raises
        ------
        DataError
            If the panel's loci are others.
        """
        here = panel["variant_id"].values
        same = len(here) == self.encoder.n_loci and np.array_equal(
            here[self.encoder.columns], self.encoder.variant_id
        )
        if not same:
            raise DataError(
                f"this panel's {len(here)} loci are not the {self.encoder.n_loci} that the model "
                f"learned from, in their order; predict_panel matches loci by id"
            )
        return self._predict(panel["call_dosage"].values, np.asarray(rows, dtype=np.intp))

    def predict_panel(
        self, panel: Panel | Genotypes, *, level: float | None = None
    ) -> pd.DataFrame:
        """Predict the traits of a panel or genotypes of any source, whose loci are matched by id.

        Their order does not matter. Alleles that are the other way round are turned, and up to a
        tenth of the loci may be missing: they take their training means.

        Parameters
        ----------
        panel
            The samples to predict: a panel, whose trait values are not looked at, or genotypes
            alone, as ``ct.panel.load_genotypes`` returns them.
        level
            Share of new measurements, from 0.01 to 0.99, that intervals around the predictions
            are to hold; no intervals where not given.

        Returns
        -------
        pandas.DataFrame
            A row a sample, by id, and a column a trait, in trait units; with a level, each trait
            is followed by ``<trait> lower`` and ``<trait> upper``.

        Raises
        ------
        DataError
            If the ploidy differs, a locus has other alleles, or too many loci are missing; with
            examples.
        SettingsError
            If intervals are asked for and no sample was held out that would tell.

        Warns
        -----
        LociWarning
            If loci are missing, lie elsewhere, or can only be matched by their ids.
        """
        if isinstance(panel, Genotypes):
            genotypes = panel
        else:
            check_panel(panel)
            genotypes = genotypes_of(panel)
        matched = match_loci(self.encoder, genotypes)
        for doubt in matched.doubts:
            warnings.warn(doubt, LociWarning, stacklevel=2)
        own = replace(self, encoder=matched.encoder)
        rows = np.arange(len(matched.dosage))
        half = None
        if level is not None:
            [half] = own.half_widths(matched.dosage, rows, levels=[level])
        table = prediction_table(
            own.predict(matched.dosage),
            sample_id=genotypes.sample_id,
            trait_names=self.trait_names,
            half_width=half,
        )
        return table.set_index("sample")

    def _predict(self, calls: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return self.scaler.unscale(self._in_blocks(self._standardised, calls, rows))

    def _spread(self, calls: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the relative size (n, T) of each prediction's error, in trait units."""
        if not isinstance(self.predictor, Estimator):
            return np.tile(self.scaler.sd, (len(rows), 1))
        return self._in_blocks(self.predictor.spread, calls, rows) * self.scaler.sd

    def _in_blocks(
        self,
        work: Callable[[NDArray[np.float32]], NDArray[Any]],
        calls: NDArray[Any],
        rows: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        size = self._block_rows()
        made = np.empty((len(rows), len(self.trait_names)))
        if not len(rows):
            self.encoder.encode(calls, rows=rows)  # checks the number of loci all the same
        for first in range(0, len(rows), size):
            block = slice(first, first + size)
            made[block] = work(self.encoder.encode(calls, rows=rows[block]))
        return made

    def predict_coded(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions (n, T) in standard deviations for coded genotypes (n, K)."""
        size = self._block_rows()
        blocks = [self._standardised(X[first : first + size]) for first in range(0, len(X), size)]
        return np.concatenate([np.empty((0, len(self.trait_names))), *blocks])

    def _standardised(self, X: NDArray[np.float32]) -> NDArray[Any]:
        if isinstance(self.predictor, Estimator):
            return self.predictor.predict(X)
        # A model that was trained on a GPU predicts without one too.
        wanted = "cpu" if self.train_config.device == "cpu" else "auto"
        device = choose_device(TrainConfig(device=wanted))
        networks = [network.to(device).eval() for network in self.predictor]
        genotypes = torch.from_numpy(X).to(device).expand(len(networks), -1, -1)
        with torch.no_grad():
            # (M, B, T / M): networks that serve one trait each stand beside one another
            output = forward_members(networks, genotypes)
        return output.permute(1, 0, 2).flatten(1).cpu().numpy()

    def _block_rows(self) -> int:
        if isinstance(self.predictor, Estimator):
            return max(1, (1 << 24) // len(self.encoder.columns))
        config = self.train_config
        return 4 * (config.micro_batch_size or config.batch_size)

    def save(self, folder: str | Path) -> None:
        """Write the model into a folder, as Hugging Face has them.

        The files are ``config.json``, ``model.safetensors``, ``history.csv`` and ``README.md``,
        the model card, which is made anew.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        settings: dict[str, Any] = {
            "model": self.config.model_dump(mode="json"),
            "train": self.train_config.model_dump(mode="json"),
            "trait_names": self.trait_names,
            "seed": self.seed,
            "metrics": {name: _json(value) for name, value in self.metrics.items()},
            "train_seconds": self.train_seconds,
            "panel_digest": self.panel_digest,
            "split_digest": self.split_digest,
            "n_networks": 0 if isinstance(self.predictor, Estimator) else len(self.predictor),
        }
        for name in ("data", "scores"):
            facts: DataFacts | TestScores | None = getattr(self, name)
            if facts is not None:
                settings[name] = facts.model_dump(mode="json")
        write_model(
            Path(folder),
            settings=settings,
            arrays=self._arrays(),
            history=self.history,
            card=model_card(self),
        )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {f"encoder.{name}": array for name, array in self.encoder.state().items()}
        arrays |= {f"scaler.{name}": array for name, array in self.scaler.state().items()}
        if self.errors is not None:
            arrays |= {f"errors.{name}": array for name, array in self.errors.state().items()}
        if isinstance(self.predictor, Estimator):
            own = self.predictor.state()
            return arrays | {f"model.{name}": array for name, array in own.items()}
        for i, network in enumerate(self.predictor):
            for name, tensor in network.state_dict().items():
                arrays[f"model.{i}.{name}"] = tensor.cpu().numpy()
        return arrays


def _genotypes(dosage: ArrayLike) -> NDArray[Any]:
    calls = np.asarray(dosage)
    if calls.ndim != 2:
        raise DataError(f"dosage must be (samples, loci); got shape {calls.shape}")
    return calls


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
