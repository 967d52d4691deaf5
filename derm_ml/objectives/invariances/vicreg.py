"""VICReg: Bardes et al., Variance-Invariance-Covariance Regularization, arXiv 2105.04906, equations 1 to 6."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def vicreg(first: Float[Tensor, "b c"], second: Float[Tensor, "b c"]) -> Float[Tensor, ""]:
    """Squared distance of the views + hinge on each dimension's spread + squared covariances / 25.

    The paper's coefficients are 25, 25 and 1: here all are divided by 25. The distance is the mean over dimensions
    too, as in the authors' code; each view's spread and covariances are taken by themselves.
    """
    distance = (first - second).square().mean()
    spread = _variance(first) + _variance(second)
    return distance + spread + (_covariance(first) + _covariance(second)) / 25


def _variance(z: Tensor) -> Tensor:
    """max(0, 1 - sd), mean over the dimensions, halved as in the authors' code."""
    return torch.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean() / 2


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (len(z) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
