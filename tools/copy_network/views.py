"""Two views of drawn photographs, as the check would see a picture and its copy: flattened, with fields of view."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pictures import HEIGHT, WIDTH
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate, max_pool2d, pad

from derm_ml.data.duplicates.descriptor import LOCAL
from derm_ml.data.duplicates.network import CELL
from derm_ml.data.duplicates.view import HAIR, HAIR_AT_LEAST, HAIR_CONTRAST, NOISE, SIDE

REDUCED = 4  # brightness wider than `LOCAL` is found on a copy that much smaller
_REACH = torch.arange(-7, 8).float()
_BELL = torch.exp(-(_REACH**2) / (2 * (LOCAL / REDUCED) ** 2))
_BELL = _BELL / _BELL.sum()


@dataclass(frozen=True)
class View:
    """Of n pictures: float32 [n, 2, SIDE, SIDE], the flattened copy and its field of view; where each place lies.

    `x` and `y`, [n, places, places], are pixels of the drawn photograph, `pixel` [n] is how many of them one is.
    """

    copies: Tensor
    x: Tensor
    y: Tensor
    pixel: Tensor


class Draw:
    """Random numbers [n] for a batch."""

    def __init__(self, count: int, generator: Generator) -> None:
        self.count, self._generator = count, generator

    def between(self, low: float, high: float) -> Tensor:
        return torch.rand(self.count, generator=self._generator) * (high - low) + low

    def share(self, part: float, low: float, high: float, otherwise: float) -> Tensor:
        """Between `low` and `high` for a part of the batch, [n, 1, 1]."""
        chosen = self.between(0, 1) < part
        return torch.where(chosen, self.between(low, high), torch.tensor(otherwise))[:, None, None]

    def among(self, count: int) -> Tensor:
        return torch.randint(0, count, (self.count,), generator=self._generator)


def view(photographs: Tensor, hair: Tensor, generator: Generator, changed: bool) -> View:
    """Of uint8 [n, HEIGHT, WIDTH]; `hair` is uint8 [k, SIDE, SIDE]. Without `changed`: nearly the whole, as it is."""
    draw = Draw(len(photographs), generator)
    x, y = torch.meshgrid(torch.arange(SIDE).float(), torch.arange(SIDE).float(), indexing="xy")
    wide, high = torch.full((draw.count,), float(SIDE)), torch.full((draw.count,), SIDE * HEIGHT / WIDTH)
    if changed:
        shape = draw.between(0, 1)
        high = torch.where(shape < 0.3, float(SIDE), high)
        wide = torch.where(shape < 0.1, SIDE * HEIGHT / WIDTH, wide)
    at_x, at_y, pixel = _places(draw, x, y, wide, high, changed)
    grid = torch.stack([at_x / (WIDTH - 1) * 2 - 1, at_y / (HEIGHT - 1) * 2 - 1], dim=-1)
    grey = grid_sample(photographs[:, None].float(), grid, padding_mode="reflection", align_corners=True)[:, 0]
    frame = (x < wide[:, None, None]) & (y < high[:, None, None])
    covered = (at_x >= 0) & (at_x <= WIDTH - 1) & (at_y >= 0) & (at_y <= HEIGHT - 1)
    if changed:
        covered = covered | (draw.between(0, 1) < 0.35)[:, None, None]  # the rest filled by reflection
    inside = (frame & covered).float()
    if changed:
        grey = _covered(draw, _processed(draw, grey, generator), hair, x, y)
        grey, inside = _round_field(draw, grey, inside, x, y, wide, high)
    inside = 1 - max_pool2d(1 - pad(inside[:, None], (2, 2, 2, 2), value=1.0), 5, 1)
    copies = torch.cat([flattened(closed(grey.clamp(0, 255).round()[:, None]), inside), inside], dim=1)
    return View(copies, avg_pool2d(at_x[:, None], CELL)[:, 0], avg_pool2d(at_y[:, None], CELL)[:, 0], pixel)


def _places(
    draw: Draw, x: Tensor, y: Tensor, wide: Tensor, high: Tensor, changed: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Where each pixel of the view lies in the photograph, [n, SIDE, SIDE] twice, and the size of one, [n]."""
    turn, mirror, press = torch.zeros(draw.count), torch.ones(draw.count), torch.ones(draw.count)
    part = draw.between(0.85, 1)
    if changed:
        kind = draw.between(0, 1)
        quarters = draw.among(4) * math.pi / 2
        turn = torch.where(kind < 0.55, draw.between(0, 2 * math.pi), torch.where(kind < 0.75, quarters, turn))
        part = torch.where(draw.between(0, 1) < 0.8, draw.between(0.56, 1), 1.0)
        mirror = torch.where(draw.between(0, 1) < 0.35, -1.0, 1.0)
        pressed = draw.between(0, 1)
        press = torch.where(pressed < 0.12, 4 / 3, torch.where(pressed < 0.3, draw.between(0.85, 1.18), 1.0))
    pixel = part * WIDTH / SIDE
    middle_x = WIDTH / 2 + draw.between(-1, 1) * (1 - part) / 2 * WIDTH
    middle_y = HEIGHT / 2 + draw.between(-1, 1) * (1 - part) / 2 * HEIGHT
    turn, mirror, press, size, middle_x, middle_y, across, down = (
        each[:, None, None] for each in (turn, mirror, press, pixel, middle_x, middle_y, wide / 2 - 0.5, high / 2 - 0.5)
    )
    u, v = (x - across) * size * mirror, (y - down) * size * press
    return turn.cos() * u - turn.sin() * v + middle_x, turn.sin() * u + turn.cos() * v + middle_y, pixel


def _processed(draw: Draw, grey: Tensor, generator: Generator) -> Tensor:
    """Another gamma, contrast, sharpness and noise."""
    grey = 255 * (grey / 255).clamp(1e-3, 1) ** draw.share(0.5, 0.65, 1.5, 1)
    grey = (grey - 128) * draw.share(0.5, 0.6, 1.4, 1) + 128
    soft = avg_pool2d(pad(grey[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    grey = grey + (soft - grey) * draw.share(0.4, -1.2, 1, 0)
    return grey + torch.randn(grey.shape, generator=generator) * draw.share(0.4, 0, 5, 0)


def _covered(draw: Draw, grey: Tensor, hair: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Hair on it, and a square painted over."""
    drawn = hair[draw.among(len(hair))].float() / 255
    grey = grey - drawn * draw.share(0.45, 20, 130, 0)
    side, middle_x, middle_y = (draw.between(*ends)[:, None, None] for ends in ((4, 14), (0, SIDE), (0, SIDE)))
    painted = (torch.maximum((x - middle_x).abs(), (y - middle_y).abs()) < side) & (draw.share(0.15, 1, 1, 0) > 0)
    return torch.where(painted, grey.mean(dim=(1, 2), keepdim=True), grey)


def _round_field(
    draw: Draw, grey: Tensor, inside: Tensor, x: Tensor, y: Tensor, wide: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """A round field of view, its edge hard or soft: what is dark is mostly known to be outside."""
    radius = draw.between(0.7, 1)[:, None, None] * SIDE / 2
    middle_x, middle_y = ((side * draw.between(0.45, 0.55))[:, None, None] for side in (wide, high))
    away, edge = torch.hypot(x - middle_x, y - middle_y), draw.between(0.3, 4)[:, None, None]
    seen = away < radius - edge * draw.between(0, 1.8)[:, None, None]
    field = draw.share(0.3, 1, 1, 0) > 0
    dark = grey * torch.sigmoid((radius - away) / edge)
    return torch.where(field, dark, grey), torch.where(field, inside * seen, inside)


def closed(grey: Tensor) -> Tensor:
    """Without thin dark lines, as `derm_ml.data.duplicates.view.closed_grey`, for a batch [n, 1, SIDE, SIDE]."""
    without = -max_pool2d(-max_pool2d(grey, HAIR, 1, HAIR // 2), HAIR, 1, HAIR // 2)
    limit = (HAIR_CONTRAST * grey.std(dim=(2, 3), keepdim=True)).clamp_min(HAIR_AT_LEAST)
    return torch.where(max_pool2d((without - grey > limit).float(), 3, 1, 1) > 0, without, grey)


def flattened(grey: Tensor, inside: Tensor) -> Tensor:
    """`derm_ml.data.duplicates.view.flattened` for a batch [n, 1, SIDE, SIDE]."""
    weight = _wide(inside).clamp_min(1e-3)
    centred = (grey - _wide(grey * inside) / weight) * inside
    spread = (_wide(centred**2) / weight).clamp_min(0).sqrt()
    return (centred / (spread + NOISE)).clamp(-3, 3) * inside


def _wide(values: Tensor) -> Tensor:
    small = pad(avg_pool2d(values, REDUCED), (7, 7, 7, 7), mode="reflect")
    small = conv2d(conv2d(small, _BELL.view(1, 1, 1, -1)), _BELL.view(1, 1, -1, 1))
    return interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
