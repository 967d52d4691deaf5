"""Another collection that the trained heads are scored on: its images, its classes under our names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd

from derm_ml.config import CompareConfig
from derm_ml.data.dataset import ImageDataset, prepare
from derm_ml.data.source import Reading
from derm_ml.errors import UserError
from derm_ml.pipelines.arms import EncoderFiles, joined_pretraining
from derm_ml.pipelines.setup import Setting


def open_external(config: CompareConfig, own: Setting) -> tuple[Setting, dict[str, int]]:
    """The collection as one test split under the data's class names; and why images of it are left out, with counts.

    Images that are in the data as well (the same content) are left out: they may have been trained on.

    Raises:
        UserError: it cannot be read, a class name is not mapped, or nothing is left.
    """
    dataset = prepare(
        config.external, config.image_size, None, reading=Reading(label=config.external_label), parameter="external"
    )
    table = dataset.table.copy()
    names = class_map(config.external_classes, set(table["label"]) - {""}, own.dataset.classes)
    reasons = pd.Series("", index=table.index)
    reasons[table["label"] == ""] = "without a label"
    mapped = table["label"].map(lambda label: names.get(label, ""))
    reasons[(reasons == "") & (mapped == "")] = "of a class that has no counterpart"
    reasons[(reasons == "") & table["content"].isin(set(own.dataset.table["content"]))] = "also in the data itself"
    codes = {name: code for code, name in enumerate(own.dataset.classes)}
    table["label"] = mapped
    table["code"] = np.where(reasons == "", mapped.map(codes).fillna(-1), -1).astype(np.int64)
    left_out = dict(Counter(reasons[reasons != ""]))
    if not (table["code"] >= 0).any():
        raise UserError(f"external={config.external}: no image is left to score: {_told(left_out)}")
    return replace(own, dataset=replace(dataset, table=table, classes=own.dataset.classes)), left_out


def check_external(dataset: ImageDataset, encoders: Sequence[EncoderFiles]) -> None:
    """Refuse to score on a collection that an encoder was pretrained on, as its own data or beside it.

    Raises:
        UserError: naming the encoder.
    """
    for files in encoders:
        if files.facts.get("data.fingerprint") == dataset.fingerprint or joined_pretraining(files, dataset):
            raise UserError(
                f"external: {files.uri} was pretrained with images of this collection: it is not external to it; "
                "compare an encoder that was pretrained without"
            )


def class_map(path: str, found: set[str], classes: Sequence[str]) -> Mapping[str, str]:
    """External class name to ours; an empty one leaves the class out.

    Args:
        path: CSV with the columns external,class; empty: the names are the same.
        found: the external collection's names. classes: ours.

    Raises:
        UserError: the file is no such CSV, or a name is not covered.
    """
    if path:
        if not Path(path).is_file():
            raise UserError(f"external_classes={path}: no such file: give a CSV with the columns external,class")
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
        table = table.map(lambda text: " ".join(normalize("NFC", text).split()))  # as the data's own names are read
        if not {"external", "class"} <= set(table.columns):
            raise UserError(f"external_classes={path}: it has {', '.join(table.columns)}, not external,class")
        twice = table["external"][table["external"].duplicated()].tolist()
        if twice:
            raise UserError(f"external_classes={path}: {twice[0]!r} is there twice: keep one row of it")
        names = dict(zip(table["external"], table["class"], strict=True))
    else:
        names = {name: name for name in found}
    unknown = sorted({ours for ours in names.values() if ours and ours not in classes} & set(names.values()))
    unmapped = sorted(found - set(names))
    if unmapped or (unknown and path):
        wrong = f"class {unmapped[0]!r} has no row" if unmapped else f"{unknown[0]!r} is no class of the data"
        raise UserError(f"external_classes={path}: {wrong}: the data's classes are {', '.join(classes)}")
    if unknown:
        raise UserError(
            f"external: its classes {', '.join(unknown)} are not the data's ({', '.join(classes)}): give "
            "external_classes=FILE, a CSV with the columns external,class; an empty class is left out"
        )
    return names


def _told(left_out: Mapping[str, int]) -> str:
    return "; ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
