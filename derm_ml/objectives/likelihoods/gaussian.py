"""A Gaussian with one learnt deviation: Rybkin et al., Calibrated Decoders, arXiv 2006.13202, section 3 (sigma-VAE)."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor


def gaussian(
    images: Float[Tensor, "b 3 s s"], means: Float[Tensor, "b 3 s s"], log_scale: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """-log N(x; mean, sigma^2 I) in nats, summed over pixels and channels. A density: it may be negative."""
    squares = (images - means).square().flatten(1).sum(dim=1)
    values = images[0].numel()
    return 0.5 * squares * (-2.0 * log_scale).exp() + values * (log_scale + 0.5 * math.log(2 * math.pi))
