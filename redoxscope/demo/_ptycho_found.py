"""What the ptychography demonstration found, against what is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MapAgainst", "Preview", "ProfileAgainst", "map_against", "profile_against"]

Array = NDArray[np.float64]

THICK_UM = 0.03
"""Thickness (µm) below which a share of Mn is not compared."""
LEAST_UM = 0.002
"""Thickness (µm) below which there is nothing that has a share."""
EDGE_UM = 0.012
"""Distance (µm) that a pixel keeps from bare membrane to be compared: what the blur mixes in."""


@dataclass(frozen=True, eq=False)
class MapAgainst:
    """A map of Mn3+ and what is true there.

    Attributes
    ----------
    x, y : ndarray [nx], [ny]
        Pixels (µm, sample coordinates).
    share, sigma : ndarray [ny, nx]
        Mn3+ of all Mn and its standard deviation; NaN where the map says nothing.
    true_share, true_thickness : ndarray [ny, nx]
        Not blurred (µm).
    compared : ndarray of bool [ny, nx]
        Pixels that are compared.
    shift : (float, float)
        By how much the truth was moved, x and y (µm): a reconstruction knows where it is only to
        some nanometres.
    """

    x: Array
    y: Array
    share: Array
    sigma: Array
    true_share: Array
    true_thickness: Array
    compared: NDArray[np.bool_]
    shift: tuple[float, float]

    @property
    def pixel_um(self) -> float:
        """Side of a pixel (µm)."""
        return float(abs(self.x[-1] - self.x[0]) / (len(self.x) - 1))

    def summary(self) -> dict[str, Any]:
        """Figures; None where nothing could be compared."""
        if not self.compared.any():
            return dict.fromkeys(("pixels", "rms_error", "bias", "sigma_median", "pull_std"))
        off = (self.share - self.true_share)[self.compared]
        sigma = self.sigma[self.compared]
        return {
            "pixels": int(self.compared.sum()),
            "rms_error": float(np.sqrt(np.mean(off**2))),
            "bias": float(off.mean()),
            "sigma_median": float(np.median(sigma)),
            "pull_std": float(np.std(off / sigma)),
        }


def map_against(
    x: Array, y: Array, result: Any, model: Any, *, align: bool, edge_um: float = EDGE_UM
) -> MapAgainst:
    """Lay a map beside the truth.

    Parameters
    ----------
    x, y : ndarray [nx], [ny]
        Pixels (µm).
    result : OxidationResult
        Map of two species, the most oxidised first.
    model : PtychoModel
        The sample that was there.
    align : bool
        Whether the truth may be moved, by what the thickness says.
    edge_um : float
        Pixels nearer (µm) than this to bare membrane are not compared.
    """
    from scipy.ndimage import binary_erosion

    share = np.where(result.mask, 1.0 - result.fraction, np.nan)
    sigma = np.where(result.mask, result.sigma, np.nan)
    thickness = np.where(np.isfinite(result.thickness), result.thickness, 0.0)
    shift = _offset(x, y, thickness, model) if align else (0.0, 0.0)
    truth = model.truth(x - shift[0], y - shift[1])
    reach = int(np.ceil(edge_um / abs(x[1] - x[0])))
    inside = truth.thickness > THICK_UM
    if reach:
        inside = binary_erosion(inside, iterations=reach)
    compared = inside & np.isfinite(share) & (sigma > 0)
    return MapAgainst(x, y, share, sigma, truth.fraction, truth.thickness, compared, shift)


def _offset(x: Array, y: Array, thickness: Array, model: Any) -> tuple[float, float]:
    """By how much the truth has to be moved; farther than a few pixels it is another particle."""
    from ..analysis.ptychography import shift_between

    truth = model.truth(x, y).thickness
    if not (truth.any() and thickness.any()):
        return 0.0, 0.0
    thickness = np.nan_to_num(thickness)
    moved = shift_between(truth, np.clip(thickness, 0.0, truth.max()), largest=5.0)
    pixel = float(abs(x[1] - x[0]))
    return moved.dx * pixel, moved.dy * pixel


@dataclass(frozen=True)
class Preview:
    """A picture while frames came.

    Attributes
    ----------
    places, of : int
        In the picture, and of all at this energy.
    likeness : float
        Correlation with the truth where there was light.
    """

    places: int
    of: int
    likeness: float


def likeness(image: Any, model: Any) -> float:
    """Correlation of an image with the truth, amplitude or phase, as coarse as an eye sees it.

    Over what has a tenth of the light of the middle.
    """
    from scipy.ndimage import gaussian_filter

    covered = image.covered
    if covered.any():
        covered = covered & (image.coverage > 0.1 * np.median(image.coverage[covered]))
    if covered.sum() < 100:
        return float("nan")
    true = true_object(image, model)
    found = image.object * np.exp(-1j * np.angle(np.vdot(true[covered], image.object[covered])))
    best = -1.0
    for part in (np.abs, np.angle):
        coarse = [gaussian_filter(part(one), 2.0)[covered] for one in (found, true)]
        best = max(best, float(np.corrcoef(*coarse)[0, 1]))
    return best


def true_object(image: Any, model: Any) -> NDArray[np.complex64]:
    """What is true on the grid of an image, complex transmission [ny, nx]."""
    from scipy.ndimage import map_coordinates

    wave = model.object_at(image.energy_ev)
    grid = model.grid(image.energy_ev)
    at = np.meshgrid(
        (image.y_um - grid.y0_um) / grid.pixel_um,
        (image.x_um - grid.x0_um) / grid.pixel_um,
        indexing="ij",
    )
    return np.asarray(map_coordinates(wave, at, order=3, mode="constant", cval=1.0))


def first_recognisable(previews: Sequence[Preview], least: float = 0.8) -> Preview | None:
    """The first picture that is like the truth."""
    return next((one for one in previews if one.likeness >= least), None)


@dataclass(frozen=True, eq=False)
class ProfileAgainst:
    """A particle's profile, its fits, and what is true in the same bins.

    Attributes
    ----------
    found : ParticleFits
    true_mean : ndarray [k]
        Mean of the true share, behind the same blur, over each bin's pixels, with the profile's
        weights.
    """

    found: Any
    true_mean: Array

    @property
    def pulls(self) -> Array:
        """Found less true over σ, by bin: that of the mean and of where the edge is."""
        profile = self.found.profile
        return np.asarray((profile.mean - self.true_mean) / profile.sigma_with_edge())

    def summary(self) -> dict[str, Any]:
        """Plain figures."""
        found, pulls = self.found, self.pulls[np.isfinite(self.pulls)]
        low, high = found.interval
        return {
            "radius_nm": 1e3 * found.profile.outline.radius,
            "bins": int(pulls.size),
            "pull_rms": None if not pulls.size else float(np.sqrt(np.mean(pulls**2))),
            "error_max": _or_none(np.nanmax(np.abs(found.profile.mean - self.true_mean))),
            "preferred": found.preferred,
            "delta_aic": _or_none(found.delta_aic),
            "d_cm2_s": _or_none(1e4 * found.d),
            "d_low_cm2_s": _or_none(1e4 * low),
            "d_high_cm2_s": _or_none(1e4 * high),
            "refused": found.refused,
        }


def seen_share(share: Array, thickness: Array, fwhm_um: float, pixel_um: float) -> Array:
    """What a microscope sees of a true share: amounts are blurred, not shares [ny, nx].

    Parameters
    ----------
    share, thickness : ndarray [ny, nx]
        NaN or 0 on bare membrane.
    fwhm_um : float
        Full width at half maximum of its blur (µm).
    pixel_um : float
    """
    from scipy.ndimage import gaussian_filter

    spread = fwhm_um / math.sqrt(8 * math.log(2)) / pixel_um
    there = np.nan_to_num(thickness)
    blurred = gaussian_filter(there, spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = gaussian_filter(there * np.nan_to_num(share), spread) / blurred
    return np.where(blurred > LEAST_UM, seen, np.nan)


def profile_against(found: Any, true_share: Array) -> ProfileAgainst:
    """Lay a profile beside the truth.

    Parameters
    ----------
    found : ParticleFits
    true_share : ndarray [ny, nx]
        On the map that the profile was taken from; NaN on bare membrane (see `seen_share`).
    """
    profile = found.profile
    distance = profile.outline.distance
    weights = np.where(np.isfinite(true_share), profile.weights, 0.0)
    share = np.where(np.isfinite(true_share), true_share, 0.0)
    bins = np.digitize(np.where(np.isfinite(distance), distance, -1.0), profile.edges) - 1
    mean = np.full(len(profile.mean), np.nan)
    for k in range(len(mean)):
        inside = bins == k
        total = weights[inside].sum()
        if total > 0:
            mean[k] = (weights[inside] * share[inside]).sum() / total
    return ProfileAgainst(found, mean)


def _or_none(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
