"""The data check as a page: what it says, that it is escaped, bounded, the same each time, and written whole."""

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_ml.cli.main import main
from derm_ml.data.checks import DataReport
from derm_ml.data.dataset import ImageDataset, prepare
from derm_ml.data.page import facts, html
from derm_ml.data.page.charts import bins
from derm_ml.data.page.html import check_target, page, write_page
from derm_ml.data.source import Source
from derm_ml.errors import UserError


def picture(seed, size=(48, 40)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def collection(count, classes, size=32, *, clinical=None, report=None, groups=None):
    """A data set of noise, made by hand."""
    rng = np.random.default_rng(0)
    labels = [classes[number % len(classes)] for number in range(count)]
    ids = [f"folder/{number}.jpg" for number in range(count)]
    named = list(groups) if groups is not None else [""] * count
    table = pd.DataFrame({"image_id": ids, "label": labels, "content": [f"{n:064x}" for n in range(count)]})
    table["group"] = [name or content[-16:] for name, content in zip(named, table["content"], strict=True)]
    table["split"] = np.array(["train", "val", "test"])[rng.integers(0, 3, count)]
    codes = {name: code for code, name in enumerate(sorted(set(classes)))}
    table["code"] = [codes[label] for label in labels]
    records = table[["image_id", "label"]].assign(group=named, split="")
    pixels = rng.integers(0, 256, (min(count, 500), size, size, 3), dtype=np.uint8)
    images = pixels if count <= 500 else np.broadcast_to(pixels[:1], (count, size, size, 3))

    def read(image_id):
        return rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)

    source = Source("folders", "/data/here", records, read, clinical=clinical)
    return ImageDataset(
        kind="folders", location="/data/here", image_size=size, classes=tuple(sorted(set(classes))), images=images,
        table=table, report=report or DataReport(), fingerprint="f" * 64, split_id="s" * 64, source=source,
    )  # fmt: skip


class Text(HTMLParser):
    """Words, tags, and what a reader who cannot see or a strict browser would miss."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.attributes, self._skipped = [], [], [], False
        self.feed(text)
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._skipped = tag == "style" or self._skipped
        self.words += [" "] * (tag in ("td", "th"))

    def handle_endtag(self, tag):
        self._skipped = False if tag == "style" else self._skipped

    def handle_data(self, data):
        if not self._skipped:
            self.words.append(data)


@pytest.fixture
def broken(tmp_path):
    """Two class folders with the faults of real data."""
    root = tmp_path / "lesions"
    for number in range(20):
        folder = root / ("naevus" if number % 2 else "melanoma")
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.png")
    (root / "naevus" / "empty.png").write_bytes(b"")
    (root / "naevus" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no")
    (root / "naevus" / "copy.png").write_bytes((root / "naevus" / "1.png").read_bytes())
    picture(99).convert("L").save(root / "melanoma" / "grey.png")
    return root


def test_the_answer_comes_first_and_every_fault_is_there(broken):
    read = Text(page(prepare(str(broken), 32, 0)))
    assert "21 of 24 photographs can be used. 3 are refused." in read.text
    assert read.text.index("can be used") < read.text.index("How it was read") < read.text.index("Classes and splits")
    for told in ("naevus/empty.png", "naevus/cut.jpg", "An exact copy of another image: 1", "Greyscale repeated"):
        assert told in read.text, told
    assert "no patient or lesion is named" in read.text
    assert "Skin type is not recorded: fairness over skin types cannot be examined." in read.text


def test_a_copy_has_its_picture_and_what_cannot_be_decoded_has_none(broken):
    read = Text(page(prepare(str(broken), 32, 0)))
    alts = [value for tag, name, value in read.attributes if (tag, name) == ("img", "alt")]
    assert any(alt.startswith("an exact copy") for alt in alts)
    assert not any("empty.png" in alt for alt in alts)


def test_the_same_data_gives_the_same_page(broken):
    assert page(prepare(str(broken), 32, 0)) == page(prepare(str(broken), 32, 0))


def test_nothing_is_fetched_and_nothing_runs(broken):
    read = Text(page(prepare(str(broken), 32, 0)))
    assert not {"script", "link", "iframe", "object"} & set(read.tags)
    sources = [value for _, name, value in read.attributes if name in ("src", "href")]
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in sources)
    assert all(any(n == "id" and v == value[1:] for _, n, v in read.attributes) for value in sources if value[0] == "#")
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))


ODD = ["<script>alert(1)</script>", "naevus \"a\" & 'b'", "شامة", "母斑"]


def test_names_are_shown_as_they_are_written():
    report = DataReport(
        choices=[("label", "<i>column</i>")],
        refused=[("<b>.jpg", "damaged <img src=x>"), ("cut.jpg", "no picture in \udcff.jpg")],
        warnings=["<u>look</u>"],
        near_duplicates=[("folder/0.jpg", "folder/1.jpg")],
    )
    clinical = pd.DataFrame({"site": ["<em>arm</em>"] * 40}, index=[f"folder/{n}.jpg" for n in range(40)])
    text = page(collection(40, ODD, clinical=clinical, report=report, groups=["<s>g"] * 40))
    read = Text(text)
    assert not {"script", "b", "u", "em", "s"} & set(read.tags)
    assert all(name in read.text for name in [*ODD, "<em>arm</em>", "<u>look</u>", "<b>.jpg", "<i>column</i>"])
    assert not any(value == "x" for _, name, value in read.attributes if name == "src")
    text.encode("utf-8")


def test_pairs_that_disagree_come_first():
    same, labels, names = (
        ("folder/0.jpg", "folder/2.jpg"),
        ("folder/0.jpg", "folder/1.jpg"),
        ("folder/2.jpg", "folder/4.jpg"),
    )
    dataset = collection(
        6, ["a", "b"], report=DataReport(near_duplicates=[same, names, labels]), groups=["p", "p", "p", "q", "r", "q"]
    )
    found = facts.pairs(dataset, facts.named_table(dataset))
    assert [pair.ids for pair in found] == [labels, names, same]
    told = "1 has different labels and 1 has different names for the patient or lesion: look at these"
    assert told in Text(page(dataset)).text


def test_a_group_of_several_classes_is_named():
    text = Text(page(collection(6, ["a", "b"], groups=["p", "p", "q", "r", "s", "t"]))).text
    assert "Groups with images of several classes: 1" in text
    assert "The collection names a patient or lesion for 100% of the images" in text


def test_what_is_known_is_counted_and_drawn():
    ids = [f"folder/{n}.jpg" for n in range(100)]
    clinical = pd.DataFrame(
        {
            "age": [float(n) if n % 2 else np.nan for n in range(100)],
            "sex": ["female"] * 70 + ["unknown"] * 30,
            "skin_type": [1 + n % 6 for n in range(100)],
            "name": [f"somebody {n}" for n in range(100)],
            "nothing": [""] * 100,
        },
        index=ids,
    )
    text = page(collection(100, ["a", "b"], clinical=clinical))
    read = Text(text)
    for told in (
        "Age: known for 50.0%",
        "Sex: known for 70.0%",
        "Skin type: known for 100%",
        "nothing: known for 0.0%",
    ):
        assert told in read.text, told
    assert "female 70 70.0%" in read.text
    assert "somebody 7" not in read.text  # a value of its own for every image is no distribution, and may be a name
    assert "Skin type is not recorded" not in read.text
    assert "Body site is not recorded" in read.text
    assert 'class="histogram"' in text


def test_sizes_of_the_originals_are_optional():
    dataset = collection(6, ["a", "b"])
    assert "most frequent" not in page(dataset)
    known = replace(dataset, sizes=np.array([[600, 450]] * 4 + [[800, 600], [0, 0]]))
    assert "600 x 450 4 80.0%" in Text(page(known)).text


@pytest.mark.parametrize(
    ("values", "names"),
    [([0, 85], "0"), ([5, 5], "5"), ([-3, 1e6], "-100000"), ([0.1, 0.2], "0.1"), ([1e-9, 2e-9], "1e-09")],
)
def test_bins_hold_every_value(values, names):
    counts, named = bins(np.array(values, dtype=float))
    assert sum(counts) == 2
    assert len(counts) == len(named) <= 22
    assert named[0] == names


def test_a_page_of_anything_stays_small():
    """100,000 images in 1,500 classes, 40,000 faults, 5,000 pairs, 60 columns: noise, which JPEG cannot compress."""
    ids = [f"folder/{n}.jpg" for n in range(100_000)]
    faults = [(f"other/{n}.jpg", f"reason of kind {chr(97 + n % 26)}{n % 7}: " + "x" * 300) for n in range(20_000)]
    pairs = list(zip(ids[:5000], ids[5000:10_000], strict=True))
    report = DataReport(refused=faults, flagged=list(zip(ids, ["odd"] * 20_000, strict=False)), near_duplicates=pairs)
    report.warnings = ["something"] * 1000
    clinical = pd.DataFrame({f"column {n}": np.arange(100_000) % (n + 2) for n in range(60)}, index=ids)
    dataset = collection(100_000, [f"class {n}" for n in range(1500)], clinical=clinical, report=report)
    start = time.perf_counter()
    text = page(dataset)
    assert len(text.encode()) < 3_000_000
    assert time.perf_counter() - start < 60


def test_a_pipe_that_the_listing_refused_is_not_opened():
    dataset = collection(6, ["a"], report=DataReport(refused=[("pipe.jpg", "no regular file")]))
    read = []
    source = replace(dataset.source, read=lambda image_id: read.append(image_id) or b"", refused=(("pipe.jpg", "x"),))
    page(replace(dataset, source=source))
    assert read
    assert "pipe.jpg" not in read


def test_an_unlabelled_collection_has_a_page(broken):
    text = Text(page(prepare(str(broken), 32, None, labelled=False))).text
    assert "No labels; no patient or lesion is named." in text
    assert "The split:" not in text


def test_without_a_source_the_training_images_are_shown():
    read = Text(page(replace(collection(6, ["a", "b"]), source=None)))
    assert read.tags.count("img") == 6
    assert "This page holds 6 small photographs" in read.text


def test_the_command_writes_it_whole(broken, tmp_path, capsys):
    target = tmp_path / "page.html"
    assert main(["data", "check", str(broken), "--image-size", "32", "--html", str(target)]) == 0
    assert f"page: {target}" in capsys.readouterr().out
    assert target.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_place_that_cannot_be_written_is_said_before_anything_is_decoded(broken, tmp_path, capsys, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr("derm_ml.data.dataset.prepare", opened)
    for place, why in [
        (tmp_path / "missing" / "page.html", "no such folder"),
        (tmp_path, "is no file"),
        (tmp_path / ("x" * 300), "cannot be written"),
        (broken / "naevus" / "1.png" / "page.html", "no such folder"),
    ]:
        assert main(["data", "check", str(broken), "--html", str(place)]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert said.count("\n") == 1


def test_a_full_disk_leaves_the_old_page(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("old")
    check_target(target)

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(html.Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        write_page("new", target)
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.data
def test_ham10000(ham10000):
    dataset = prepare(str(ham10000), 64, 0)
    start = time.perf_counter()
    text = page(dataset)
    took = time.perf_counter() - start
    read = Text(text)
    assert "10,013 of 10,015 photographs can be used. 2 are refused." in read.text
    assert "Age: known for 99.4%" in read.text
    assert len(text) < 1_500_000
    assert took < 10  # about 1 s on an idle machine
