"""Better, worse or not shown: a difference to another arm on every primary measure.

With one split a difference is called "better here" or "worse here": it holds for the encoders and the split at hand.
Two pretrainings of the same kind differ on one split more often than chance would have it (13 % of the verdicts on
arms that are alike called something, benchmarks/verdict_rates.py): nothing is said of the arms in general.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from derm_ml.results import Place
from derm_ml.statistics.decisions import equivalence, hedges_g, holm
from derm_ml.statistics.estimates import Estimate
from derm_ml.verdict.measures import GAP, PRIMARY, Measure, Measures, on

LEVEL = 0.05
HERE = " here"


@dataclass(frozen=True)
class Call:
    """One arm against another on one measure.

    Attributes:
        difference: arm - reference. p, p_holm: that it is zero; Holm's is over the primary measures.
        word: better, worse, not shown; with one split better here, worse here.
        why: of "not shown": what stands against the claim.
        g: Hedges' g of the differences of splits (of seeds, with one split); nan below two.
        share: of the split x seed pairs in which the arm is the better one.
        detectable: the smallest difference that this design calls with 80 % power.
    """

    measure: Measure
    arm: str
    reference: str
    difference: Estimate
    p: float
    p_holm: float
    word: str
    why: str
    g: float
    share: float
    detectable: float


def calls(
    measures: Measures, arm: str, reference: str, place: Place, void: Collection[str] = (), images: str = ""
) -> list[Call]:
    """A call on every primary measure, with Holm's correction over them.

    Args:
        void: names of measures on which no claim can be made, whatever the figures say (see `audits`).
        images: `external`: on those images, without the gap.
    """
    wanted = [measure for measure in PRIMARY if not (images and measure is GAP)]
    if images:
        wanted = [on(each, images) for each in wanted]
    found = [measures.estimate(measure, arm, place, minus=reference) for measure in wanted]
    adjusted = holm([each.p for each in found])
    made = []
    for measure, estimate, p_holm in zip(wanted, found, adjusted, strict=True):
        by_split = measures.by_split(measure, arm, place, reference)
        word, why = _word(measure, estimate, float(p_holm), measure.name in void)
        if word != "not shown" and len(by_split) == 1:
            word += HERE
        units = [each.mean() for each in by_split.values()] if len(by_split) > 1 else next(iter(by_split.values()))
        pairs = measures.pairs(measure, arm, reference, place)
        wins = (pairs > 0) if measure.higher else (pairs < 0)
        made.append(
            Call(
                measure=measure,
                arm=arm,
                reference=reference,
                difference=estimate,
                p=estimate.p,
                p_holm=float(p_holm),
                word=word,
                why=why,
                g=hedges_g(units),
                share=float(np.mean(wins)),
                detectable=detectable(estimate, len(wanted)),
            )
        )
    return made


def _word(measure: Measure, estimate: Estimate, p_holm: float, void: bool) -> tuple[str, str]:
    if void:
        return "not shown", "an audit stands against it"
    if math.isnan(estimate.error):
        return "not shown", "one value gives no interval"
    if p_holm < LEVEL:
        good = (estimate.mean > 0) == measure.higher
        return ("better" if good else "worse"), ""
    if estimate.p < LEVEL:
        return "not shown", "the interval leaves out zero, but not after Holm's correction over the measures"
    return "not shown", "the interval holds zero"


def detectable(estimate: Estimate, measures: int, power: float = 0.8) -> float:
    """The smallest true difference that is called with this power, given the standard error, whatever the others do.

    Holm's first step, the strictest, asks for p below 5 % over the number of measures, two-sided.
    """
    from scipy import stats

    if math.isnan(estimate.error):
        return float("nan")
    asked = stats.t.ppf(1 - LEVEL / measures / 2, estimate.freedom)
    return float((asked + stats.t.ppf(power, estimate.freedom)) * estimate.error)


@dataclass(frozen=True)
class GapReading:
    """An arm's gap of the loss, read with what it means.

    Attributes:
        near_zero: whether two one-sided tests place it within the margin; p of that.
        opens: the first epoch from which the mean gap stays above the margin; 0: it never does.
        least_loss: the epoch of the least validation loss (mean over runs).
    """

    arm: str
    place: Place
    gap: Estimate
    near_zero: bool
    p_near_zero: float
    opens: int
    least_loss: int


def read_gap(measures: Measures, arm: str, place: Place) -> GapReading:
    """The gap of an arm at a place."""
    comparison = measures.comparison
    estimate = measures.estimate(GAP, arm, place)
    p = equivalence(estimate, comparison.gap_margin)
    runs = comparison.of(arm, place)
    curve = np.mean([run.history["gap/loss"] for run in runs], axis=0)
    loss = np.mean([run.history["val/loss"] for run in runs], axis=0)
    below = np.flatnonzero(curve <= comparison.gap_margin)
    opens = int(below[-1]) + 2 if len(below) else 1
    return GapReading(
        arm=arm,
        place=place,
        gap=estimate,
        near_zero=bool(p < LEVEL),
        p_near_zero=p,
        opens=0 if opens > len(curve) else opens,
        least_loss=int(loss.argmin()) + 1,
    )
