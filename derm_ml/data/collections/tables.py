"""Delimited text as people save it: comma, semicolon or tab; UTF-8, UTF-16 or Latin-1; with or without a header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from derm_ml.data.files import read_regular
from derm_ml.errors import one_line

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE = 1 << 16  # characters that the delimiter is judged by
LONGEST = 1 << 20  # characters that a header may have
WIDEST = 5_000  # columns: each is looked at for names of images
LARGEST = 1 << 30  # bytes
TITLES = 5  # lines of a title that may stand above the header
NUMBERED = 50  # columns of one name and a number, above which they are pixels


class UnreadableTable(ValueError):
    """The file is no table; the message is the reason, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Table:
    """One table: text in every cell, "" where there is none.

    Attributes:
        name: for people, relative to the collection.
        told: how it was read: its delimiter, and its encoding where that is not UTF-8.
    """

    name: str
    frame: pd.DataFrame
    told: str = ""


def read_table(path: Path, name: str) -> Table:
    """Read a delimited file.

    Raises:
        UnreadableTable: empty, binary, or rows of different lengths.
    """
    try:
        text, encoding = _decoded(read_regular(path, limit=LARGEST))
    except OSError as error:
        raise UnreadableTable(f"cannot be read: {error}") from error
    except MemoryError as error:
        raise UnreadableTable("larger than the memory that is left") from error
    if len(text) > LONGEST and not set("\r\n") & set(text[:LONGEST]):
        raise UnreadableTable(f"its first line is longer than {LONGEST:,} characters")
    if match := re.match(r'"?sep=(.)"?\r?\n', text):  # Excel's own first line
        text, delimiter = text[match.end() :], match[1]
    else:
        delimiter, titles = _delimiter(text[:SAMPLE])
        text = "".join(text.splitlines(keepends=True)[titles:]) if titles else text
    if not text.strip():
        raise UnreadableTable("empty")
    if columns := _numbers_of_one_stem(text[:SAMPLE].partition("\n")[0].split(delimiter)):
        raise UnreadableTable(f"{columns:,} numbered columns: pixels or features, not what is known of images")
    try:
        head = io.StringIO(text[:LONGEST], newline="")
        width = len(next(csv.reader(head, delimiter=delimiter, skipinitialspace=True)))
        if width > WIDEST:
            raise UnreadableTable(f"{width:,} columns, more than {WIDEST:,}: not what is known of images")
        frame = _plain_cells(text, delimiter, width)
        if frame is None:
            frame = pd.read_csv(
                io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, skipinitialspace=True,
                index_col=False, on_bad_lines="error", header=None, names=range(width + 1),
            )  # fmt: skip
        if frame.empty:  # a mark of its encoding, twice
            raise UnreadableTable("empty")
    except UnreadableTable:
        raise
    except Exception as error:
        raise UnreadableTable(f"not a table: {str(error)[:200]}") from error
    if width in frame and len(beyond := frame.index[frame[width].fillna("") != ""]):  # else these cells are cut
        raise UnreadableTable(f"row {beyond[0] + 1:,} has more cells than the header's {width}: quote what has a comma")
    frame = frame.iloc[:, :width]
    frame.columns = _header(frame.iloc[0].fillna("").tolist())
    frame = frame.iloc[1:].reset_index(drop=True).fillna("")
    frame = _without_repeated(frame)
    told = f"{DELIMITERS.get(delimiter, delimiter)}-separated" if len(frame.columns) > 1 else "one column"
    return Table(name, frame, told if encoding == "utf-8" else f"{told}, {encoding}")


def _plain_cells(text: str, delimiter: str, width: int) -> pd.DataFrame | None:
    """Every cell, where none is quoted, none begins with a blank and every row has `width` of them; else None.

    That is what nearly every large table is, and Arrow reads it in a tenth of the time that pandas takes.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow_csv

    if '"' in text:
        return None
    content = text.encode()
    names = [str(number) for number in range(width)]
    try:
        cells = arrow_csv.read_csv(
            pa.BufferReader(content),
            arrow_csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False),
            arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid:  # rows of different lengths
        return None
    if any(pc.any(pc.starts_with(column, blank)).as_py() for column in cells.columns for blank in " \t"):
        return None
    return pd.DataFrame({number: pd.array(column, dtype="str") for number, column in enumerate(cells.columns)})


def _without_repeated(frame: pd.DataFrame) -> pd.DataFrame:
    """Of columns of one name one, where they say the same.

    Raises:
        UnreadableTable: they differ.
    """
    for number, column in enumerate(frame.columns):
        name = str(column).removesuffix(f".{number}")
        if name != column and name in frame and not name.startswith("Unnamed"):
            if not (frame[name] == frame[column]).all():
                raise UnreadableTable(f"two columns are called {name}, and differ: give each a name of its own")
            frame = frame.drop(columns=column)
    return frame


def _header(cells: list[str]) -> list[str]:
    """Names of columns, each its own: blanks are numbered, and so is a name that is there again."""
    names: dict[str, None] = {}
    for number, cell in enumerate(cells):
        name = str(cell).strip().strip("\ufeff") or f"Unnamed: {number}"
        while name in names:
            name = f"{name}.{number}"
        names[name] = None
    return list(names)


def _numbers_of_one_stem(header: list[str]) -> int:
    """How many columns there are, where they are `pixel0000`, `pixel0001`, ...; else 0: such tables are large."""
    short = (name for name in header if len(name) < 100)  # the pattern takes the square of a name's length
    stems = Counter(match[1] for name in short if (match := re.fullmatch(r"\W*(\D*)\d+\W*", name)))
    return len(header) if stems and max(stems.values()) > max(NUMBERED, 0.9 * len(header)) else 0


def without_header(table: Table) -> Table:
    """The same table, its first line a row: for lists that begin at once."""
    first = pd.DataFrame([list(table.frame.columns)], columns=table.frame.columns, dtype=str)
    rows = pd.concat([first, table.frame], ignore_index=True)
    rows.columns = [f"column {number + 1}" for number in range(len(rows.columns))]
    return Table(table.name, rows, f"{table.told}, without a header")


def _decoded(content: bytes) -> tuple[str, str]:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            try:
                return content.decode(encoding), "utf-8" if encoding == "utf-8-sig" else "UTF-16"
            except UnicodeDecodeError as error:
                raise UnreadableTable(f"damaged {encoding} text") from error
    head = content[:4096]
    if b"\0\0\0" in head:
        raise UnreadableTable("binary, not text")
    if head.count(0) > len(head) // 4:  # UTF-16 without a mark: every other byte of Latin text is 0
        little = head[1::2].count(0) > head[::2].count(0)
        try:
            return content.decode("utf-16-le" if little else "utf-16-be"), "UTF-16"
        except UnicodeDecodeError as error:
            raise UnreadableTable("binary, not text") from error
    if b"\0" in content:
        raise UnreadableTable("binary, not text")
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), "Latin-1"


def _delimiter(sample: str) -> tuple[str, int]:
    """The one that cuts most lines into the same number of fields, and how many lines of a title are above them.

    A comma where none cuts any.
    """
    lines = sample.splitlines()
    lines = [line for line in (lines[:-1] if len(lines) > 20 else lines) if line.strip()][:50]
    best, score, titles = ",", 0.0, 0
    for delimiter in DELIMITERS:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        except csv.Error:
            continue
        fields, agreeing = Counter(counts).most_common(1)[0] if counts else (1, 0)
        title = counts.index(fields) if fields > 1 and max(counts) == fields else 0
        if fields > 1 and (counts[0] == fields or 0 < title <= TITLES):
            share = agreeing / len(counts)
            if share + fields / 1e4 > score:
                best, score = delimiter, share + fields / 1e4
                titles = sample.splitlines().index(lines[title])
    return best, titles + _titles_in_cells(sample.splitlines()[titles : titles + TITLES + 1], best)


def _titles_in_cells(lines: list[str], delimiter: str) -> int:
    """How many of the first lines are a title's: blank, or one cell and empty ones beside it, as sheets are saved."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return 0
    titles = [not any(row) or (len(row) > 2 and bool(row[0]) and not any(row[1:])) for row in rows]
    if len(rows) != len(lines) or not any(titles) or all(titles):
        return 0
    return titles.index(False)
