"""Folders as people keep them: classes are told from how images are stored, and stray files end nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from miniatures import Miniature, Shot, faults, write_image, write_mask

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError

CLASSES = ("nevus", "melanoma")


def class_folders(root: Path, classes: tuple[str, ...] = CLASSES, inside: str = "") -> Miniature:
    made = Miniature(root, said=[("label", "folder")])
    for n in range(24):
        label = classes[n % len(classes)]
        made.image(f"{label}/{inside.format(n // 2)}{n:03d}.jpg", Shot(label))
    return made


# What may lie beside class folders and says nothing of the images.
STRAY: Mapping[str, Callable[[Miniature], object]] = {
    "an empty table": lambda made: made.text("labels.csv"),
    "a table of blanks": lambda made: made.text("labels.csv", "\n \n"),
    "a table in Latin-1": lambda made: made.text("labels.csv", "Größe;Zahl\nüber;3\n".encode("latin-1")),
    "a binary table": lambda made: made.text("labels.csv", bytes(range(256)) * 9),
    "a table of one huge line": lambda made: made.text("labels.csv", "x" * 3_000_000),
    "a table of ragged lines": lambda made: made.text("labels.csv", "a,b\n1\n1,2,3,4\n"),
    "a readme": lambda made: made.text("README.csv", "This folder, as agreed,\nholds photographs.\n"),
    "a price list": lambda made: made.text("prices.csv", "item,price\nlamp,12\nbattery,3\n"),
    "macOS' table": lambda made: made.text("._labels.csv", b"\0\5\26\7" + bytes(60)),
    "macOS' folder": lambda made: made.text("__MACOSX/nevus/._000.jpg", b"\0\5\26\7" + bytes(60)),
    "macOS' images": lambda made: made.text("nevus/._000.jpg", b"\0\5\26\7" + bytes(60)),
    "Windows' previews": lambda made: made.text("nevus/Thumbs.db", b"\xd0\xcf\x11\xe0"),
    "hidden images": lambda made: write_image(made.root / ".cache" / "x.jpg"),
    "a FIFO for a table": lambda made: os.mkfifo(made.root / "labels.csv"),
    "a FIFO for an image": lambda made: os.mkfifo(made.root / "nevus" / "fifo.jpg"),
    "a loop of links": lambda made: (made.root / "nevus" / "up").symlink_to(made.root, target_is_directory=True),
    "a link to itself": lambda made: (made.root / "nevus" / "me.jpg").symlink_to("me.jpg"),
    "a link to nothing": lambda made: (made.root / "nevus" / "gone.jpg").symlink_to("nowhere.jpg"),
    "a link to an endless file": lambda made: (made.root / "nevus" / "zero.jpg").symlink_to("/dev/zero"),
    "a second way to a class": lambda made: (made.root / "again").symlink_to(made.root / "nevus"),
    "notes": lambda made: made.text("nevus/notes.txt", "000.jpg is blurred, 002.jpg too\n"),
    "an empty folder": lambda made: (made.root / "to sort").mkdir(),
}


@pytest.mark.parametrize("what", STRAY)
def test_stray_files_beside_class_folders_end_nothing(what: str, tmp_path: Path) -> None:
    made = class_folders(tmp_path)
    STRAY[what](made)
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize(
    "names",
    [
        ("melanoma (in situ)", "nevus, blue", "naevus & co"), ("黑色素瘤", "痣"), ("меланома", "невус"), ("mel", "nv"),
        ("Melanoma", "Nevus", "BCC"), ("class_0", "class_1"), ("Grade 1", "Grade 2"), ("benign", "malignant"),
        ("Skin lesion: none", "Acne vulgaris"), ("1_melanoma", "2_nevus", "3_bcc"), ("Photo-damaged skin", "healthy"),
    ],
    ids=lambda names: names[0],
)  # fmt: skip
def test_classes_by_any_name(names: tuple[str, ...], tmp_path: Path) -> None:
    made = class_folders(tmp_path, names)
    assert faults(open_source(made.spec), made) == []


# Folders that are no diagnoses; read without labels (and with a warning), or refused: never as classes.
NO_CLASSES = {
    "parts": ("imgs_part_1", "imgs_part_2", "imgs_part_3"),
    "years": ("2019", "2020", "2021"),
    "dates": ("2021-03-05", "2021-04-07", "2022-01-30"),
    "patients": tuple(f"patient_{n:03d}" for n in range(8)),
    "ids": tuple(f"IL_{n * 7919:07d}" for n in range(8)),
    "uuids": tuple(f"{n:08x}-89ab-4def" for n in range(8)),
    "kinds": ("clinical", "dermoscopic"),
    "cameras": ("camera 1", "camera 2"),
    "hospitals": ("hospital_a", "hospital_b"),
    "thumbnails": ("images", "thumbs"),
    "batches": ("batch_1", "batch_2"),
    "splits": ("train", "test"),
    "folds": ("fold_0", "fold_1", "fold_2"),
    "numbers": ("0", "1"),
    "numbered": ("01", "02", "03"),
    "names of patients": ("Patient A", "Patient B", "Patient C"),
    "sessions": ("session1", "session2"),
    "drives": ("100CANON", "101CANON"),
    "camera rolls": ("DCIM", "100APPLE"),
}


@pytest.mark.parametrize("kind", NO_CLASSES)
def test_folders_of_storage_are_no_diagnoses(kind: str, tmp_path: Path) -> None:
    made = class_folders(tmp_path, NO_CLASSES[kind])
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "label=" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert set(source.records["label"]) == {""}
        assert len(source.records) == 24
        assert any("label" in warning for warning in source.warnings)
    taken = open_source(made.spec, Reading(label="folder:1"))
    assert set(taken.records["label"]) == set(NO_CLASSES[kind])


@pytest.mark.parametrize("kind", ["patients", "ids"])
def test_folders_of_ids_are_groups(kind: str, tmp_path: Path) -> None:
    made = class_folders(tmp_path, NO_CLASSES[kind])
    made.shots = {name: Shot("", name.partition("/")[0]) for name in made.shots}
    made.said = [("group", "folder")]
    assert faults(open_source(made.spec), made) == []


def test_numbered_folders_are_settled_by_a_parameter(tmp_path: Path) -> None:
    made = class_folders(tmp_path, ("0", "1"))
    with pytest.raises(UserError, match="label=folder.*group=folder"):
        open_source(made.spec)
    assert faults(open_source(made.spec, Reading(label="folder")), made) == []
    made.shots = {name: Shot("", name.partition("/")[0]) for name in made.shots}
    made.said = []
    assert faults(open_source(made.spec, Reading(group="folder", label="none")), made) == []


@pytest.mark.parametrize("above", ["hospital_1/2019", "images/original", "dataset v2/Fotos"])
def test_folders_of_storage_above_classes_are_passed(above: str, tmp_path: Path) -> None:
    made = class_folders(tmp_path / above)
    made.shots = {f"{above}/{name}": shot for name, shot in made.shots.items()}
    made.root = tmp_path
    assert faults(open_source(made.spec), made) == []


def test_class_folders_and_a_table_that_disagree_are_asked_about(tmp_path: Path) -> None:
    made = class_folders(tmp_path)
    rows = [{"image": name, "dx": CLASSES[n // 2 % 2]} for n, name in enumerate(made.shots)]
    made.table("labels.csv", "image,dx", rows)
    with pytest.raises(UserError, match="disagree: dx .*; folder .*label=dx"):
        open_source(made.spec)
    made.said = []
    assert faults(open_source(made.spec, Reading(label="folder")), made) == []
    made.shots = {str(row["image"]): Shot(str(row["dx"])) for row in rows}
    assert faults(open_source(made.spec, Reading(label="dx")), made) == []


def test_hospital_folders_do_not_contradict_a_table(tmp_path: Path) -> None:
    made = class_folders(tmp_path, ("Wien", "Graz"))
    rows = [{"image": name, "dx": CLASSES[n // 2 % 2]} for n, name in enumerate(made.shots)]
    made.table("labels.csv", "image,dx", rows)
    made.shots = {str(row["image"]): Shot(str(row["dx"])) for row in rows}
    made.said = [("label", "dx")]
    assert faults(open_source(made.spec), made) == []


def test_folders_of_storage_inside_classes_are_no_groups(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        kind = ("dermoscopy", "clinical")[n // 2 % 2]
        made.image(f"{CLASSES[n % 2]}/{kind}/{n:03d}.jpg", Shot(CLASSES[n % 2]))
    assert faults(open_source(made.spec), made) == []


def test_two_levels_of_words_are_asked_about(tmp_path: Path) -> None:
    made = Miniature(tmp_path, reading=Reading(label="folder:2"))
    for n in range(24):
        label, place = ("rosula", "vitta")[n % 2], ("Wien", "Graz")[n // 2 % 2]
        made.image(f"{place}/{label}/{n:03d}.jpg", Shot(label))
    with pytest.raises(UserError, match="Graz.*rosula.*--label folder:1"):
        open_source(made.spec)
    assert faults(open_source(made.spec, made.reading), made) == []


@pytest.mark.parametrize(
    "path",
    [
        "{ward}/{label}/{n:03d}.jpg", "{label}/{ward}/{n:03d}.jpg", "Klinikum/{ward}/{label}/{n:03d}.jpg",
        "{ward}/{split}/{label}/{n:03d}.jpg", "{split}/{ward}/{label}/{n:03d}.jpg",
    ],
)  # fmt: skip
@pytest.mark.parametrize("wards", [("Graz", "Wien", "Linz"), ("Ward 3", "Ward 4", "Ward 7"), ("Haut 1", "Chirurgie")])
def test_wards_above_or_below_classes_are_neither_classes_nor_patients(
    path: str, wards: tuple[str, ...], tmp_path: Path
) -> None:
    made = Miniature(tmp_path, said=[("label", "a folder a class")])
    for n in range(36):
        label, split = ("N\u00e4vus", "Melanom")[n % 2], ("train", "test")[n // 2 % 2]
        name = path.format(ward=wards[n // 4 % len(wards)], label=label, split=split, n=n)
        made.image(name, Shot(label, "", split if "{split}" in path else ""))
    assert faults(open_source(made.spec), made) == []


def test_two_levels_of_diagnoses_are_asked_about(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        made.image(f"{('benign', 'malignant')[n % 2]}/{('nevus', 'melanoma', 'keratosis', 'bcc')[n % 4]}/{n:03d}.jpg")
    with pytest.raises(UserError, match="benign.*melanoma.*--label folder:1"):
        open_source(made.spec)


@pytest.mark.parametrize("name", ["images.zip", "images.tar.gz", "images.7z", "images.rar"])
def test_a_folder_of_archives_is_to_be_unpacked(name: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    made.text(name, b"PK\3\4")
    made.text("labels.csv", "image,dx\na,nevus\n")
    with pytest.raises(UserError, match=f"no images, but 1 archive .{name}.: unpack here"):
        open_source(made.spec)
    with pytest.raises(UserError, match="an archive: unpack it, and give the folder"):
        open_source(str(tmp_path / name))


def test_a_test_folder_without_classes_is_not_a_class(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        made.image(f"train/{CLASSES[n % 2]}/{n:03d}.jpg", Shot(CLASSES[n % 2], "", "train"))
    for n in range(6):
        made.image(f"test/{n:03d}.jpg")
    source = open_source(made.spec)
    labelled = source.records[source.records["label"] != ""]
    assert set(labelled["image_id"]) == set(made.shots)
    assert set(labelled["label"]) == set(CLASSES)
    others = set(source.records["image_id"]) | {name for name, _ in source.refused}
    assert {f"test/{n:03d}.jpg" for n in range(6)} <= others


def test_thumbnails_beside_a_table_are_not_the_photographs(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    rows = [{"image": f"{n:03d}.jpg", "diagnosis": CLASSES[n % 2]} for n in range(24)]
    for row in rows:
        made.image(f"photos/{row['image']}", Shot(str(row["diagnosis"])))
        made.image(f"thumbs/{row['image']}")
    made.table("labels.csv", "image,diagnosis", rows)
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "thumbs" in str(error) or "several files" in str(error)  # noqa: PT017
    else:
        assert faults(source, made) == []


MASKS = [
    "{0}_mask.png", "{0}_segmentation.png", "{0}-mask.png", "masks/{0}.png", "Mask/{0}.png", "segmentations/{0}.png",
    "annotations/{0}.png", "ISIC2018_Task1_Training_GroundTruth/{0}_segmentation.png", "{0}_Segmentation.PNG",
    "groundtruth/{0}.png", "GT/{0}.png", "masks/{0}_mask.png", "mask_{0}.png", "{0}_seg.png", "lesion_masks/{0}.png",
]  # fmt: skip


@pytest.mark.parametrize("pattern", MASKS)
@pytest.mark.parametrize("table", [False, True], ids=["folder", "table"])
def test_masks_are_told_from_photographs(pattern: str, table: bool, tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    rows = []
    for n in range(12):
        made.image(f"images/ISIC_{n:03d}.jpg", Shot(CLASSES[n % 2] if table else "", mask=True))
        write_mask(made.root / pattern.format(f"ISIC_{n:03d}"))
        rows.append({"image": f"ISIC_{n:03d}", "diagnosis": CLASSES[n % 2]})
    if table:
        made.table("labels.csv", "image,diagnosis", rows)
    assert faults(open_source(made.spec), made) == []


def test_pictures_of_an_unknown_folder_are_never_read_for_the_photographs(tmp_path: Path) -> None:
    """`binary/x.png` beside `images/x.jpg`: the table's x is refused, rather than one of them taken by the alphabet."""
    made = Miniature(tmp_path)
    rows = []
    for n in range(12):
        made.image(f"images/ISIC_{n:03d}.jpg", Shot(CLASSES[n % 2]))
        write_mask(made.root / f"binary/ISIC_{n:03d}.png")
        rows.append({"image": f"ISIC_{n:03d}", "diagnosis": CLASSES[n % 2]})
    made.table("labels.csv", "image,diagnosis", rows)
    with pytest.raises(UserError, match="labels.csv: several files have each name in image"):
        open_source(made.spec)
    made.table("labels.csv", "image,diagnosis", [{**row, "image": f"images/{row['image']}.jpg"} for row in rows])
    assert faults(open_source(made.spec), made) == []


def test_superpixels_are_no_photographs(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(12):
        made.image(f"ISIC_{n:03d}.jpg", Shot())
        made.image(f"ISIC_{n:03d}_superpixels.png")
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("name", ["table.csv", "images.txt"])
def test_a_fifo_given_as_the_table_is_refused_at_once(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=name):
        open_source(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    made = class_folders(tmp_path)
    (tmp_path / "locked").mkdir(mode=0)
    source = open_source(made.spec)
    assert dict(source.refused)["locked"].startswith("a folder that cannot be read")
    assert faults(source, made) == []
