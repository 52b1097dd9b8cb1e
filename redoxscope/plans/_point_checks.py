"""What can be wrong with a scan of points, check by check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..scan import Scan
from ._protocols import AbsorptionStation, EnergyAxis, Spectrometer

__all__ = ["point_checks"]


def point_checks(
    tes: Spectrometer | AbsorptionStation, mono: EnergyAxis, scan: Scan, **settings: object
) -> Iterator[Callable[[], None]]:
    """Checks of a scan of points; each raises what speaks against it, and nothing moves.

    Parameters
    ----------
    tes : device
        What measures the points.
    mono : device
    scan : Scan
        Of points.
    **settings
        Of ``tes.check_scan``; those not given are taken as they are set.
    """
    offset = mono.offset_at(scan.edge)
    for energy in scan.all_energies:
        yield partial(mono.check_value, energy, offset=offset)
    if tes.shutter is not None:
        yield tes.shutter.check_free
    for dwell in dict.fromkeys(point.dwell for point in scan.points):
        if tes.shutter is not None:
            yield partial(tes.shutter.check_open_time, dwell, f"a point of {tes.name}")
        yield partial(tes.check_scan, dwell=dwell, **settings)  # type: ignore[arg-type]
