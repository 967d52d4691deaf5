"""Figures of a comparison: curves with bands, forests of intervals, confusion matrices, label fractions."""

from __future__ import annotations

from typing import Any

import numpy as np

from derm_ml.report.lettering import labels
from derm_ml.results import ArmRun
from derm_ml.verdict.answer import Answer
from derm_ml.verdict.measures import ACCURACY, AUROC, BALANCED, ECE, GAP, LOSS, Measures, on

# Okabe and Ito's colours: told apart with any colour vision. One an arm, everywhere, with a marker of its own.
COLOURS = {
    "vae": "#0072B2",
    "plain": "#56B4E9",
    "imagenet": "#D55E00",
    "random": "#009E73",
    "pixels": "#7F7F7F",
    "majority": "#CC79A7",
}
MARKERS = {"vae": "o", "plain": "P", "imagenet": "s", "random": "^", "pixels": "D", "majority": "v"}
CURVES = {
    "train/loss": "training loss (nats)",
    "val/loss": "validation loss (nats)",
    "gap/loss": "gap of the loss (nats)",
    "train/accuracy": "training accuracy",
    "val/accuracy": "validation accuracy",
    "gap/accuracy": "gap of the accuracy",
}


def band(measures: Measures, runs: tuple[ArmRun, ...], metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and 95 % interval of a metric at every epoch, [epochs] each."""
    epochs = range(len(runs[0].history[metric]))
    found = [measures.over_runs(runs, lambda run, at=at: float(run.history[metric][at])) for at in epochs]  # type: ignore[misc]
    bounds = np.array([each.interval() for each in found])
    return np.array([each.mean for each in found]), bounds[:, 0], bounds[:, 1]


def plain(axis: Any, title: str) -> None:
    """The look of every panel."""
    axis.set_title(title, loc="left", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)


def curves(measures: Measures) -> Any:
    """Loss, accuracy and gap by epoch, at the first place."""
    from matplotlib import pyplot

    comparison = measures.comparison
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), sharex=True, layout="constrained")
    for axis, (metric, title) in zip(axes.flat, CURVES.items(), strict=True):
        for arm in comparison.arms:
            mean, low, high = band(measures, comparison.of(arm, comparison.places[0]), metric)
            epochs = np.arange(1, len(mean) + 1)
            axis.plot(epochs, mean, color=COLOURS[arm], label=arm, linewidth=1.8)
            axis.fill_between(epochs, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0)
        lines = np.concatenate([line.get_ydata() for line in axis.lines])
        room = 0.3 * (lines.max() - lines.min()) + 0.01  # the lines are what is read: a wide band is cut off
        axis.set_ylim(lines.min() - room, lines.max() + room)
        if metric.startswith("gap"):
            axis.axhline(0, color="black", linewidth=0.6)
        if metric == "gap/loss":
            axis.axhspan(-comparison.gap_margin, comparison.gap_margin, color="black", alpha=0.07, linewidth=0)
        plain(axis, title)
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure


def forest(measures: Measures) -> Any:
    """Every arm's measures with their intervals, at the first place."""
    from matplotlib import pyplot

    arms = measures.comparison.arms
    shown = (AUROC, ACCURACY, BALANCED, LOSS, ECE, GAP)
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 0.8 * len(arms) + 2.2), sharey=True, layout="constrained")
    for axis, measure in zip(axes.flat, shown, strict=True):
        for row, arm in enumerate(reversed(arms)):
            estimate = measures.estimate(measure, arm, measures.comparison.places[0])
            axis.plot(estimate.interval(), [row, row], color=COLOURS[arm], linewidth=2.5)
            axis.plot(estimate.mean, row, MARKERS[arm], color=COLOURS[arm], markersize=7)
        axis.set_yticks(range(len(arms)), list(reversed(arms)))
        axis.set_ylim(-0.6, len(arms) - 0.4)
        plain(axis, measure.name if measure is GAP else f"test {measure.name}")
        axis.grid(axis="y", visible=False)
    return figure


def differences(measures: Measures, answer: Answer) -> Any:
    """Every arm's difference to ImageNet, with the call in words; filled markers: better or worse was called."""
    from matplotlib import pyplot

    found = answer.calls
    shown = [call.measure for call in next(iter(found.values()))]
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 0.8 * len(found) + 2.4), sharey=True, layout="constrained")
    arms = list(found)
    for axis, measure in zip(axes.flat, shown, strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for row, arm in enumerate(reversed(arms)):
            call = next(each for each in found[arm] if each.measure is measure)
            axis.plot(call.difference.interval(), [row, row], color=COLOURS[arm], linewidth=2.5)
            fill = COLOURS[arm] if call.word != "not shown" else "white"
            axis.plot(call.difference.mean, row, MARKERS[arm], color=COLOURS[arm], markerfacecolor=fill, markersize=8)
            axis.annotate(call.word, (call.difference.mean, row + 0.17), ha="center", va="bottom", fontsize=8)
        axis.set_yticks(range(len(arms)), list(reversed(arms)))
        axis.set_ylim(-0.6, len(arms) - 0.2)
        plain(axis, f"{measure.name}, {'higher' if measure.higher else 'lower'} is better")
        axis.grid(axis="y", visible=False)
    figure.suptitle("Difference to ImageNet transfer, 95 % interval", x=0.01, ha="left", fontsize=11)
    return figure


def confusion(measures: Measures) -> Any:
    """Confusion matrices on the test images at the first place, in percent of the true class, over all runs."""
    from matplotlib import pyplot

    comparison = measures.comparison
    count, names = len(comparison.classes), labels(comparison.classes)
    size = (2.9 * len(comparison.arms), 3.4)
    figure, axes = pyplot.subplots(
        1, len(comparison.arms), figsize=size, sharey=True, layout="constrained", squeeze=False
    )
    for axis, arm in zip(axes[0], comparison.arms, strict=True):
        matrix = np.zeros((count, count))
        for run in comparison.of(arm, comparison.places[0]):
            np.add.at(matrix, (measures.facts(run.split).test_labels, run.test_probabilities.argmax(axis=1)), 1)
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
        axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for i in range(count):
            for j in range(count):
                if share[i, j] >= 0.005:
                    shade = "white" if share[i, j] > 0.55 else "black"
                    axis.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=shade)
        axis.set_xticks(range(count), names, rotation=90, fontsize=8)
        axis.set_yticks(range(count), names, fontsize=8)
        axis.set_title(arm, fontsize=11)
        axis.set_xlabel("predicted")
    axes[0, 0].set_ylabel("true (% of the row)")
    return figure


def fractions(measures: Measures, images: str = "test") -> Any:
    """AUROC, log-loss and gap against the fraction of labels, a row a protocol, in the first mode.

    Args:
        images: that AUROC and log-loss are of, test or val.
    """
    from matplotlib import pyplot

    comparison = measures.comparison
    mode = comparison.places[0].mode
    places = [each for each in comparison.places if each.mode == mode]
    protocols = list(dict.fromkeys(each.protocol for each in places))
    shown = (AUROC, LOSS, GAP)
    size = (13, 3.6 * len(protocols))
    figure, axes = pyplot.subplots(len(protocols), 3, figsize=size, squeeze=False, sharex=True, layout="constrained")
    for line, protocol in zip(axes, protocols, strict=True):
        row = sorted((each for each in places if each.protocol == protocol), key=lambda each: each.fraction)
        percents = np.array([100 * each.fraction for each in row])
        for axis, measure in zip(line, shown, strict=True):
            for number, arm in enumerate(comparison.arms):
                told = measure if measure.gap else on(measure, images)
                found = [measures.estimate(told, arm, each) for each in row]
                spread = percents * 1.03 ** (number - 2)  # side by side, so that intervals do not hide each other
                errors = np.array([[each.mean - each.low, each.high - each.mean] for each in found]).T
                axis.errorbar(
                    spread, [each.mean for each in found], errors, color=COLOURS.get(arm, f"C{number % 10}"),
                    marker=MARKERS.get(arm, "o"), label=arm, linewidth=1.5, markersize=5, elinewidth=1, capsize=2,
                )  # fmt: skip
            axis.set_xscale("log")
            axis.set_xticks(percents, [f"{each:g} %" for each in percents], minor=False)
            axis.minorticks_off()
            plain(axis, f"{'' if measure.gap else images + ' '}{measure.name}, {protocol}")
    for axis in axes[-1]:
        axis.set_xlabel("labelled training groups")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure
