"""Networks: gradients everywhere they should be, the real ImageNet weights, any size."""

import pytest
import torch
from torch.nn import functional

from derm_ml.errors import UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.heads import FeatureExtractor, LatentExtractor, LinearHead
from derm_ml.models.pretrained import lite0_state, load_imagenet, load_safetensors, load_vae
from derm_ml.models.vae import ConvVae
from derm_ml.objectives.elbo import ElboObjective


@pytest.mark.parametrize(
    "name",
    [
        "tf_efficientnet_lite0",
        "resnet10t",
        "mobilenetv3_small_050",
        "test_convnext",
        "test_vit",
        "coat_tiny",
        "derm_small",
        "derm_medium",
    ],
)
def test_every_trained_parameter_has_a_gradient(name):
    vae = ConvVae(build_encoder(name, 32, 0), 8)
    losses = ElboObjective(vae)(torch.rand(4, 3, 32, 32), torch.arange(4), 1.0, torch.Generator())
    losses.loss.backward()
    trained = {key: value for key, value in vae.named_parameters() if value.requires_grad}
    assert [key for key, value in trained.items() if value.grad is None] == []
    assert len(trained) > 10


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "derm_small"])
@pytest.mark.parametrize("size", [32, 96, 256])
def test_every_size(size, name, spatial):
    encoder = build_encoder(name, size, 0)
    vae = ConvVae(encoder, 8, spatial=spatial)
    reconstruction, posterior = vae(torch.rand(2, 3, size, size))
    assert reconstruction.shape == (2, 3, size, size)
    assert posterior.mean.shape == (2, 8 * (encoder.side**2 if spatial else 1))
    assert vae.summary(posterior.mean).shape == (2, 8)


def test_a_latent_map_has_its_position_in_the_image():
    """A change in one corner reaches the latents of that corner most, and what they decode to."""
    vae = ConvVae(build_encoder("derm_small", 128, 0), 2, spatial=True).eval()
    images = torch.rand(1, 3, 128, 128)
    changed = images.clone()
    changed[..., :16, :16] = 1 - changed[..., :16, :16]
    difference = (vae.encode(changed).mean - vae.encode(images).mean).view(2, 8, 8).abs().sum(dim=0)
    assert int(difference.argmax()) in (0, 1, 8, 9)
    assert difference[-1, -1] == 0
    z = torch.zeros(1, vae.latent_dim)
    corner = z.view(1, 2, 8, 8).clone()
    corner[..., 0, 0] = 3
    decoded = (vae.decode(corner.flatten(1)) - vae.decode(z)).abs().sum(dim=1)[0]
    assert decoded[:48, :48].sum() > 0.99 * decoded.sum()


@pytest.mark.parametrize("spatial", [False, True])
def test_a_saved_vae_is_told_from_its_shapes(tmp_path, spatial):
    from safetensors.torch import save_file

    vae = ConvVae(build_encoder("derm_small", 64, 0), 3, spatial=spatial, decoder_width=0.5).eval()
    save_file({key: value.contiguous() for key, value in vae.state_dict().items()}, tmp_path / "vae.safetensors")
    again = load_vae(build_encoder("derm_small", 64, 1), tmp_path / "vae.safetensors").eval()
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(LatentExtractor(again)(images), vae.encode(images).mean)
    assert torch.equal(again.decode(vae.encode(images).mean), vae.decode(vae.encode(images).mean))


def test_a_map_that_cannot_be_doubled_to_the_image_is_refused():
    encoder = build_encoder("test_efficientnet", 64, 0)
    encoder.side = 3
    with pytest.raises(ValueError, match="3 x 3 latents"):
        ConvVae(encoder, 2, spatial=True)


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


def native(name, path, **altered):
    """ImageNet weights of a network as they are handed out: made for its own image size, classifier included."""
    import timm
    from safetensors.torch import save_file

    state = timm.create_model(name).state_dict() | altered
    save_file(state, path)
    return state


def test_a_transformers_imagenet_weights_are_resampled_to_the_image_size(tmp_path):
    places = torch.rand(1, 101, 64)  # made for 160 px: a class token and ten patches a side
    state = native("test_vit", tmp_path / "vit.safetensors", pos_embed=places)
    encoder = build_encoder("test_vit", 64, 0)
    load_imagenet(encoder, str(tmp_path / "vit.safetensors"))
    loaded = encoder.backbone.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in loaded.items() if key != "pos_embed")
    grid = places[:, 1:].view(1, 10, 10, 64).permute(0, 3, 1, 2)
    expected = functional.interpolate(grid, (4, 4), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
    torch.testing.assert_close(loaded["pos_embed"], torch.cat([places[:, :1], expected], dim=1))


def test_weights_that_cannot_be_resampled_name_the_size_they_are_made_for(tmp_path):
    native("levit_128s", tmp_path / "levit.safetensors")
    with pytest.raises(
        UserError, match=r"levit_128s are made for 224 px, and do not fit at 64 px: give image_size=224"
    ):
        load_imagenet(build_encoder("levit_128s", 64, 0), str(tmp_path / "levit.safetensors"))


def test_the_head_standardises_and_starts_uniform():
    head = LinearHead(3, 4)
    features = torch.randn(100, 3) * torch.tensor([1.0, 50.0, 0.0]) + 7
    head.standardise_by(features)
    assert torch.equal(head(features), torch.zeros(100, 4))
    scaled = (features - head.mean) * head.scale * 3**0.5
    assert scaled.std(dim=0, correction=0).tolist() == pytest.approx([1, 1, 0], abs=1e-4)
