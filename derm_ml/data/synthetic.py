"""Lesions drawn from known factors: data that ships with the project, of any number and size.

The class follows from the factors (a rule in the spirit of dermoscopy's ABCD: asymmetry, border, colours,
diameter), then a tenth of the labels is redrawn, so that no classifier can be right everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derm_ml.errors import UserError
from derm_ml.seeding import numpy_generator

CLASSES = ("keratosis", "melanoma", "nevus", "vascular")
LABEL_NOISE = 0.10
# Pigments, RGB in [0, 1]: tan, brown, dark brown, blue-grey, red, white veil.
PIGMENTS = np.array(
    [
        [0.62, 0.42, 0.28],
        [0.45, 0.27, 0.17],
        [0.24, 0.14, 0.10],
        [0.38, 0.40, 0.47],
        [0.66, 0.22, 0.22],
        [0.82, 0.74, 0.70],
    ]
)


@dataclass(frozen=True)
class Factors:
    """What one lesion is drawn from."""

    area: float  # share of the frame, 0.05 to 0.45
    asymmetry: float  # 0 to 1
    border: float  # irregularity of the outline, 0 to 1
    colours: int  # 1 to 5
    texture: float  # contrast of the pigment network, 0 to 1
    hair: int  # hairs across the frame
    vascular: bool  # red lagoons instead of pigment


def lesion_factors(lesion: int, seed: int) -> tuple[Factors, str]:
    """The factors of lesion number `lesion` and its label, noise included."""
    rng = numpy_generator(seed, "lesion", lesion)
    factors = Factors(
        area=float(rng.uniform(0.05, 0.45)),
        asymmetry=float(rng.beta(1.5, 2.5)),
        border=float(rng.beta(1.5, 2.5)),
        colours=int(1 + rng.binomial(4, 0.35)),
        texture=float(rng.uniform()),
        hair=int(rng.poisson(3) * (rng.uniform() < 0.4)),
        vascular=bool(rng.uniform() < 0.12),
    )
    label = class_of(factors)
    if rng.uniform() < LABEL_NOISE:
        label = CLASSES[int(rng.integers(len(CLASSES)))]
    return factors, label


def class_of(factors: Factors) -> str:
    """The rule, without noise."""
    if factors.vascular:
        return "vascular"
    score = factors.asymmetry + factors.border + factors.colours / 5 + factors.area
    if score > 1.65:
        return "melanoma"
    return "keratosis" if factors.texture > 0.72 else "nevus"


def draw(lesion: int, view: int, size: int, seed: int) -> np.ndarray:
    """One photograph of a lesion: uint8 [size, size, 3]. A view has its own light, angle and skin shade."""
    factors, _ = lesion_factors(lesion, seed)
    shape_rng = numpy_generator(seed, "shape", lesion)
    rng = numpy_generator(seed, "view", lesion, view)
    axis = (np.arange(size) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis - rng.normal(0, 0.03), axis - rng.normal(0, 0.03), indexing="ij")
    skin = np.array([0.86, 0.68, 0.58]) * shape_rng.uniform(0.72, 1.08) + shape_rng.normal(0, 0.02, 3)
    image = skin + 0.03 * _smooth_noise(x, y, shape_rng, 6)[..., None]
    turn = rng.uniform(0, 2 * np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    inside = _outline(u, v, factors, shape_rng)
    image += (_pigment(u, v, factors, shape_rng) - image) * inside[..., None]
    image = _hairs(image, x, y, factors.hair, rng)
    light = 1 + 0.25 * (x * rng.normal() + y * rng.normal()) - 0.5 * rng.uniform() * (x**2 + y**2)
    image = image * light[..., None] * rng.uniform(0.9, 1.1) + rng.normal(0, 0.012, image.shape)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def _smooth_noise(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, waves: float) -> np.ndarray:
    """A sum of eight random plane waves, about unit variance."""
    total = np.zeros_like(x)
    for _ in range(8):
        kx, ky = rng.normal(0, waves, 2)
        total += np.cos(2 * np.pi * (kx * x + ky * y) + rng.uniform(0, 2 * np.pi))
    return total / 2.0


def _outline(u: np.ndarray, v: np.ndarray, factors: Factors, rng: np.random.Generator) -> np.ndarray:
    """Opacity in [0, 1]: an ellipse bent by asymmetry (low harmonics) and border irregularity (high ones)."""
    angle = np.arctan2(v, u)
    radius = np.sqrt(factors.area / np.pi) * np.ones_like(angle)
    for harmonic in range(1, 4):
        radius *= 1 + 0.22 * factors.asymmetry * rng.normal() * np.cos(harmonic * angle + rng.uniform(0, 6.28))
    for harmonic in range(5, 14):
        radius *= 1 + 0.07 * factors.border * rng.normal() * np.cos(harmonic * angle + rng.uniform(0, 6.28))
    edge = 0.035 * (1.3 - factors.border)
    return np.asarray(1 / (1 + np.exp(((np.hypot(u, v * rng.uniform(1.0, 1.35)) - radius) / edge).clip(-30, 30))))


def _pigment(u: np.ndarray, v: np.ndarray, factors: Factors, rng: np.random.Generator) -> np.ndarray:
    """Colour inside the lesion: patches of `colours` pigments, and a network of `texture` contrast."""
    if factors.vascular:
        lagoons = _smooth_noise(u, v, rng, 5) > 0
        base = np.where(lagoons[..., None], np.array([0.60, 0.12, 0.16]), np.array([0.72, 0.34, 0.34]))
    else:
        chosen = rng.permutation(len(PIGMENTS))[: factors.colours]
        chosen[0] = rng.integers(3)
        patches = np.stack([_smooth_noise(u, v, rng, 2.5) + (0.8 if i == 0 else 0.0) for i in range(len(chosen))])
        weights = np.exp(4 * patches)
        base = np.tensordot(weights / weights.sum(axis=0), PIGMENTS[chosen], axes=(0, 0))
    pitch = rng.uniform(11, 17)
    network = np.cos(2 * np.pi * pitch * u) * np.cos(2 * np.pi * pitch * v)
    return np.asarray(base * (1 + 0.35 * factors.texture * network[..., None]))


def _hairs(image: np.ndarray, x: np.ndarray, y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    for _ in range(count):
        angle, offset, bend = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4), rng.normal(0, 0.5)
        along, across = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
        distance = np.abs(across - offset - bend * along**2)
        image = image * (1 - 0.8 * np.exp(-((distance / 0.006) ** 2)))[..., None]
    return image


@dataclass(frozen=True)
class SyntheticSpec:
    """`synthetic:n=600,size=96,seed=0`."""

    n: int = 600
    size: int = 96
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> SyntheticSpec:
        """From the text after `synthetic:`.

        Raises:
            UserError: an unknown option, or a value out of range.
        """
        values = {"n": cls.n, "size": cls.size, "seed": cls.seed}
        for part in filter(None, text.split(",")):
            key, _, value = part.partition("=")
            if key not in values or not value.isdigit():
                raise UserError(f"data=synthetic:{text}: {part!r} is not understood: use n=600,size=96,seed=0")
            values[key] = int(value)
        if not 1 <= values["n"] <= 10**7 or not 32 <= values["size"] <= 1024:
            raise UserError(f"data=synthetic:{text}: n must be 1 to 10,000,000 and size 32 to 1024")
        return cls(**values)

    def views(self) -> list[tuple[int, int]]:
        """(lesion, view) of every image: every third lesion was photographed twice."""
        pairs = ((lesion, view) for lesion in range(self.n) for view in range(2 if lesion % 3 == 0 else 1))
        return [pair for _, pair in zip(range(self.n), pairs, strict=False)]
