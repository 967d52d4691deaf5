"""Training, validation and test, by group, stratified by class: a pure function of the seed and the content."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from derm_ml.data.stratify import Holdings, draw_splits
from derm_ml.errors import UserError, give
from derm_ml.seeding import derive_seed, derive_seeds

SHARES = {"test": 0.15, "val": 0.15}  # of each class's images; training takes the rest


def split_by_group(table: pd.DataFrame, seed: int) -> pd.Series:
    """The split of every row, where none is given: train, val or test.

    Args:
        table: content (hex digest of the image), label, group.

    A group is known by its smallest content digest, so that neither names nor the order of files matter. Groups are
    drawn in an order fixed by the seed, class after class (`draw_splits`). Unlabelled groups go to training; where no
    image has a label, all are split as those of one class are.

    Raises:
        UserError: classes with fewer than three groups.
    """
    holdings, rows = _holdings(table, seed)
    _refuse_small(table, holdings)
    return _of_rows(table, draw_splits(holdings, list(SHARES.values())), rows, ["train", *SHARES])


def draw_part(table: pd.DataFrame, split: str, seed: int) -> pd.Series:
    """`split` ("val" or "test") drawn from a table of training images, by group and class; the others stay train.

    A class with a single group stays in training.
    """
    holdings, rows = _holdings(table, seed)
    return _of_rows(table, draw_splits(holdings, [SHARES[split]]), rows, ["train", split])


def _holdings(table: pd.DataFrame, seed: int) -> tuple[Holdings, np.ndarray]:
    """Images a group and class, groups in the order drawn; and every row's group there, -1 for an unlabelled group."""
    labelled = (table["label"] != "").to_numpy()
    told = labelled if labelled.any() else ~labelled
    codes, groups = pd.factorize(table["group"])
    ordered = table["content"].array.argsort()
    ordered = ordered[told[ordered]]
    first = ordered[~pd.Series(codes[ordered]).duplicated().to_numpy()]  # each group's row of the smallest content
    drawn = np.lexsort((codes[first], derive_seeds(seed, "split", table["content"].iloc[first].tolist())))
    place = np.full(len(groups), -1, dtype=np.int64)
    place[codes[first[drawn]]] = np.arange(len(drawn))
    rows = place[codes]
    classes, names = pd.factorize(table["label"][told], sort=True)
    return Holdings.count(rows[told], classes.astype(np.int64), list(names)), rows


def _of_rows(table: pd.DataFrame, drawn: np.ndarray, rows: np.ndarray, names: list[str]) -> pd.Series:
    numbers = np.append(drawn, 0)[rows]  # -1, an unlabelled group, is the last one: training
    return pd.Series(pd.array(names, dtype="str").take(numbers), index=table.index, name="split")


def _refuse_small(table: pd.DataFrame, holdings: Holdings) -> None:
    """Every class that cannot be in three splits, at once."""
    small = np.flatnonzero(holdings.groups < 1 + len(SHARES))
    if not len(small):
        return
    counts = [(holdings.classes[code], int(holdings.groups[code]), int(holdings.images[code])) for code in small]
    told = [f"{groups} group{'s' * (groups != 1)} of images ({images} images)" for _, groups, images in counts]
    why = "too few for training, validation and test: add images"
    largest = int(table["group"].value_counts().max())
    settle = give("group=COLUMN", "group=none")
    doubt = f"; one group holds {largest:,} of {len(table):,} images: is it one? Else give {settle}"
    doubt *= 2 * largest > len(table)
    if counts[0][0] == "":
        raise UserError(f"the collection has {told[0]}, {why}{doubt}")
    drop = f"with {give('classes=FILE')}"
    if len(counts) == 1:
        raise UserError(f"class {counts[0][0]!r} has {told[0]}, {why} of it, or merge or drop it {drop}{doubt}")
    listed = "; ".join(f"{name!r} has {each}" for (name, _, _), each in zip(counts, told, strict=True))
    raise UserError(
        f"{len(counts)} classes of {len(holdings.classes)} have fewer than three groups of images, {why} of them, "
        f"or merge or drop them {drop}: {listed}{doubt}"
    )


def split_identity(table: pd.DataFrame) -> str:
    """Hex SHA-256 of (content, split) of every row, in the order of content: equal means the very same split."""
    return digest_of_rows(table.sort_values(["content", "split"], kind="stable"), ["content", "split"])


def digest_of_rows(table: pd.DataFrame, columns: list[str], block: int = 65536) -> str:
    """Hex SHA-256 of the rows in their order: values by blanks, lines by line feeds. In blocks: memory stays small."""
    digest = hashlib.sha256()
    for start in range(0, len(table), block):
        part = [table[column].iloc[start : start + block].tolist() for column in columns]
        lines = "\n".join(map(" ".join, zip(*part, strict=True)))
        digest.update(("\n" * (start > 0) + lines).encode())
    return digest.hexdigest()


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
