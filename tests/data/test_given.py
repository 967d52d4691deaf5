"""Splits that a collection brings: kept, completed by group, or found to be none."""

import hashlib

import pandas as pd
import pytest

from derm_ml.data.given import lacking, settled, unjudged, without_challenge_images
from derm_ml.errors import UserError


def collection(rows):
    """rows: [(label, group, split)], with a content of their own each."""
    made = [(f"{n}.jpg", hashlib.sha256(str(n).encode()).hexdigest(), *row) for n, row in enumerate(rows)]
    return pd.DataFrame(made, columns=["image_id", "content", "label", "group", "split"], dtype="str")


def of(split, count, label="ab", start=0):
    """Images of two classes, two of a class to a group."""
    return [(label[n // 2 % len(label)], f"p{start + n // 2}", split) for n in range(count)]


def test_given_splits_win_and_leaks_are_refused():
    table, warnings = collection(of("train", 4) + of("val", 4, start=10) + of("test", 4, start=20)), []
    assert settled(table, 0, warnings).tolist() == table["split"].tolist()
    assert warnings == []
    table.loc[0, "split"] = "test"
    with pytest.raises(UserError, match=r"the given splits leak: 1 groups .* 0.jpg, 1.jpg"):
        settled(table, 0, [])


@pytest.mark.parametrize(("given", "missing", "name"), [("test", "val", "validation"), ("val", "test", "test")])
def test_what_is_missing_is_drawn_from_training_by_group_and_class(given, missing, name):
    table, warnings = collection(of("train", 400) + of(given, 40, start=500)), []
    split = settled(table, 0, warnings)
    assert (split[table["split"] == given] == given).all()
    assert (split.groupby(table["group"]).nunique() == 1).all()
    assert split[table["label"] == "a"].value_counts()[missing] == 30
    assert split[table["label"] == "b"].value_counts()[missing] == 30
    (told,) = warnings
    assert told.startswith(f"the given split has no {name} images: 60 are drawn from training")


@pytest.mark.parametrize("one", ["train", "test"])
def test_one_split_for_all_is_no_split(one):
    table, warnings = collection(of(one, 80)), []
    assert set(settled(table, 0, warnings)) == {"train", "val", "test"}
    assert warnings == [f"the given split names {one} alone: that is no split, and all three are drawn"]


def test_train_alone_beside_images_without_a_split_is_no_split():
    table, warnings = collection(of("train", 40) + of("", 40, start=50)), []
    assert set(settled(table, 0, warnings)) == {"train", "val", "test"}
    assert "names train alone" in warnings[0]


def test_images_without_a_split_go_with_their_group_else_to_training():
    rows = [*of("train", 40), *of("val", 4, start=30), *of("test", 4, start=40), ("a", "p40", ""), ("b", "new", "")]
    table, warnings = collection(rows), []
    assert settled(table, 0, warnings).tolist()[-2:] == ["test", "train"]
    (told,) = warnings
    assert told.startswith("2 images have no split while others do: they join training, but 1 of them")


def test_a_given_split_without_training_is_refused():
    with pytest.raises(UserError, match="val and test images but no train"):
        settled(collection(of("val", 4) + of("test", 4, start=9)), 0, [])


def test_a_class_with_one_group_stays_in_training_when_validation_is_drawn():
    table, warnings = collection([*of("train", 100), ("c", "only", "train"), *of("test", 20, start=90)]), []
    split = settled(table, 0, warnings)
    assert split[table["label"] == "c"].tolist() == ["train"]
    told = lacking(table.assign(split=split), ("a", "b", "c"))
    assert told == [
        "validation has no image of 1 of 3 classes (c): averages over classes are over 2 there",
        "test has no image of 1 of 3 classes (c): averages over classes are over 2 there",
    ]


def test_a_class_that_training_lacks_is_said():
    told = lacking(collection([*of("train", 8), *of("val", 8, "abc", 20), *of("test", 8, "abc", 40)]), ("a", "b", "c"))
    assert told == ["training has no image of 1 of 3 classes (c): no head can learn them"]


def test_challenge_images_without_labels_are_left_out_and_test_is_drawn():
    rows = of("train", 100) + of("val", 12, start=60) + [("", f"t{n}", "test") for n in range(9)]
    records, left_out = without_challenge_images(collection(rows))
    assert len(records) == 112
    assert [name for name, _ in left_out] == [f"{112 + n}.jpg" for n in range(9)]
    assert left_out[0][1].startswith("in the given test split, without a label: a challenge's test images; give")
    warnings: list[str] = []
    assert (settled(records, 0, warnings) == "test").sum() == 16
    assert "no test images: 16 are drawn" in warnings[0]


def test_some_labels_in_a_given_test_split_keep_it_and_none_anywhere_too():
    some = collection([*of("train", 8), *of("val", 4, start=20), ("a", "x", "test"), ("", "y", "test")])
    assert without_challenge_images(some)[1] == []
    assert unjudged(some) == ["1 of 2 test images have no label: nothing is judged on them"]
    nothing = some.assign(label=pd.array([""] * len(some), dtype="str"))
    assert without_challenge_images(nothing)[1] == []
    assert unjudged(nothing) == []
