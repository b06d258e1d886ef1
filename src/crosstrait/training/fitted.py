"""A fitted model: what predicts new genotypes, in trait units, today and after loading."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy
from torch import nn

from crosstrait.errors import CrosstraitError, DataError, StorageError
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.members import forward_members
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel
from crosstrait.split.scaling import TraitScaler
from crosstrait.training.config import TrainConfig
from crosstrait.training.device import choose_device

FORMAT = 1
_CONFIG, _WEIGHTS, _HISTORY = "config.json", "model.safetensors", "history.csv"

# The columns of history.csv and what they hold.
HISTORY_COLUMNS: Mapping[str, type] = {
    "epoch": int,
    "train_loss": float,
    "val_loss": float,
    "val_r2": float,
    "learning_rate": float,
    "seconds": float,
    "member": str,
}


def history_table(epochs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row an epoch and member, with the columns of ``history.csv``."""
    return pd.DataFrame(
        {
            name: pd.Series(
                [kind("nan" if epoch[name] == "" else epoch[name]) for epoch in epochs], dtype=kind
            )
            for name, kind in HISTORY_COLUMNS.items()
        }
    )


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
    """

    config: ModelConfig
    train_config: TrainConfig
    encoder: GenotypeEncoder
    scaler: TraitScaler
    trait_names: tuple[str, ...]
    seed: int
    predictor: Estimator | tuple[nn.Module, ...]
    history: pd.DataFrame = field(default_factory=lambda: history_table([]))
    metrics: Mapping[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    panel_digest: str = ""
    split_digest: str = ""

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
        calls = np.asarray(dosage)
        if calls.ndim != 2:
            raise DataError(f"dosage must be (samples, loci); got shape {calls.shape}")
        return self._predict(calls, np.arange(len(calls)))

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
                f"learned from, in their order; `crosstrait predict` matches loci by id"
            )
        return self._predict(panel["call_dosage"].values, np.asarray(rows, dtype=np.intp))

    def _predict(self, calls: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        size = self._block_rows()
        predicted = np.empty((len(rows), len(self.trait_names)))
        if not len(rows):
            self.encoder.encode(calls, rows=rows)  # checks the number of loci all the same
        for first in range(0, len(rows), size):
            block = slice(first, first + size)
            predicted[block] = self._standardised(self.encoder.encode(calls, rows=rows[block]))
        return self.scaler.unscale(predicted)

    def _standardised(self, X: NDArray[np.float32]) -> NDArray[Any]:
        if isinstance(self.predictor, Estimator):
            return self.predictor.predict(X)
        device = choose_device(self.train_config)
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
        """Write ``config.json``, ``history.csv`` and ``model.safetensors`` into ``folder``.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        folder = Path(folder)
        weights = safetensors_numpy.save(
            {name: np.ascontiguousarray(array) for name, array in self._arrays().items()}
        )
        content = {
            "format": FORMAT,
            "model": self.config.model_dump(mode="json"),
            "train": self.train_config.model_dump(mode="json"),
            "trait_names": self.trait_names,
            "seed": self.seed,
            "metrics": {name: _json(value) for name, value in self.metrics.items()},
            "train_seconds": self.train_seconds,
            "panel_digest": self.panel_digest,
            "split_digest": self.split_digest,
            "n_networks": 0 if isinstance(self.predictor, Estimator) else len(self.predictor),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / _WEIGHTS, weights)
            _write(folder / _HISTORY, self.history.to_csv(index=False).encode())
            _write(folder / _CONFIG, text.encode())
        except OSError as error:
            raise StorageError(
                f"the model could not be saved in {folder}: {error.strerror or error}"
            ) from None

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {f"encoder.{name}": array for name, array in self.encoder.state().items()}
        arrays |= {f"scaler.{name}": array for name, array in self.scaler.state().items()}
        if isinstance(self.predictor, Estimator):
            own = self.predictor.state()
            return arrays | {f"model.{name}": array for name, array in own.items()}
        for i, network in enumerate(self.predictor):
            for name, tensor in network.state_dict().items():
                arrays[f"model.{i}.{name}"] = tensor.cpu().numpy()
        return arrays


def load_model(folder: str | Path) -> Fitted:
    """Load what `Fitted.save` wrote; its predictions are the same to the last bit.

    Raises
    ------
    StorageError
        If there is no model in ``folder``, or its files do not belong together.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / _CONFIG).read_text())
        weights = (folder / _WEIGHTS).read_bytes()
        if content["format"] != FORMAT:
            raise StorageError(
                f"{folder} holds a model of format {content['format']}, this version of "
                f"crosstrait reads format {FORMAT}"
            )
        if hashlib.sha256(weights).hexdigest() != content["weights_sha256"]:
            raise StorageError(
                f"{folder / _WEIGHTS} is not the file that {_CONFIG} was written with (their "
                f"SHA-256 differ); save the model again"
            )
        return _restore(content, safetensors_numpy.load(weights), folder / _HISTORY)
    except FileNotFoundError as error:
        raise StorageError(f"there is no saved model in {folder}: no {error.filename}") from None
    except CrosstraitError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise StorageError(f"{folder} holds no readable model: {error}") from None


def _restore(
    content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], history: Path
) -> Fitted:
    encoder = GenotypeEncoder.from_state(_under("encoder.", arrays))
    config = parse_model(content["model"], where=_CONFIG)
    names = tuple(content["trait_names"])
    sizes = {
        "n_loci": len(encoder.columns),
        "n_traits": 1 if config.single_trait else len(names),
    }
    predictor: Estimator | tuple[nn.Module, ...]
    with torch.random.fork_rng(devices=[]):
        if content["n_networks"]:
            networks = []
            for i in range(content["n_networks"]):
                network = config.build(**sizes)
                assert isinstance(network, nn.Module)
                own = _under(f"model.{i}.", arrays)
                network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in own.items()})
                networks.append(network.eval())
            predictor = tuple(networks)
        else:
            estimator = config.build(**sizes)
            assert isinstance(estimator, Estimator)
            estimator.load_state(_under("model.", arrays))
            predictor = estimator
    return Fitted(
        config=config,
        train_config=TrainConfig.parse(content["train"], where=_CONFIG),
        encoder=encoder,
        scaler=TraitScaler.from_state(_under("scaler.", arrays)),
        trait_names=names,
        seed=content["seed"],
        predictor=predictor,
        history=_read_history(history),
        metrics={k: np.nan if v is None else v for k, v in content["metrics"].items()},
        train_seconds=content["train_seconds"],
        panel_digest=content["panel_digest"],
        split_digest=content["split_digest"],
    )


def _read_history(path: Path) -> pd.DataFrame:
    # Not pandas: it would take a trait called NA for a missing value.
    with path.open(newline="", encoding="utf-8") as lines:
        return history_table(list(csv.DictReader(lines)))


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
