"""Published weights under our parameter names and in our orientation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosstrait.errors import DataError, SettingsError, listed, unknown

State = dict[str, Tensor]


class _PublishedWeights:
    """The tensors of a published state dict, handed out by name and counted."""

    def __init__(self, kind: str, weights: Mapping[str, Any]) -> None:
        self.kind = kind
        self._tensors = {_bare(name): _tensor(name, value) for name, value in weights.items()}
        self._unused = set(self._tensors)

    def take(self, *names: str, ndim: int) -> Tensor:
        """Return the tensor that goes by the first of ``names`` found here."""
        for name in names:
            if name in self._tensors:
                self._unused.discard(name)
                tensor = self._tensors[name]
                if tensor.ndim != ndim or 0 in tensor.shape:
                    raise DataError(
                        f"weight {name!r} has the shape {tuple(tensor.shape)}, "
                        f"not {ndim} dimensions of at least one"
                    )
                return tensor
        raise DataError(
            f"these are no {self.kind} weights: {names[0]!r} is missing; "
            f"found {listed(self._tensors, most=8) or 'nothing'}"
        )

    def has(self, name: str) -> bool:
        return name in self._tensors

    def layers(self, *patterns: str, ndim: int) -> Tensor:
        """Stack a parameter over layers; ``{}`` is the layer from 0, ``[]`` from 1."""
        found: list[Tensor] = []
        while any(self.has(_layer_name(p, len(found))) for p in patterns) or not found:
            found.append(self.take(*(_layer_name(p, len(found)) for p in patterns), ndim=ndim))
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


def _rijal(published: _PublishedWeights) -> State:
    return {
        "embedding": published.take("random_matrix", ndim=2),
        "query": published.layers("query_matrices.{}", "query_matrix_[]", ndim=2),
        "key": published.layers("key_matrices.{}", "key_matrix_[]", ndim=2),
        "value": published.layers("value_matrices.{}", "value_matrix_[]", ndim=2),
        "readout": published.take("coeffs_attended", ndim=2),
        "offset": published.take("offset", ndim=1),
    }


def _locus_embedding(published: _PublishedWeights) -> Tensor:
    embedding = published.take("locus_embeddings.weight", ndim=2)
    if not published.has("locus_indices"):
        return embedding
    indices = published.take("locus_indices", ndim=1)
    if indices.is_floating_point() or indices.min() < 0 or indices.max() >= len(embedding):
        raise DataError(f"'locus_indices' are not rows of the {len(embedding)} locus embeddings")
    return embedding[indices]


def _canonical(published: _PublishedWeights) -> State:
    state = {"embedding": _locus_embedding(published)}
    for name in ("query", "key", "value"):
        state[f"{name}_weight"] = published.layers(f"{name[0]}_linears.{{}}.weight", ndim=2).mT
        state[f"{name}_bias"] = published.layers(f"{name[0]}_linears.{{}}.bias", ndim=1)
    if published.has("norms.0.weight"):
        state["norm_weight"] = published.layers("norms.{}.weight", ndim=1)
        state["norm_bias"] = published.layers("norms.{}.bias", ndim=1)
    state["readout_weight"] = published.take("readout.weight", ndim=2).mT
    state["readout_bias"] = published.take("readout.bias", ndim=1)
    return state


_ENCODER_PARTS = {
    "attention_norm": "norm1.",
    "projection": "self_attn.in_proj_",
    "attention_out": "self_attn.out_proj.",
    "feedforward_norm": "norm2.",
    "feedforward_in": "linear1.",
    "feedforward_out": "linear2.",
}


def _transformer(published: _PublishedWeights) -> State:
    state = {"embedding": _locus_embedding(published)}
    for ours, theirs in _ENCODER_PARTS.items():
        weight, bias = (
            f"transformer_encoder.layers.{{}}.{theirs}{part}" for part in ("weight", "bias")
        )
        if ours.endswith("norm"):
            state[f"{ours}_weight"] = published.layers(weight, ndim=1)
        else:
            state[f"{ours}_weight"] = published.layers(weight, ndim=2).mT
        state[f"{ours}_bias"] = published.layers(bias, ndim=1)
    for part in ("weight", "bias"):
        state[f"final_norm_{part}"] = published.take(f"transformer_encoder.norm.{part}", ndim=1)
    state["readout_weight"] = published.take("fc_out.weight", ndim=2).mT
    state["readout_bias"] = published.take("fc_out.bias", ndim=1)
    return state


_RENAME: dict[str, Callable[[_PublishedWeights], State]] = {
    "rijal": _rijal,
    "rijal_multienv": _rijal,
    "canonical": _canonical,
    "transformer": _transformer,
}


def kind_of(names: Iterable[str]) -> str:
    """Return which published model has parameters of these names.

    A rijal model of all environments has the same names as that of one trait; it is told from
    the shapes, by `rename_published`'s caller.
    """
    bare = {_bare(name) for name in names}
    if "random_matrix" in bare:
        return "rijal"
    if "q_linears.0.weight" in bare:
        return "canonical"
    if any(name.startswith("transformer_encoder.") for name in bare):
        return "transformer"
    raise DataError(
        f"these weights are of no published model ({', '.join(_RENAME)}): "
        f"{listed(sorted(bare), most=8) or 'there are none'}"
    )


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
