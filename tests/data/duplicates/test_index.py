"""The most alike: exact among few, near enough among many."""

import numpy as np

from derm_ml.data.duplicates import index
from derm_ml.data.duplicates.index import neighbours, whitened


def vectors(count: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_each_has_its_most_alike_and_never_itself(monkeypatch):
    monkeypatch.setattr(index, "NEIGHBOURS", 3)
    known = vectors(50)
    found = neighbours(known, known, None)
    alike = known @ known.T
    np.fill_diagonal(alike, -1)
    for row in range(50):
        expected = set(np.argsort(-alike[row])[:3])
        assert expected <= set(found[found[:, 0] == row][:, 1].tolist())
    assert (found[:, 0] != found[:, 1]).all()


def test_with_a_border_only_pairs_across_it():
    known = vectors(30)
    found = neighbours(known, known, 10)
    assert len(found)
    assert ((found[:, 0] < 10) != (found[:, 1] < 10)).all()
    assert len(neighbours(known, known, 0)) == len(neighbours(known, known, 30)) == 0


def test_one_picture_has_no_neighbour():
    assert len(neighbours(vectors(1), vectors(1), None)) == 0


def test_cells_find_what_the_exact_index_finds(monkeypatch):
    known = vectors(2000)
    copies = known + np.random.default_rng(1).normal(0, 0.02, known.shape).astype(np.float32)
    everything = np.concatenate([known, copies])
    monkeypatch.setattr(index, "EXACT", 100)
    found = {tuple(pair) for pair in neighbours(everything, everything, None).tolist()}
    hit = np.mean([(k, k + 2000) in found or (k + 2000, k) in found for k in range(2000)])
    assert hit > 0.99


def test_what_all_share_counts_little_and_few_are_left_nearly_as_they_were():
    shared = np.zeros(16, np.float32)
    shared[0] = 5
    own = vectors(3000)
    mixed = own + shared * np.random.default_rng(2).normal(1, 1, (3000, 1)).astype(np.float32)
    flat = whitened(mixed)
    assert np.allclose(np.linalg.norm(flat, axis=1), 1, atol=1e-5)
    before, after = np.cov(mixed.T), np.cov(flat.T)
    assert np.linalg.cond(after) < np.linalg.cond(before) / 10
    few = vectors(6)
    centred = few - few.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    left = whitened(few)
    assert np.corrcoef((left @ left.T).ravel(), (centred @ centred.T).ravel())[0, 1] > 0.9
    assert np.isfinite(whitened(np.ones((4, 16), np.float32))).all()
