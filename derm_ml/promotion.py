"""The rule by which an encoder becomes champion: pure, on paired figures of validation images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

NO_LOSS = 0.005  # of macro AUROC: how much of it "at no loss" may leave open


class Difference(NamedTuple):
    """Challenger minus champion, paired at the seed, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """`0.012 [0.003, 0.021]`."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Two encoders under one protocol on the validation images of one split."""

    challenger: str  # models:/derm-encoder/4
    champion: str  # models:/derm-encoder/3
    fingerprint: str  # of the data
    split_id: str
    protocol: str
    mode: str
    features: str
    seeds: int
    auroc: Difference
    gap: Difference
    ece: Difference
    run_id: str  # of the comparison


class Decision(NamedTuple):
    """Whether the alias moves, and why, in one sentence."""

    promoted: bool
    reason: str


def promotion_rule(evidence: Evidence) -> Decision:
    """The challenger becomes champion when one of two holds, and its calibration is not worse.

    1. Its macro AUROC is higher: the lower bound of the paired 95 % interval is above zero.
    2. Its gap of the loss is smaller (upper bound below zero) at no loss of AUROC (lower bound above -0.005).

    Calibration is worse when the ECE's interval lies wholly above zero. All of it on validation images of the same data
    and split under the same protocol: test images choose nothing. A bound that is not a number promotes nothing.
    """
    auroc, gap, ece = evidence.auroc, evidence.gap, evidence.ece
    figures = f"macro AUROC {auroc.text}, gap {gap.text}, ECE {ece.text} against {evidence.champion}"
    if any(math.isnan(bound) for each in (auroc, gap, ece) for bound in (each.low, each.high)):
        return Decision(False, f"without an interval nothing is promoted: {figures}")
    if ece.low > 0:
        return Decision(False, f"its calibration is worse: {figures}")
    if auroc.low > 0:
        return Decision(True, f"its macro AUROC is higher: {figures}")
    if gap.high < 0 and auroc.low > -NO_LOSS:
        return Decision(True, f"its gap is smaller at no loss of macro AUROC: {figures}")
    return Decision(False, f"neither a higher macro AUROC nor a smaller gap at no loss of it is shown: {figures}")
