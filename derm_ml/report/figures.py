"""Figures of a comparison: curves with bands, a forest of intervals, confusion matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from derm_ml.results import Comparison
from derm_ml.statistics import Interval, over_seeds

# Okabe and Ito's colours: told apart with any colour vision. One an arm, everywhere.
COLOURS = {"vae": "#0072B2", "imagenet": "#D55E00", "random": "#009E73", "pixels": "#7F7F7F", "majority": "#CC79A7"}
CURVES = {
    "train/loss": "training loss (nats)",
    "val/loss": "validation loss (nats)",
    "gap/loss": "gap of the loss (nats)",
    "train/accuracy": "training accuracy",
    "val/accuracy": "validation accuracy",
    "gap/accuracy": "gap of the accuracy",
}


def save_comparison_figures(
    comparison: Comparison, intervals: dict[tuple[str, str], Interval], folder: Path
) -> list[Path]:
    """curves.png, forest.png, confusion.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made = {
        "curves.png": _curves(comparison),
        "forest.png": _forest(comparison, intervals),
        "confusion.png": _confusion(comparison),
    }
    for name, figure in made.items():
        figure.savefig(folder / name, dpi=130, bbox_inches="tight", facecolor="white")  # type: ignore[attr-defined]
        pyplot.close(figure)  # type: ignore[arg-type]
    return [folder / name for name in made]


def _curves(comparison: Comparison) -> object:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(13, 7), sharex=True, layout="constrained")
    for axis, (metric, title) in zip(axes.flat, CURVES.items(), strict=True):
        for arm in comparison.arms:
            values = np.stack([run.history[metric] for run in comparison.of(arm)])
            epochs = np.arange(1, values.shape[1] + 1)
            axis.plot(epochs, values.mean(axis=0), color=COLOURS[arm], label=arm, linewidth=1.8)
            bands = np.array([over_seeds(at_epoch)[1:] for at_epoch in values.T])
            axis.fill_between(epochs, bands[:, 0], bands[:, 1], color=COLOURS[arm], alpha=0.2, linewidth=0)
        if metric.startswith("gap"):
            axis.axhline(0, color="black", linewidth=0.6)
        axis.set_title(title, loc="left", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure


def _forest(comparison: Comparison, intervals: dict[tuple[str, str], Interval]) -> object:
    from matplotlib import pyplot

    names = ["macro AUROC", "accuracy", "balanced accuracy", "log-loss"]
    figure, axes = pyplot.subplots(
        1, 4, figsize=(13, 0.5 * len(comparison.arms) + 1.4), sharey=True, layout="constrained"
    )
    for axis, name in zip(axes, names, strict=True):
        for row, arm in enumerate(reversed(comparison.arms)):
            mean, low, high = intervals[(arm, name)]
            axis.plot([low, high], [row, row], color=COLOURS[arm], linewidth=2.5)
            axis.plot(mean, row, "o", color=COLOURS[arm], markersize=7)
        axis.set_yticks(range(len(comparison.arms)), list(reversed(comparison.arms)))
        axis.set_ylim(-0.6, len(comparison.arms) - 0.4)
        axis.set_title(f"test {name}", loc="left", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", alpha=0.25)
    return figure


def _confusion(comparison: Comparison) -> object:
    from matplotlib import pyplot

    count = len(comparison.classes)
    figure, axes = pyplot.subplots(
        1,
        len(comparison.arms),
        figsize=(2.9 * len(comparison.arms), 3.4),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axis, arm in zip(axes[0], comparison.arms, strict=True):
        matrix = np.zeros((count, count))
        for run in comparison.of(arm):
            np.add.at(matrix, (comparison.test_labels, run.test_probabilities.argmax(axis=1)), 1)
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
        axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for i in range(count):
            for j in range(count):
                if share[i, j] >= 0.005:
                    shade = "white" if share[i, j] > 0.55 else "black"
                    axis.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7, color=shade)
        axis.set_xticks(range(count), list(comparison.classes), rotation=90, fontsize=8)
        axis.set_yticks(range(count), list(comparison.classes), fontsize=8)
        axis.set_title(arm, fontsize=11)
        axis.set_xlabel("predicted")
    axes[0, 0].set_ylabel("true (% of the row)")
    return figure
