"""What a model looks like in the bins of a profile, through the blur of the microscope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage

from ._models import ROOT_TAU, X, chord, core_shell, diffusion_table
from ._outlines import SMOOTH
from ._types import CORE_SHELL, DIFFUSION, Profile

__all__ = ["FWHM", "Setting", "Seen", "edge_shift", "seen", "thickness_misfit"]

Array = NDArray[np.float64]

FWHM = 2.3548
"""Of a Gaussian, in standard deviations."""
WIDTHS = np.linspace(0.01, 0.99, 66)
"""Widths of the shell over the radius."""
FINE = 24
"""Lengths at which a fit is made, for each at which the model is calculated."""
AROUND = 2.0
"""Factor by which a length is searched around one that is nearly known."""


@dataclass(frozen=True)
class Setting:
    """What is taken for known in a fit.

    Attributes
    ----------
    shape : str
    half : float
        Half the thickness of the section over the radius.
    radius : float
        a (um).
    edge : float
        By how much the outline was drawn too far out (um).
    blur : float
        Standard deviation of the blur (um).
    """

    shape: str
    half: float
    radius: float
    edge: float
    blur: float

    def but(self, **changed: Any) -> Setting:
        """The same with something changed."""
        return replace(self, **changed)


@dataclass(frozen=True)
class Seen:
    """A model in the bins, for many lengths.

    Attributes
    ----------
    length : numpy.ndarray [m]
        √(Dt), or width of the shell (um).
    share : numpy.ndarray [k, m]
        1 where all is as at the surface.
    """

    length: Array
    share: Array


def seen(profile: Profile, model: str, setting: Setting, around: float | None = None) -> Seen:
    """A model's share in each bin, averaged over its pixels with their weights.

    With ``around`` (um) only for lengths about this one.

    The beam sees amounts, so it is they that are blurred: the share is the blurred amount of
    what changed over the blurred thickness.
    """
    box, distance = _near(profile, setting.blur)
    distance = distance - setting.edge
    x = 1 - np.clip(distance, 0, setting.radius) / setting.radius
    amount = _amount(x, distance, setting, profile.outline.pixel)
    if model == DIFFUSION:
        near = _about(ROOT_TAU, around, setting.radius)
        lengths = np.log(ROOT_TAU[near])
        share = _interpolated(x, diffusion_table(setting.shape, setting.half)[:, near])
    elif model == CORE_SHELL:
        lengths = WIDTHS[_about(WIDTHS, around, setting.radius)]
        if setting.shape == "cylinder":
            share = _soft_step(distance, lengths * setting.radius, profile.outline.pixel)
        else:
            flat = core_shell(x.ravel(), lengths, setting.shape, setting.half)
            share = np.moveaxis(flat.reshape(*x.shape, -1), -1, 0)
    else:
        raise ValueError(f"model = {model!r} must be {DIFFUSION!r} or {CORE_SHELL!r}")
    s = setting.blur / profile.outline.pixel
    total = ndimage.gaussian_filter(amount, s, truncate=3.0)
    blurred = ndimage.gaussian_filter(share * amount, (0, s, s), truncate=3.0)
    w = profile.weights[box]
    used = w > 0
    which = np.searchsorted(profile.edges, profile.outline.distance[box][used], side="right") - 1
    member = np.zeros((len(profile.edges) - 1, used.sum()))
    member[which, np.arange(used.sum())] = w[used]
    member /= member.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A pixel where the model has nothing, although the map has: as at the surface.
        ratio = np.where(total[used] > 1e-6, blurred[:, used] / total[used], 1.0)
    in_bins = member @ ratio.T
    fine = np.linspace(lengths[0], lengths[-1], FINE * len(lengths))
    share = interpolate.PchipInterpolator(lengths, in_bins, axis=1)(fine)
    return Seen((np.exp(fine) if model == DIFFUSION else fine) * setting.radius, share)


def edge_shift(level: float, setting: Setting, pixel: float) -> float:
    """By how much an outline at a part of the thickness lies outside the edge (um).

    From an image of the particle as `setting` has it, drawn like that of a map.
    """
    if not np.isfinite(level):
        return 0.0
    a = setting.radius / pixel
    reach = int(a + 4 * (setting.blur / pixel + SMOOTH)) + 2
    d = np.arange(-reach, reach + 1)
    r = np.hypot(d[:, None], d)
    image = _amount(r / a, (a - r) * pixel, setting, pixel)
    smooth = ndimage.gaussian_filter(image, float(np.hypot(setting.blur / pixel, SMOOTH)))
    plateau = float(np.quantile(smooth[smooth > smooth.max() / 2], 0.9))
    row = smooth[reach, reach:]
    at = int(np.argmax(row < level * plateau))
    part = (row[at - 1] - level * plateau) / (row[at - 1] - row[at])
    return float((at - 1 + part - a) * pixel)


def thickness_misfit(profile: Profile, setting: Setting) -> float:
    """Sum of squares by which a shape misses the thickness map, over the variance it scatters with.

    Only the form counts; the thickness itself is fitted.
    """
    assert profile.thickness is not None
    box, distance = _near(profile, setting.blur)
    distance = distance - setting.edge
    x = 1 - np.clip(distance, 0, setting.radius) / setting.radius
    s = setting.blur / profile.outline.pixel
    amount = _amount(x, distance, setting, profile.outline.pixel)
    model = ndimage.gaussian_filter(amount, s, truncate=3.0)
    used = profile.weights[box] > 0
    t = profile.thickness[box][used]
    m = model[used]
    which = np.searchsorted(profile.edges, profile.outline.distance[box][used], side="right") - 1
    n = np.bincount(which)
    mean = np.bincount(which, t) / np.maximum(n, 1)
    variance = float(((t - mean[which]) ** 2).sum()) / max(1, len(t) - len(n))
    scale = float((m * t).sum() / (m * m).sum())
    in_bins = np.bincount(which, t - scale * m) / np.maximum(n, 1)
    return float((n * in_bins**2).sum() / variance / profile.correlation)


def _near(profile: Profile, blur: float) -> tuple[tuple[slice, slice], Array]:
    """The part of the map that the particle and its blur take, and the distances there."""
    outline = profile.outline
    y, x = np.nonzero(outline.mask)
    margin = int(np.ceil(3 * blur / outline.pixel)) + 2
    box = (
        slice(max(0, y.min() - margin), y.max() + margin + 1),
        slice(max(0, x.min() - margin), x.max() + margin + 1),
    )
    distance = outline.distance[box]
    return box, np.where(np.isfinite(distance), distance, -1e3)


def _amount(x: Array, distance: Array, setting: Setting, pixel: float) -> Array:
    """Thickness of each pixel; at the edge the part of the pixel that is inside counts."""
    inside = np.clip(distance / pixel + 0.5, 0, 1)
    # The middle of a pixel may lie outside while a part of it is inside.
    middle = np.minimum(x, 1 - inside * pixel / (4 * setting.radius))
    return chord(np.clip(middle, 0, 1 - 1e-9), setting.shape, setting.half) * inside


def _interpolated(x: Array, table: Array) -> Array:
    """Values [m, ny, nx] of a table at places x."""
    # X is 1 - s², with s from 0 to 1.
    at = np.sqrt(1 - x) * (len(X) - 1)
    low = np.minimum(at.astype(int), len(X) - 2)
    part = (at - low)[..., None]
    return np.moveaxis(table[low] * (1 - part) + table[low + 1] * part, -1, 0)


def _soft_step(distance: Array, widths: Array, pixel: float) -> Array:
    """A step of a cylinder's shell, each pixel with the part of it that is shell."""
    return np.clip((widths[:, None, None] - distance) / pixel + 0.5, 0, 1)


def _about(lengths: Array, around: float | None, radius: float) -> slice:
    """Which lengths (radii) are to be calculated."""
    if around is None:
        return slice(None)
    first, last = np.searchsorted(lengths, np.array([1 / AROUND, AROUND]) * around / radius)
    return slice(max(0, min(int(first), len(lengths) - 4)), int(last) + 1)
