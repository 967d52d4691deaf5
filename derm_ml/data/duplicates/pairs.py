"""Near duplicates among many pictures: candidates from the index, kept where a fitted map shows the same texture."""

from __future__ import annotations

import numpy as np

from derm_ml.data.duplicates.consensus import supported
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.duplicates.geometry import Copies, Maps, agreement, even_agreement, fitted, proposed
from derm_ml.data.duplicates.index import Matches, matches
from derm_ml.progress import progress

SAME = 0.55  # correlation of fine texture above which two pictures are one photograph
TRIED = 2  # maps of one pair of pictures
SUPPORT = 2  # other matches that agree with a map, for it to be tried at once
SINGLE, COARSE = 0.97, 0.82  # likeness and coarse correlation that a match with less support must have
ROUGH, HOPEFUL = (
    0.60,
    0.22,
)  # even correlation at 48 px, and of the fine texture before its fit, below which it is given up
SEEN = 0.4  # of the first field of view, that the second must show
SCALES = (0.4, 1.6)  # of a fitted map, in both directions
PRESSED = 1.5  # ratio of these: a picture pressed into a square has 1.33
BLOCK = 512  # maps fitted at once


def near_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int]]:
    """Pairs (i < j) of rows that show the same photograph.

    Args:
        rows: uint8 [n, d] of `describe_picture`. between: where given, only pairs of a row before and one from this
            border on.
    """
    return [(i, j) for i, j, _ in scored_pairs(rows, between)]


def scored_pairs(rows: np.ndarray, between: int | None = None) -> list[tuple[int, int, float]]:
    """`near_pairs`, each with the correlation of its fine texture."""
    table = np.ascontiguousarray(rows).view(ROW).reshape(-1)
    found = list(matches(table, between))
    if not found or not sum(len(part.first) for part in found):
        return []
    every = Matches.joined(found)
    order, support = supported(table["point"], every)
    every = every.part(order)
    maps = proposed(every, table["point"])
    shapes = np.stack([table["height"], table["width"]], axis=1).astype(np.float32)
    chosen = _candidates(every, support, maps, table["copy"], shapes)
    scores = np.zeros(len(chosen))
    # In the order of the pairs: few pictures are held at once.
    with progress("Comparing likely copies", len(chosen), "pairs") as bar:
        for start in range(0, len(chosen), BLOCK):
            part = chosen[start : start + BLOCK]
            scores[start : start + BLOCK] = _texture(maps.part(part), table["copy"], shapes)
            bar.advance(len(part))
    best: dict[tuple[int, int], float] = {}
    for k in np.flatnonzero(scores > SAME):
        pair = int(every.first[chosen[k]]), int(every.second[chosen[k]])
        best[pair] = max(best.get(pair, 0.0), float(scores[k]))
    return [(i, j, score) for (i, j), score in sorted(best.items())]


def _candidates(every: Matches, support: np.ndarray, maps: Maps, copies: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Numbers of the matches to be fitted, in the order of the pairs: the best supported, else coarsely alike ones."""
    pair = every.first * len(shapes) + every.second
    best = np.lexsort((-every.likeness, -support, pair))
    rank = np.arange(len(best)) - np.repeat(*_runs(pair[best]))
    strong = support[best] >= SUPPORT
    kept = best[strong & (rank < TRIED)]
    alone = best[~strong & (rank == 0) & (every.likeness[best] > SINGLE)]
    alike = []
    small = Copies(copies, 2)
    for start in range(0, len(alone), 8192):
        part = alone[start : start + 8192]
        value, seen = agreement(maps.part(part), small, shapes, 8)
        alike.append(part[(value > COARSE) & (seen > SEEN)])
    return np.sort(np.concatenate([kept, *alike]))


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each run of equal values starts, and its length."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else np.empty(0, int)
    return starts, np.diff(np.concatenate([starts, [len(values)]]))


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
