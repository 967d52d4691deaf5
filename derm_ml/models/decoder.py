"""The decoder: latents to the mean of an image, by doublings of a small grid [1, 2].

[1] Odena et al., Deconvolution and Checkerboard Artifacts, 2016 (nearest-neighbour doubling before a convolution).
[2] Shi et al., Real-Time Single Image and Video Super-Resolution, arXiv 1609.05158 (sub-pixel convolution).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (256, 128, 96, 64, 32)


class ConvDecoder(nn.Module):
    """Latents to an image of `image_size` px: a linear map to a grid, then doubled to the full size.

    All doublings but the last are nearest-neighbour before a convolution, which leaves no checkerboard as a transposed
    one would [1]. The last is a sub-pixel convolution [2]: the widest maps, at full size, cost most of a decoder's
    time on a CPU, and this one has none (1.6 times as fast, forward and backward, at 64 px).

    Args:
        latent_dim: channels of z.
        side: of the map that z is; 1 for a vector, which becomes a grid of image_size / 32 first.
        width: factor on the channels.

    Raises:
        ValueError: the image size is no multiple of 32, or no such map doubled comes to it.
    """

    def __init__(self, latent_dim: int, image_size: int, side: int = 1, width: float = 1.0) -> None:
        super().__init__()
        if image_size < 32 or image_size % 32:
            raise ValueError(f"image_size={image_size} does not fit: it must be a multiple of 32")
        self.grid = side if side > 1 else image_size // 32
        doublings = (image_size // self.grid).bit_length() - 1
        if self.grid << doublings != image_size or not 1 <= doublings <= len(WIDTHS):
            raise ValueError(f"a map of {side} x {side} latents doubled does not come to {image_size} px")
        widths = [max(4, round(width * each)) for each in WIDTHS[-doublings:]]
        self.expand = nn.Linear(latent_dim, widths[0] * (self.grid**2 if side == 1 else 1))
        self.blocks = nn.Sequential(*(_double(a, b) for a, b in zip(widths, widths[1:], strict=False)))
        self.to_rgb = nn.Sequential(nn.Conv2d(widths[-1], 3 * 4, kernel_size=3, padding=1), nn.PixelShuffle(2))

    def forward(self, z: Float[Tensor, "b c"] | Float[Tensor, "b c g g"]) -> Float[Tensor, "b 3 s s"]:
        """The mean of p(x | z), in [0, 1]."""
        if z.ndim == 4:
            hidden = self.expand(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        else:
            hidden = self.expand(z).view(len(z), -1, self.grid, self.grid)
        return self.to_rgb(self.blocks(hidden)).float().sigmoid()  # type: ignore[no-any-return]


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(inplace=True),
    )
