"""A discretised logistic: Kingma et al., Inverse Autoregressive Flow, arXiv 1606.04934, section 6.1."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

HALF = 0.5 / 255  # of one of the 256 values, in [0, 1]


def logistic(
    images: Float[Tensor, "b 3 s s"], means: Float[Tensor, "b 3 s s"], log_scale: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """-log P(the 8-bit value around x) in nats, summed over pixels and channels; the ends of the range take the tails.

    Never negative. Between augmented values that lie between two of the 256, the interval is centred on the value.
    """
    inverse = (-log_scale).exp()
    above, below = (images - means + HALF) * inverse, (images - means - HALF) * inverse
    # log(sigmoid(a) - sigmoid(b)) = logsigmoid(a) + logsigmoid(-b) + log(1 - exp(b - a)): no difference of near equals
    within = logsigmoid(above) + logsigmoid(-below) + (-(-2 * HALF * inverse).expm1()).log()
    lowest, highest = images < HALF, images > 1 - HALF
    logs = within.where(~lowest, logsigmoid(above)).where(~highest, logsigmoid(-below))
    return -logs.flatten(1).sum(dim=1)
