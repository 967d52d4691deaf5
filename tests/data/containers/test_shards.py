"""Unlabelled pools as WebDataset and Parquet shards: read at any place, each fault named."""

import tarfile
from pathlib import Path

import pytest
from shards import member, parquet, png, tar

from derm_ml.data.cache import open_cache
from derm_ml.data.containers import open_container
from derm_ml.data.containers.blobs import expand
from derm_ml.errors import UserError


def opened(spec: Path | str, labelled: bool = False):
    source = open_container(str(spec), labelled)
    assert source is not None
    return source


@pytest.mark.parametrize("form", ["folder", "file", "braces"])
def test_tar_shards_of_a_folder_a_file_or_a_pattern(tmp_path: Path, form):
    shards = [tar(tmp_path / f"pool-{number:04d}.tar", number * 5, 5) for number in range(3)]
    spec = {"folder": tmp_path, "file": shards[1], "braces": tmp_path / "pool-{0000..0002}.tar"}[form]
    source = opened(spec)
    wanted = [5, 6, 7, 8, 9] if form == "file" else list(range(15))
    ids = source.records["image_id"].tolist()
    assert ids == [f"pool-{number // 5:04d}.tar/{number:05d}.png" for number in wanted]
    assert [source.read(each) for each in reversed(ids)] == [png(number) for number in reversed(wanted)]
    assert set(source.records["label"]) == {""}
    assert source.refused == ()
    assert len(open_cache(source, 32).images) == len(wanted)


def test_labels_and_splits_of_tar_shards(tmp_path: Path):
    tar(tmp_path / "train-0.tar", 0, 8)
    tar(tmp_path / "val-0.tar", 8, 4)
    records = opened(tmp_path, labelled=True).records
    assert records["label"].tolist() == [str(number % 4) for number in range(12)]
    assert records["split"].tolist() == ["train"] * 8 + ["val"] * 4


def test_each_odd_member_of_a_tar_is_named(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member(archive, "good.png", png(0))
        member(archive, "good.png", png(1))
        member(archive, "link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        member(archive, "hard.png", type=tarfile.LNKTYPE, linkname="good.png")
        member(archive, "fifo.png", type=tarfile.FIFOTYPE)
        member(archive, "/etc/absolute.png", png(2))
        member(archive, "../above.png", png(3))
        member(archive, "notes.exe", b"x")
        member(archive, "._good.png", b"x")
        member(archive, "caption.txt", b"x")
        member(archive, "folder", type=tarfile.DIRTYPE)
        member(archive, "folder/deep.v1.png", png(4))
    source = opened(tmp_path / "x.tar")
    assert source.records["image_id"].tolist() == ["x.tar/good.png", "x.tar/folder/deep.v1.png"]
    assert source.read("x.tar/good.png") == png(0)
    told = dict(source.refused)
    assert "second member" in told["x.tar/good.png"]
    assert "/etc/passwd" in told["x.tar/link.png"]
    assert "link" in told["x.tar/hard.png"]
    assert "neither" in told["x.tar/fifo.png"]
    assert "absolute" in told["x.tar//etc/absolute.png"]
    assert "out of the archive" in told["x.tar/../above.png"]
    assert "exe suffix" in told["x.tar/notes.exe"]
    assert "hidden" in told["x.tar/._good.png"]
    assert len(told) == 8


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:9000], "cut"),
        (lambda content: content[:5000] + b"\xff" * 6000 + content[11000:], "damaged"),
        (lambda content: content[: -len(content) // 4], "cut"),
        (lambda content: content.rstrip(b"\0"), "cut"),
    ],
)
def test_a_damaged_tar_says_so_and_what_is_whole_is_read(tmp_path: Path, damage, reason):
    path = tar(tmp_path / "x.tar", 0, 12)
    path.write_bytes(damage(path.read_bytes()))
    source = opened(path)
    assert len(source.records)
    assert any(reason in told for _, told in source.refused)
    source.read(source.records["image_id"][0])


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\x1f\x8b" + b"x" * 2000])
@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_shard_that_is_none_is_one_line(tmp_path: Path, kind, content):
    (tmp_path / f"x.{kind}").write_bytes(content)
    with pytest.raises(UserError, match=r"no images.*damaged or cut"):
        opened(tmp_path)


@pytest.mark.parametrize("form", ["struct", "bytes", "list"])
def test_parquet_shards_in_each_form(tmp_path: Path, form):
    for number, split in enumerate(["train", "validation"]):
        parquet(tmp_path / f"{split}-00000-of-00001.parquet", number * 7, 7, form)
    source = opened(tmp_path, labelled=True)
    ids = source.records["image_id"].tolist()
    assert [source.read(each) for each in ids] == [png(number) for number in range(14)]
    assert source.read(ids[13]) == png(13)
    assert source.records["label"].tolist() == [["naevus", "melanoma"][number % 2] for number in range(14)]
    assert source.records["split"].tolist() == ["train"] * 7 + ["val"] * 7
    assert set(opened(tmp_path).records["label"]) == {""}
    assert len(open_cache(source, 32).images) == 14


def test_a_cut_parquet_shard_is_named_and_the_others_are_read(tmp_path: Path):
    parquet(tmp_path / "a.parquet", 0, 7)
    whole = parquet(tmp_path / "b.parquet", 7, 7).read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    source = opened(tmp_path)
    assert len(source.records) == 7
    assert source.refused[0][0] == "b.parquet"


def test_damage_within_a_parquet_shard_is_refused_image_by_image(tmp_path: Path):
    path = parquet(tmp_path / "a.parquet", 0, 7)
    content = bytearray(path.read_bytes())
    content[200:4000] = b"\xff" * 3800
    path.write_bytes(content)
    cache = open_cache(opened(path), 32)
    assert 0 < len(cache.refused) < 7 or len(cache.images) < 7


def test_what_is_no_container(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert open_container(str(tmp_path)) is None
    tar(tmp_path / "a.tar", 0, 2)
    assert open_container(str(tmp_path)) is None, "a folder with images beside shards is a folder of images"
    assert open_container("synthetic") is None


def test_patterns(tmp_path: Path):
    assert expand("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert expand("a.tar") is None
    with pytest.raises(UserError, match="names no shards"):
        expand("a-{3..1}.tar")
    tar(tmp_path / "a-0.tar", 0, 2)
    with pytest.raises(UserError, match=r"1 of 2 shards are missing.*a-1.tar"):
        opened(tmp_path / "a-{0..1}.tar")
    parquet(tmp_path / "b.parquet", 0, 2)
    with pytest.raises(UserError, match=r"\.parquet and \.tar"):
        opened(tmp_path)
