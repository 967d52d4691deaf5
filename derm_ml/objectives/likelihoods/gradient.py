"""The Gaussian of the pixels and of their differences to the right and below: blurred edges cost as well.

After the gradient difference loss of Mathieu et al., Deep multi-scale video prediction, arXiv 1511.05440, equation 6
(with squares, and signs kept).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from derm_ml.objectives.likelihoods.gaussian import gaussian


def gradient(
    images: Float[Tensor, "b 3 s s"], means: Float[Tensor, "b 3 s s"], log_scale: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """Minus the sum of three log-densities in nats; no likelihood of an image, since differences follow from pixels."""
    parts = [gaussian(images, means, log_scale)]
    parts += [gaussian(images.diff(dim=dim), means.diff(dim=dim), log_scale) for dim in (2, 3)]
    return parts[0] + parts[1] + parts[2]
