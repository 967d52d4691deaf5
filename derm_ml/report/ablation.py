"""What an ablation found: tables (CSV, Markdown), forests of differences, the probe against CPU time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.report.artefacts import artefact_parts, draw_costs, has_costs, in_all
from derm_ml.report.figures import fractions, plain
from derm_ml.report.html import save_figures
from derm_ml.report.markdown import markdown
from derm_ml.results import Ablation, Place
from derm_ml.statistics.decisions import holm, p_text
from derm_ml.statistics.estimates import Estimate
from derm_ml.verdict.measures import ACCURACY, AUROC, BALANCED, ECE, GAP, LOSS, Measure, Measures, on

SHOWN = (AUROC, GAP, LOSS, ACCURACY, BALANCED, ECE)


def write_ablation(ablation: Ablation, folder: Path) -> str:
    """Write arms.csv, differences.csv, runs.csv, ablation.md and the figures; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    measures = Measures(ablation.comparison)
    arms, differences = arms_table(ablation, measures), differences_table(ablation, measures)
    arms.to_csv(folder / "arms.csv", index=False)
    differences.to_csv(folder / "differences.csv", index=False)
    _runs_table(ablation, measures).to_csv(folder / "runs.csv", index=False)
    parts = []
    for place in ablation.comparison.places:
        parts.append(f"**{place.text}**, measured on {ablation.images} images:\n\n{_markdown(arms, place)}")
        for minus in ablation.references:
            chosen = differences[differences["minus"] == minus]
            parts.append(f"minus {minus} (p after Holm over the arms):\n\n{_markdown(chosen, place)}")
    parts += artefact_parts(ablation, measures, folder)
    if len(latents := latents_table(ablation, measures)):
        latents.to_csv(folder / "latents.csv", index=False)
        parts.append(f"**Latents and samples**, on validation images:\n\n{markdown(latents)}")
        minus = next(iter(ablation.latents))
        if len(ablation.latents) > 1:
            differences = latents_table(ablation, measures, minus)
            differences.to_csv(folder / "latent_differences.csv", index=False)
            parts.append(f"minus {minus}:\n\n{markdown(differences)}")
    text = "\n\n".join(parts) + "\n"
    (folder / "ablation.md").write_text(text, encoding="utf-8")
    drawn = {
        f"{number}_minus_{minus}": partial(_forest, ablation, measures, place, minus)
        for number, place in enumerate(ablation.comparison.places, 1)
        for minus in ablation.references
    }
    if len({place.fraction for place in ablation.comparison.places}) > 1:
        drawn["labels"] = partial(fractions, measures, ablation.images)
    if has_costs(ablation):
        drawn["artefact_costs"] = partial(draw_costs, ablation, measures)
    if any(ablation.curves.values()):
        drawn["probe_against_cpu_time"] = partial(_cost, ablation)
    save_figures(drawn, folder)
    return text


def arms_table(ablation: Ablation, measures: Measures) -> pd.DataFrame:
    """An arm and place a row: estimates with intervals, and CPU minutes of a pretraining."""
    rows = []
    for place in ablation.comparison.places:
        for arm in ablation.arms:
            row = {**_named(place), "arm": arm}
            row |= {
                each.name: measures.estimate(_told(each, ablation), arm, place).text(3, each.bounds) for each in SHOWN
            }
            minutes = [curve[-1]["cpu_minutes"] for curve in ablation.curves[arm]]
            rows.append(row | {"CPU minutes": f"{np.mean(minutes):.1f}" if minutes else "-"})
    return pd.DataFrame(rows)


def differences_table(ablation: Ablation, measures: Measures) -> pd.DataFrame:
    """Every arm minus each reference: estimates, and p after Holm over the arms."""
    rows = []
    for place in ablation.comparison.places:
        for minus in ablation.references:
            others = [arm for arm in ablation.arms if arm != minus]
            block = [{**_named(place), "arm": arm, "minus": minus} for arm in others]
            for each in SHOWN:
                found = [_difference(ablation, measures, each, arm, place, minus) for arm in others]
                adjusted = holm([estimate.p for estimate in found])
                for row, estimate, p in zip(block, found, adjusted, strict=True):
                    row[each.name] = estimate.text() + ("" if np.isnan(p) else f" p {p_text(p)}")
            rows += block
    return pd.DataFrame(rows)


def latents_table(ablation: Ablation, measures: Measures, minus: str = "") -> pd.DataFrame:
    """A figure of `VaeScores.of` a row, a pretrained arm a column: over splits; - where an arm has no such figure.

    With `minus`, paired differences to that arm: single intervals, not corrected over arms and figures.
    """
    columns = {}
    for arm, splits in ablation.latents.items():
        if arm == minus:
            continue
        others = ablation.latents[minus or arm]
        columns[arm] = {
            name: measures.over(
                [own[name] - bool(minus) * other[name] for own, other in zip(splits, others, strict=True)], "val"
            ).text(3)
            for name in in_all((*splits, *others))
        }
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    return pd.DataFrame(
        [{"figure": name} | {arm: own.get(name, "-") for arm, own in columns.items()} for name in names]
    )


def _difference(
    ablation: Ablation, measures: Measures, measure: Measure, arm: str, place: Place, minus: str
) -> Estimate:
    return measures.estimate(_told(measure, ablation), arm, place, minus)


def _told(measure: Measure, ablation: Ablation) -> Measure:
    return measure if measure.gap else on(measure, ablation.images)


def _named(place: Place) -> dict[str, object]:
    return {"protocol": place.protocol, "mode": place.mode, "labels": f"{100 * place.fraction:g} %"}


def _runs_table(ablation: Ablation, measures: Measures) -> pd.DataFrame:
    rows = []
    for run in ablation.comparison.runs:
        row = {**_named(run.place), "arm": run.arm, "split": run.split, "seed": run.seed, "lr": run.lr}
        row |= {"weight_decay": run.weight_decay, "edge": run.edge}
        rows.append(row | {each.name: measures.value(run, _told(each, ablation)) for each in SHOWN})
    return pd.DataFrame(rows)


def _markdown(table: pd.DataFrame, place: Place) -> str:
    named = _named(place)
    chosen = table[(table[list(named)] == pd.Series(named)).all(axis=1)].drop(columns=list(named))
    return markdown(chosen.drop(columns="minus", errors="ignore"))


def _forest(ablation: Ablation, measures: Measures, place: Place, minus: str) -> Any:
    from matplotlib import pyplot

    others = [arm for arm in ablation.arms if arm != minus][::-1]
    size = (3.2 * len(SHOWN), 0.34 * len(others) + 1.4)
    figure, axes = pyplot.subplots(1, len(SHOWN), figsize=size, sharey=True, layout="constrained")
    for axis, measure in zip(axes, SHOWN, strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for row, arm in enumerate(others):
            estimate = _difference(ablation, measures, measure, arm, place, minus)
            colour = "#0072B2" if estimate.low > 0 or estimate.high < 0 else "#7F7F7F"
            axis.plot(estimate.interval(), [row, row], color=colour, linewidth=2)
            axis.plot(estimate.mean, row, "o", color=colour, markersize=5)
        axis.set_yticks(range(len(others)), others)
        plain(axis, f"{measure.name}, {'higher' if measure.higher else 'lower'} is better")
        axis.title.set_fontsize(9)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="y", visible=False)
    figure.suptitle(f"Difference to {minus}: {place.text}; 95 % intervals, blue where they leave out zero", fontsize=10)
    return figure


def _cost(ablation: Ablation) -> Any:
    """Means over splits at each probed epoch."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 5), layout="constrained")
    own = {arm: curves for arm, curves in ablation.curves.items() if arm in ablation.latents}  # not another's encoder
    for number, (arm, curves) in enumerate(own.items()):
        probed = [[each for each in curve if "probe/auroc" in each] for curve in curves]
        if not probed or not min(map(len, probed)):
            continue
        columns = list(zip(*probed, strict=False))
        minutes = [np.mean([each["cpu_minutes"] for each in column]) for column in columns]
        found = [np.mean([each["probe/auroc"] for each in column]) for column in columns]
        axis.plot(minutes, found, marker="o", markersize=4, color=f"C{number % 10}", label=arm)
    axis.set_xlabel("CPU minutes of pretraining")
    plain(axis, "validation macro AUROC of a frozen linear probe")
    axis.legend(frameon=False, fontsize=8)
    return figure
