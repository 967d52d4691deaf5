"""The photographs of a collection: loose files and members of archives, masks and copies told apart."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.collections.listing import PACKED, Listing, is_document, list_files, suffix
from derm_ml.data.collections.masks import sort_masks
from derm_ml.data.collections.names import IMAGE_COLUMNS, plain
from derm_ml.data.collections.tables import Table
from derm_ml.data.files import read_regular
from derm_ml.errors import printable

# Kept beside a JPEG or PNG of the same picture. (x.png beside x.jpg may as well be a mask of it.)
ORIGINALS = frozenset({".dcm", ".dicom", ".tif", ".tiff", ".heic", ".heif", ".hif", ".bmp"})
TRIED = 50  # values of a column that are looked for on disk, where a table was given by itself


@dataclass
class Pictures:
    """Photographs by position, each with a printable name of its own.

    Attributes:
        names: relative to the root, as the file system has them. masks: name to the name of its lesion's mask.
        refused: (printable name, reason). aside: how many pictures are none of these, by what they are.
    """

    root: Path
    names: list[str]
    masks: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    aside: dict[str, int] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    members: dict[str, Callable[[], bytes | np.ndarray]] = field(default_factory=dict)

    @property
    def folders(self) -> pd.Series:
        """The folder of every picture, relative to the root."""
        known: dict[str, str] = {}  # one object a folder, not one a picture
        folders = (name.rpartition("/")[0] for name in self.names)
        return pd.Series([known.setdefault(folder, folder) for folder in folders], dtype=object)

    def ids(self) -> list[str]:
        """Printable names, made different where escaping made two the same."""
        if all(map(str.isprintable, self.names)):
            return self.names
        made = [printable(name) for name in self.names]
        if len(set(made)) == len(made):
            return made
        twice = pd.Series(made, dtype=object).duplicated()
        return [
            f"{name} ({number})" if again else name
            for number, (name, again) in enumerate(zip(made, twice, strict=True))
        ]

    def file_of(self, ids: Sequence[str]) -> Callable[[str], str | None]:
        """Of these printable names, the file that holds this photograph alone; None for members of archives."""
        odd = self._odd(ids)
        root, members = os.fspath(self.root), self.members

        def path(image_id: str) -> str | None:
            name = odd.get(image_id, image_id)
            return None if name in members else f"{root}{os.sep}{name}"

        return path

    def _odd(self, ids: Sequence[str]) -> dict[str, str]:
        if ids is self.names:
            return {}
        return {shown: name for shown, name in zip(ids, self.names, strict=True) if shown != name}

    def reader(self, ids: Sequence[str]) -> Callable[[str], bytes | np.ndarray]:
        """Of these printable names; only regular files are opened."""
        odd = self._odd(ids)
        root, members = self.root, self.members

        def read(image_id: str) -> bytes | np.ndarray:
            name = odd.get(image_id, image_id)
            return members[name]() if name in members else read_regular(root / name)

        return read


def in_folder(root: Path) -> Pictures:
    """What a folder holds."""
    listing = list_files(root)
    made = _sorted(root, listing.images)
    made.tables = listing.tables
    made.refused += listing.refused
    made.refused += [(printable(name), _no_image(name)) for name in listing.others if not is_document(name)]
    for archive in listing.archives:
        _add_archive(made, archive)
    return made


def beside_table(path: Path, table: Table) -> Pictures:
    """The files that a table names by path; where it names none so, what its folder holds."""
    root = path.parent
    named = [
        column for column in table.frame.columns if plain(column) != "mask" and _on_disk(root, table.frame[column])
    ]
    named = [column for column in named if IMAGE_COLUMNS.search(plain(column))] or named
    if not named:
        made = in_folder(root)
        made.tables = []
        return made
    values = pd.concat([table.frame[column] for column in named])
    names = _relative(values[values != ""]).drop_duplicates()
    return Pictures(root, sorted(names.tolist()))


def _relative(values: pd.Series) -> pd.Series:
    """Paths in their shortest form, with `/`."""
    paths = values.str.strip().str.replace("\\", "/", regex=False)
    longer = paths.str.endswith(("/", ".")) | (paths == "")
    for part in ("//", "./"):  # a call a path takes ten times as long, and nearly no table needs one
        longer |= paths.str.contains(part, regex=False)
    return paths.map(os.path.normpath) if longer.any() else paths


def _on_disk(root: Path, values: pd.Series) -> bool:
    """Whether half of some values are paths of files."""
    tried = [value for value in values[values != ""].iloc[:: max(1, len(values) // TRIED)] if len(value) < 4096]
    there = [os.path.isfile(root / value.strip().replace("\\", "/")) for value in tried]  # noqa: PTH113 (False: no name at all)
    return bool(there) and sum(there) >= len(there) / 2


def _sorted(root: Path, images: list[str]) -> Pictures:
    sorted_ = sort_masks(images)
    made = Pictures(root, sorted_.photographs, sorted_.masks)
    made.refused += [(printable(name), "a mask without a photograph of its name") for name in sorted_.orphans]
    if sorted_.aside:
        made.aside["superpixels, masks of attributes and further masks of one image"] = len(sorted_.aside)
    return made


def _no_image(name: str) -> str:
    if suffix(name) in PACKED:
        return "an archive: unpack it here"
    return f"not an image: {suffix(name) or 'no'} suffix"


def _add_archive(made: Pictures, archive: str) -> None:
    """Members of an HDF5 file by their keys; where the loose files have the same names these are taken."""
    from derm_ml.data.containers.hdf5 import hdf5_images

    keys, read = hdf5_images(made.root / archive)
    loose = {Path(name).stem for name in made.names}
    new = [key for key in keys if Path(key).stem not in loose]
    if len(new) < len(keys):
        made.aside[f"images of {archive} that lie loose as well"] = len(keys) - len(new)
    for key in new:
        name = f"{archive}/{key}"
        made.names.append(name)
        made.members[name] = lambda key=key: read(key)  # type: ignore[misc]


def without_copies(made: Pictures) -> bool:
    """Of files of one name keep one: the same content in another folder, or the same picture in another format.

    Only for tables, which name an image once: in class folders the same name is another image.

    Returns:
        Whether there were any.
    """
    alike: dict[str, list[str]] = {}
    for name in made.names:
        if name not in made.members:
            alike.setdefault(Path(name).stem.lower(), []).append(name)
    gone: dict[str, str] = {}
    for names in alike.values():
        if len(names) < 2:
            continue
        names.sort(key=lambda name: (suffix(name) in ORIGINALS, name))
        kinds = [suffix(name) for name in names]
        if len(set(kinds)) == len(kinds) and ORIGINALS.issuperset(kinds[1:]):
            gone |= dict.fromkeys(names[1:], f"the same name in another format: {printable(names[0])} is taken")
            continue
        for other in names[1:]:
            if suffix(other) == suffix(names[0]) and _same(made.root / names[0], made.root / other):
                gone[other] = f"an exact copy of {printable(names[0])}"
    made.names = [name for name in made.names if name not in gone]
    made.refused += [(printable(name), reason) for name, reason in gone.items()]
    return bool(gone)


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


__all__ = ["Listing", "Pictures", "beside_table", "in_folder", "without_copies"]
