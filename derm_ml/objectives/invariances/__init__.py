"""What two views of one image may not differ in: one file each, which defines a function of the file's name.

Each takes the posterior means of both views, [b, c] and [b, c] in float32, and gives a number, about 1 to 10 before
training.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Invariance = Callable[[Tensor, Tensor], Tensor]
