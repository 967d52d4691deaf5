"""Train the copy network on drawn photographs, and write the weights that `derm_ml.data.duplicates` ships.

    PYTHONPATH=. python tools/copy_network/train.py --out network.safetensors

With the defaults it takes about 90 minutes on two cores. The loss: InfoNCE between two views of a picture, against the
other pictures of the batch; and InfoNCE of each place, against the other places of the other view and of another
picture.
"""

from __future__ import annotations

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from pictures import curves, picture
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, normalize
from views import View, view

from derm_ml.data.duplicates.network import CELL, COVERED, STRIDES
from derm_ml.data.duplicates.view import SIDE
from derm_ml.progress import progress

WIDTHS, KERNELS = (32, 48, 80, 96, 96), (7, 3, 3, 3, 3)
VECTOR, PLACE = 128, 32  # numbers of a picture, and of a place
HEAT, PLACE_HEAT = 0.05, 0.08
NEAR = 0.55  # of a place's side: how far apart one place may lie in two views


class Trained(nn.Module):
    """`CopyNetwork` with its batch normalisation, as it is trained."""

    def __init__(self) -> None:
        super().__init__()
        layers = []
        for wide, deep, kernel, stride in zip((2, *WIDTHS), WIDTHS, KERNELS, STRIDES, strict=False):
            convolution = nn.Conv2d(wide, deep, kernel, stride, kernel // 2, bias=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(deep), nn.ReLU(inplace=True)))
        self.body = nn.Sequential(*layers)
        self.whole, self.places = nn.Linear(2 * WIDTHS[-1], VECTOR), nn.Conv2d(WIDTHS[-1], PLACE, 1)

    def forward(self, copies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of [n, 2, SIDE, SIDE]: vectors [n, d], places [n, c, p], and which places are inside, [n, p]."""
        maps = self.body(copies)
        covered = avg_pool2d(copies[:, 1:], CELL)
        share = covered / covered.sum(dim=(2, 3), keepdim=True).clamp_min(1e-3)
        mean = (maps * share).sum(dim=(2, 3))
        cubes = ((maps.clamp_min(1e-4) ** 3 * share).sum(dim=(2, 3)) + 1e-6) ** (1 / 3)
        whole = normalize(self.whole(torch.cat([mean, cubes], dim=1)), dim=1)
        return whole, normalize(self.places(maps), dim=1).flatten(2), covered.flatten(1) > COVERED

    def folded(self) -> dict[str, Tensor]:
        """The weights as they ship: normalisation folded into the convolutions, half precision."""
        weights = {}
        for number, (convolution, norm, _) in enumerate(self.body):
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            weights[f"conv{number}.weight"] = convolution.weight * gain[:, None, None, None]
            weights[f"conv{number}.bias"] = norm.bias - norm.running_mean * gain
        for name in ("whole", "places"):
            weights |= {f"{name}.{part}": value for part, value in getattr(self, name).named_parameters()}
        return {name: value.detach().half().contiguous() for name, value in weights.items()}


def picture_loss(first: Tensor, second: Tensor) -> Tensor:
    """Each vector [n, d] must be more like the same picture's other one than like any other's."""
    alike, truth = first @ second.T / HEAT, torch.arange(len(first))
    return (cross_entropy(alike, truth) + cross_entropy(alike.T, truth)) / 2


def place_loss(first: View, second: View, places: Tensor, inside: Tensor) -> Tensor:
    """Each place of the first view must be most like the one of the second that shows the same of the photograph."""
    a, b = places.chunk(2)
    inside_a, inside_b = inside.chunk(2)
    x, y = (getattr(first, of).flatten(1)[:, :, None] - getattr(second, of).flatten(1)[:, None] for of in ("x", "y"))
    away, truth = torch.hypot(x, y).masked_fill(~inside_b[:, None], torch.inf).min(dim=2)
    shown = inside_a & (away < NEAR * CELL * torch.maximum(first.pixel, second.pixel)[:, None])
    alike = torch.einsum("ncp,ncq->npq", a, torch.cat([b, b.roll(1, 0)], dim=2)) / PLACE_HEAT
    hidden = ~torch.cat([inside_b, inside_b.roll(1, 0)], dim=1)[:, None]
    return cross_entropy(alike.masked_fill(hidden, -30)[shown], truth[shown])


def train(photographs: Tensor, hair: Tensor, steps: int, batch: int, rate: float, seed: int) -> Trained:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Trained().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2)
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    with progress("Training the copy network", steps, "steps") as bar:
        for _ in range(steps):
            drawn = photographs[torch.randperm(len(photographs), generator=generator)[:batch]]
            both_changed = torch.rand(1, generator=generator).item() < 0.3
            with torch.no_grad():
                first, second = view(drawn, hair, generator, both_changed), view(drawn, hair, generator, True)
            copies = torch.cat([first.copies, second.copies]).contiguous(memory_format=torch.channels_last)
            whole, places, inside = network(copies)
            a, b = whole.chunk(2)
            loss = picture_loss(a, b) + place_loss(first, second, places, inside)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            warm.step()
            bar.advance()
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=12_000)
    parser.add_argument("--steps", type=int, default=2_500)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        photographs = np.stack(list(pool.map(picture, range(asked.pictures), chunksize=64)))
    rng = np.random.default_rng(1)
    hair = np.stack(
        [curves(rng, (SIDE, SIDE), int(rng.integers(4, 21)), int(rng.integers(1, 3))) * 255 for _ in range(400)]
    )
    network = train(
        torch.from_numpy(photographs),
        torch.from_numpy(hair.astype(np.uint8)),
        asked.steps,
        asked.batch,
        asked.rate,
        asked.seed,
    )
    save_file(network.folded(), asked.out)


if __name__ == "__main__":
    main()
