"""Drawn grey photographs of skin: what the copy network learns on. No photograph of anybody is in it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

HEIGHT, WIDTH = 144, 192
_Y, _X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
_DOWN, _ACROSS = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]


def picture(seed: int) -> np.ndarray:
    """One photograph, uint8 [HEIGHT, WIDTH]: skin, most often a lesion, small ones, dots, lines."""
    rng = np.random.default_rng(seed)
    grey = rng.uniform(130, 220) + (_X / WIDTH - 0.5) * rng.normal(0, 20) + (_Y / HEIGHT - 0.5) * rng.normal(0, 20)
    grey = grey + _noise(rng, rng.uniform(1, 2.4)) * rng.uniform(1, 10)
    grey = grey + _noise(rng, rng.uniform(0.2, 1)) * rng.uniform(0.5, 4)
    if rng.uniform() < 0.5:  # the lines of the skin
        lines = _noise(rng, rng.uniform(0.5, 1.2), (0.03, 0.3), rng.uniform(1.5, 3), rng.uniform(0, np.pi))
        grey = grey + lines * rng.uniform(1, 6)
    if rng.uniform() < 0.9:
        grey = grey + _outline(rng, True) * _inside(rng)
    for _ in range(rng.poisson(0.6)):
        grey = grey - _outline(rng, False) * rng.uniform(-30, 70)
    if rng.uniform() < 0.3:
        grey = grey - _dots(rng, int(rng.integers(1, 25)), rng.uniform(1, 6)) * rng.uniform(-60, 40)
    if rng.uniform() < 0.3:
        lines = curves(rng, (HEIGHT, WIDTH), int(rng.integers(2, 14)), int(rng.integers(1, 3)))
        grey = grey - cv2.GaussianBlur(lines, (0, 0), rng.uniform(0.5, 1.5)) * rng.uniform(5, 40)
    return np.clip(grey, 0, 255).astype(np.uint8)


def curves(rng: np.random.Generator, shape: tuple[int, int], count: int, thickness: int) -> np.ndarray:
    """Bent lines across the frame, float32 [h, w] in 0 to 1: hair and vessels."""
    drawn = np.zeros(shape, np.float32)
    for _ in range(count):
        ends = rng.uniform(-0.1, 1.1, (3, 2)) * shape[::-1]
        t = np.linspace(0, 1, 24)[:, None]
        points = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
        line = [(points * 8).astype(np.int32)]
        cv2.polylines(drawn, line, False, float(rng.uniform(0.3, 1)), thickness, cv2.LINE_AA, 3)
    return drawn


def _inside(rng: np.random.Generator) -> np.ndarray:
    """What a lesion adds to the skin: darkness, clouds, and perhaps a network, a blotch and dots."""
    inside = -rng.uniform(10, 110) + _noise(rng, rng.uniform(1.2, 2.4)) * rng.uniform(2, 25)
    inside = inside + _noise(rng, rng.uniform(0.3, 1.2)) * rng.uniform(1, 10)
    if rng.uniform() < 0.5:
        mesh = rng.uniform(0.04, 0.15)
        inside = inside + np.abs(_noise(rng, 0.3, (mesh * 0.6, mesh * 1.4))) * rng.uniform(-20, 15)
    if rng.uniform() < 0.5:
        blotch = (_noise(rng, rng.uniform(1.2, 2)) - rng.normal(0, 0.8)) * rng.uniform(3, 15)
        inside = inside - _soft(blotch) * rng.uniform(10, 60) * rng.choice([1, 1, -1])
    if rng.uniform() < 0.4:
        inside = inside - _dots(rng, int(rng.integers(3, 60)), rng.uniform(1, 5)) * rng.uniform(-30, 60)
    return np.asarray(inside)


def _outline(rng: np.random.Generator, large: bool) -> np.ndarray:
    """1 inside a lesion, 0 outside, its edge soft and irregular."""
    away = 0.08 if large else 0.3
    y, x = HEIGHT / 2 + rng.normal(0, away) * HEIGHT, WIDTH / 2 + rng.normal(0, away) * WIDTH
    radius = HEIGHT * (rng.uniform(0.12, 0.6) if large else rng.uniform(0.03, 0.12))
    turn, narrow = rng.uniform(0, np.pi), rng.uniform(0.6, 1)
    along, across = (
        (_Y - y) * np.cos(turn) + (_X - x) * np.sin(turn),
        -(_Y - y) * np.sin(turn) + (_X - x) * np.cos(turn),
    )
    waves = np.arange(1, 9)
    height, phase = rng.normal(0, rng.uniform(0.02, 0.18), 8) / waves**0.7, rng.uniform(0, 2 * np.pi, 8)
    angle = np.arctan2(_Y - y, _X - x)
    edge = radius * (1 + sum(h * np.cos(k * angle + p) for h, k, p in zip(height, waves, phase, strict=True)))
    edge = edge + _noise(rng, rng.uniform(1.2, 2)) * rng.uniform(0, 0.12) * radius
    return _soft((edge - np.hypot(along, across / narrow)) / rng.uniform(1, radius * 0.35 + 1.5))


def _dots(rng: np.random.Generator, count: int, size: float) -> np.ndarray:
    drawn = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(count):
        middle = int(rng.uniform(0, WIDTH) * 8), int(rng.uniform(0, HEIGHT) * 8)
        shade = float(rng.uniform(0.3, 1))
        cv2.circle(drawn, middle, int(8 * rng.uniform(0.4, 1) * size), shade, -1, cv2.LINE_AA, 3)
    return cv2.GaussianBlur(drawn, (0, 0), rng.uniform(0.6, 1.5))


def _noise(
    rng: np.random.Generator, slope: float, band: tuple[float, float] = (0, 1), stretch: float = 1, turn: float = 0
) -> np.ndarray:
    """Noise of deviation 1 whose amplitude falls as frequency to the power of `slope`, within a band."""
    frequency = _frequency(stretch, turn)
    size = frequency**-slope * (frequency > band[0]) * (frequency < band[1])
    size[0, 0] = 0
    waves = size * (rng.standard_normal(size.shape) + 1j * rng.standard_normal(size.shape))
    drawn = np.fft.irfft2(waves, s=(HEIGHT, WIDTH)).astype(np.float32)
    return np.asarray(drawn / max(float(drawn.std()), 1e-6))


@lru_cache(maxsize=1)
def _frequency(stretch: float, turn: float) -> np.ndarray:
    along, across = np.cos(turn) * _DOWN + np.sin(turn) * _ACROSS, -np.sin(turn) * _DOWN + np.cos(turn) * _ACROSS
    frequency = np.hypot(along * stretch, across / stretch)
    frequency[0, 0] = 1
    return np.asarray(frequency)


def _soft(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))))
