"""What must be right before a figure means anything; an audit that fails takes measures out of the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from derm_ml.config import FLOORS
from derm_ml.results import Place
from derm_ml.statistics import weighted
from derm_ml.statistics.bootstrap import group_error
from derm_ml.verdict.measures import AUROC, BALANCED, GAP, LOSS, PRIMARY, Measures, on

FEWEST_GROUPS = 30  # of test images: below, a bootstrap over groups is too narrow to be believed
FEWEST_OF_A_CLASS = 5  # groups of a class among the test images, for the measures that weigh classes alike
ALL = tuple(measure.name for measure in PRIMARY)
ON_TEST = tuple(measure.name for measure in PRIMARY if measure is not GAP)


@dataclass(frozen=True)
class Audit:
    """One check: what was looked at, whether it holds, what was found, and which measures it takes out."""

    name: str
    holds: bool
    sentence: str
    void: tuple[str, ...] = ()


def audit(measures: Measures, place: Place) -> list[Audit]:
    """Every check, in the order in which a reviewer would ask."""
    return [
        _groups_apart(measures),
        _enough_groups(measures),
        _enough_of_each_class(measures),
        _test_like_validation(measures, place),
        _something_learnt(measures, place),
        *_memorises(measures, place),
    ]


def void(audits: list[Audit]) -> frozenset[str]:
    """The measures on which no claim can be made."""
    return frozenset(name for each in audits if not each.holds for name in each.void)


def _groups_apart(measures: Measures) -> Audit:
    shared = 0
    for facts in measures.comparison.splits:
        train = set(facts.train_groups)
        shared += len(train & set(facts.test_groups)) + len(train & set(facts.val_groups))
        shared += len(set(facts.val_groups) & set(facts.test_groups))
    name = "No group (patient, lesion, near-identical images) is in two splits"
    if shared:
        return Audit(name, False, f"LEAK: {shared} groups are in more than one split; no figure can be believed.", ALL)
    return Audit(name, True, "None is, in every split.")


def _test_groups(measures: Measures) -> int:
    """Of the split that has the fewest."""
    return min(len(np.unique(facts.test_groups)) for facts in measures.comparison.splits)


def _enough_groups(measures: Measures) -> Audit:
    count = _test_groups(measures)
    name = f"The test images are of at least {FEWEST_GROUPS} groups"
    if count < FEWEST_GROUPS:
        return Audit(name, False, f"They are of {count}: too few for an interval.", ALL)
    return Audit(name, True, f"{count:,} groups (the smallest split).")


def _enough_of_each_class(measures: Measures) -> Audit:
    rarest, fewest = "", 10**9
    for facts in measures.comparison.splits:
        for code, name in enumerate(measures.comparison.classes):
            count = len(np.unique(facts.test_groups[facts.test_labels == code]))
            if count < fewest:
                rarest, fewest = name, count
    title = f"Every class has at least {FEWEST_OF_A_CLASS} groups among the test images"
    if fewest < FEWEST_OF_A_CLASS:
        sentence = f"{rarest} has {fewest}: measures that weigh classes alike hang on single images."
        return Audit(title, False, sentence, (AUROC.name, BALANCED.name))
    return Audit(title, True, f"The rarest, {rarest}, has {fewest}.")


def _test_like_validation(measures: Measures, place: Place) -> Audit:
    """Both are drawn alike, so that an arm's loss on them differs by chance only."""
    name = "Test images are no easier than validation images"
    worst = (0.0, "", 0.0, 0.0)
    for arm in measures.comparison.arms:
        for facts in measures.comparison.splits:
            runs = measures.comparison.of(arm, place, facts.seed)
            if not runs:
                continue
            test = float(np.mean([measures.value(run, LOSS) for run in runs]))
            val = float(np.mean([measures.value(run, on(LOSS, "val")) for run in runs]))
            if test >= 0.9 * val:
                continue
            errors = [
                group_error(weighted.log_loss, [getattr(run, f"{part}_probabilities") for run in runs], labels, groups)
                for part, labels, groups in (
                    ("test", facts.test_labels, facts.test_groups),
                    ("val", facts.val_labels, facts.val_groups),
                )
            ]
            z = (val - test) / math.hypot(*errors) if all(errors) else float("inf")
            worst = max(worst, (z, arm, test, val))
    z, arm, test, val = worst
    if z > 3.5:  # two-sided p of 0.0005: with five arms and some splits, chance stays well below one in a hundred
        sentence = (
            f"LEAK SUSPECTED: {arm} has a log-loss of {test:.3f} on test and {val:.3f} on validation images, {z:.1f} "
            "standard errors apart: training images, or copies of them, may be among the test images."
        )
        return Audit(name, False, sentence, ON_TEST)
    return Audit(name, True, "No arm's log-loss is lower on test than on validation images beyond chance.")


def _something_learnt(measures: Measures, place: Place) -> Audit:
    name = "Some arm tells the classes apart on test images"
    found = {arm: measures.estimate(AUROC, arm, place) for arm in measures.comparison.arms if arm != "majority"}
    best = max(found, key=lambda arm: found[arm].mean, default="")
    if best and found[best].low > 0.5:
        return Audit(name, True, f"{best}: macro AUROC {found[best].text()}.")
    if best and math.isnan(found[best].error) and found[best].mean > 0.6:
        return Audit(name, True, f"{best}: macro AUROC {found[best].mean:.3f}, without an interval.")
    text = f"the best is {best} with macro AUROC {found[best].text()}" if best else "there is no arm that could"
    sentence = f"None does ({text}): the labels may be shuffled or wrong, or the images may not hold them."
    return Audit(name, False, sentence, ALL)


def _memorises(measures: Measures, place: Place) -> list[Audit]:
    """Nothing where the test images are too few to tell, which `_enough_groups` says."""
    made: list[Audit] = []
    if _test_groups(measures) < FEWEST_GROUPS:
        return made
    for arm in measures.comparison.arms:
        if arm in FLOORS:
            continue
        auroc = measures.estimate(AUROC, arm, place)
        runs = measures.comparison.of(arm, place)
        train = float(np.mean([run.last("train/auroc") for run in runs]))
        name = f"{arm} has learnt something that holds beyond its training images"
        if auroc.low > 0.5 or (math.isnan(auroc.error) and auroc.mean > 0.6):
            made.append(Audit(name, True, f"Macro AUROC {train:.3f} on training, {auroc.text()} on test images."))
        elif train > 0.75:
            sentence = f"IT MEMORISES: macro AUROC {train:.3f} on training images, {auroc.text()} on test images."
            made.append(Audit(name, False, sentence))
        else:
            sentence = f"It has learnt nothing ({train:.3f} on training, {auroc.text()} on test): no gap is no merit."
            made.append(Audit(name, False, sentence))
    return made
