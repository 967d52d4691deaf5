"""Taking out of features what a linear classifier would tell a concept by, with the least change to the features."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

RIDGE = 0.1  # of a correlation matrix: features are as many as images, or more


class Erasure(nn.Module):
    """x - S (S' C^-1 S)^-1 S' C^-1 (x - m): features of mean m and covariance C, without what S says of the concepts.

    Of all affine maps after which no feature's covariance with any concept differs from zero, so that no linear
    classifier beats a constant one, this one changes the features least (LEACE: Belrose et al., arXiv 2306.03819,
    section 4; written there with a whitening, which cancels out).

    Args:
        mean: [d]. effects: S, how each of k concepts moves the mean, [d, k]. readers: C^-1 S (S' C^-1 S)^-1, [d, k].
    """

    mean: Tensor
    effects: Tensor
    readers: Tensor

    def __init__(self, mean: Float[Tensor, " d"], effects: Float[Tensor, "d k"], readers: Float[Tensor, "d k"]) -> None:
        super().__init__()
        for name, value in {"mean": mean, "effects": effects, "readers": readers}.items():
            self.register_buffer(name, value.float())

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Features in float32, without the concepts."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            return features - ((features - self.mean) @ self.readers) @ self.effects.T


class PairedErasure:
    """An erasure from pairs: features of images as they are, and of the same images with concepts planted at random.

    What an image shows besides cancels out of a pair's difference, so that the effects are known better than from as
    many images of which some have the concept and some have not. Fed in parts; float64 sums [d, d] are kept.
    """

    def __init__(self, width: int, concepts: int) -> None:
        self.count = 0
        self.sums = torch.zeros(width, dtype=torch.float64)
        self.products = torch.zeros(width, width, dtype=torch.float64)
        self.moved = torch.zeros(concepts + 1, width, dtype=torch.float64)
        self.design = torch.zeros(concepts + 1, concepts + 1, dtype=torch.float64)

    def add(self, plain: Float[Tensor, "n d"], planted: Float[Tensor, "n d"], given: Bool[Tensor, "n k"]) -> None:
        """Pairs; `given` says which concepts the second of each has."""
        plain, planted = plain.double(), planted.double()
        regressors = torch.cat([torch.ones(len(given), 1), given], dim=1).double()
        self.count += len(given)
        self.sums += planted.sum(dim=0)
        self.products += planted.T @ planted
        self.moved += regressors.T @ (planted - plain)
        self.design += regressors.T @ regressors

    def fit(self) -> Erasure:
        """Least squares for the effects. A concept that moves nothing is left alone, and so is a constant feature."""
        mean = self.sums / self.count
        covariance = self.products / self.count - mean[:, None] * mean
        spread = covariance.diagonal().clamp_min(0).sqrt()
        scale = torch.where(spread > 1e-6, spread.clamp_min(1e-6).reciprocal(), 0.0)
        correlation = covariance * scale[:, None] * scale
        correlation.mul_(1 - RIDGE).diagonal().add_(RIDGE)
        effects = (torch.linalg.pinv(self.design) @ self.moved)[1:].T * scale[:, None]
        solved = torch.linalg.solve(correlation, effects)
        readers = solved @ torch.linalg.pinv(effects.T @ solved, hermitian=True)
        return Erasure(mean, effects * spread[:, None], readers * scale[:, None])
