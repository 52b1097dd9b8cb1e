"""The oxidation map as an analysis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._analysis import Analysis
from .._documents import Doc
from .._doubt import Doubt
from ._draw import draw_oxidation
from ._options import MapOptions
from ._reader import StackReader, is_stack
from ._resumed import reader_for
from ._snapshot import OxidationSnapshot
from ._stored import results_of

__all__ = ["ANALYSIS"]


def _reader(start: Doc, options: Any) -> StackReader | None:
    made = reader_for(start, options)
    return made if made.parts else None  # images of the empty beam, of the dark: nothing to map


def _doubts(snapshot: OxidationSnapshot) -> Iterable[Doubt]:
    # That there are no references is told when the run begins.
    return (doubt for doubt in snapshot.doubts if doubt.kind != "references")


ANALYSIS = Analysis(
    name="oxidation_map",
    title="oxidation map",
    accepts=is_stack,
    reader=_reader,
    snapshot=OxidationSnapshot,
    draw=draw_oxidation,
    size=(11.0, 7.6),
    thin=OxidationSnapshot.thinned,
    options=MapOptions,
    doubts=_doubts,
    results=results_of,
)
