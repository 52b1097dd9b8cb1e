"""The picture of the ptychography demonstration: image, maps of both microscopes, profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._ptycho_found import MapAgainst, ProfileAgainst

__all__ = ["draw_ptycho"]

_GREY = "0.8"
_DIFFUSION, _CORE_SHELL, _TRUE = "#0072b2", "#d55e00", "#009e73"  # of Okabe and Ito's palette
_SHOWN = 3  # profiles


def draw_ptycho(figure: Any, found: Any) -> None:
    """Draw everything that was found; panels without data say so.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty, best 17 x 13 inches.
    found
        ``image`` and ``early`` (PtychoResult or None: of the energy that is best resolved, as it
        ended; of the first, when it could be recognised), ``stxm`` and ``ptycho`` (MapAgainst or
        None), ``profiles`` (of ProfileAgainst), ``snapshot``, ``fits`` and ``true_d`` (cm²/s).
    """
    image, early, profiles = found.image, found.early, found.profiles
    stxm, ptycho, rings = found.stxm, found.ptycho, found.snapshot.resolution
    figure.suptitle(_title(found.fits))
    grid = figure.add_gridspec(3, 4, hspace=0.32, wspace=0.42, left=0.055, right=0.97, top=0.93,
                               bottom=0.055)  # fmt: skip
    axes = [[figure.add_subplot(grid[row, k]) for k in range(4)] for row in range(2)]
    _early(axes[0][0], early)
    _image(axes[0][1], axes[0][2], image)
    _rings(axes[0][3], rings)
    _share(axes[1][0], stxm, "STXM")
    _share(axes[1][1], ptycho, "ptychography")
    _truth(axes[1][2], ptycho or stxm)
    for ax in axes[1][:3]:
        _same_field(ax, ptycho)
    _sigma(axes[1][3], ptycho)
    for k in range(_SHOWN):
        _profile(figure.add_subplot(grid[2, k]), profiles[k] if k < len(profiles) else None)
    _fits(figure.add_subplot(grid[2, 3]), profiles, found.true_d)


def _title(fits: Any) -> str:
    text = "Single primary particles by STXM and by ptychography (simulated beamline)"
    if fits is None:
        return text
    if fits.refused:
        return f"{text}\nno D: {fits.refused}"
    low, high = (1e4 * d for d in fits.interval)
    return (
        f"{text}\n{fits.preferred} preferred (ΔAIC {fits.delta_aic:.1f}), "
        f"D = {1e4 * fits.d:.2g} cm²/s, 68 % within {low:.2g} to {high:.2g}"
    )


def _empty(ax: Any, title: str) -> None:
    ax.set_title(title, fontsize=9, loc="left")
    ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", va="center", color="0.5")
    ax.set_xticks([])
    ax.set_yticks([])


def _shown(ax: Any, values: Any, x: Any, y: Any, title: str, label: str, **how: Any) -> None:
    from matplotlib import colormaps

    half = abs(x[1] - x[0]) / 2
    colours = colormaps[how.pop("cmap", "viridis")].with_extremes(bad=_GREY)
    drawn = ax.imshow(
        values, origin="lower", interpolation="none", cmap=colours,
        extent=(x[0] - half, x[-1] + half, y[0] - half, y[-1] + half), **how,
    )  # fmt: skip
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.03)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    ax.set_title(title, fontsize=9, loc="left")
    ax.set_xlabel("x (µm)", fontsize=8)
    ax.set_ylabel("y (µm)", fontsize=8)
    ax.tick_params(labelsize=7)


def _covered(image: Any, values: Any) -> tuple[Any, Any, Any]:
    """What is covered, cut to it."""
    covered = image.covered
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    inside = np.ix_(rows, columns)
    return np.where(covered, values, np.nan)[inside], image.x_um[columns], image.y_um[rows]


def _early(ax: Any, early: Any) -> None:
    title = "amplitude, first recognisable"
    if early is None or not early.covered.any():
        _empty(ax, title)
        return
    values, x, y = _covered(early, np.abs(early.object) / abs(_level(early)))
    _shown(ax, values, x, y, f"{title}: {early.frames} places", "amplitude", cmap="gray")


def _image(amplitude: Any, phase: Any, image: Any) -> None:
    if image is None or not image.covered.any():
        _empty(amplitude, "amplitude")
        _empty(phase, "phase")
        return
    at = f"{image.energy_ev:.1f} eV, pixel {1e3 * image.pixel_um:.2f} nm"
    values, x, y = _covered(image, np.abs(image.object) / abs(_level(image)))
    _shown(amplitude, values, x, y, f"amplitude, {at}", "amplitude", cmap="gray")
    turned = image.object / _level(image)
    values, x, y = _covered(image, np.angle(turned))
    _shown(phase, values, x, y, f"phase, {at}", "phase (rad)", cmap="magma")


def _level(image: Any) -> complex:
    """Transmission of the empty beam, which is where most light comes through."""
    size = np.abs(image.object[image.covered])
    bright = image.covered & (np.abs(image.object) > np.percentile(size, 60))
    mean = complex(image.object[bright].mean()) if bright.any() else 1.0
    return mean or 1.0


def _rings(ax: Any, rings: Any) -> None:
    title = "ring correlation of two halves of the frames"
    if rings is None:
        _empty(ax, title)
        return
    ax.plot(rings.frequency, rings.value, color=_DIFFUSION, label="correlation")
    ax.plot(rings.frequency, rings.threshold, color="0.4", ls="--", label="half-bit")
    if np.isfinite(rings.half_pitch_um):
        ax.axvline(1 / (2 * rings.half_pitch_um), color=_CORE_SHELL, lw=0.8)
    ax.set_title(f"{title}\nhalf-pitch {1e3 * rings.half_pitch_um:.1f} nm", fontsize=9, loc="left")
    ax.set_xlabel("spatial frequency (1/µm)", fontsize=8)
    ax.set_ylabel("correlation", fontsize=8)
    ax.set_ylim(-0.2, 1.05)
    ax.tick_params(labelsize=7)
    ax.legend(fontsize=7)


def _share(ax: Any, found: MapAgainst | None, what: str) -> None:
    if found is None:
        _empty(ax, f"Mn3+ by {what}")
        return
    pixel = f"pixel {1e3 * found.pixel_um:.3g} nm"
    _shown(ax, found.share, found.x, found.y, f"Mn3+ by {what}, {pixel}", "Mn3+ share",
           vmin=0.0, vmax=1.0)  # fmt: skip


def _truth(ax: Any, found: MapAgainst | None) -> None:
    if found is None:
        _empty(ax, "Mn3+ simulated")
        return
    true = np.where(found.true_thickness > 0.01, found.true_share, np.nan)
    _shown(ax, true, found.x, found.y, "Mn3+ simulated (the truth)", "Mn3+ share",
           vmin=0.0, vmax=1.0)  # fmt: skip


def _same_field(ax: Any, found: MapAgainst | None) -> None:
    if found is not None and ax.images:
        ax.set_xlim(found.x[0], found.x[-1])
        ax.set_ylim(found.y[0], found.y[-1])


def _sigma(ax: Any, found: MapAgainst | None) -> None:
    if found is None or not np.isfinite(found.sigma).any():
        _empty(ax, "σ of Mn3+ by ptychography")
        return
    top = float(np.nanpercentile(found.sigma, 97))
    _shown(ax, found.sigma, found.x, found.y, "σ of Mn3+ by ptychography", "σ of Mn3+ share",
           cmap="plasma", vmin=0.0, vmax=top)  # fmt: skip


def _profile(ax: Any, one: ProfileAgainst | None) -> None:
    if one is None:
        _empty(ax, "Mn3+ against distance from the edge")
        return
    found = one.found
    profile = found.profile
    at = 1e3 * profile.distance
    ax.errorbar(at, profile.mean, profile.sigma_with_edge(), fmt="o", ms=3, color="0.25", lw=0.8,
                label="found ± σ", zorder=3)  # fmt: skip
    ax.plot(at, one.true_mean, color=_TRUE, lw=1.2, ls=":", label="simulated, as blurred", zorder=2)
    for fit, colour in ((found.diffusion, _DIFFUSION), (found.core_shell, _CORE_SHELL)):
        if fit is not None:
            curve = np.asarray(fit.curve)
            ax.plot(at[: len(curve)], curve, color=colour, lw=1.2,
                    label=f"{fit.model}, AIC {fit.aic:.1f}")  # fmt: skip
    ax.set_title(f"particle of {2e3 * profile.outline.radius:.0f} nm", fontsize=9, loc="left")
    ax.set_xlabel("distance from the edge (nm)", fontsize=8)
    ax.set_ylabel("Mn3+ share", fontsize=8)
    ax.set_ylim(-0.1, 1.1)
    ax.tick_params(labelsize=7)
    ax.legend(fontsize=7)


def _fits(ax: Any, profiles: Sequence[ProfileAgainst], true: float) -> None:
    known = [one for one in profiles if np.isfinite(one.found.d)]
    if not known:
        _empty(ax, "D of each particle")
        return
    for k, one in enumerate(known):
        d, (low, high) = 1e21 * one.found.d, (1e21 * v for v in one.found.interval)
        ax.errorbar([d], [k], xerr=[[d - low], [high - d]], fmt="o", ms=4, color=_DIFFUSION)
    if np.isfinite(true):
        ax.axvline(1e17 * true, color=_TRUE, ls=":", label="simulated")
        ax.legend(fontsize=7)
    ax.set_yticks(range(len(known)))
    ax.set_yticklabels([f"{2e3 * one.found.profile.outline.radius:.0f} nm" for one in known])
    ax.set_ylim(-0.5, len(known) - 0.5)
    ax.set_xlabel("D (1e-17 cm²/s), 68 % interval", fontsize=8)
    ax.set_ylabel("diameter of the particle", fontsize=8)
    ax.set_title("D of each particle", fontsize=9, loc="left")
    ax.tick_params(labelsize=7)
