"""Histograms as inline SVG: made by hand, so that the same numbers give the same bytes and nothing is imported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

WIDTH, HEIGHT, FOOT = 480, 110, 18  # units of the drawing


def histogram(counts: Sequence[int], names: Sequence[str], what: str) -> Markup:
    """Bars with their names below (as many as have room), the number in each bar's title and in the label.

    Args:
        names: one a bar. what: what is counted, for the alternative text.
    """
    top, step = max([*counts, 1]), WIDTH / max(len(counts), 1)
    every = max(1, -(-len(counts) * max(map(len, names), default=1) * 8 // WIDTH))  # about 8 units a character
    parts = []
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        tall = max(1.0 if count else 0.0, (HEIGHT - FOOT - 14) * count / top)
        x, y = number * step, HEIGHT - FOOT - tall
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{max(step - 2, 0.5):.1f}" height="{tall:.1f}">'
            f"<title>{escape(name)}: {count:,}</title></rect>"
        )
        if number % every == 0:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{HEIGHT - 4}">{escape(name)}</text>')
        if len(counts) <= 12:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{y - 3:.1f}">{count:,}</text>')
    told = "; ".join(f"{name}: {count:,}" for count, name in zip(counts, names, strict=True))
    return Markup(  # noqa: S704 (every name is escaped above)
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(what)}. {escape(told)}">'
        + "".join(parts)
        + "</svg>"
    )


def bins(values: np.ndarray, most: int = 20) -> tuple[list[int], list[str]]:
    """Counts and names of round bins over all values (float [n], finite); a bin's name is its lower end."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return [len(values)], [f"{low:g}"]
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))
    first = np.floor(low / width)
    places = (np.floor(values / width) - first).astype(int)
    counts = np.bincount(places)
    return [int(count) for count in counts], [f"{(first + place) * width:g}" for place in range(len(counts))]
