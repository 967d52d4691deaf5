"""Miniatures of HAM10000 and of the ISIC challenges of 2018 to 2020, with their published file and column names."""

from __future__ import annotations

from pathlib import Path

from miniatures import Miniature, Shot, write_mask

DX = ["nv", "mel", "bkl", "bcc", "akiec", "vasc", "df"]
SITES = ["back", "abdomen", "lower extremity", "face"]


def _ham_rows(count: int = 28) -> list[dict[str, object]]:
    """Two photographs of every fourth lesion; an age and a site unknown."""
    rows: list[dict[str, object]] = []
    for n in range(count):
        lesion = n - 1 if n % 4 == 1 else n
        rows.append(
            {
                "lesion_id": f"HAM_{118 + lesion:07d}", "image_id": f"ISIC_{24306 + n:07d}", "dx": DX[lesion % 7],
                "dx_type": "histo" if lesion % 2 else "consensus", "age": "" if n == 5 else f"{30 + 5 * (n % 9)}.0",
                "sex": "unknown" if n == 6 else ("male", "female")[n % 2], "localization": SITES[n % 4],
                "dataset": "vidir_modern",
            }
        )  # fmt: skip
    return rows


def _ham_shot(row: dict[str, object], split: str = "", mask: bool = False) -> Shot:
    age = float(str(row["age"])) if row["age"] else float("nan")
    sex = "" if row["sex"] == "unknown" else row["sex"]
    known = {"age": age, "sex": sex, "site": row["localization"], "confirmation": row["dx_type"]}
    return Shot(str(row["dx"]), str(row["lesion_id"]), split, known, mask)


KAGGLE_HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization"


def ham10000_kaggle(root: Path) -> Miniature:
    """Two folders, each a second time in lower case, and the pixel tables."""
    made = Miniature(root, said=[("label", "dx"), ("group", "lesion_id"), ("images", "image_id")])
    for n, row in enumerate(rows := _ham_rows()):
        name = f"HAM10000_images_part_{1 + n // 14}/{row['image_id']}.jpg"
        made.image(name, _ham_shot(row))
        made.text(name.replace("HAM", "ham"), (root / name).read_bytes())
    made.table("HAM10000_metadata.csv", KAGGLE_HAM, rows)
    for side, channels, mode in ((8, 1, "L"), (8, 3, "RGB"), (28, 1, "L"), (28, 3, "RGB")):
        pixels = side * side * channels
        header = [f"pixel{i:04d}" for i in range(pixels)] + ["label"]
        cells = [
            {**{name: (n * 31 + i * 7) % 256 for i, name in enumerate(header)}, "label": DX.index(str(row["dx"]))}
            for n, row in enumerate(rows)
        ]
        made.table(f"hmnist_{side}_{side}_{mode}.csv", header, cells)
    return made


def _dataverse(root: Path, table: str, sep: str, quote: str) -> Miniature:
    made = Miniature(root, said=[("label", "dx"), ("group", "lesion_id")])
    for n, row in enumerate(rows := _ham_rows()):
        made.image(f"HAM10000_images_part_{1 + n // 14}/{row['image_id']}.jpg", _ham_shot(row, mask=True))
        write_mask(root / "HAM10000_segmentations_lesion_tschandl" / f"{row['image_id']}_segmentation.png")
    made.table(table, KAGGLE_HAM + ",dataset", rows, sep, quote=quote)
    return made


def ham10000_tab(root: Path) -> Miniature:
    return _dataverse(root, "HAM10000_metadata.tab", "\t", "always")


def ham10000_no_suffix(root: Path) -> Miniature:
    return _dataverse(root, "HAM10000_metadata", "\t", "")


def ham10000_no_suffix_comma(root: Path) -> Miniature:
    return _dataverse(root, "HAM10000_metadata", ",", "")


def ham10000_with_test(root: Path) -> Miniature:
    """Dataverse's with the challenge's test images and their table."""
    made = _dataverse(root, "HAM10000_metadata.tab", "\t", "")
    rows = _ham_rows(35)[28:]
    for row in rows:
        shot = Shot(str(row["dx"]), str(row["lesion_id"]), "test", {"site": row["localization"]})
        made.image(f"ISIC2018_Task3_Test_Images/{row['image_id']}.jpg", shot)
    made.table("ISIC2018_Task3_Test_GroundTruth.csv", KAGGLE_HAM + ",dataset", rows)
    return made


def _one_hot(classes: list[str], label: str) -> dict[str, object]:
    return {name: "1.0" if name == label else "0.0" for name in classes}


def isic2018(root: Path) -> Miniature:
    classes = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    made = Miniature(root, said=[("label", "MEL"), ("group", "lesion_id"), ("split", "train")])
    number = 24306
    for part, split, count in (("Training", "train", 21), ("Validation", "val", 7), ("Test", "test", 7)):
        rows: list[dict[str, object]] = []
        groupings: list[dict[str, object]] = []
        for n in range(count):
            image, lesion = f"ISIC_{number:07d}", f"HAM_{(n - n % 2 if part == 'Training' else n):07d}"
            number += 1
            label = classes[(n - n % 2) // 2 % 7] if part == "Training" else classes[n % 7]
            rows.append({"image": image, **_one_hot(classes, label)})
            groupings.append({"image": image, "lesion_id": lesion, "diagnosis_confirm_type": "histopathology"})
            group = lesion if part == "Training" else ""
            made.image(f"ISIC2018_Task3_{part}_Input/{image}.jpg", Shot(label, group, split))
        made.text(f"ISIC2018_Task3_{part}_Input/ATTRIBUTION.txt", "Cite Tschandl et al., 2018 (CC BY-NC 4.0)\n")
        made.text(f"ISIC2018_Task3_{part}_Input/LICENSE.txt", "Creative Commons, with commas, and lines\n" * 9)
        folder = f"ISIC2018_Task3_{part}_GroundTruth"
        made.table(f"{folder}/{folder}.csv", ["image", *classes], rows)
        if part == "Training":
            made.table("ISIC2018_Task3_Training_LesionGroupings.csv", list(groupings[0]), groupings)
    return made


def isic2019(root: Path, nested: bool = False, test: bool = False) -> Miniature:
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    made = Miniature(root, said=[("label", "MEL"), ("group", "lesion_id")])
    truth: list[dict[str, object]] = []
    known: list[dict[str, object]] = []
    folder = "ISIC_2019_Training_Input/" * (2 if nested else 1)
    for n in range(32):
        image = f"ISIC_{n:07d}" + "_downsampled" * (n % 5 == 2)
        lesion = "" if n % 3 else f"BCN_{n // 2 * 2 % 16:07d}"  # two images share one, here and there
        label = classes[n % 16 % 8]
        truth.append({"image": image, **_one_hot(classes, label)})
        row = {"image": image, "age_approx": 30 + n, "anatom_site_general": "anterior torso", "lesion_id": lesion, "sex": "female"}  # fmt: skip # noqa: E501
        known.append(row)
        shot = Shot(
            label, lesion, "train" if test else "", {"age": 30.0 + n, "sex": "female", "site": "anterior torso"}
        )
        made.image(f"{folder}{image}.jpg", shot)
    made.table("ISIC_2019_Training_GroundTruth.csv", ["image", *classes], truth)
    made.table("ISIC_2019_Training_Metadata.csv", "image,age_approx,anatom_site_general,lesion_id,sex", known)
    if test:
        rows = []
        for n in range(9):
            image = f"ISIC_{34321 + n:07d}"
            rows.append({"image": image, **_one_hot(classes, classes[n]), "score_weight": 1, "validation_weight": 0})
            made.image(f"ISIC_2019_Test_Input/{image}.jpg", Shot(classes[n], "", "test", {"age": 50.0}))
        made.table("ISIC_2019_Test_GroundTruth.csv", ["image", *classes, "score_weight", "validation_weight"], rows)
        rows = [{"image": row["image"], "age_approx": 50, "anatom_site_general": "", "sex": "male"} for row in rows]
        made.table("ISIC_2019_Test_Metadata.csv", "image,age_approx,anatom_site_general,sex", rows)
    return made


def isic2019_nested(root: Path) -> Miniature:
    return isic2019(root, nested=True)


def isic2019_with_test(root: Path) -> Miniature:
    return isic2019(root, test=True)


ISIC2020 = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"


def _isic2020_rows(count: int = 32) -> list[dict[str, object]]:
    """Four images in five have no diagnosis."""
    rows: list[dict[str, object]] = []
    for n in range(count):
        bad = n % 8 == 7
        rows.append(
            {
                "image_name": f"ISIC_{15719 + n * 37:07d}", "patient_id": f"IP_{3075186 + n % 11:07d}",
                "sex": "" if n == 3 else ("male", "female")[n % 11 % 2], "age_approx": f"{20 + 5 * (n % 11)}.0",
                "anatom_site_general_challenge": "" if n == 4 else "torso",
                "diagnosis": "melanoma" if bad else "nevus" if n % 8 == 1 else "unknown",
                "benign_malignant": "malignant" if bad else "benign", "target": int(bad),
            }
        )  # fmt: skip
    return rows


def _isic2020_shot(row: dict[str, object], split: str) -> Shot:
    known = {"age": float(str(row["age_approx"])), "sex": row["sex"], "site": row["anatom_site_general_challenge"]}
    return Shot(str(row["benign_malignant"]), str(row["patient_id"]), split, known)


def isic2020_kaggle(root: Path, dicom: bool = True) -> Miniature:
    """JPEG, DICOM and TFRecords of the same images; the test images have no label."""
    made = Miniature(root, said=[("label", "benign_malignant"), ("group", "patient_id")])
    rows = _isic2020_rows()
    test = [{**row, "image_name": f"ISIC_{52060 + n:07d}", "patient_id": f"IP_{9000000 + n // 2}"} for n, row in enumerate(rows[:8])]  # fmt: skip # noqa: E501
    for row, split in [(row, "train") for row in rows] + [(row, "test") for row in test]:
        shot = _isic2020_shot(row, split)
        if split == "test":
            shot = Shot("", shot.group, split, shot.known)
        made.image(f"jpeg/{split}/{row['image_name']}.jpg", shot)
        if dicom:
            made.text(f"{split}/{row['image_name']}.dcm", b"\0" * 128 + b"DICM" + str(row["image_name"]).encode())
    made.text("tfrecords/train00-2071.tfrec", b"\x0b\0\0\0\0\0\0\0" + bytes(range(64)))
    made.text("tfrecords/test00-687.tfrec", b"\x0b\0\0\0\0\0\0\0" + bytes(range(64)))
    made.table("train.csv", ISIC2020, rows)
    made.table("test.csv", ",".join(ISIC2020.split(",")[:5]), test)
    made.table(
        "sample_submission.csv", "image_name,target", [{"image_name": r["image_name"], "target": 0} for r in test]
    )
    return made


def isic2020_challenge(root: Path) -> Miniature:
    """The challenge's own download, version 2 with lesion_id, and the list of duplicates (pairs)."""
    made = Miniature(root, said=[("label", "benign_malignant"), ("group", "patient_id"), ("tables", "Duplicates")])
    rows = [{**row, "lesion_id": f"IL_{n:07d}"} for n, row in enumerate(_isic2020_rows())]
    for row in rows:
        made.image(f"ISIC_2020_Training_JPEG/train/{row['image_name']}.jpg", _isic2020_shot(row, ""))
    header = (
        "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
    )
    made.table("ISIC_2020_Training_GroundTruth_v2.csv", header, rows)
    names = [str(row["image_name"]) for row in rows]
    pairs = [{"image_name_1": names[n], "image_name_2": names[n + 11]} for n in (0, 2, 5)]
    pairs.append({"image_name_1": names[1], "image_name_2": "ISIC_9999999"})  # of an image that is not there
    made.table("ISIC_2020_Training_Duplicates.csv", "image_name_1,image_name_2", pairs)
    return made


def isic2020_dicom(root: Path) -> Miniature:
    """`train/*.dcm` alone: listed without their library."""
    made = Miniature(root, said=[("label", "benign_malignant"), ("group", "patient_id")])
    for row in (rows := _isic2020_rows()):
        name = f"train/{row['image_name']}.dcm"
        made.text(name, b"\0" * 128 + b"DICM" + str(row["image_name"]).encode())
        made.shots[name] = _isic2020_shot(row, "")
    made.table("ISIC_2020_Training_GroundTruth.csv", ISIC2020, rows)
    return made


BUILDERS = [
    ham10000_kaggle, ham10000_tab, ham10000_no_suffix, ham10000_no_suffix_comma, ham10000_with_test, isic2018, isic2019,
    isic2019_nested, isic2019_with_test, isic2020_kaggle, isic2020_challenge, isic2020_dicom,
]  # fmt: skip
