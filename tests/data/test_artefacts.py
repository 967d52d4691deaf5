"""Artefacts beside the lesion: where they are drawn, and that each image has its own."""

import pytest
import torch

from derm_ml.data.artefacts import ARTEFACTS, plant, scatter
from derm_ml.data.augmentation import Augmentation

SKIN = torch.tensor([0.8, 0.6, 0.5]).view(1, 3, 1, 1).expand(20, 3, 64, 64)


def drawn(name, seed=0):
    return plant(SKIN, ARTEFACTS[name], torch.ones(20, dtype=torch.bool), torch.Generator().manual_seed(seed))


def changed(name):
    return ((drawn(name) - SKIN).abs() > 0.02).any(dim=1)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_every_image_has_its_own_and_it_is_a_function_of_the_generator(name):
    images = drawn(name)
    assert torch.equal(images, drawn(name))
    assert not torch.equal(images, drawn(name, seed=1))
    assert not torch.equal(images[0], images[1])
    assert bool(changed(name).flatten(1).any(dim=1).all())
    assert images.min() >= 0
    assert images.max() <= 1


def test_hair_is_thin_and_dark():
    share = changed("hair").float().mean(dim=(1, 2))
    assert float(share.min()) > 0.01
    assert float(share.max()) < 0.35
    assert float(drawn("hair").max() - SKIN.max()) <= 1e-6


def test_ink_and_rulers_leave_the_middle_free():
    for name in ("ink", "ruler"):
        assert not bool(changed(name)[:, 28:36, 28:36].any())
    edge = changed("ruler")
    assert not bool(edge[:, 8:-8, 8:-8].any())


def test_a_vignette_is_black_in_the_corners_and_nothing_in_the_middle():
    images = drawn("vignette")
    assert float(images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].max()) == 0
    torch.testing.assert_close(images[:, :, 16:48, 16:48], SKIN[:, :, 16:48, 16:48])


def test_a_cast_is_warm_everywhere_alike():
    ratio = drawn("cast") / SKIN
    assert float((ratio - ratio[:, :, :1, :1]).abs().max()) < 1e-5
    red, green, blue = ratio[:, :, 0, 0].unbind(dim=1)
    torch.testing.assert_close(green, torch.ones(20))
    torch.testing.assert_close(red + blue, torch.full((20,), 2.0))
    assert float(red.min()) > 1.09


def test_planting_spares_the_others_and_moves_the_generator_by_the_same():
    one, two = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    chosen = torch.arange(20) < 5
    images = plant(SKIN, ARTEFACTS["hair"], chosen, one)
    plant(SKIN, ARTEFACTS["hair"], ~chosen, two)
    assert torch.equal(images[5:], SKIN[5:])
    assert torch.equal(images[:5], drawn("hair")[:5])  # each image's are its own, whoever else is chosen
    assert bool((images[:5] != SKIN[:5]).flatten(1).any(dim=1).all())
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=two))


def test_scattered_artefacts_fall_on_their_share_and_reach_the_views():
    many = SKIN[:1, :, :32, :32].expand(400, 3, 32, 32)
    images = scatter(many, torch.Generator().manual_seed(0), 0.1)
    clean = float((images == many).flatten(1).all(dim=1).float().mean())
    assert clean == pytest.approx(0.9**5, abs=0.08)
    views = Augmentation(torch.Generator().manual_seed(0), strength=0, artefacts=1.0, views=2)(SKIN)
    assert views.shape == (40, 3, 64, 64)
    assert not torch.equal(views[:20], views[20:])
