"""What was taken for an image's label, group or split, and why; and the refusal where that cannot be sure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from derm_ml.errors import UserError, give

SHOWN = 4  # values of a candidate that a refusal quotes


@dataclass
class Choice:
    """Values of every row, text, "" for none.

    Attributes:
        told: which was taken and why, for people. warnings: sentences. lost: row to the reason it has no one value.
    """

    values: pd.Series
    told: str
    warnings: list[str] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    column: str = ""  # that it is from, where it is from one
    columns: tuple[str, ...] = ()  # where it is from several


def ambiguous(what: str, candidates: Mapping[str, pd.Series], why: str, settle: str = "") -> UserError:
    """One line that lists what could be meant and the parameter that settles it."""
    shown = "; ".join(f"{name} ({quoted(values)})" for name, values in list(candidates.items())[:12])
    parameter = settle or give(f"{what}={next(iter(candidates), 'COLUMN')}")
    return UserError(f"{why}: {shown}: say which, for instance with {parameter}")


def quoted(values: pd.Series) -> str:
    """How many values there are and the commonest of them."""
    counts = values[values != ""].value_counts()
    some = ", ".join(str(value)[:30] for value in counts.index[:SHOWN])
    more = ", ..." if len(counts) > SHOWN else ""
    return f"{len(counts):,} value{'s' * (len(counts) != 1)}: {some}{more}" if len(counts) else "empty"


def by_value(series: pd.Series, spell: Callable[[str], str]) -> pd.Series:
    """A function of each value, asked once for each distinct one; text, the same index."""
    codes, values = pd.factorize(series)
    return pd.Series(pd.array([spell(value) for value in values], dtype="str").take(codes), index=series.index)


def filled_up(columns: Mapping[str, pd.Series], *, alike: bool = False) -> dict[str, pd.Series]:
    """Columns of which no row has both are one: those of two years' tables, where these call the same differently.

    Args:
        alike: only where half of the values of one are the other's, too.
    """
    made: dict[str, pd.Series] = {}
    for column, values in columns.items():
        for before, others in made.items():
            if ((values != "") & (others != "")).any() or (alike and not _alike(values, others)):
                continue
            del made[before]
            made[f"{before} (where that is empty column {column})"] = others.where(others != "", values)
            break
        else:
            made[column] = values
    return made


def _alike(one: pd.Series, other: pd.Series) -> bool:
    left, right = ({value.casefold() for value in values.unique()} - {""} for values in (one, other))
    return 2 * len(left & right) >= min(len(left), len(right)) > 0


def refines(fine: pd.Series, coarse: pd.Series) -> bool:
    """Whether each value of the one goes with one value of the other (in 99 % of the rows that have both)."""
    both = (fine != "") & (coarse != "")
    if not both.any():
        return False
    # Of each value's partners the commonest one counts: a table of pairs, not a call a value (a million lesions).
    pairs = pd.DataFrame({"fine": fine[both], "coarse": coarse[both]}).groupby(["fine", "coarse"], sort=False).size()
    return bool(pairs.groupby(level="fine", sort=False).max().sum() >= 0.99 * both.sum())


def column_named(rows: pd.DataFrame, name: str, parameter: str, plain: Callable[[str], str]) -> str:
    """The column that the user means.

    Raises:
        UserError: there is none, with those that there are.
    """
    columns = [column for column in rows.columns if not column.startswith(" ")]
    if name in columns:
        return name
    alike = [column for column in columns if plain(column) == plain(name)]
    if len(alike) == 1:
        return alike[0]
    raise UserError(f"{parameter}={name}: no such column: there are {', '.join(columns[:40]) or 'none'}")
