"""How a regulariser comes in: epochs trained to its share, in [0, 1]; infinity, the end of training, gives 1."""

from __future__ import annotations

import math
from collections.abc import Callable

Annealing = Callable[[float], float]


def warmup(epochs: float) -> Annealing:
    """From zero to one over the first `epochs`, then one; zero epochs: one from the start.

    Bowman et al., Generating Sentences from a Continuous Space, arXiv 1511.06349, section 3.1 (there a sigmoid; linear
    since Sonderby et al., Ladder Variational Autoencoders, arXiv 1602.02282, section 2.3).
    """
    return lambda epoch: min(1.0, epoch / epochs) if epochs else 1.0


def cyclic(epochs: float, cycles: int, rising: float = 0.5) -> Annealing:
    """`cycles` equal parts of the training, in each from zero to one over its first `rising` share, then one.

    Fu et al., Cyclical Annealing Schedule, arXiv 1903.10145, equations 6 and 7 (their R is 0.5, too).
    """
    period = epochs / cycles

    def share(epoch: float) -> float:
        if math.isinf(epoch) or epoch >= epochs:
            return 1.0
        return min(1.0, epoch % period / (rising * period))

    return share
