"""Diffusion or core and shell: both models fitted to profiles, and D with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ...inputs import as_number
from ._forward import FWHM, Seen, Setting, edge_shift, seen, thickness_misfit
from ._models import SHAPES
from ._types import CORE_SHELL, DIFFUSION, Fit, Fits, ParticleFits, Profile

__all__ = ["Limits", "fit_profiles"]

Array = NDArray[np.float64]

PARAMETERS = 3
UNLIKELY = 1e-3
"""Akaike weight below which a shape has no say, whatever its interval is."""
HALVES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Half-thicknesses of a section over the radius that are tried where nobody knows it."""


@dataclass(frozen=True)
class Limits:
    """When there is no D, and how well is known what is taken for known.

    Attributes
    ----------
    bins : int
        Fewest bins of a profile.
    resolved : float
        Least √(Dt) over the resolution.
    contrast : float
        Least difference between surface and bulk, in its standard deviations.
    aic : float
        By how much the AIC of core and shell may be smaller.
    spread : float
        Largest standard deviation of ln D by noise.
    chi2_red : float
        Reduced chi-square from which on a fit is doubted.
    fraction : float
        How far below 0 and above 1 a fraction may be, for references are not perfect.
    resolution : float
        Relative standard deviation of the resolution.
    edge : float
        Standard deviation of the edge (pixels).
    section : float
        Relative standard deviation of the thickness of the section.
    """

    bins: int = 6
    resolved: float = 0.7
    contrast: float = 3.0
    aic: float = 2.0
    spread: float = 0.8
    chi2_red: float = 2.0
    fraction: float = 0.1
    resolution: float = 0.2
    edge: float = 0.2
    section: float = 0.1


def fit_profiles(
    profiles: Sequence[Profile],
    *,
    time: float,
    resolution: float,
    shape: str | None = "sphere",
    section: float | None = None,
    time_sigma: float = 0.0,
    limits: Limits | None = None,
) -> Fits:
    """Fit diffusion from the surface, and a core with a shell, to the profiles of particles.

    Parameters
    ----------
    profiles : sequence of Profile
    time : float
        How long the change has gone on (s).
    resolution : float
        Full width at half maximum of the map's blur (um): of the zone plate's spot; for a
        reconstruction about 1.2 half-pitches.
    shape : {"sphere", "cylinder"} or None
        What the particles are; None: both are tried, and D has their difference in its sigma.
    section : float, optional
        Thickness (um) of the section of which the particles are part. Where not given, the form
        of the thickness map says it; without that map the particles are taken for whole.
    time_sigma : float
        Standard deviation of ``time`` (s).
    limits : Limits, optional

    Returns
    -------
    Fits

    Raises
    ------
    ValueError
        One of them is no such number, or there is no profile.

    Notes
    -----
    For each length bulk and surface are linear and solved for, with the covariance of the bins;
    the interval is where chi-square rises by 1 (by its reduced value, where that is larger).
    What is taken for known (edge, resolution, radius, section) is changed by its own standard
    deviation, and the changes of ln D are added in quadrature. Shapes are averaged with Akaike's
    weights (Burnham and Anderson, Model Selection and Multimodel Inference, 2002, section 4.3).
    """
    limits = limits or Limits()
    time = as_number("time", time, "s", above=0)
    resolution = as_number("resolution", resolution, "um", above=0)
    time_sigma = as_number("time_sigma", time_sigma, "s", at_least=0)
    if section is not None:
        section = as_number("section", section, "um", above=0)
    if shape is not None and shape not in SHAPES:
        raise ValueError(f"shape = {shape!r} must be one of {', '.join(SHAPES)}, or None for both")
    if not profiles:
        raise ValueError("profiles is empty: no single whole particle was found")
    known = _Known(
        time, time_sigma / time, resolution, SHAPES if shape is None else (shape,), section, limits
    )
    return _together(tuple(_particle(p, known) for p in profiles), known)


@dataclass(frozen=True)
class _Known:
    time: float
    time_sigma_ln: float
    resolution: float
    shapes: tuple[str, ...]
    section: float | None
    limits: Limits


@dataclass(frozen=True)
class _Solved:
    """Chi-square of a model against its length, and the best of it."""

    fit: Fit
    sigma_ln: float  # of the length


def _particle(profile: Profile, known: _Known) -> ParticleFits:
    limits = known.limits
    number = len(profile.mean)
    if number < limits.bins:
        return ParticleFits(
            profile, None, None,
            refused=f"the profile has {number} bins of {profile.outline.pixel:g} um or more; "
            f"{limits.bins} are needed",
        )  # fmt: skip
    whitened = _Whitened.of(profile)
    found = []
    for shape in known.shapes:
        setting, half_sigma = _setting(profile, shape, known)
        diffusion = whitened.solve(DIFFUSION, setting, limits)
        shell = whitened.solve(CORE_SHELL, setting, limits)
        found.append((setting, half_sigma, diffusion, shell))
    best = min(found, key=lambda each: each[2].fit.aic)
    shell = min((each[3] for each in found), key=lambda each: each.fit.aic)
    together = ParticleFits(profile, best[2].fit, shell.fit)
    refused, doubts = _judged(together, whitened, known)
    if refused:
        return replace(together, refused=refused, doubts=doubts)
    # Each shape with its own changes; then the shapes among each other.
    aic = np.array([each[2].fit.aic for each in found])
    weights = np.exp((aic.min() - aic) / 2)
    weights /= weights.sum()
    likely = np.flatnonzero(weights > UNLIKELY)
    found, weights = [found[k] for k in likely], weights[likely] / weights[likely].sum()
    ln, variance = [], []
    for setting, half_sigma, diffusion, _ in found:
        if not math.isfinite(diffusion.sigma_ln):
            reason = f"√(Dt) is bounded only from one side if it is a {setting.shape}"
            return replace(together, refused=reason, doubts=doubts)
        ln.append(2 * math.log(diffusion.fit.length))
        variance.append(_model_variance(whitened, setting, half_sigma, diffusion, known))
    mean = float(weights @ np.array(ln))
    among = float(weights @ (np.array(variance) + (np.array(ln) - mean) ** 2))
    model = math.sqrt(among + known.time_sigma_ln**2)
    noise = 2 * float(weights @ np.array([each[2].sigma_ln for each in found]))
    return replace(
        together,
        d=math.exp(mean) * 1e-12 / known.time,
        sigma_ln=math.hypot(noise, model),
        sigma_noise=noise,
        sigma_model=model,
        doubts=doubts,
    )


def _setting(profile: Profile, shape: str, known: _Known) -> tuple[Setting, float]:
    """What is taken for known of a particle, and the deviation of its half-thickness."""
    blur = known.resolution / FWHM
    outline = profile.outline

    def of(half: float) -> Setting:
        setting = Setting(shape, half, outline.radius, 0.0, blur)
        for _ in range(2):
            edge = edge_shift(outline.level, setting, outline.pixel)
            setting = setting.but(edge=edge, radius=max(outline.radius - edge, outline.pixel))
        return setting

    if shape == "cylinder":
        return of(1.0), 0.0
    if known.section is not None:
        # Two digits: particles of about one size share their tables.
        half = float(f"{min(1.0, known.section / 2 / outline.radius):.2g}")
        return of(half), known.limits.section * half if half < 1 else 0.0
    if profile.thickness is None:
        return of(1.0), 0.0
    tried = [of(half) for half in HALVES]
    misfit = np.array([thickness_misfit(profile, each) for each in tried])
    likely = np.exp((misfit.min() - misfit) / 2 / max(1.0, misfit.min() / len(profile.mean)))
    likely /= likely.sum()
    mean = float(likely @ np.array(HALVES))
    sigma = math.sqrt(float(likely @ (np.array(HALVES) - mean) ** 2))
    return tried[int(misfit.argmin())], max(round(sigma, 2), 0.05)


def _judged(
    particle: ParticleFits, whitened: _Whitened, known: _Known
) -> tuple[str, tuple[str, ...]]:
    """Why there is no D, and what speaks against it."""
    limits, fit = known.limits, particle.diffusion
    assert fit is not None
    flat = whitened.flat_chi2 - fit.chi2
    resolution = max(known.resolution, particle.profile.outline.pixel)
    nm = 1e3
    if flat / max(1.0, fit.chi2_red) < limits.contrast**2:
        return (
            "the fraction does not change with the distance from the edge: "
            f"{math.sqrt(max(0.0, flat)):.1f} σ (at least {limits.contrast:g})",
            (),
        )
    if fit.length < limits.resolved * resolution:
        return (
            f"√(Dt) = {nm * fit.length:.2g} nm (68 %: {nm * fit.low:.2g} to {nm * fit.high:.2g}) "
            f"is too short for a resolution of {nm * resolution:.2g} nm "
            f"(at least {limits.resolved:g} of it)",
            (),
        )
    if not math.isfinite(fit.high) or fit.low <= 0:
        side = "below" if fit.low > 0 else "above"
        return (f"√(Dt) = {nm * fit.length:.2g} nm is bounded only from {side}", ())
    spread = math.log(fit.high / fit.low)  # half of it, and D is a square
    if spread > limits.spread:
        return (
            f"noise leaves D within a factor of {math.exp(spread):.2g} only "
            f"(at most {math.exp(limits.spread):.2g}): √(Dt) is {nm * fit.low:.2g} to "
            f"{nm * fit.high:.2g} nm",
            (),
        )
    if particle.delta_aic < -limits.aic:
        return (
            f"a core with a shell describes it better: AIC smaller by {-particle.delta_aic:.1f}",
            (),
        )
    doubts = []
    if abs(particle.delta_aic) < limits.aic:
        doubts.append(f"the AIC does not decide between the models: {particle.delta_aic:+.1f}")
    if fit.chi2_red > limits.chi2_red:
        doubts.append(f"diffusion describes the profile only roughly: χ²/ν = {fit.chi2_red:.1f}")
    return "", tuple(doubts)


def _model_variance(
    whitened: _Whitened, setting: Setting, half_sigma: float, nominal: _Solved, known: _Known
) -> float:
    """Variance of ln D by what is taken for known, each changed to both sides."""
    limits, outline = known.limits, whitened.profile.outline
    edge = limits.edge * outline.pixel
    blur = limits.resolution * setting.blur
    radius = abs(outline.radius - outline.inscribed) / 2
    changes: list[tuple[Setting, ...]] = [
        (setting.but(edge=setting.edge - edge, radius=setting.radius + edge),
         setting.but(edge=setting.edge + edge, radius=setting.radius - edge)),
        (setting.but(blur=setting.blur - blur), setting.but(blur=setting.blur + blur)),
        (setting.but(radius=setting.radius - radius), setting.but(radius=setting.radius + radius)),
    ]  # fmt: skip
    if half_sigma:
        changes.append(tuple(setting.but(half=h) for h in _sides(setting.half, half_sigma)))
    total = 0.0
    for sides in changes:
        ln = [
            2 * math.log(whitened.solve(DIFFUSION, each, limits, nominal.fit.length).fit.length)
            for each in sides
        ]
        middle = 2 * math.log(nominal.fit.length)
        # The mean of both squares: both sides may lie on one side of the middle.
        total += sum((each - middle) ** 2 for each in ln) / len(ln)
    return total


def _sides(half: float, sigma: float) -> list[float]:
    """Half-thicknesses (radii) by one deviation less and more, as far as there is such a section:
    at an end of the range the other side alone tells the change.
    """
    least = min(0.05, half / 2)
    return [side for side in (half - sigma, half + sigma) if least <= side <= 1] or [least, 1.0]


@dataclass(frozen=True)
class _Whitened:
    """A profile whose bins are made independent, each with a deviation of 1."""

    profile: Profile
    lower: Array
    y: Array
    one: Array

    @classmethod
    def of(cls, profile: Profile) -> _Whitened:
        covariance = profile.covariance
        # Bins of smooth noise are nearly the same: rounding must not make that negative.
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
        lower = linalg.cholesky(correlation + 1e-6 * np.eye(len(scale)), lower=True)
        lower = scale[:, None] * lower
        y, one = (
            linalg.solve_triangular(lower, v, lower=True)
            for v in (profile.mean, np.ones(len(scale)))
        )
        return cls(profile, lower, y, one)

    @property
    def flat_chi2(self) -> float:
        """Chi-square of one fraction for all bins."""
        y, one = self.y, self.one
        return float(y @ y - (y @ one) ** 2 / (one @ one))

    def solve(
        self, model: str, setting: Setting, limits: Limits, around: float | None = None
    ) -> _Solved:
        """The best length, with bulk and surface solved for at each."""
        each = seen(self.profile, model, setting, around)
        bulk, surface, chi2 = self._all(each, limits)
        best = int(chi2.argmin())
        n = len(self.y)
        smallest = float(chi2[best])
        rise = max(1.0, smallest / max(1, n - PARAMETERS))
        low, high = _crossings(np.log(each.length), chi2 - smallest - rise, best)
        curve = bulk[best] + (surface[best] - bulk[best]) * each.share[:, best]
        fit = Fit(
            model, setting.shape, float(each.length[best]), math.exp(low), math.exp(high),
            float(bulk[best]), float(surface[best]), smallest, n, PARAMETERS,
            smallest + 2 * PARAMETERS, curve,
        )  # fmt: skip
        return _Solved(fit, (high - low) / 2)

    def _all(self, each: Seen, limits: Limits) -> tuple[Array, Array, Array]:
        """Bulk, surface and chi-square at every length."""
        share = linalg.solve_triangular(self.lower, each.share, lower=True)
        rest = self.one[:, None] - share  # model: bulk * rest + surface * share
        rr, ss, rs = (rest**2).sum(0), (share**2).sum(0), (rest * share).sum(0)
        ry, sy = self.y @ rest, self.y @ share
        determinant = rr * ss - rs**2
        with np.errstate(invalid="ignore", divide="ignore"):
            bulk = (ss * ry - rs * sy) / determinant
            surface = (rr * sy - rs * ry) / determinant
            low, high = -limits.fraction, 1 + limits.fraction
            # Where one of them is no fraction it is held at its limit.
            held = np.clip(bulk, low, high)
            surface = np.where(held != bulk, (sy - rs * held) / ss, surface)
            bulk = held
            held = np.clip(surface, low, high)
            bulk = np.clip(np.where(held != surface, (ry - rs * held) / rr, bulk), low, high)
            surface = held
        left = self.y[:, None] - bulk * rest - surface * share
        return bulk, surface, np.nan_to_num((left**2).sum(0), nan=np.inf)


def _crossings(ln: Array, above: Array, best: int) -> tuple[float, float]:
    """Where chi-square has risen, on both sides of the best; infinite where it never does."""
    out = []
    for step, end in ((-1, -math.inf), (1, math.inf)):
        side = above[best::step]
        at = int(np.argmax(side > 0))
        if side[at] <= 0:
            out.append(end)
            continue
        x = ln[best::step]
        part = side[at - 1] / (side[at - 1] - side[at])
        out.append(float(x[at - 1] + part * (x[at] - x[at - 1])))
    return out[0], out[1]


def _together(particles: tuple[ParticleFits, ...], known: _Known) -> Fits:
    """One D of all particles that have one."""
    good = [p for p in particles if not p.refused]
    if not good:
        reasons = "; ".join(f"particle {p.profile.outline.label}: {p.refused}" for p in particles)
        return Fits(particles, known.time, math.nan, math.nan, reasons)
    ln = np.log([p.d for p in good])
    own = np.array([p.sigma_noise**2 for p in good])
    # Scatter between particles beyond their noise (DerSimonian and Laird, 1986).
    w = 1 / own
    mean = float(w @ ln / w.sum())
    q = float(w @ (ln - mean) ** 2)
    freedom = w.sum() - (w**2).sum() / w.sum()
    between = max(0.0, (q - (len(good) - 1)) / freedom) if len(good) > 1 else 0.0
    w = 1 / (own + between)
    mean = float(w @ ln / w.sum())
    # Edge and resolution are judged alike in all particles: their part does not average out.
    model = float(w @ np.array([p.sigma_model for p in good]) / w.sum())
    return Fits(particles, known.time, math.exp(mean), math.hypot(math.sqrt(1 / w.sum()), model))
