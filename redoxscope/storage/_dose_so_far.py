"""What a sample has had so far, from all its runs in a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxscope.analysis.dose import Exposed, Ledger
from redoxscope.callbacks import dose_of_run
from redoxscope.inputs import as_name, unless_unmeasured
from redoxscope.scan import Region, as_region

from ._find import find

__all__ = ["dose_so_far"]


def _rows_alone(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same, holding one number for each row: a line leaves the same in all its pixels."""
    same: NDArray[np.float64] = np.broadcast_to(image[:, :1].copy(), image.shape)
    return same


@unless_unmeasured()
def dose_so_far(
    catalog: Any, sample: str, regions: Iterable[Region | Mapping[str, Any]] | None = None
) -> Ledger:
    """Photons and dose that places of a sample have had, over all runs on it.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
    sample : str
        As in the start documents: ``"electrode 7"``.
    regions : iterable of Region or mapping, optional
        What of it; by default all that was measured.

    Returns
    -------
    Ledger
        ``gray`` and ``photons`` of the place that has most; ``map()`` place by place; ``unknown``
        runs whose dose is not known. ``energy_stack(…, dose_limit={"limit": 5e7, "before":
        dose_so_far(cat, "electrode 7", regions)})`` goes on with it, and is refused where there
        are such runs.

    Raises
    ------
    ValueError
        A region that makes no sense, or a sample that is no name.
    """
    name = as_name("sample", sample, "electrode 7")
    wanted = None if regions is None else [as_region(one, "regions") for one in regions]
    entries, unknown = [], []
    seen: set[str] = set()
    for found in (find(catalog, sample=name), find(catalog, **{"sample.name": name})):
        for _, run in found.items():
            start = run.metadata["start"]
            uid = str(start["uid"])
            if uid in seen:
                continue
            seen.add(uid)
            try:
                left = dose_of_run(run)
            except ValueError as exc:
                unknown.append(str(exc))
                continue
            for one in left.values():
                photons, gray = _rows_alone(one.photons), _rows_alone(one.gray)
                when, place = float(start["time"]), (one.region, one.x, one.y)
                entries.append(Exposed(uid, when, *place, photons, gray, one.pixel))
    entries.sort(key=lambda entry: entry.time)
    ledger = Ledger(tuple(entries), tuple(unknown))
    return ledger if wanted is None else ledger.within(one.edges for one in wanted)
