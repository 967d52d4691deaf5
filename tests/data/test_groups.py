"""Groups: what joins images, text that is no group, and columns that hardly are groups."""

import numpy as np
import pandas as pd
import pytest

from derm_ml.data.duplicates import describe_picture, near_pairs
from derm_ml.data.groups import doubts, join_groups
from derm_ml.data.missing import cleaned, is_missing
from derm_ml.data.synthetic import draw


def test_near_duplicates_join_groups():
    images = [draw(lesion, 0, 128, 0) for lesion in range(8)]
    images[7] = np.clip(images[3].astype(int) + 3, 0, 255).astype(np.uint8)
    assert near_pairs(np.stack([describe_picture(each) for each in images])) == [(3, 7)]
    groups = join_groups(pd.Series(["x", "", "x", "y", "", "", "", "z"]), [(3, 7)])
    assert groups[0] == groups[2]
    assert groups[3] == groups[7]
    assert len(set(groups)) == 6


def test_a_group_named_like_a_row_is_not_that_row():
    groups = join_groups(pd.Series(["1", "", "row 1", "0"]), [])
    assert len(set(groups)) == 4


MISSING = ["", " ", "nan", "NaN", "None", "NULL", "na", "N/A", "#N/A", "Unknown", " UNKNOWN ", "undefined", "missing"]
MISSING += ["not available", "Not specified", "?", "-", "--", "."]


@pytest.mark.parametrize("text", MISSING)
def test_text_for_missing_is_no_value(text):
    assert is_missing(pd.Series(["p1", text, "p2"])).tolist() == [False, True, False]


def test_what_is_no_text_for_missing_stays():
    kept = ["UNK", "other", "0", "nandus", "n", "-1", "none of these"]
    assert cleaned(pd.Series([f" {each} " for each in kept])).tolist() == kept


def test_cleaned_keeps_index_and_takes_any_kind():
    values = pd.Series([1.5, float("nan"), 2.0], index=[7, 8, 9])
    assert cleaned(values).to_dict() == {7: "1.5", 8: "", 9: "2.0"}
    assert cleaned(pd.Series([None, "a", pd.NA], dtype=object)).tolist() == ["", "a", ""]
    assert cleaned(pd.Series([], dtype="str")).tolist() == []


def test_a_column_that_groups_nothing_is_said():
    alone = pd.Series([f"id{number}" for number in range(98)] + ["twin", "twin"])
    (told,) = doubts(alone, pd.factorize(alone)[0])
    assert "98 of the 100 images with one are alone" in told
    assert "no grouping" not in told  # under a line that names the column
    pairs = pd.Series([f"p{number // 2}" for number in range(100)])
    assert doubts(pairs, pd.factorize(pairs)[0]) == []
    assert doubts(pd.Series([""] * 100), np.arange(100)) == []


def test_a_group_of_more_than_half_of_all_images_is_said():
    large = pd.Series(["all"] * 60 + [f"p{number // 2}" for number in range(40)])
    (told,) = doubts(large, pd.factorize(large)[0])
    assert "one group holds 60 of 100 images (the group 'all' has 60)" in told
    assert doubts(large[large != "all"], pd.factorize(large[large != "all"])[0]) == []
    (told,) = doubts(pd.Series([""] * 100), np.repeat([0, 1], [90, 10]))
    assert "90 of 100 images (by images alike)" in told
