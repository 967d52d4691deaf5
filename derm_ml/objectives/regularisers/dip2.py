"""DIP-VAE-II: Kumar et al., arXiv 1711.00848, equation 7."""

from __future__ import annotations

from derm_ml.objectives.regularisers.dip1 import Dip


def dip2(*, beta: float, **others: object) -> Dip:
    """Of the codes."""
    return Dip(beta, of_means=False)
