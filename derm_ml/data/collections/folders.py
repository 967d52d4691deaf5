"""What folders say: a level of diagnoses, a level of patients, or only how images are kept."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from derm_ml.data.collections.choice import ambiguous
from derm_ml.data.collections.names import names_diagnosis, names_somebody, plain, says_nothing
from derm_ml.errors import UserError, give

LOOSE = 0.5  # of the images that may lie beside the class folders and be refused for it

CLASS_FOLDERS = "a folder a class"
KNOWN = 0.5  # of a level's names, above which it is of diagnoses
FEW_PLACES = 12  # wards or body sites inside each class

ALIKE = 0.3  # of the images that lie in folders called like labels, where these tell classes, too


@dataclass
class Folders:
    """What the levels of folders were taken for, a value an image ("" for none).

    Attributes:
        labels, groups: None where no level tells any. loose: positions of images beside the class folders.
    """

    told: str
    labels: pd.Series | None = None
    groups: pd.Series | None = None
    loose: list[int] = field(default_factory=list)
    groups_told: str = ""


def contradicted(folders: pd.Series, labels: pd.Series) -> bool:
    """Whether folders named like labels hold images of other labels; hospitals and cameras contradict nothing."""
    said, told = folders.astype(str).map(plain), labels.astype(str).map(plain)
    both = (said != "") & said.isin(set(told)) & (told != "")
    return bool(both.mean() > ALIKE and (said != told)[both].mean() > 0.01)


def read_folders(folders: pd.Series, label: str, group: str, *, want_labels: bool) -> Folders:
    """Tell classes and patients from the folders of images.

    Args:
        folders: of every image, relative to the collection.
        label, group: "", `none`, `folder` (the one level there is) or `folder:2` (the second below the collection).
        want_labels: False: a table has them, or none are wanted.

    Raises:
        UserError: a level may be diagnoses or not; with the levels there are.
    """
    tree = Tree(folders)
    levels = _levels(tree)
    chosen = {what: _asked(levels, tree, what, word) for what, word in (("label", label), ("group", group))}
    groups = chosen["group"]
    found = Folders("")
    if chosen["label"] is not None:
        loose = np.flatnonzero(chosen["label"] == "").tolist()
        found = Folders(f"folders, as you said ({label})", chosen["label"], loose=loose)
    elif want_labels and label != "none":
        found = _classes(levels, tree)
    if groups is not None:
        found.groups, found.groups_told = groups, f"folders, as you said ({group})"
    elif group == "":
        _patients(found, levels, tree)
    return found


class Tree:
    """The distinct folders of a collection, each taken apart once, and which of them every image is in."""

    def __init__(self, folders: pd.Series) -> None:
        self._codes, unique = pd.factorize(folders)
        self._index = folders.index
        self.parts = [folder.split("/") if folder else [] for folder in unique]
        self.depth = max(map(len, self.parts), default=0)

    def level(self, depth: int, *, telling: bool = False) -> pd.Series:
        """Every image's folder at a depth from 0; "" without one, or (`telling`) where its name says nothing."""
        names = [each[depth] if len(each) > depth else "" for each in self.parts]
        return self.spread(["" if telling and says_nothing(name) else name for name in names])

    def spread(self, values: list[str]) -> pd.Series:
        """A value a folder to one an image."""
        return pd.Series(pd.array(values, dtype="str").take(self._codes), index=self._index)

    def gather(self, values: pd.Series) -> list[str]:
        """The other way: the value of each folder's first image."""
        return list(values.groupby(self._codes).first())


def _levels(tree: Tree) -> list[pd.Series]:
    """The names of each depth below the collection that says anything, "" where it does not."""
    every = [tree.level(depth, telling=True) for depth in range(tree.depth)]
    return [level for level in every if (level != "").any()]


def _classes(levels: list[pd.Series], tree: Tree) -> Folders:
    """The one level whose names are words."""
    candidates = [level for level in _merged(levels) if not looks_like_ids(level)]
    plural = [level for level in candidates if level[level != ""].nunique() > 1]
    named = [level for level in plural if not _doubtful(level)]
    plural = named or plural  # numbers beside words are patients
    told = CLASS_FOLDERS
    if not plural:
        return Folders(_why_none(levels, tree))
    known = [level for level in plural if _of_diagnoses(level) > KNOWN]
    if (
        len(plural) > 1
        and len(known) == 1
        and all(_of_diagnoses(level) == 0 for level in plural if level is not known[0])
    ):
        places = sorted({name for level in plural if level is not known[0] for name in level if name})
        told, plural = f"{CLASS_FOLDERS}, not {', '.join(places[:4])}{', ...' * (len(places) > 4)}", known
    if len(plural) > 1:
        shown = {f"level {number + 1}": level for number, level in enumerate(plural)}
        settle = f"{give('label=folder:1', 'label=folder:2', 'label=none')}; levels are counted below the collection"
        raise ambiguous("label", shown, "two levels of folders may be the diagnosis", settle)
    level = plural[0]
    loose = np.flatnonzero(level == "").tolist()
    if _doubtful(level):
        shown = {"folders": level}
        raise ambiguous(
            "label",
            shown,
            "folders are numbered, and may be classes or patients",
            give("label=folder", "group=folder", "label=none"),
        )
    if len(loose) > LOOSE * len(level):
        inside = {"folders": level}
        why = f"{len(loose):,} of {len(level):,} images lie outside the folders that may be classes"
        raise ambiguous("label", inside, why, give("label=folder", "label=none") + "; with folder these are left out")
    return Folders(told, level, loose=loose)


def _of_diagnoses(level: pd.Series) -> float:
    """The share of a level's names that have a word of a diagnosis in them."""
    names = set(level) - {""}
    return sum(map(names_diagnosis, names)) / len(names)


def _merged(levels: list[pd.Series]) -> list[pd.Series]:
    """Levels of which each image has only one (`train/nevus/`, `nevus/`) are one level."""
    made: list[pd.Series] = []
    for level in levels:
        beside = next((n for n, each in enumerate(made) if not ((each != "") & (level != "")).any()), None)
        if beside is None:
            made.append(level)
        else:
            made[beside] = made[beside].where(made[beside] != "", level)
    return made


def looks_like_ids(level: pd.Series) -> bool:
    """Whether names are of patients, lesions or images: numbered after one pattern, or codes, rather than words."""
    names = sorted(set(level) - {""})
    if not names or all(
        re.match(r"(?i)^(class|grade|stage|type|label|cat|category)[\W_]*\d+$", name) for name in names
    ):
        return False
    if any(names_somebody(name) for name in names) and sum(map(names_somebody, names)) > 0.8 * len(names):
        return True
    if sum(bool(re.search(r"\d", name)) for name in names) < 0.8 * len(names):
        return False
    if _doubtful(level):
        return False
    shapes = Counter(re.sub(r"[0-9]+", "#", re.sub(r"\b[0-9a-f]{8,}\b", "#", name.lower())) for name in names)
    return len(shapes) <= max(1, len(names) // 3) or sum(_is_code(name) for name in names) > 0.8 * len(names)


def _is_code(name: str) -> bool:
    return bool(re.fullmatch(r"(?i)[0-9a-f-]{8,}|[a-z]{0,4}[\W_]?\d{3,}.*", name))


def _doubtful(level: pd.Series) -> bool:
    """Few folders numbered alike, each of many images: classes 0 and 1, or two patients."""
    names = set(level) - {""}
    numbered = all(re.fullmatch(r"\D{0,3}\d{1,2}", name) for name in names)
    return numbered and len(names) <= 30 and len(level) >= 5 * len(names)


def _why_none(levels: list[pd.Series], tree: Tree) -> str:
    names = sorted({each for folder in tree.parts for each in folder})
    if not names:
        return "none: no table, and no folders"
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    single = any(level[level != ""].nunique() == 1 for level in levels)
    why = "one folder alone is no class" if single and len(levels) == 1 else "the folders' names are no diagnoses"
    return f"none: {why} ({shown}); if they are, give {give('label=folder')} (folder:2 is the second level)"


def _patients(found: Folders, levels: list[pd.Series], tree: Tree) -> None:
    """The level of ids, or the folders within classes."""
    ids = [level for level in _merged(levels) if looks_like_ids(level) and level[level != ""].nunique() > 1]
    if ids:
        found.groups, found.groups_told = ids[-1] if len(ids) == 1 else ids[0], "a folder a patient or lesion"
        return
    if found.labels is None or not found.told.startswith(CLASS_FOLDERS):
        return
    numbered = _inside(found.labels, tree)
    if numbered is not None and not _is_grid(found.labels, numbered):
        found.groups, found.groups_told = numbered, "the folders inside each class"


def _is_grid(labels: pd.Series, inside: pd.Series) -> bool:
    """Whether a few words are there again in most classes: wards and body sites, not patients."""
    names = inside[inside != ""]
    if looks_like_ids(inside) or _doubtful(inside) or names.nunique() > FEW_PLACES or labels.nunique() < 2:
        return False
    return bool(labels[names.index].groupby(names).nunique().mean() > 0.5 * labels[labels != ""].nunique())


def _inside(labels: pd.Series, tree: Tree) -> pd.Series | None:
    """Folders below the class folders, where all images of the classes lie in such."""
    made = []
    for label, folder in zip(tree.gather(labels), tree.parts, strict=True):
        below = [each for each in folder[folder.index(label) + 1 :] if not says_nothing(each)] if label else []
        if label and not below:
            return None
        made.append("/".join(below))
    return tree.spread(made) if any(made) else None


def _asked(levels: list[pd.Series], tree: Tree, what: str, word: str) -> pd.Series | None:
    """The level that the user named."""
    match = re.fullmatch(r"folder(?::(\d+))?", word)
    if not match:
        return None
    depth = int(match[1]) if match[1] else 0
    if depth:
        level = tree.level(depth - 1)
        if not (level != "").any():
            raise UserError(f"{what}={word}: no image lies so deep: the folders are {tree.depth} deep")
        return level
    telling = _merged(levels)
    if len(telling) == 1:
        return telling[0]
    first = tree.level(0)
    if not telling and first.nunique() > 1:
        return first
    raise UserError(
        f"{what}={word}: {'no level' if not telling else f'{len(telling)} levels'} of folders could be meant: give "
        f"{give(f'{what}=folder:1', f'{what}=folder:2')}; levels are counted below the collection"
    )
