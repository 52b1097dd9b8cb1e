"""What analyses found, kept in the catalog beside the run it was found in."""

from __future__ import annotations

from ._agglomerates import agglomerates
from ._datasets import plain
from ._derive import derive
from ._keep import keep_results
from ._profiles import profiles
from ._read import StoredResults, list_results, read_results
from ._store import SPEC, store_results

__all__ = [
    "SPEC",
    "StoredResults",
    "agglomerates",
    "derive",
    "keep_results",
    "list_results",
    "plain",
    "profiles",
    "read_results",
    "store_results",
]
