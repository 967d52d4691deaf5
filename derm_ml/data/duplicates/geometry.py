"""Whether two pictures are one: a map that places propose, fitted, and how well they agree under it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from derm_ml.data.duplicates.consensus import Agreed
from derm_ml.data.duplicates.view import LEVELS, OUTSIDE, SIDE, corner

FINE, AROUND = 2.0, 5.0  # px of 96: texture is finer than the first, its contrast is taken within the second
FAINT = 0.05  # local standard deviations: weaker texture is not amplified
PARTS, PART = 6, 8  # parts a side of the picture, points a side of a part
CAP = 0.5
DAMPING = 1e-2  # of the normal equations' diagonal


@dataclass
class Maps:
    """Affine maps of pictures onto others, n of them: q = linear @ p + shift, pixels (x, y) of 96.

    The first picture of each is the one that is mapped to the smaller image, so that most of it is seen in the second.
    """

    source: np.ndarray  # int64 [n]
    target: np.ndarray
    linear: np.ndarray  # float32 [n, 2, 2]
    shift: np.ndarray  # float32 [n, 2]

    def part(self, keep: np.ndarray) -> Maps:
        return Maps(self.source[keep], self.target[keep], self.linear[keep], self.shift[keep])


def of_wholes(found: Agreed, middles: np.ndarray, shapes: np.ndarray) -> Agreed:
    """The maps of whole pictures where the first view, `middles` bool [n], was a picture's `middle`.

    `shapes` are of the first pictures, [n, 2] (height, width).
    """
    corners = np.array([corner(*shape)[::-1] for shape in shapes.tolist()]).reshape(-1, 2)
    zoom = shapes[:, ::-1] / (shapes[:, ::-1] - 2 * corners)
    # View pixel (x + 0.5) * zoom of the enlarged middle is x + 0.5 + corner of the whole.
    scale = np.where(middles[:, None], zoom, 1)
    start = np.where(middles[:, None], -(corners - 0.5) * zoom - 0.5, 0)
    linear = (found.linear * scale[:, None, :]).astype(np.float32)
    shift = (found.shift + np.einsum("nij,nj->ni", found.linear, start)).astype(np.float32)
    return Agreed(found.votes, linear, shift)


def proposed(pairs: np.ndarray, found: Agreed) -> Maps:
    """The maps of pairs, int64 [n, 2], from the picture that is mapped to the smaller image."""
    larger = np.abs(np.linalg.det(found.linear)) > 1
    inverse = np.linalg.inv(found.linear)
    back = -np.einsum("nij,nj->ni", inverse, found.shift)
    return Maps(
        np.where(larger, pairs[:, 1], pairs[:, 0]),
        np.where(larger, pairs[:, 0], pairs[:, 1]),
        np.where(larger[:, None, None], inverse, found.linear).astype(np.float32),
        np.where(larger[:, None], back, found.shift).astype(np.float32),
    )


class Copies:
    """Flattened copies of pictures at one size, int8 [n, side, side]; `OUTSIDE` where nothing is seen.

    With `rims`, bits [n, side, side / 8], what is made of them does without these.
    """

    def __init__(self, values: np.ndarray, rims: np.ndarray | None = None) -> None:
        self._values, self._rims = values, rims
        self._side = values.shape[1]

    def halved(self) -> Copies:
        """The same at half the size."""
        made = np.empty((len(self._values), self._side // 2, self._side // 2), np.int8)
        for number, half in enumerate(made):
            values = self._within(number)
            inside = (values != OUTSIDE).astype(np.float32)
            small, seen = (
                cv2.resize(each, half.shape, interpolation=cv2.INTER_AREA) for each in (values * inside, inside)
            )
            half[:] = np.where(seen > 0.99, np.round(small), OUTSIDE)
        return Copies(made)

    def fine(self, which: np.ndarray) -> Copies:
        """Some of them without what is wider than `FINE`: outlines are alike, textures are not."""
        made = np.empty((len(which), self._side, self._side), np.int8)
        for number, detailed in zip(which.tolist(), made, strict=True):
            copy = self._within(number)
            inside = (copy != OUTSIDE).astype(np.float32)
            values = copy * inside / LEVELS
            mean = _blurred(values, FINE) / np.maximum(_blurred(inside, FINE), 1e-3)
            detail = _blurred((values - mean) * inside, 0.8)
            spread = np.sqrt(_blurred(detail * detail, AROUND) / np.maximum(_blurred(inside, AROUND), 1e-3))
            kept = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
            detailed[:] = np.where(kept, np.round(np.clip(detail / (spread + FAINT), -3, 3) * LEVELS), OUTSIDE)
        return Copies(made)

    def _within(self, number: int) -> np.ndarray:
        """One of them, without its rim."""
        copy: np.ndarray = self._values[number]
        if self._rims is None:
            return copy
        return np.where(np.unpackbits(self._rims[number], axis=1) > 0, np.int8(OUTSIDE), copy)

    def at(self, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Values, derivatives by x and y, and whether they are inside, [n, p] each, at pixels of `SIDE`."""
        side, factor = self._side, np.float32(self._side / SIDE)
        x, y = (x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5
        inside = (x >= 0) & (x <= side - 1.001) & (y >= 0) & (y <= side - 1.001)
        x, y = np.where(inside, x, 0), np.where(inside, y, 0)
        left, top = x.astype(np.int32), y.astype(np.int32)
        u, v = x - left.astype(np.float32), y - top.astype(np.float32)
        start = which[:, None] * (side * side) + (top * side + left)
        flat = self._values.reshape(-1)
        corners = [flat.take(start + step) for step in (0, 1, side, side + 1)]
        seen = inside & (corners[0] != OUTSIDE) & (corners[3] != OUTSIDE)
        a, b, c, d = (corner.astype(np.float32) for corner in corners)
        across, below = b - a, d - c
        values = a + u * across + v * (c - a + u * (below - across))
        dx, dy = across + v * (below - across), c - a + u * (below - across)
        return values / LEVELS, dx * (factor / LEVELS), dy * (factor / LEVELS), seen


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def even_agreement(maps: Maps, copies: Copies, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of the pictures where both are seen, [n], and the share of the first where they are.

    The mean over parts of the picture: one strong edge, a lesion's outline, cannot carry it alone.

    A part weighs as its contrast, at most as `CAP` of the middle part's.
    """
    x, y = _grid(shapes[maps.source], PARTS * PART)
    first, _, _, own = copies.at(maps.source, x, y)
    second, _, _, seen = copies.at(maps.target, *_mapped(maps, x, y))
    both = (own & seen).astype(np.float32)
    share = both.mean(axis=1)
    a, b, both = _parts(first), _parts(second), _parts(both)
    count = np.maximum(both.sum(axis=2), 1)
    a = (a - ((a * both).sum(axis=2) / count)[:, :, None]) * both
    b = (b - ((b * both).sum(axis=2) / count)[:, :, None]) * both
    power = np.sqrt((a * a).sum(axis=2) * (b * b).sum(axis=2))
    used = both.sum(axis=2) > PART * PART / 2
    # The median of the used parts; infinite, and no cap, where none is used.
    ranked, half = np.sort(np.where(used, power, np.inf), axis=1), used.sum(axis=1)
    each = np.arange(len(ranked))
    middle = (ranked[each, (half - 1) // 2] + ranked[each, half // 2 - (half == 0)]) / 2
    weight = np.minimum(power, CAP * middle[:, None]) * used
    correlation = (a * b).sum(axis=2) / np.maximum(power, 1e-3)
    return np.asarray((weight * correlation).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-6)), np.asarray(share)


def _parts(values: np.ndarray) -> np.ndarray:
    """[n, grid * grid] as parts, [n, 36, 64]."""
    cut = values.reshape(-1, PARTS, PART, PARTS, PART).transpose(0, 1, 3, 2, 4)
    return np.asarray(cut.reshape(len(values), PARTS * PARTS, PART * PART))


def fitted(maps: Maps, copies: Copies, shapes: np.ndarray, steps: int, grid: int, outlying: float) -> Maps:
    """The maps after `steps` of Gauss and Newton on the difference of the flattened pictures.

    Points that differ by `outlying` local standard deviations count half (Cauchy's weights), those that differ more
    less: hair, what was painted over, the rim of a field of view.
    """
    x, y = _grid(shapes[maps.source], grid)
    first, _, _, own = copies.at(maps.source, x, y)
    u, v = (x - 48) / 48, (y - 48) / 48  # of order one, for the normal equations
    linear, shift = maps.linear.copy(), maps.shift.copy()
    for _ in range(steps):
        now = Maps(maps.source, maps.target, linear, shift)
        second, dx, dy, seen = copies.at(maps.target, *_mapped(now, x, y))
        missed = first - second
        weight = (own & seen) / (1 + (missed / np.float32(outlying)) ** 2)
        slope = np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy], axis=2)
        weighted = (slope * weight[:, :, None]).transpose(0, 2, 1)
        normal, right = weighted @ slope, (weighted @ missed[:, :, None])[:, :, 0]
        diagonal = np.einsum("nkk->nk", normal)
        normal = normal + np.eye(6, dtype=np.float32) * (diagonal * DAMPING + 1e-2)[:, :, None]
        step = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
        step = np.clip(step, -4, 4)
        linear = linear + step[:, [0, 1, 3, 4]].reshape(-1, 2, 2) / 48
        shift = shift + step[:, [2, 5]] - (step[:, [0, 3]] + step[:, [1, 4]])
    return Maps(maps.source, maps.target, linear.astype(np.float32), shift.astype(np.float32))


def _grid(shapes: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of each picture, x and y [n, grid * grid], of shapes [n, 2] (height, width)."""
    at = (np.arange(grid, dtype=np.float32) + 0.5) / grid
    y, x = (v.ravel()[None] for v in np.meshgrid(at, at, indexing="ij"))
    return x * (shapes[:, 1:2] - 1).astype(np.float32), y * (shapes[:, 0:1] - 1).astype(np.float32)


def _mapped(maps: Maps, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, t = maps.linear, maps.shift
    return (
        m[:, 0, 0, None] * x + m[:, 0, 1, None] * y + t[:, 0, None],
        m[:, 1, 0, None] * x + m[:, 1, 1, None] * y + t[:, 1, None],
    )
