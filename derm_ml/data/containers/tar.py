"""WebDataset shards: members of tar files, listed once by their headers and then read at any place.

The package of that name streams shards in their order; here every image is looked up by its content and its place in
the cache, so that an index of offsets (Python's tarfile reads it) and `pread` or a ranged request do.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from derm_ml.data.containers.blobs import Blob, split_of
from derm_ml.data.source import COLUMNS, Source
from derm_ml.errors import UserError

IMAGES = {"jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "jp2", "heic", "dcm"}
LARGEST = 2**30  # bytes of one member
LABEL_LARGEST = 2**20


@dataclass
class _Shard:
    """Images of a shard: member name to (start, length); labels of keys; what was left out and why."""

    images: dict[str, tuple[int, int]] = field(default_factory=dict)
    labels: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)


def tar_source(spec: str, blobs: list[Blob], labelled: bool) -> Source:
    """Images of tar shards; labels are those of siblings: `KEY.cls`, or "label" in `KEY.json`.

    Raises:
        UserError: no image in any shard.
    """
    rows: list[tuple[str, str, str, str]] = []
    starts: list[int] = []
    lengths: list[int] = []
    owners: list[int] = []
    refused: list[tuple[str, str]] = []
    for number, blob in enumerate(blobs):
        shard = _list(blob)
        refused += shard.refused
        split = split_of(blob.name)
        for name, (start, length) in shard.images.items():
            label = _label(blob, shard, _key(name)) if labelled else ""
            rows.append((f"{blob.name}/{name}", label, "", split if labelled else ""))
            starts.append(start)
            lengths.append(length)
            owners.append(number)
    if not rows:
        reason = f": {refused[0][0]}: {refused[0][1]}" if refused else ""
        raise UserError(f"data={spec}: no images in {len(blobs):,} tar shards{reason}")
    places = np.array([owners, starts, lengths], dtype=np.int64)
    order = {row[0]: at for at, row in enumerate(rows)}

    def read(image_id: str) -> bytes:
        owner, start, length = (int(each) for each in places[:, order[image_id]])
        return blobs[owner].at(start, length)

    records = pd.DataFrame(rows, columns=COLUMNS, dtype=str)
    told = f"{len(rows):,} members of {len(blobs):,} tar shards"
    return Source("webdataset", spec, records, read, tuple(refused), choices=(("images", told),))


def _key(name: str) -> str:
    """A sample's key: the name up to the first dot of its last part, as WebDataset has it."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.split(".", 1)[0] or path.name))


def _list(blob: Blob) -> _Shard:
    """A shard's members by their headers alone."""
    shard, seen = _Shard(), set()
    try:
        with blob.open() as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # tarfile keeps them all
                name = member.name
                shown = f"{blob.name}/{name.encode('utf-8', 'backslashreplace').decode()}"
                if member.isdir():
                    continue
                problem = _problem(member, blob.size)
                if not problem and name in seen:
                    problem = "a second member of this name: the first is taken"
                if problem:
                    shard.refused.append((_unused(shown, shard.refused), problem))
                    continue
                seen.add(name)
                _take(shard, name, member, shown)
            end = archive.offset
        _check_end(blob, end, shard)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        where = "what was listed before it is read" if shard.images else "nothing of it is read"
        shard.refused.append((blob.name, f"damaged or cut tar ({error}): {where}"))
    return shard


def _unused(shown: str, refused: list[tuple[str, str]]) -> str:
    """A name of its own for the report, where members have one name."""
    return f"{shown} (member {len(refused)})" if any(name == shown for name, _ in refused) else shown


def _problem(member: tarfile.TarInfo, size: int) -> str:
    if member.issym() or member.islnk():
        return f"a link (to {member.linkname}): only members with content are read"
    if not member.isfile():
        return "neither a file nor a link"
    if member.issparse():
        return "a sparse member"
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return "an absolute name, or one that leads out of the archive"
    if member.size > LARGEST:
        return f"too large: {member.size:,} bytes, more than {LARGEST:,}"
    if member.offset_data + member.size > size:
        return f"cut: the shard ends after {max(0, size - member.offset_data):,} of its {member.size:,} bytes"
    return ""


def _take(shard: _Shard, name: str, member: tarfile.TarInfo, shown: str) -> None:
    last = PurePosixPath(name).name
    kind = last.rsplit(".", 1)[-1].lower() if "." in last else ""
    if last.startswith("."):
        shard.refused.append((shown, "a hidden file"))
    elif kind in IMAGES and name.isprintable():
        shard.images[name] = member.offset_data, member.size
    elif kind in IMAGES:
        shard.refused.append((shown, "its name has characters that cannot be printed"))
    elif kind in ("cls", "json") and member.size <= LABEL_LARGEST:
        if kind == "cls" or _key(name) not in shard.labels:
            shard.labels[_key(name)] = kind, member.offset_data, member.size
    elif kind not in ("txt", "json", "cls"):
        shard.refused.append((shown, f"not an image: {kind or 'no'} suffix"))


def _check_end(blob: Blob, end: int, shard: _Shard) -> None:
    """tarfile takes a damaged header in the middle for the end: an end is blocks of zeros."""
    if end >= blob.size:
        shard.refused.append((blob.name, "ends without a tar's end mark: it may be cut"))
    elif blob.at(end, min(512, blob.size - end)).strip(b"\0"):
        shard.refused.append((blob.name, f"damaged at byte {end:,} of {blob.size:,}: what follows is not read"))


def _label(blob: Blob, shard: _Shard, key: str) -> str:
    """The label of a key, '' where there is none that can be read."""
    if key not in shard.labels:
        return ""
    kind, start, length = shard.labels[key]
    try:
        text = blob.at(start, length).decode()
        found = json.loads(text).get("label") if kind == "json" else text
    except (OSError, ValueError, AttributeError):
        shard.refused.append((f"{blob.name}/{key}.{kind}", "its label cannot be read: the image has none"))
        return ""
    return " ".join(str(found).split()) if isinstance(found, str | int) else ""
