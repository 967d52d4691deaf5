"""What is refused: the one exception, the bounds every picture is held to, and the boundary around the decoders."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import UnidentifiedImageError

MAX_PIXELS = 150_000_000  # below Pillow's own 179 million: the same bound for every format
MIN_SIDE = 16  # px


class RefusedImage(ValueError):
    """The image cannot be used; the message is the reason."""


def check_size(width: int, height: int) -> None:
    """Before any pixel is decoded: bounds what decoding can cost.

    Raises:
        RefusedImage: too many pixels, or too few.
    """
    if width * height > MAX_PIXELS:
        raise RefusedImage(f"decompression bomb: {width} x {height} pixels, more than {MAX_PIXELS:,}")
    if min(width, height) < MIN_SIDE:
        raise RefusedImage(f"too small: {width} x {height} px, less than {MIN_SIDE}")


@contextmanager
def decoders_errors_refuse(kind: str, n_bytes: int) -> Iterator[None]:
    """Whatever a decoder raises is the refusal of its file: decoders raise anything on bytes that they did not expect.

    Not only OSError: struct.error, TypeError, IndexError, zlib.error, MemoryError and RecursionError were all seen.
    What ends the program (KeyboardInterrupt, SystemExit) goes through.

    Args:
        kind: the format the file was taken for. n_bytes: its length; both are told.
    """
    try:
        yield
    except RefusedImage:
        raise
    except UnidentifiedImageError as error:
        raise RefusedImage(f"not a readable {kind} ({n_bytes:,} bytes): its header is damaged or cut") from error
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        lowered = told.lower()
        if isinstance(error, EOFError) or any(word in lowered for word in ("truncated", "end of file", "eof", "cut ")):
            what = "truncated"
        elif "bomb" in type(error).__name__.lower():
            raise RefusedImage(f"decompression bomb: {told}") from error
        else:
            what = "damaged"
        raise RefusedImage(f"{what} {kind} ({n_bytes:,} bytes): {told or type(error).__name__}") from error


class _Quiet:
    """How many threads decode at this moment: `warnings` has one list of filters for all of them.

    With a `catch_warnings` in each thread, one that ends gives the others their warnings back, or none ever again.
    """

    lock = threading.Lock()
    inside = 0
    caught: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Python warnings of the decoders are not shown: what they warn of is refused, mended or harmless."""
    with _Quiet.lock:
        if _Quiet.inside == 0:
            _Quiet.caught = warnings.catch_warnings()
            _Quiet.caught.__enter__()
            warnings.simplefilter("ignore")
        _Quiet.inside += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.inside -= 1
            if _Quiet.inside == 0 and _Quiet.caught is not None:
                _Quiet.caught.__exit__(None, None, None)
                _Quiet.caught = None
