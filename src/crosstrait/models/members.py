"""Many networks of one architecture evaluated in one pass, each with its own weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it


class Dropout:
    """Zero each unit with probability ``rate`` and rescale the rest, or pass units on.

    With ``generators``, member m draws from ``generators[m]`` alone, so that its masks do not
    depend on the other members of the pass.
    """

    def __init__(self, rate: float, generators: Sequence[torch.Generator] | None = None) -> None:
        self.rate = rate
        self.generators = generators

    def __call__(self, units: Tensor) -> Tensor:
        """Return ``units`` (M, ...) with some of them dropped."""
        if self.rate == 0:
            return units
        if self.generators is None:
            return F.dropout(units, self.rate)
        kept = torch.empty_like(units)
        for member, generator in zip(kept, self.generators, strict=True):
            member.bernoulli_(1 - self.rate, generator=generator)
        return units * kept.div_(1 - self.rate)


class MemberNetwork(nn.Module, ABC):
    """A network whose maths has a leading member dimension.

    A single network is the case M = 1 of the same code, so the fast path is the only path.
    """

    dropout: float = 0.0

    @abstractmethod
    def members_forward(self, weights: Mapping[str, Tensor], X: Tensor, drop: Dropout) -> Tensor:
        """Return the outputs (M, B, T) of M networks.

        Parameters
        ----------
        weights
            By parameter name, that parameter of every network, stacked: (M, ...).
        X
            Coded genotypes (M, B, L) in [-1, +1].
        drop
            Applied where the model has dropout.
        """

    def forward(self, X: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return the outputs (B, T) for coded genotypes X (B, L) in [-1, +1].

        ``generator`` draws the dropout masks; without one they come from torch's own.
        """
        generators = None if generator is None else [generator]
        return forward_members([self], X.unsqueeze(0), generators=generators).squeeze(0)


Named = Mapping[str, Tensor]
RunMembers = Callable[[MemberNetwork, Sequence[Named], Tensor, Dropout], Tensor]


def run_members(
    network: MemberNetwork, parameters: Sequence[Named], X: Tensor, drop: Dropout
) -> Tensor:
    """Return `MemberNetwork.members_forward` with the parameters, by name, of M networks."""
    if len(parameters) == 1:
        weights = {name: weight.unsqueeze(0) for name, weight in parameters[0].items()}
    else:
        weights = {name: torch.stack([own[name] for own in parameters]) for name in parameters[0]}
    return network.members_forward(weights, X, drop)


def forward_members(
    modules: Sequence[nn.Module],
    X: Tensor,
    *,
    generators: Sequence[torch.Generator] | None = None,
    run: RunMembers = run_members,
) -> Tensor:
    """Evaluate M networks of one architecture together.

    Every network keeps its own parameters, which receive their own gradients: optimiser states,
    early stopping and checkpoints stay separate. The numbers are those of ``modules[m](X[m])``
    up to the order of float32 sums.

    Parameters
    ----------
    modules
        M networks with equal settings, all in training or all in evaluation mode. Networks that
        are not a `MemberNetwork` are called one after another.
    X
        Coded genotypes (M, B, L) in [-1, +1]: the batch of every network.
    generators
        M generators for the dropout masks, one a network.
    run
        `run_members` or its compiled form.

    Returns
    -------
    Tensor
        (M, B, T).
    """
    first = modules[0]
    if not isinstance(first, MemberNetwork):
        return torch.stack([module(x) for module, x in zip(modules, X, strict=True)])
    if len(modules) != len(X):
        raise ValueError(f"{len(modules)} networks were given {len(X)} batches")
    parameters = [dict(module.named_parameters()) for module in modules]
    drop = Dropout(first.dropout if first.training else 0.0, generators)
    return run(first, parameters, X, drop)
