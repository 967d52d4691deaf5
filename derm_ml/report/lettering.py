"""Names in figures: any alphabet, nothing read as markup, however long; whole they stand in the tables beside."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

# Tried in turn, where installed. The first comes with matplotlib; fonts of coloured pictures it cannot draw.
FONTS = (
    "DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Noto Sans Thai", "Arial Unicode MS", "Noto Emoji", "Segoe UI Emoji", "Symbola",
)  # fmt: skip
WIDTH, LINES = 26, 2  # characters a line of a label, and lines
UNKNOWN = "\u25a1"  # a white square: no font here has the character


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made and saved in the block take text as it stands: a dollar is a dollar, and fonts stand in."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False, "font.family": list(_installed())}):
        yield


def labels(names: Sequence[str]) -> list[str]:
    """A label each, of at most two lines of 26 characters.

    One that does not show its whole name begins with its number, which is its place in `names`, counted from 1.
    """
    return [shown if whole else f"{number}: {shown}" for number, (shown, whole) in enumerate(map(_label, names), 1)]


def _label(name: str) -> tuple[str, bool]:
    """Broken into lines, and whether it is the whole name."""
    words = " ".join(name.split())
    drawn = "".join(each if each == " " or ord(each) in _drawable() else UNKNOWN for each in words)
    lines = textwrap.wrap(drawn, WIDTH, max_lines=LINES, placeholder="\u2026")
    return "\n".join(lines), drawn == words and not (lines and lines[-1].endswith("\u2026"))


@cache
def _installed() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    known = set(fontManager.get_font_names())
    return tuple(each for each in FONTS if each in known)


@cache
def _drawable() -> frozenset[int]:
    """Code points that one of the installed fonts has."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(point for font in _installed() for point in get_font(findfont(font)).get_charmap())
