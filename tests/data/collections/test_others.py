"""Collections that no layout describes: known ones of others, and tables as hospitals keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from miniatures import Miniature, Shot, faults, write_mask

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError

CLASSES = ("nevus", "melanoma", "basal cell carcinoma")


def ddi(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "disease"), ("images", "DDI_file")])
    rows: list[dict[str, object]] = []
    for n in range(24):
        label = ("melanoma-in-situ", "seborrheic-keratosis", "mycosis-fungoides")[n % 3]
        row = {"": n, "DDI_ID": n + 1, "DDI_file": f"{n + 1:06d}.png", "skin_tone": (12, 34, 56)[n % 3]}
        rows.append({**row, "malignant": str(n % 3 != 1), "disease": label})
        made.image(f"images/{n + 1:06d}.png", Shot(label, known={"skin_type": ("1-2", "3-4", "5-6")[n % 3]}))
    made.table("ddi_metadata.csv", ",DDI_ID,DDI_file,skin_tone,malignant,disease", rows)
    return made


def bcn20000(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "diagnosis"), ("group", "lesion_id"), ("split", "split")])
    rows: list[dict[str, object]] = []
    for n in range(24):
        file, lesion = f"BCN_{n + 1:010d}.jpg", f"BCN_{n // 2:07d}"
        row = {"bcn_filename": file, "age_approx": 55.0, "anatom_site_general": "head/neck", "lesion_id": lesion}
        label = ("MEL", "NV", "BCC")[n // 2 % 3]
        rows.append({**row, "diagnosis": label, "capture_date": "2012-05-16", "sex": "male", "split": "train"})
        made.image(f"BCN_20k_train/bcn_20k_train/{file}", Shot(label, lesion, "train", {"age": 55.0, "sex": "male"}))
    header = "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split"
    made.table("bcn_20k_train.csv", header, rows)
    return made


def dermnet(root: Path) -> Miniature:
    """Folders of long names for train and test; a file of one name in two classes."""
    names = ["Acne and Rosacea Photos", "Melanoma Skin Cancer Nevi and Moles", "Eczema Photos"]
    made = Miniature(root, said=[("label", "folder"), ("split", "folders")])
    for n in range(24):
        split = ("train", "train", "test")[n // 3 % 3]
        made.image(f"{split}/{names[n % 3]}/07Acne{n // 3:04d}.jpg", Shot(names[n % 3], "", split))
    return made


def isic_nine_classes(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "folder"), ("split", "folders")])
    top = "Skin cancer ISIC The International Skin Imaging Collaboration"
    for n in range(24):
        split = ("Train", "Train", "Test")[n // 3 % 3]
        label = ("actinic keratosis", "pigmented benign keratosis", "vascular lesion")[n % 3]
        made.image(f"{top}/{split}/{label}/ISIC_{n:07d}.jpg", Shot(label, "", split.lower()))
    return made


def malignant_or_benign(root: Path) -> Miniature:
    """Numbers for names, the same ones in both classes; another copy of all in `data/`."""
    made = Miniature(root, said=[("label", "folder"), ("split", "folders")])
    for n in range(24):
        split, label = ("train", "train", "test")[n // 2 % 3], ("benign", "malignant")[n % 2]
        made.image(f"{split}/{label}/{n // 2 + 3}.jpg", Shot(label, "", split))
    return made


def med_node(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "folder")])
    for n in range(20):
        label = ("melanoma", "naevus")[n % 2]
        made.image(f"complete_mednode_dataset/{label}/{1000 + 37 * n}.jpg", Shot(label))
    return made


def sd198(root: Path) -> Miniature:
    """Many classes of few images, and a list of the classes."""
    names = ["Acne_Keloidalis_Nuchae", "Acne_Vulgaris", "Actinic_solar_Damage(Pigmentation)", "Alopecia_Areata"]
    made = Miniature(root, said=[("label", "folder")])
    for n in range(24):
        made.image(f"images/{names[n % 4]}/{n:06d}.jpg", Shot(names[n % 4]))
    made.text("classes.txt", "".join(f"{i} {name}\n" for i, name in enumerate(names)))
    return made


def derm1m(root: Path) -> Miniature:
    made = Miniature(root, said=[("label", "disease_label"), ("images", "filename")])
    rows: list[dict[str, object]] = []
    for n in range(24):
        file, label = f"{('youtube', 'pubmed')[n % 2]}/{n * 7919:x}.png", CLASSES[n % 3]
        row = {
            "filename": file,
            "caption": f"A photograph, {n} of 24, shows\na {label}.",
            "truncated_caption": "A photo",
        }
        rows.append(
            {
                **row,
                "hierarchical_disease_label": f"neoplasm, {label}",
                "skin_concept": "papule",
                "disease_label": label,
            }
        )
        made.image(file, Shot(label))
    header = "filename,caption,truncated_caption,hierarchical_disease_label,skin_concept,disease_label"
    made.table("Derm1M_v2_pretrain.csv", header, rows)
    return made


def isic2017(root: Path) -> Miniature:
    """Two columns of 0 and 1: neither is a nevus. Superpixels and masks beside the photographs."""
    made = Miniature(root, reading=Reading(label="melanoma"), said=[("label", "melanoma")])
    rows: list[dict[str, object]] = []
    for n in range(24):
        image = f"ISIC_{n:07d}"
        rows.append(
            {"image_id": image, "melanoma": f"{float(n % 3 == 0)}", "seborrheic_keratosis": f"{float(n % 3 == 1)}"}
        )
        made.image(f"ISIC-2017_Training_Data/{image}.jpg", Shot(str(int(n % 3 == 0)), "", mask=True))
        made.image(f"ISIC-2017_Training_Data/{image}_superpixels.png")
        write_mask(root / "ISIC-2017_Training_Part1_GroundTruth" / f"{image}_segmentation.png")
    made.table("ISIC-2017_Training_Part3_GroundTruth.csv", list(rows[0]), rows)
    return made


def patient_folders_and_table(root: Path) -> Miniature:
    """A row a patient, a folder a patient."""
    made = Miniature(root, said=[("label", "diagnosis"), ("group", "patient")])
    rows = [{"patient": f"P{n:03d}", "diagnosis": CLASSES[n % 3], "age": 40 + n} for n in range(12)]
    for n in range(30):
        row = rows[n % 12]
        made.image(
            f"{row['patient']}/IMG_{n:04d}.jpg",
            Shot(str(row["diagnosis"]), str(row["patient"]), known={"age": 40.0 + n % 12}),
        )
    made.table("patients.csv", "patient,diagnosis,age", rows)
    return made


def _hospital(root: Path, header: str, name: str, **more: str) -> Miniature:
    """file, diagnosis, patient, age, sex, and a measure with a decimal comma; separated by semicolons."""
    columns = header.split(";")
    image, label, patient = columns[:3]
    made = Miniature(root, said=[("label", label), ("group", patient), ("images", image)])
    rows: list[dict[str, object]] = []
    for n in range(24):
        cells = (
            f"Foto{n:02d}.jpg",
            CLASSES[n // 2 % 3],
            f"A-{n // 2}",
            30 + n // 2,
            "mw"[n % 2] if "Alter" in header else "MF"[n // 2 % 2],
            "3,5",
        )
        rows.append(dict(zip(columns, cells, strict=True)))
        made.image(f"Fotos/{cells[0]}", Shot(str(cells[1]), str(cells[2]), known={"age": 30.0 + n // 2}))
    made.table(name, columns, rows, ";", **more)
    return made


HOSPITALS = {
    "German": ("Bild;Diagnose;Patient;Alter;Geschlecht;Größe (mm)", "latin-1"),
    "German number": ("Dateiname;Diagnose;Patientennummer;Alter;Geschlecht;Größe (mm)", "latin-1"),
    "French": ("Fichier;Diagnostic;Patient;Âge;Sexe;Diamètre (mm)", "latin-1"),
    "Spanish": ("Imagen;Diagnóstico;Paciente;Edad;Sexo;Tamaño", "utf-8"),
    "Portuguese": ("Arquivo;Diagnóstico;ID do Paciente;Idade;Sexo;Tamanho", "utf-16"),
    "Italian": ("File;Diagnosi;Paziente;Età;Sesso;Diametro", "utf-8-sig"),
    "spaced": ("Image Name;Final Diagnosis;Patient ID;Age;Sex;Size", "utf-8"),
    "camel": ("ImageFile;DiagnosisLabel;PatientId;AgeYears;Sex;SizeMm", "utf-8"),
}


@pytest.mark.parametrize("language", HOSPITALS)
def test_a_hospitals_own_table_is_read(language: str, tmp_path: Path) -> None:
    header, encoding = HOSPITALS[language]
    made = _hospital(tmp_path, header, "Export.csv", encoding=encoding)
    assert faults(open_source(made.spec), made) == []


KNOWN: list[Callable[[Path], Miniature]] = [
    ddi, bcn20000, dermnet, isic_nine_classes, malignant_or_benign, med_node, sd198, derm1m, isic2017,
    patient_folders_and_table,
]  # fmt: skip


@pytest.mark.parametrize("build", KNOWN, ids=lambda build: build.__name__)
def test_a_collection_of_others_is_read_right(build: Callable[[Path], Miniature], tmp_path: Path) -> None:
    made = build(tmp_path / "collection")
    assert faults(open_source(made.spec, made.reading), made) == []


def test_ph2_whose_table_has_double_bars_is_read_or_refused(tmp_path: Path) -> None:
    made = Miniature(tmp_path / "PH2Dataset", reading=Reading(label="Clinical Diagnosis"))
    for n in range(20):
        name = f"IMD{n + 2:03d}"
        folder = f"PH2 Dataset images/{name}/{name}"
        made.image(f"{folder}_Dermoscopic_Image/{name}.bmp", Shot(str(n % 3), "", mask=True))
        write_mask(made.root / f"{folder}_lesion" / f"{name}_lesion.bmp")
        write_mask(made.root / f"{folder}_roi" / f"{name}_R1_Label4.bmp")
    columns = ["Name", "Histological Diagnosis", "Clinical Diagnosis", "Asymmetry", "Pigment Network", "Colors"]
    lines = [[f"IMD{n + 2:03d}", "Melanoma" * (n % 3 == 2), f"{n % 3}", "0", "T", "4"] for n in range(20)]
    text = "".join("||" + "||".join(f"  {cell}  " for cell in line) + "||\n" for line in [columns, *lines])
    made.text("PH2_dataset.txt", text + "\n\nLegends:\nClinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus\n")
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "Clinical Diagnosis" in str(error)  # noqa: PT017
    else:
        assert faults(source, made) == []
    assert faults(open_source(made.spec, made.reading), made) == []


def test_folds_that_repeat_every_image_are_refused(tmp_path: Path) -> None:
    """MSLD: each fold holds all images, a photograph is in Train of one and in Test of another."""
    made = Miniature(tmp_path)
    for n in range(15):
        label = ("Monkeypox", "Others")[n % 2]
        content = (made.root / made.image(f"Original Images/{label}/M{n:02d}.jpg")).read_bytes()
        for fold in (1, 2, 3):
            part = "Test" if n % 3 == fold - 1 else "Train"
            made.text(f"FOLDS/fold{fold}/{part}/{label}/M{n:02d}.jpg", content)
    with pytest.raises(UserError, match="fold"):
        open_source(made.spec)
    only = open_source(str(made.root / "FOLDS" / "fold1")).records
    assert set(only["label"]) == {"Monkeypox", "Others"}
    assert set(only["split"]) == {"train", "test"}
