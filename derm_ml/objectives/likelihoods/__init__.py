"""How a decoded image is held against the real one: one file each, which defines a function of the file's name.

Each gives -log p(x | z) of every image in nats, [b], summed over pixels and channels, and takes the images [b, 3, s, s]
in [0, 1], the decoded ones, and the logarithm of one learnt scale. Distortions of two likelihoods cannot be compared:
`gaussian` and `laplace` are densities, `logistic` is a probability, `gradient` is not normalised.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Likelihood = Callable[[Tensor, Tensor, Tensor], Tensor]
