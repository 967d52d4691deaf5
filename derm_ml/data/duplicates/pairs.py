"""Near duplicates among many pictures: the most alike by the network, kept where a fitted map shows one texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derm_ml.data.duplicates.consensus import agreed
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.duplicates.geometry import Copies, Maps, even_agreement, fitted, of_wholes, proposed
from derm_ml.data.duplicates.index import neighbours, whitened
from derm_ml.data.duplicates.network import PLACE, PLACES, VECTOR, CopyNetwork
from derm_ml.data.duplicates.view import middle
from derm_ml.progress import progress

SAME = 0.55  # correlation of fine texture above which two pictures are one photograph
VOTES = 3.0  # for one map, below which it is not fitted
ROUGH, HOPEFUL = 0.60, 0.22  # even correlation at 48 px, and of fine texture before its fit, below which it is given up
SEEN = 0.4  # of the first field of view, that the second must show
SCALES = (0.4, 1.6)  # of a fitted map, in both directions
PRESSED = 1.5  # ratio of these: a picture pressed into a square has 1.33
BATCH, BLOCK = 32, 512  # pictures, and pairs, at once


def near_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int]]:
    """Pairs (i < j) of rows that show the same photograph.

    Args:
        rows: uint8 [n, d] of `describe_picture`. between: where given, only pairs of a row before and one from this
            border on.
    """
    return [(i, j) for i, j, _ in scored_pairs(rows, between)]


def scored_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int, float]]:
    """`near_pairs`, each with the correlation of its fine texture."""
    if len(rows) < 2:
        return []
    table = np.ascontiguousarray(rows).view(ROW).reshape(-1)
    seen = _seen(table)
    pairs = _likely(seen, between)
    scores = np.zeros(len(pairs))
    # In the order of the pairs: few pictures are held at once.
    with progress("Comparing likely copies", len(pairs), "pairs") as bar:
        for start in range(0, len(pairs), BLOCK):
            part = pairs[start : start + BLOCK]
            scores[start : start + len(part)] = _compared(part, seen, table)
            bar.advance(len(part))
    best: dict[tuple[int, int], float] = {}
    for k in np.flatnonzero(scores > SAME):
        i, j = (pairs[k] % len(table)).tolist()
        best[min(i, j), max(i, j)] = max(best.get((min(i, j), max(i, j)), 0), float(scores[k]))
    return [(i, j, score) for (i, j), score in sorted(best.items())]


@dataclass(frozen=True)
class Seen:
    """Of n pictures by the network: vectors [2n, d] and places [2n, p, c], of the wholes and then of their middles."""

    vectors: np.ndarray
    places: np.ndarray


def _seen(table: np.ndarray) -> Seen:
    network, count = CopyNetwork(), len(table)
    vectors = np.empty((2 * count, VECTOR), np.float32)
    places = np.empty((2 * count, PLACES**2, PLACE), np.int8)
    with progress("Describing pictures", count, "pictures") as bar:
        for start in range(0, count, BATCH):
            rows = table[start : start + BATCH]
            wholes = rows["copy"]
            middles = np.stack([middle(row["copy"], int(row["height"]), int(row["width"])) for row in rows])
            for first, copies in ((start, wholes), (count + start, middles)):
                vectors[first : first + len(rows)], places[first : first + len(rows)] = network.describe(copies)
            bar.advance(len(rows))
    return Seen(vectors, places)


def _likely(seen: Seen, between: int | None) -> np.ndarray:
    """Views (k, l) that may show one photograph, int64 [m, 2]: k a whole, or a middle (number + n), and l a whole."""
    vectors = whitened(seen.vectors)
    count = len(vectors) // 2
    wholes = neighbours(vectors[:count], vectors[:count], between)
    middles = neighbours(vectors[:count], vectors[count:], between)
    wholes = np.unique(np.sort(wholes, axis=1), axis=0)
    return np.concatenate([wholes, middles + [count, 0]])


def _compared(pairs: np.ndarray, seen: Seen, table: np.ndarray) -> np.ndarray:
    """Correlation of the fine texture of each pair, float [n]; 0 where no map is agreed on or fits."""
    found = agreed(seen.places[pairs[:, 0]], seen.places[pairs[:, 1]])
    voted = np.flatnonzero(found.votes > VOTES)
    scores = np.zeros(len(pairs))
    if len(voted):
        count = len(table)
        used, among = np.unique(pairs[voted] % count, return_inverse=True)
        shapes = np.stack([table["height"][used], table["width"][used]], axis=1)
        among = among.reshape(-1, 2)
        found = of_wholes(found.part(voted), pairs[voted, 0] >= count, shapes[among[:, 0]])
        scores[voted] = _texture(proposed(among, found), table["copy"][used], shapes.astype(np.float32))
    return scores


def _texture(maps: Maps, copies: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Correlation of the fine texture of each pair under its fitted map, float [n]; 0 where no sensible map fits."""
    maps, copies, shapes = _alone(maps, copies, shapes)
    maps = fitted(maps, Copies(copies, 2), shapes, 4, 10)
    half = Copies(copies, 1)
    maps = fitted(maps, half, shapes, 3, 14)
    scores = np.zeros(len(maps.source))
    hopeful = _above(ROUGH, maps, half, shapes, np.arange(len(maps.source)))
    if len(hopeful):
        maps, copies, shapes = _alone(maps.part(hopeful), copies, shapes)
        fine = Copies.fine(copies)
        still = _above(HOPEFUL, maps, fine, shapes, np.arange(len(hopeful)))
        maps = fitted(maps.part(still), fine, shapes, 3, 32)
        value, seen = even_agreement(maps, fine, shapes)
        scores[hopeful[still]] = np.where((seen > SEEN) & _sensible(maps), value, 0)
    return scores


def _alone(maps: Maps, copies: np.ndarray, shapes: np.ndarray) -> tuple[Maps, np.ndarray, np.ndarray]:
    """The pictures that these maps are of, and no others; the maps by their places among them."""
    used, places = np.unique(np.concatenate([maps.source, maps.target]), return_inverse=True)
    count = len(maps.source)
    return Maps(places[:count], places[count:], maps.linear, maps.shift), copies[used], shapes[used]


def _above(limit: float, maps: Maps, copies: Copies, shapes: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which of these maps show the same texture so far: most candidates fall here, before the dear steps."""
    maps = maps.part(among)
    value, seen = even_agreement(maps, copies, shapes)
    return np.asarray(among[(value > limit) & (seen > SEEN) & _sensible(maps)])


def _sensible(maps: Maps) -> np.ndarray:
    sizes = np.linalg.svd(maps.linear, compute_uv=False)
    return np.asarray((sizes[:, 1] > SCALES[0]) & (sizes[:, 0] < SCALES[1]) & (sizes[:, 0] < PRESSED * sizes[:, 1]))
