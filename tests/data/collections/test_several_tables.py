"""Several tables of one collection: one a class, one a year, two readers; and photographs in two modalities."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import CLASSES, Miniature, Shot, faults

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError


def a_table_a_class(root: Path, names: tuple[str, ...], header: str = "image,age") -> Miniature:
    made = Miniature(root)
    for number, (name, label) in enumerate(zip(names, CLASSES, strict=True)):
        rows = []
        for n in range(8):
            image = made.image(f"photos/{number}_{n}.jpg", Shot(label))
            rows.append({"image": Path(image).name, "age": 30 + n, "note": "x"})
        made.table(name, header, rows)
    return made


@pytest.mark.parametrize("pattern", ["{}.csv", "{}_list.csv", "list of {}.tsv", "{}.txt", "lists/images_{}_2020.csv"])
def test_a_table_a_class_has_the_class_in_its_name(pattern: str, tmp_path: Path) -> None:
    made = a_table_a_class(tmp_path, tuple(map(pattern.format, CLASSES)))
    made.said = [("label", "a table a class, by their names")]
    assert faults(open_source(made.spec), made) == []


def test_tables_of_places_or_years_are_no_classes(tmp_path: Path) -> None:
    made = a_table_a_class(tmp_path / "towns", ("graz.csv", "linz.csv", "wien.csv"))
    with pytest.raises(UserError, match="names of tables may: .*graz, linz, wien.*--label table or --label none"):
        open_source(made.spec)
    assert set(open_source(made.spec, Reading(label="table")).records["label"]) == {"graz", "linz", "wien"}
    made = a_table_a_class(tmp_path / "years", ("2019.csv", "2020.csv", "2021.csv"))
    assert set(open_source(made.spec).records["label"]) == {""}


def test_tables_of_classes_that_share_images_or_differ_are_refused_for_that(tmp_path: Path) -> None:
    names = tuple(map("{}.csv".format, CLASSES))
    made = a_table_a_class(tmp_path / "shared", names)
    made.text("bcc.csv", (made.root / "bcc.csv").read_text() + "0_0.jpg,50\n")
    with pytest.raises(UserError, match="bcc.csv and nevus.csv .* but 1 of the images are in both"):
        open_source(made.spec)
    made = a_table_a_class(tmp_path / "columns", names)
    made.text("bcc.csv", (made.root / "bcc.csv").read_text().replace("age", "weight"))
    with pytest.raises(UserError, match="bcc.csv and melanoma.csv .* but the column age is in one of them alone"):
        open_source(made.spec)


@pytest.mark.parametrize(
    "other", ["image,diagnosis,patient_id,age,device", "file,dx,patient,Alter", "image,dx,patient_id"]
)
def test_tables_of_two_years_are_one_whatever_they_call_things(other: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for year, header in ((2019, "image,diagnosis,patient_id,age"), (2020, other)):
        rows = []
        for n in range(24):
            label, known = CLASSES[n // 2 % 3], {"age": 50.0} if year == 2019 or "A" in other else {}
            image = made.image(f"{year}/{year}_{n:03d}.jpg", Shot(label, f"{year}-{n // 2}", known=known))
            both = dict.fromkeys(("image", "file"), Path(image).name) | dict.fromkeys(("diagnosis", "dx"), label)
            both |= dict.fromkeys(("patient_id", "patient"), f"{year}-{n // 2}") | {"age": "50", "Alter": "50"}
            rows.append(both | {"device": "X"})
        made.table(f"{year}.csv", header, rows)
    source = open_source(made.spec)
    assert faults(source, made) == []
    assert dict(source.choices).get("not read", "column device") == "column device"


def test_years_of_other_classes_are_told_apart_from_readers_who_disagree(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for year, header in ((2019, "image,diagnosis"), (2020, "image,dx")):
        rows = []
        for n in range(12):
            made.image(f"{year}_{n:03d}.jpg")
            rows.append({"image": f"{year}_{n:03d}.jpg", "diagnosis": CLASSES[n % 3], "dx": n % 3})
        made.table(f"{year}.csv", header, rows)
    with pytest.raises(
        UserError, match="no image has both of the columns diagnosis and dx, and they do not have the same"
    ):
        open_source(made.spec)


@pytest.mark.parametrize("more", ["", ",reader"])
def test_readers_who_disagree_are_quoted(more: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for reader in (0, 1):
        rows = []
        for n in range(24):
            made.image(f"{n:03d}.jpg")
            rows.append({"image": f"{n:03d}.jpg", "diagnosis": CLASSES[(n + (reader and n == 5)) % 3], "reader": "B"})
        made.table(f"reader_{reader}.csv", "image,diagnosis" + more * reader, rows)
    source = open_source(made.spec)
    assert [name for name, _ in source.refused] == ["005.jpg"]
    assert "(bcc and nevus)" in source.refused[0][1]


@pytest.mark.parametrize(
    "path",
    [
        "{kind}/{label}/{n:03d}.jpg",
        "{label}/{kind}/{n:03d}.jpg",
        "{label}/{n:03d}_{kind}.jpg",
        "{kind} images/{label}/{n:03d}.jpg",
    ],
)
def test_a_clinical_and_a_dermoscopic_photograph_of_one_name_are_of_one_lesion(path: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path, said=[("group", "photographs of one name in clinical and dermoscopy (48 of 48)")])
    for n in range(24):
        for kind in ("clinical", "dermoscopy"):
            made.image(path.format(kind=kind, label=CLASSES[n % 3], n=n), Shot(CLASSES[n % 3], str(n)))
    assert faults(open_source(made.spec), made) == []


def test_modalities_of_few_common_names_group_nothing(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        made.image(f"clinical/{CLASSES[n % 3]}/{n:03d}.jpg", Shot(CLASSES[n % 3]))
        made.image(f"dermoscopy/{CLASSES[n % 3]}/{n + 12:03d}.jpg", Shot(CLASSES[n % 3]))
    assert faults(open_source(made.spec), made) == []
