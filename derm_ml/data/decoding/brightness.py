"""Samples of more than 8 bits to 8 bits: what counts as white.

The rule. Black is 0. White is the least of 255, 4,095, 65,535 and 2,147,483,647, and of floats also 1, that no sample
exceeds (floats may overshoot by a tenth). Pictures have 8, 12 or 16 bits, or lie in [0, 1], whatever their container:
one of 16 bits says little, and to take it at its word turns samples of 8 and 12 bits black. Within a step the
brightness stays as it is: nothing is stretched to the picture's own maximum, so that a dark picture stays dark. Where
the file states its largest sample (TIFF's MaxSampleValue; DICOM's bits stored and window), that is white.

Not a number counts as black. A picture with many samples below 0 was normalised by a rule that nobody wrote down: it is
refused.
"""

from __future__ import annotations

import numpy as np

from derm_ml.data.decoding.refusal import RefusedImage

WHITES = (255.0, 4095.0, 65535.0, 2147483647.0)
MAX_NEGATIVE = 0.01  # share of samples


def to_8_bits(samples: np.ndarray, white: float | None = None) -> tuple[np.ndarray, str]:
    """Samples of any number type to uint8, and the rule that was applied.

    Args:
        samples: [h, w] or [h, w, c]. white: the sample that is white, where the file states it.

    Raises:
        RefusedImage: the samples have no range that a photograph has.
    """
    floats = samples.dtype.kind == "f"
    values = np.nan_to_num(samples.astype(np.float32 if samples.dtype.itemsize <= 2 else np.float64), nan=0.0)
    low, high = float(values.min()), float(values.max())
    if np.mean(values < 0) > MAX_NEGATIVE:
        raise RefusedImage(f"samples from {low:.4g} to {high:.4g}: below 0, so that black and white are unknown")
    if white is None or white < high or not white > 0:
        steps = (1.0, *WHITES) if floats else WHITES
        white = next((step for step in steps if high <= step * (1.1 if floats else 1.0)), None)
        if white is None:
            raise RefusedImage(f"samples up to {high:.4g}: more than 31 bits, so that white is unknown")
    stored = "floating point" if floats else f"{8 * samples.dtype.itemsize}-bit"
    scaled = (values * (255.0 / white)).clip(0, 255).round().astype(np.uint8)
    return scaled, f"{stored} scaled to 8-bit (white is {white:,.0f})"
