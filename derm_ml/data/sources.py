"""Where images come from, told apart by what is there: each source lists its images and reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from derm_ml.data.source import COLUMNS, SPLITS, Source
from derm_ml.data.synthetic import SyntheticSpec, draw, lesion_factors
from derm_ml.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}


def open_source(spec: str, *, labelled: bool = True) -> Source:
    """Recognise a data set.

    Args:
        spec: `synthetic[:n=..,size=..,seed=..]`, `dermamnist[:28|64|128|224]`, a directory, or a CSV file.
        labelled: False: neither labels nor given splits are read, so that all images of a folder do, wherever in it.

    Raises:
        UserError: nothing there, nothing recognised, or a table without its columns.
    """
    source = _recognise(spec, labelled)
    return source if labelled else replace(source, records=source.records.assign(label="", split=""))


def _recognise(spec: str, labelled: bool) -> Source:
    name, _, options = spec.partition(":")
    if name == "synthetic":
        return _synthetic(SyntheticSpec.parse(options))
    if name == "dermamnist":
        return _dermamnist(options or "64")
    path = Path(spec).expanduser()
    if path.is_file() and path.suffix.lower() == ".csv":
        return _csv(path, labelled)
    if not path.is_dir():
        raise UserError(f"data={spec}: no such directory: give a folder of images, a CSV, 'synthetic' or 'dermamnist'")
    if (path / "HAM10000_metadata.csv").is_file():
        return _ham10000(path)
    tables = [each for each in sorted(path.glob("*.csv")) if "path" in pd.read_csv(each, nrows=0).columns]
    if len(tables) == 1:
        return _csv(tables[0], labelled)
    if len(tables) > 1:
        raise UserError(f"data={spec}: {len(tables)} CSV files with a path column: give the one to use as data=FILE")
    return _folders(path, labelled)


def _table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype=str)


def _file_reader(root: Path) -> Callable[[str], bytes]:
    return lambda image_id: (root / image_id).read_bytes()


def _files(root: Path) -> list[Path]:
    """Every visible file below `root`, in the order of its name."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return found


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
    from medmnist import INFO

    names = INFO["dermamnist"]["label"]
    rows, images = [], {}
    with np.load(root / name, allow_pickle=False) as archive:
        for split in SPLITS:
            pictures = archive[f"{split}_images"]
            for number, label in enumerate(archive[f"{split}_labels"].ravel()):
                image_id = f"{split}_{number:05d}"
                images[image_id] = pictures[number]
                rows.append((image_id, names[str(int(label))], image_id, split))
    return Source("dermamnist", str(root / name), _table(rows), lambda image_id: images[image_id])


def _ham10000(root: Path) -> Source:
    table = pd.read_csv(root / "HAM10000_metadata.csv", dtype=str, keep_default_na=False)
    missing = {"image_id", "dx", "lesion_id"} - set(table.columns)
    if missing:
        raise UserError(f"{root / 'HAM10000_metadata.csv'}: no column {', '.join(sorted(missing))}")
    files: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in _files(root):
        if path.suffix.lower() in SUFFIXES:
            if "segmentation" in str(path.relative_to(root)).lower():
                masks.setdefault(path.stem.removesuffix("_segmentation"), path)
            else:
                files.setdefault(path.stem, path.relative_to(root))
    rows, refused, known = [], [], {}
    for record in table.itertuples():
        found = files.pop(str(record.image_id), None)
        if found is None:
            refused.append((str(record.image_id), "in HAM10000_metadata.csv, but no image file has this name"))
        else:
            rows.append((str(found), str(record.dx), str(record.lesion_id), ""))
            known[str(found)] = {name: getattr(record, name, "") for name in ("age", "sex", "localization")}
    refused += [(str(path), "no row in HAM10000_metadata.csv") for path in files.values()]
    clinical = _clinical(pd.DataFrame.from_dict(known, orient="index").rename(columns={"localization": "site"}))
    by_image = {image: masks[Path(image).stem] for image in known if Path(image).stem in masks}
    return Source(
        "ham10000", str(root), _table(rows), _file_reader(root), tuple(refused), clinical, _mask_reader(by_image)
    )


def _clinical(table: pd.DataFrame) -> pd.DataFrame:
    """Age in years (nan where it is no number), sex and site in lower case ("" where unknown)."""
    made = pd.DataFrame(index=table.index)
    if "age" in table:
        made["age"] = pd.to_numeric(table["age"], errors="coerce")
    for name in ("sex", "site"):
        if name in table:
            made[name] = table[name].astype(str).str.strip().str.lower().replace("unknown", "")
    return made


def _mask_reader(masks: dict[str, Path]) -> Callable[[str], np.ndarray | None] | None:
    """A reader of mask files: what is brighter than half is the lesion; a file that cannot be read is no mask.

    A file of nothing but 0 and 1 is taken at its word.
    """
    if not masks:
        return None

    def read(image_id: str) -> np.ndarray | None:
        from PIL import Image

        if image_id not in masks:
            return None
        try:
            with Image.open(masks[image_id]) as image:
                pixels = np.asarray(image.convert("L"))
        except (OSError, ValueError, Image.DecompressionBombError):
            return None
        return np.asarray(pixels > (127 if pixels.max() > 1 else 0))

    return read


def _csv(path: Path, labelled: bool) -> Source:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = table if labelled else table.drop(columns=["label", "split"], errors="ignore").assign(label="")
    missing = {"path", "label"} - set(table.columns)
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(sorted(missing))} (it has {', '.join(table.columns)}): "
            "a data CSV has path and label, and may have group and split"
        )
    for name in ("group", "split"):
        if name not in table:
            table[name] = ""
    table["split"] = table["split"].str.strip().str.lower().replace({"training": "train", "validation": "val"})
    unknown = sorted(set(table["split"]) - {*SPLITS, ""})
    if unknown:
        raise UserError(f"{path}: split {unknown[0]!r} is not known: use train, val, test, or leave it empty")
    rows = [(str(r.path), str(r.label).strip(), str(r.group), str(r.split)) for r in table.itertuples()]
    if not rows:
        raise UserError(f"{path}: no rows")
    table.index = pd.Index(table["path"])
    masks = {image: path.parent / mask for image, mask in table["mask"].items() if mask} if "mask" in table else {}
    clinical = _clinical(table[~table.index.duplicated()])
    return Source(
        "csv",
        str(path),
        _table(rows),
        _file_reader(path.parent),
        clinical=clinical if len(clinical.columns) else None,
        mask=_mask_reader({str(image): mask for image, mask in masks.items()}),
    )


def _folders(root: Path, labelled: bool) -> Source:
    """A folder a class; where no image lies in a folder of its own, or none is asked for, images without labels."""
    found = [path.relative_to(root) for path in _files(root)]
    images = [each for each in found if each.suffix.lower() in SUFFIXES]
    labelled = labelled and any(len(each.parts) > 1 for each in images)
    rows, refused = [], []
    for each in found:
        if each.suffix.lower() not in SUFFIXES:
            refused.append((str(each), f"not an image: {each.suffix or 'no'} suffix"))
        elif labelled and len(each.parts) == 1:
            refused.append((str(each), "beside the class folders: move it into the folder of its class"))
        else:
            rows.append((str(each), each.parts[0] if labelled else "", "", ""))
    if not rows:
        seen = f"{len(refused)} files, none an image" if refused else "it is empty"
        raise UserError(
            f"data={root}: no images recognised ({seen}): looked for HAM10000_metadata.csv, a CSV with a path "
            "column, a folder a class, and images without labels"
        )
    kind = "folders" if labelled else "unlabelled folder"
    return Source(kind, str(root), _table(rows), _file_reader(root), tuple(refused))
