"""Miniatures of the published collections beside ISIC's, with their published file and column names; and folders."""

from __future__ import annotations

from pathlib import Path

from miniatures import Miniature, Shot

PAD = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,skin_cancer_history,"
    "cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,diameter_2,diagnostic,itch,grew,"
    "hurt,changed,bleed,elevation,img_id,biopsed"
)


def pad_ufes_20(root: Path, nested: bool = False) -> Miniature:
    made = Miniature(root, said=[("label", "diagnostic"), ("group", "patient_id"), ("images", "img_id")])
    rows: list[dict[str, object]] = []
    labels = ["BCC", "ACK", "NEV", "SEK", "SCC", "MEL"]
    for n in range(36):
        patient, lesion, part = n // 3 + 8, 880 + n // 2, 1 + n // 12
        image = f"PAT_{patient}_{lesion}_{n * 7 + 14}.png"
        full = n % 2  # half of the rows have nothing but the lesion
        row: dict[str, object] = {
            "patient_id": f"PAT_{patient}", "lesion_id": lesion, "age": 40 + patient, "region": "NECK",
            "diagnostic": labels[n // 2 % 6], "img_id": image,
            "biopsed": str(bool(full)), "itch": "True", "grew": "UNK",
            "hurt": "False", "changed": "False", "bleed": "False", "elevation": str(n % 3 == 0),
        }  # fmt: skip
        if full:
            row |= {
                "smoke": "False", "drink": str(n % 4 == 1), "background_father": "POMERANIA",
                "background_mother": "GERMANY",
                "pesticide": "False", "gender": "FEMALE", "skin_cancer_history": "True", "cancer_history": "False",
                "has_piped_water": "True", "has_sewage_system": "True", "fitspatrick": "3.0", "diameter_1": "6.0",
                "diameter_2": "5.0",
            }  # fmt: skip
        rows.append(row)
        folder = f"imgs_part_{part}/" * (2 if nested else 1)
        known = {
            "age": 40.0 + patient,
            "sex": "female" if full else "",
            "skin_type": "3" if full else "",
            "site": "neck",
        }
        made.image(
            f"{'' if nested else 'images/'}{folder}{image}", Shot(labels[n // 2 % 6], f"PAT_{patient}", "", known)
        )
    made.table("metadata.csv", PAD, rows)
    return made


def pad_ufes_20_nested(root: Path) -> Miniature:
    return pad_ufes_20(root, nested=True)


def fitzpatrick17k(root: Path) -> Miniature:
    """Two images in five are missing."""
    header = (
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,url,"
        "url_alphanum"
    )
    tree = [
        ("psoriasis", "inflammatory", "non-neoplastic"),
        ("lichen planus", "inflammatory", "non-neoplastic"),
        ("melanoma", "malignant melanoma", "malignant"),
        ("basal cell carcinoma", "malignant epidermal", "malignant"),
        ("seborrheic keratosis", "benign epidermal", "benign"),
    ]
    made = Miniature(root, said=[("label", "column label"), ("images", "md5hash")])
    rows: list[dict[str, object]] = []
    for n in range(50):
        key = f"{(n + 3) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}"
        label, nine, three = tree[n % 5]
        row: dict[str, object] = {
            "md5hash": key, "fitzpatrick_scale": (1, 2, 3, 4, 5, 6, -1)[n % 7], "fitzpatrick_centaur": 1 + n % 6,
            "label": label, "nine_partition_label": nine, "three_partition_label": three,
            "qc": "1 Diagnostic" if n % 11 == 0 else "", "url": f"https://www.dermaamin.com/site/images/{n}.jpg",
            "url_alphanum": f"httpwwwdermaamincomsiteimages{n}jpg",
        }  # fmt: skip
        rows.append(row)
        if n % 5 not in (n // 5 % 5, (n // 5 + 2) % 5):
            skin = "" if n % 7 == 6 else str(n % 7 + 1)
            made.image(f"images/{key}.jpg", Shot(label, "", "", {"skin_type": skin}))
    made.table("fitzpatrick17k.csv", header, rows)
    return made


DERM7PT = (
    "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,regression_structures,"
    "dots_and_globules,blue_whitish_veil,vascular_structures,level_of_diagnostic_difficulty,elevation,location,sex,"
    "management,clinic,derm,case_id,notes"
)


def derm7pt(root: Path) -> Miniature:
    """Two files a case, written in other cases; lists of row numbers; case_id often empty."""
    made = Miniature(root, said=[("label", "diagnosis"), ("images", "clinic"), ("images", "derm"), ("split", "train")])
    names = ["basal cell carcinoma", "clark nevus", "melanoma (in situ)", "melanoma (less than 0.76 mm)", "blue nevus"]
    rows: list[dict[str, object]] = []
    parts = {"train": [], "valid": [], "test": []}  # type: dict[str, list[int]]
    for n in range(20):
        part = ("train", "train", "valid", "test")[n % 4]
        parts[part].append(n)
        series = ("NEL", "FAL", "Gzl")[n % 3]
        clinic, derm = f"{series}/{series}{n + 25:03d}.JPG", f"{series}/{series.title()}{n + 26:03d}.jpg"
        clinic = clinic.replace(".JPG", "c.JPG")
        row: dict[str, object] = {
            "case_num": n + 1, "diagnosis": names[n % 5], "seven_point_score": n % 4, "pigment_network": "absent",
            "streaks": "irregular", "pigmentation": "diffuse irregular", "regression_structures": "blue areas",
            "dots_and_globules": "regular", "blue_whitish_veil": ("absent", "present")[n % 2],
            "vascular_structures": "arborizing", "level_of_diagnostic_difficulty": "medium", "elevation": "nodular",
            "location": "abdomen", "sex": "female", "management": "excision", "clinic": clinic, "derm": derm,
            "case_id": f"NEL{n:03d}" if n % 2 else "", "notes": "with, a comma" if n == 3 else "",
        }  # fmt: skip
        rows.append(row)
        shot = Shot(
            names[n % 5], f"case {n + 1}", {"valid": "val"}.get(part, part), {"site": "abdomen", "sex": "female"}
        )
        for name in (clinic, derm):
            made.image(f"images/{name}", shot)
    made.table("meta/meta.csv", DERM7PT, rows)
    for part, numbers in parts.items():
        made.table(f"meta/{part}_indexes.csv", "indexes", [{"indexes": number} for number in numbers])
    return made


SCIN_CASES = (
    "case_id,source,release,year,age_group,sex_at_birth,fitzpatrick_skin_type,"
    "race_ethnicity_american_indian_or_alaska_native,race_ethnicity_asian,race_ethnicity_black_or_african_american,"
    "race_ethnicity_hispanic_latino_or_spanish_origin,race_ethnicity_middle_eastern_or_north_african,"
    "race_ethnicity_native_hawaiian_or_pacific_islander,race_ethnicity_white,race_ethnicity_other_race,"
    "race_ethnicity_prefer_not_to_answer,textures_raised_or_bumpy,textures_flat,textures_rough_or_flaky,"
    "textures_fluid_filled,body_parts_head_or_neck,body_parts_arm,body_parts_palm,body_parts_back_of_hand,"
    "body_parts_torso_front,body_parts_torso_back,body_parts_genitalia_or_groin,body_parts_buttocks,body_parts_leg,"
    "body_parts_foot_top_or_side,body_parts_foot_sole,body_parts_other,condition_symptoms_bothersome_appearance,"
    "condition_symptoms_bleeding,condition_symptoms_increasing_size,condition_symptoms_darkening,"
    "condition_symptoms_itching,condition_symptoms_burning,condition_symptoms_pain,"
    "condition_symptoms_no_relevant_experience,other_symptoms_fever,other_symptoms_chills,other_symptoms_fatigue,"
    "other_symptoms_joint_pain,other_symptoms_mouth_sores,other_symptoms_shortness_of_breath,"
    "other_symptoms_no_relevant_symptoms,related_category,condition_duration,image_1_path,image_2_path,image_3_path,"
    "image_1_shot_type,image_2_shot_type,image_3_shot_type"
)
SCIN_LABELS = (
    "case_id,dermatologist_gradable_for_skin_condition_1,dermatologist_gradable_for_skin_condition_2,"
    "dermatologist_gradable_for_skin_condition_3,dermatologist_skin_condition_on_label_name,"
    "dermatologist_skin_condition_confidence,weighted_skin_condition_label,"
    "dermatologist_gradable_for_fitzpatrick_skin_type_1,dermatologist_gradable_for_fitzpatrick_skin_type_2,"
    "dermatologist_gradable_for_fitzpatrick_skin_type_3,dermatologist_fitzpatrick_skin_type_label_1,"
    "dermatologist_fitzpatrick_skin_type_label_2,dermatologist_fitzpatrick_skin_type_label_3,"
    "gradable_for_monk_skin_tone_india,gradable_for_monk_skin_tone_us,monk_skin_tone_label_india,monk_skin_tone_label_us"
)


def scin(root: Path) -> Miniature:
    """One to three images a case; a differential with weights, tied or empty in a few."""
    made = Miniature(root, said=[("label", "weighted_skin_condition_label"), ("group", "case_id")])
    cases: list[dict[str, object]] = []
    labels: list[dict[str, object]] = []
    first = ["Eczema", "Urticaria", "Herpes Zoster"]
    for n in range(20):
        case = str((-1) ** n * (1000600354148496558 + n * 7919))
        name = first[n % 3]
        weights = f"{{'{name}': 0.67, 'Insect Bite': 0.33}}" if n % 2 else f"{{'{name}': 1.0}}"
        if n == 4:
            weights, name = "{'Eczema': 0.5, 'Tinea': 0.5}", ""
        if n == 5:
            weights, name = "{}", ""
        row: dict[str, object] = {
            "case_id": case, "source": "SCIN", "release": "1.0.0", "year": 2023, "age_group": "AGE_30_TO_39",
            "sex_at_birth": "FEMALE", "fitzpatrick_skin_type": "FST3", "textures_flat": "YES", "body_parts_arm": "YES",
            "race_ethnicity_white": "YES", "related_category": "RASH", "condition_duration": "ONE_DAY",
        }  # fmt: skip
        for k in range(1, 2 + n % 3):
            image = f"dataset/images/{(-1) ** k * (3205742176803893704 + 3 * n + k)}.png"
            row |= {f"image_{k}_path": image, f"image_{k}_shot_type": "CLOSE_UP"}
            made.image(image, Shot(name, case, "", {"skin_type": "3", "sex": "female", "age": 34.5}))
        cases.append(row)
        label = {
            "case_id": case, "dermatologist_gradable_for_skin_condition_1": "DEFAULT_YES_IMAGE_QUALITY_SUFFICIENT",
            "dermatologist_skin_condition_on_label_name": f"['{name or 'Eczema'}']",
            "dermatologist_skin_condition_confidence": "[5]", "weighted_skin_condition_label": weights,
            "dermatologist_fitzpatrick_skin_type_label_1": "FST2", "monk_skin_tone_label_us": 3,
        }  # fmt: skip
        labels.append(label)
    made.table("dataset/scin_cases.csv", SCIN_CASES, cases)
    made.table("dataset/scin_labels.csv", SCIN_LABELS, labels)
    made.text("dataset/scin_app_questions.csv", "Question,Answer options\nWhat is your age group?,AGE_18_TO_29\n")
    made.text("dataset/scin_label_questions.csv", "Question,Answer options\nIs it gradable?,DEFAULT_YES\n")
    return made


MILK = ["AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC"]
MILK_METADATA = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,sex,skin_tone_class,site,"
    "MONET_ulceration_crust,MONET_hair,MONET_vasculature_vessels,MONET_erythema,MONET_pigmented,"
    "MONET_gel_water_drop_fluid_dermoscopy_liquid,MONET_skin_markings_pen_ink_purple_pen"
)


def milk10k(root: Path) -> Miniature:
    """A clinical and a dermoscopic image a lesion; the table of labels has a row a lesion."""
    made = Miniature(root, said=[("label", "AKIEC"), ("group", "lesion_id"), ("images", "isic_id")])
    truth: list[dict[str, object]] = []
    known: list[dict[str, object]] = []
    extra: list[dict[str, object]] = []
    for n in range(22):
        lesion, label = f"IL_{652 + n * 13:07d}", MILK[n % 11]
        truth.append({"lesion_id": lesion, **{name: "1.0" if name == label else "0.0" for name in MILK}})
        for k, kind in enumerate(("clinical: close-up", "dermoscopic")):
            image = f"ISIC_{4671410 + 2 * n + k:07d}"
            row: dict[str, object] = {
                "lesion_id": lesion, "image_type": kind, "isic_id": image, "attribution": "MILK study team",
                "copyright_license": "CC-BY-NC", "age_approx": 40 + n, "sex": "male", "skin_tone_class": 3,
                "site": "trunk", "MONET_hair": 0.1 + n / 100,
            }  # fmt: skip
            known.append(row)
            extra.append(
                {"isic_id": image, "diagnosis_full": "Benign::Nevus", "diagnosis_confirm_type": "histopathology"}
            )
            shot = Shot(label, lesion, "", {"age": 40.0 + n, "sex": "male", "site": "trunk", "modality": kind})
            made.image(f"MILK10k_Training_Input/{lesion}/{image}.jpg", shot)
    made.table("MILK10k_Training_GroundTruth.csv", ["lesion_id", *MILK], truth)
    made.table("MILK10k_Training_Metadata.csv", MILK_METADATA, known)
    made.table("MILK10k_Training_Supplement.csv", list(extra[0]), extra)
    return made


CLASSES = ("nevus", "melanoma", "melanoma (in situ)")


def class_folders(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "folder")])
    for n in range(24):
        made.image(f"{CLASSES[n % 3]}/{n:03d}.jpg", Shot(CLASSES[n % 3]))
    return made


def split_folders(root: Path, words: tuple[str, ...] = ("train", "val", "test")) -> Miniature:
    made = Miniature(root, said=[("label", "folder"), ("split", "folders")])
    for n in range(36):
        word = words[(0, 0, 1, -1)[n // 3 % 4]]
        split = {"valid": "val", "validation": "val"}.get(word.lower(), word.lower())
        made.image(f"{word}/{CLASSES[n % 3]}/{n:03d}.jpg", Shot(CLASSES[n % 3], "", split))
    return made


def split_folders_valid(root: Path) -> Miniature:
    return split_folders(root, ("Train", "Valid", "Test"))


def split_folders_validation(root: Path) -> Miniature:
    return split_folders(root, ("train", "validation"))


def patient_folders(root: Path) -> Miniature:
    """CLASS/PATIENT: numbers of patients hold within a class alone."""
    made = Miniature(root, said=[("label", "folder"), ("group", "folder")])
    for n in range(36):
        label = CLASSES[n % 3]
        made.image(f"{label}/{n // 6 + 1:02d}/{n:03d}.jpg", Shot(label, f"{label} {n // 6}"))
    return made


def linked_folders(root: Path) -> Miniature:
    """Class folders that are links to elsewhere."""
    made = Miniature(root / "here", said=[("label", "folder")])
    made.root.mkdir(parents=True)
    for n in range(24):
        made.image(f"../there/disk{n % 3}/{n:03d}.jpg")
        made.shots[f"{CLASSES[n % 3]}/{n:03d}.jpg"] = Shot(CLASSES[n % 3])
    for n, name in enumerate(CLASSES):
        (made.root / name).symlink_to(Path("..") / "there" / f"disk{n}", target_is_directory=True)
    return made


def stray_subfolder(root: Path) -> Miniature:
    """Images beside one subfolder: no class, and none lost."""
    made = Miniature(root, said=[("label", "none")])
    for n in range(20):
        made.image(f"more/{n:03d}.jpg" if n > 15 else f"{n:03d}.jpg", Shot())
    return made


BUILDERS = [
    pad_ufes_20, pad_ufes_20_nested, fitzpatrick17k, derm7pt, scin, milk10k, class_folders, split_folders,
    split_folders_valid, split_folders_validation, patient_folders, linked_folders, stray_subfolder,
]  # fmt: skip
