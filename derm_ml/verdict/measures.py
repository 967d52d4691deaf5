"""The measures that a verdict is spoken on, and their estimates over a comparison's splits and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from derm_ml.metrics import fit_temperature, with_temperature
from derm_ml.results import ArmRun, Comparison, Place, SplitFacts
from derm_ml.statistics import weighted
from derm_ml.statistics.bootstrap import group_error
from derm_ml.statistics.estimates import Estimate, over_seeds, over_splits, within_split
from derm_ml.statistics.weighted import Weighted


@dataclass(frozen=True)
class Measure:
    """One figure of a run.

    Attributes:
        higher: more of it is better. images: what it is measured on: val, test or external.
        gap: its training value is taken away (the overfitting gap of the loss).
        cooled: probabilities are first given the temperature that fits validation best.
    """

    name: str
    higher: bool
    metric: Weighted
    images: str = "test"
    gap: bool = False
    cooled: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """The range it cannot leave."""
        loss = self.metric is weighted.log_loss
        return (-math.inf if self.gap else 0.0, math.inf if loss else 1.0)


GAP = Measure("gap (loss)", False, weighted.log_loss, images="val", gap=True)
LOSS = Measure("log-loss", False, weighted.log_loss)
ACCURACY = Measure("accuracy", True, weighted.accuracy)
BALANCED = Measure("balanced accuracy", True, weighted.balanced_accuracy)
AUROC = Measure("macro AUROC", True, weighted.macro_auroc)
ECE = Measure("ECE", False, weighted.ece)
ECE_COOLED = Measure("ECE with temperature", False, weighted.ece, cooled=True)
# The six that a verdict is spoken on; Holm's correction is over these.
PRIMARY = (GAP, LOSS, ACCURACY, BALANCED, AUROC, ECE)


def recall_of(code: int, name: str) -> Measure:
    """Recall of one class."""
    return Measure(f"recall of {name}", True, weighted.recall(code))


def on(measure: Measure, images: str) -> Measure:
    """The same measure on other images: `val`, or `external`."""
    return replace(measure, images=images)


@dataclass
class Measures:
    """A comparison's figures, each worked out once.

    With several splits an interval is the corrected resampled t over splits (each split's value is its mean over
    seeds): it covers another split, another training and, where every split has its own pretraining, another
    pretraining. With one split it is the bootstrap over groups of its images, with the spread of the seeds: it holds
    for that split alone. On external images, which are the same for every split, it is the bootstrap over their
    groups with the spread of the splits.
    """

    comparison: Comparison
    _values: dict[tuple[int, str, str], float] = field(default_factory=dict)
    _errors: dict[tuple[str, str, str, Place, str], float] = field(default_factory=dict)
    _cooled: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def facts(self, split: int) -> SplitFacts:
        """Of a split's seed."""
        return next(each for each in self.comparison.splits if each.seed == split)

    def value(self, run: ArmRun, measure: Measure) -> float:
        """Of one run."""
        key = (id(run), measure.name, measure.images)
        if key not in self._values:
            if measure.gap:
                self._values[key] = run.last("gap/loss")
            else:
                probabilities, (labels, _) = self.probabilities(run, measure), self._truth(run.split, measure)
                self._values[key] = float(measure.metric(probabilities, labels, np.ones((1, len(labels))))[0])
        return self._values[key]

    def by_split(self, measure: Measure, arm: str, place: Place, minus: str = "") -> dict[int, np.ndarray]:
        """Values at every seed, [seeds], of each split; with `minus`, differences paired at the seed."""
        found = {}
        for facts in self.comparison.splits:
            runs = self.comparison.of(arm, place, facts.seed)
            values = np.array([self.value(run, measure) for run in runs])
            if minus:
                others = {run.seed: run for run in self.comparison.of(minus, place, facts.seed)}
                values = values - np.array([self.value(others[run.seed], measure) for run in runs])
            if len(values):
                found[facts.seed] = values
        return found

    def estimate(self, measure: Measure, arm: str, place: Place, minus: str = "") -> Estimate:
        """The mean over splits and seeds with its interval; with `minus`, of the difference arm - minus."""
        values = self.by_split(measure, arm, place, minus)
        means = [each.mean() for each in values.values()]
        if measure.images == "external":
            return within_split(
                means if len(means) > 1 else values.popitem()[1], self._error(measure, arm, place, minus)
            )
        if len(means) > 1:
            return over_splits(means, self._ratio(list(values), measure.images))
        (only,) = values.values()
        return within_split(only, self._error(measure, arm, place, minus))

    def text(self, measure: Measure, arm: str, place: Place, digits: int = 3) -> str:
        """The estimate as a table shows it."""
        return self.estimate(measure, arm, place).text(digits, measure.bounds)

    def over_runs(self, runs: Sequence[ArmRun], value: Callable[[ArmRun], float], images: str = "val") -> Estimate:
        """Any other figure of these runs: over splits (each its mean over seeds) where there are several, else seeds.

        Args:
            images: what the figure is measured on, for the correction over splits.
        """
        by_split: dict[int, list[float]] = {}
        for run in runs:
            by_split.setdefault(run.split, []).append(value(run))
        if len(by_split) == 1:
            return over_seeds(next(iter(by_split.values())))
        return over_splits([float(np.mean(each)) for each in by_split.values()], self._ratio(list(by_split), images))

    def over(self, values: Sequence[float], images: str) -> Estimate:
        """Of one value a split, in the splits' order."""
        return over_splits(values, self._ratio([each.seed for each in self.comparison.splits], images))

    def pairs(self, measure: Measure, arm: str, minus: str, place: Place) -> np.ndarray:
        """Every paired difference, [splits x seeds]."""
        return np.concatenate(list(self.by_split(measure, arm, place, minus).values()))

    def probabilities(self, run: ArmRun, measure: Measure) -> np.ndarray:
        """What the run said of the measure's images, [n, k]."""
        kept: dict[str, Callable[[], np.ndarray | None]] = {
            "val": lambda: run.val_probabilities,
            "test": lambda: run.test_probabilities,
            "external": lambda: run.external_probabilities,
        }
        found = kept[measure.images]()
        if found is None:
            raise ValueError(f"{run.arm} has no predictions on {measure.images} images")
        if not measure.cooled:
            return found.astype(np.float64)
        key = (id(run), measure.images)
        if key not in self._cooled:
            self._cooled[key] = with_temperature(found.astype(np.float64), self.temperature(run))
        return self._cooled[key]

    def temperature(self, run: ArmRun) -> float:
        """Fitted on the run's validation images."""
        return fit_temperature(run.val_probabilities.astype(np.float64), self.facts(run.split).val_labels)

    def _ratio(self, splits: Sequence[int], images: str) -> float:
        """Images measured on to images trained on, as the splits share the collection out: label fractions do not
        enter, since it is the share of the collection that makes two splits alike."""
        counts = [self.facts(split).counts for split in splits]
        return float(np.mean([each[images] / each["train"] for each in counts]))

    def _error(self, measure: Measure, arm: str, place: Place, minus: str) -> float:
        """Sampling error of the mean over all runs on the same images."""
        key = (measure.name, measure.images, arm, place, minus)
        if key not in self._errors:
            runs = self.comparison.of(arm, place)
            others: Sequence[ArmRun] = self.comparison.of(minus, place) if minus else ()
            self._errors[key] = group_error(
                measure.metric,  # a gap's: the training loss of a trained head is a fixed number
                [self.probabilities(run, measure) for run in runs],
                *self._truth(runs[0].split, measure),
                [self.probabilities(run, measure) for run in others],
            )
        return self._errors[key]

    def _truth(self, split: int, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        """Labels and groups of the measure's images."""
        if measure.images == "external":
            assert self.comparison.external is not None
            return self.comparison.external.labels, self.comparison.external.groups
        facts = self.facts(split)
        if measure.images == "val":
            return facts.val_labels, facts.val_groups
        return facts.test_labels, facts.test_groups
