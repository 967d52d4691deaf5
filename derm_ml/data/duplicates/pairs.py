"""Near duplicates among many pictures: the most alike by the network, kept where a fitted map shows one texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from derm_ml.data.duplicates.consensus import agreed
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.duplicates.geometry import Copies, Maps, even_agreement, fitted, of_wholes, proposed
from derm_ml.data.duplicates.index import neighbours, whitened
from derm_ml.data.duplicates.network import PLACE, PLACES, VECTOR, CopyNetwork
from derm_ml.data.duplicates.view import middle
from derm_ml.data.threads import in_order
from derm_ml.progress import progress

SAME = 0.50  # correlation of fine texture above which two pictures are one photograph
VOTES = 10.0  # for one map, below which it is not fitted
SURE, DOUBT = 12.0, 0.04  # votes that suffice, and the correlation that each one fewer asks for
ROUGH, HOPEFUL = 0.60, 0.22  # even correlation at 48 px, and of fine texture before its fit, below which it is given up
SEEN = 0.33  # of the first picture, that must be inside both fields of view
SCALES = (0.4, 1.6)  # of a fitted map, in both directions
PRESSED = 1.5  # ratio of these: a picture pressed into a square has 1.33
BATCH, BLOCK = 64, 256  # pictures, and pairs, at once


def near_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int]]:
    """Pairs (i < j) of rows that show the same photograph.

    Args:
        rows: uint8 [n, d] of `describe_picture`. between: where given, only pairs of a row before and one from this
            border on.
    """
    return [(i, j) for i, j, _ in scored_pairs(rows, between)]


def scored_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int, float]]:
    """`near_pairs`, each with the correlation of its fine texture less what few votes cost."""
    if len(rows) < 2:
        return []
    table = np.ascontiguousarray(rows).view(ROW).reshape(-1)
    shapes = np.stack([table["height"], table["width"]], axis=1).astype(np.int64)
    seen = _seen(table)
    pairs = _likely(seen, between)
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
    parts = [np.zeros(0)]
    # One thread of linear algebra each: products are small, and its own threads would wait for each other.
    with progress("Comparing likely copies", len(pairs), "pairs") as bar, threadpool_limits(1, "blas"):
        for part in in_order(lambda block: _compared(block, seen, shapes), blocks):
            parts.append(part)
            bar.advance(len(part))
    scores = np.concatenate(parts)
    best: dict[tuple[int, int], float] = {}
    for k in np.flatnonzero(scores > SAME):
        i, j = (pairs[k] % len(table)).tolist()
        best[min(i, j), max(i, j)] = max(best.get((min(i, j), max(i, j)), 0), float(scores[k]))
    return [(i, j, score) for (i, j), score in sorted(best.items())]


@dataclass(frozen=True)
class Seen:
    """What is known of n pictures.

    Attributes:
        vectors: float32 [2n, d], of the wholes and then of their middles by the network. places: int8 [2n, p, c].
        copies, halves, quarters: of the wholes at three sizes.
    """

    vectors: np.ndarray
    places: np.ndarray
    copies: Copies
    halves: Copies
    quarters: Copies


def _seen(table: np.ndarray) -> Seen:
    network, count = CopyNetwork(), len(table)
    vectors = np.empty((2 * count, VECTOR), np.float32)
    places = np.empty((2 * count, PLACES**2, PLACE), np.int8)
    with progress("Describing pictures", count, "pictures") as bar:
        for start in range(0, count, BATCH):
            rows = table[start : start + BATCH]
            middles = np.stack([middle(row["copy"], int(row["height"]), int(row["width"])) for row in rows])
            for first, views in ((start, rows["copy"]), (count + start, middles)):
                vectors[first : first + len(rows)], places[first : first + len(rows)] = network.describe(views)
            bar.advance(len(rows))
    copies = Copies(table["copy"], table["rim"])
    halves = copies.halved()
    return Seen(vectors, places, copies, halves, halves.halved())


def _likely(seen: Seen, between: int | None) -> np.ndarray:
    """Views (k, l) that may show one photograph, int64 [m, 2]: k a whole, or a middle (number + n), and l a whole."""
    vectors = whitened(seen.vectors)
    count = len(vectors) // 2
    wholes = neighbours(vectors[:count], vectors[:count], between)
    middles = neighbours(vectors[:count], vectors[count:], between)
    wholes = np.unique(np.sort(wholes, axis=1), axis=0)
    return np.concatenate([wholes, middles + [count, 0]])


def _compared(pairs: np.ndarray, seen: Seen, shapes: np.ndarray) -> np.ndarray:
    """Correlation of the fine texture of each pair less what few votes cost, float [n]; 0 where no map fits."""
    scores = np.zeros(len(pairs))
    found = agreed(seen.places[pairs[:, 0]], seen.places[pairs[:, 1]])
    left = np.flatnonzero(found.votes > VOTES)
    of_middle, pairs = pairs[left, 0] >= len(shapes), pairs[left] % len(shapes)
    maps = proposed(pairs, of_wholes(found.part(left), of_middle, shapes[pairs[:, 0]]))
    # Wide first, then narrow: few points find the basin, tight weights keep a rim or hair from pulling the map away.
    maps = fitted(maps, seen.quarters, shapes, 5, 10, 0.5)
    maps = fitted(maps, seen.halves, shapes, 5, 14, 0.35)
    hopeful = _above(ROUGH, maps, seen.halves, shapes)
    maps, left = maps.part(hopeful), left[hopeful]
    # What is left is of few pictures: their fine texture is made for them alone.
    used, among = np.unique(np.concatenate([maps.source, maps.target]), return_inverse=True)
    maps = Maps(among[: len(left)], among[len(left) :], maps.linear, maps.shift)
    fine, shapes = seen.copies.fine(used), shapes[used]
    hopeful = _above(HOPEFUL, maps, fine, shapes)
    maps, left = fitted(maps.part(hopeful), fine, shapes, 4, 32, 0.5), left[hopeful]
    value, share = even_agreement(maps, fine, shapes)
    doubt = DOUBT * np.maximum(0, SURE - found.votes[left])
    scores[left] = np.where((share > SEEN) & _sensible(maps), value - doubt, 0)
    return scores


def _above(limit: float, maps: Maps, copies: Copies, shapes: np.ndarray) -> np.ndarray:
    """Numbers of the maps that show the same texture so far: most fall here, before the dear steps."""
    value, share = even_agreement(maps, copies, shapes)
    return np.flatnonzero((value > limit) & (share > SEEN) & _sensible(maps))


def _sensible(maps: Maps) -> np.ndarray:
    sizes = np.linalg.svd(maps.linear, compute_uv=False)
    return np.asarray((sizes[:, 1] > SCALES[0]) & (sizes[:, 0] < SCALES[1]) & (sizes[:, 0] < PRESSED * sizes[:, 1]))
