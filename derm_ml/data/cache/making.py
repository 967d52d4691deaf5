"""One pass over a collection: each file is read, hashed and decoded at once, by threads, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derm_ml.data.cache.arrays import Rows, room
from derm_ml.data.cache.compared import compared
from derm_ml.data.cache.describing import DTYPE, SHAPE, WHOLE, describe
from derm_ml.data.cache.kept import DESCRIPTORS, IMAGES, SIZES, Fault, save
from derm_ml.data.decoding import RefusedImage, decode_image
from derm_ml.data.source import Source
from derm_ml.data.threads import in_order
from derm_ml.progress import progress


class Unreadable(Exception):
    """An image that cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Picture:
    """A decoded image: uint8 [s, s, 3], its descriptor, (kind, rule) of mends and flags, width and height in px."""

    pixels: np.ndarray
    descriptor: np.ndarray
    rules: list[tuple[str, str]]
    size: tuple[int, int]


@dataclass(frozen=True)
class Outcome:
    """Of one image: the digest of its content ('': it cannot be read, and why), and a picture or a refusal."""

    digest: str
    picture: Picture | None = None
    reason: str = ""


def digests_of(source: Source, ids: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """image_id to the SHA-256 of its content; and to the reason of those that cannot be read."""

    def digest(image_id: str) -> Outcome:
        try:
            return Outcome(_digest(_read(source, image_id)))
        except Unreadable as error:
            return Outcome("", reason=str(error))

    found, unreadable = {}, {}
    for image_id, outcome in zip(ids, in_order(digest, ids), strict=True):
        found[image_id] = outcome.digest
        if not outcome.digest:
            unreadable[image_id] = outcome.reason
    return found, unreadable


def make(source: Source, known: dict[str, str], size: int, building: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Decode every distinct image into `building`; returns what `digests_of` does.

    Args:
        known: image_id to the digest that its content is believed to have: of equal ones only one is read.

    Raises:
        UserError: the disk is full.
    """
    everything = source.records["image_id"].tolist()
    first: dict[str, str] = {}
    ids = [each for each in everything if each not in known or first.setdefault(known[each], each) == each]
    digests = dict(known)
    unreadable: dict[str, str] = {}
    taken: set[str] = set()
    rows: list[str] = []
    faults: list[Fault] = []

    def work(image_id: str) -> Outcome:
        try:
            content = _read(source, image_id)
        except Unreadable as error:
            return Outcome("", reason=str(error))
        digest = _digest(content)
        if digest in taken:
            return Outcome(digest)
        try:
            return Outcome(digest, _picture(content, size))
        except RefusedImage as refusal:
            return Outcome(digest, reason=str(refusal))
        except Exception as error:  # noqa: BLE001 (whatever a decoder raises is this image's refusal)
            return Outcome(digest, reason=f"cannot be decoded ({_told(error)})")

    needed = len(ids) * (size * size * 3 + int(np.prod(SHAPE)) * np.dtype(DTYPE).itemsize + 8)
    files: list[Rows] = []
    try:
        with room(building, needed), progress("Decoding", len(ids)) as bar:
            files.append(images := Rows(building / IMAGES, np.uint8, (size, size, 3), len(ids)))
            files.append(descriptors := Rows(building / DESCRIPTORS, DTYPE, SHAPE, len(ids)))
            files.append(sizes := Rows(building / SIZES, np.int32, (2,), len(ids)))
            for image_id, outcome in zip(ids, in_order(work, ids), strict=True):
                bar.advance()
                digests[image_id] = outcome.digest
                if not outcome.digest:
                    unreadable[image_id] = outcome.reason
                elif outcome.digest not in taken:
                    taken.add(outcome.digest)
                    if outcome.picture is None:
                        faults.append((outcome.digest, "refused", outcome.reason))
                        continue
                    picture = outcome.picture
                    images.append(picture.pixels)
                    descriptors.append(picture.descriptor)
                    sizes.append(np.array(picture.size, np.int32))
                    faults += [(outcome.digest, kind, rule) for kind, rule in picture.rules]
                    rows.append(outcome.digest)
            for each in files:
                each.finish()
            near = compared(rows, np.load(building / DESCRIPTORS, mmap_mode="r", allow_pickle=False))
            save(building, rows, faults, near)
    finally:
        for each in files:
            each.close()
    # A copy that was not read has what was read of the first.
    for image_id, digest in known.items():
        if first[digest] != image_id:
            digests[image_id] = digests[first[digest]]
            if not digests[image_id]:
                unreadable[image_id] = unreadable[first[digest]]
    return {image_id: digests[image_id] for image_id in everything}, unreadable


def _picture(content: bytes | np.ndarray, size: int) -> Picture:
    decoded = decode_image(content, (size,), WHOLE)
    rules = [("mended", rule) for rule in decoded.mends]
    if decoded.verdict is not None:
        kind, reason = decoded.verdict
        if kind == "refuse":
            raise RefusedImage(reason)
        rules.append(("flagged", reason))
    return Picture(decoded.squares[0], describe(decoded.whole), rules, decoded.size)


def _read(source: Source, image_id: str) -> bytes | np.ndarray:
    try:
        return source.read(image_id)
    except RefusedImage as refusal:
        raise Unreadable(str(refusal)) from refusal
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}" if error.errno else str(error)) from error
    except Exception as error:
        raise Unreadable(f"cannot be read ({_told(error)})") from error


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _digest(content: bytes | np.ndarray) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else np.ascontiguousarray(content).data).hexdigest()
