"""Dose as an analysis."""

from __future__ import annotations

from collections.abc import Iterator

from .._analysis import Analysis
from .._results import Result
from ._draw import draw_dose
from ._reader import DoseReader, is_exposed
from ._snapshot import DoseSnapshot

__all__ = ["ANALYSIS"]


def _results(snapshot: DoseSnapshot) -> Iterator[Result]:
    attrs = {
        "title": snapshot.title, "region": snapshot.region, "before_gy": snapshot.before,
        "limit_gy": snapshot.limit, "most_gy": snapshot.most,
    }  # fmt: skip
    for name, unit in (("photons", ""), ("gray", "Gy")):
        yield Result(
            "dose", name, getattr(snapshot, name), ("y", "x"), snapshot.part,
            {"y": snapshot.y, "x": snapshot.x}, {"y": "µm", "x": "µm"}, unit, attrs=attrs,
        )  # fmt: skip


ANALYSIS = Analysis(
    name="dose",
    title="dose",
    accepts=is_exposed,
    reader=DoseReader,
    snapshot=DoseSnapshot,
    draw=draw_dose,
    size=(6.0, 5.5),
    thin=DoseSnapshot.thinned,
    results=_results,
    period=0.5,
    rest=2.0,
    aside=True,
)
