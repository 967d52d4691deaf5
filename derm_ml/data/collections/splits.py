"""Splits that a collection brings: a column, lists of a split's images, folders; in this order."""

from __future__ import annotations

import pandas as pd

from derm_ml.data.collections.choice import Choice, by_value, column_named, quoted
from derm_ml.data.collections.names import SPLIT_COLUMNS, SPLIT_WORDS, plain, split_of
from derm_ml.data.collections.naming import SPLIT
from derm_ml.errors import UserError


def find_split(rows: pd.DataFrame | None, folders: pd.Series, asked: str) -> Choice | None:
    """train, val, test or "" of every row; None where nothing tells of splits.

    Args:
        rows: of the tables; None without any. folders: of every row's image.
        asked: the column that the user named, `folder`, or `none`; "": to be found.

    Raises:
        UserError: a split column has another word in it, or the named one is not there.
    """
    if asked == "none":
        return Choice(pd.Series("", index=folders.index), "drawn, as you said; given ones are not read")
    if asked and asked != "folder":
        if rows is None:
            raise UserError(f"split={asked}: there is no table with columns: give split=folder, split=none or a table")
        column = column_named(rows, asked, "split", plain)
        return Choice(
            _words(rows[column], column, strict=True), f"column {column}, as you said ({quoted(rows[column])})"
        )
    if not asked and rows is not None:
        for column in rows.columns:
            if not column.startswith(" ") and plain(column) in SPLIT_COLUMNS and (rows[column] != "").any():
                words = _words(rows[column], column, strict=plain(column) == "split")
                if words is not None and (words != "").any():
                    return Choice(words, f"column {column} ({quoted(words)})")
        if (rows[SPLIT] != "").any():
            return Choice(
                rows[SPLIT].astype(object), f"by the table or list that an image is in ({quoted(rows[SPLIT])})"
            )
    codes, unique = pd.factorize(folders)
    told = pd.Series(pd.array([_of_path(folder) for folder in unique], dtype="str").take(codes), index=folders.index)
    if not (told != "").any() or (told.nunique() < 2 and not asked):
        return None
    return Choice(told, f"by folders ({quoted(told)})")


def _words(values: pd.Series, column: str, *, strict: bool) -> pd.Series:
    """A column's words as train, val and test; any other word is refused, or the column is no split."""
    text = values.str.lower()
    known = {word: SPLIT_WORDS.get(word) or split_of(word) for word in text.unique() if word}
    other = sorted(word for word, split in known.items() if not split)
    if other and strict:
        raise UserError(
            f"column {column}: split {other[0]!r} is not known: use train, val, test, or leave it "
            "empty; split=none draws one"
        )
    return by_value(text, lambda word: known.get(word, "")) if not other else pd.Series("", index=values.index)


def _of_path(folder: str) -> str:
    found = {split for part in folder.split("/") if (split := split_of(part))}
    return found.pop() if len(found) == 1 else ""
