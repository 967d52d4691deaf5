"""From files to a data set: what is recognised, refused, mended, cached."""

import io
import multiprocessing
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_ml.data.cache import cache_root
from derm_ml.data.dataset import describe, prepare
from derm_ml.data.decoding import RefusedImage, decode
from derm_ml.data.sources import open_source
from derm_ml.data.synthetic import LABEL_NOISE, SyntheticSpec, class_of, draw, lesion_factors
from derm_ml.errors import UserError


def picture(seed, size=(48, 40), mode="RGB"):
    """Noise, so that no two are alike."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "lesions"
    for number in range(24):
        folder = root / ("naevus" if number % 2 else "melanoma")
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.png")
    return root


def test_a_folder_a_class_with_the_faults_of_real_data(folders: Path):
    (folders / "naevus" / "notes.txt").write_text("x")
    (folders / "naevus" / "cut.jpg").write_bytes(encoded(picture(1, (300, 300)), "JPEG")[:4000])
    (folders / "naevus" / "copy.png").write_bytes((folders / "naevus" / "1.png").read_bytes())
    (folders / "naevus" / "traitor.png").write_bytes((folders / "melanoma" / "0.png").read_bytes())
    (folders / "naevus" / "empty.png").write_bytes(b"")
    (folders / "loose.png").write_bytes(encoded(picture(77)))
    dataset = prepare(str(folders), 32, 0)
    reasons = dict(dataset.report.refused)
    assert dataset.classes == ("melanoma", "naevus")
    assert len(dataset.table) == 23
    assert "suffix" in reasons["naevus/notes.txt"]
    assert "truncated JPEG (4,000 bytes)" in reasons["naevus/cut.jpg"]
    assert "empty file" in reasons["naevus/empty.png"]
    assert "exact copy" in reasons["naevus/copy.png"]
    told = "the same image has other labels: 'naevus' here, 'melanoma' in melanoma/0.png: delete the wrong one"
    assert reasons["naevus/traitor.png"] == told
    assert "other labels" in reasons["melanoma/0.png"]
    assert "class folders" in reasons["loose.png"]
    text = describe(dataset)
    assert all(name in text for name in reasons)


def test_the_cache_is_used_and_names_do_not_matter(folders: Path, tmp_path: Path):
    first = prepare(str(folders), 32, 0)
    made = sorted(path.name for path in (cache_root() / "images").iterdir())
    renamed = tmp_path / "renamed"
    for path in folders.rglob("*.png"):
        target = renamed / path.parent.name / f"again_{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    second = prepare(str(folders), 32, 0)
    assert sorted(path.name for path in (cache_root() / "images").iterdir()) == made
    other = prepare(str(renamed), 32, 0)
    assert first.fingerprint == second.fingerprint == other.fingerprint
    assert first.split_id == other.split_id
    rows = np.arange(len(first.table))
    np.testing.assert_array_equal(first.images[rows], other.images[rows])


def _prepare(spec: str, queue) -> None:  # type: ignore[no-untyped-def]
    queue.put(prepare(spec, 32, 0).fingerprint)


def test_two_processes_may_make_the_cache_at_once():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    pair = [context.Process(target=_prepare, args=("synthetic:n=90,size=40,seed=5", queue)) for _ in range(2)]
    for process in pair:
        process.start()
    assert queue.get(timeout=120) == queue.get(timeout=120)
    for process in pair:
        process.join()
    assert not list((cache_root() / "images").glob(".building-*"))


def test_the_split_and_the_fingerprint_do_not_depend_on_the_image_size():
    """An encoder's split is checked by them: another size must not look like other data."""
    small, large = (prepare("synthetic:n=120,size=100,seed=2", size, 0) for size in (32, 96))
    assert small.fingerprint == large.fingerprint
    assert small.split_id == large.split_id


def test_near_copies_are_kept_in_one_split_at_any_size(folders: Path):
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((96, 96))
    smooth.save(folders / "naevus" / "smooth.png")
    smooth.save(folders / "naevus" / "smooth.jpg", quality=80)
    pairs = [set(prepare(str(folders), size, 0).report.near_duplicates[0]) for size in (32, 64, 128)]
    assert pairs == [{"naevus/smooth.png", "naevus/smooth.jpg"}] * 3


def test_csv_with_groups_and_splits(tmp_path: Path):
    rows = []
    for number in range(12):
        picture(number).save(tmp_path / f"{number}.png")
        split = ["train", "val", "test"][number // 2 % 3]
        rows.append((f"{number}.png", "ab"[number % 2], f"p{number}", split))
    table = pd.DataFrame(rows, columns=["path", "label", "group", "split"])
    table.to_csv(tmp_path / "table.csv", index=False)
    dataset = prepare(str(tmp_path), 32, 0)
    assert dataset.kind == "table"
    assert dataset.counts == {"train": 4, "val": 4, "test": 4}
    table.drop(columns="label").to_csv(tmp_path / "table.csv", index=False)
    bare = open_source(str(tmp_path))
    assert set(bare.records["label"]) == {""}
    assert "no column tells a diagnosis (there are path, group, split)" in bare.warnings[0]


def test_copies_across_given_splits_leave_training(tmp_path: Path):
    """DermaMNIST's own splits hold near copies: the data set is used without them, and they are named."""
    rows = []
    for number in range(12):
        picture(number).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", "ab"[number % 2], ["train", "val", "test"][number // 2 % 3]))
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((96, 96))
    smooth.save(tmp_path / "near.png")
    smooth.save(tmp_path / "near.jpg", quality=80)
    (tmp_path / "exact.png").write_bytes((tmp_path / "4.png").read_bytes())
    rows += [("near.png", "a", "test"), ("near.jpg", "a", "train"), ("exact.png", "a", "train")]
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(tmp_path / "table.csv", index=False)
    dataset = prepare(str(tmp_path), 32, 0)
    assert dict(dataset.report.refused) == {
        "near.jpg": "nearly identical to near.png, which is in test",
        "exact.png": "an exact copy of 4.png",
    }
    assert dataset.counts == {"train": 4, "val": 4, "test": 5}


def test_unlabelled_images_join_training_only(tmp_path: Path):
    rows = []
    for number in range(20):
        picture(number).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", ["a", "b", "", ""][number % 4]))
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(tmp_path / "t.csv", index=False)
    dataset = prepare(str(tmp_path / "t.csv"), 32, 0)
    unlabelled = dataset.table[dataset.table["code"] < 0]
    assert len(unlabelled) == 10
    assert set(unlabelled["split"]) == {"train"}
    assert len(dataset.rows("train")) == len(dataset.rows("train", labelled=True)) + 10


@pytest.mark.parametrize("make", [lambda p: p / "none", lambda p: p])
def test_nothing_there_is_one_line(tmp_path: Path, make):
    with pytest.raises(UserError, match=r"no such directory|it is empty"):
        open_source(str(make(tmp_path)))


def test_dermamnist_without_its_file_says_where_to_put_it(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DERM_ML_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"put dermamnist_64.npz .* into"):
        open_source("dermamnist")


def test_dermamnist_from_its_file(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DERM_ML_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = rng.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.array([[0], [1], [2], [0], [1], [2]])
    np.savez(tmp_path / "dermamnist_64.npz", **arrays)
    dataset = prepare("dermamnist", 64, 0)
    assert dataset.counts == {"train": 6, "val": 6, "test": 6}
    assert len(dataset.classes) == 3


MENDED = [
    (encoded(picture(0, mode="CMYK"), "JPEG"), "CMYK"),
    (encoded(picture(0, mode="L")), "greyscale"),
    (encoded(picture(0, mode="RGBA")), "transparency"),
    (encoded(Image.fromarray(np.full((40, 40), 40000, dtype=np.uint16))), "16-bit"),
    (encoded(picture(0), "GIF", save_all=True, append_images=[picture(1)]), "animated"),
]


@pytest.mark.parametrize(("content", "rule"), MENDED, ids=[rule for _, rule in MENDED])
def test_what_can_be_mended_is_and_says_so(content, rule):
    pixels, rules = decode(content, 32)
    assert pixels.shape == (32, 32, 3)
    assert any(rule in each for each in rules)


def test_16_bit_keeps_its_brightness():
    pixels, _ = decode(encoded(Image.fromarray(np.full((40, 40), 32768, dtype=np.uint16))), 32)
    assert abs(int(pixels.mean()) - 128) <= 1


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 3
    image = Image.new("RGB", (40, 40))
    image.paste((255, 255, 255), (0, 0, 40, 20))
    pixels, rules = decode(encoded(image, "PNG", exif=exif.tobytes()), 32)
    assert pixels[-1].mean() > 250 > 5 > pixels[0].mean()
    assert rules == ["EXIF rotation applied"]


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    content = bytearray(encoded(Image.new("L", (40, 40))))
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    with pytest.raises(RefusedImage, match="bomb|readable"):
        decode(bytes(content), 32)


def test_synthetic_images_do_not_depend_on_how_many_there_are():
    few, many = SyntheticSpec(n=10).views(), SyntheticSpec(n=1000).views()
    assert many[:10] == few
    np.testing.assert_array_equal(draw(3, 0, 64, 0), draw(3, 0, 64, 0))
    assert (draw(3, 0, 64, 0) != draw(3, 0, 64, 1)).any()
    assert (draw(3, 0, 64, 0) != draw(3, 1, 64, 0)).any()


def test_synthetic_labels_are_noisy_and_all_there():
    drawn = [lesion_factors(i, 0) for i in range(2000)]
    wrong = np.mean([label != class_of(factors) for factors, label in drawn])
    assert wrong == pytest.approx(LABEL_NOISE * 3 / 4, abs=0.02)
    shares = pd.Series([label for _, label in drawn]).value_counts(normalize=True)
    assert shares.min() > 0.05


@pytest.mark.data
def test_ham10000(ham10000: Path):
    dataset = prepare(str(ham10000), 64, 0)
    assert len(dataset.table) == 10_013  # two exact copies
    assert sorted(os.path.basename(name) for name, _ in dataset.report.refused) == [  # noqa: PTH119
        "ISIC_0029861.jpg",
        "ISIC_0029938.jpg",
    ]
    lesions = pd.read_csv(ham10000 / "HAM10000_metadata.csv").set_index("image_id")["lesion_id"]
    names = dataset.table["image_id"].map(lambda name: lesions[Path(name).stem])
    assert dataset.table["split"].groupby(names).nunique().max() == 1
    # The very split, on every machine.
    assert dataset.split_id.startswith("3081038b0186d1d9")


def test_what_settles_a_reading_is_named_as_that_collections_parameter(folders: Path):
    rows = [f"{n},{'ab'[n % 2]},{'cd'[n // 2 % 2]}" for n in range(24)]
    (folders / "table.csv").write_text("image,diagnosis,disease\n" + "\n".join(rows))
    with pytest.raises(UserError, match=r"with --label diagnosis \(mlflow run: -P label=diagnosis\)"):
        prepare(str(folders), 32, 0)
    with pytest.raises(UserError, match=r"with --external-label diagnosis \(mlflow run: -P external_label=diagnosis\)"):
        prepare(str(folders), 32, None, parameter="external")
