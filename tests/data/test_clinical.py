"""Clinical factors: shapes whose answer is known, the sources that know more, and real masks."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr

from derm_ml.data.clinical import FROM_MASKS, clinical_factors, colour_count, mask_factors
from derm_ml.data.collections.masks import mask_reader
from derm_ml.data.dataset import prepare
from derm_ml.data.sources import open_source
from derm_ml.data.synthetic import _outline, lesion_factors
from derm_ml.seeding import numpy_generator

Y, X = np.mgrid[0:160, 0:200]
ANGLE, RADIUS = np.arctan2(Y - 80, X - 100), np.hypot(Y - 80, X - 100)
CIRCLE = RADIUS < 50
ELLIPSE = ((X - 100) * 0.8 + (Y - 80) * 0.6) ** 2 / 60**2 + ((X - 100) * -0.6 + (Y - 80) * 0.8) ** 2 / 30**2 < 1
STAR = 45 * (1 + 0.35 * np.cos(9 * ANGLE)) > RADIUS
DROP = 40 * (1 + 0.5 * np.cos(ANGLE) + 0.3 * np.sin(2 * ANGLE)) > RADIUS


def test_area_is_the_share_of_the_frame():
    assert mask_factors(CIRCLE)["area"] == pytest.approx(np.pi * 50**2 / (160 * 200), rel=0.01)


def test_what_is_symmetric_has_no_asymmetry_however_it_is_turned():
    for mask in (CIRCLE, ELLIPSE):
        assert mask_factors(mask)["asymmetry"] < 0.06
    assert mask_factors(DROP)["asymmetry"] > 0.15


def test_half_a_disc_against_the_integral():
    """Symmetric about one axis; the other mirror image shares 2 s - 1 of each chord s = sqrt(1 - y^2) beyond 1/2."""
    y = np.linspace(-1, 1, 200001)
    s = np.sqrt(1 - y**2)
    overlap = np.clip(2 * s - 1, 0, None).sum() / np.where(s > 0.5, 1, 2 * s).sum()
    for turn in (0.0, 0.7, 2.5):
        half = (RADIUS < 60) & ((X - 100) * np.cos(turn) + (Y - 80) * np.sin(turn) > 0)
        assert mask_factors(half)["asymmetry"] == pytest.approx(0.5 * (1 - overlap), abs=0.04)


def test_factors_of_drawn_lesions_follow_those_they_were_drawn_from():
    axis = (np.arange(160) + 0.5) / 160 - 0.5
    v, u = np.meshgrid(axis, axis, indexing="ij")
    true, measured = [], []
    for lesion in range(150):
        factors, _ = lesion_factors(lesion, 0)
        mask = _outline(u, v, factors, numpy_generator(0, "shape", lesion)) > 0.5
        true.append((factors.area, factors.asymmetry, factors.border))
        found = mask_factors(mask)
        measured.append([found[name] for name in ("area", "asymmetry", "border")])
    rho = [spearmanr(a, b) for a, b in zip(np.transpose(true), np.transpose(measured), strict=True)]
    assert rho[0].statistic > 0.95
    assert min(each.statistic for each in rho[1:]) > 0.3
    assert max(each.pvalue for each in rho) < 1e-3


def test_a_ragged_border_is_told_from_a_smooth_one():
    circle, ellipse, star = (mask_factors(mask)["border"] for mask in (CIRCLE, ELLIPSE, STAR))
    assert circle < 0.05
    assert circle < ellipse < star
    assert star > 0.4


def test_colours_are_counted_where_they_cover_enough():
    image = np.zeros((160, 200, 3), np.uint8)
    image[:] = (100, 62, 42)
    assert colour_count(CIRCLE, image) == 1
    image[:, :95] = (195, 75, 80)
    assert colour_count(CIRCLE, image) == 2
    image[79:81, 99:101] = (35, 28, 28)  # four pixels
    assert mask_factors(CIRCLE, image)["colours"] == 2


def test_an_empty_mask_has_no_factors():
    assert all(np.isnan(value) for value in mask_factors(np.zeros((20, 20), bool)).values())
    assert np.isnan(mask_factors(CIRCLE)["colours"])


def test_masks_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        mask_factors(CIRCLE, np.zeros((40, 40, 3), np.uint8))


def test_mask_files_of_0_and_1_are_read_as_those_of_0_and_255(tmp_path):
    for name, high in (("one", 1), ("full", 255)):
        Image.fromarray(CIRCLE.astype(np.uint8) * high).save(tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    read = mask_reader({name: tmp_path / f"{name}.png" for name in ("one", "full", "bad")})
    assert read is not None
    for name in ("one", "full"):
        assert (read(name) == CIRCLE).all()
    assert read("bad") is read("unknown") is None


def test_the_synthetic_lesions_bring_their_factors():
    dataset = prepare("synthetic:n=60,size=40,seed=3", 32, 0)
    rows = dataset.rows("val")
    table = clinical_factors(dataset, rows)
    assert list(table.columns) == ["area", "asymmetry", "border", "colours", "texture", "hair", "vascular"]
    assert len(table) == len(rows)
    assert table["area"].between(0.05, 0.45).all()


def test_a_csv_may_name_age_sex_site_and_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (160, 200, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        Image.fromarray(CIRCLE.astype(np.uint8) * 255).resize((400, 320)).save(tmp_path / f"m{number}.png")
        mask = f"m{number}.png" if number % 2 else ""
        if number == 7:  # the photograph was turned since its mask was drawn
            Image.fromarray(CIRCLE.T.astype(np.uint8) * 255).save(tmp_path / mask)
        rows.append(
            (f"{number}.png", "ab"[number % 2], str(30 + number) if number else "n/a", "Female", "unknown", mask)
        )
    pd.DataFrame(rows, columns=["path", "label", "age", "sex", "site", "mask"]).to_csv(tmp_path / "d.csv", index=False)
    dataset = prepare(str(tmp_path), 32, 0)
    table = clinical_factors(dataset, np.arange(12)).set_index(dataset.table["image_id"])
    assert np.isnan(table.loc["0.png", "age"])
    assert table.loc["5.png", "age"] == 35
    assert set(table["sex"]) == {"female"}
    assert set(table["site"]) == {""}
    assert np.isnan(table.loc["4.png", "area"])
    assert table.loc["5.png", "area"] == pytest.approx(0.245, abs=0.01)
    assert np.isnan(table.loc["7.png", "area"])


def test_a_folder_a_class_knows_nothing_more(tmp_path):
    for number in range(6):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(
            folder / f"{number}.png"
        )
    source = open_source(str(tmp_path))
    assert (source.clinical, source.mask) == (None, None)
    assert clinical_factors(prepare(str(tmp_path), 32, 0), np.arange(6)).columns.empty


@pytest.mark.data
def test_ham10000_has_masks_ages_and_sites(ham10000):
    dataset = prepare(str(ham10000), 64, 0)
    table = clinical_factors(dataset, np.arange(0, 10000, 200))
    assert {*FROM_MASKS, "age", "sex", "site"} == set(table.columns)
    assert table[list(FROM_MASKS)].notna().all().all()
    assert table["age"].between(0, 100).mean() > 0.9
    assert table["colours"].between(1, 6).all()
    assert 0.02 < table["asymmetry"].median() < 0.4
