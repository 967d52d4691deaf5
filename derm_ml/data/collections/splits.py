"""Splits that a collection brings: a column, lists of a split's images, folders; in this order."""

from __future__ import annotations

import pandas as pd

from derm_ml.data.collections.choice import Choice, by_value, column_named, quoted
from derm_ml.data.collections.names import PERHAPS_SPLITS, SPLIT_COLUMNS, SPLIT_WORDS, plain, split_of
from derm_ml.data.collections.naming import SPLIT
from derm_ml.errors import UserError, give

MOST_WORDS = 8  # distinct values up to which a column of any name may be a split
SAMPLE = 1_000  # rows, of which most columns have more already


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
            raise UserError(
                f"split={asked}: there is no table with columns: give a table, or {give('split=folder', 'split=none')}"
            )
        column = column_named(rows, asked, "split", plain)
        return Choice(
            _words(rows[column], column, strict=True), f"column {column}, as you said ({quoted(rows[column])})"
        )
    doubts: list[str] = []
    if not asked and rows is not None:
        for column in rows.columns:
            if column.startswith(" ") or not (rows[column] != "").any():
                continue
            words = _words(rows[column], column, strict=plain(column) == "split")
            if (words != "").any() and (plain(column) in SPLIT_COLUMNS or words.nunique() > 1):
                return Choice(words, f"column {column} ({quoted(words)})", column=column)
            if plain(column) in SPLIT_COLUMNS or PERHAPS_SPLITS.match(plain(column)):
                doubts.append(
                    f"column {column} ({quoted(rows[column])}) may be a split, and is not read as one: "
                    "name its values train, val and test to use it"
                )
        if (rows[SPLIT] != "").any():
            return Choice(
                rows[SPLIT].astype(object), f"by the table or list that an image is in ({quoted(rows[SPLIT])})"
            )
    codes, unique = pd.factorize(folders)
    told = pd.Series(pd.array([_of_path(folder) for folder in unique], dtype="str").take(codes), index=folders.index)
    if not (told != "").any() or (told.nunique() < 2 and not asked):
        return Choice(pd.Series("", index=folders.index), "drawn: none is given", doubts) if doubts else None
    return Choice(told, f"by folders ({quoted(told)})")


def _words(values: pd.Series, column: str, *, strict: bool) -> pd.Series:
    """A column's words as train, val and test; any other word is refused, or the column is no split."""
    none = pd.Series("", index=values.index)
    if not strict and values.iloc[:SAMPLE].str.lower().nunique() > MOST_WORDS:
        return none
    text = values.str.lower()
    if not strict and text.nunique() > MOST_WORDS:
        return none
    known = {word: SPLIT_WORDS.get(plain(word)) or split_of(word) for word in text.unique() if word}
    other = sorted(word for word, split in known.items() if not split)
    if other and strict:
        raise UserError(
            f"column {column}: split {other[0]!r} is not known: use train, val, test, or leave it "
            f"empty, or have one drawn with {give('split=none')}"
        )
    return by_value(text, lambda word: known.get(word, "")) if not other else none


def _of_path(folder: str) -> str:
    found = {split for part in folder.split("/") if (split := split_of(part))}
    return found.pop() if len(found) == 1 else ""
