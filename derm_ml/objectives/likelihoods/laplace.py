"""A Laplace distribution with one learnt scale: the absolute error (L1) as a likelihood.

Against the squared one for images: Zhao et al., Loss Functions for Image Restoration, arXiv 1511.08861, section III.A.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor


def laplace(
    images: Float[Tensor, "b 3 s s"], means: Float[Tensor, "b 3 s s"], log_scale: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """-log Laplace(x; mean, b) in nats, summed over pixels and channels. A density: it may be negative."""
    errors = (images - means).abs().flatten(1).sum(dim=1)
    return errors * (-log_scale).exp() + images[0].numel() * (log_scale + math.log(2.0))
