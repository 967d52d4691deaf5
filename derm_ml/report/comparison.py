"""Tables and verdict of a comparison: numbers and sentences, no figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from derm_ml.metrics import class_means, ece, macro_auroc, relative_change, sample_losses
from derm_ml.report.paper import PAPER
from derm_ml.results import Comparison
from derm_ml.statistics import Interval, Metric, over_groups, over_seeds

ROWS = {
    "training loss": "train/loss",
    "validation loss": "val/loss",
    "training accuracy": "train/accuracy",
    "validation accuracy": "val/accuracy",
    "gap (loss)": "gap/loss",
    "gap (accuracy)": "gap/accuracy",
}


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(sample_losses(probabilities, labels).mean())


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def _balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(class_means((probabilities.argmax(axis=1) == labels).astype(float), labels).mean())


TEST_METRICS: dict[str, Metric] = {
    "log-loss": _log_loss,
    "accuracy": _accuracy,
    "balanced accuracy": _balanced,
    "macro AUROC": macro_auroc,
    "ECE": ece,
}


def paper_table(comparison: Comparison) -> pd.DataFrame:
    """First, last and relative change of each metric by arm, mean and 95 % interval over seeds; the paper's beside."""
    rows = []
    for arm in comparison.arms:
        for label, metric in ROWS.items():
            histories = [run.history[metric] for run in comparison.of(arm)]
            first, last = over_seeds([h[0] for h in histories]), over_seeds([h[-1] for h in histories])
            # A gap starts near zero: its relative change means nothing.
            change = over_seeds([100 * relative_change(h[0], h[-1]) for h in histories])
            theirs = PAPER.get((arm, label))
            rows.append(
                {
                    "arm": arm,
                    "metric": label,
                    "first": first.text(),
                    "last": last.text(),
                    "change %": "" if label.startswith("gap") else change.text(1),
                    "paper": f"{theirs[0]:g} to {theirs[1]:g} ({theirs[2]:+.2f} %)" if theirs else "",
                }
            )
    return pd.DataFrame(rows)


def test_intervals(comparison: Comparison) -> dict[tuple[str, str], Interval]:
    """(arm, metric) to its mean over seeds on the test images, with the interval over groups."""
    labels, groups = comparison.test_labels, comparison.test_groups
    return {
        (arm, name): over_groups(metric, [run.test_probabilities for run in comparison.of(arm)], labels, groups)
        for arm in comparison.arms
        for name, metric in TEST_METRICS.items()
    }


def test_table(comparison: Comparison, intervals: dict[tuple[str, str], Interval]) -> pd.DataFrame:
    """One row an arm."""
    rows = [
        {"arm": arm, **{name: intervals[(arm, name)].text() for name in TEST_METRICS}, "final gap (loss)": gap.text()}
        for arm in comparison.arms
        for gap in [over_seeds([run.history["gap/loss"][-1] for run in comparison.of(arm)])]
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Verdict:
    """Sentences: the answers, the floors, and what was not shown."""

    answers: tuple[str, ...]
    floors: tuple[str, ...]
    not_shown: tuple[str, ...]


def verdict(comparison: Comparison) -> Verdict:
    """What the figures say, each claim with its interval."""
    answers = []
    if {"vae", "imagenet"} <= set(comparison.arms):
        answers = [*_beats(comparison), _overfits(comparison)]
    else:
        answers = ["The vae and imagenet arms were not both run: the question is not answered."]
    floors = [_floor(comparison, arm) for arm in comparison.arms if arm not in ("pixels", "majority")]
    return Verdict(tuple(answers), tuple(filter(None, floors)), _limits(comparison))


def difference(comparison: Comparison, metric: Metric, first: str, second: str) -> Interval:
    """first - second on the test images, paired over the same resampled groups."""
    a, b = ([run.test_probabilities for run in comparison.of(arm)] for arm in (first, second))
    return over_groups(metric, a, comparison.test_labels, comparison.test_groups, minus=b)


def _beats(comparison: Comparison) -> list[str]:
    sentences = []
    for name, metric, sign in (("macro AUROC", macro_auroc, 1), ("log-loss", _log_loss, -1)):
        change = difference(comparison, metric, "vae", "imagenet")
        low, high = sorted((sign * change.low, sign * change.high))
        if low > 0:
            answer = f"The VAE beats ImageNet transfer on test {name}"
        elif high < 0:
            answer = f"The VAE does not beat ImageNet transfer on test {name}: ImageNet is better"
        else:
            answer = f"Neither is shown to be better on test {name}"
        sentences.append(f"{answer} (VAE minus ImageNet {change.text()}).")
    return sentences


def _overfits(comparison: Comparison) -> str:
    pairs = zip(comparison.of("vae"), comparison.of("imagenet"), strict=True)
    gap = over_seeds([float(v.history["gap/loss"][-1] - i.history["gap/loss"][-1]) for v, i in pairs])
    if np.isnan(gap.low):
        answer = "With one seed no interval of the overfitting gap can be given"
    elif gap.high < 0:
        answer = "The VAE arm overfits less at the last epoch"
    elif gap.low > 0:
        answer = "The VAE arm overfits more at the last epoch"
    else:
        answer = "No difference in overfitting is shown"
    return f"{answer} (gap of the loss, VAE minus ImageNet {gap.text()}, over seeds)."


def _floor(comparison: Comparison, arm: str) -> str:
    if "pixels" not in comparison.arms:
        return ""
    change = difference(comparison, macro_auroc, arm, "pixels")
    if change.low > 0:
        return f"{arm} beats the 8 x 8 pixel floor (AUROC {change.text()} above it)."
    if change.mean > 0:
        return f"{arm} is not shown to beat 8 x 8 mean colours (AUROC {change.text()} above them)."
    return f"{arm} does not beat 8 x 8 mean colours (AUROC {change.text()}): it has learnt nothing worth having."


def _limits(comparison: Comparison) -> tuple[str, ...]:
    seeds = len(comparison.of(comparison.arms[0]))
    return (
        f"One data set ({comparison.data}) and one split of it; other splits may give other figures.",
        f"{seeds} seed(s), which change the batch order and the random arm's weights, not the pretraining: intervals "
        "over seeds are narrower than the uncertainty of pretraining again.",
        "Protocol identical: one learning rate and weight decay for every arm. A gap that regularisation would "
        "remove is not told apart from one that it would not.",
        "Intervals of test metrics resample groups of test images; they hold for images like these only.",
    )


def verdict_table(comparison: Comparison) -> str:
    """For a terminal: one line an arm, then the answers."""
    table = test_table(comparison, test_intervals(comparison))
    columns = ["arm", "macro AUROC", "accuracy", "log-loss", "final gap (loss)"]
    words = verdict(comparison)
    return "\n".join([table[columns].to_string(index=False), "", *words.answers, *words.floors])
