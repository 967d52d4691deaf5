"""Bytes flipped, cut out and spliced in valid files of each format: a picture or its refusal, whatever comes."""

from functools import cache

import numpy as np
import pytest
from file_makers import encoded, exif, with_exif
from fuzzing import tried
from hypothesis import given
from hypothesis import strategies as st
from odd_files import CONTENTS

from derm_ml.data.decoding import RefusedImage, decode_image

SEEDS = [
    "plain.jpg progressive.jpg turned.jpg mpo.jpg plain.png palette_clear.png colour12_in_16.png lzw.tif pages.tif",
    "float_one.tif frames.gif plain.bmp frames.webp plain.jp2 plain.avif plain.heic grey.dcm jpeg.dcm jpeg2000.dcm",
    "colour_ls.dcm colour_rle.dcm float_colour.tif",
]
NAMES = " ".join(SEEDS).split()


@cache
def whole(name: str) -> bytes:
    """One file of a kind: made anew, a DICOM file would have other numbers, of other lengths."""
    return CONTENTS[name][0]()


def damaged(content: bytes, draw: st.DataObject) -> bytes:
    made = bytearray(content)
    # Headers are short and hold what decoders trip over: half of the damage goes there.
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, max(0, len(made) - 1)) | st.integers(0, min(400, max(0, len(made) - 1))))
        kind = draw.draw(st.sampled_from(["byte", "cut", "drop", "twice", "word"]))
        length = draw.draw(st.integers(1, 64))
        if kind == "byte":
            made[at : at + 1] = bytes([draw.draw(st.integers(0, 255))])
        elif kind == "word":
            made[at : at + 4] = draw.draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\x01"]))
        elif kind == "cut":
            del made[max(at, 1) :]
        elif kind == "drop":
            del made[at : at + length]
        else:
            made[at:at] = made[at : at + length]
    return bytes(made)


def check(content: bytes) -> None:
    try:
        decoded = decode_image(content, (32,))
    except RefusedImage as refusal:
        said = str(refusal).splitlines()
        assert len(said) == 1, said
    else:
        assert decoded.squares[0].shape == (32, 32, 3)
        assert decoded.squares[0].dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
@tried(25)
@given(data=st.data())
def test_damaged_files_are_pictures_or_refusals(name: str, data: st.DataObject) -> None:
    check(damaged(whole(name), data))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@tried(300)
@given(data=st.data())
def test_many_damaged_files_are_pictures_or_refusals(name: str, data: st.DataObject) -> None:
    check(damaged(whole(name), data))


ENTRY = st.tuples(
    st.sampled_from([0x0112, 0x011A, 0x011B, 0x0128, 0x8769, 0x8825, 0xA005, 0x927C, 0x013B]),
    st.integers(0, 14),
    st.sampled_from([0, 1, 2, 4, 100, 2**31, 2**32 - 1]),
    st.binary(min_size=4, max_size=4),
)


@tried(100)
@given(entries=st.lists(ENTRY, max_size=6), following=st.sampled_from([0, 8, 2**31]), tail=st.binary(max_size=64))
def test_no_exif_block_costs_the_picture(entries: list, following: int, tail: bytes) -> None:
    decoded = decode_image(with_exif(exif(*entries, following=following) + tail), (32,))
    plain = decode_image(encoded("JPEG"), (32,))
    assert sorted(decoded.size) == sorted(plain.size)
