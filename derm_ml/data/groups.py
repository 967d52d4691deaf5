"""Groups: which images show one patient, lesion or picture, and must therefore share a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from derm_ml.errors import give


def join_groups(groups: pd.Series, pairs: Sequence[tuple[int, int]] | np.ndarray) -> np.ndarray:
    """Group codes, int64 [n]: rows of one group, and rows of a pair, share a code. An empty group is a row's own.

    Args:
        groups: names, [n]. pairs: row numbers, [m, 2].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, names = pd.factorize(groups)
    codes = codes.astype(np.int64)
    alone = np.flatnonzero(groups.to_numpy() == "")
    codes[alone] = len(names) + np.arange(len(alone))
    ends = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    left, right = codes[ends[:, 0]], codes[ends[:, 1]]
    size = len(names) + len(alone)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][codes], dtype=np.int64)


ALONE = 0.95  # of the images that have a group: with so many alone in theirs it groups next to nothing
HALF = 0.5  # of all images: a group of more is hardly one patient or lesion
FEW = 20  # images, below which neither says anything


def doubts(given: pd.Series, joined: np.ndarray) -> list[str]:
    """Sentences about groups that hardly can be what they say.

    Args:
        given: the group names as read, "" for none. joined: the final group codes of the images that are kept.
    """
    told = []
    named = given[given != ""]
    sizes = named.value_counts()
    if len(named) >= FEW and (sizes == 1).sum() >= ALONE * len(named):
        told.append(
            f"the groups join next to nothing: {int((sizes == 1).sum()):,} of the {len(named):,} images with one are "
            "alone in theirs: where several images show one patient or lesion, name another column with "
            + give("group=COLUMN")
        )
    largest = int(np.bincount(joined).max(initial=0))
    if len(joined) >= FEW and largest > HALF * len(joined):
        named_so = int(sizes.iloc[0]) if len(sizes) else 0
        why = f"the group {sizes.index[0]!r} has {named_so:,}" if named_so > HALF * len(given) else "by images alike"
        told.append(
            f"one group holds {largest:,} of {len(joined):,} images ({why}), and they all share a split: "
            "name another column, or none, with " + give("group=COLUMN", "group=none")
        )
    return told
