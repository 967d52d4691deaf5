"""What is said of a container's images, and what the user may settle of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shards import png, tar

from derm_ml.data.source import Reading, Source
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError


def table(path: Path, **columns: list[object]) -> Path:
    """A shard of eight images and these columns."""
    pq.write_table(pa.table({"image": [png(n) for n in range(8)], **columns}), path)
    return path


def said(source: Source) -> dict[str, str]:
    return dict(source.choices)


def test_a_tar_says_how_it_was_read(tmp_path: Path) -> None:
    tar(tmp_path / "train-0.tar", 0, 8)
    tar(tmp_path / "val-0.tar", 8, 4)
    told = said(open_source(str(tmp_path)))
    assert told["label"] == "KEY.cls, or label of KEY.json, beside each image (4 values: 0, 1, 2, 3)"
    assert told["group"] == "none is named: each image its own, but for near copies"
    assert told["split"] == "the shards' names (2 values: train, val)"
    none = open_source(str(tmp_path), Reading(label="none", split="none"))
    assert said(none)["label"] == "none: the images are read without labels, as you said"
    assert set(none.records["label"]) == set(none.records["split"]) == {""}
    with pytest.raises(UserError, match="label=dx: .* has neither columns nor folders to choose"):
        open_source(str(tmp_path), Reading(label="dx"))


def test_the_columns_of_parquet_are_read_as_a_tables(tmp_path: Path) -> None:
    shard = table(
        tmp_path / "x.parquet",
        dx=["nv", "mel"] * 4,
        patient_id=[1, 1, 2, 2, 3, 3, None, None],
        lesion_id=["a", "a", "b", "c", "d", "e", "f", "f"],
        age=[50.0, None] * 4,
        split=["train", "test"] * 4,
    )
    source = open_source(str(shard))
    assert source.records["label"].tolist() == ["nv", "mel"] * 4
    assert source.records["group"].nunique() == 4
    assert source.records["split"].tolist() == ["train", "test"] * 4
    assert source.clinical is not None
    assert source.clinical["age"].tolist()[0] == 50.0
    assert said(source)["label"].startswith("column dx, by its name")
    assert said(source)["group"].startswith("column patient_id (patient)")


def test_parquet_is_settled_like_a_table_and_never_guessed(tmp_path: Path) -> None:
    shard = str(table(tmp_path / "x.parquet", dx=["nv", "mel"] * 4, disease=["a", "b", "b", "a"] * 2))
    with pytest.raises(UserError, match="several columns may be the diagnosis"):
        open_source(shard)
    assert open_source(shard, Reading(label="disease")).records["label"].tolist() == ["a", "b", "b", "a"] * 2
    with pytest.raises(UserError, match="group=patient: no such column"):
        open_source(shard, Reading(label="dx", group="patient"))
    assert set(open_source(shard, labelled=False).records["label"]) == {""}
    classes = tmp_path / "classes.csv"
    classes.write_text("name,class\nnv,benign\nmel,\n")
    source = open_source(shard, Reading(label="dx", classes=str(classes)))
    assert source.records["label"].tolist() == ["benign"] * 4
    assert len(source.refused) == 4
