"""Planted artefacts in an ablation: what features tell of them, and what they cost a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derm_ml.report.figures import plain
from derm_ml.report.markdown import markdown
from derm_ml.results import COST, TOLD, Ablation
from derm_ml.statistics.decisions import holm, p_text
from derm_ml.statistics.estimates import Estimate
from derm_ml.verdict.measures import Measures


def artefact_parts(ablation: Ablation, measures: Measures, folder: Path) -> list[str]:
    """What features tell of planted artefacts, and what these cost a diagnosis: artefacts.csv, artefact_costs.csv."""
    told, cost = (artefact_table(ablation, measures, prefix) for prefix in (TOLD, COST))
    parts = []
    if len(told):
        told.to_csv(folder / "artefacts.csv", index=False)
        title = "Artefacts planted on half of the images: AUROC of a probe for each (0.5: the features do not say it)"
        parts.append(f"**{title}**\n\n{markdown(told)}")
    if len(cost):
        tables = {minus: artefact_table(ablation, measures, COST, minus) for minus in _compared(ablation)}
        pd.concat([cost, *(table.assign(minus=minus) for minus, table in tables.items())]).to_csv(
            folder / "artefact_costs.csv", index=False
        )
        title = "Macro AUROC that a diagnosis, learnt without, loses by an artefact on half of the validation images"
        parts.append(f"**{title}**\n\n{markdown(cost)}")
        parts += [
            f"minus {minus} (p after Holm over arms and artefacts):\n\n{markdown(table)}"
            for minus, table in tables.items()
        ]
    return parts


def has_costs(ablation: Ablation) -> bool:
    """Whether there is anything for `draw_costs`."""
    return any(name.startswith(COST) for splits in ablation.artefacts.values() for name in in_all(splits))


def draw_costs(ablation: Ablation, measures: Measures) -> Any:
    """A panel an artefact, an arm a row."""
    from matplotlib import pyplot

    found = {arm: _estimates(ablation, measures, COST, arm) for arm in ablation.artefacts}
    found = {arm: own for arm, own in reversed(found.items()) if own}
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    size = (2.6 * len(names), 0.34 * len(found) + 1.4)
    figure, axes = pyplot.subplots(
        1, len(names), figsize=size, sharey=True, sharex=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], names, strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for row, own in enumerate(found.values()):
            if name in own:
                axis.plot(own[name].interval(), [row, row], color="#0072B2", linewidth=2)
                axis.plot(own[name].mean, row, "o", color="#0072B2", markersize=5)
        axis.set_yticks(range(len(found)), list(found))
        plain(axis, name)
        axis.grid(axis="y", visible=False)
    figure.suptitle("Macro AUROC lost by an artefact on half of the validation images; 95 % intervals", fontsize=10)
    return figure


def artefact_table(ablation: Ablation, measures: Measures, prefix: str, minus: str = "") -> pd.DataFrame:
    """An arm a row, an artefact a column: its figures with this prefix over splits, - where a split has none.

    With `minus`, paired differences to that arm and p after Holm over arms and artefacts.
    """
    found = {arm: _estimates(ablation, measures, prefix, arm, minus) for arm in ablation.artefacts if arm != minus}
    bounds = (0.0, 1.0) if prefix == TOLD and not minus else (-1.0, 1.0)
    cells = {(arm, name): each for arm, own in found.items() for name, each in own.items()}
    texts = {cell: each.text(3, bounds) for cell, each in cells.items()}
    if minus:
        adjusted = holm([each.p for each in cells.values()])
        told = zip(texts.items(), adjusted, strict=True)
        texts = {cell: text + ("" if np.isnan(p) else f" p {p_text(p)}") for (cell, text), p in told}
    names = list(dict.fromkeys(name for _, name in cells))
    return pd.DataFrame(
        [{"arm": arm} | {name: texts.get((arm, name), "-") for name in names} for arm, own in found.items() if own]
    )


def _estimates(ablation: Ablation, measures: Measures, prefix: str, arm: str, minus: str = "") -> dict[str, Estimate]:
    """By the artefact's name."""
    splits, others = ablation.artefacts[arm], ablation.artefacts[minus or arm]
    return {
        name.removeprefix(prefix): measures.over(
            [own[name] - bool(minus) * other[name] for own, other in zip(splits, others, strict=True)], "val"
        )
        for name in in_all((*splits, *others))
        if name.startswith(prefix)
    }


def in_all(splits: Sequence[Mapping[str, float]]) -> list[str]:
    """The figures that every split has: one with few images has fewer of them."""
    return [name for name in splits[0] if all(name in each for each in splits)]


def _compared(ablation: Ablation) -> list[str]:
    """The references that have an encoder, where there is another arm that has one."""
    return [arm for arm in ablation.references if arm in ablation.artefacts and len(ablation.artefacts) > 1]
