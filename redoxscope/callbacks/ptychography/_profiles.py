"""Profiles of the particles in a map, with what is fitted to them, as results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.profiles import Fits, Outlines, ParticleFits, fit_profiles, outlines, profile
from ...inputs import as_number, unless_unmeasured
from .._draw_style import WARNING, letter, note, plain, printable
from .._results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MapProfiles", "draw_profiles", "profiles_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapProfiles:
    """What the particles in a map say of how far a change has gone into them.

    Attributes
    ----------
    name : str
        Species whose share it is.
    share, sigma : numpy.ndarray [ny, nx]
        Its share and standard deviation.
    x, y : numpy.ndarray [nx], [ny]
        Positions (µm).
    outlines : Outlines
    fits : Fits
        Diffusion, and a core with a shell.
    made_with : dict
        Parameters; JSON-able.
    part : str
        Region of the run; empty where it has one.
    """

    name: str
    share: Array
    sigma: Array
    x: Array
    y: Array
    outlines: Outlines
    fits: Fits
    made_with: Mapping[str, Any]
    part: str = ""

    def __repr__(self) -> str:
        fits = self.fits
        if fits.refused:
            return f"<MapProfiles of {len(fits.particles)} particles: no D, {fits.refused}>"
        low, high = (1e4 * d for d in fits.interval)
        return (
            f"<MapProfiles of {len(fits.particles)} particles: {fits.preferred} preferred "
            f"(ΔAIC {fits.delta_aic:.1f}), D = {1e4 * fits.d:.2g} cm²/s, 68 % of it within "
            f"{low:.2g} to {high:.2g}>"
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """As the catalog stores them: ``store_results(cat, uid, profiles(run).results)``."""
        particles = self.fits.particles
        bins = max((len(p.profile.mean) for p in particles), default=0)
        attrs = {
            "species": self.name,
            "parameters": dict(self.made_with),
            "fits": self.fits.as_dict(),
            "particles": [_as_dict(one) for one in particles],
            "left_out": [one.reason for one in self.outlines.left_out],
        }
        found = []

        def add(name: str, array: NDArray[Any], dims: tuple[str, ...], **how: Any) -> None:
            found.append(Result("profiles", name, array, dims, self.part, attrs=attrs, **how))

        for name, unit, sigma_of in (
            ("distance", "µm", ""), ("mean", "", ""), ("sigma", "", "mean"),
            ("sigma_with_edge", "", "mean"), ("n", "", ""),
        ):  # fmt: skip
            table = np.full((len(particles), bins), np.nan)
            for row, one in zip(table, particles, strict=True):
                p = one.profile
                of_bins = p.sigma_with_edge() if name == "sigma_with_edge" else getattr(p, name)
                row[: len(of_bins)] = of_bins
            add(name, table, ("particle", "bin"), unit=unit, sigma_of=sigma_of)
        for name in ("diffusion", "core_shell"):
            table = np.full((len(particles), bins), np.nan)
            for row, one in zip(table, particles, strict=True):
                fit = getattr(one, name)
                if fit is not None:
                    row[: len(fit.curve)] = fit.curve
            add(f"fit_{name}", table, ("particle", "bin"))
        add("d", np.array([one.d for one in particles]), ("particle",), unit="m2/s")
        labels = np.zeros(self.share.shape, np.int32)
        for one in particles:
            labels[one.profile.outline.mask] = one.profile.outline.label
        place = {"coords": {"y": self.y, "x": self.x}, "units": {"y": "µm", "x": "µm"}}
        add("particle_label", labels, ("y", "x"), **place)
        return tuple(found)


@unless_unmeasured()
def profiles_of(
    share: Any,
    sigma: Any,
    thickness: Any,
    x: Any,
    y: Any,
    *,
    time: float,
    resolution: float,
    name: str = "",
    part: str = "",
    bin: float | None = None,
    shape: str | None = "sphere",
    section: float | None = None,
    time_sigma: float = 0.0,
    made_with: Mapping[str, Any] | None = None,
) -> MapProfiles:
    """Profiles of the single whole particles in a map, and both models fitted to them.

    Parameters
    ----------
    share, sigma, thickness : array_like [ny, nx]
        Share of a species, its standard deviation, and how much there is; NaN where nothing is.
    x, y : array_like [nx], [ny]
        Positions of the pixels (µm), which are square.
    time, time_sigma : float
        How long the change has gone on, and how well that is known (s).
    resolution : float
        Full width at half maximum of the map's blur (µm).
    name, part : str
        Species, and region of the run.
    bin : float, optional
        Width of a bin (µm).
    shape : {"sphere", "cylinder"} or None
        See `redoxscope.analysis.profiles.fit_profiles`.
    section : float, optional
        Thickness of the section of which the particles are part (µm).
    made_with : dict, optional
        What is to be stored of where the map comes from.

    Raises
    ------
    ValueError
        The pixels are not square, there is no single whole particle, or a number is none.
    """
    xs, ys = (np.asarray(values, dtype=float) for values in (x, y))
    steps = [abs(v[-1] - v[0]) / max(len(v) - 1, 1) for v in (xs, ys)]
    pixel = as_number("pixel", steps[0], "µm", above=0)
    if abs(steps[1] - pixel) > 0.01 * pixel:
        raise ValueError(
            f"the pixels are {steps[0]:.4g} x {steps[1]:.4g} µm; for distances they must be square"
        )
    f, s, t = (np.asarray(values, dtype=float) for values in (share, sigma, thickness))
    found = outlines(t, pixel=pixel)
    if not found.found:
        why = "; ".join(dict.fromkeys(one.reason for one in found.left_out)) or "there is nothing"
        raise ValueError(f"the map has no single whole particle: {why}")
    measured = [profile(f, s, one, thickness=t, bin=bin) for one in found.found]
    fits = fit_profiles(
        measured, time=time, resolution=resolution, shape=shape, section=section,
        time_sigma=time_sigma,
    )  # fmt: skip
    parameters = {
        "time_s": time, "time_sigma_s": time_sigma, "resolution_um": resolution, "bin_um": bin,
        "shape": shape, "section_um": section, "pixel_um": pixel, **(made_with or {}),
    }  # fmt: skip
    return MapProfiles(name, f, s, xs, ys, found, fits, parameters, part)


@unless_unmeasured()
def draw_profiles(figure: Figure, found: MapProfiles) -> None:
    """Draw the map with the outlines, and each particle's profile with both fits.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 10 x 4.5 inches suit it.
    found : MapProfiles
    """
    from matplotlib import colormaps

    figure.clear()
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.25])
    half = abs(found.x[-1] - found.x[0]) / max(len(found.x) - 1, 1) / 2
    extent = (
        found.x[0] - half, found.x[-1] + half, found.y[0] - half, found.y[-1] + half
    )  # fmt: skip
    drawn = left.imshow(
        found.share, origin="lower", extent=extent, vmin=0, vmax=1,
        cmap=colormaps["viridis"].with_extremes(bad="0.78"), interpolation="none",
    )  # fmt: skip
    name = printable(found.name) or "share"
    figure.colorbar(drawn, ax=left, location="top", shrink=0.9, label=f"{name} share")
    left.set(xlabel="x (µm)", ylabel="y (µm)")
    colours = ("#d55e00", "#0072b2", "#b0457f", "#009e73", "#e69f00", "#56b4e9")
    for k, one in enumerate(found.fits.particles):
        colour = colours[k % len(colours)]
        mask = one.profile.outline.mask.astype(float)
        left.contour(found.x, found.y, mask, [0.5], colors=[colour], linewidths=1.2)
        _profile(right, one, colour, first=k == 0)
    if not found.fits.particles:
        note(right, "no single whole particle")
    right.set(xlabel="distance from the edge (nm)", ylabel=f"{name} share ± σ")
    plain(right)
    right.legend(fontsize=8, frameon=False)
    letter(left, "a")
    letter(right, "b", outside=True)
    fits = found.fits
    low, high = (1e4 * d for d in fits.interval)
    said = (
        f"no D: {fits.refused}"
        if fits.refused
        else f"D = {1e4 * fits.d:.2g} cm²/s (68 %: {low:.2g} to {high:.2g}, model error included)"
    )
    figure.suptitle(
        printable(f"{fits.preferred or 'no model'} preferred, ΔAIC {fits.delta_aic:.1f} · {said}"),
        fontsize=10, color=WARNING if fits.refused else "k",
    )  # fmt: skip


def _profile(ax: Axes, one: ParticleFits, colour: str, *, first: bool) -> None:
    p = one.profile
    nm = 1e3 * p.distance
    label = f"particle {p.outline.label}, radius {1e3 * p.outline.radius:.0f} nm"
    ax.errorbar(nm, p.mean, p.sigma_with_edge(), fmt="o", ms=3, lw=0.8, color=colour, label=label)
    for fit, style, what in (
        (one.diffusion, "-", "diffusion"),
        (one.core_shell, ":", "core–shell"),
    ):
        if fit is not None:
            ax.plot(nm, fit.curve, style, lw=1.2, color=colour, label=what if first else None)


def _as_dict(one: ParticleFits) -> dict[str, Any]:
    low, high = one.interval
    return {
        "label": one.profile.outline.label,
        "radius_um": one.profile.outline.radius,
        "d_m2_s": one.d,
        "d_low_m2_s": low,
        "d_high_m2_s": high,
        "delta_aic": one.delta_aic,
        "preferred": one.preferred,
        "refused": one.refused,
        "doubts": list(one.doubts),
    }
