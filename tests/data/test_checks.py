"""Copies, leaks and what a check says: on tables with made-up contents, so that no image is needed."""

import json

import numpy as np
import pandas as pd
import pytest

from derm_ml.data.cache import Cache
from derm_ml.data.checks import DataReport, distinct, report_json, rows_of, without_leaks
from derm_ml.data.dataset import assemble, describe
from derm_ml.data.source import Source
from derm_ml.errors import UserError


def opened(rows, refused=(), near=()):
    """Source and cache of rows: (image_id, content, label, group, split)."""
    table = pd.DataFrame(rows, columns=["image_id", "content", "label", "group", "split"], dtype="str")
    digests = dict(zip(table["image_id"], table.pop("content"), strict=True))
    bad = {digests[name] for name, _ in refused}
    known = sorted({each for each in digests.values() if each} - bad)
    images = np.zeros((len(known), 8, 8, 3), dtype=np.uint8)
    cache = Cache(images, {each: row for row, each in enumerate(known)}, digests, list(refused), [], list(near))
    return Source("table", "here", table, lambda name: b""), cache


def kept(rows, **more):
    source, cache = opened(rows, **more)
    report = DataReport(refused=list(cache.refused))
    return distinct(source.records, cache, report), dict(report.refused)


def test_copies_are_refused_and_the_held_out_one_stays():
    table, refused = kept(
        [("b", "2", "x", "", ""), ("a", "1", "x", "", "train"), ("c", "1", "x", "", "test"), ("d", "1", "x", "", "val")]
    )
    assert table["image_id"].tolist() == ["c", "b"]
    assert refused == {"a": "an exact copy of c", "d": "an exact copy of c"}


@pytest.mark.parametrize(
    ("plain", "copy"),
    [
        ("a/lesion 7.jpg", "a/lesion 7 (1).jpg"), ("z.jpg", "copy of z.jpg"), ("z.jpg", "b/Kopie von z.jpg"),
        ("z.jpg", "z - Kopie.jpg"), ("z.png", "z - Copy (2).png"), ("z.jpg", "z copy 2.jpg"), ("z.jpg", "z_copia.jpg"),
    ],
)  # fmt: skip
def test_of_copies_the_plainly_named_one_stays(plain, copy):
    table, refused = kept([(copy, "1", "x", "", ""), (plain, "1", "x", "", "")])
    assert table["image_id"].tolist() == [plain]
    assert refused == {copy: f"an exact copy of {plain}"}


def test_copies_of_other_labels_are_all_refused_and_each_names_another():
    table, refused = kept(
        [("a", "1", "x", "", ""), ("b", "1", "y", "", ""), ("c", "1", "x", "", ""), ("d", "2", "y", "", "")]
    )
    assert table["image_id"].tolist() == ["d"]
    assert refused["a"] == "the same image has other labels: 'x' here, 'y' in b: delete the wrong one"
    assert refused["b"] == "the same image has other labels: 'y' here, 'x' in a: delete the wrong one"
    assert refused["c"].endswith("'y' in b: delete the wrong one")


def test_a_copy_without_a_label_does_not_disagree_and_gives_way_its_label():
    table, refused = kept([("a", "1", "", "", "test"), ("b", "1", "x", "", "train")])
    assert table[["image_id", "label", "split"]].values.tolist() == [["a", "x", "test"]]
    assert refused == {"b": "an exact copy of a"}


def test_groups_that_share_a_picture_are_one():
    rows = [("a", "1", "x", "p1", ""), ("b", "1", "x", "p2", ""), ("c", "2", "x", "p2", ""), ("d", "3", "x", "p3", "")]
    table, _ = kept(rows)
    groups = dict(zip(table["image_id"], table["group"], strict=True))
    assert groups["a"] == groups["c"] != groups["d"]


def test_copies_of_refused_images_are_refused():
    table, refused = kept(
        [("a", "1", "x", "", ""), ("b", "1", "x", "", ""), ("c", "", "x", "", "")], refused=[("a", "bad")]
    )
    assert table.empty
    assert refused == {"a": "bad", "b": "a copy of a refused image"}


def test_near_copies_across_given_splits_leave_training():
    rows = [
        ("a", "1", "x", "", "train"),
        ("b", "2", "x", "", "test"),
        ("c", "3", "x", "", "val"),
        ("d", "4", "x", "", "val"),
    ]
    table, _ = kept(rows)
    report = DataReport()
    left = without_leaks(table, [("1", "2"), ("2", "3"), ("4", "9")], report)
    assert left["image_id"].tolist() == ["b", "d"]
    assert dict(report.refused) == {
        "a": "nearly identical to b, which is in test",
        "c": "nearly identical to b, which is in test",
    }


def test_rows_of_pairs():
    column = pd.Series(["b", "a", "d", "c"])
    assert rows_of(column, [("a", "c"), ("a", "x"), ("y", "z"), ("d", "b")]).tolist() == [[1, 3], [2, 0]]
    assert rows_of(column, []).shape == (0, 2)


def plain(count, label="xy"):
    return [(f"i{n:03d}", f"{n:03d}" + "0" * 20, label[n % len(label)], "", "") for n in range(count)]


def test_pairs_that_the_collection_names_share_a_group():
    source, cache = opened(plain(60))
    pairs = (("i000", "i002"), ("i001", "gone"), ("i002", "i004"))
    data = assemble(Source(**{**source.__dict__, "pairs": pairs}), cache, 8, 0)
    groups = dict(zip(data.table["image_id"], data.table["group"], strict=True))
    assert groups["i000"] == groups["i002"] == groups["i004"] != groups["i001"]
    assert data.report.named_pairs == [("i000", "i002"), ("i002", "i004")]
    assert "pairs that the collection names as one picture, kept together: 2" in describe(data)


def test_a_check_says_choices_and_warnings_and_counts_what_is_too_much_to_list():
    rows = [*plain(60, ["naevus (dysplastic)", "黒色腫"]), ("z", "z" * 20, "黒色腫", "", "")]
    source, cache = opened(rows, refused=[("z", "empty file")])
    many = tuple((f"r{n:05d}.jpg", f"truncated JPEG ({n:,} bytes)") for n in range(5000))
    told = {"refused": many, "choices": (("label", "column dx"),), "warnings": ("two tables",)}
    data = assemble(Source(**{**source.__dict__, **told}), cache, 8, 0)
    data.report.flagged += [(f"f{n:02d}.jpg", "nearly flat") for n in range(30)]
    text = describe(data)
    for line in ("label: column dx", "WARNING: two tables", "refused: 5,001", "flagged, kept: 30", "  z: empty file"):
        assert line in text
    assert "naevus (dysplastic)     22    4     4      30      30" in text
    assert "and 4,980 more: truncated JPEG" in text
    assert "and 10 more: nearly flat" in text
    assert text.count("truncated JPEG (") == 20
    assert len(json.loads(report_json(data.report))["refused"]) == 5001


def test_where_all_are_test_images_given_splits_play_no_part():
    rows = [(*each[:4], ["train", "test"][n % 2]) for n, each in enumerate(plain(20))]
    data = assemble(*opened(rows), 8, None)
    assert data.counts == {"train": 0, "val": 0, "test": 20}
    assert data.report.warnings == []


def test_what_a_split_lacks_is_said_and_counted():
    rows = [(*each[:4], ["train", "train", "val", "test"][n // 3 % 4]) for n, each in enumerate(plain(60, "xyz"))]
    rows = [row for row in rows if not (row[2] == "z" and row[4] == "val")]
    data = assemble(*opened(rows), 8, 0)
    assert data.averaged_over("val") == "2 of 3 classes"
    assert data.averaged_over("test") == "3 of 3 classes"
    assert data.report.warnings == [
        "validation has no image of 1 of 3 classes (z): averages over classes are over 2 there"
    ]


def test_one_group_for_all_is_named_in_the_refusal():
    with pytest.raises(UserError, match="one group holds 60 of 60 images"):
        assemble(*opened([(*each[:3], "all", "") for each in plain(60)]), 8, 0)


def test_copies_where_nothing_has_a_label():
    table, refused = kept([("a", "1", "", "", ""), ("b", "1", "", "", ""), ("c", "2", "", "", "")])
    assert table["label"].tolist() == ["", ""]
    assert refused == {"b": "an exact copy of a"}
