"""Published weights under our parameter names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.models.base import ModelConfig
from crosstrait.models.canonical import CanonicalConfig
from crosstrait.models.rijal import RijalConfig
from crosstrait.models.rijal_multienv import RijalMultienvConfig
from crosstrait.models.transformer import TransformerConfig

CONFIGS: dict[str, type[ModelConfig]] = {
    "rijal": RijalConfig,
    "rijal_multienv": RijalMultienvConfig,
    "canonical": CanonicalConfig,
    "transformer": TransformerConfig,
}


class _PublishedWeights:
    """The tensors of a published state dict, handed out by name and counted."""

    def __init__(self, kind: str, weights: Mapping[str, Any]) -> None:
        self.kind = kind
        self._tensors = {_bare(name): _tensor(name, value) for name, value in weights.items()}
        self._unused = set(self._tensors)

    def take(self, *names: str) -> Tensor:
        """Return the tensor that goes by the first of ``names`` found here."""
        for name in names:
            if name in self._tensors:
                self._unused.discard(name)
                return self._tensors[name]
        raise DataError(
            f"these are no {self.kind} weights: {names[0]!r} is missing; "
            f"found {listed(self._tensors, most=8) or 'nothing'}"
        )

    def has(self, name: str) -> bool:
        return name in self._tensors

    def layers(self, *patterns: str) -> Tensor:
        """Stack a parameter over layers; ``{}`` is the layer from 0, ``[]`` from 1."""
        found: list[Tensor] = []
        while any(self.has(_layer_name(p, len(found))) for p in patterns) or not found:
            found.append(self.take(*(_layer_name(p, len(found)) for p in patterns)))
        if len({tensor.shape for tensor in found}) > 1:
            raise DataError(
                f"the layers of {patterns[0]!r} differ in shape: "
                f"{listed([tuple(tensor.shape) for tensor in found])}"
            )
        return torch.stack(found)

    def refuse_leftovers(self) -> None:
        if self._unused:
            raise DataError(
                f"these are no {self.kind} weights: nothing is known of "
                f"{listed(sorted(self._unused))}"
            )


def _bare(name: str) -> str:
    # What Lightning, torch.compile and data parallelism put before a parameter's name.
    return re.sub(r"^((model|module|_orig_mod)\.)*", "", name)


def _layer_name(pattern: str, layer: int) -> str:
    return pattern.replace("{}", str(layer)).replace("[]", str(layer + 1))


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        value = torch.from_numpy(value.copy())
    if not isinstance(value, Tensor):
        raise DataError(f"weight {name!r} is a {type(value).__name__}, not an array")
    tensor: Tensor = value.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.long()
    if not torch.isfinite(tensor).all():
        raise DataError(f"weight {name!r} holds values that are not finite")
    return tensor.float()


State = dict[str, Tensor]


def _rijal(published: _PublishedWeights) -> State:
    return {
        "embedding": published.take("random_matrix"),
        "query": published.layers("query_matrices.{}", "query_matrix_[]"),
        "key": published.layers("key_matrices.{}", "key_matrix_[]"),
        "value": published.layers("value_matrices.{}", "value_matrix_[]"),
        "readout": published.take("coeffs_attended"),
        "offset": published.take("offset").reshape(1),
    }


def _locus_embedding(published: _PublishedWeights) -> Tensor:
    embedding = published.take("locus_embeddings.weight")
    if published.has("locus_indices"):
        embedding = embedding[published.take("locus_indices").reshape(-1)]
    return embedding


def _canonical(published: _PublishedWeights) -> State:
    state = {"embedding": _locus_embedding(published)}
    for name in ("query", "key", "value"):
        state[f"{name}_weight"] = published.layers(f"{name[0]}_linears.{{}}.weight").mT
        state[f"{name}_bias"] = published.layers(f"{name[0]}_linears.{{}}.bias")
    if published.has("norms.0.weight"):
        state["norm_weight"] = published.layers("norms.{}.weight")
        state["norm_bias"] = published.layers("norms.{}.bias")
    state["readout_weight"] = published.take("readout.weight").mT
    state["readout_bias"] = published.take("readout.bias")
    return state


_ENCODER_PARTS = {
    "attention_norm": "norm1.{}",
    "projection": "self_attn.in_proj_{}",
    "attention_out": "self_attn.out_proj.{}",
    "feedforward_norm": "norm2.{}",
    "feedforward_in": "linear1.{}",
    "feedforward_out": "linear2.{}",
}


def _transformer(published: _PublishedWeights) -> State:
    state = {"embedding": _locus_embedding(published)}
    for ours, theirs in _ENCODER_PARTS.items():
        weight, bias = (
            published.layers(f"transformer_encoder.layers.{{}}.{theirs.format(part)}")
            for part in ("weight", "bias")
        )
        state[f"{ours}_weight"] = weight if weight.ndim == 2 else weight.mT
        state[f"{ours}_bias"] = bias
    for part in ("weight", "bias"):
        state[f"final_norm_{part}"] = published.take(f"transformer_encoder.norm.{part}")
    state["readout_weight"] = published.take("fc_out.weight").mT
    state["readout_bias"] = published.take("fc_out.bias")
    return state


_RENAME: dict[str, Callable[[_PublishedWeights], State]] = {
    "rijal": _rijal,
    "rijal_multienv": _rijal,
    "canonical": _canonical,
    "transformer": _transformer,
}


def rename_published(kind: str, weights: Mapping[str, Any]) -> State:
    """Return published weights under our names and in our orientation.

    The map is linear, so that it also renames gradients.

    Raises
    ------
    SettingsError
        For an unknown ``kind``.
    DataError
        If a weight of that kind is missing, left over, or not a finite array.
    """
    if kind not in _RENAME:
        raise SettingsError(unknown("published model", kind, _RENAME))
    published = _PublishedWeights(kind, weights)
    state = {name: tensor.contiguous() for name, tensor in _RENAME[kind](published).items()}
    published.refuse_leftovers()
    return state


def _described(kind: str, state: State) -> dict[str, Any]:
    # The settings that the shapes of the weights tell.
    if kind == "rijal":
        return {"embedding_dim": state["readout"].shape[-1], "n_layers": len(state["query"])}
    if kind == "rijal_multienv":
        return {"locus_dim": state["embedding"].shape[-1], "n_layers": len(state["query"])}
    width = {"embedding_dim": state["embedding"].shape[-1]}
    if kind == "canonical":
        layers = {"n_layers": len(state["query_weight"]), "layer_norm": "norm_weight" in state}
        return width | layers
    hidden = state["feedforward_in_bias"].shape[-1]
    return width | {"n_layers": len(state["projection_bias"]), "feedforward_dim": hidden}


def _n_traits(kind: str, state: State) -> int:
    if kind == "rijal":
        return 1
    if kind == "rijal_multienv":
        return state["readout"].shape[-1] - state["embedding"].shape[-1] - 1
    return state["readout_bias"].shape[-1]


def load_published(kind: str, weights: Mapping[str, Any], **options: Any) -> nn.Module:
    """Return a published model with its weights, ready to predict.

    Parameters
    ----------
    kind
        ``rijal``, ``rijal_multienv``, ``canonical`` or ``transformer``.
    weights
        A published state dict: names to tensors or arrays.
    **options
        Settings of the model's config that its weights do not tell: ``n_heads`` of a transformer,
        ``scaled_attention`` and ``skip_connections`` of a canonical model.

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
        If the weights are not those of that kind.
    """
    state = rename_published(kind, weights)
    described = _described(kind, state)
    for name in described.keys() & options.keys():
        if options[name] != described[name]:
            raise SettingsError(
                f"{name} = {options[name]!r} contradicts the weights, which say {described[name]!r}"
            )
    config = CONFIGS[kind].parse(described | options, where=f"load_published({kind!r})")
    n_loci, n_traits = len(state["embedding"]), _n_traits(kind, state)
    module = config.build(n_loci=n_loci, n_traits=n_traits)
    assert isinstance(module, nn.Module)
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    wrong = [
        f"{name} {tuple(state[name].shape)} for {shape}"
        for name, shape in expected.items()
        if tuple(state[name].shape) != shape
    ]
    if wrong:
        raise DataError(f"the {kind} weights do not fit together: {listed(wrong)}")
    module.load_state_dict(state)
    return module.eval()
