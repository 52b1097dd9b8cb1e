"""An estimate at the prompt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._estimate import Estimate

__all__ = ["duration", "shown", "with_prefix"]

MOST = 12
"""Lines of a list that are shown; all are in the attribute."""


def duration(seconds: float) -> str:
    """A time as one reads it: 12.3 s, 4 min 05 s, 2 h 07 min."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def with_prefix(value: float | None, unit: str) -> str:
    """A number with the unit's prefix: 1.23 MGy."""
    if value is None or not math.isfinite(value):
        return "unknown"
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def shown(found: Estimate) -> str:
    """The table."""
    scan = found.scan
    energies = scan.all_energies
    span = f"{min(energies):g} eV"
    if len(energies) > 1:
        span = f"{len(energies)} energies, {span[:-3]} to {max(energies):g} eV"
    if scan.kind == "lines":
        what = f"{_images(len(scan.frames))} ({scan.lines} lines) at {span}"
    else:
        what = f"{len(scan.points)} points at {span}"
    lines = [what, f"time      {duration(found.total)}"]
    for name in ("live", "motion", "software"):
        seconds = getattr(found, name)
        share = f" ({seconds / found.total:4.0%})" if found.total > 0 else ""
        lines.append(f"  {name:<8}  {duration(seconds):>12}{share}")
    for region in found.regions:
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        lines.append(
            f"{region.name:<9} x {_um(x0)} to {_um(x1)} µm, y {_um(y0)} to {_um(y1)} µm, "
            f"{nx} x {ny} pixels, {_images(region.images)}"
        )
        if region.photons is not None:
            lines.append(
                f"  a pixel   {_exposed(region.photons, region.dose_gy, region.dose_sigma_gy)}"
            )
    if not found.regions and found.photons is not None:
        lines.append(f"the spot  {_exposed(found.photons, found.dose_gy, found.dose_sigma_gy)}")
    lines += _listed("unknown", found.unknown)
    lines += _listed("refused", found.refused) if found.refused else ["refused   nothing"]
    return "\n".join(lines)


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"


def _um(value: float) -> str:
    """A place in µm to the nanometre, however far out."""
    return f"{round(value, 3) + 0.0:.10g}"


def _exposed(photons: float, dose: float | None, sigma: float | None) -> str:
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
