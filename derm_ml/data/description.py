"""What a collection was found to be, in lines for people: classes, choices, warnings, what was left out and why."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from derm_ml.data.checks import DataReport
from derm_ml.data.source import SPLITS

SHOWN = 20  # lines of one kind of reason; the others are counted, and are in the report


def class_table(table: pd.DataFrame) -> str:
    """Images by class and split, and groups by class, as text."""
    label = table["label"].where(table["label"] != "", "(unlabelled)")
    counts = pd.crosstab(label, table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    counts["images"] = counts.sum(axis=1)
    counts["groups"] = table["group"].groupby(label).nunique()
    return counts.rename_axis(index="class", columns=None).to_string()


def report_lines(report: DataReport) -> list[str]:
    """Choices, warnings, joined pairs, then what was mended, flagged and refused."""
    lines = [f"{what}: {why}" for what, why in report.choices]
    lines += [f"WARNING: {warning}" for warning in report.warnings]
    lines += [""] * bool(lines)
    lines.append(f"near-identical pairs kept together in one split: {len(report.near_duplicates):,}")
    if report.named_pairs:
        lines.append(f"pairs that the collection names as one picture, kept together: {len(report.named_pairs):,}")
    kinds = pd.Series([rule for _, rule in report.mended], dtype="str").value_counts(sort=False)
    lines += [f"mended: {count:,} x {rule}" for rule, count in kinds.items()]
    if report.flagged:
        lines += [f"flagged, kept: {len(report.flagged):,}", *_listed(report.flagged)]
    return [*lines, f"refused: {len(report.refused):,}", *_listed(report.refused)]


def _listed(reasons: list[tuple[str, str]]) -> list[str]:
    """One line an image, in the order of names; of each kind of reason the first `SHOWN`, and how many more."""
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for image_id, reason in reasons:
        kinds[_kind(reason)].append((image_id, reason))
    shown = sorted(each for kind in kinds.values() for each in sorted(kind)[:SHOWN])
    lines = [f"  {image_id}: {reason}" for image_id, reason in shown]
    more = {kind: len(found) - SHOWN for kind, found in kinds.items() if len(found) > SHOWN}
    return lines + [f"  and {count:,} more: {kind} ... (all are in data/report.json)" for kind, count in more.items()]


def _kind(reason: str) -> str:
    """A reason without its particulars: what is quoted, numbered, bracketed or named after `of`, `to`, `in` or `:`."""
    words = []
    for word in reason.split():
        if word[0] in "('\"" or any(letter.isdigit() for letter in word) or word in ("of", "to", "in"):
            break
        words.append(word)
        if word.endswith((":", ",", ";")):
            break
    return " ".join(words).rstrip(":,;") or reason.split()[0]
