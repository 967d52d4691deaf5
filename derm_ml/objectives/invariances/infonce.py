"""InfoNCE, van den Oord et al., arXiv 1807.03748, equation 4, as Chen et al., SimCLR, arXiv 2002.05709, equation 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def infonce(first: Float[Tensor, "b c"], second: Float[Tensor, "b c"], temperature: float = 0.2) -> Float[Tensor, ""]:
    """-log of the share that the other view has among all 2 b - 1 other views, mean over the 2 b views, in nats.

    The share is the softmax of cosine similarities divided by the temperature (0.2 as in MoCo v2, arXiv 2003.04297).
    """
    both = normalize(torch.cat([first, second]), dim=1)
    similarity = both @ both.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), float("-inf"))
    partner = torch.arange(len(both), device=both.device).roll(len(first))
    return cross_entropy(similarity, partner)
