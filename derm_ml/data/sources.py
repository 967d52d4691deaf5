"""Where images come from, told apart by what is there: each source lists its images and reads them."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from derm_ml.data.collections.reading import read_collection
from derm_ml.data.containers import open_container
from derm_ml.data.containers.npz import medmnist_source
from derm_ml.data.source import COLUMNS, Reading, Source
from derm_ml.data.synthetic import SyntheticSpec, draw, lesion_factors
from derm_ml.errors import UserError


def open_source(spec: str, reading: Reading | None = None, *, labelled: bool = True) -> Source:
    """Recognise a data set.

    Args:
        spec: `synthetic[:n=..,size=..,seed=..]`, `dermamnist[:28|64|128|224]`, a directory, or a table of images.
        reading: what the user settles of it.
        labelled: False: neither labels nor given splits are read, so that all images of a folder do, wherever in it.

    Raises:
        UserError: nothing there, nothing recognised, or a reading that cannot be sure.
    """
    source = _recognise(spec, reading or Reading(), labelled)
    pa.default_memory_pool().release_unused()  # of a table of a million rows it keeps 250 MiB that nothing needs
    return source if labelled else replace(source, records=source.records.assign(label="", split=""))


def _recognise(spec: str, reading: Reading, labelled: bool) -> Source:
    name, _, options = spec.partition(":")
    if name == "synthetic":
        return _synthetic(SyntheticSpec.parse(options))
    if name == "dermamnist":
        return _dermamnist(options or "64")
    if (container := open_container(spec, labelled, reading)) is not None:
        return container
    path = Path(spec).expanduser()
    if not path.is_dir() and not path.is_file():
        if path.exists():
            raise UserError(f"data={spec}: neither a regular file nor a folder: give a folder of images or a table")
        raise UserError(
            f"data={spec}: no such directory or file: give a folder of images, a table of them, 'synthetic' or "
            "'dermamnist'"
        )
    return read_collection(spec, reading, labelled=labelled)


def _table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype=str)


def _synthetic(spec: SyntheticSpec) -> Source:
    rows, where, known = [], {}, {}
    for lesion, view in spec.views():
        image_id = f"lesion_{lesion:06d}_{view}"
        where[image_id] = (lesion, view)
        factors, label = lesion_factors(lesion, spec.seed)
        known[image_id] = {name: float(value) for name, value in asdict(factors).items()}
        rows.append((image_id, label, f"lesion_{lesion:06d}", ""))
    clinical = pd.DataFrame.from_dict(known, orient="index")
    location = f"synthetic:n={spec.n},size={spec.size},seed={spec.seed}"
    return Source(
        "synthetic",
        location,
        _table(rows),
        lambda image_id: draw(*where[image_id], spec.size, spec.seed),
        clinical=clinical,
    )


def _dermamnist(size: str) -> Source:
    if size not in {"28", "64", "128", "224"}:
        raise UserError(f"data=dermamnist:{size}: DermaMNIST comes in 28, 64, 128 and 224 px")
    name = "dermamnist.npz" if size == "28" else f"dermamnist_{size}.npz"
    root = Path(os.environ.get("DERM_ML_DATA", "~/.medmnist")).expanduser()
    if not (root / name).is_file():
        try:
            from medmnist import DermaMNIST

            root.mkdir(parents=True, exist_ok=True)
            DermaMNIST(split="train", download=True, root=str(root), size=int(size))
        except Exception as error:  # of the package or the network: its kind is told
            raise UserError(
                f"data=dermamnist: {root / name} is not there and could not be downloaded ({type(error).__name__}): "
                f"put {name} from Zenodo record 10519652 into {root}, or set DERM_ML_DATA to its folder"
            ) from error
    return medmnist_source(root / name)
