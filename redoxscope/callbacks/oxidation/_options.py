"""What a user chooses for a map, and the reference spectra that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ...analysis.oxidation import I0Spectrum
from ...data import EDGES, References, UndeterminedError, get_edge, load_references
from ...inputs import as_number
from .._documents import Doc
from ._layout import Layout

__all__ = ["MapOptions", "assumed_edge", "references_for"]

I0_NAMES = ("auto", "images", "blank", "monitor")
DRIFT = ("correct", "measure", "ignore")
Masks = ArrayLike | Mapping[str, ArrayLike]


@dataclass(frozen=True)
class MapOptions:
    """Choices a user makes for a map; see `OxidationMap`."""

    references: References | None = None
    edge: str | None = None
    i0: Literal["auto", "images", "blank", "monitor"] | I0Spectrum = "auto"
    min_thickness: float | None = None
    max_od: float | None = None
    blank: Masks | None = None
    area: Masks | None = None
    counts_per_unit: float | None = None
    dead_time: float | None = None
    drift: Literal["correct", "measure", "ignore"] = "correct"
    earlier: Callable[[str], Iterable[tuple[str, Doc]]] | None = field(default=None, compare=False)
    """Documents of a run that has ended, by its uid: a run that continues it is shown with it."""

    def __post_init__(self) -> None:
        if self.references is not None and not isinstance(self.references, References):
            raise ValueError(
                f"references = {self.references!r:.80} must be References: see load_references, "
                "references_from_csv"
            )
        if self.edge is not None:
            object.__setattr__(self, "edge", get_edge(self.edge).name)
        if self.min_thickness is not None:
            least = as_number("min_thickness", self.min_thickness, at_least=0)
            object.__setattr__(self, "min_thickness", least)
        if self.max_od is not None:
            object.__setattr__(self, "max_od", as_number("max_od", self.max_od, above=0))
        if isinstance(self.i0, str) and self.i0 not in I0_NAMES:
            raise ValueError(
                f"i0 is {self.i0!r}, but must be 'auto', 'images', 'blank', 'monitor', a spectrum "
                "(energies, counts[, sigma]) or a run"
            )
        if self.drift not in DRIFT:
            raise ValueError(f"drift is {self.drift!r}, but must be one of {', '.join(DRIFT)}")
        if self.counts_per_unit is not None:
            value = as_number("counts_per_unit", self.counts_per_unit, above=0)
            object.__setattr__(self, "counts_per_unit", value)
        if self.dead_time is not None:
            value = as_number("dead_time", self.dead_time, "s", at_least=0)
            object.__setattr__(self, "dead_time", value)

    def mask(self, what: Literal["blank", "area"], name: str, maps: Collection[str]) -> Any:
        """The mask for one of a run's maps, None where none is given.

        Raises
        ------
        ValueError
            It does not say for which of several, or names one that is not there.
        """
        given = getattr(self, what)
        listed = ", ".join(map(repr, maps))
        if isinstance(given, Mapping):
            for key in given:
                if key not in maps:
                    raise ValueError(f"{what} is given for {key!r}; the run has maps of {listed}")
            return given.get(name)
        if given is not None and len(maps) > 1:
            raise ValueError(
                f"{what} is one mask, but the run has maps of {listed}: give "
                f"{what}={{{name!r}: mask}}"
            )
        return given


def references_for(
    start: Doc, energies: Any, options: MapOptions, layout: Layout
) -> References | None:
    """References for a run: the user's, those it carries, those of its edge; None if none.

    A run of the ALS names neither: there the edge is that in whose range all energies lie.

    Raises
    ------
    ValueError
        They do not suit the energies. Only the run's own edge may have too many for few energies:
        then there are none (`UndeterminedError`).
    """
    edge = options.edge or start.get("edge")
    if options.references is not None:
        found = options.references
    elif options.edge is None and start.get("references"):
        try:
            found = References.from_document(start["references"])
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(
                f"the references that the run carries cannot be read ({type(exc).__name__}: "
                f"{exc}); give others with references="
            ) from exc
    elif options.edge is not None:
        found = load_references(options.edge)
    elif edge is None and layout.numbered:
        found = load_references(_recognised(energies))
    else:
        if not edge or not get_edge(edge).species:
            return None
        found = load_references(edge)
        try:
            found.design(energies)
        except UndeterminedError:
            return None
    if len(found.names) < 2:
        raise ValueError(
            f"references hold one spectrum ({found.names[0]}); a map of a fraction needs two"
        )
    found.design(energies)
    return found


def assumed_edge(start: Doc, energies: Any, options: MapOptions, layout: Layout) -> str:
    """Edge that a run was taken for by its energies alone; empty where it was told.

    Raises
    ------
    ValueError
        As `references_for`.
    """
    told = options.references, options.edge, start.get("references"), start.get("edge")
    return _recognised(energies) if layout.numbered and not any(told) else ""


def _recognised(energies: Any) -> str:
    """Edge of a stack that names none: all energies in its range, and on both sides of it.

    Raises
    ------
    ValueError
        There is not exactly one.
    """
    low, high = float(np.min(energies)), float(np.max(energies))
    known = [edge for edge in EDGES.values() if edge.species]
    found = [
        edge.name
        for edge in known
        if edge.window_ev[0] <= low and high <= edge.window_ev[1] and low < edge.edge_ev[0] < high
    ]
    if len(found) != 1:
        raise ValueError(
            f"the run names neither references nor an edge, and its energies, {low:g} to {high:g} "
            f"eV, are those of {' and '.join(found) or 'no edge with references'} "
            f"(known: {', '.join(edge.name for edge in known)}): give references= or edge="
        )
    return found[0]
