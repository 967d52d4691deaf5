"""Published layouts in miniature: classes, groups, splits, masks and metadata are read right, and it is said why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import published
import published_archive
import published_isic
import pytest
from miniatures import Miniature, faults

from derm_ml.data.dataset import prepare
from derm_ml.data.sources import open_source

Builder = Callable[[Path], Miniature]
BUILDERS: list[Builder] = [*published_isic.BUILDERS, *published_archive.BUILDERS, *published.BUILDERS]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_published_layout_is_read_right(build: Builder, tmp_path: Path) -> None:
    if build is published_archive.isic2024_hdf5:
        pytest.importorskip("h5py")
    made = build(tmp_path / "collection")
    assert faults(open_source(made.spec, made.reading), made) == []


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_as_an_unlabelled_pool_each_photograph_counts_once(build: Builder, tmp_path: Path) -> None:
    if build is published_archive.isic2024_hdf5:
        pytest.importorskip("h5py")
    made = build(tmp_path / "collection")
    records = open_source(made.spec, labelled=False).records
    assert set(records["label"]) | set(records["split"]) == {""}
    assert set(made.shots) <= set(records["image_id"])
    assert not any("segmentation" in name for name in records["image_id"])


def test_pairs_that_the_collection_names_are_handed_on(tmp_path: Path) -> None:
    made = published_isic.isic2020_challenge(tmp_path / "collection")
    source = open_source(made.spec)
    assert len(source.pairs) == 3
    assert {name for pair in source.pairs for name in pair} <= set(made.shots)


PREPARED = [
    published_isic.ham10000_kaggle, published_isic.isic2018, published.pad_ufes_20_nested, published.derm7pt,
    published.split_folders, published.patient_folders,
]  # fmt: skip


@pytest.mark.parametrize("build", PREPARED, ids=lambda build: build.__name__)
def test_a_prepared_layout_keeps_classes_counts_and_groups(build: Builder, tmp_path: Path) -> None:
    made = build(tmp_path / "collection")
    dataset = prepare(made.spec, 32, 0)
    labels = [shot.label for shot in made.shots.values()]
    assert dataset.classes == tuple(sorted(set(labels)))
    assert dataset.table["label"].value_counts().to_dict() == {name: labels.count(name) for name in set(labels)}
    if given := {name: shot.split for name, shot in made.shots.items() if shot.split}:
        assert dict(zip(dataset.table["image_id"], dataset.table["split"], strict=True)) == given
    splits = dataset.table.groupby("group")["split"].nunique()
    assert splits.max() == 1
