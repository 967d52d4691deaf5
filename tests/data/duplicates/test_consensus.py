"""How one picture lies in another, from places whose truth is known."""

from collections.abc import Callable

import numpy as np
import pytest

from derm_ml.data.duplicates.consensus import Agreed, agreed
from derm_ml.data.duplicates.geometry import of_wholes
from derm_ml.data.duplicates.network import CELL, PLACE, PLACES, UNIT
from derm_ml.data.duplicates.view import OUTSIDE, SIDE, corner, middle


def places(seed: int) -> np.ndarray:
    """[PLACES, PLACES, PLACE], each of length `UNIT`."""
    drawn = np.random.default_rng(seed).normal(size=(PLACES, PLACES, PLACE))
    return np.round(drawn / np.linalg.norm(drawn, axis=2, keepdims=True) * UNIT).astype(np.int8)


def moved(grid: np.ndarray) -> np.ndarray:
    return np.concatenate([grid[2:], np.zeros_like(grid[:2])])


CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], list[list[float]], list[float]]] = {
    "as it is": (lambda grid: grid, [[1, 0], [0, 1]], [0, 0]),
    "a quarter to the left": (np.rot90, [[0, 1], [-1, 0]], [0, SIDE - 1]),
    "upside down": (lambda grid: np.rot90(grid, 2), [[-1, 0], [0, -1]], [SIDE - 1, SIDE - 1]),
    "mirrored": (lambda grid: grid[:, ::-1], [[-1, 0], [0, 1]], [SIDE - 1, 0]),
    "mirrored and turned": (lambda grid: grid.transpose(1, 0, 2), [[0, 1], [1, 0]], [0, 0]),
    "two places up": (moved, [[1, 0], [0, 1]], [0, -2 * CELL]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_map_of_a_changed_picture_is_found(change: str):
    how, linear, shift = CHANGES[change]
    first = places(0)
    pair = [grid.reshape(1, -1, PLACE) for grid in (first, np.ascontiguousarray(how(first)))]
    found = agreed(*pair)
    assert np.allclose(found.linear[0], linear, atol=1e-3)
    assert np.allclose(found.shift[0], shift, atol=0.1)
    assert found.votes[0] > 40


def test_unlike_pictures_and_empty_ones_agree_on_little():
    first, second = places(0).reshape(1, -1, PLACE), places(1).reshape(1, -1, PLACE)
    assert agreed(first, second).votes[0] < 6
    nothing = agreed(first, np.zeros_like(first))
    assert nothing.votes[0] == 0
    assert np.isfinite(nothing.linear).all()


def test_a_map_from_the_middle_is_one_from_the_whole():
    height, width = 72, 96
    rng = np.random.default_rng(0)
    copy = np.full((SIDE, SIDE), OUTSIDE, np.int8)
    copy[:height, :width] = np.linspace(-100, 100, width)[None] + rng.normal(0, 0.1, (height, 1))
    shown = middle(copy, height, width)
    top, left = corner(height, width)
    at = np.array([40.0, 30.0])  # x, y of the enlarged middle
    zoom = np.array([width / (width - 2 * left), height / (height - 2 * top)])
    whole = (at + 0.5) / zoom + [left, top] - 0.5
    assert shown[30, 40] == pytest.approx(np.interp(whole[0], np.arange(width), copy[30, :width]), abs=2)
    # So the middle lies in the whole.
    linear, shift = np.diag(1 / zoom)[None], (np.array([left, top]) - 0.5 + 0.5 / zoom)[None]
    same = of_wholes(Agreed(np.ones(1), linear, shift), np.array([True]), np.array([[height, width]]))
    assert np.allclose(same.linear, np.eye(2), atol=1e-6)
    assert np.allclose(same.shift, 0, atol=1e-4)
    kept = of_wholes(Agreed(np.ones(1), linear, shift), np.array([False]), np.array([[height, width]]))
    assert np.allclose(kept.linear, linear)
    assert np.allclose(kept.shift, shift)
