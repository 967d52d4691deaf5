"""How a decoded image is held against the real one: one file each, chosen by name.

Each gives -log p(x | z) of every image in nats, [b], summed over pixels and channels, and takes the images [b, 3, s, s]
in [0, 1], the decoded ones, and the logarithm of one learnt scale. Distortions of two likelihoods cannot be compared:
`gaussian` and `laplace` are densities, `logistic` is a probability, `gradient` is not normalised.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from derm_ml.objectives.likelihoods.gaussian import gaussian
from derm_ml.objectives.likelihoods.gradient import gradient
from derm_ml.objectives.likelihoods.laplace import laplace
from derm_ml.objectives.likelihoods.logistic import logistic

Likelihood = Callable[[Tensor, Tensor, Tensor], Tensor]
LIKELIHOODS: dict[str, Likelihood] = {
    "gaussian": gaussian,
    "laplace": laplace,
    "logistic": logistic,
    "gradient": gradient,
}
