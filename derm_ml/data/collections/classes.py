"""Class names made one's own: a file that renames, merges and drops them."""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from derm_ml.data.collections.choice import by_value
from derm_ml.data.collections.tables import UnreadableTable, read_table
from derm_ml.errors import UserError


def one_spelling(labels: pd.Series) -> pd.Series:
    """Composed (NFC), without blanks around and doubled inside: what looks the same is the same class."""
    return by_value(labels, lambda label: " ".join(unicodedata.normalize("NFC", label).split()))


def read_class_map(path: str) -> dict[str, str]:
    """Found name to the one to use; "" drops it.

    Args:
        path: a table with the columns name,class.

    Raises:
        UserError: the file is no such table.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(
            f"classes={path}: no such file: give a CSV with the columns name,class (an empty class drops it)"
        )
    try:
        table = read_table(file, path).frame
    except UnreadableTable as error:
        raise UserError(f"classes={path}: {error}: give a CSV with the columns name,class") from error
    if not {"name", "class"} <= set(table.columns):
        raise UserError(f"classes={path}: it has {', '.join(table.columns)}, not name,class")
    names, classes = one_spelling(table["name"]), one_spelling(table["class"])
    twice = names[names.duplicated()].tolist()
    if twice:
        raise UserError(f"classes={path}: {twice[0]!r} is there twice: keep one row of it")
    return dict(zip(names, classes, strict=True))


def apply_class_map(labels: pd.Series, mapping: dict[str, str], path: str) -> tuple[pd.Series, pd.Series, str]:
    """The labels renamed; which rows are of a dropped class; and what was done, for people.

    Raises:
        UserError: a name of the file is no class of the collection.
    """
    found = set(labels) - {""}
    unknown = sorted(set(mapping) - found - {""})
    if unknown:
        close = get_close_matches(unknown[0], sorted(found), n=1)
        hint = f": did you mean {close[0]!r}?" if close else f": there are {', '.join(sorted(found)[:30])}"
        raise UserError(f"classes={path}: {unknown[0]!r} is no class of the collection{hint}")
    dropped = labels.map(lambda label: bool(label) and mapping.get(label, label) == "")
    renamed = labels.map(lambda label: mapping.get(label, label) if label else "")
    gone = sorted(name for name in found if mapping.get(name, name) == "")
    changed = sum(1 for name in found if mapping.get(name, name) not in ("", name))
    told = f"{path} renames {changed} and drops {len(gone)} of {len(found)} classes" + f" ({', '.join(gone)})" * bool(
        gone
    )
    return renamed, dropped, told
