"""What two views of one image may not differ in: one file each, chosen by name.

Each takes the posterior means of both views, [b, c] and [b, c], and gives a number, about 1 to 10 before training.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from derm_ml.objectives.invariances.barlow import barlow_twins
from derm_ml.objectives.invariances.infonce import infonce
from derm_ml.objectives.invariances.vicreg import vicreg

Invariance = Callable[[Tensor, Tensor], Tensor]
INVARIANCES: dict[str, Invariance] = {"infonce": infonce, "vicreg": vicreg, "barlow": barlow_twins}
