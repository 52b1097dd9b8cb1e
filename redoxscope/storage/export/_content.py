"""What of a run goes into files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redoxscope.callbacks.oxidation import is_stack, read_stack

from .._cube import stack_cube
from ..results import StoredResults, list_results, plain, read_results

if TYPE_CHECKING:
    import xarray

__all__ = ["Content", "content_of", "file_part"]


@dataclass(frozen=True)
class Content:
    """A run, as far as files are made of it.

    Attributes
    ----------
    uid, name : str
        And how its files' names begin.
    start, stop : dict
    streams : dict of str to dict of str to numpy.ndarray
        Columns of its streams.
    cubes : dict of str to xarray.Dataset
        Of a stack, by region.
    results : dict of tuple to xarray.Dataset
        By what was stored and part, all versions, the newest of each analysis last.
    """

    uid: str
    name: str
    start: Mapping[str, Any]
    stop: Mapping[str, Any]
    run: Any
    cubes: Mapping[str, xarray.Dataset]
    results: Mapping[tuple[StoredResults, str], xarray.Dataset]

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
    cubes = {}
    if is_stack(start):
        # All regions at once would read the run only once, but take the memory of all.
        names = list(read_stack([("start", start)]).parts)
        cubes = {name: stack_cube(run, region=name) for name in names}
    results = {
        (one, part): read_results(run, one.analysis, part=part or None, version=one.version)
        for one in list_results(run)
        for part in one.parts or ("",)
    }
    prefix = f"{number:05d}_" if isinstance(number, int) else ""
    return Content(uid, prefix + uid[:8], start, stop, run, cubes, results)


def file_part(text: str) -> str:
    """A name as a part of a file's: ``A, 300 degC`` becomes ``A_300_degC``."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_")
