"""The page, from facts to text to a file that is there whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from markupsafe import Markup

from derm_ml import __version__
from derm_ml.data.dataset import ImageDataset
from derm_ml.data.page import facts
from derm_ml.data.page.charts import bins, histogram
from derm_ml.data.page.coverage import coverage
from derm_ml.data.page.pictures import Pictures
from derm_ml.data.source import SPLITS
from derm_ml.errors import UserError

EACH = 8  # thumbnails a class, and a reason
PICTURED = 8  # reasons with thumbnails
SHARES = {"classes": 1_100_000, "pairs": 700_000, "refused": 350_000, "flagged": 350_000}  # bytes of pictures
ROWS = 1000  # of the folded table of smaller classes
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def page(dataset: ImageDataset) -> str:
    """One HTML page that holds everything it shows; the same data gives the same page."""
    from jinja2 import Environment, PackageLoader

    table = facts.named_table(dataset)
    classes = facts.class_rows(table)
    shown = [row.name for row in classes[: facts.LARGEST]]
    chosen = facts.examples(table, shown, EACH)
    pictures = Pictures(dataset)
    found_pairs = facts.pairs(dataset, table)
    refused, flagged = facts.reasons(dataset.report.refused), facts.reasons(dataset.report.flagged)
    fields, missing = coverage(dataset, table)
    found_groups = facts.groups(table)
    environment = Environment(
        loader=PackageLoader("derm_ml.data.page", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("page.html").render(
        dataset=dataset,
        verdict=verdict(dataset, found_groups),
        classes=classes,
        largest=facts.LARGEST,
        rows=ROWS,
        split_names=SPLIT_NAMES,
        examples=chosen,
        class_pictures=pictures.load([each for ids in chosen.values() for each in ids], SHARES["classes"]),
        pairs=found_pairs[: facts.PAIRS],
        pair_count=len(found_pairs),
        pair_sentence=told_of_pairs(found_pairs),
        pair_pictures=pictures.load(
            [each for pair in found_pairs[: facts.PAIRS] for each in pair.ids], SHARES["pairs"]
        ),
        refused=refused,
        refused_pictures=pictures.load(_first(refused), SHARES["refused"]),
        flagged=flagged,
        flagged_pictures=pictures.load(_first(flagged), SHARES["flagged"]),
        each=EACH,
        mended=facts.reasons(dataset.report.mended),
        groups=found_groups,
        group_chart=histogram(
            [count for _, count in found_groups.sizes],
            [name for name, _ in found_groups.sizes],
            "Groups by their number of images",
        ),
        sizes=_sizes(getattr(dataset, "sizes", None)),
        fields=fields,
        missing=missing,
        shown=pictures.shown,
        version=__version__,
    )
    return text.encode("utf-8", "replace").decode()  # a name on disk need not be Unicode


def verdict(dataset: ImageDataset, found: facts.Groups) -> list[str]:
    """The answer in a few sentences."""
    usable, report, classes = len(dataset.table), dataset.report, dataset.classes
    refused = {image_id for image_id, _ in report.refused}
    listed = set((dataset.table if dataset.source is None else dataset.source.records)["image_id"])
    listed |= refused if dataset.source is None else set()
    others, left_out = len(refused - listed), len(listed) - usable
    lines = [f"{usable:,} of {len(listed):,} photographs can be used."]
    lines[0] += f" {left_out:,} {_are(left_out)} refused." if left_out else ""
    lines[0] += (
        f" {others:,} other file{'s' * (others != 1)} in the collection {_are(others)} left out." if others else ""
    )
    doubtful = len({image_id for image_id, _ in report.flagged})
    lines[0] += f" {doubtful:,} of those used should be looked at first." if doubtful else ""
    named = "; ".join(map(facts.isolated, classes[:8])) + ("; ..." if len(classes) > 8 else "")
    kinds = f"{len(classes):,} class{'es' * (len(classes) != 1)} ({named})" if classes else "No labels"
    groups = f"{found.count:,} group{'s' * (found.count != 1)} of images, each of one patient or one lesion"
    lines.append(f"{kinds}; {groups if found.named else 'no patient or lesion is named'}.")
    counts = dataset.counts
    if counts["train"] or counts["val"]:
        told = ", ".join(f"{counts[split]:,} for {SPLIT_NAMES[split]}" for split in SPLITS)
        lines.append(f"The split: {told}. No group is in two of them.")
    return lines


def told_of_pairs(pairs: list[facts.Pair]) -> str:
    """How many of them a person must look at, and why."""
    ranks = Counter(pair.rank for pair in pairs)
    if not ranks[0] and not ranks[1]:
        return "Their labels agree, and no pair has two names for its patient or lesion."
    parts = [f"{ranks[0]:,} {_has(ranks[0])} different labels"] if ranks[0] else []
    parts += [f"{ranks[1]:,} {_has(ranks[1])} different names for the patient or lesion"] if ranks[1] else []
    return f"{' and '.join(parts)}: look at these, for one of the two entries is likely wrong."


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _first(found: list[facts.Reason]) -> list[str]:
    return [image_id for reason in found[:PICTURED] for image_id, _ in reason.items[:EACH]]


def _sizes(sizes: np.ndarray | None) -> dict[str, object] | None:
    """Of the originals (int [n, 2]: width, height; 0 is unknown): the most frequent sizes, shorter sides as a chart."""
    if sizes is None:
        return None
    known = np.asarray(sizes)
    known = known[(known > 0).all(axis=1)]
    if not len(known):
        return None
    different, counts = np.unique(known, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:10]
    found = [
        (f"{width:,} x {height:,}", int(count))
        for (width, height), count in zip(different[order], counts[order], strict=True)
    ]
    chart = histogram(*bins(known.min(axis=1).astype(float)), "Images by their shorter side in pixels")
    return {
        "known": len(known),
        "different": len(different),
        "frequent": found,
        "chart": chart if len(different) > 1 else Markup(""),
    }


def check_target(path: Path) -> None:
    """Before anything is decoded: whether the page can be written there.

    Raises:
        UserError: the folder is missing or cannot be written to, or the name is taken by something else than a file.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"--html {path}: is no file: give the name of a file to write")
    if not path.resolve().parent.is_dir():
        raise UserError(f"--html {path}: no such folder: make {path.parent} first, or give another file")
    try:
        _part(path).touch()
        _part(path).unlink()
    except OSError as error:
        raise UserError(f"--html {path}: cannot be written ({error.strerror}): give a file elsewhere") from error


def write_page(text: str, path: Path) -> None:
    """The file is there whole or not at all.

    Raises:
        UserError: it cannot be written (a full disk, say).
    """
    part = _part(path)
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path.resolve())
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"--html {path}: cannot be written ({error.strerror}): give a file elsewhere") from error


def _part(path: Path) -> Path:
    target = path.resolve()
    return target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
