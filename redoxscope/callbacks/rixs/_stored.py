"""What is stored of a RIXS map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from .._results import Result
from ._snapshot import RixsSnapshot

__all__ = ["results_of"]


def results_of(snapshot: RixsSnapshot) -> Iterator[Result]:
    """Give the arrays of a finished map: the map itself, each yield, each emission spectrum."""
    known = {"energy": snapshot.energies, "emission": snapshot.bins.centers}
    attrs = {
        "title": snapshot.title,
        "edge": snapshot.edge,
        "sample": snapshot.sample,
        "passes": snapshot.passes,
        "normalised": snapshot.normalised,
        "windows": [str(window) for window in snapshot.windows],
        "photons": snapshot.photons,
        "late": snapshot.late,
        "lost": snapshot.lost,
        "outside": snapshot.outside,
        "pixels_used": snapshot.pixels_used,
        "message": snapshot.message,
    }

    def of(
        name: str, array: NDArray[Any], dims: tuple[str, ...], unit: str = "", sigma_of: str = ""
    ) -> Result:
        coords = {d: known[d] for d in dims}
        units = dict.fromkeys(dims, "eV")
        return Result("rixs_map", name, array, dims, "", coords, units, unit, sigma_of, attrs)

    both, r = ("energy", "emission"), snapshot.result
    yield of("rate", r.rate, both, "1/s")
    yield of("rate_sigma", r.sigma, both, "1/s", "rate")
    yield of("counts", r.counts, both)
    yield of("coverage", r.coverage, both)
    taken = {"rate", "rate_sigma", "counts", "coverage", *known}

    def free(name: str) -> str:
        """A window's name, which a user may have given it after one of the map's arrays."""
        while taken & (own := {name, f"{name}_sigma", f"{name}_counts"}):
            name = f"{name}_window"
        taken.update(own)
        return name

    for name, y in snapshot.yields.items():
        name = free(name)
        unit = "s" if y.window.kind == "iPFY" else "1/s"
        yield of(name, y.value, ("energy",), unit)
        yield of(f"{name}_sigma", y.sigma, ("energy",), unit, name)
        yield of(f"{name}_counts", y.counts, ("energy",))
    for name, s in snapshot.spectra.items():
        name = free(name)
        yield of(name, s.value, ("emission",), "1/s")
        yield of(f"{name}_sigma", s.sigma, ("emission",), "1/s", name)
        yield of(f"{name}_counts", s.counts, ("emission",))
