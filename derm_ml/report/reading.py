"""Figures for reading a gap honestly: against loss and AUROC with the floors; calibration; selective prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from derm_ml.metrics import BINS
from derm_ml.report.figures import COLOURS, MARKERS, plain
from derm_ml.report.lettering import labels
from derm_ml.report.tables import selective
from derm_ml.verdict.answer import Answer
from derm_ml.verdict.measures import AUROC, ECE, ECE_COOLED, GAP, LOSS, Measures, on, recall_of

WIDEST = 160  # characters that fit side by side under the recalls


def gap_plane(measures: Measures, answer: Answer) -> Any:
    """The gap against validation loss and test AUROC, every arm and floor; an arrow from `identical` to `tuned`.

    Top left of the right panel is where an arm wants to be; an arm beside the floors has no gap because it has learnt
    nothing.
    """
    from matplotlib import pyplot

    comparison = measures.comparison
    places = list(dict.fromkeys(each.place for each in answer.readings))
    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained")
    for axis, measure, label in zip(
        axes, (on(LOSS, "val"), AUROC), ("validation log-loss", "test macro AUROC"), strict=True
    ):
        axis.axvspan(-comparison.gap_margin, comparison.gap_margin, color="black", alpha=0.07, linewidth=0)
        for arm in comparison.arms:
            points = []
            for place in places:
                gap, other = measures.estimate(GAP, arm, place), measures.estimate(measure, arm, place)
                points.append((gap.mean, other.mean))
                first = place == places[0]
                axis.plot(gap.interval(), [other.mean] * 2, color=COLOURS[arm], linewidth=1.2, alpha=0.8)
                axis.plot([gap.mean] * 2, other.interval(), color=COLOURS[arm], linewidth=1.2, alpha=0.8)
                axis.plot(
                    gap.mean, other.mean, MARKERS[arm], color=COLOURS[arm], markersize=9,
                    markerfacecolor=COLOURS[arm] if first else "white", label=arm if first else None,
                )  # fmt: skip
            for start, end in zip(points, points[1:], strict=False):
                arrow = {"arrowstyle": "->", "color": COLOURS[arm], "lw": 1.2}
                axis.annotate("", end, start, arrowprops={**arrow, "shrinkA": 6, "shrinkB": 6})
        axis.set_xlabel("gap of the loss (nats): smaller is less overfitting")
        plain(axis, label)
    words = " (filled), ".join([*(each.protocol for each in places[:1]), ""]) + ", ".join(
        p.protocol for p in places[1:]
    )
    title = f"Markers: {words.rstrip(', ')}{' (hollow)' if len(places) > 1 else ''}; grey: within the margin of zero"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def reliability(measures: Measures) -> Any:
    """Accuracy against confidence in bins of equal mass, as it is and with temperature, at the first place."""
    from matplotlib import pyplot

    comparison = measures.comparison
    arms = [arm for arm in comparison.arms if arm != "majority"]
    size = (2.9 * len(arms) + 0.6, 3.4)
    figure, axes = pyplot.subplots(1, len(arms), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for axis, arm in zip(axes[0], arms, strict=True):
        axis.plot([0, 1], [0, 1], color="black", linewidth=0.8)
        for cooled, marker, label in ((False, "o-", "as it is"), (True, "x--", "with temperature")):
            points = []
            for run in comparison.of(arm, comparison.places[0]):
                probabilities = measures.probabilities(run, ECE_COOLED if cooled else ECE)
                labels = measures.facts(run.split).test_labels
                confidence = probabilities.max(axis=1)
                correct = probabilities.argmax(axis=1) == labels
                parts = np.array_split(np.argsort(confidence, kind="stable"), BINS)
                points.append([(confidence[part].mean(), correct[part].mean()) for part in parts if len(part)])
            mean = np.mean(points, axis=0)
            axis.plot(mean[:, 0], mean[:, 1], marker, color=COLOURS[arm], markersize=4, linewidth=1.2, label=label)
        axis.set_xlim(0.2, 1)
        axis.set_ylim(0.2, 1)
        axis.set_xlabel("confidence")
        plain(axis, arm)
        axis.legend(frameon=False, fontsize=8, loc="upper left")
    axes[0, 0].set_ylabel("accuracy")
    return figure


def selective_curves(measures: Measures) -> Any:
    """Accuracy of the most confident share of the test images, at the first place."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for arm in measures.comparison.arms:
        if arm == "majority":  # it is as sure of one image as of another
            continue
        coverage, accuracy = selective(measures, arm, measures.comparison.places[0])
        axis.plot(100 * coverage[4:], accuracy[4:], color=COLOURS[arm], linewidth=1.8, label=arm)
    axis.set_xlabel("share of the test images that is answered, the most confident first (%)")
    plain(axis, "accuracy of the answered images")
    axis.legend(frameon=False)
    return figure


def recalls(measures: Measures) -> Any:
    """Recall of every class with its interval, at the first place."""
    from matplotlib import pyplot

    comparison = measures.comparison
    arms = [arm for arm in comparison.arms if arm != "majority"]
    figure, axis = pyplot.subplots(figsize=(13, 4), layout="constrained")
    width = 0.8 / len(arms)
    for number, arm in enumerate(arms):
        found = [
            measures.estimate(recall_of(c, name), arm, comparison.places[0])
            for c, name in enumerate(comparison.classes)
        ]
        x = np.arange(len(found)) + (number - (len(arms) - 1) / 2) * width
        means = np.array([each.mean for each in found])
        bounds = np.array([each.interval() for each in found]).clip(0, 1)  # a recall lies in [0, 1]
        errors = np.abs(np.stack([means - bounds[:, 0], bounds[:, 1] - means]))
        axis.errorbar(x, means, errors, fmt=MARKERS[arm], color=COLOURS[arm], label=arm, markersize=6, capsize=2)
    counts = [sum(int((facts.test_labels == code).sum()) for facts in comparison.splits) for code in range(len(found))]
    names = [f"{name}\n{count:,} images" for name, count in zip(labels(comparison.classes), counts, strict=True)]
    longest = max(len(line) for name in names for line in name.splitlines())
    axis.set_xticks(range(len(names)), names, rotation=90 if len(names) * longest > WIDEST else 0)
    axis.set_ylim(-0.02, 1.02)
    plain(axis, "test recall by class")
    axis.legend(frameon=False, ncols=len(arms), loc="upper right")
    return figure
