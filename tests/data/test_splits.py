"""Splits: no group in two of them, whatever the table; a function of content and seed alone."""

import hashlib
import re
import time

import numpy as np
import pandas as pd
import pytest
from fuzzing import tried
from hypothesis import given
from hypothesis import strategies as st

from derm_ml.data.splits import label_fraction, split_by_group, split_identity
from derm_ml.errors import UserError
from derm_ml.seeding import derive_seed, derive_seeds


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


@tried(40)
@given(tables, st.integers(0, 100))
def test_a_split_never_shares_a_group_and_every_class_is_in_each(table, seed):
    split = split_by_group(table, seed)
    assert (split.groupby(table["group"]).nunique() == 1).all()
    assert (split.groupby(table["label"]).nunique() == 3).all()


@tried(20)
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


def test_without_any_label_all_images_are_split():
    content = [f"{number:04d}" for number in range(40)]
    table = pd.DataFrame({"content": content, "image_id": content, "label": "", "group": content, "split": ""})
    counts = split_by_group(table, 0).value_counts()
    assert dict(counts) == {"train": 28, "val": 6, "test": 6}


def mixed(groups):
    """groups: one dict {label: images} a group."""
    rows = []
    for number, held in enumerate(groups):
        for label, count in sorted(held.items()):
            for copy in range(count):
                content = hashlib.sha256(f"{number}/{label}/{copy}".encode()).hexdigest()
                rows.append((f"{number}-{label}-{copy}", content, label, f"g{number}", ""))
    return pd.DataFrame(rows, columns=["image_id", "content", "label", "group", "split"])


held = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=1, max_size=3)
own = [{label: 1} for label in "abcd" for _ in range(3)]  # three groups of its own let any class be in each split
mixed_tables = st.lists(held, max_size=40).map(lambda more: mixed([*own, *more]))


@tried(60)
@given(mixed_tables, st.integers(0, 100))
def test_groups_of_several_classes_are_in_one_split_and_every_class_is_in_each(table, seed):
    split = split_by_group(table, seed)
    assert (split.groupby(table["group"]).nunique() == 1).all()
    assert (split.groupby(table["label"]).nunique() == 3).all()


@tried(30)
@given(st.lists(held, min_size=60, max_size=120), st.integers(0, 100), st.permutations("abcd"))
def test_names_of_classes_do_not_matter_and_shares_are_near(more, seed, names):
    table = mixed([*own, *more])
    split = split_by_group(table, seed)
    renamed = table.assign(label=table["label"].map(dict(zip("abcd", names, strict=True))))
    assert (split_by_group(renamed, seed) == split).all()
    # A class has 60 images or so on average: one of its largest groups is 5.
    for _, own_split in split.groupby(table["label"]):
        for name in ("val", "test"):
            assert abs((own_split == name).sum() - 0.15 * len(own_split)) <= 5 + 0.1 * len(own_split)


@tried(30)
@given(st.integers(3, 40), st.integers(0, 100))
def test_patients_with_a_lesion_and_a_control_each_are_split(patients, seed):
    table = mixed([{"lesion": 1, "control": 1}] * patients)
    split = split_by_group(table, seed)
    for label in ("lesion", "control"):
        counts = split[table["label"] == label].value_counts()
        assert all(abs(counts[name] - 0.15 * patients) <= 0.6 for name in ("val", "test"))


def test_a_group_larger_than_a_share_goes_to_training():
    table = mixed([{"a": 50}, *[{"a": 1}] * 50])
    for seed in range(10):
        split = split_by_group(table, seed)
        assert split[table["group"] == "g0"].unique().tolist() == ["train"]
        assert split.value_counts()["test"] == 15


def test_groups_move_where_a_class_would_lack_a_split():
    """Every class shares a group with each other: dealt one class after the other, the last may lack a split."""
    ring = [{"a": 1}, {"a": 1, "b": 1}, {"a": 1, "c": 1}, {"b": 1}, {"b": 1, "c": 1}, {"c": 1}]
    for seed in range(50):
        split = split_by_group(mixed(ring), seed)
        assert (split.groupby(mixed(ring)["label"]).nunique() == 3).all(), seed


def test_all_small_classes_are_named_at_once():
    with pytest.raises(UserError) as caught:
        split_by_group(table_of([("a", 1)] * 9 + [("b", 5)] * 2 + [("c", 1)]), 0)
    told = "2 classes of 3 have fewer than three groups of images, .* merge or drop them with --classes FILE .*: "
    told += r"'b' has 2 groups of images \(10 images\); 'c' has 1 group of images \(1 images\)"
    assert re.match(told, str(caught.value))


def test_a_hundred_thousand_groups_take_seconds():
    """Once quadratic: 6 s at 32,000 rows."""
    rng = np.random.default_rng(0)
    content = [f"{number:064x}" for number in range(200_000)]
    table = pd.DataFrame({"content": content, "label": rng.choice(list("abcdef"), 200_000)})
    table["group"] = rng.integers(0, 100_000, 200_000).astype(str)
    start = time.process_time()
    split_by_group(table, 0)
    assert time.process_time() - start < 15


def test_seeds_of_many_names_are_those_of_each() -> None:
    names = ["", "a", "é", *(f"{number:064x}" for number in range(100))]
    assert derive_seeds(3, "split", names).tolist() == [derive_seed(3, "split", name) for name in names]
    assert len(derive_seeds(3, "split", [])) == 0
