"""From a collection to its decoded images: found by the content of its files, or made now."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from derm_ml.data.cache.kept import Cache, DamagedCache, covers, load
from derm_ml.data.cache.making import digests_of, make
from derm_ml.data.cache.place import alone, cache_root, writable
from derm_ml.data.cache.remembered import Remembered
from derm_ml.data.source import Source
from derm_ml.errors import UserError

CACHE_FORMAT = 7  # raise it when decoding or scaling changes: old caches are then made anew
TRIED = 32  # images that are hashed first, to see whether a collection under new names is an old one
LATEST = 20  # caches that are looked into for them


def open_cache(source: Source, image_size: int) -> Cache:
    """The decoded images of a source.

    Contents count, not names: files that were not touched since they were last read are known by their stamps, all
    others are read. A collection that moved finds its cache.

    Raises:
        UserError: the cache cannot be written, or the disk is full.
    """
    return _Opening(source, image_size).open()


def lock_name(source: Source, size: int) -> str:
    """What one process of a user makes at a time."""
    where = f"{os.getuid()} {Path(source.location).absolute()} {size}"
    return hashlib.sha256(os.fsencode(where)).hexdigest()[:32]


class _Opening:
    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size
        self._ids: list[str] = source.records["image_id"].tolist()
        self._remembered = Remembered(source)
        self._digests = self._remembered.digests()
        self._unreadable: dict[str, str] = {}

    def open(self) -> Cache:
        cache = self._found()
        if cache is not None:
            return cache
        root = writable(cache_root() / "images")
        with alone(root, lock_name(self._source, self._size)) as (building, waited):
            if waited:
                self._digests |= Remembered(self._source).digests()
                cache = self._found()
                if cache is not None:
                    return cache
            known = {image_id: digest for image_id, digest in self._digests.items() if digest}
            digests, self._unreadable = make(self._source, known, self._size, building)
            self._digests = digests
            folder = self._publish(building)
        self._remembered.keep(digests)
        return load(folder, self._size, digests, self._unreadable)

    def _found(self) -> Cache | None:
        """The cache that is there already, hashing what it takes to know."""
        unknown = [image_id for image_id in self._ids if image_id not in self._digests]
        if unknown:
            self._hash(unknown[:TRIED])
            tried = [digest for digest in map(self._digests.__getitem__, unknown[:TRIED]) if digest]
            if len(unknown) > TRIED and not any(covers(each, tried) for each in self._latest()):
                return None
            self._hash(unknown[TRIED:])
        for folder in self._folders():
            try:
                cache = load(folder, self._size, self._in_order(), self._unreadable)
            except DamagedCache:
                continue
            if unknown:
                self._remembered.keep(self._digests)
            return cache
        return None

    def _hash(self, ids: list[str]) -> None:
        digests, unreadable = digests_of(self._source, ids)
        self._digests |= digests
        self._unreadable |= unreadable

    def _in_order(self) -> dict[str, str]:
        return {image_id: self._digests[image_id] for image_id in self._ids}

    def _latest(self) -> list[Path]:
        """Caches of this size, the newest first."""
        found = [each for each in (cache_root() / "images").glob(f"{self._size}px-*") if each.is_dir()]
        return sorted(found, key=lambda each: each.stat().st_mtime, reverse=True)[:LATEST]

    def _folders(self) -> tuple[Path, Path]:
        """Where the cache of these contents lies: everybody's, or this user's where that one cannot be used."""
        contents = sorted(set(self._digests.values()) - {""})
        key = hashlib.sha256(repr((CACHE_FORMAT, self._size, contents)).encode()).hexdigest()[:32]
        shared = cache_root() / "images" / f"{self._size}px-{key}"
        return shared, shared.with_name(f"{shared.name}-{os.getuid()}")

    def _publish(self, building: Path) -> Path:
        """Make a finished cache visible, whole or not at all, by a rename."""
        problem: OSError | DamagedCache | None = None
        for folder in self._folders():
            try:
                building.rename(folder)
                return folder
            except OSError as error:  # somebody was first; what is there has the same content, or is damaged
                problem = error
            try:
                load(folder, self._size, self._digests, {})
                return folder
            except DamagedCache as error:
                problem = error
            try:
                aside = building.with_name(f".building-{folder.name}-damaged")
                folder.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
                building.rename(folder)
                return folder
            except OSError as error:
                problem = error
        raise UserError(f"the cache of decoded images, {folder}, can neither be read nor replaced ({problem})")
