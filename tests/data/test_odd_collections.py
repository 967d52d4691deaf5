"""Every kind of odd file in every published layout: all that was good is used, all that was odd is told of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import published
import published_archive
import published_isic
import pytest
from file_makers import dicom
from miniatures import Miniature
from odd_files import plant

from derm_ml.data.collections.listing import LEFT_BEHIND
from derm_ml.data.dataset import ImageDataset, prepare
from derm_ml.errors import printable

Builder = Callable[[Path], Miniature]
BUILDERS: list[Builder] = [*published_isic.BUILDERS, *published_archive.BUILDERS, *published.BUILDERS]
FOLDERS: dict[Builder, str] = {
    published.class_folders: "folder", published.split_folders: "folder", published.split_folders_valid: "folder",
    published.split_folders_validation: "folder", published.patient_folders: "folder:1",
    published.linked_folders: "folder", published.stray_subfolder: "none",
}  # fmt: skip
# A hundred pictures without a row leave the table's in the minority: derm7pt's folders then look like classes, too.
SETTLED = FOLDERS | {published.derm7pt: "diagnosis"}
# What a row of a table names; each is the only file of its stem.
NAMED = [
    "zeros", "random", "eps", "twelve_bits", "fifo", "link_loop", "link_to_zero", "socket", "sparse", "exif_noise",
    "turned", "cmyk", "not_there",
]  # fmt: skip
# Their classes are too small to be split.
SMALL: list[Builder] = [published_archive.isic_archive, published.milk10k]
SECONDS = 30  # of a check, on a busy machine; it takes half of one


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("odd")
    return folder, plant(folder)


def graft(odd: Path, folder: Path) -> None:
    """The planted files once more, without their content."""
    for entry in os.scandir(odd):
        to = folder / entry.name
        if entry.is_symlink():
            to.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            to.mkdir()
        else:
            os.link(entry.path, to)


def built(build: Builder, root: Path) -> Miniature:
    if build is published_archive.isic2024_hdf5:
        pytest.importorskip("h5py")
    made = build(root)
    for number, name in enumerate(name for name in made.shots if name.endswith(".dcm")):
        noise = np.random.default_rng(number).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        (root / name).write_bytes(dicom(noise, "RGB"))
    return made


def name_in_tables(made: Miniature, like: str) -> int:
    """Give the odd files the rows of an image, in all tables; how many rows were written."""
    added, file = 0, Path(like)
    for path in sorted(each for each in made.root.rglob("*") if each.suffix in (".csv", ".tab", "") and each.is_file()):
        lines = [line for line in path.read_text().splitlines() if file.stem in line]
        with path.open("a") as table:
            for name in NAMED:
                for line in lines:
                    table.write(line.replace(file.name, f"{name}.jpg").replace(file.stem, name) + "\n")
                    added += 1
    return added


def check(made: Miniature, build: Builder, capfd: pytest.CaptureFixture[str]) -> ImageDataset:
    reading = replace(made.reading, label=SETTLED[build]) if build in SETTLED else made.reading
    capfd.readouterr()
    start = time.monotonic()
    dataset = prepare(made.spec, 32, None if build in SMALL else 0, reading=reading)
    assert time.monotonic() - start < SECONDS
    said = capfd.readouterr()
    assert said.out == ""
    assert [line for line in said.err.splitlines() if line and not line.startswith("Decoding")] == []
    assert all(reason and "\n" not in name + reason for name, reason in dataset.report.refused)
    return dataset


def all_good_are_used(dataset: ImageDataset, made: Miniature) -> None:
    labels = dict(zip(dataset.table["image_id"], dataset.table["label"], strict=True))
    refused = dict(dataset.report.refused)
    for name, shot in made.shots.items():
        if name not in labels:
            copy = refused[name].removeprefix("an exact copy of ")  # two of a miniature's are alike
            assert labels.get(copy) == shot.label or "without a label" in refused[name], (name, refused[name])
        else:
            assert labels[name] == shot.label, name


def told_of(dataset: ImageDataset, inside: str, odd: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What became of each odd file and the reason; "gone": nothing is said of it."""
    used, mended = set(dataset.table["image_id"]), dict(dataset.report.mended)
    refused = dict(dataset.report.refused)
    found = {}
    for name in odd:
        if name.startswith(".") or name.lower() in LEFT_BEHIND:  # of file managers: nobody's photographs
            continue
        image_id = printable(f"{inside}/{name}" if inside else name)
        if image_id in refused:
            found[name] = ("refused", refused[image_id])
        elif image_id in used:
            found[name] = ("mended" if image_id in mended else "ok", "")
        else:
            found[name] = ("gone", "")
    return found


def as_planted(found: dict[str, tuple[str, str]], odd: dict[str, str]) -> list[str]:
    """Where it is another than what was planted; copies, and a picture of one colour alone, are refused as such."""
    fine = ("an exact copy of", "flat:")
    wrong = {n: told for n, told in found.items() if told[0] != odd[n] and not told[1].startswith(fine)}
    return [f"{ascii(name)}: {told}, not {odd[name]}" for name, told in wrong.items()]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_odd_files_among_the_images(
    build: Builder, tmp_path: Path, odd: tuple[Path, dict[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    made = built(build, tmp_path / "collection")
    like = next(iter(made.shots))
    inside = like.rpartition("/")[0]
    if not (made.root / inside).is_dir() or made.opened:
        pytest.skip("its images are members of one file")
    graft(odd[0], made.root / inside)
    by_table = build not in FOLDERS
    assert not by_table or name_in_tables(made, like)
    dataset = check(made, build, capfd)
    all_good_are_used(dataset, made)
    found = told_of(dataset, inside, odd[1])
    if by_table:  # the others have no row, and are refused for it
        assert [name for name, told in found.items() if told[0] == "gone"] == []
        found = {f"{name}.jpg": found[f"{name}.jpg"] for name in NAMED if f"{name}.jpg" in found}
        assert any("not_there" in name for name, _ in dataset.report.refused)
    assert as_planted(found, odd[1]) == []


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_odd_files_beside_all(
    build: Builder, tmp_path: Path, odd: tuple[Path, dict[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    made = built(build, tmp_path / "collection")
    if "/" not in next(iter(made.shots)) and not made.opened:
        pytest.skip("its images lie there")
    graft(odd[0], made.root)
    dataset = check(made, build, capfd)
    all_good_are_used(dataset, made)
    if not made.opened:
        found = told_of(dataset, "", odd[1])
        assert [name for name, told in found.items() if told[0] != "refused"] == []


def test_a_table_given_itself_whose_rows_name_anything(
    tmp_path: Path, odd: tuple[Path, dict[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    """FIFOs, endless files, folders, names of the system and names that are too long: each is refused by name."""
    made = published.class_folders(tmp_path / "collection")
    (made.root / "bad").mkdir()
    graft(odd[0], made.root / "bad")
    bad = [f"bad/{name}" for name, outcome in odd[1].items() if outcome == "refused" and name.isascii()]
    bad += ["/dev/zero", "/proc/self/mem", "../../../../../../dev/zero", "bad", "..", "x" * 5000, "gone.jpg"]
    made.opened = made.root / "labels.csv"
    rows = [{"path": name, "label": shot.label} for name, shot in made.shots.items()]
    rows += [{"path": name, "label": "nevus"} for name in bad if "\n" not in name]
    made.table("labels.csv", "path,label", rows)
    dataset = check(made, published_isic.isic2018, capfd)  # read without a word
    all_good_are_used(dataset, made)
    assert set(dataset.table["image_id"]) == set(made.shots)
    assert len({name for name, _ in dataset.report.refused}) >= len(bad) - 1
