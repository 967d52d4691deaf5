"""The network that ships: lengths, what is outside, and that a copy is more like its original than others are."""

import numpy as np

from derm_ml.data.duplicates import describe_picture
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.duplicates.network import CELL, PLACES, UNIT, WEIGHTS, CopyNetwork
from derm_ml.data.duplicates.view import OUTSIDE, SIDE
from derm_ml.data.synthetic import draw


def copy_of(picture: np.ndarray) -> np.ndarray:
    return describe_picture(picture).view(ROW)["copy"][0]


def test_vectors_and_places_have_their_lengths_and_nothing_is_seen_outside():
    copies = np.full((2, SIDE, SIDE), OUTSIDE, np.int8)
    copies[:, : 6 * CELL, :] = np.random.default_rng(0).integers(-100, 100, (2, 6 * CELL, SIDE))
    vectors, places = CopyNetwork().describe(copies)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(places.astype(float), axis=2).reshape(2, PLACES, PLACES)
    assert np.allclose(lengths[:, :6], UNIT, atol=3)
    assert not lengths[:, 6:].any()
    again = CopyNetwork().describe(copies[:1])
    assert np.allclose(again[0], vectors[:1], atol=1e-5)


def test_a_copy_is_more_like_its_original_than_another_picture_is():
    drawn = [draw(number, 0, 192, 3) for number in range(30)]
    network = CopyNetwork()
    own, _ = network.describe(np.stack([copy_of(picture) for picture in drawn]))
    copies = [np.clip(picture[::-1, 12:180] * 0.8 + 10, 0, 255).astype(np.uint8) for picture in drawn]
    other, _ = network.describe(np.stack([copy_of(picture) for picture in copies]))
    assert np.array_equal((other @ own.T).argmax(axis=1), np.arange(30))


def test_the_weights_are_small_and_hold_no_code():
    assert WEIGHTS.suffix == ".safetensors"
    assert WEIGHTS.stat().st_size < 1 << 20
