"""What an estimate says, as data and at the prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...scan import Scan
from .._readable import duration, with_prefix
from .._schedule import Schedule

__all__ = ["Estimate", "RegionEstimate", "exposed"]

MOST = 12
"""Lines of a list that are shown; all are in the attribute."""


@dataclass(frozen=True)
class RegionEstimate:
    """What the images or frames of one region are, and what they leave there.

    Attributes
    ----------
    name : str
    extents : ((float, float), (float, float))
        Centres of the first and last pixel, x and y (µm, sample coordinates).
    pixels : (int, int)
        Columns, rows.
    images : int
    live : float
        Detectors count (s).
    photons : float or None
        On one pixel in all its images; None where the flux is not known.
    dose_gy, dose_sigma_gy : float or None
        Of one pixel in all its images (Gy), and its standard deviation over the pure phases, as
        long as it is not known which of them is there.
    """

    name: str
    extents: tuple[tuple[float, float], tuple[float, float]]
    pixels: tuple[int, int]
    images: int
    live: float
    photons: float | None = None
    dose_gy: float | None = None
    dose_sigma_gy: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What `estimate` found out; its ``repr`` is a table.

    Attributes
    ----------
    scan : Scan
    live : float
        Detectors count (s).
    motion : float
        Moves of energy and stage, fly-back between lines (s).
    software : float
        What RunEngine, Channel Access and the closing of points cost (s).
    regions : tuple of RegionEstimate
        Of a scan of images.
    photons : float or None
        On the pixel, or spot, that gets most.
    dose_gy, dose_sigma_gy : float or None
        Of that pixel or spot (Gy).
    refused : tuple of str
        Everything that limits, geometry and settings have against it, each with name, value,
        limit and unit. Empty: the plan would begin.
    unknown : tuple of str
        What could not be said, and why.
    schedule : Schedule
        Times part by part.
    """

    scan: Scan
    live: float
    motion: float
    software: float
    regions: tuple[RegionEstimate, ...] = ()
    photons: float | None = None
    dose_gy: float | None = None
    dose_sigma_gy: float | None = None
    refused: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    schedule: Schedule | None = field(default=None, repr=False, compare=False)

    @property
    def total(self) -> float:
        """From the call of the plan to the end of its run (s)."""
        return self.live + self.motion + self.software

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refused

    def __repr__(self) -> str:
        return _shown(self)


def _shown(found: Estimate) -> str:
    """The table."""
    scan = found.scan
    energies = scan.all_energies
    span = f"{min(energies):g} eV"
    if len(energies) > 1:
        span = f"{len(energies)} energies, {span[:-3]} to {max(energies):g} eV"
    if scan.kind == "lines":
        what = f"{_images(len(scan.frames))} ({scan.lines} lines) at {span}"
    elif scan.kind == "points":
        what = f"{len(scan.points)} points at {span}"
    else:
        what = f"{scan.events} frames at {span}"
    lines = [what, f"time      {duration(found.total)}"]
    for name in ("live", "motion", "software"):
        seconds = getattr(found, name)
        share = f" ({seconds / found.total:4.0%})" if found.total > 0 else ""
        lines.append(f"  {name:<8}  {duration(seconds):>12}{share}")
    for region in found.regions:
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        each, number, spot = "pixels", _images(region.images), "a pixel"
        if scan.kind == "exposures":
            each, number, spot = "places", f"{region.images} times", "a place"
        lines.append(
            f"{region.name:<9} x {_um(x0)} to {_um(x1)} µm, y {_um(y0)} to {_um(y1)} µm, "
            f"{nx} x {ny} {each}, {number}"
        )
        if region.photons is not None:
            lines.append(
                f"  {spot}   {exposed(region.photons, region.dose_gy, region.dose_sigma_gy)}"
            )
    if not found.regions and found.photons is not None:
        lines.append(f"the spot  {exposed(found.photons, found.dose_gy, found.dose_sigma_gy)}")
    lines += _listed("unknown", found.unknown)
    lines += _listed("refused", found.refused) if found.refused else ["refused   nothing"]
    return "\n".join(lines)


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def _um(value: float) -> str:
    """A place in µm to the nanometre, however far out."""
    return f"{round(value, 3) + 0.0:.10g}"


def exposed(photons: float, dose: float | None, sigma: float | None = None) -> str:
    """Photons and dose of a place, as a text."""
    text = f"{photons:.3g} photons"
    if dose is None:
        return text
    spread = ""
    if sigma and dose:
        percent = 100 * sigma / dose  # over a whole edge phases differ by less than one
        spread = f" ± {percent:.{0 if percent >= 1 else 1}f}% by composition"
    return f"{text}, dose {with_prefix(dose, 'Gy')}{spread}"


def _listed(title: str, texts: tuple[str, ...]) -> list[str]:
    lines = [f"{title if i == 0 else '':<9} {text}" for i, text in enumerate(texts[:MOST])]
    if len(texts) > MOST:
        lines.append(f"{'':<9} and {len(texts) - MOST} more: .{title}")
    return lines
