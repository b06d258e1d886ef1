"""Published models from their own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from crosstrait.errors import DataError, SettingsError, StorageError, listed
from crosstrait.models.base import ModelConfig
from crosstrait.models.canonical import CanonicalConfig
from crosstrait.models.pickle_reader import Inert
from crosstrait.models.published_names import State, kind_of, rename_published
from crosstrait.models.rijal import RijalConfig
from crosstrait.models.rijal_multienv import RijalMultienvConfig
from crosstrait.models.torch_file import read_torch_file
from crosstrait.models.transformer import TransformerConfig

_CONFIGS: dict[str, type[ModelConfig]] = {
    "rijal": RijalConfig,
    "rijal_multienv": RijalMultienvConfig,
    "canonical": CanonicalConfig,
    "transformer": TransformerConfig,
}

# The settings that published checkpoints keep and weights do not tell: theirs, ours.
_MODEL_SETTINGS = {
    "dropout_rate": "dropout",
    "init_scale": "init_scale",
    "nhead": "n_heads",
    "scaled_attention": "scaled_attention",
    "skip_connections": "skip_connections",
}
_TRAIN_SETTINGS = {
    "batch_size": "batch_size",
    "gradient_clip_val": "gradient_clip",
    "learning_rate": "learning_rate",
    "max_epochs": "max_epochs",
    "optimizer": "optimizer",
    "patience": "patience",
    "weight_decay": "weight_decay",
}


@dataclass(frozen=True)
class PublishedModel:
    """A published model: what to build and what to load into it.

    Attributes
    ----------
    kind
        ``rijal``, ``rijal_multienv``, ``canonical`` or ``transformer``.
    config
        Its settings.
    state
        Its weights under our names, a state dict of ``config.build(...)``.
    n_loci, n_traits
        Its shape; the traits of ``rijal_multienv`` are its environments.
    trait_names
        The traits that it predicts, where the file tells.
    train
        The settings of its training under the names of ``TrainConfig``, where the file tells.
    metadata
        What else the file tells: ``epoch``, ``global_step``, ``name``, ``engine``.
    """

    kind: str
    config: ModelConfig
    state: State
    n_loci: int
    n_traits: int
    trait_names: list[str] | None
    train: dict[str, Any]
    metadata: dict[str, Any]

    def build(self) -> nn.Module:
        """Return the network with its weights, in evaluation mode."""
        module = self.config.build(n_loci=self.n_loci, n_traits=self.n_traits)
        assert isinstance(module, nn.Module)
        expected = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
        wrong = [
            f"{name} is {tuple(self.state[name].shape)} where {shape} would fit"
            for name, shape in expected.items()
            if tuple(self.state[name].shape) != shape
        ]
        if wrong:
            raise DataError(f"the {self.kind} weights do not fit together: {listed(wrong)}")
        module.load_state_dict(self.state)
        return module.eval()


def load_published(kind: str, weights: Mapping[str, Any] | str | Path, **options: Any) -> nn.Module:
    """Return a published model with its weights, ready to predict.

    Parameters
    ----------
    kind
        ``rijal``, ``rijal_multienv``, ``canonical`` or ``transformer``.
    weights
        A published state dict, names to tensors or arrays; or the path of a file that holds one:
        ``.ckpt``, ``.pt`` or ``.pth`` (no code of the file runs), ``.npz``, ``.safetensors``.
    **options
        Settings of the model's config that its weights do not tell: ``n_heads`` of a transformer,
        ``scaled_attention`` and ``skip_connections`` of a canonical model. Where a checkpoint
        tells them, they are read from it.

    Returns
    -------
    torch.nn.Module
        In evaluation mode; coded genotypes (B, L) in [-1, +1] to standardised traits (B, T).
        ``rijal_multienv`` gives its environments as traits.

    Raises
    ------
    SettingsError
        For an unknown kind or option, or an option that contradicts the weights.
    DataError
        If the weights are not those of that kind, or the file is damaged or refused.
    StorageError
        If the file cannot be read.
    """
    if isinstance(weights, Mapping):
        return _describe(kind, weights, content={}, options=options).build()
    stored, content = _read_weights(Path(weights))
    return _describe(kind, stored, content=content, options=options).build()


def import_checkpoint(path: str | Path, **options: Any) -> PublishedModel:
    """Read a checkpoint of a published model; its kind and settings come from the file.

    Parameters
    ----------
    path
        As the ``weights`` of `load_published`.
    **options
        Settings that overrule those of the file.

    Raises
    ------
    SettingsError, DataError, StorageError
        As `load_published`.
    """
    weights, content = _read_weights(Path(path))
    try:
        kind = kind_of(weights)
        if kind == "rijal" and _has_environments(rename_published(kind, weights)):
            kind = "rijal_multienv"
        return _describe(kind, weights, content=content, options=options)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _read_weights(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the state dict that a file holds, and the rest of a checkpoint."""
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (ValueError, OSError) as error:
            raise DataError(f"{path} is no archive of plain arrays: {error}") from None
        own = {name: array for name, array in arrays.items() if name.startswith("weight/")}
        return {name.removeprefix("weight/"): array for name, array in (own or arrays).items()}, {}
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path), {}
        except SafetensorError as error:
            raise DataError(f"{path} is no safetensors file: {error}") from None
    file = read_torch_file(path)
    return file.weights, file.content


def _describe(
    kind: str,
    weights: Mapping[str, Any],
    *,
    content: Mapping[str, Any],
    options: Mapping[str, Any],
) -> PublishedModel:
    state = rename_published(kind, weights)
    described = _told_by_shapes(kind, state)
    for name in sorted(described.keys() & options.keys()):
        if options[name] != described[name]:
            raise SettingsError(
                f"{name} = {options[name]!r} contradicts the weights, which say {described[name]!r}"
            )
    known = _CONFIGS[kind]
    model_told = _plain(content, "model_config")
    train_told = _plain(content, "train_config")
    told = {
        ours: model_told[theirs] for theirs, ours in _MODEL_SETTINGS.items() if theirs in model_told
    }
    told = {name: value for name, value in told.items() if name in known.model_fields}
    config = known.parse({**told, **described, **options}, where=f"published {kind}")
    n_traits = _n_traits(kind, state)
    if n_traits < 1:
        raise DataError(f"the {kind} weights do not fit together: no environment has a place")
    trait_names = train_told.get("phenotypes")
    if not (isinstance(trait_names, list) and len(trait_names) == n_traits):
        trait_names = None
    train = {
        ours: train_told[theirs] for theirs, ours in _TRAIN_SETTINGS.items() if theirs in train_told
    }
    if train_told.get("lr_schedule"):
        train["schedule"] = "plateau"
    found = {
        "epoch": content.get("epoch"),
        "global_step": content.get("global_step"),
        "name": train_told.get("name_prefix"),
        "lightning_version": content.get("pytorch-lightning_version"),
    }
    return PublishedModel(
        kind=kind,
        config=config,
        state=state,
        n_loci=len(state["embedding"]),
        n_traits=n_traits,
        trait_names=trait_names and [str(name) for name in trait_names],
        train=train,
        metadata={name: value for name, value in found.items() if isinstance(value, (int, str))},
    )


def _plain(content: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return the plain settings of one of the pickled settings objects of a checkpoint."""
    groups = content.get("hyper_parameters")
    settings = groups.get(group) if isinstance(groups, dict) else None
    state = settings.state if isinstance(settings, Inert) else {}
    plain = (bool, int, float, str, list)
    return {name: value for name, value in state.items() if isinstance(value, plain)}


def _told_by_shapes(kind: str, state: State) -> dict[str, Any]:
    if kind == "rijal":
        return {"embedding_dim": state["readout"].shape[-1], "n_layers": len(state["query"])}
    width = state["embedding"].shape[-1]
    if kind == "rijal_multienv":
        return {"locus_dim": width, "n_layers": len(state["query"])}
    if kind == "canonical":
        layers = {"n_layers": len(state["query_weight"]), "layer_norm": "norm_weight" in state}
        return {"embedding_dim": width} | layers
    hidden = state["feedforward_in_bias"].shape[-1]
    layers = {"n_layers": len(state["projection_bias"]), "feedforward_dim": hidden}
    return {"embedding_dim": width} | layers


def _n_traits(kind: str, state: dict[str, Tensor]) -> int:
    if kind == "rijal":
        return 1
    if kind == "rijal_multienv":
        return state["readout"].shape[-1] - state["embedding"].shape[-1] - 1
    return state["readout_bias"].shape[-1]


def _has_environments(state: State) -> bool:
    return len(state["readout"]) == len(state["embedding"]) + 1
