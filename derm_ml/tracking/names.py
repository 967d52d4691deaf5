"""Names as MLflow takes them: reversibly escaped at the tracker's boundary, so that nothing else knows of its rules.

MLflow allows letters and digits of any alphabet, `_-. :/`, 250 characters, and what is its own normal form as a path.
Any other character becomes `_xHEX_`, its code point (after ISO 9075-14, as spreadsheets do): `melanoma (in situ)` is
`melanoma _x28_in situ_x29_`. A name that needs none of this stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

LONGEST = 250  # characters: mlflow.utils.validation.MAX_ENTITY_KEY_LENGTH
_ESCAPED = re.compile(r"_x([0-9A-F]{1,5}|10[0-9A-F]{4})_")
_FORBIDDEN = re.compile(
    r"[^\w\-. :/]"  # includes the line break, which MLflow's own pattern lets through at the end
    r"|\A/|/(?=/|\Z)"  # a path with an empty part
    r"|(?:\A|(?<=/))\.(?=\.?(?:/|\Z))|\A\.(?=\.)"  # the parts . and .., and what begins like the latter
    r"|_(?=x[0-9A-F]{1,6}(?:_|[^\w\- :]))"  # what would be read as an escape, or would begin one
)
_CUT = re.compile(r"_xcut_[0-9a-f]{16}\Z")


def escape(name: str) -> str:
    """The name as a key of MLflow: no two names have the same, and `unescape` reads it back.

    One that would be longer than 250 characters is cut, and ends in a digest of the whole: see `cut`.
    """
    made = _FORBIDDEN.sub(lambda match: f"_x{ord(match[0]):X}_", name)
    if len(made) <= LONGEST:
        return made
    end = f"_xcut_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return made[: LONGEST - len(end)] + end


def cut(key: str) -> bool:
    """Whether a key is a cut one: the whole name is in a tag of the run, `whole_name_tag`."""
    return _CUT.search(key) is not None


def whole_name_tag(key: str) -> str:
    """The tag that holds the whole name of a cut key."""
    return f"name.{key[-16:]}"


def unescape(key: str, tags: Mapping[str, str] | None = None) -> str:
    """The name that `escape` made the key of.

    Args:
        tags: of the run: a cut key's name is read there; without it the key is all there is.
    """
    if cut(key):
        return (tags or {}).get(whole_name_tag(key), key)
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), key)


def writable(text: str) -> str:
    """Text that any store takes: file names that are no UTF-8, and NUL, as backslashed codes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
