"""Miniature collections: noise for photographs, real file names and headers, and what is right to read in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from derm_ml.data.source import Reading, Source


@dataclass(frozen=True)
class Shot:
    """What is right of one image.

    Attributes:
        group: images of one name belong together; "" stands alone. known: of the clinical table.
    """

    label: str = ""
    group: str = ""
    split: str = ""
    known: Mapping[str, object] = field(default_factory=dict)
    mask: bool = False


@dataclass
class Miniature:
    """A collection on disk.

    Attributes:
        opened: the folder or table that is given as `data`. shots: image_id (the relative path) to what is right.
        said: (what, a part of the sentence) that the choices must hold.
    """

    root: Path
    shots: dict[str, Shot] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)
    opened: Path | None = None
    reading: Reading = Reading()

    def image(self, name: str, shot: Shot | None = None) -> str:
        """Write a noise image; with a shot it is expected to be read."""
        write_image(self.root / name)
        if shot is not None:
            self.shots[name] = shot
        return name

    def text(self, name: str, content: str | bytes = "", encoding: str = "utf-8") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    def table(
        self, name: str, header: str | Sequence[str], rows: Iterable[Mapping[str, object]], sep: str = ",", **more: str
    ) -> Path:
        """Write a table; cells that a row lacks are empty, those with the delimiter in them are quoted."""
        columns = header.split(",") if isinstance(header, str) else list(header)
        lines = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
        quote = more.pop("quote", "")
        text = "".join(sep.join(_cell(cell, sep, quote) for cell in line) + "\n" for line in lines)
        return self.text(name, text, **more)

    @property
    def spec(self) -> str:
        return str(self.opened or self.root)


def _cell(text: str, sep: str, quote: str) -> str:
    return '"' + text.replace('"', '""') + '"' if quote or sep in text or '"' in text or "\n" in text else text


def write_image(path: Path, seed: int | None = None) -> None:
    """40 x 32 pixels of noise, each path another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum((i + 1) * byte for i, byte in enumerate(str(path.name).encode("utf-8", "surrogateescape")))
    generator = np.random.default_rng([number, len(str(path.parent))] if seed is None else seed)
    picture = Image.fromarray(generator.integers(0, 256, (32, 40, 3), dtype=np.uint8))
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}.get(path.suffix.lower(), "JPEG")
    picture.save(path, kind)


def write_mask(path: Path) -> None:
    """A white square on black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((32, 40), dtype=np.uint8)
    pixels[8:24, 10:30] = 255
    Image.fromarray(pixels).save(path, "BMP" if path.suffix == ".bmp" else "PNG")


CLASSES = ("nevus", "melanoma", "bcc")
Rows = list[dict[str, object]]


def plain(
    root: Path, file: Callable[[int], str] = "img_{:03d}.jpg".format, folder: str = "photos/"
) -> tuple[Miniature, Rows]:
    """24 photographs of 12 patients, and their rows: image, diagnosis, patient."""
    made, rows = Miniature(root), []
    for n in range(24):
        made.image(folder + file(n), Shot(CLASSES[n // 2 % 3], f"p{n // 2}"))
        rows.append({"image": file(n), "diagnosis": CLASSES[n // 2 % 3], "patient": f"p{n // 2}"})
    return made, rows


def csv(rows: Rows, sep: str = ",", end: str = "\n", more: str = "") -> str:
    return end.join([sep.join(rows[0]) + more, *(sep.join(map(str, row.values())) + more for row in rows), ""])


def faults(source: Source, made: Miniature) -> list[str]:
    """Where a source is not what is right; empty: it is."""
    records = source.records.set_index("image_id")
    found = [f"not read: {name}" for name in sorted(set(made.shots) - set(records.index))[:5]]
    found += [f"read, and should not be: {name}" for name in sorted(set(records.index) - set(made.shots))[:5]]
    both = [name for name in made.shots if name in records.index]
    for what in ("label", "split"):
        wrong = [n for n in both if records[what][n] != getattr(made.shots[n], what)]
        found += [f"{what} of {n}: {records[what][n]!r}, not {getattr(made.shots[n], what)!r}" for n in wrong[:3]]
    if (got := _partition({n: records["group"][n] for n in both})) != (
        right := _partition({n: made.shots[n].group for n in both})
    ):
        found.append(f"groups: {sorted(got - right)[:3]}, not {sorted(right - got)[:3]}")
    for name in both:
        for column, value in made.shots[name].known.items():
            known = None if source.clinical is None or column not in source.clinical else source.clinical[column][name]
            if not (known == value or (value != value and known != known)):
                found.append(f"{column} of {name}: {known!r}, not {value!r}")
        has_mask = source.mask is not None and source.mask(name) is not None
        if has_mask != made.shots[name].mask:
            found.append(f"{name}: mask {'found' if has_mask else 'lost'}")
    found += _unsaid(source, made.said)
    return found[:20]


def _unsaid(source: Source, said: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"not said of {what}: {part!r} in {[told for each, told in source.choices if each == what]}"
        for what, part in said
        if not any(each == what and part in told for each, told in source.choices)
    ]


def _partition(groups: Mapping[str, str]) -> set[tuple[str, ...]]:
    """Images that belong together; one alone in its group and one of none are the same."""
    by_name: dict[str, list[str]] = {}
    for name, group in groups.items():
        by_name.setdefault(group or f"alone: {name}", []).append(name)
    return {tuple(sorted(names)) for names in by_name.values()}
