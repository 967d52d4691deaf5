"""What the page says of a collection's classes, groups, pairs and faults: numbers and names, before any HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from derm_ml.data.dataset import ImageDataset
from derm_ml.data.source import SPLITS

UNLABELLED = "(unlabelled)"
LARGEST = 30  # classes shown with pictures
PAIRS = 60
REASONS = 25  # kinds of refusals
LISTED = 100  # names of one kind
# A reason names another file: what it says without it.
OTHERS = {
    "an exact copy of ": "an exact copy of another image",
    "nearly identical to ": "nearly identical to an image in another split",
}


def named_table(dataset: ImageDataset) -> pd.DataFrame:
    """The table in the order of content, with `label` for people, and `named`: the group as the collection names it."""
    table = dataset.table.sort_values("content", kind="stable")
    named = pd.Series("", index=table.index)
    if dataset.source is not None:
        records = dataset.source.records.drop_duplicates("image_id").set_index("image_id")["group"]
        named = table["image_id"].map(records).fillna("").astype(str)
    return table.assign(label=table["label"].replace("", UNLABELLED), named=named)


@dataclass(frozen=True)
class ClassRow:
    """A class: images a split (train, val, test), images and groups."""

    name: str
    splits: tuple[int, ...]
    images: int
    groups: int


def class_rows(table: pd.DataFrame) -> list[ClassRow]:
    """Largest class first."""
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    groups = table.groupby("label")["group"].nunique()
    rows = [
        ClassRow(str(name), tuple(int(each) for each in row), int(sum(row)), int(groups[name]))
        for name, row in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    return sorted(rows, key=lambda row: (-row.images, row.name))


def examples(table: pd.DataFrame, names: Iterable[str], each: int) -> dict[str, list[str]]:
    """image_ids of each class, one a group: those of the least content digests, a fixed random draw."""
    chosen = table[table["label"].isin(set(names))].drop_duplicates(["label", "group"]).groupby("label").head(each)
    return {str(name): part["image_id"].tolist() for name, part in chosen.groupby("label")}


@dataclass(frozen=True)
class Pair:
    """Two nearly identical images: image_id, label and named group of each, and what a person must look at."""

    ids: tuple[str, str]
    labels: tuple[str, str]
    named: tuple[str, str]

    @property
    def rank(self) -> int:
        """0: the labels differ; 1: the named groups do; 2: nothing does."""
        if self.labels[0] != self.labels[1]:
            return 0
        return 1 if all(self.named) and self.named[0] != self.named[1] else 2


def pairs(dataset: ImageDataset, table: pd.DataFrame) -> list[Pair]:
    """Those that disagree first."""
    wanted = {each for pair in dataset.report.near_duplicates for each in pair}
    known = table[table["image_id"].isin(wanted)].drop_duplicates("image_id").set_index("image_id")
    labels, named = known["label"].to_dict(), known["named"].to_dict()
    made = [
        Pair((a, b), (labels.get(a, ""), labels.get(b, "")), (named.get(a, ""), named.get(b, "")))
        for a, b in dataset.report.near_duplicates
    ]
    return sorted(made, key=lambda pair: (pair.rank, pair.ids))


@dataclass(frozen=True)
class Reason:
    """One kind of refusal, flag or mend: how many, and the first of them with their own words."""

    title: str
    count: int
    items: tuple[tuple[str, str], ...]


def reasons(found: list[tuple[str, str]]) -> list[Reason]:
    """By kind, the most frequent first; kinds beyond a limit are one, "other reasons"."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for image_id, reason in found:
        kinds.setdefault(kind_of(reason), []).append((image_id, reason))
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    rest = [each for _, items in ordered[REASONS:] for each in items]
    ordered = ordered[:REASONS] + ([("other reasons", rest)] if rest else [])
    return [
        Reason(title[:1].upper() + title[1:], len(items), tuple(sorted(items)[:LISTED])) for title, items in ordered
    ]


def kind_of(reason: str) -> str:
    """A reason without the file, the numbers and the detail that it names."""
    for start, title in OTHERS.items():
        if reason.startswith(start):
            return title
    return re.split(r"\s*[(:]|,? \d", reason, maxsplit=1)[0].strip()[:100] or reason[:100]


@dataclass(frozen=True)
class Groups:
    """Groups (patients or lesions): how many images they have, which are largest, which hold several classes.

    Attributes:
        sizes: (how many images, how many groups), in bins.
        largest, mixed: (name, images, classes).
    """

    count: int
    named: int
    sizes: tuple[tuple[str, int], ...]
    largest: tuple[tuple[str, int, str], ...]
    mixed: tuple[tuple[str, int, str], ...]
    mixed_count: int


def groups(table: pd.DataFrame, most: int = 10) -> Groups:
    """`named` counts images whose group the collection names."""
    sizes = table.groupby("group").size().sort_values(ascending=False, kind="stable")
    several = table.drop_duplicates(["group", "label"]).groupby("group").size()
    mixed = sizes[sizes.index.isin(several.index[several > 1])]
    ends = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 10**12)]
    counts = [
        (
            f"{low}" if low == high else f"{low}-{high}" if high < 10**12 else "over 100",
            int(sizes.between(low, high).sum()),
        )
        for low, high in ends
    ]
    while len(counts) > 1 and not counts[-1][1]:
        counts.pop()
    return Groups(
        count=len(sizes),
        named=int((table["named"] != "").sum()),
        sizes=tuple(counts),
        largest=_described(table, sizes[sizes > 1].index[:most]),
        mixed=_described(table, mixed.index[:most]),
        mixed_count=len(mixed),
    )


def _described(table: pd.DataFrame, keys: pd.Index) -> tuple[tuple[str, int, str], ...]:
    parts = dict(list(table[table["group"].isin(keys)].groupby("group")))
    made = []
    for key in keys:
        names = sorted(set(parts[key]["named"]) - {""})
        told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        classes = Counter(parts[key]["label"]).most_common(4)
        told = told or f"of {parts[key]['image_id'].iloc[0]}"
        made.append((told, len(parts[key]), ", ".join(f"{isolated(name)}: {count:,}" for name, count in classes)))
    return tuple(made)


def isolated(name: str) -> str:
    """A name in whatever direction it is written, without turning the words around it (Unicode's isolates)."""
    return f"\u2068{name}\u2069"
