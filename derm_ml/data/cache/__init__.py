"""Images decoded once: a memory-mapped uint8 cache keyed by content and size, shared by runs, processes and users."""

from derm_ml.data.cache.kept import Cache
from derm_ml.data.cache.opening import open_cache
from derm_ml.data.cache.place import cache_root

__all__ = ["Cache", "cache_root", "open_cache"]
