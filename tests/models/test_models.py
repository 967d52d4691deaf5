"""Networks: gradients everywhere they should be, the real ImageNet weights, any size."""

import pytest
import torch
from torch.nn import functional

from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.heads import FeatureExtractor, LinearHead
from derm_ml.models.pretrained import lite0_state, load_imagenet, load_safetensors
from derm_ml.models.vae import ConvVae
from derm_ml.objectives.elbo import ElboObjective


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet10t", "mobilenetv3_small_050", "test_convnext"])
def test_every_trained_parameter_has_a_gradient(name):
    vae = ConvVae(build_encoder(name, 32, 0), 8)
    losses = ElboObjective(vae)(torch.rand(4, 3, 32, 32), torch.arange(4), 1.0, torch.Generator())
    losses.loss.backward()
    trained = {key: value for key, value in vae.named_parameters() if value.requires_grad}
    assert [key for key, value in trained.items() if value.grad is None] == []
    assert len(trained) > 10


@pytest.mark.parametrize("size", [32, 96, 256])
def test_every_size(size):
    vae = ConvVae(build_encoder("test_efficientnet", size, 0), 8)
    reconstruction, posterior = vae(torch.rand(2, 3, size, size))
    assert reconstruction.shape == (2, 3, size, size)
    assert posterior.mean.shape == (2, 8)


def test_weights_are_a_function_of_the_seed_alone():
    torch.rand(3)
    first, other = build_encoder("resnet10t", 32, 1), build_encoder("resnet10t", 32, 2)
    torch.rand(5)
    again = build_encoder("resnet10t", 32, 1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_an_unknown_backbone_gets_a_suggestion():
    with pytest.raises(UserError, match="did you mean resnet50"):
        build_encoder("resnet5O", 64, 0)


def test_the_packaged_imagenet_weights_name_two_photographs():
    """scikit-learn's two sample photographs: a Chinese palace (698) and a flower, dahlia against a daisy (985)."""
    import timm
    from sklearn.datasets import load_sample_images

    encoder = build_encoder("tf_efficientnet_lite0", 64, 0)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    encoder.backbone = network  # for its names, classifier included
    network.load_state_dict(lite0_state(encoder, with_classifier=True), strict=False)
    found = []
    for photograph in load_sample_images().images:
        image = torch.tensor(photograph).permute(2, 0, 1)[None].float() / 255
        image = functional.interpolate(image[..., :427, 106:533], size=(224, 224), mode="bilinear", antialias=True)
        found.append(int(network((image - 0.5) / 0.5).argmax()))
    assert found == [698, 985]


def test_imagenet_weights_reach_the_features():
    encoder = build_encoder("tf_efficientnet_lite0", 64, 0).eval()
    images = torch.rand(2, 3, 64, 64)
    before = encoder(images)
    assert "efficientnet-lite0" in load_imagenet(encoder)
    assert not torch.allclose(before, encoder(images))
    assert FeatureExtractor(encoder, "last")(images).shape == (2, 1280)
    assert encoder(images).shape == (2, 1792)


def test_foreign_weights_are_refused(tmp_path):
    from safetensors.torch import save_file

    encoder = build_encoder("resnet10t", 32, 0)
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="tensors missing"):
        load_safetensors(encoder, tmp_path / "x.safetensors")
    torch.save({}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="not a safetensors file"):
        load_safetensors(encoder, tmp_path / "x.pth")


def test_the_head_standardises_and_starts_uniform():
    head = LinearHead(3, 4)
    features = torch.randn(100, 3) * torch.tensor([1.0, 50.0, 0.0]) + 7
    head.standardise_by(features)
    assert torch.equal(head(features), torch.zeros(100, 4))
    scaled = (features - head.mean) * head.scale * 3**0.5
    assert scaled.std(dim=0, correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-4)
