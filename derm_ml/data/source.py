"""What every kind of collection is read into: a list of images and a way to read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from os import PathLike

import numpy as np
import pandas as pd

from derm_ml.config import CommonConfig

COLUMNS = ["image_id", "label", "group", "split"]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Source:
    """A list of images and a way to read them.

    Attributes:
        records: image_id (printable text, one an image), label ("" is unlabelled), group ("" is none given), split
            (train, val, test; "" is to be drawn).
        read: image_id to its encoded bytes, or to decoded uint8 RGB [h, w, 3]. Raises OSError where it cannot.
        refused: (image_id, reason) of what the listing already had to leave out.
        clinical: what is known of each image beside its label, indexed by image_id: age (years), sex, site,
            skin_type, more; of synthetic lesions their factors. nan or "" is unknown. None: nothing is.
        mask: image_id to the lesion's mask, bool [h, w] in the image's proportions, or None where there is none.
        choices: (what, which was taken and why) of the reading. warnings: sentences about the whole collection.
        pairs: (image_id, image_id) that the collection itself names as the same picture.
        path: image_id to the file that holds this image and nothing else, or None where there is no such file. An
            unchanged file need not be read again.
    """

    kind: str
    location: str
    records: pd.DataFrame
    read: Callable[[str], bytes | np.ndarray]
    refused: tuple[tuple[str, str], ...] = field(default=())
    clinical: pd.DataFrame | None = None
    mask: Callable[[str], np.ndarray | None] | None = None
    choices: tuple[tuple[str, str], ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    pairs: tuple[tuple[str, str], ...] = field(default=())
    path: Callable[[str], str | PathLike[str] | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user settles of a reading: columns (or `folder`), and a file that renames, merges and drops classes.

    Empty: it is inferred.
    """

    label: str = ""
    group: str = ""
    image: str = ""
    split: str = ""
    classes: str = ""

    @classmethod
    def of(cls, config: CommonConfig) -> Reading:
        """What a configuration says of it."""
        return cls(**{item.name: getattr(config, item.name) for item in fields(cls)})
