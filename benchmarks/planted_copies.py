"""Copies of a photograph by processing, drawn from a generator: what near duplicates are measured on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def jpeg(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Encoded again as a JPEG of quality 30 to 95."""
    quality = int(rng.integers(30, 96))
    content = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[:, :, ::-1])


def resized(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half to double the size."""
    factor = float(2 ** rng.uniform(-1, 1))
    how = cv2.INTER_AREA if factor < 1 else [cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(2))]
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)


def square_cut(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The square in the middle, half to one and a half times the size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _to_square(picture[top : top + side, left : left + side], rng)


def square_padded(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black or white bars to a square."""
    height, width = picture.shape[:2]
    side = max(height, width)
    out = np.full((side, side, 3), [0, 255][int(rng.integers(2))], dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = picture
    return _to_square(out, rng)


def square_stretched(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pressed into a square, the aspect lost."""
    return _to_square(picture, rng)


def _to_square(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side = int(max(picture.shape[:2]) * rng.uniform(0.5, 1.5))
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def cropped(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nine tenths of each side, from anywhere."""
    height, width = picture.shape[:2]
    h, w = round(0.9 * height), round(0.9 * width)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return picture[top : top + h, left : left + w].copy()


def turned_filled(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by any angle in its own frame, corners black, white, of the mean colour or reflected."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(0, 360)), 1)
    fill = int(rng.integers(4))
    colour = [(0.0,) * 3, (255.0,) * 3, tuple(float(v) for v in picture.mean(axis=(0, 1))), (0.0,) * 3][fill]
    mode = cv2.BORDER_REFLECT if fill == 3 else cv2.BORDER_CONSTANT
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=colour)


def turned_cropped(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by any angle, then the largest frame of the same aspect without empty corners."""
    height, width = picture.shape[:2]
    angle = float(rng.uniform(0, 360))
    s, c = abs(np.sin(np.radians(angle))), abs(np.cos(np.radians(angle)))
    inside = min(width / (width * c + height * s), height / (width * s + height * c))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    turned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
    h, w = int(height * inside), int(width * inside)
    top, left = (height - h) // 2, (width - w) // 2
    return turned[top : top + h, left : left + w].copy()


def quarter_turned(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(picture, int(rng.integers(1, 4))))


def mirrored(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Left and right, or top and bottom, exchanged."""
    return np.ascontiguousarray(np.flip(picture, axis=int(rng.integers(2))))


def brightened(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness by up to 40 levels, contrast by 0.7 to 1.4, gamma 0.7 to 1.4."""
    values = (picture / 255.0) ** float(2 ** rng.uniform(-0.5, 0.5)) * 255
    values = (values - 128) * float(rng.uniform(0.7, 1.4)) + 128 + float(rng.uniform(-40, 40))
    return np.clip(values, 0, 255).astype(np.uint8)


def colour_cast(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each channel times 0.7 to 1.3."""
    return np.clip(picture * rng.uniform(0.7, 1.3, 3), 0, 255).astype(np.uint8)


def hair_drawn(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Five to twenty dark hairs across the frame."""
    out = picture.copy()
    for curve, thickness in _curves(picture.shape, rng, int(rng.integers(5, 21))):
        cv2.polylines(out, [curve], False, [int(v) for v in rng.integers(10, 70, 3)], thickness, cv2.LINE_AA)
    return out


def hair_painted_out(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is darker than its surroundings and thin is painted over, as hair removal does (DullRazor's way)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    side = max(5, picture.shape[0] // 25 | 1)
    hat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))
    mask = cv2.dilate((hat > 10).astype(np.uint8), np.ones((3, 3), np.uint8))
    return cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA)


def vignette(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark round field of view, its edge hard or soft, not quite in the middle."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    cy, cx = height * rng.uniform(0.45, 0.55), width * rng.uniform(0.45, 0.55)
    away = np.hypot(y - cy, x - cx) / (width / 2)
    edge = float(rng.uniform(0.75, 1.0))
    light = 1 / (1 + np.exp((away - edge) / float(rng.choice([0.005, 0.02, 0.06]))))
    floor = float(rng.uniform(0, 20))
    return np.asarray(picture * light[:, :, None] + floor * (1 - light[:, :, None])).astype(np.uint8)


def zoomed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Seven tenths of each side, from anywhere: seen 1.4 times as large."""
    height, width = picture.shape[:2]
    part = float(rng.uniform(0.7, 0.8))
    h, w = round(part * height), round(part * width)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return cv2.resize(picture[top : top + h, left : left + w], (width, height), interpolation=cv2.INTER_LINEAR)


def softened(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurred or sharpened."""
    sigma = height / float(rng.uniform(100, 250)) if (height := picture.shape[0]) else 1.0
    soft = cv2.GaussianBlur(picture, (0, 0), sigma)
    return soft if rng.uniform() < 0.5 else cv2.addWeighted(picture, 2, soft, -1, 0)


def _curves(shape: tuple[int, ...], rng: np.random.Generator, count: int) -> list[tuple[np.ndarray, int]]:
    """Bent lines across the frame: int32 [32, 2] points (x, y) and a thickness of 1 or 2 in 150 pixels."""
    height, width = shape[:2]
    curves = []
    for _ in range(count):
        ends = rng.uniform(-0.1, 1.1, (3, 2)) * [width, height]
        t = np.linspace(0, 1, 32)[:, None]
        points = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
        curves.append((points.astype(np.int32), max(1, round(height / 150 * int(rng.integers(1, 3))))))
    return curves


KINDS: dict[str, Change] = {
    change.__name__: change
    for change in (
        jpeg,
        resized,
        square_cut,
        square_padded,
        square_stretched,
        cropped,
        turned_filled,
        turned_cropped,
        quarter_turned,
        mirrored,
        brightened,
        colour_cast,
        hair_drawn,
        hair_painted_out,
        vignette,
        zoomed,
        softened,
    )
}


def two_changes(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two different kinds one after the other."""
    for number in rng.choice(len(KINDS), 2, replace=False):
        picture = list(KINDS.values())[int(number)](picture, rng)
    return picture
