"""The masked loss: a trait that was not measured costs its cell, never its sample."""

from __future__ import annotations

import torch
from torch import Tensor


def measured_cells(target: Tensor) -> Tensor:
    """Count the measured cells of each member: (M, B, T) with NaN holes -> (M,)."""
    return (~target.isnan()).sum(dim=(-2, -1))


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum the squared errors of each member over its measured cells.

    Parameters
    ----------
    prediction
        (M, B, T) predictions of M members, B samples and T traits.
    target
        (M, B, T) standardised traits; NaN is a cell without a measurement.

    Returns
    -------
    Tensor
        (M,) sums. Holes have no part in the value nor in the gradient.
    """
    error = torch.where(target.isnan(), 0.0, prediction - target)
    return error.square().sum(dim=(-2, -1))


def masked_mean_squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Average the squared errors of each member over its measured cells.

    Returns
    -------
    Tensor
        (M,) means; 0, with a gradient of 0, for a member without any measured cell.
    """
    return squared_error(prediction, target) / measured_cells(target).clamp(min=1)


def mean_r2(prediction: Tensor, target: Tensor) -> Tensor:
    """Average over traits the coefficient of determination of each member.

    A trait counts where at least two of its cells are measured and differ.

    Parameters
    ----------
    prediction, target
        (M, B, T); NaN in ``target`` is a cell without a measurement.

    Returns
    -------
    Tensor
        (M,) means of 1 - residual / total sum of squares; NaN where no trait counts.
    """
    measured = ~target.isnan()
    # Sums of thousands of float32 squares would lose the digits that are reported.
    truth = torch.where(measured, target, 0.0).double()
    cells = measured.sum(dim=-2)  # (M, T)
    mean = truth.sum(dim=-2) / cells.clamp(min=1)
    spread = torch.where(measured, truth - mean.unsqueeze(-2), 0.0).square().sum(dim=-2)
    residual = torch.where(measured, prediction.double() - truth, 0.0).square().sum(dim=-2)
    counted = (cells > 1) & (spread > 0)
    r2 = torch.where(counted, 1 - residual / spread, torch.nan)
    return r2.nanmean(dim=-1)
