"""The same photograph twice: each picture one row of bytes, near copies found in an index and checked by geometry."""

from derm_ml.data.duplicates.descriptor import WHOLE, describe_picture
from derm_ml.data.duplicates.pairs import near_pairs, scored_pairs

__all__ = ["WHOLE", "describe_picture", "near_pairs", "scored_pairs"]
