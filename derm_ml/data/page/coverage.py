"""What is known of the patients and lesions beside the label: how often, and how it is distributed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from derm_ml.data.dataset import ImageDataset
from derm_ml.data.missing import MISSING
from derm_ml.data.page.charts import bins, histogram

# What each of the four is called, and what nobody can examine without it.
LOOKED_FOR = {
    "age": ("Age", "whether results hold for the young and the old"),
    "sex": ("Sex", "whether results hold for women and men"),
    "site": ("Body site", "whether results hold on every part of the body"),
    "skin_type": ("Skin type", "fairness over skin types"),
}
FEW = 12  # distinct values that are shown as bars, one a value
MOST = 40  # fields
QUARTILES = "The value below which a quarter, half and three quarters of a class's images lie"
SHARES = "Share of a class's images"
COLUMNS, CLASSES = 4, 30  # of a table by class


@dataclass(frozen=True)
class Field:
    """One thing that is known of images.

    Attributes:
        known: images. total: images.
        bars: (value, images), or empty where there is a chart.
        note: what the bars leave out.
        heads, rows, caption: a table by class; rows of (class, cells).
    """

    name: str
    title: str
    known: int
    total: int
    bars: tuple[tuple[str, int], ...] = ()
    chart: Markup = Markup("")
    note: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    caption: str = ""


def coverage(dataset: ImageDataset, table: pd.DataFrame) -> tuple[list[Field], list[str]]:
    """The fields, the four that are always looked for first; and a sentence for each of the four that is missing."""
    clinical = dataset.source.clinical if dataset.source is not None else None
    fields = []
    if clinical is not None:
        known = clinical[~clinical.index.duplicated()].reindex(table["image_id"])
        order = [name for name in LOOKED_FOR if name in known] + [name for name in known if name not in LOOKED_FOR]
        for name in order[:MOST]:
            fields.append(_field(str(name), known[name].reset_index(drop=True), table["label"].reset_index(drop=True)))
    have = {field.name for field in fields if field.known}
    return fields, [
        f"{title} is not recorded: {cannot} cannot be examined."
        for name, (title, cannot) in LOOKED_FOR.items()
        if name not in have
    ]


def _field(name: str, values: pd.Series, labels: pd.Series) -> Field:
    title = LOOKED_FOR[name][0] if name in LOOKED_FOR else name.replace("_", " ")
    text = values.astype(str).str.strip()
    here = values.notna() & ~text.str.lower().isin(list(MISSING))
    numbers = pd.to_numeric(values.where(here), errors="coerce").astype(float)
    numeric = bool(here.any()) and bool(np.isfinite(numbers[here]).all())
    distinct = int(values[here].nunique())
    total, known = len(values), int(here.sum())
    if numeric and (distinct > FEW or name == "age"):
        counts, names = bins(numbers[here].to_numpy())
        chart = histogram(counts, names, f"{title}, images by value")
        low, middle, high = np.percentile(numbers[here], [25, 50, 75])
        note = f"half of the images lie between {low:.4g} and {high:.4g}; the middle is {middle:.4g}"
        heads, rows = _numbers_by_class(numbers.where(here), labels) if name in LOOKED_FOR else ((), ())
        return Field(name, title, known, total, chart=chart, note=note, heads=heads, rows=rows, caption=QUARTILES)
    shown = numbers.map(lambda number: f"{number:g}") if numeric else text
    shown = shown.where(here, "")
    ordered = sorted(shown[here].value_counts().items(), key=lambda item: (-item[1], str(item[0])))
    note = ""
    if distinct > FEW:
        rest = sum(count for _, count in ordered[FEW:])
        note = f"{distinct - FEW:,} more values, {rest:,} images"
        if distinct > max(FEW, known // 2):
            ordered, note = [], f"{distinct:,} different values: a name or a number of its own for most images"
    bars = [(str(value), int(count)) for value, count in ordered[:FEW]]
    if numeric:
        bars.sort(key=lambda bar: float(bar[0]))
    heads, rows = _shares_by_class(shown, labels, [value for value, _ in bars]) if name in LOOKED_FOR else ((), ())
    return Field(name, title, known, total, bars=tuple(bars), note=note, heads=heads, rows=rows, caption=SHARES)


Table = tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]


def _numbers_by_class(numbers: pd.Series, labels: pd.Series) -> Table:
    rows = []
    for label in labels.value_counts().index[:CLASSES]:
        part = numbers[labels == label]
        here = part.dropna()
        quartiles = [f"{each:.4g}" for each in np.percentile(here, [25, 50, 75])] if len(here) else ["-"] * 3
        rows.append((str(label), (*quartiles, f"{1 - len(here) / len(part):.0%}")))
    return ("25 %", "50 %", "75 %", "not recorded"), tuple(rows)


def _shares_by_class(shown: pd.Series, labels: pd.Series, values: list[str]) -> Table:
    heads = values[:COLUMNS]
    columns = shown.where(shown.isin([*heads, ""]), "other").replace("", "not recorded")
    heads += [name for name in ("other", "not recorded") if name not in heads and (columns == name).any()]
    rows = []
    for label in labels.value_counts().index[:CLASSES]:
        part = columns[labels == label].value_counts(normalize=True)
        rows.append((str(label), tuple(f"{float(part.get(name, 0.0)):.0%}" for name in heads)))
    return tuple(heads), tuple(rows)
