"""Groups that files tell where no table or folder does: DICOM's patients, photographs of one name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from derm_ml.data.collections.choice import Choice
from derm_ml.data.collections.listing import suffix
from derm_ml.data.collections.names import MODALITIES, STRUCTURE, words
from derm_ml.data.collections.pictures import Pictures
from derm_ml.data.missing import cleaned

DICOM = frozenset({".dcm", ".dicom", ""})
MOSTLY = 0.5  # of the images, that must be DICOM
NEARLY_ALL = 0.9  # of the images, that must have one of the same name in another modality
DEFLATED = b"1.2.840.10008.1.2.1.99"  # pydicom inflates such a file whole before it can be asked anything
HEAD = 2048  # bytes, in which a file's transfer syntax is named


def by_file(pictures: Pictures, files: pd.Series) -> Choice | None:
    """Groups of the images at these positions, "" for none; None where the files tell none."""
    names = [pictures.names[position] for position in files]
    found = _dicom_patients(pictures, names) or _modalities(names)
    return None if found is None else Choice(pd.Series(found[0], index=files.index, dtype=object), found[1])


def _dicom_patients(pictures: Pictures, names: Sequence[str]) -> tuple[list[str], str] | None:
    """PatientID of every file's header; neither pixels nor other fields are read."""
    perhaps = sum(suffix(name) in DICOM for name in names)
    if perhaps <= MOSTLY * len(names):
        return None
    try:
        import pydicom
    except ImportError:  # each file is then refused with the name of the extra
        return None
    patients = [_patient(pydicom, pictures.root / name) if name not in pictures.members else "" for name in names]
    patients = cleaned(pd.Series(patients, dtype=object)).tolist()
    known, different = sum(map(bool, patients)), len(set(patients) - {""})
    if different < 2:  # `anonymous`
        return None
    return patients, f"PatientID of the DICOM files ({different:,} patients, of {known:,} images)"


def _patient(pydicom: object, path: Path) -> str:
    try:
        with path.open("rb") as file:
            if DEFLATED in file.read(HEAD):
                return ""
            file.seek(0)
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])  # type: ignore[attr-defined]
        return str(header.get("PatientID") or "")
    except Exception:  # noqa: BLE001 of whatever a damaged file raises: decoding it gives the reason
        return ""


def _modalities(names: Sequence[str]) -> tuple[list[str], str] | None:
    """Photographs whose paths differ in the word of a modality alone: `clinical/001.jpg`, `dermoscopy/001.jpg`."""
    keys, kinds = zip(*(_without_modality(name) for name in names), strict=True) if names else ((), ())
    seen: dict[str, set[str]] = {}
    for key, kind in zip(keys, kinds, strict=True):
        seen.setdefault(key, set()).add(kind)
    paired = [key if len(seen[key] - {""}) > 1 else "" for key in keys]
    count = sum(map(bool, paired))
    if count < NEARLY_ALL * len(names) or count < 4:
        return None
    told = " and ".join(sorted({kind for kind in kinds if kind})[:4])
    return paired, f"photographs of one name in {told} ({count:,} of {len(names):,}) are of one lesion"


def _without_modality(name: str) -> tuple[str, str]:
    """(the path without suffix and without its words of modalities, these)."""
    kinds, kept = [], []
    for part in name[: len(name) - len(suffix(name))].lower().split("/"):
        said = words(part)
        if said and any(word in MODALITIES for word in said) and all(w in MODALITIES | STRUCTURE for w in said):
            kinds += [word for word in said if word in MODALITIES]
            continue
        tokens = re.split(r"[\W_]+", part)
        kinds += [token for token in tokens if token in MODALITIES]
        kept.append(" ".join(token for token in tokens if token not in MODALITIES))
    return "/".join(kept), " ".join(kinds)
