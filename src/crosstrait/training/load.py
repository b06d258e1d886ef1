"""Loading a saved model from files that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from crosstrait.errors import CrosstraitError, StorageError, listed
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.one_a_trait import build_for
from crosstrait.models.registry import parse_model
from crosstrait.settings import Settings
from crosstrait.split.scaling import TraitScaler
from crosstrait.training.config import TrainConfig
from crosstrait.training.facts import DataFacts, TestScores
from crosstrait.training.fitted import Fitted
from crosstrait.training.model_files import CONFIG, read_model

_MOST_TOLD = 300  # characters of an error that is not ours

Arrays = Mapping[str, NDArray[Any]]


class _Content(Settings):
    """``config.json``, but for what ``read_model`` has checked."""

    model: dict[str, Any]
    train: dict[str, Any]
    trait_names: tuple[str, ...] = Field(min_length=1)
    seed: int = Field(ge=0)
    metrics: dict[str, float | None]
    train_seconds: float
    panel_digest: str
    split_digest: str
    n_networks: int = Field(ge=0)
    data: DataFacts | None = None
    scores: TestScores | None = None


def load_model(folder: str | Path) -> Fitted:
    """Load what `Fitted.save` wrote; its predictions are the same to the last bit.

    No code of the folder runs: settings are JSON, arrays safetensors, never a pickle.

    Raises
    ------
    StorageError
        If there is no model in ``folder``, or its files do not belong together.
    SettingsError
        If the settings are not those of a model.
    """
    folder = Path(folder)
    settings, arrays, history = read_model(folder)
    try:
        return _restore(settings, arrays, history)
    except CrosstraitError:
        raise
    except Exception as error:  # whatever damaged arrays make a model's own code do
        told = repr(error)[:_MOST_TOLD]
        raise StorageError(f"{folder} holds no readable model: {told}") from error


def _restore(settings: Mapping[str, Any], arrays: Arrays, history: pd.DataFrame) -> Fitted:
    unchecked = ("format", "weights_sha256")
    content = _Content.parse(
        {name: value for name, value in settings.items() if name not in unchecked}, where=CONFIG
    )
    config = parse_model(content.model, where=CONFIG)
    train_config = TrainConfig.parse(content.train, where=CONFIG)
    encoder = GenotypeEncoder.from_state(_under("encoder.", arrays))
    scaler = TraitScaler.from_state(_under("scaler.", arrays))
    n_traits = len(content.trait_names)
    _check_shapes(encoder, scaler, n_traits=n_traits)
    sizes: dict[str, Any] = {
        "n_loci": len(encoder.columns),
        "n_traits": n_traits,
        "one_a_trait": train_config.scope == "single",
    }
    predictor: Estimator | tuple[nn.Module, ...]
    if content.n_networks:
        _require(content.n_networks in (1, n_traits), "as many networks as it says")
        _check_sizes(config, arrays)
        predictor = tuple(
            _network(config, sizes, _under(f"model.{i}.", arrays))
            for i in range(content.n_networks)
        )
    else:
        predictor = _estimator(config, sizes, _under("model.", arrays))
    errors = _under("errors.", arrays)
    quantiles = ErrorQuantiles.from_state(errors) if errors else None
    if quantiles is not None:
        _require(quantiles.quantile.shape == (99, n_traits), "99 error quantiles a trait")
        _require(quantiles.root_mean_square.shape == (n_traits,), "an error a trait")
    return Fitted(
        config=config,
        errors=quantiles,
        train_config=train_config,
        encoder=encoder,
        scaler=scaler,
        trait_names=content.trait_names,
        seed=content.seed,
        predictor=predictor,
        history=history,
        metrics={k: np.nan if v is None else v for k, v in content.metrics.items()},
        train_seconds=content.train_seconds,
        panel_digest=content.panel_digest,
        split_digest=content.split_digest,
        data=content.data,
        scores=content.scores,
    )


def _network(config: ModelConfig, sizes: Mapping[str, Any], own: Arrays) -> nn.Module:
    with torch.device("meta"):  # no memory before the sizes are known to be those of the file
        planned = build_for(config, **sizes)
    assert isinstance(planned, nn.Module)
    wanted = {name: tuple(tensor.shape) for name, tensor in planned.state_dict().items()}
    found = {name: array.shape for name, array in own.items()}
    unlike = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    _require(not unlike, f"the arrays of its settings ({listed(unlike, most=3)})")
    with torch.random.fork_rng(devices=[]):
        network = build_for(config, **sizes)
    assert isinstance(network, nn.Module)
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in own.items()})
    _require(all(np.isfinite(array).all() for array in own.values()), "finite weights")
    return network.eval()


def _estimator(config: ModelConfig, sizes: Mapping[str, Any], own: Arrays) -> Estimator:
    estimator = build_for(config, **sizes)
    assert isinstance(estimator, Estimator)
    estimator.load_state(own)
    # Each estimator has arrays of its own: that they fit shows when they predict.
    trial = np.zeros((1, sizes["n_loci"]), dtype=np.float32)
    for values in (estimator.predict(trial), estimator.spread(trial)):
        _require(values.shape == (1, sizes["n_traits"]), "a prediction a trait")
        _require(bool(np.isfinite(values).all()), "finite predictions")
    return estimator


def _check_sizes(config: ModelConfig, arrays: Arrays) -> None:
    """Refuse layers or units beyond the weights that are there, before any is built."""
    most = sum(array.size for array in arrays.values())
    large = [name for name, value in config if isinstance(value, int) and value > most]
    _require(not large, f"the weights of its settings ({listed(large)})")


def _check_shapes(encoder: GenotypeEncoder, scaler: TraitScaler, *, n_traits: int) -> None:
    n_used = encoder.columns.size
    _require(n_used > 0 and encoder.columns.shape == (n_used,), "the columns of its loci")
    ascending = bool((np.diff(encoder.columns) > 0).all())
    _require(
        ascending and encoder.columns[0] >= 0 and encoder.columns[-1] < encoder.n_loci,
        "ascending columns of its loci",
    )
    for name in ("mean", "variant_id", "variant_contig", "variant_position"):
        _require(getattr(encoder, name).shape == (n_used,), f"one {name} a locus")
    _require(encoder.variant_allele.shape == (n_used, 2), "two alleles a locus")
    _require(len(set(encoder.variant_id.tolist())) == n_used, "unique ids of its loci")
    inside = (encoder.mean >= 0) & (encoder.mean <= encoder.ploidy)
    _require(encoder.ploidy >= 1 and bool(inside.all()), "mean dosages in [0, ploidy]")
    for array in (scaler.mean, scaler.sd):
        _require(
            array.shape == (n_traits,) and bool(np.isfinite(array).all()), "the scale of each trait"
        )
    _require(bool((scaler.sd > 0).all()), "trait scales above 0")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise StorageError(f"the model's files are damaged: they do not hold {what}")


def _under(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
