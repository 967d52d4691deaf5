"""How the learning rate moves."""

from __future__ import annotations

import math
from collections.abc import Callable


def warmup_cosine(steps: int, warmup: int = 0) -> Callable[[int], float]:
    """Step to factor: linear from 1 / warmup to 1, then a half cosine to 0 at `steps`.

    Loshchilov and Hutter, SGDR, arXiv 1608.03983, equation 5 with one period.
    """

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor
