"""Small residual networks for a CPU, of stride 16, in three widths: no ImageNet weights exist for them.

Blocks as in He et al., Deep Residual Learning, arXiv 1512.03385, figure 5 (right), half as wide inside; the widening
1 x 1 convolution at the end is EfficientNet's. Plain 3 x 3 convolutions, since a CPU spends on a depthwise one many
times its arithmetic.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

FACTORS = {"derm_small": 1, "derm_medium": 2, "derm_large": 4}  # on every width: 0.5, 1.9 and 7.6 million weights
STEM, WIDTHS, HEAD = 24, (48, 96, 192), 512


class SmallResNet(nn.Module):
    """Maps of stride 2, 4, 8 and 16, and the widened last one; the interface is that of timm's networks.

    Args:
        factor: on the number of channels of every map.
    """

    pretrained_cfg: ClassVar[dict[str, object]] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    def __init__(self, factor: int = 1) -> None:
        super().__init__()
        widths = [factor * width for width in (STEM, *WIDTHS)]
        self.stem = _conv(3, widths[0], kernel=3, stride=2)
        sizes = zip(widths, widths[1:], strict=False)
        self.stages = nn.ModuleList(nn.Sequential(_conv(a, b, kernel=3, stride=2), Residual(b)) for a, b in sizes)
        self.widen = _conv(widths[-1], factor * HEAD, kernel=1, stride=1)

    def forward_intermediates(
        self, images: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b _ _ _"], list[Float[Tensor, "b _ _ _"]]]:
        """The widened last map, and the map of every stage."""
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return self.widen(maps[-1]), maps


class Residual(nn.Module):
    """x + a bottleneck of x; its last batch norm starts at zero, so that the block starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)
        self.branch = nn.Sequential(
            _conv(width, width // 2, kernel=1, stride=1),
            _conv(width // 2, width // 2, kernel=3, stride=1),
            nn.Conv2d(width // 2, width, 1, bias=False),
            last,
        )
        self.activation = nn.ReLU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The same shape."""
        return self.activation(x + self.branch(x))  # type: ignore[no-any-return]


def _conv(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
