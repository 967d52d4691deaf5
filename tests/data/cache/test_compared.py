"""Pairs are found once for a set of contents, whatever the order of rows and the size of the images."""

import numpy as np

from derm_ml.data.cache import compared as module
from derm_ml.data.cache.place import cache_root
from derm_ml.data.dataset import prepare


def test_another_size_and_order_takes_the_pairs_that_were_found(monkeypatch):
    calls = []

    def found(descriptors):
        calls.append(len(descriptors))
        return [(0, len(descriptors) - 1)]

    monkeypatch.setattr(module, "pairs", found)
    rows = ["c" * 64, "a" * 64, "b" * 64]
    assert module.compared(rows, np.zeros((3, 8), np.uint8)) == [(0, 2)]
    assert module.compared([rows[2], rows[0], rows[1]], np.zeros((3, 8), np.uint8)) == [(0, 1)]  # b and c still
    assert calls == [3]
    assert module.compared(rows[:2], np.zeros((2, 8), np.uint8)) != []
    assert calls == [3, 2]


def test_damaged_pairs_are_found_again():
    first = prepare("synthetic:n=120,size=64,seed=11", 32, 0)
    for path in (cache_root() / "pairs").glob("*.npy"):
        path.write_bytes(b"cut")
    again = prepare("synthetic:n=120,size=64,seed=11", 64, 0)
    assert again.fingerprint == first.fingerprint
    assert again.report.near_duplicates == first.report.near_duplicates
