"""Barlow Twins: Zbontar et al., Self-Supervised Learning via Redundancy Reduction, arXiv 2103.03230, equation 1."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def barlow(first: Float[Tensor, "b c"], second: Float[Tensor, "b c"], redundancy: float = 5e-3) -> Float[Tensor, ""]:
    """The squared distance of the views' cross-correlation matrix from the identity, divided by the dimensions.

    Args:
        redundancy: weight of the matrix's other entries (the paper's lambda, its value).
    """
    correlation = _standardised(first).T @ _standardised(second) / len(first)
    diagonal = correlation.diagonal()
    others = correlation.square().sum() - diagonal.square().sum()
    return ((1 - diagonal).square().sum() + redundancy * others) / first.shape[1]


def _standardised(z: Tensor) -> Tensor:
    return (z - z.mean(dim=0)) / (z.var(dim=0, correction=0) + 1e-5).sqrt()
