"""What of a run goes into files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redoxscope.callbacks.oxidation import is_stack, read_stack

from .._cube import stack_cube
from ..results import StoredResults, list_results, plain, read_results

if TYPE_CHECKING:
    import xarray

__all__ = ["Content", "content_of", "distinct", "file_part"]


@dataclass(frozen=True)
class Content:
    """A run, as far as files are made of it.

    Attributes
    ----------
    uid, name : str
        And how its files' names begin.
    start, stop : dict
    run : BlueskyRun
    regions : tuple of str
        Of a stack; none where it is no stack.
    results : dict of tuple to xarray.Dataset
        By what was stored and part, all versions, the newest of each analysis last.
    """

    uid: str
    name: str
    start: Mapping[str, Any]
    stop: Mapping[str, Any]
    run: Any
    regions: tuple[str, ...]
    results: Mapping[tuple[StoredResults, str], xarray.Dataset]

    @cached_property
    def _cube(self) -> Callable[[str], xarray.Dataset]:
        # One at a time: all regions at once would take the memory of all.
        return lru_cache(maxsize=1)(partial(_cube_of, self.run))

    def cube(self, region: str) -> xarray.Dataset:
        """The stack of a region, read when it is asked for."""
        return self._cube(region)

    @property
    def newest(self) -> dict[tuple[str, str], xarray.Dataset]:
        """Newest results by analysis and part."""
        last = {one.analysis: one.version for one, _ in self.results}
        return {
            (one.analysis, part): found
            for (one, part), found in self.results.items()
            if one.version == last[one.analysis]
        }

    def write_json(self, path: Path) -> None:
        """Write what the newest results say of themselves, with start and stop document."""
        said: dict[str, Any] = {"start": self.start, "stop": self.stop, "results": {}}
        for (analysis, part), found in self.newest.items():
            said["results"].setdefault(analysis, {})[part] = found.attrs
        text = json.dumps(plain(said, "metadata"), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def content_of(run: Any) -> Content:
    """Read a run of the catalog."""
    start, stop = (plain(run.metadata.get(name) or {}, name) for name in ("start", "stop"))
    uid, number = str(start["uid"]), start.get("scan_id")
    regions = tuple(read_stack([("start", start)]).parts) if is_stack(start) else ()
    results = {
        (one, part): read_results(run, one.analysis, part=part or None, version=one.version)
        for one in list_results(run)
        for part in one.parts or ("",)
    }
    prefix = f"{number:05d}_" if isinstance(number, int) else ""
    return Content(uid, prefix + uid[:8], start, stop, run, regions, results)


def _cube_of(run: Any, region: str) -> xarray.Dataset:
    return stack_cube(run, region=region)


def distinct(names: Iterable[str], clean: Callable[[str], str]) -> dict[str, str]:
    """For each name what it is called elsewhere: no two the same, and none empty.

    Parameters
    ----------
    names : iterable of str
    clean : callable
        Takes away what is not allowed there.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        wanted = clean(name) or "_"
        called, n = wanted, 1
        while called.casefold() in {other.casefold() for other in found.values()}:
            n += 1
            called = f"{wanted}-{n}"
        found[name] = called
    return found


def file_part(text: str) -> str:
    """A name as a part of a file's: ``A, 300 degC`` becomes ``A_300_degC``."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_")
