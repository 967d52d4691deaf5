"""Near duplicates: copies by processing are found, look-alikes behind one field of view are not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from derm_ml.data.duplicates import describe_picture, near_pairs
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.synthetic import draw

LESIONS = 24


def drawn(lesion: int, size: int = 192) -> np.ndarray:
    return draw(lesion, 0, size, 3)


def turned(picture: np.ndarray) -> np.ndarray:
    side = len(picture)
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((side / 2, side / 2), 37, 1), (side, side))


def jpeg(picture: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


def behind_round_field(picture: np.ndarray) -> np.ndarray:
    side = len(picture)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.where((np.hypot(y, x) < 0.46 * side)[:, :, None], picture, 6).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "encoded again": jpeg,
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "cut to 90 %": lambda p: p[: int(0.9 * len(p)), int(0.1 * len(p)) :].copy(),
    "turned": turned,
    "mirrored": lambda p: p[:, ::-1].copy(),
    "brighter": lambda p: np.clip(p * 1.2 + 15, 0, 255).astype(np.uint8),
    "another colour": lambda p: np.clip(p * np.array([1.15, 0.9, 0.8]), 0, 255).astype(np.uint8),
    "dark round field": behind_round_field,
}


@pytest.fixture(scope="module")
def lesions() -> list[np.ndarray]:
    return [describe_picture(drawn(number)) for number in range(LESIONS)]


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(lesions: list[np.ndarray], kind: str):
    originals = [2, 7, 11, 16]
    copies = [describe_picture(COPIES[kind](drawn(number))) for number in originals]
    found = near_pairs(np.stack(lesions + copies))
    expected = [(number, LESIONS + k) for k, number in enumerate(originals)]
    assert set(found) <= set(expected)
    assert len(found) >= 3


def test_unrelated_lesions_behind_one_dark_round_field_do_not_join():
    rows = [describe_picture(behind_round_field(drawn(number))) for number in range(60)]
    assert near_pairs(np.stack(rows)) == []


def test_flat_and_plain_pictures_join_nothing():
    grey = [np.full((96, 128, 3), level, np.uint8) for level in (0, 7, 128, 255)]
    skin = [
        np.clip(np.random.default_rng(k).normal([220, 170, 150], 1.5, (96, 128, 3)), 0, 255).astype(np.uint8)
        for k in range(8)
    ]
    assert near_pairs(np.stack([describe_picture(picture) for picture in grey + skin])) == []


def test_no_pictures_no_pairs():
    assert near_pairs(np.empty((0, ROW.itemsize), np.uint8)) == []
    assert near_pairs(describe_picture(drawn(0))[None]) == []


def test_pairs_do_not_depend_on_the_order_of_pictures(lesions: list[np.ndarray]):
    rows = np.stack([*lesions, describe_picture(turned(drawn(5))), describe_picture(jpeg(drawn(9)))])
    expected = set(near_pairs(rows))
    assert expected == {(5, LESIONS), (9, LESIONS + 1)}
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = {tuple(sorted((int(order[i]), int(order[j])))) for i, j in near_pairs(rows[order])}
    assert shuffled == expected


def test_between_two_collections_only_cross_pairs_are_returned(lesions: list[np.ndarray]):
    copies = [describe_picture(jpeg(drawn(number))) for number in (3, 3)]
    rows = np.stack(lesions + copies)
    assert near_pairs(rows, between=LESIONS) == [(3, LESIONS), (3, LESIONS + 1)]
    assert (LESIONS, LESIONS + 1) in near_pairs(rows)


@pytest.mark.parametrize("shape", [(16, 128), (128, 16), (16, 16), (8, 300), (128, 128)])
def test_any_shape_is_described_in_one_length(shape: tuple[int, int]):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert describe_picture(picture).shape == (ROW.itemsize,)
    assert np.array_equal(describe_picture(picture), describe_picture(picture.copy()))
