"""Clinical factors of a lesion, from its mask and its picture, in the spirit of dermoscopy's ABCD rule [1].

[1] Stolz et al., ABCD rule of dermatoscopy, European Journal of Dermatology 4 (1994): asymmetry over two axes, border,
    six colours (white, red, light brown, dark brown, blue-grey, black). The measures here are proxies, not the score.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from derm_ml.data.dataset import ImageDataset
from derm_ml.data.decoding import RefusedImage, decode_whole
from derm_ml.progress import progress

LONGEST = 256  # pixels of the longer side that factors are measured at
SHARE = 0.05  # of the lesion that a colour must cover to count
ABOUT_THE_RECORD = ("modality", "confirmation", "origin")  # of a photograph or its file, not of the lesion
FROM_MASKS = ("area", "asymmetry", "border", "colours")
# sRGB references of the six colours, chosen by eye on dermoscopic photographs. The count depends on them: with another
# palette (as others quote it from Kasmi and Mokrani, IET Image Processing 10 (2016)) 376 HAM10000 lesions come in
# another order (Spearman's rho 0.35 with this one). It is a rough ranking, not the score of the ABCD rule.
COLOURS = {
    "white": (235, 225, 220),
    "red": (195, 75, 80),
    "light brown": (180, 125, 85),
    "dark brown": (100, 62, 42),
    "blue-grey": (105, 115, 135),
    "black": (35, 28, 28),
}


def mask_factors(mask: np.ndarray, image: np.ndarray | None = None) -> dict[str, float]:
    """The four factors; nan for all where the mask is empty, nan for the colours without an image.

    Args:
        mask: bool [h, w]. image: uint8 RGB [h, w, 3].

    Returns:
        area: share of the frame, (0, 1].
        asymmetry: one minus the overlap (intersection over union) of the mask with its mirror image, over both of its
            principal axes (through the middle of its extent), mean, in [0, 1]; 0 is symmetric.
        border: one minus the area over that of a circle of the lesion's perimeter (Crofton's), in [0, 1); a circle
            has 0.
        colours: how many of six colours cover at least 5 % of the lesion (nearest reference in CIELAB).

    The border is compactness, 4 pi area / perimeter^2, taken from one, and not convexity: fine scallops that leave the
    hull as it is lengthen the perimeter. A long smooth ellipse therefore has some, too.

    Raises:
        ValueError: mask and image differ in size.
    """
    if image is not None and image.shape[:2] != mask.shape:
        raise ValueError(f"a mask of {mask.shape} does not fit an image of {image.shape[:2]}")
    from skimage.measure import regionprops

    if not mask.any():
        return dict.fromkeys(FROM_MASKS, float("nan"))
    region = regionprops(mask.astype(np.uint8))[0]  # type: ignore[no-untyped-call]
    roundness = 4 * np.pi * region.area / max(region.perimeter_crofton, 1.0) ** 2
    return {
        "area": float(mask.mean()),
        "asymmetry": _asymmetry(mask, region.orientation),
        "border": float(np.clip(1 - roundness, 0, 1)),
        "colours": float(colour_count(mask, image)) if image is not None else float("nan"),
    }


def _asymmetry(mask: np.ndarray, angle: float) -> float:
    """Turned so that the principal axes are the frame's, then compared with its mirror images.

    Args:
        angle: of the major axis against the rows' axis, radians, as skimage's `orientation`.
    """
    from skimage.transform import rotate

    padded = np.pad(mask, 2).astype(np.float64)
    turned = rotate(padded, -np.degrees(angle), resize=True, order=1) > 0.5  # type: ignore[no-untyped-call]
    if not turned.any():  # thinner than a pixel
        return 0.0
    flipped = [_mirrored(turned, axis) for axis in (0, 1)]
    return float(1 - np.mean([(turned & each).sum() / (turned | each).sum() for each in flipped]))


def _mirrored(grid: np.ndarray, axis: int) -> np.ndarray:
    """About the middle of the occupied cells, not of the frame: a pixel's shift is no asymmetry."""
    occupied = np.flatnonzero(grid.any(axis=1 - axis))
    flipped = np.flip(grid, axis)
    return np.asarray(np.roll(flipped, occupied[0] + occupied[-1] - (grid.shape[axis] - 1), axis))


def colour_count(mask: np.ndarray, image: np.ndarray) -> int:
    """How many of the six colours cover at least 5 % of the lesion."""
    from skimage.color import rgb2lab

    pixels = rgb2lab(image[mask][None].astype(np.float64) / 255.0)[0]
    references = rgb2lab(np.array([list(COLOURS.values())], dtype=np.float64) / 255.0)[0]
    nearest = ((pixels[:, None] - references) ** 2).sum(axis=2).argmin(axis=1)
    return int((np.bincount(nearest, minlength=len(COLOURS)) >= SHARE * len(pixels)).sum())


def clinical_factors(dataset: ImageDataset, rows: np.ndarray) -> pd.DataFrame:
    """What is known of these rows: the factors of their masks, then the source's own; no columns where nothing is.

    An image whose mask or picture cannot be read, or whose mask has other proportions than its picture (one of them was
    turned or cut), has nan for the mask's factors.
    """
    source = dataset.source
    ids = dataset.table["image_id"].to_numpy()[rows]
    if source is None:
        return pd.DataFrame(index=range(len(rows)))
    parts = []
    if source.mask is not None:
        measured = []
        with progress("Measuring lesions", len(ids)) as bar:
            for image_id in ids:
                measured.append(_measure(dataset, image_id))
                bar.advance()
        parts.append(pd.DataFrame(measured, columns=list(FROM_MASKS)))
    if source.clinical is not None:
        known = source.clinical.drop(columns=[*ABOUT_THE_RECORD], errors="ignore")
        parts.append(known.reindex(ids).reset_index(drop=True))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(len(rows)))


def _measure(dataset: ImageDataset, image_id: str) -> dict[str, float]:
    assert dataset.source is not None
    assert dataset.source.mask is not None
    mask = dataset.source.mask(image_id)
    try:
        image = decode_whole(dataset.source.read(image_id), LONGEST)
    except (RefusedImage, OSError):
        mask = None
    if mask is None or not _alike(mask.shape, image.shape):
        return dict.fromkeys(FROM_MASKS, float("nan"))
    return mask_factors(_scaled(mask, image.shape[:2]), image)


def _alike(mask: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether height over width is the same, but for the rounding of a scaled side (2 %)."""
    return min(mask) > 0 and abs(mask[0] * image[1] / (mask[1] * image[0]) - 1) < 0.02


def _scaled(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    if mask.shape == shape:
        return mask
    picture = Image.fromarray(mask.astype(np.uint8) * 255).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture) > 127
