"""Tables by a number or name of the patient: the images of a row carry it in a folder's name, or before their own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd

from derm_ml.data.collections.listing import IMAGES, suffix
from derm_ml.data.collections.names import GROUPS, IMAGE_COLUMNS, plain
from derm_ml.data.collections.naming import Sheet
from derm_ml.data.collections.tables import Table
from derm_ml.errors import UserError, give, printable

COVERED = 0.5  # of the photographs that must carry a key
MOST_KEYS = 6  # columns, of which any two may be the key
RIVAL = 0.5  # of the keys that the best way finds, from which another way of reading names is one to be judged
BY_NUMBER = 2  # of the three spellings: as written, without leading zeros, the number alone
SHORT = frozenset({"p", "pt", "s", "sub", "subj", "c", "l", "id", "n", "nr", "no"})  # before the number of somebody
MOST_ROWS = 50  # rows an image, above which a column is no key
FOLDER, NAME, BEGINNING, IN_FOLDER = (
    "a folder's name",
    "the image's name",
    "the beginning of the image's name",
    "folder and name",
)
NUMBERED = re.compile(r"(^|_)(id|nr|no|num|number|nummer|numero|code|key|study|exam|examination|visit)(_|$)")


@dataclass(frozen=True)
class _Way:
    """One way to read keys: from which columns, where in the names they stand, and how loosely the two compare.

    Attributes:
        columns: one, or two for a folder in a folder, or an image in one. keys: of every row of the table, a code.
        rows: the key of every image, int64 [images], -1 for none. found: how many different ones. place: for people.
        whole: the key ends with the image's own name, so that a row is one image.
    """

    columns: tuple[str, ...]
    keys: pd.Series
    loose: int
    rows: np.ndarray
    found: int
    place: str

    @property
    def whole(self) -> bool:
        return self.place in (NAME, IN_FOLDER)


def name_by_key(table: Table, names: Sequence[str], image: str = "") -> Sheet:
    """The table, a row for each image that carries the row's key; without columns where none does.

    Args:
        names: of the images, relative, with `/`. image: the column of keys, by the user's word.

    Numbers compare without leading zeros (7 and 007), then without letters (P7 and patient_007), only where they name
    next to nothing as they are written, and never where two of them would become one.

    Raises:
        UserError: two columns can be read so, and differ.
    """
    keys = {c: v for c in table.frame.columns if _may_be_key(c, v := table.frame[c], image)}
    if not keys or not names:
        return Sheet(table)
    one, two = _places(names)
    ways = [way for column, values in keys.items() for way in _ways((column,), values.map(_written), one, bool(image))]
    for first, second in permutations(list(keys)[:MOST_KEYS], 2):
        if not keys[first].is_unique:
            both = keys[first].map(_written) + "/" + keys[second].map(_written)
            ways += _ways((first, second), both, two, bool(image))
    best = max((way.found for way in ways), default=0)
    ways = [way for way in ways if way.found >= RIVAL * best]
    if not ways:
        return Sheet(table)
    chosen = min(ways, key=lambda way: (way.loose, -way.found))
    rivals = [way for way in ways if way.loose == chosen.loose and not _agree(way, chosen)]
    if rivals:
        columns = list(dict.fromkeys(way.columns[-1] for way in (chosen, *rivals)))
        raise UserError(
            f"{table.name}: folders and names of images may be numbered by its columns {' or '.join(columns)}: say "
            f"which, with {give(*(f'image={column}' for column in columns[:3]))}"
        )
    return _sheet(table, chosen)


def _may_be_key(column: str, values: pd.Series, image: str) -> bool:
    if image:
        return image in (column, plain(column))
    name = plain(column)
    if any(pattern.match(name) for level, pattern in GROUPS.items() if level != "group"):
        return True
    return bool(NUMBERED.search(name) or IMAGE_COLUMNS.search(name)) and values.nunique() > 1


def _places(names: Sequence[str]) -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]]]:
    """Where one key may stand (each level of folders, the whole name, its beginning), and where two, one in another."""
    paths = [[_written(part) for part in printable(name).split("/")] for name in names]
    depth = max(len(path) for path in paths) - 1
    stems = [path[-1].removesuffix(suffix(path[-1])) if suffix(path[-1]) in IMAGES else path[-1] for path in paths]
    levels = [(FOLDER, [path[d] if len(path) > d + 1 else "" for path in paths]) for d in range(depth)]
    inside = [("/".join(path[d : d + 2]) if len(path) > d + 2 else "") for d in range(depth - 1) for path in paths]
    pairs = [(FOLDER, inside[n : n + len(paths)]) for n in range(0, len(inside), len(paths))]
    images = ["/".join((*path[-2:-1], stem)) for path, stem in zip(paths, stems, strict=True)]
    parts = [re.match(r"([^\W_]+)[\W_]+([^\W_]+)", stem) for stem in stems]
    split = [f"{part[1]}/{part[2]}" if part else "" for part in parts]
    one = [*levels, (NAME, stems), (BEGINNING, stems)]
    return one, [*pairs, (IN_FOLDER, images), (BEGINNING, split)]


def _ways(
    columns: tuple[str, ...], values: pd.Series, places: list[tuple[str, list[str]]], asked: bool
) -> Iterator[_Way]:
    if not (
        asked or any(pattern.match(plain(columns[-1])) for pattern in GROUPS.values()) or values[values != ""].is_unique
    ):
        return  # an examination's number is a key where it is of one row
    for loose, spell in enumerate((_written, _unpadded, _number)):
        keys = _one_to_one(values, spell)
        if keys is None:
            continue
        codes = {key: code for code, key in enumerate(sorted(set(keys) - {""}))}
        for place, parts in places:
            begins = place == BEGINNING and len(columns) == 1
            carried = _beginnings(parts, spell, codes) if begins else _one_to_one(pd.Series(parts), spell)
            if carried is None:
                continue
            if place in (NAME, IN_FOLDER) and carried[carried != ""].duplicated().any():
                continue  # several files of one name: which of them is meant?
            if place == NAME and loose and not asked and GROUPS["patient"].match(plain(columns[-1])):
                continue  # photograph 7 need not be patient 7's
            if loose == BY_NUMBER and not asked and not _of_one_kind(columns[-1], values, parts, carried):
                continue
            rows = carried.map(lambda key, codes=codes: codes.get(key, -1)).to_numpy(dtype=np.int64)
            found = np.unique(rows[rows >= 0])
            if len(found) < 2 or (rows >= 0).mean() < COVERED:
                continue
            if (rows >= 0).sum() * len(keys) / len(codes) > MOST_ROWS * len(rows):
                continue
            yield _Way(columns, keys.map(codes).fillna(-1).astype(np.int64), loose, rows, len(found), place)


def _of_one_kind(column: str, written: pd.Series, parts: Sequence[str], carried: pd.Series) -> bool:
    """Whether numbers are of the same: the words around them are alike (P7, patient_007); patients are no images."""
    ours, theirs = _word(written), _word(pd.Series(parts)[(carried != "").to_numpy()])
    persons = [pattern for level, pattern in GROUPS.items() if level != "group"]
    of_somebody = theirs in SHORT or any(pattern.match(theirs) for pattern in persons)
    if theirs and not of_somebody and any(pattern.match(plain(column)) for pattern in persons):
        return False
    return not ours or not theirs or ours.startswith(theirs) or theirs.startswith(ours)


def _word(parts: pd.Series) -> str:
    """The word before the numbers of these, "" for none."""
    match = re.match(r"[\W_]*([^\W\d_]*)", next((part for part in parts if part), ""))
    return match[1] if match else ""


def _one_to_one(parts: pd.Series, spell: Callable[[str], str]) -> pd.Series | None:
    """The parts in another spelling; None where it makes two of them one, or (of numbers alone) of unlike words."""
    spelled = {part: _each(part, spell) for part in parts.unique() if part}
    made = [key for key in spelled.values() if key]
    if not made or len(set(made)) < len(made):
        return None
    if spell is _number and len({re.sub(r"\d+", "", part) for part, key in spelled.items() if key}) > 1:
        return None
    return parts.map(lambda part: spelled.get(part, ""))


def _each(text: str, spell: Callable[[str], str]) -> str:
    """The parts of a path, each in another spelling; "" where one has none."""
    parts = [spell(part) for part in text.split("/")]
    return "/".join(parts) if all(parts) else ""


def _beginnings(stems: Sequence[str], spell: Callable[[str], str], codes: dict[str, int]) -> pd.Series | None:
    """The longest beginning of each name that is a key: `007` of `007_2`, `a-12` of `a-12_1`."""
    made: list[str] = []
    words: set[str] = set()
    whole: list[str] = []
    written: dict[str, str] = {}
    for stem in stems:
        ends = [m.end() for m in re.finditer(r"\d+(?=\D)|[^\W\d_]+(?=[\W\d_])|$", stem)]
        key = part = ""
        for end in reversed(ends):
            part = stem[:end]
            if (key := spell(part)) in codes:
                break
            key = ""
        if key and written.setdefault(key, part) != part:
            return None  # 7_1 and 007_1
        words |= {re.sub(r"\d+", "", part)} if key and spell is _number else set()
        whole += [stem] if key and part == stem else []
        made.append(key)
    if len(words) > 1 or len(set(whole)) < len(whole) or len(whole) == sum(map(bool, made)):
        return None  # other words, two files of one name, or nothing but whole names
    return pd.Series(made, dtype=object)


def _written(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().lower()


def _unpadded(text: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"^(\d+)\.0$", r"\1", text))


def _number(text: str) -> str:
    """The one number in it, without what is around it; "" where there is none, or several."""
    match = re.fullmatch(r"\D*?0*(\d+)(\.0)?\D*", text)
    return match[1] if match else ""


def _agree(way: _Way, other: _Way) -> bool:
    """Whether two ways give every image the same row, or one of two columns those of both."""
    if set(way.columns) <= set(other.columns):
        return True
    mine, theirs = (dict(zip(w.keys, w.keys.index, strict=True)) for w in (way, other))
    both = (way.rows >= 0) & (other.rows >= 0)
    return all(mine[a] == theirs[b] for a, b in zip(way.rows[both], other.rows[both], strict=True))


def _sheet(table: Table, way: _Way) -> Sheet:
    """A row for each image and row of one key; rows whose key no image carries keep the file -1."""
    images = pd.DataFrame({"key": way.rows, "file": np.arange(len(way.rows))})[way.rows >= 0]
    rows = pd.DataFrame({"key": way.keys, "row": np.arange(len(way.keys))})
    both = rows.merge(images, on="key", how="left")
    frame = table.frame.iloc[both["row"].to_numpy()].reset_index(drop=True)
    files = both["file"].fillna(-1).to_numpy(dtype=np.int64)
    how = ("", ", numbers without leading zeros", ", by the numbers alone")[way.loose]
    told = f"column{'s' * (len(way.columns) > 1)} {' and '.join(way.columns)}, found as {way.place}{how}"
    return Sheet(Table(table.name, frame, table.told), {way.columns[-1]: files}, shared=not way.whole, told=told)
