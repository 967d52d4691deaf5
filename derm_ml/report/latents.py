"""Figures and tables of a study of latents, and what they say in words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.latent_results import LatentStudy
from derm_ml.report.figures import plain
from derm_ml.report.html import Extra, save_figures
from derm_ml.report.lettering import labels
from derm_ml.statistics.decisions import p_text

SURE = 0.05
# Okabe and Ito's, then lighter ones: classes; beyond eight they repeat with another marker.
CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A100")
CLASS_MARKERS = "os^Dv"


def save_latents(study: LatentStudy, folder: Path) -> Extra:
    """Write four PNGs and two CSVs into the report's folder; returns what the report shows of them."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {
        "latent_traversals.png": "One validation image decoded while one latent goes from -3 to 3 prior standard "
        "deviations: first the latents that go with a clinical factor, then those of highest rate.",
        "latent_associations.png": "Association of latents with clinical factors, the strongest latents of each; a dot "
        "marks an adjusted p below 0.05.",
        "latent_map.png": "t-SNE of the latent means of validation images, by class and with their pictures.",
        "latent_neighbours.png": "Validation images (left) and their five nearest training images in latent space.",
    }
    made = {"latent_traversals": _traversals, "latent_map": _map, "latent_neighbours": _neighbours}
    if len(study.associations):
        made["latent_associations"] = _associations
    saved = save_figures({name: partial(draw, study) for name, draw in made.items()}, folder)
    study.associations.to_csv(folder / "latent_associations.csv", index=False)
    scores = _scores(study)
    scores.to_csv(folder / "latent_scores.csv", index=False)
    tables = {"Scores of the latents (latent_scores.csv)": scores}
    if len(best := _best(study)):
        tables["The latent that goes most with each factor (all: latent_associations.csv)"] = best
    return Extra({name: text for name, text in words.items() if name[:-4] in saved}, tables, _sentences(study))


def _sentences(study: LatentStudy) -> tuple[str, ...]:
    lines = [
        f"{study.active} of {len(study.rates)} latents are active on {study.images:,} validation images.",
    ]
    if np.isfinite(study.agreement):
        lines.append(
            f"Of the five nearest training images in latent space {100 * study.agreement:.0f} % have the image's class "
            f"({100 * study.by_chance:.0f} % by chance)."
        )
    if _saturated(study):
        lines.append(
            f"The codes tell all {study.images:,} images apart: the mutual information stands at its ceiling, the "
            "logarithm of their number, and what goes beyond it counts as total correlation. With more images that "
            "would fall: read it as an upper bound."
        )
    sure = study.associations[study.associations["p_adjusted"] < SURE]
    tried = sorted(set(study.associations["factor"]))
    if tried:
        lines.append(
            f"{len(sure)} of {len(study.associations)} pairs of a latent and a factor ({', '.join(tried)}) go together "
            "(one image a lesion; Benjamini and Hochberg, 5 %). An association is no cause, and several latents may "
            "share a factor."
        )
    else:
        lines.append("The data has no masks, ages, sexes or sites that latents could be held against.")
    return tuple(lines)


def _saturated(study: LatentStudy) -> bool:
    return study.images > 1 and study.parts["mutual_information"] > 0.97 * float(np.log(study.images))


def _scores(study: LatentStudy) -> pd.DataFrame:
    rows = [("active latents", f"{study.active} of {len(study.rates)}"), ("rate (nats)", f"{study.rates.sum():.1f}")]
    names = {
        "mutual_information": f"of it: index-code mutual information (at most {np.log(study.images):.1f})",
        "total_correlation": "of it: total correlation",
        "dimension_wise": "of it: dimension-wise KL",
    }
    rows += [(names[key], f"{value:.1f}") for key, value in study.parts.items()]
    rows += [(name, f"{value:.3f}") for name, value in study.scores.items()]
    if np.isfinite(study.agreement):
        rows.append(("neighbours of the same class", f"{study.agreement:.3f} ({study.by_chance:.3f} by chance)"))
    return pd.DataFrame(rows, columns=["score", "value"])


def _best(study: LatentStudy) -> pd.DataFrame:
    table = study.associations
    if not len(table):
        return table
    best = table.loc[table.groupby("factor", sort=False)["effect"].apply(lambda each: each.abs().idxmax())]
    shown = best.assign(
        effect=[
            f"{e:.2f} ({low:.2f} to {high:.2f}, Spearman)" if k == "rho" else f"{e:.2f} (eta squared)"
            for e, k, low, high in zip(best["effect"], best["kind"], best["low"], best["high"], strict=True)
        ],
        p_adjusted=[p_text(p) for p in best["p_adjusted"]],
    )
    return shown[["factor", "latent", "effect", "p_adjusted", "images"]]


def _traversals(study: LatentStudy) -> Any:
    from matplotlib import pyplot

    count, steps = study.walks.shape[:2]
    figure, axes = pyplot.subplots(
        count,
        steps,
        figsize=(0.95 * steps + 2.2, 0.98 * count + 0.4),
        squeeze=False,
        gridspec_kw={"wspace": 0.04, "hspace": 0.04},
    )
    for line, (factor, latent, kind, effect), row in zip(axes, study.walked, study.walks, strict=True):
        for axis, image in zip(line, row, strict=True):
            axis.imshow(image)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        words = {
            "rho": f"{factor}\nrho {effect:.2f}",
            "eta2": f"{factor}\neta\u00b2 {effect:.2f}",
            "rate": f"{effect:.1f} nats",
        }
        line[0].set_ylabel(f"latent {latent}\n{words[kind]}", rotation=0, ha="right", va="center", fontsize=9)
    for axis, step in zip(axes[0], study.steps, strict=True):
        axis.set_title(f"{step:+.2f}" if step else "0", fontsize=9)
    return figure


def _associations(study: LatentStudy) -> Any:
    """Rows: factors; columns: the latents that are among the three strongest of any factor."""
    from matplotlib import pyplot

    table = study.associations.assign(size=study.associations["effect"].abs())
    strongest = table.sort_values("size", ascending=False).groupby("factor").head(3)["latent"].unique()
    effect = table.pivot(index="factor", columns="latent", values="effect")[sorted(strongest)]
    sure = table.pivot(index="factor", columns="latent", values="p_adjusted")[sorted(strongest)] < SURE
    figure, axis = pyplot.subplots(
        figsize=(0.46 * len(effect.columns) + 3, 0.42 * len(effect) + 1.6), layout="constrained"
    )
    image = axis.imshow(effect, cmap="RdBu_r", vmin=-0.7, vmax=0.7, aspect="auto")
    for (row, column), value in np.ndenumerate(effect.to_numpy()):
        if sure.to_numpy()[row, column]:
            axis.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if abs(value) > 0.4 else "black",
            )
            axis.plot(column, row - 0.36, ".", color="white" if abs(value) > 0.4 else "black", markersize=3)
    axis.set_xticks(range(len(effect.columns)), effect.columns, fontsize=8, rotation=90)
    axis.set_yticks(range(len(effect)), effect.index, fontsize=9)
    axis.set_xlabel("latent")
    figure.colorbar(image, label="Spearman's rho; eta squared of sex and site", shrink=0.9)
    return figure


def _map(study: LatentStudy) -> Any:
    from matplotlib import pyplot
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 6.6), layout="constrained")
    names, dots = sorted(set(study.labels)), []
    shown = _shown(study)
    for number, name in enumerate(names):
        own = study.positions[study.labels == name]
        colour, marker = CLASS_COLOURS[number % 8], CLASS_MARKERS[number // 8 % 5]
        dots.append(left.scatter(own[:, 0], own[:, 1], s=14, color=colour, marker=marker, alpha=0.8, linewidths=0))
    texts = [shown[name] or "unlabelled" for name in names]
    left.legend(dots, texts, frameon=False, markerscale=1.6, loc="best")  # given: a label of its own with _ is hidden
    right.set_xlim(left.get_xlim())
    right.set_ylim(left.get_ylim())
    for index in _spread(study.positions):
        box = OffsetImage(study.thumbnails[index], zoom=26 / study.thumbnails.shape[1])
        right.add_artist(AnnotationBbox(box, study.positions[index], frameon=False, pad=0))
    for axis, title in ((left, "by class"), (right, "with their pictures")):
        plain(axis, title)
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def _shown(study: LatentStudy) -> dict[str, str]:
    """What stands for each class, and for none."""
    return {"": "", **dict(zip(study.classes, labels(study.classes), strict=True))}


def _spread(positions: np.ndarray, cells: int = 18) -> list[int]:
    """One image a cell of a grid over the map, so that pictures do not cover each other."""
    span = np.ptp(positions, axis=0) + 1e-9
    where = np.minimum((cells * (positions - positions.min(axis=0)) / span).astype(int), cells - 1)
    return list({tuple(cell): index for index, cell in enumerate(where)}.values())


def _neighbours(study: LatentStudy) -> Any:
    from matplotlib import pyplot

    count, nearest = study.neighbours.shape[:2]
    shown = _shown(study)
    figure, axes = pyplot.subplots(count, nearest + 1, figsize=(1.35 * (nearest + 1), 1.5 * count), squeeze=False)
    for line, image, label, others, theirs in zip(
        axes, study.queries, study.query_labels, study.neighbours, study.neighbour_labels, strict=True
    ):
        for number, (axis, picture, name) in enumerate(zip(line, [image, *others], [label, *theirs], strict=True)):
            axis.imshow(picture)
            axis.set_xticks([])
            axis.set_yticks([])
            colour = "black" if number == 0 else "#0072B2" if name == label else "#D55E00"
            axis.spines[:].set(color=colour, linewidth=2.5 if number else 0)
            mark = "" if number == 0 else "" if name == label else " (other)"
            axis.set_title(f"{shown[name]}{mark}", fontsize=8, color=colour, pad=2)
    figure.tight_layout(pad=0.4)
    return figure
