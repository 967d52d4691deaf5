"""Labels in the names of the images themselves: `nevus_001.jpg`, `001_melanoma.jpg`, `patient7_bcc_2.jpg`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from derm_ml.data.collections.choice import Choice, quoted
from derm_ml.data.collections.folders import KNOWN
from derm_ml.data.collections.listing import suffix
from derm_ml.data.collections.names import MODALITIES, names_diagnosis

FEWEST = 2.0  # images a class on average: words that are of one image each are no classes
NEARLY_ALL = 0.98  # of the images, whose names must have such words


def by_image_names(names: Sequence[str]) -> Choice | None:
    """The words that distinguish the images' names, where they are few and most of them are diagnoses; else None."""
    stems = [name.rpartition("/")[2] for name in names]
    said = [_words(stem[: len(stem) - len(suffix(stem))]) for stem in stems]
    if not said:
        return None
    everywhere = set(said[0]).intersection(*said) | MODALITIES
    values = pd.Series([" ".join(word for word in each if word not in everywhere) for each in said], dtype=object)
    classes = set(values) - {""}
    known = sum(map(names_diagnosis, classes))
    if len(classes) < 2 or known <= KNOWN * len(classes):
        return None
    if (values != "").mean() < NEARLY_ALL or FEWEST * len(classes) > len(values):
        return None
    return Choice(values, f"the words in the images' names ({quoted(values)})")


def _words(stem: str) -> list[str]:
    return re.findall(r"[^\W\d_]{2,}", stem.lower())
