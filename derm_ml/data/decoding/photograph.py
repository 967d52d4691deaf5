"""What is no photograph of a lesion, by stated rules on a small copy of the picture.

Each limit lies well beyond all 10,015 photographs of HAM10000 at 200 px; what was measured on them stands beside it.
Black counts as no colour of its own where pages and drawings are looked for: the field of view of a dermatoscope is
round, and what lies beside it is black.
"""

from __future__ import annotations

import numpy as np

LONGEST_ASPECT = 5.0  # longer side to shorter; phones take 2.2, HAM10000 has 1.33
LIKE = 6  # levels of 255 within which a pixel has "the same" colour as the commonest one
FLAT = 0.98  # share of pixels of one colour from which a picture is flat; HAM10000 at most 0.82
EMPTY = 0.92  # share from which it is nearly empty
DRAWN = 0.35  # share of the four commonest exact colours but black; HAM10000 at most 0.21
BLACK, WHITE = 8, 247
TWO_TONED = 0.94  # share of pixels that are black or white; HAM10000 at most 0.28
SMOOTH = 0.003  # share of neighbours that differ by more than EDGE levels; HAM10000 at least 0.03
EDGE = 3
DITHERED = (
    8  # neighbours whose mean is looked at where single pixels have few colours: a GIF of a photograph is dithered
)
NOISE, NOISE_MARGIN = 0.55, 0.1  # correlation of neighbours; HAM10000 at least 0.70, independent pixels 0

_LEVELS = np.arange(256)
_SQUARES = _LEVELS**2

Verdict = tuple[str, str]


def not_a_photograph(pixels: np.ndarray, size: tuple[int, int]) -> Verdict | None:
    """Why a picture is no photograph of a lesion: ("refuse" or "flag", reason), or None.

    Refused is what holds no picture at all (a strip, one flat colour); flagged is what people should look at.

    Args:
        pixels: uint8 RGB [h, w, 3], the whole picture, up to 255 px long. size: (width, height) of the file's, px.
    """
    aspect = max(size) / max(1, min(size))
    if aspect > LONGEST_ASPECT:
        return "refuse", f"a strip: {size[0]} x {size[1]} px, more than {LONGEST_ASPECT:g} to 1"
    rows = pixels[:: max(1, max(pixels.shape[:2]) // 24)]
    if _clear(rows[..., 1]):
        return None
    planes = rows.transpose(2, 0, 1).astype(np.int16, order="C")  # a colour a plane: three times as fast
    points = planes.reshape(3, -1)
    return _empty(points) or _drawn(planes) or _without_structure(planes)


def _clear(green: np.ndarray) -> bool:
    """Whether the green of a picture, uint8 [h, w], is enough to say that no rule is against it.

    Green is no more varied than colour: shares of alike, equal, black and white pixels and of equal neighbours are at
    least as large in it, so that what is below a limit here is below it in the rules too. (Noise alone is judged by
    green instead of by brightness, with a margin.) Nearly every photograph ends here, at a fifth of the rules' cost.
    """
    if green.shape[1] < 2:
        return False
    steps = green[:, 1:].astype(np.int16) - green[:, :-1]
    levels = np.bincount(green.ravel(), minlength=256)
    changes = np.bincount(np.abs(steps).ravel(), minlength=256)
    below = np.concatenate([[0], levels.cumsum()])
    alike = (below[2 * LIKE + 1 :] - below[: -(2 * LIKE + 1)]).max()
    equal = np.partition(levels, -4)[-4:].sum()
    two_toned = below[BLACK + 1] + green.size - below[WHITE]
    mean = float(levels @ _LEVELS) / green.size
    variance = float(levels @ _SQUARES) / green.size - mean * mean
    change = float(changes @ _SQUARES) / steps.size  # 2 (1 - correlation) of the variance
    return bool(
        alike < EMPTY * green.size
        and equal < DRAWN * green.size
        and two_toned < TWO_TONED * green.size
        and changes[EDGE + 1 :].sum() > SMOOTH * steps.size
        and change < 2 * (1 - NOISE - NOISE_MARGIN) * variance
    )


def _share(which: np.ndarray) -> float:
    return np.count_nonzero(which) / max(1, which.size)


def _empty(points: np.ndarray) -> Verdict | None:
    middle = np.partition(points, points.shape[1] // 2, axis=1)[:, points.shape[1] // 2, None]  # the median
    one_colour = _share(np.abs(points - middle).max(axis=0) <= LIKE)
    if one_colour >= FLAT:
        return "refuse", f"flat: {one_colour:.0%} of it is one colour"
    if one_colour >= EMPTY:
        return "flag", f"nearly empty: {one_colour:.0%} of it is one colour"
    return None


def _drawn(planes: np.ndarray) -> Verdict | None:
    two_toned = _share((planes.max(axis=0) <= BLACK) | (planes.min(axis=0) >= WHITE))
    if two_toned >= TWO_TONED:
        return "flag", f"a mask or a drawing: {two_toned:.0%} of it is black or white"
    exact = _four_colours(planes, BLACK)
    if exact >= DRAWN and planes.shape[2] >= DITHERED:
        along = range(planes.shape[2] - DITHERED + 1)
        sums = sum(planes[:, :, each : each + len(along)] for each in range(DITHERED))
        exact = min(exact, _four_colours(np.asarray(sums), BLACK * DITHERED))
    if exact >= DRAWN:
        return "flag", f"a page, a screenshot, a drawing or a wide border: {exact:.0%} of it has exactly four colours"
    return None


def _four_colours(planes: np.ndarray, black: int) -> float:
    """The share of the four commonest exact colours, of up to 11 bits a plane, leaving out what is as dark as black."""
    red, green, blue = planes.reshape(3, -1).astype(np.int64)
    codes = np.sort(((red << 22) | (green << 11) | blue)[planes.reshape(3, -1).max(axis=0) > black])
    ends = np.flatnonzero(codes[1:] != codes[:-1])
    counts = np.sort(np.diff(ends, prepend=-1, append=len(codes) - 1))
    return float(counts[-4:].sum()) / len(red)


def _without_structure(rows: np.ndarray) -> Verdict | None:
    grey = (rows[0] + rows[1] + rows[2]).astype(np.float32)
    if grey.shape[1] < 2:
        return None
    change = _share(np.abs(rows[:, :, 1:] - rows[:, :, :-1]).max(axis=0) > EDGE)
    if change < SMOOTH:
        return "flag", "nothing but a smooth gradient: no edge in it"
    off = grey - grey.mean()
    alike = float((off[:, 1:] * off[:, :-1]).mean() / max(float((off * off).mean()), 1e-6))
    if alike < NOISE:
        return "flag", "noise: neighbouring pixels have little in common"
    return None
