"""Training, validation and test, by group, stratified by class: a pure function of the seed and the content."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from derm_ml.errors import UserError
from derm_ml.seeding import derive_seed

SHARES = {"test": 0.15, "val": 0.15}  # of each class's images; training takes the rest


def split_by_group(table: pd.DataFrame, seed: int) -> pd.Series:
    """The split of every row: train, val or test.

    Args:
        table: content (hex digest of the image), label, group, split (a given one wins).

    A group is known by its smallest content digest, so that neither names nor the order of files matter. Groups
    of a class (its rarest label's, for a mixed group) are drawn in an order fixed by the seed; each split takes
    groups until it has its share of the class's images, and at least one. Unlabelled groups go to training; where no
    image has a label, all are split as those of one class are.

    Raises:
        UserError: a class with fewer than three groups, a group across given splits.
    """
    given = table["split"] != ""
    _check_given(table[given])
    result = table["split"].where(given, "train").copy()
    labelled = table[~given & (table["label"] != "")] if (table["label"] != "").any() else table
    if given.any():
        return result
    sizes = labelled["label"].value_counts()
    keys = labelled.groupby("group")["content"].min()
    rarest = labelled.groupby("group")["label"].agg(lambda labels: min(labels, key=lambda each: (sizes[each], each)))
    for label in sorted(sizes.index):
        groups = rarest.index[rarest == label]
        if len(groups) < 3:
            name = f"class {label!r}" if label else "the collection"
            raise UserError(
                f"{name} has {len(groups)} group{'s' * (len(groups) != 1)} of images ({sizes[label]} images), "
                "too few for training, validation and test: add images of it, or take the class out"
            )
        order = sorted(groups, key=lambda group: derive_seed(seed, "split", keys[group]))
        counts = labelled[labelled["group"].isin(groups)]["group"].value_counts()
        total, start = int(counts.sum()), 0
        for split, share in SHARES.items():
            taken, wanted = 0, share * total
            left_for_others = len(SHARES) - list(SHARES).index(split)
            while start < len(order) - left_for_others and (taken == 0 or taken < wanted - 0.5):
                taken += int(counts[order[start]])
                result[table["group"] == order[start]] = split
                start += 1
    return result


def _check_given(rows: pd.DataFrame) -> None:
    spans = rows.groupby("group")["split"].nunique()
    torn = list(spans.index[spans > 1])
    if torn:
        images = rows.loc[rows["group"] == torn[0], "image_id"].tolist()[:3]
        raise UserError(
            f"the given splits leak: {len(torn)} groups (or near-identical images) are in more than one split, "
            f"{', '.join(images)} among them: correct the split column"
        )


def split_identity(table: pd.DataFrame) -> str:
    """Hex SHA-256 of (content, split) of every row, in the order of content: equal means the very same split."""
    rows = sorted(zip(table["content"], table["split"], strict=True))
    return hashlib.sha256("\n".join(f"{content} {split}" for content, split in rows).encode()).hexdigest()


def label_fraction(rows: np.ndarray, groups: np.ndarray, labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A nested share of training rows, by group and class: 1 % is inside 10 % is inside 100 %.

    Args:
        rows, groups, labels: of the training split, [n] each; groups are content keys.
    """
    if fraction >= 1:
        return rows
    kept = np.zeros(len(rows), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = sorted(set(groups[members]), key=lambda group: derive_seed(seed, "fraction", group))
        count = max(1, round(fraction * len(order)))
        kept[members[np.isin(groups[members], order[:count])]] = True
    return rows[kept]
