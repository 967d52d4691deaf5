"""What of the images can be used: copies and leaks are refused with their reason, never silently."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat

import numpy as np
import pandas as pd

from derm_ml.data.cache import Cache
from derm_ml.data.groups import join_groups

# What file managers and browsers make of `x.jpg`: `x (1).jpg`, `x - Copy.jpg`, `Kopie von x.jpg`
CALLED_COPY = (
    r"(?i)(?:\(\d+\)|[-_ ]+(?:copy|kopie|copie|copia|c\u00f3pia)(?:[ _]?\(?\d*\)?)?)\.\w+$"
    r"|(?:^|/)(?:copy of|kopie von|copie de|copia de|c\u00f3pia de)[ _]"
)
KEPT_FIRST = {"test": 0, "val": 1, "train": 2, "": 2}  # of copies in several given splits


@dataclass
class DataReport:
    """What was read how, and what was refused, mended, flagged or joined, and why.

    Attributes:
        choices: (what, which was taken and why) of the reading: image, label, group, split, masks ...
        refused: (image_id, reason). mended: (image_id, rule). flagged: (image_id, rule): kept, but looked at by nobody
            yet who says that it is a photograph of a lesion.
        near_duplicates: pairs of image_id that look alike. named_pairs: those that the collection itself names.
        warnings: sentences for people about the whole collection.
    """

    choices: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)
    flagged: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str]] = field(default_factory=list)
    named_pairs: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def distinct(records: pd.DataFrame, cache: Cache, report: DataReport) -> pd.DataFrame:
    """The rows to keep, one a distinct image, in the order of content, with their content and their row of the cache.

    Copies are refused, all of them where their labels disagree. Of copies in several given splits the one in test
    stays, else the one in validation; then one that is not called a copy. It takes over the label where it has none
    itself, and its group is joined with the groups of its copies: they show one lesion.
    """
    digests = list(map(cache.digests.get, records["image_id"].tolist(), repeat("")))
    rows = np.fromiter(map(cache.rows.get, digests, repeat(-1)), dtype=np.int64, count=len(digests))
    table = records.assign(content=pd.array(digests, dtype="str"), row=rows)
    bad = [image_id for image_id, _ in report.refused]
    same_as_bad = {digest for image_id in bad if (digest := cache.digests.get(image_id))}
    if same_as_bad:
        copies = table["content"].isin(same_as_bad) & ~table["image_id"].isin(bad)
        report.refused += [(image_id, "a copy of a refused image") for image_id in table["image_id"][copies]]
    table = table[rows >= 0]
    twice = table.duplicated("row", keep=False)
    if twice.any():
        table = table.assign(group=_groups_of_copies_joined(table, twice))
        table = pd.concat([table[~twice], _one_a_content(table[twice], report)])
    return table.sort_values("content", ignore_index=True)


def _one_a_content(copies: pd.DataFrame, report: DataReport) -> pd.DataFrame:
    """The copies to keep; the others, and those whose labels disagree, are refused."""
    called = copies["image_id"].str.contains(CALLED_COPY, regex=True)
    copies = copies.assign(rank=copies["split"].map(KEPT_FIRST), called=called)
    copies = copies.sort_values(["content", "rank", "called", "image_id"], ignore_index=True)
    copies = copies.drop(columns=["rank", "called"])
    labelled = copies[copies["label"] != ""]
    firsts = labelled.drop_duplicates("content").set_index("content")
    first = copies["content"].map(firsts["label"]).astype("str").fillna("")
    others = labelled[labelled["label"] != first[labelled.index]].drop_duplicates("content").set_index("content")
    torn = copies["content"].isin(others.index)
    here = copies[torn]
    second = (here["label"] == first[torn]).to_numpy()
    for name in ("label", "image_id"):
        to = here["content"]
        here = here.assign(**{f"other_{name}": np.where(second, to.map(others[name]), to.map(firsts[name]))})
    report.refused += [
        (image_id, f"the same image has other labels: {own!r} here, {label!r} in {other}: delete the wrong one")
        for image_id, own, label, other in zip(
            *(here[each].tolist() for each in ("image_id", "label", "other_label", "other_image_id")), strict=True
        )
    ]
    copies = copies.assign(label=first)[~torn].reset_index(drop=True)
    again = copies.duplicated("content")
    ids = copies["image_id"].to_numpy(dtype=object)
    kept = np.flatnonzero(~again)
    original = kept[np.cumsum(~again) - 1]
    report.refused += [(ids[row], f"an exact copy of {ids[original[row]]}") for row in np.flatnonzero(again)]
    return copies[~again]


def _groups_of_copies_joined(table: pd.DataFrame, twice: pd.Series) -> pd.Series:
    """Group names under which exact copies are of one group; unchanged where they all are."""
    copies = np.flatnonzero(twice)
    _, first, own = np.unique(table["row"].iloc[copies], return_index=True, return_inverse=True)
    first = copies[first[own]]
    groups = table["group"].reset_index(drop=True)
    if (groups.iloc[first].to_numpy() == groups.iloc[copies].to_numpy()).all():
        return table["group"]
    joined = join_groups(groups, np.stack([first, copies], axis=1))
    return pd.Series(joined, index=table.index).astype("str")


def without_leaks(table: pd.DataFrame, near: Iterable[tuple[str, str]], report: DataReport) -> pd.DataFrame:
    """Given splits without near copies across them: training gives way to validation, both to test."""
    if not (table["split"] != "").any():
        return table
    rank = table["split"].map(KEPT_FIRST).to_numpy()
    pairs = rows_of(table["content"], near)
    pairs = pairs[rank[pairs[:, 0]] != rank[pairs[:, 1]]]
    first_stays = rank[pairs[:, 0]] < rank[pairs[:, 1]]
    kept, copy = np.where(first_stays[:, None], pairs, pairs[:, ::-1]).T
    names, splits = table["image_id"], table["split"]
    dropped = dict(zip(copy.tolist(), kept.tolist(), strict=True))
    for row in sorted(dropped):
        reason = f"nearly identical to {names[dropped[row]]}, which is in {splits[dropped[row]]}"
        report.refused.append((str(names[row]), reason))
    return table.drop(index=list(dropped)).reset_index(drop=True)


def rows_of(column: pd.Series, pairs: Iterable[Sequence[str]]) -> np.ndarray:
    """Row numbers, int64 [m, 2], of the pairs of values that are both in the column (of distinct values)."""
    wanted = np.array(list(pairs), dtype=object).reshape(-1, 2)
    there = np.flatnonzero(column.isin(set(wanted.ravel())))
    found = pd.Index(column.iloc[there]).get_indexer(wanted.ravel()).reshape(-1, 2)
    both = (found >= 0).all(axis=1)
    return np.asarray(there[found[both]], dtype=np.int64)


def report_json(report: DataReport) -> str:
    """The report as the JSON artifact of a run."""
    return json.dumps(asdict(report), indent=1)
