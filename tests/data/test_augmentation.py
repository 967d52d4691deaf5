"""Views of an image: what they change and what they keep."""

import torch

from derm_ml.data.augmentation import Augmentation, augment


def generator():
    return torch.Generator().manual_seed(0)


def disc(size=64):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = ((x - size / 2 + 0.5) ** 2 + (y - size / 2 + 0.5) ** 2 < (size / 4) ** 2).float()
    return inside.expand(1, 3, size, size)


def test_a_view_is_a_function_of_the_generator_and_each_image_has_its_own():
    images = torch.rand(1, 3, 32, 32).repeat(4, 1, 1, 1)
    first = augment(images, generator(), 1.0, 0.5)
    assert torch.equal(first, augment(images, generator(), 1.0, 0.5))
    assert not torch.allclose(first[0], first[1])
    assert first.min() >= 0
    assert first.max() <= 1


def test_two_views_come_one_after_the_other_and_differ():
    images = torch.rand(3, 3, 32, 32)
    both = Augmentation(generator(), views=2)(images)
    assert both.shape == (6, 3, 32, 32)
    assert torch.equal(both[:3], augment(images, generator()))
    assert not torch.allclose(both[:3], both[3:])


def test_strength_zero_without_a_crop_leaves_the_images_alone():
    images = torch.rand(3, 3, 32, 32)
    assert torch.equal(Augmentation(generator(), strength=0, views=2)(images), torch.cat([images, images]))


def test_a_crop_enlarges_by_its_share_of_the_area():
    """Where the crop's square lies inside the disc's surroundings, the disc covers 1 / area as much."""
    images = disc().repeat(400, 1, 1, 1)
    views = augment(images, generator(), strength=0, crop=0.5)
    share = views[:, 0].mean(dim=(1, 2)) / images[:, 0].mean(dim=(1, 2))
    # areas are uniform in [0.5, 1]: the mean of 1 / area is 2 log 2 = 1.386; some discs are cut off by the edge
    assert 1.25 < float(share.mean()) < 1.42
    assert float(share.max()) < 2.05
    assert float(share.min()) > 0.9


def test_a_crop_keeps_the_ratio_of_the_sides():
    views = augment(disc().repeat(50, 1, 1, 1), generator(), strength=0, crop=0.9)[:, 0] > 0.5
    width, height = views.any(dim=1).sum(dim=1), views.any(dim=2).sum(dim=1)
    assert int((width - height).abs().max()) <= 2
