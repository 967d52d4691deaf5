import io
import sys
import warnings

import numpy as np
import pytest
from file_makers import dicom, encoded, photograph, plain_tiff
from odd_files import CONTENTS
from PIL import Image

from derm_ml.data.decoding import RefusedImage, decode, decode_image, decode_mask, decode_whole
from derm_ml.data.decoding.brightness import to_8_bits
from derm_ml.data.decoding.photograph import not_a_photograph

SAME = [
    "plain.jpg png_inside.jpg progressive.jpg mpo.jpg tail.jpg plain.png colour16.png colour12_in_16.png",
    "colour8_in_16.png plain.tif lzw.tif jpeg_in.tif pages.tif colour16.tif colour8_in_16.tif frames.gif plain.bmp",
    "plain.webp frames.webp plain.jp2 codestream.j2k plain.avif plain.heic colour.dcm jpeg.dcm jpeg2000.dcm",
    "near_ls.dcm colour_ls.dcm colour_rle.dcm float_colour.tif float_colour_one.tif",
    "cut_in_second_frame.gif exif_text_for_number.jpg default_tables.jpg",
]
SAME_GREY = [
    "grey16.png float_one.tif float_255.tif int32.tif grey16.tif grey12_in_16.tif",
    "grey.dcm inverted.dcm twelve.dcm frames.dcm grey_ls.dcm twelve_ls.dcm grey_rle.dcm twelve_rle.dcm",
]


@pytest.mark.parametrize("name", " ".join(SAME).split())
def test_every_format_gives_the_same_picture(name: str) -> None:
    made = decode_whole(CONTENTS[name][0](), 96).astype(int)
    assert made.shape == (48, 64, 3)
    assert np.abs(made - photograph()).mean() < 8  # colour noise, which compression loses


@pytest.mark.parametrize("name", " ".join(SAME_GREY).split())
def test_every_depth_keeps_its_brightness(name: str) -> None:
    made = decode_whole(CONTENTS[name][0](), 96).astype(int)
    assert np.abs(made - photograph()[..., :1]).max() <= 1


def test_a_dark_picture_stays_dark_and_the_file_s_word_on_white_counts() -> None:
    dark = np.full((48, 64), 6000, np.uint16)  # 9 % of 65,535
    assert decode_whole(encoded("PNG", dark), 96).max() == 23
    stated = plain_tiff(np.full((48, 64), 800, np.uint16), _281=[1023])
    assert decode_whole(stated, 96).max() == round(800 / 1023 * 255)
    assert to_8_bits(np.array([[0.0, 1.04]]))[0].tolist() == [[0, 255]]
    with pytest.raises(RefusedImage, match="below 0"):
        to_8_bits(np.linspace(-1, 1, 100).reshape(10, 10))
    with pytest.raises(RefusedImage, match="white is unknown"):
        to_8_bits(np.full((4, 4), 1e12))


def test_a_window_and_a_palette_of_a_dicom_are_applied() -> None:
    grey = photograph()[..., 0].astype(np.int16) - 100
    shown = decode_whole(dicom(grey, bits=16, WindowCenter=28, WindowWidth=256), 96)
    assert np.abs(shown[..., 0].astype(int) - photograph()[..., 0]).max() <= 1
    ramp = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    tables = {f"{each}PaletteColorLookupTableData": ramp for each in ("Red", "Green", "Blue")}
    tables |= {f"{each}PaletteColorLookupTableDescriptor": [256, 0, 16] for each in ("Red", "Green", "Blue")}
    shown = decode_whole(dicom(photograph()[..., 0], "PALETTE COLOR", **tables), 96)
    assert np.abs(shown[..., 1].astype(int) - photograph()[..., 0]).max() <= 1


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_the_table_of_a_dicom_is_what_its_grey_is_looked_at_by(photometric: str) -> None:
    """Twelve bits by a table of 300 entries from 100 on, before a window that is there as well."""
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor, table.LUTData = [300, 100, 12], np.linspace(0, 4095, 300).astype("<u2").tobytes()
    stored = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    window = {"WindowCenter": 10, "WindowWidth": 5}
    shown = decode_whole(dicom(stored, photometric, 12, VOILUTSequence=[table], **window), 96)[..., 0].astype(int)
    wanted = (stored.clip(100, 399) - 100.0) / 299 * 255
    assert np.abs(shown - (wanted if photometric == "MONOCHROME2" else 255 - wanted)).max() <= 1
    # A modality's table comes before: here it turns everything to its middle.
    middle = Dataset()
    middle.LUTDescriptor, middle.LUTData, middle.ModalityLUTType = [2, 0, 16], b"\xfa\0" * 2, "US"
    both = dicom(stored, photometric, 12, VOILUTSequence=[table], ModalityLUTSequence=[middle])
    assert np.abs(decode_whole(both, 96) - (128 if photometric == "MONOCHROME2" else 127)).max() <= 1


@pytest.mark.parametrize(("name", "module"), [("plain.heic", "pillow_heif"), ("colour.dcm", "pydicom")])
def test_without_the_extra_the_file_is_refused_with_the_line_that_names_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = CONTENTS[name][0]()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RefusedImage, match=r"pip install 'derm-ml\[formats\]'$"):
        decode(content, 32)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eps.jpg", "PostScript"),
        ("pdf.jpg", "PDF"),
        ("html.jpg", "HTML"),
        ("zip.jpg", "ZIP"),
        ("._mac.jpg", "macOS"),
        ("Thumbs.db", "Thumbs.db"),
        ("lfs.jpg", "git lfs pull"),
        ("half.jpg", r"truncated JPEG \([0-9,]+ bytes\)"),
        ("cut.jp2", "JPEG2000"),
        ("bomb.bmp", "decompression bomb.*pixels"),
        ("frame_bomb.dcm", "60000 x 60000"),
        ("bomb_ls.dcm", "64 x 48 px, but its frame has 60000 x 60000"),
        ("lossless.dcm", "pip install python-gdcm"),
        ("no_pixels.dcm", "without a picture"),
        ("empty.jpg", "empty file"),
        ("zeros.jpg", "zero bytes"),
    ],
)
def test_a_refusal_says_what_the_file_is(name: str, said: str) -> None:
    with pytest.raises(RefusedImage, match=said):
        decode(CONTENTS[name][0](), 32)


def test_a_decoder_s_own_errors_are_refusals_and_an_interrupt_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded("PNG")
    for error in (MemoryError(), RecursionError("deep"), KeyError("k"), AssertionError(), OverflowError("int")):

        def load(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
        with pytest.raises(RefusedImage, match=r"damaged PNG \([0-9,]+ bytes\): ."):
            decode(content, 32)

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode(content, 32)


def test_metadata_that_raises_does_not_cost_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(self: object) -> None:
        raise AttributeError("no such block")

    monkeypatch.setattr("PIL.Image.Image.getexif", raising)
    decoded = decode_image(encoded("BMP"), (32,))
    assert decoded.mends == ("EXIF that cannot be read ignored",)


@pytest.mark.parametrize("turn", range(1, 9))
def test_each_exif_orientation_is_turned_upright(turn: int) -> None:
    from PIL import ImageOps

    image = Image.fromarray(photograph())
    exif = Image.Exif()
    exif[0x0112] = turn
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    decoded = decode_image(buffer.getvalue(), (32,))
    upright = ImageOps.exif_transpose(Image.open(buffer))
    assert upright is not None
    assert decoded.size == upright.size
    assert np.array_equal(decoded.whole, np.asarray(upright.convert("RGB")))


def test_one_decoding_gives_what_each_size_alone_gives() -> None:
    content = encoded("JPEG", photograph(900, 700))
    both = decode_image(content, (32, 64, 224))
    for square, size in zip(both.squares, (32, 64, 224), strict=True):
        assert np.array_equal(square, decode(content, size)[0])
    assert np.array_equal(both.whole, decode_image(content, ()).whole)
    assert both.whole.shape == (175, 225, 3)
    assert both.size == (900, 700)
    assert both.verdict is None
    drawn = decode_image(photograph(300, 200), (64,))
    assert drawn.size == (300, 200)


def test_masks_are_read_by_the_same_boundary() -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:30] = 255
    for values in (mask, mask // 255):
        read = decode_mask(encoded("PNG", values))
        assert read is not None
        assert np.array_equal(read, mask > 0)
    assert decode_mask(b"%!PS\n") is None


NO_PHOTOGRAPHS = {
    "strip": (photograph(96, 16), (960, 160), "refuse"),
    "flat": (np.full((72, 96, 3), 180, np.uint8), (960, 720), "refuse"),
    "nearly empty": (np.pad(photograph(24, 18), ((30, 30), (40, 40), (0, 0)), constant_values=255), (960, 720), "flag"),
    "page": (np.pad(photograph(60, 45), ((20, 20), (30, 30), (0, 0)), constant_values=255), (960, 720), "flag"),
    "mask": (
        np.kron(np.eye(8, dtype=np.uint8), np.full((9, 9), 255, np.uint8))[..., None].repeat(3, 2),
        (72, 72),
        "flag",
    ),
    "gradient": (np.linspace(60, 120, 96, dtype=np.uint8)[None, :, None].repeat(72, 0).repeat(3, 2), (96, 72), "flag"),
    "noise": (np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8), (960, 720), "flag"),
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("name", ["flat", "nearly empty", "page", "mask", "gradient", "noise"])
def test_a_file_of_any_size_that_is_no_photograph_is_named(name: str, kind: str) -> None:
    pixels = NO_PHOTOGRAPHS[name][0]
    large = np.random.default_rng(0).integers(0, 256, (450, 600, 3), np.uint8) if name == "noise" else None
    for times in (1, 4):
        drawn = np.kron(pixels, np.ones((times, times, 1), np.uint8)) if large is None else large
        found = decode_image(encoded(kind, drawn), (64,)).verdict
        assert found is not None
        assert name in found[1]


def test_what_green_alone_clears_no_rule_is_against(monkeypatch: pytest.MonkeyPatch) -> None:
    from derm_ml.data.decoding import photograph as rules

    draw = np.random.default_rng(1)
    cleared = 0
    for _ in range(60):  # between a photograph, one colour, four colours and black and white
        mixed = photograph(96, 72).astype(float) * draw.uniform(0, 1) + draw.integers(0, 120)
        where = np.arange(72 * 96).reshape(72, 96) < draw.uniform(0, 72 * 96)
        mixed[where] = draw.integers(0, 256, (4, 3))[draw.integers(0, 4, where.sum())]
        pixels = mixed.clip(0, 255).astype(np.uint8)
        if rules._clear(pixels[:: 96 // 24, :, 1]):
            cleared += 1
            monkeypatch.setattr(rules, "_clear", lambda green: False)
            assert not_a_photograph(pixels, (960, 720)) is None
            monkeypatch.undo()
    assert 5 < cleared < 55


@pytest.mark.parametrize("name", NO_PHOTOGRAPHS)
def test_what_is_no_photograph_is_named(name: str) -> None:
    pixels, size, expected = NO_PHOTOGRAPHS[name]
    found = not_a_photograph(pixels, size)
    assert found is not None
    assert found[0] == expected
    assert name in found[1]


def test_a_photograph_and_a_black_field_of_view_are_not() -> None:
    assert not_a_photograph(photograph(96, 72), (960, 720)) is None
    y, x = np.mgrid[:72, :96]
    seen = (x - 48) ** 2 + (y - 36) ** 2 < 30**2
    assert not_a_photograph(photograph(96, 72) * seen[..., None].astype(np.uint8), (960, 720)) is None


@pytest.mark.data
@pytest.mark.parametrize("palette", ["its own", "the web's"])
def test_a_photograph_of_few_dithered_colours_is_no_drawing(palette: str, ham10000) -> None:
    for file in sorted(ham10000.glob("HAM10000_images_part_*/*.jpg"))[::2500]:
        for size in ((600, 450), (300, 225)):
            image = Image.open(file).resize(size)
            few = image.quantize() if palette == "its own" else image.convert("P", palette=Image.Palette.WEB)
            buffer = io.BytesIO()
            few.save(buffer, "GIF")
            assert decode_image(buffer.getvalue(), (64,)).verdict is None, (file.name, size)


@pytest.mark.data
@pytest.mark.slow
def test_at_most_one_in_a_thousand_photographs_of_ham10000_is_called_none(ham10000) -> None:
    files = sorted(ham10000.glob("HAM10000_images_part_*/*.jpg"))
    verdicts = [decode_image(path.read_bytes(), ()).verdict for path in files]
    assert len(files) == 10_015
    assert sum(each is not None for each in verdicts) <= 10


def test_threads_that_decode_leave_the_warnings_as_they_were() -> None:
    from concurrent.futures import ThreadPoolExecutor

    before = list(warnings.filters)
    names = ["plain.jpg", "exif_noise.jpg", "exif_cut.jpg", "pages.tif"] * 50
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda name: decode(CONTENTS[name][0](), 32)[1], names))
    assert len(made) == 200
    assert list(warnings.filters) == before
