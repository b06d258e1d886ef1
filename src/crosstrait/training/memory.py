"""How many networks fit into one pass."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

# What a pass may fill with activations: the rest is for data, gradients and other programs.
_SHARE = 0.5


def members_at_once(network: nn.Module, *, n_loci: int, batch: int, device: torch.device) -> int:
    """Return how many networks like ``network`` can train together on ``batch`` samples each.

    At least 1. The answer depends on the machine's total memory, not on what is free just now,
    so that a resumed training groups its members as before. A process that was given some of the
    cores takes that share of the memory, since others have the rest.
    """
    if device.type == "cuda":
        total: float = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        total = memory * min(1.0, torch.get_num_threads() / (os.cpu_count() or 1))
    held = batch * activation_bytes(network.to(device), n_loci=n_loci)
    return max(1, int(_SHARE * total / max(1, held)))


def activation_bytes(network: nn.Module, *, n_loci: int) -> int:
    """Return the memory that the backward pass of one sample holds on to, in bytes.

    It depends on where the network lies: a CPU computes more of it again.
    """
    weights = {p.untyped_storage()._cdata for p in network.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            held[storage._cdata] = storage.nbytes()
        return tensor

    def give(tensor: Any) -> Any:
        return tensor

    n_samples = 2
    X = torch.zeros(n_samples, n_loci, device=next(network.parameters()).device)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, give):
        network(X)
    return sum(held.values()) // n_samples
