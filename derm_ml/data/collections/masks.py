"""Lesion masks and superpixels told apart from photographs: by their names, and by the photograph of the same name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from derm_ml.data.collections.names import MASK_FIRST, MASK_FOLDERS, MASKS, SUPERPIXELS
from derm_ml.data.files import read_regular

Reader = Callable[[str], np.ndarray | None]


@dataclass(frozen=True)
class Sorted:
    """File names by what they are.

    Attributes:
        masks: photograph to its lesion's mask. orphans: masks without a photograph.
        aside: other pictures made of a photograph (superpixels, masks of attributes): counted, not read.
    """

    photographs: list[str]
    masks: dict[str, str] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)


def sort_masks(names: Sequence[str]) -> Sorted:
    """A picture is a mask when its name or folder says so and a photograph has the rest of its name.

    Of several masks of one photograph the one of the lesion is taken: `_segmentation` before `_attribute_globules`.
    """
    suspects: dict[str, tuple[str, str]] = {}
    photographs: list[str] = []
    for name in names:
        kind, stem = _suspected(name)
        if kind:
            suspects[name] = (kind, stem)
        else:
            photographs.append(name)
    by_stem: dict[str, list[str]] = {}
    for name in photographs:
        by_stem.setdefault(_stem(name), []).append(name)
    if suspects and not photographs:  # a collection of nothing but such names: they are what there is
        return Sorted(list(names))
    made = Sorted(photographs)
    ranked = sorted(suspects.items(), key=lambda item: (item[1][0] != "segmentation", item[0]))
    for name, (kind, stem) in ranked:
        partners = by_stem.get(stem, [])
        if kind == "named" and not partners:  # `..._lesion.jpg` without another of the name: a photograph after all
            made.photographs.append(name)
        elif not partners:
            made.orphans.append(name)
        elif kind == "superpixels" or any(partner in made.masks for partner in partners):
            made.aside.append(name)
        else:
            made.masks.update(dict.fromkeys(partners, name))
    made.photographs.sort()
    return made


def _suspected(name: str) -> tuple[str, str]:
    """(superpixels, segmentation, folder or named; the photograph's name), or ("", "")."""
    folder, _, base = name.rpartition("/")
    stem = _stem(base)
    if match := SUPERPIXELS.search(stem):
        return "superpixels", stem[: match.start()]
    if match := MASKS.search(stem):
        sure = re.search(r"segmentation|mask|seg$", match[0]) is not None
        return "segmentation" if sure else "named", stem[: match.start()]
    if match := MASK_FIRST.search(stem):
        return "segmentation", stem[match.end() :]
    parts = folder.lower().split("/")
    if any(SUPERPIXELS.search(part) for part in parts):
        return "superpixels", stem
    if any(MASK_FOLDERS.search(part) for part in parts):
        return "folder", stem
    return "", ""


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0].lower()


def mask_reader(masks: Mapping[str, Path]) -> Reader | None:
    """A reader of mask files; None without any. A file that cannot be read is no mask."""
    if not masks:
        return None

    def read(image_id: str) -> np.ndarray | None:
        from derm_ml.data.decoding import decode_mask

        if image_id not in masks:
            return None
        try:
            return decode_mask(read_regular(masks[image_id]))
        except (OSError, ValueError):
            return None

    return read
