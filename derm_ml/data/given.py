"""Splits that a collection brings: completed where one is missing, and left out where they judge nothing."""

from __future__ import annotations

import pandas as pd

from derm_ml.data.source import SPLITS
from derm_ml.data.splits import SHARES, draw_part, split_by_group
from derm_ml.errors import UserError, give

MEND = f"correct the column, lists or folders that give the split, or have one drawn with {give('split=none')}"
FULL = {"train": "training", "val": "validation", "test": "test"}


def without_challenge_images(records: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Records without the given validation or test images of which none has a label, and those with the reason.

    They judge nothing, and with the answers unpublished nobody can tell what is among them. Where no image at all
    has a label, all stay.
    """
    labelled = records["label"] != ""
    held_out = records["split"].isin(list(SHARES))
    mute = held_out & ~labelled.groupby(records["split"]).transform("any") if labelled.any() else held_out & False
    reasons = {
        split: f"in the given {name} split, without a label: a challenge's {name} images; give them as extra to "
        "pretrain on them"
        for split, name in FULL.items()
    }
    left_out = zip(records["image_id"][mute], records["split"][mute].map(reasons), strict=True)
    return records[~mute], [(str(image_id), str(reason)) for image_id, reason in left_out]


def settled(table: pd.DataFrame, seed: int, warnings: list[str]) -> pd.Series:
    """The split of every row: the given one, completed; where none is given, or one for all, it is drawn.

    Args:
        table: content, label, group, split ("" is not given), image_id.
        warnings: what was completed is said there.

    Rows without a split go with their group, else to training. Of train, val and test, what is missing is drawn from
    training, by group and class, 15 % of each class's training images.

    Raises:
        UserError: a group across given splits, given splits without training, classes too small to draw three splits.
    """
    given = table["split"] != ""
    named = [split for split in SPLITS if (table["split"] == split).any()]
    if not given.any():
        return split_by_group(table, seed)
    if len(named) == 1 and (given.all() or named == ["train"]):
        warnings.append(f"the given split names {named[0]} alone: that is no split, and all three are drawn")
        return split_by_group(table, seed)
    _refuse_torn(table[given])
    split = table["split"]
    if not given.all():
        owner = split[given].groupby(table["group"][given]).first()
        split = split.where(given, table["group"].map(owner).fillna("train"))
        followed = int((split[~given] != "train").sum())
        warnings.append(
            f"{int((~given).sum()):,} images have no split while others do: they join training"
            + f", but {followed:,} of them, whose group is held out, go with it" * bool(followed)
        )
    if not (split == "train").any():
        raise UserError(f"the given split has {' and '.join(named)} images but no train: {MEND}")
    for missing in SHARES:
        if (split == missing).any():
            continue
        pool = table[split == "train"]
        split = split.copy()
        split[pool.index] = draw_part(pool, missing, seed)
        warnings.append(
            f"the given split has no {FULL[missing]} images: {int((split == missing).sum()):,} are drawn from training "
            "by group and class"
        )
    return split


def _refuse_torn(rows: pd.DataFrame) -> None:
    spans = rows.groupby("group")["split"].nunique()
    torn = spans.index[spans > 1]
    if len(torn):
        images = rows.loc[rows["group"] == torn[0], "image_id"].tolist()[:3]
        raise UserError(
            f"the given splits leak: {len(torn)} groups (or near-identical images) are in more than one split, "
            f"{', '.join(images)} among them: {MEND}"
        )


def lacking(table: pd.DataFrame, classes: tuple[str, ...]) -> list[str]:
    """What is to be said of classes that a split has no image of."""
    told = []
    for split, name in FULL.items():
        rows = table["split"] == split
        absent = sorted(set(classes) - set(table["label"][rows].unique()))
        if absent and rows.any():
            left = len(classes) - len(absent)
            then = "no head can learn them" if split == "train" else f"averages over classes are over {left} there"
            listed = ", ".join(absent[:10]) + f" and {len(absent) - 10} more" * (len(absent) > 10)
            told.append(f"{name} has no image of {len(absent)} of {len(classes)} classes ({listed}): {then}")
    return told


def unjudged(table: pd.DataFrame) -> list[str]:
    """What is to be said of held-out images without a label, where others have one."""
    told = []
    for split in ("val", "test"):
        rows = table["split"] == split
        mute = int((rows & (table["label"] == "")).sum())
        if mute and (table["label"] != "").any() and mute < rows.sum():
            told.append(
                f"{mute:,} of {int(rows.sum()):,} {FULL[split]} images have no label: nothing is judged on them"
            )
    return told
