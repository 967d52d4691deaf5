"""Any timm backbone as an encoder: images in [0, 1] to feature maps and pooled features."""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derm_ml.errors import UserError
from derm_ml.models.small import FACTORS, SmallResNet

FeatureKind = Literal["last", "stages"]


class Encoder(nn.Module):
    """A timm backbone without its classifier, or a small network of our own, normalising its own input.

    Images enter as RGB in [0, 1]; the channel mean and standard deviation that the architecture was made for
    are applied inside, so that no caller can forget them.

    Args:
        name: a timm model name, or derm_small, derm_medium or derm_large.
        image_size: side in pixels; a transformer's position embedding is made for it.

    Raises:
        UserError: timm has no such model, or it gives no feature maps, or not at this size.
    """

    backbone: Any
    mean: Tensor
    std: Tensor

    def __init__(self, name: str, image_size: int) -> None:
        super().__init__()
        self.name, self.image_size = name, image_size
        self.backbone = _create(name, image_size)
        statistics: dict[str, Any] = self.backbone.pretrained_cfg
        for key in ("mean", "std"):
            values = torch.tensor(statistics.get(key) or (0.5, 0.5, 0.5)).view(1, 3, 1, 1)
            self.register_buffer(key, values, persistent=False)
        self.widths, self.side = self._freeze_unused()

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """The features of every stage; see `features`."""
        return self.features(images, "stages")

    def maps(self, images: Float[Tensor, "b 3 s s"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The feature map of every stage, and last the one that a classifier would pool."""
        final, stages = self.backbone.forward_intermediates((images - self.mean) / self.std)
        # Transformers hand out tokens, some networks channels last or lists: their last stage is the map to pool.
        is_map = isinstance(final, Tensor) and final.ndim == 4 and final.shape[-2:] == stages[-1].shape[-2:]
        return [*stages, final] if is_map else list(stages)

    def features(self, images: Float[Tensor, "b 3 s s"], kind: FeatureKind = "stages") -> Float[Tensor, "b d"]:
        """Spatial means: of the last map, or of every stage's map, concatenated."""
        maps = self.maps(images)
        chosen = maps if kind == "stages" else maps[-1:]
        return torch.cat([each.mean(dim=(2, 3)) for each in chosen], dim=1)

    def _freeze_unused(self) -> tuple[tuple[int, ...], int]:
        """Turn off the gradient of parameters that no feature depends on (a head's norm, a class token).

        Returns the channels of every map, and the positions of the last one along a side.
        """
        state = {key: value.clone() for key, value in self.backbone.state_dict().items()}
        try:
            maps = self.maps(torch.rand(2, 3, self.image_size, self.image_size))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UserError(f"backbone {self.name!r} does not take {self.image_size} px images: {error}") from error
        maps[-1].square().mean().backward()  # type: ignore[no-untyped-call]
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        self.backbone.load_state_dict(state)  # the trial pass moved batch-norm's running statistics
        return tuple(each.shape[1] for each in maps), maps[-1].shape[-1]


def _create(name: str, image_size: int) -> nn.Module:
    import timm

    if name in FACTORS:
        return SmallResNet(FACTORS[name])
    if name not in timm.list_models():
        import difflib

        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else "; timm.list_models() has the names"
        raise UserError(f"backbone {name!r} is not a timm model{hint}")
    try:
        model = create(name, image_size)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"backbone {name!r} does not take {image_size} px images: {error}") from error
    if not hasattr(model, "forward_intermediates"):
        raise UserError(f"backbone {name!r} gives no feature maps: choose a timm model with forward_intermediates")
    return model


def create(name: str, image_size: int, **options: Any) -> nn.Module:
    """timm's model without its classifier, made for a size where its architecture depends on one."""
    import timm

    try:
        model: nn.Module = timm.create_model(name, num_classes=0, img_size=image_size, **options)
    except TypeError:  # a convolutional network has no input size to fix
        model = timm.create_model(name, num_classes=0, **options)
    return model


def choose_backbone(name: str, device: torch.device) -> str:
    """The network with ImageNet weights: `auto` is tf_efficientnet_lite0 on a CPU and convnext_tiny on a GPU."""
    if name != "auto":
        return name
    return "convnext_tiny" if device.type == "cuda" else "tf_efficientnet_lite0"


def choose_own_backbone(name: str, device: torch.device) -> str:
    """The network to pretrain from scratch: `auto` is derm_medium on a CPU and derm_large on a GPU."""
    if name != "auto":
        return name
    return "derm_large" if device.type == "cuda" else "derm_medium"


def build_encoder(name: str, image_size: int, generator_seed: int) -> Encoder:
    """An encoder with random weights, a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed)
        return Encoder(name, image_size)
