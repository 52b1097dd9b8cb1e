"""What the heating experiment measures, once before and once after."""

from __future__ import annotations

from typing import Any

from ._heat_found import EDGES, METALS

__all__ = ["XAS_REPEATS", "measured"]

XAS_DWELL = 0.5
"""Time of a point of an absorption spectrum (s)."""

XAS_REPEATS = 2

_XAS = {
    "Ni L": ((846, 850, 1), (850, 858, 0.2), (858, 868, 1), (868, 874, 0.4), (874, 880, 1)),
    "Co L": ((770, 776, 1), (776, 783, 0.2), (783, 791, 1), (791, 797, 0.4), (797, 802, 1)),
    "Mn L": ((634, 638, 1), (638, 646, 0.2), (646, 650, 0.5), (650, 656, 0.4), (656, 662, 1)),
    "O K": ((522, 527, 1), (527, 534, 0.2), (534, 545, 0.5), (545, 552, 1)),
}
"""Zones (eV): coarser than the presets, for a demonstration's patience."""

_RIXS = {
    "Ni L": ((846, 850, 1), (850, 858, 0.4), (858, 868, 2), (868, 876, 1)),
    "Co L": ((770, 776, 1), (776, 783, 0.4), (783, 791, 2), (791, 799, 1)),
    "Mn L": ((634, 638, 1), (638, 646, 0.4), (646, 658, 1)),
    "O K": ((526, 529, 0.6), (529, 533, 0.2), (533, 539, 1)),
}
_RIXS_DWELL = {"O K": 6.0}
_RIXS_METAL_DWELL = 2.0


def measured(sample: str, repeats: int, passes: int) -> list[dict[str, Any]]:
    """The plans, as JSON has them: spectra of all edges, then a RIXS map of each.

    Parameters
    ----------
    sample : str
        Position of the sample holder.
    repeats : int
        Of each absorption spectrum.
    passes : int
        Of the O K map; each metal's has half as many.
    """
    spectra = [
        {
            "plan": "xas",
            "kwargs": {
                "station": "xas_station",
                "edge": edge,
                "zones": [list(zone) for zone in _XAS[edge]],
                "repeats": repeats,
                "dwell": XAS_DWELL,
                "sample": sample,
            },
        }
        for edge in EDGES
    ]
    maps = [
        {
            "plan": "rixs_map",
            "kwargs": {
                "tes": "tes",
                "mono": "mono",
                "edge": edge,
                "zones": [list(zone) for zone in _RIXS[edge]],
                "passes": max(passes // 2, 1) if edge in METALS else passes,
                "dwell": _RIXS_DWELL.get(edge, _RIXS_METAL_DWELL),
                "sample": sample,
            },
        }
        for edge in EDGES
    ]
    return [*spectra, *maps]
