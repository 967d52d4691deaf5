"""One image from bytes to RGB, checked: what cannot be trusted is refused, what can be mended is, by a stated rule."""

from derm_ml.data.decoding.refusal import RefusedImage
from derm_ml.data.decoding.squares import Decoded, decode, decode_image, decode_mask, decode_whole

__all__ = ["Decoded", "RefusedImage", "decode", "decode_image", "decode_mask", "decode_whole"]
