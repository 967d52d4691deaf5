import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from odd_files import CONTENTS, PLACES, plant

from derm_ml.data.decoding import RefusedImage, decode_image
from derm_ml.data.files import UnreadableFile, read_regular

KINDS = CONTENTS | PLACES


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    plant(folder)
    return folder


@pytest.mark.parametrize("name", KINDS, ids=[ascii(name)[:40] for name in KINDS])
def test_each_odd_file_gives_a_picture_or_its_refusal(name: str, planted: Path, capfd: pytest.CaptureFixture) -> None:
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            decoded = decode_image(read_regular(planted / name), (32,))
        except (RefusedImage, UnreadableFile) as refusal:
            outcome, said = "refused", str(refusal)
        else:
            outcome, said = ("mended" if decoded.mends else "ok"), "; ".join(decoded.mends)
            assert decoded.squares[0].shape == (32, 32, 3)
            assert decoded.squares[0].dtype == np.uint8
    assert time.monotonic() - start < 20
    assert outcome == KINDS[name][1], said
    assert "\n" not in said
    assert not warned
    assert capfd.readouterr() == ("", "")


def test_there_are_enough_kinds_and_their_folder_lists_them_all(planted: Path) -> None:
    assert len(KINDS) >= 60
    assert set(KINDS) <= {each.name for each in planted.iterdir()}
