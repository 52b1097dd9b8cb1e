"""What a scan will take, and leave in the sample: before anything moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, overload

import numpy as np
from bluesky.utils import MsgGenerator
from numpy.typing import NDArray

from ...data import References
from ...inputs import as_number, as_pair
from ...scan import Exposures, Frame, Scan, as_scan
from .._inputs import check_device, lacking
from .._overlap import frame_checks
from .._point_checks import point_checks
from .._protocols import (
    AbsorptionStation,
    AlignableMicroscope,
    EnergyAxis,
    Microscope,
    PtychographyStation,
    Spectrometer,
)
from .._schedule import Schedule, grid_axes, schedule, spot_seconds
from ._dose import Absorber, absorber_of, exposure, focus_side, lit_area
from ._estimated import Estimate, RegionEstimate
from ._of_plan import PlanEstimate, is_plan, plan_estimate

__all__ = ["estimate", "without_verdict"]


@overload
def estimate(scan: MsgGenerator[Any], /) -> PlanEstimate: ...


@overload
def estimate(
    scan: Any,
    *instruments: Any,
    flux: float | None = None,
    references: References | None = None,
    density: float | None = None,
    thickness: float | None = None,
    spot: float | tuple[float, float] | None = None,
) -> Estimate: ...


def estimate(
    scan: Any,
    *instruments: Any,
    flux: float | None = None,
    references: References | None = None,
    density: float | None = None,
    thickness: float | None = None,
    spot: float | tuple[float, float] | None = None,
) -> Estimate | PlanEstimate:
    """Say what a scan, or a plan, will take, and what speaks against it.

    Nothing moves and nothing is written: positions, limits and velocities are read. Where the
    devices stand now is where the first move begins.

    Parameters
    ----------
    scan : Scan, mapping, str, or a plan
        As of `execute`. Of a run: ``Scan.from_start(run.metadata["start"])``. Of any plan, as
        ``estimate(ramp_and_soak(heater, 100, soak=18000))``, the messages are read and none is
        carried out: of it time and dose are said, and what it would be refused for.
    *instruments : device
        The microscope of a scan of images, or of a stepped grid, ``estimate(scan, stxm)``;
        spectrometer or absorption
        station, and monochromator, of a scan of points, ``estimate(scan, tes, mono)``; the station
        of a scan for ptychography, ``estimate(scan, ptycho)``.
    flux : float, optional
        Photons per second on the sample; by default what the instrument's ``flux`` says, which a
        beamline file may set. Without it, there is no dose.
    references : References, optional
        Absorption of what is in the beam; by default that of the scan's edge.
    density : float, optional
        Of the sample (g/cm³); by default 4.2 with the shipped references, which are of one oxide.
    thickness : float, optional
        Of the sample (µm). Without it, the dose is that of the side where the beam enters; with
        it, the mean over the thickness.
    spot : float or (float, float), optional
        Width and height (µm) of the spot of a scan of points; of a stepped grid by default that of
        the zone plate's focus.

    Returns
    -------
    Estimate or PlanEstimate

    Raises
    ------
    ValueError
        No scan; something else than its instruments; a flux, density or thickness that is not
        positive. What the *plan* would refuse raises nothing, it stands in ``refused``.

    Notes
    -----
    **Time.** Of images: the energy's move (the longest of monochromator with backlash and
    settling, EPU and zone plate), or the last fly-back where that is longer; then the coarse
    stage; then ``ny`` lines of ``nx * dwell`` and a fly-back between two. Of points: the move,
    the dwell, and until the photons of the window have come. Of blocks of frames: what the station
    says, with the way from place to place. The software's share are constants
    measured on the simulated beamline (``docs/reference/figures.md``). Time that nobody declares
    is not in it: a sample holder, a heater, lines that are flown again, waiting for beam.

    **Dose.** `redoxscope.analysis.dose.absorbed_dose`. On a pixel fall ``flux * dwell`` photons,
    and those of the fly-backs, for the shutter follows the whole image; they are shared evenly. The
    sum is over images of roles *sample* and *dose_check*; a place that lies in two regions gets
    both. Of overlapping frames it is the mean over their region, for each place of the beam counts
    as a pixel: it rises with the square of 1 over the step, and with all exposure times. The
    absorption is the mean over the pure phases, ``dose_sigma_gy`` its standard deviation where any
    mixture is as likely as any other (range over √12). The flux' own uncertainty is not in it:
    photons and dose are proportional to it.
    """
    if is_plan(scan):
        options = (flux, references, density, thickness, spot)
        if instruments or any(option is not None for option in options):
            raise ValueError("a plan says itself what it is: estimate(plan), and nothing else")
        return plan_estimate(scan, without_verdict)
    return _estimate(
        scan,
        instruments,
        verdict=True,
        flux=flux,
        references=references,
        density=density,
        thickness=thickness,
        spot=spot,
    )


def without_verdict(scan: Any, *instruments: Any) -> Estimate:
    """As `estimate`, for who has made the plan's checks already: they take a third of its time."""
    return _estimate(scan, instruments, verdict=False)


def _estimate(
    scan: Any,
    instruments: tuple[Any, ...],
    *,
    verdict: bool,
    flux: float | None = None,
    references: References | None = None,
    density: float | None = None,
    thickness: float | None = None,
    spot: float | tuple[float, float] | None = None,
) -> Estimate:
    scan = as_scan(scan)
    flux = None if flux is None else as_number("flux", flux, "photons/s", above=0)
    for name, value, unit in (("density", density, "g/cm³"), ("thickness", thickness, "µm")):
        if value is not None:
            as_number(name, value, unit, above=0)
    _check_instruments(scan, instruments)
    if flux is None:
        declared = getattr(instruments[0], "flux", None)
        flux = (declared.get() or None) if declared is not None else None
    times = schedule(scan, *instruments)
    refused = list(_refused(scan, instruments)) if verdict else []
    refused += [
        text for text in map(str, times.wrong) if not any(text in known for known in refused)
    ]
    unknown: list[str] = []
    absorber: Absorber | None = None
    regions: tuple[RegionEstimate, ...] = ()
    exposed: tuple[float | None, float | None, float | None] = (None, None, None)
    if flux is None:
        unknown.append(
            "photons and dose: the flux is not known; give flux=… (photons/s on the sample)"
        )
    else:
        try:
            absorber = absorber_of(scan.edge, references, density, thickness)
        except ValueError as exc:
            unknown.append(f"dose: {exc}")
    if scan.kind != "points":
        side = focus_side(instruments[0]) if scan.kind == "lines" else None
        regions = _regions(scan, times, flux, side, absorber, unknown)
    if regions:
        most = max(regions, key=lambda region: (region.dose_gy or 0.0, region.photons or 0.0))
        exposed = most.photons, most.dose_gy, most.dose_sigma_gy
    elif scan.kind == "points":
        seconds = np.array([point.dwell for point in scan.points])
        if _is_grid(scan, instruments):
            seconds = spot_seconds(scan, times)
            spot = focus_side(instruments[0]) if spot is None else spot
        exposed = _spot(scan, flux, seconds, absorber, spot, unknown)
    else:
        unknown.append("photons and dose: the scan does not say in which regions its places lie")
    photons, dose, sigma = exposed
    closing = float(times.flight.sum())
    software = times.begin + times.end + float(times.software.sum())
    motion = float(times.motion.sum())
    if scan.kind != "points":
        motion += closing
    else:
        software += closing
    return Estimate(
        scan=scan,
        live=float(times.live.sum()),
        motion=motion,
        software=software,
        regions=regions,
        photons=photons,
        dose_gy=dose,
        dose_sigma_gy=sigma,
        refused=tuple(dict.fromkeys(refused)),
        unknown=tuple(dict.fromkeys(unknown)),
        schedule=times,
    )


def _is_grid(scan: Scan, instruments: tuple[Any, ...]) -> bool:
    """Whether the points are steps of a microscope's axes."""
    return (
        scan.kind == "points" and len(instruments) == 1 and not lacking(instruments[0], Microscope)
    )


def _check_instruments(scan: Scan, instruments: tuple[Any, ...]) -> None:
    if _is_grid(scan, instruments):
        check_device("stxm", instruments[0], AlignableMicroscope, "STXM")
        known = grid_axes(instruments[0])
        if not scan.outer or any(outer.name not in known for outer in scan.outer[-2:]):
            raise ValueError(
                f"the scan steps no axis of {instruments[0].name} ({', '.join(known)}); a scan of "
                "points at several energies needs estimate(scan, tes, mono)"
            )
        return
    wanted: tuple[tuple[str, type, str], ...] = {
        "lines": (("stxm", Microscope, "STXM"),),
        "points": (("tes", Spectrometer, "TES"), ("mono", EnergyAxis, "Monochromator")),
        "exposures": (("ptycho", PtychographyStation, "PtychoStation"),),
    }[scan.kind]
    if len(instruments) != len(wanted):
        names = ", ".join(name for name, _, _ in wanted)
        raise ValueError(
            f"a scan of {scan.kind} needs estimate(scan, {names}); {len(instruments)} "
            "instruments are given"
        )
    for (name, protocol, example), device in zip(wanted, instruments, strict=True):
        if name == "tes" and not lacking(device, AbsorptionStation):
            continue
        check_device(name, device, protocol, example)


def _refused(scan: Scan, instruments: tuple[Any, ...]) -> Iterator[str]:
    """What each check of the plan says; where it stops at the first, this goes on."""
    checks: Iterable[Callable[[], Any]]
    if scan.kind == "lines":
        (stxm,) = instruments
        checks = stxm.checks(scan)
    elif _is_grid(scan, instruments):
        (stxm,) = instruments
        known = grid_axes(stxm)
        values = {
            outer.name: dict.fromkeys(point.outer[i] for point in scan.points)
            for i, outer in enumerate(scan.outer)
            if outer.name in known
        }
        checks = [
            *stxm.checks(scan),
            *(partial(known[name].check_value, value) for name in values for value in values[name]),
        ]
    elif scan.kind == "exposures":
        (station,) = instruments
        checks = frame_checks(station, scan)
    else:
        tes, mono = instruments
        checks = point_checks(tes, mono, scan)
    for check in checks:
        try:
            check()
        except (ValueError, RuntimeError, TimeoutError) as exc:
            yield str(exc)


def _regions(
    scan: Scan,
    times: Schedule,
    flux: float | None,
    side: float | None,
    absorber: Absorber | None,
    unknown: list[str],
) -> tuple[RegionEstimate, ...]:
    found = []
    all_parts: Sequence[Frame | Exposures] = scan.frames or scan.exposures
    for index, region in enumerate(scan.regions):
        nx, ny = region.pixels
        mine = [k for k, part in enumerate(all_parts) if part.region == index]
        area = lit_area(region, side)
        photons = dose = sigma = None
        if flux is not None:
            open_for = (times.live[mine] + np.nan_to_num(times.flight[mine])) / (nx * ny)
            parts = [all_parts[k] for k in mine]
            photons, dose, sigma = exposure(parts, flux * open_for, area, absorber, unknown)
        live = float(times.live[mine].sum())
        found.append(
            RegionEstimate(
                region.name, region.extents, (nx, ny), len(mine), live, photons, dose, sigma
            )
        )
    return tuple(found)


def _spot(
    scan: Scan,
    flux: float | None,
    seconds: NDArray[np.float64],
    absorber: Absorber | None,
    spot: float | tuple[float, float] | None,
    unknown: list[str],
) -> tuple[float | None, float | None, float | None]:
    if flux is None:
        return None, None, None
    area = math.nan
    if spot is None:
        unknown.append("dose: the beam's spot is not known; give spot=(width, height) in µm")
        absorber = None
    else:
        width, height = as_pair("spot", spot, "µm", single=True)
        area = as_number("spot", width, "µm", above=0) * as_number("spot", height, "µm", above=0)
    return exposure(list(scan.points), flux * seconds, area, absorber, unknown)
