"""Outlines of particles, profiles against the distance from their edge, fits: what they hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CORE_SHELL",
    "DIFFUSION",
    "Fit",
    "Fits",
    "LeftOut",
    "Outline",
    "Outlines",
    "ParticleFits",
    "Profile",
]

Array = NDArray[np.float64]

DIFFUSION, CORE_SHELL = "diffusion", "core-shell"
"""Names of the two models."""


@dataclass(frozen=True)
class Outline:
    """One particle in a map.

    Attributes
    ----------
    label : int
        Its number in the map, from 1 on.
    mask : numpy.ndarray of bool [ny, nx]
        Its pixels, in the whole map.
    distance : numpy.ndarray [ny, nx]
        Distance of each pixel's centre from the particle's edge (um), negative outside; -inf
        far from it.
    pixel : float
        Side of a pixel (um).
    radius : float
        Radius of the circle of the same area (um).
    inscribed : float
        Largest distance from the edge (um); smaller than ``radius`` where it is no circle.
    level : float
        Part of the particle's thickness at which the edge was drawn; NaN where the mask was
        given, and its edge is taken as it is.
    """

    label: int
    mask: NDArray[np.bool_]
    distance: Array
    pixel: float
    radius: float
    inscribed: float
    level: float = math.nan

    def __repr__(self) -> str:
        return f"<Outline {self.label}: radius {1e3 * self.radius:.3g} nm>"

    @property
    def center(self) -> tuple[float, float]:
        """Centre (x, y) in pixels."""
        y, x = np.nonzero(self.mask)
        return float(x.mean()), float(y.mean())


@dataclass(frozen=True)
class LeftOut:
    """Something in the map that is no single whole particle.

    Attributes
    ----------
    mask : numpy.ndarray of bool [ny, nx]
    reason : str
        Why: it touches the map's border, overlaps with another, is too small.
    """

    mask: NDArray[np.bool_]
    reason: str


@dataclass(frozen=True)
class Outlines:
    """What a map holds.

    Attributes
    ----------
    found : tuple of Outline
        Single whole particles, the largest first.
    left_out : tuple of LeftOut
    threshold : float
        Thickness above which there is particle, in the unit of the map.
    """

    found: tuple[Outline, ...]
    left_out: tuple[LeftOut, ...]
    threshold: float

    def __repr__(self) -> str:
        return f"<Outlines: {len(self.found)} particles, {len(self.left_out)} left out>"


@dataclass(frozen=True)
class Profile:
    """Fraction against the distance from the edge, of one particle.

    Attributes
    ----------
    outline : Outline
    edges : numpy.ndarray [k + 1]
        Of the bins (um from the edge).
    distance : numpy.ndarray [k]
        Weighted mean distance of a bin's pixels (um).
    mean : numpy.ndarray [k]
        Mean of the fraction with weights that are 1/σ² but for noise.
    sigma : numpy.ndarray [k]
        Weighted standard error of that, neighbouring pixels' correlation included.
    n : numpy.ndarray of int [k]
        Pixels.
    covariance : numpy.ndarray [k, k]
        Of ``mean``.
    weights : numpy.ndarray [ny, nx]
        Weights of the pixels used, in the whole map; 0 for others.
    thickness : numpy.ndarray [ny, nx] or None
        Thickness map in any unit, that says how a pixel counts where the microscope blurs.
    correlation : float
        Pixels over which noise is correlated: N pixels count as N over this.
    """

    outline: Outline
    edges: Array
    distance: Array
    mean: Array
    sigma: Array
    n: NDArray[np.intp]
    covariance: Array
    weights: Array
    thickness: Array | None
    correlation: float

    def sigma_with_edge(self, edge: float = 0.2) -> Array:
        """σ of each bin with that of its distance: an edge that is off moves all of them.

        Parameters
        ----------
        edge : float
            Standard deviation of the edge (pixels), as `Limits.edge`. It counts with the slope of
            the profile, and is one for all bins.
        """
        if len(self.mean) < 2:
            return self.sigma
        slope = np.gradient(self.mean, self.distance)
        return np.asarray(np.hypot(self.sigma, edge * self.outline.pixel * slope))

    def __repr__(self) -> str:
        return (
            f"<Profile of particle {self.outline.label}: {len(self.mean)} bins, "
            f"{self.mean[0]:.3f} ± {self.sigma[0]:.3f} at the edge, "
            f"{self.mean[-1]:.3f} ± {self.sigma[-1]:.3f} inside>"
        )


@dataclass(frozen=True)
class Fit:
    """One model fitted to one profile.

    Attributes
    ----------
    model : str
        ``"diffusion"`` or ``"core-shell"``.
    shape : str
        ``"sphere"`` or ``"cylinder"``.
    length : float
        What was fitted (um): √(Dt) or the width of the shell.
    low, high : float
        68 % interval of that from noise; 0 or infinite where the data do not bound it.
    bulk, surface : float
        Fraction in the core (at first, for diffusion) and at the surface (in the shell).
    chi2 : float
        With the covariance of the bins.
    n, k : int
        Bins, parameters.
    aic : float
        ``chi2 + 2 k``.
    curve : numpy.ndarray [n]
        The model in the bins.
    """

    model: str
    shape: str
    length: float
    low: float
    high: float
    bulk: float
    surface: float
    chi2: float
    n: int
    k: int
    aic: float
    curve: Array

    @property
    def chi2_red(self) -> float:
        """Reduced chi-square."""
        return self.chi2 / max(1, self.n - self.k)


@dataclass(frozen=True)
class ParticleFits:
    """Both models for one particle, and D where it has one. What is not known is NaN.

    Attributes
    ----------
    profile : Profile
    diffusion, core_shell : Fit or None
        The best of each model; None where nothing could be fitted.
    d : float
        Diffusion coefficient (m²/s) by the diffusion model; NaN where it is refused.
    sigma_ln : float
        Standard deviation of ln D, everything together.
    sigma_noise, sigma_model : float
        Its two parts: noise of the pixels; model (edge, resolution, shape, thickness, time).
    refused : str
        Why there is no D; empty where there is one.
    doubts : tuple of str
        What speaks against it all the same.
    """

    profile: Profile
    diffusion: Fit | None
    core_shell: Fit | None
    d: float = math.nan
    sigma_ln: float = math.nan
    sigma_noise: float = math.nan
    sigma_model: float = math.nan
    refused: str = ""
    doubts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<ParticleFits of particle {self.profile.outline.label}: {_in_words(self)}>"

    @property
    def delta_aic(self) -> float:
        """AIC of core-shell less that of diffusion: positive where diffusion is preferred."""
        if self.diffusion is None or self.core_shell is None:
            return math.nan
        return self.core_shell.aic - self.diffusion.aic

    @property
    def preferred(self) -> str:
        """Name of the model with the smaller AIC; empty where there is none."""
        return _preferred(self.delta_aic)

    @property
    def interval(self) -> tuple[float, float]:
        """68 % interval of D (m²/s), model error included."""
        return _interval(self.d, self.sigma_ln)


@dataclass(frozen=True)
class Fits:
    """Fits of all profiles of a map.

    Attributes
    ----------
    particles : tuple of ParticleFits
    time : float
        How long diffusion went on (s).
    d : float
        D (m²/s) of all particles that have one, weighted; NaN where none has.
    sigma_ln : float
        Standard deviation of ln D: of the mean, the scatter between particles and the common
        part of the model's error included.
    refused : str
        Why there is no D; empty where there is one.
    """

    particles: tuple[ParticleFits, ...]
    time: float
    d: float
    sigma_ln: float
    refused: str = ""

    def __repr__(self) -> str:
        return f"<Fits of {len(self.particles)} particles: {_in_words(self)}>"

    @property
    def delta_aic(self) -> float:
        """Sum over the particles of AIC(core-shell) less AIC(diffusion)."""
        known = [p.delta_aic for p in self.particles if math.isfinite(p.delta_aic)]
        return math.fsum(known) if known else math.nan

    @property
    def preferred(self) -> str:
        """Name of the model that all particles together prefer; empty where there is none."""
        return _preferred(self.delta_aic)

    @property
    def interval(self) -> tuple[float, float]:
        """68 % interval of D (m²/s), model error included."""
        return _interval(self.d, self.sigma_ln)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for a summary: D in cm²/s as papers have it, and its interval."""
        low, high = self.interval
        return {
            "model": self.preferred,
            "delta_aic": self.delta_aic,
            "d_cm2_s": 1e4 * self.d,
            "d_low_cm2_s": 1e4 * low,
            "d_high_cm2_s": 1e4 * high,
            "time_s": self.time,
            "particles": len(self.particles),
            "refused": self.refused,
        }


def _preferred(delta: float) -> str:
    if not math.isfinite(delta):
        return ""
    return DIFFUSION if delta > 0 else CORE_SHELL


def _in_words(fits: ParticleFits | Fits) -> str:
    model = f"{fits.preferred or 'no model'} preferred (ΔAIC {fits.delta_aic:+.1f})"
    if fits.refused:
        return f"{model}, no D: {fits.refused}"
    low, high = fits.interval
    return f"{model}, D = {1e4 * fits.d:.2g} cm²/s ({1e4 * low:.2g} to {1e4 * high:.2g})"


def _interval(d: float, sigma_ln: float) -> tuple[float, float]:
    return d * math.exp(-sigma_ln), d * math.exp(sigma_ln)
