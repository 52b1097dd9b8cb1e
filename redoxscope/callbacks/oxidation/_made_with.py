"""What a map is made with: references and parameters."""

from __future__ import annotations

from ...analysis.oxidation import StackFit
from ...data import References
from .._documents import Doc
from .._doubt import Doubt
from ._options import MapOptions
from ._snapshot import MadeWith

__all__ = ["borrowed_doubt", "digest_of", "made_with"]


def digest_of(references: References | None, options: MapOptions, start: Doc) -> str:
    """Digest of the references' whole tables, which a run that carries them tells."""
    if references is None:
        return ""
    carried = options.references is None and options.edge is None
    told = (start.get("references") or {}).get("digest") if carried else None
    return str(told or references.digest())


def made_with(
    references: References | None, digest: str, options: MapOptions, fit: StackFit, dead_time: float
) -> MadeWith:
    """The same in a record; ``dead_time`` in s."""
    if fit.given_i0 is not None:
        i0 = fit.given_i0.source
    else:
        blank = fit.blank is not None and fit.blank.found
        own = [*(["blank"] if blank else []), *(["monitor"] if fit.monitored else [])]
        i0 = " and ".join(own) or "not known"
    return MadeWith(
        references="" if references is None else references.source,
        digest=digest,
        borrowed=references is not None and references.shipped,
        i0=i0,
        min_thickness=fit.min_thickness,
        max_od=options.max_od,
        dead_time=dead_time,
        counts_per_unit=options.counts_per_unit,
    )


def borrowed_doubt(references: References) -> Doubt:
    """That references are not of this experiment; its value is how many."""
    return Doubt(
        "borrowed",
        len(references.names),
        f"The references are borrowed: {', '.join(references.names)} were not measured here, but "
        f"computed ({references.source}). Differences within a map are safer than fractions; give "
        "references= standards measured here.",
    )
