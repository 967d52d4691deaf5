"""Concept erasure: against its definition by whitening, and what it leaves alone."""

import pytest
import torch

from derm_ml.models.erasure import RIDGE, PairedErasure


@pytest.fixture(scope="module")
def pairs():
    """Correlated features, of unlike scales, of which two concepts move some; a third moves none."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=generator)
    plain = torch.randn(500, 6, generator=generator) @ mixing * torch.tensor([1.0, 10.0, 0.1, 1.0, 1.0, 3.0])
    given = torch.rand(500, 3, generator=generator) < 0.5
    effects = torch.tensor([[3.0, 0.0, 0.2, 0.0, 0.0, 1.0], [0.0, 9.0, 0.0, 2.0, 0.0, 0.0], [0.0] * 6])
    return plain, plain + given.float() @ effects, given


def erasure_of(pairs):
    made = PairedErasure(pairs[0].shape[1], pairs[2].shape[1])
    made.add(*pairs)
    return made.fit()


def test_it_is_the_projection_in_whitened_coordinates(pairs):
    """Belrose et al., arXiv 2306.03819: x - W^-1 P W (x - m), P onto the whitened effects; of standardised features."""
    planted, effects = pairs[1].double(), erasure_of(pairs).effects.double()
    mean, sd = planted.mean(dim=0), planted.std(dim=0, correction=0)
    standard = (planted - mean) / sd
    values, vectors = torch.linalg.eigh((1 - RIDGE) * standard.T @ standard / len(planted) + RIDGE * torch.eye(6))
    whitening = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    basis = torch.linalg.qr(whitening @ (effects[:, :2] / sd[:, None])).Q
    expected = mean + (standard - standard @ whitening @ basis @ basis.T @ torch.linalg.inv(whitening)) * sd
    torch.testing.assert_close(erasure_of(pairs)(pairs[1]).double(), expected, rtol=1e-4, atol=1e-4)


def test_nothing_of_a_concept_is_left_and_the_mean_stays(pairs):
    plain, planted, given = pairs
    erasure = erasure_of(pairs)
    left = erasure(planted) - erasure(plain)
    torch.testing.assert_close(left, torch.zeros_like(left), rtol=0, atol=1e-4)
    torch.testing.assert_close(erasure(planted).mean(dim=0), planted.mean(dim=0), rtol=1e-4, atol=1e-4)


def test_a_constant_feature_and_a_concept_that_moves_nothing_are_left_alone(pairs):
    plain, planted, given = pairs
    constant = torch.full((500, 1), 7.0)
    wider = erasure_of((torch.cat([plain, constant], dim=1), torch.cat([planted, constant], dim=1), given))
    erased = wider(torch.cat([planted, constant], dim=1))
    torch.testing.assert_close(erased[:, 6:], constant)
    torch.testing.assert_close(erased[:, :6], erasure_of(pairs)(planted), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(erasure_of((plain, plain, given))(plain), plain)


def test_fed_in_parts_it_is_the_same(pairs):
    parts = PairedErasure(6, 3)
    for part in range(0, 500, 100):
        parts.add(*(each[part : part + 100] for each in pairs))
    torch.testing.assert_close(parts.fit()(pairs[1]), erasure_of(pairs)(pairs[1]), rtol=1e-4, atol=1e-4)


def test_under_autocast_it_is_float32(pairs):
    erasure = erasure_of(pairs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(erasure(pairs[1]), erasure_of(pairs)(pairs[1]), rtol=1e-6, atol=1e-6)
