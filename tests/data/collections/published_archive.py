"""Miniatures of ISIC 2024 and of downloads from the ISIC archive, with their published file and column names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from miniatures import Miniature, Shot, write_image

ISIC2024 = (
    "isic_id,target,patient_id,age_approx,sex,anatom_site_general,clin_size_long_diam_mm,image_type,tbp_tile_type,"
    "tbp_lv_A,tbp_lv_Aext,tbp_lv_B,tbp_lv_Bext,tbp_lv_C,tbp_lv_Cext,tbp_lv_H,tbp_lv_Hext,tbp_lv_L,tbp_lv_Lext,"
    "tbp_lv_areaMM2,tbp_lv_area_perim_ratio,tbp_lv_color_std_mean,tbp_lv_deltaA,tbp_lv_deltaB,tbp_lv_deltaL,"
    "tbp_lv_deltaLB,tbp_lv_deltaLBnorm,tbp_lv_eccentricity,tbp_lv_location,tbp_lv_location_simple,tbp_lv_minorAxisMM,"
    "tbp_lv_nevi_confidence,tbp_lv_norm_border,tbp_lv_norm_color,tbp_lv_perimeterMM,tbp_lv_radial_color_std_max,"
    "tbp_lv_stdL,tbp_lv_stdLExt,tbp_lv_symm_2axis,tbp_lv_symm_2axis_angle,tbp_lv_x,tbp_lv_y,tbp_lv_z,attribution,"
    "copyright_license,lesion_id,iddx_full,iddx_1,iddx_2,iddx_3,iddx_4,iddx_5,mel_mitotic_index,mel_thick_mm,"
    "tbp_lv_dnn_lesion_confidence"
)


def _isic2024_rows(count: int = 32) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for n in range(count):
        bad = n % 8 == 7
        row: dict[str, object] = {
            column: f"{((n * 13 + i * 7) % 89) / 3:.4f}"
            for i, column in enumerate(ISIC2024.split(","))
            if "tbp_lv" in column
        }
        row |= {
            "isic_id": f"ISIC_{15670 + n * 11:07d}", "target": int(bad), "patient_id": f"IP_{1235828 + n % 9:07d}",
            "age_approx": f"{40 + 5 * (n % 9)}.0", "sex": ("male", "female")[n % 9 % 2],
            "anatom_site_general": "head/neck",
            "clin_size_long_diam_mm": 3.04, "image_type": "TBP tile: close-up", "tbp_tile_type": "3D: XP",
            "tbp_lv_location": "Left Leg - Upper", "tbp_lv_location_simple": "Left Leg",
            "attribution": "Memorial Sloan Kettering Cancer Center", "copyright_license": "CC-BY",
            "lesion_id": f"IL_{n:07d}" if bad else "", "iddx_1": "Malignant" if bad else "Benign",
            "iddx_2": "Malignant melanocytic proliferations (Melanoma)" if bad else "",
            "iddx_3": "Melanoma in situ" if bad else "",
            "iddx_full": "::".join(["Malignant", "Melanoma in situ"]) if bad else "Benign",
        }  # fmt: skip
        rows.append(row)
    return rows


def _isic2024_shot(row: dict[str, object]) -> Shot:
    known = {"age": float(str(row["age_approx"])), "sex": row["sex"], "site": "head/neck"}
    return Shot("malignant" if row["target"] else "benign", str(row["patient_id"]), "", known)


def isic2024(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "target"), ("group", "patient_id"), ("images", "isic_id")])
    for row in (rows := _isic2024_rows()):
        made.image(f"train-image/image/{row['isic_id']}.jpg", _isic2024_shot(row))
    made.table("train-metadata.csv", ISIC2024, rows)
    test = [column for column in ISIC2024.split(",")[:45] if column != "target"]
    made.table("test-metadata.csv", test, [{"isic_id": f"ISIC_{9990000 + n}"} for n in range(3)])
    made.table(
        "sample_submission.csv", "isic_id,target", [{"isic_id": f"ISIC_{9990000 + n}", "target": 0.3} for n in range(3)]
    )
    return made


def isic2024_hdf5(root: Path) -> Miniature:
    """The same in one file: the key is the id, the value the bytes of a JPEG. Needs h5py."""
    import h5py  # type: ignore[import-untyped,import-not-found,unused-ignore]

    made = Miniature(root, said=[("label", "target"), ("group", "patient_id")])
    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "train-image.hdf5", "w") as archive:
        for n, row in enumerate(rows := _isic2024_rows()):
            write_image(root / "one.jpg", seed=n)
            content = (root / "one.jpg").read_bytes()
            archive.create_dataset(str(row["isic_id"]), data=np.void(content) if n % 2 else np.bytes_(content))
            made.shots[f"train-image.hdf5/{row['isic_id']}"] = _isic2024_shot(row)
    (root / "one.jpg").unlink()
    made.table("train-metadata.csv", ISIC2024, rows)
    return made


ARCHIVE = (
    "isic_id,attribution,copyright_license,acquisition_day,age_approx,anatom_site_general,anatom_site_special,"
    "concomitant_biopsy,dermoscopic_type,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4,diagnosis_5,"
    "diagnosis_confirm_type,family_hx_mm,fitzpatrick_skin_type,image_manipulation,image_type,lesion_id,mel_class,"
    "mel_mitotic_index,mel_thick_mm,mel_type,mel_ulcer,melanocytic,nevus_type,patient_id,personal_hx_mm,pixels_x,"
    "pixels_y,sex,tbp_tile_type"
)


def isic_archive(root: Path) -> Miniature:
    """diagnosis_1 to 3 of all, 4 of a few; a patient of most, a lesion of some."""
    made = Miniature(root, said=[("label", "diagnosis_3"), ("group", "patient_id")])
    trees = [
        ("Benign", "Benign melanocytic proliferations", "Nevus", ""),
        ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS", ""),
        ("Malignant", "Malignant epidermal proliferations", "Squamous cell carcinoma in situ", "SCC in situ, Bowen"),
        ("Benign", "Benign epidermal proliferations", "Seborrheic keratosis", ""),
    ]  # fmt: skip
    rows: list[dict[str, object]] = []
    for n in range(40):
        tree = trees[n % 10 % 4]
        row: dict[str, object] = {
            "isic_id": f"ISIC_{(n + 1) * 977:07d}", "attribution": "Hospital Italiano de Buenos Aires",
            "copyright_license": "CC-BY", "age_approx": 30 + n % 10, "anatom_site_general": "posterior torso",
            "concomitant_biopsy": "True", "diagnosis_confirm_type": "histopathology", "image_type": "dermoscopic",
            "fitzpatrick_skin_type": "II", "lesion_id": f"IL_{n % 10:07d}" if n % 2 else "",
            "patient_id": "" if n in (7, 8) else f"IP_{n % 10:07d}", "pixels_x": 1024, "pixels_y": 768, "sex": "female",
            "melanocytic": str(tree[2] in ("Nevus", "Melanoma, NOS")),
            **{f"diagnosis_{level + 1}": name for level, name in enumerate(tree)},
        }  # fmt: skip
        rows.append(row)
        # image 7 has a lesion whose patient is known from another; 8 has neither
        group = f"IP_{n % 10:07d}" if n != 8 else ""
        known = {"age": 30.0 + n % 10, "sex": "female", "skin_type": "2", "site": "posterior torso"}
        made.image(f"{row['isic_id']}.jpg", Shot(tree[2], group, "", known))
    made.table("metadata.csv", ARCHIVE, rows)
    made.text("attribution.txt", "Hospital Italiano de Buenos Aires\n")
    made.text("licenses/CC-BY.txt", "Attribution 4.0 International\n\n=======\n" * 5)
    return made


def isic_archive_old(root: Path) -> Miniature:
    """An older download: one column diagnosis, benign_malignant beside it, no patients."""
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,benign_malignant,diagnosis,"
        "diagnosis_confirm_type,image_type,melanocytic,sex"
    )
    made = Miniature(root, said=[("label", "diagnosis"), ("images", "isic_id")])
    rows: list[dict[str, object]] = []
    for n in range(24):
        name = ("nevus", "melanoma", "basal cell carcinoma")[n % 3]
        rows.append(
            {"isic_id": f"ISIC_{n:07d}", "attribution": "Anonymous", "copyright_license": "CC-0", "age_approx": 50,
             "benign_malignant": "benign" if n % 3 == 0 else "malignant", "diagnosis": name, "sex": "male",
             "melanocytic": str(n % 3 < 2), "image_type": "dermoscopic"}
        )  # fmt: skip
        made.image(f"ISIC_{n:07d}.jpg", Shot(name, "", "", {"age": 50.0, "sex": "male"}))
    made.table("metadata.csv", header, rows)
    made.text("licenses/CC-0.txt", "CC0 1.0 Universal\n")
    return made


BUILDERS = [isic2024, isic2024_hdf5, isic_archive, isic_archive_old]
