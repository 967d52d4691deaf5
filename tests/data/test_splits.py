"""Splits: no group in two of them, whatever the table; a function of content and seed alone."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derm_ml.data.duplicates import join_groups
from derm_ml.data.splits import label_fraction, split_by_group, split_identity
from derm_ml.errors import UserError


def table_of(groups):
    """groups: [(label, images)]."""
    rows = []
    for number, (label, count) in enumerate(groups):
        for copy in range(count):
            content = hashlib.sha256(f"{number}/{copy}".encode()).hexdigest()
            rows.append((f"{number}-{copy}", content, label, f"g{number}", ""))
    return pd.DataFrame(rows, columns=["image_id", "content", "label", "group", "split"])


tables = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=0, max_size=40).map(
    lambda extra: table_of([(label, 1) for label in "abc" for _ in range(3)] + extra)
)


@settings(max_examples=40, deadline=None)
@given(tables, st.integers(0, 100))
def test_a_split_never_shares_a_group_and_every_class_is_in_each(table, seed):
    split = split_by_group(table, seed)
    assert (split.groupby(table["group"]).nunique() == 1).all()
    assert (split.groupby(table["label"]).nunique() == 3).all()


@settings(max_examples=20, deadline=None)
@given(tables, st.integers(0, 100), st.randoms())
def test_neither_order_nor_names_matter(table, seed, random):
    order = list(range(len(table)))
    random.shuffle(order)
    other = table.iloc[order].reset_index(drop=True)
    other["group"] = "other " + other["group"]
    here = table.assign(split=split_by_group(table, seed))
    there = other.assign(split=split_by_group(other, seed))
    assert split_identity(here) == split_identity(there)


def test_shares_are_kept_and_the_seed_matters():
    table = table_of([("a", 1)] * 400 + [("b", 1)] * 100)
    split = split_by_group(table, 0)
    assert split.value_counts().to_dict() == {"train": 350, "val": 75, "test": 75}
    assert (split_by_group(table, 1) != split).any()


def test_given_splits_win_and_leaks_are_refused():
    table = table_of([("a", 2), ("b", 2)])
    table["split"] = ["train", "train", "val", "val"]
    assert split_by_group(table, 0).tolist() == ["train", "train", "val", "val"]
    table["split"] = ["train", "val", "val", "val"]
    with pytest.raises(UserError, match="leak"):
        split_by_group(table, 0)


def test_small_classes_are_refused():
    assert set(split_by_group(table_of([("a", 1)] * 9), 0)) == {"train", "val", "test"}
    with pytest.raises(UserError, match="class 'b' has 2 groups of images"):
        split_by_group(table_of([("a", 1)] * 9 + [("b", 5)] * 2), 0)


def test_label_fractions_are_nested():
    table = table_of([("a", 2)] * 100 + [("b", 1)] * 50)
    rows, groups = np.arange(len(table)), table["group"].to_numpy()
    codes = (table["label"] == "b").to_numpy().astype(int)
    few, more = (set(label_fraction(rows, groups, codes, f, 0)) for f in (0.1, 0.5))
    assert few < more < set(rows)
    assert len({groups[i] for i in few}) == 15


def test_near_duplicates_join_groups():
    groups = join_groups(pd.Series(["x", "", "x", "y", "", "", "", "z"]), [(3, 7)])
    assert groups[0] == groups[2]
    assert groups[3] == groups[7]
    assert len(set(groups)) == 6


def test_without_any_label_all_images_are_split():
    content = [f"{number:04d}" for number in range(40)]
    table = pd.DataFrame({"content": content, "image_id": content, "label": "", "group": content, "split": ""})
    counts = split_by_group(table, 0).value_counts()
    assert dict(counts) == {"train": 28, "val": 6, "test": 6}
