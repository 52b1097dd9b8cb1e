"""Picture of a reconstruction: amplitude and phase while frames come, then the map."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.ptychography import PtychoResult
from ...inputs import unless_unmeasured
from .._draw_style import GREY, WARNING, letter, note, printable
from ._snapshot import PtychoMap, PtychoSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_ptychography"]

SHARE = 0.002
"""Share of the pixels that must be in the mask before a map is drawn."""
MOST_SAID = 4
"""Most doubts that stand below a picture; its message has all."""


@unless_unmeasured()
def draw_ptychography(figure: Figure, snapshot: PtychoSnapshot) -> None:
    """Draw amplitude, phase and coverage of the newest image; with a map, that in place of these.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 11 x 7.6 inches suit it.
    snapshot : PtychoSnapshot
    """
    figure.clear()
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06, hspace=0.05, wspace=0.03)
    found = snapshot.map
    if found is not None and _has_map(found):
        rows = figure.add_gridspec(2, 1, height_ratios=[1.25, 1.0])
        _map(rows[0], found)
        _image(rows[1], snapshot, letters="def")
    else:
        _image(figure.add_gridspec(1, 1)[0], snapshot, letters="abc")
    figure.suptitle(printable(_heading(snapshot)), fontsize=11)
    said = [d.text for d in snapshot.doubts] or ([snapshot.message] if snapshot.message else [])
    lines = [line for text in said[:MOST_SAID] for line in textwrap.wrap(text, 140)]
    if len(said) > MOST_SAID:
        lines.append(f"and {len(said) - MOST_SAID} more: see its message")
    if lines:
        figure.supxlabel(
            printable("\n".join(lines)), fontsize=7.5, color=WARNING, x=0.01, ha="left"
        )


def _has_map(found: PtychoMap) -> bool:
    """Whether more than a few odd pixels are in its mask."""
    r = found.result
    return r is not None and r.n_mask >= max(16, SHARE * r.mask.size)


def _map(place: Any, found: PtychoMap) -> None:
    r = found.result
    assert r is not None
    axes = place.subgridspec(1, 3).subplots(sharex=True, sharey=True)
    extent = _extent(found.x, found.y)
    name = printable(found.names[0]) if found.names else "first species"
    unit = "µm" if found.unit == "1/µm" else "end members"
    for ax, values, colours, top, label in (
        (axes[0], r.fraction, "viridis", 1.0, f"{name} fraction"),
        (axes[1], r.sigma, "plasma", _upper(r.sigma), f"σ of {name} fraction"),
        (axes[2], r.thickness, "cividis", _upper(r.thickness), f"thickness ({unit})"),
    ):
        shown = np.where(r.mask, values, np.nan)
        _shown(ax, shown, extent, colours, 0.0, top, label)
    _labels(axes, "abc")


def _image(place: Any, snapshot: PtychoSnapshot, letters: str) -> None:
    axes = place.subgridspec(1, 3).subplots(sharex=True, sharey=True)
    image = snapshot.image
    if image is None or not image.covered.any():
        for ax in axes:
            ax.set_axis_off()
        note(axes[1], "no frame in the reconstruction yet")
        return
    covered, energy = image.covered, f"{image.energy_ev:.2f} eV"
    amplitude = np.where(covered, image.amplitude, np.nan)
    phase = np.where(covered, _flat_phase(image), np.nan)
    low, high = np.nanpercentile(amplitude, [0.5, 99.5])
    extent = image.extent_um
    _shown(axes[0], amplitude, extent, "gray", float(low), float(high), f"amplitude at {energy}")
    low, high = np.nanpercentile(phase, [0.5, 99.5])
    _shown(axes[1], phase, extent, "magma", float(low), float(high), "phase (rad)")
    lit = np.where(image.coverage > 0, image.coverage, np.nan)
    _shown(axes[2], lit, extent, "cividis", 0.0, _upper(lit), "incident photons per pixel")
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    axes[0].set_xlim(image.x_um[columns[0]], image.x_um[columns[-1]])
    axes[0].set_ylim(image.y_um[rows[0]], image.y_um[rows[-1]])
    _labels(axes, letters)


def _flat_phase(image: PtychoResult) -> NDArray[np.float32]:
    """Phase about its mean over what is covered, so that it does not wrap around there."""
    mean = complex(image.object[image.covered].mean())
    return np.angle(image.object * np.conj(mean))


def _shown(
    ax: Axes,
    values: NDArray[Any],
    extent: tuple[float, float, float, float],
    colours: str,
    low: float,
    high: float,
    label: str,
) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    drawn = ax.imshow(
        values, origin="lower", extent=extent, vmin=low, vmax=high if high > low else low + 1.0,
        cmap=colormaps[colours].with_extremes(bad=GREY), interpolation="none",
    )  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax, location="top", shrink=0.94, pad=0.02, aspect=28)
    bar.ax.xaxis.set_major_locator(MaxNLocator(5))
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)


def _labels(axes: Any, letters: str) -> None:
    axes[0].set_ylabel("y (µm)")
    for ax, text in zip(axes, letters, strict=True):
        letter(ax, text)
        ax.set_xlabel("x (µm)")
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)


def _extent(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float, float]:
    half = abs(x[-1] - x[0]) / max(len(x) - 1, 1) / 2
    return float(x[0] - half), float(x[-1] + half), float(y[0] - half), float(y[-1] + half)


def _upper(values: NDArray[Any]) -> float:
    finite = values[np.isfinite(values)]
    return max(float(np.percentile(finite, 98)), 1e-6) if finite.size else 1.0


def _heading(snapshot: PtychoSnapshot) -> str:
    """What it is, how far it has come, and how far it is behind."""
    pace, image = snapshot.pace, snapshot.image
    parts = [snapshot.title, snapshot.region]
    if pace.frames < pace.total:
        parts.append(f"{pace.frames} of {pace.total} places")
    if pace.behind:
        parts.append(f"{pace.behind} places, {pace.seconds_behind:.1f} s behind")
    if image is not None:
        parts.append(f"pixel {1e3 * image.pixel_um:.1f} nm")
        if math.isfinite(image.residual):
            parts.append(f"χ² per pixel {image.residual:.2f}")
    if snapshot.resolution is not None and math.isfinite(snapshot.resolution.half_pitch_um):
        parts.append(f"half-pitch {1e3 * snapshot.resolution.half_pitch_um:.1f} nm")
    return " · ".join(part for part in parts if part)
