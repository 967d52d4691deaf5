"""Groups joined where pictures are pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd


def join_groups(groups: pd.Series, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Group codes, int64 [n]: rows of one group, and rows of a pair, share a code. An empty group is a row's own."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    own = np.array([f"row {i}" if not name else f"group {name}" for i, name in enumerate(groups)])
    codes = pd.factorize(own)[0]
    left = codes[[i for i, _ in pairs]] if pairs else np.empty(0, dtype=np.int64)
    right = codes[[j for _, j in pairs]] if pairs else np.empty(0, dtype=np.int64)
    size = int(codes.max()) + 1
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][codes], dtype=np.int64)
