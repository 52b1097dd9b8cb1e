"""Does the sample change from pass to pass?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from redoxscope.documents import Window

from ._counts import RixsCounts

__all__ = ["DamageSentinel", "DamageVerdict", "PassComparison", "Trend", "compare_passes", "trend"]


@dataclass(frozen=True)
class PassComparison:
    """Two passes, point by point.

    Attributes
    ----------
    first, second : int
        Passes, from 0.
    window : Window
    chi2 : float
        Sum of z² over the points that both have photons at.
    dof : int
        How many points those are.
    p_value : float
        Probability of such a chi2 or a larger one where nothing changed; 1 without points.
    """

    first: int
    second: int
    window: Window
    chi2: float
    dof: int
    p_value: float

    @property
    def significance(self) -> float:
        """The probability as standard deviations of a normal distribution."""
        return float(stats.norm.isf(self.p_value))


@dataclass(frozen=True)
class Trend:
    """How a yield changes from pass to pass.

    Attributes
    ----------
    window : Window
    slope, sigma : float
        Relative change per pass, and its standard deviation; NaN where it cannot be said.
    passes : numpy.ndarray of int [n]
        Passes it rests on.
    value, value_sigma : numpy.ndarray [n]
        Yield of each over that of all, at the points it has; for display.
    """

    window: Window
    slope: float
    sigma: float
    passes: NDArray[np.intp]
    value: NDArray[np.float64]
    value_sigma: NDArray[np.float64]

    @property
    def significance(self) -> float:
        """Slope over its standard deviation; NaN where it cannot be said."""
        return self.slope / self.sigma if self.sigma > 0 else math.nan


@dataclass(frozen=True)
class DamageVerdict:
    """What the sentinel says.

    Attributes
    ----------
    damaged : bool
        A limit was passed.
    message : str
        In words, for the user.
    comparisons : tuple of PassComparison
    trends : tuple of Trend
    worst : float
        Largest significance found (standard deviations); NaN where there is nothing to compare.
    """

    damaged: bool
    message: str
    comparisons: tuple[PassComparison, ...]
    trends: tuple[Trend, ...]
    worst: float


def compare_passes(
    counts: RixsCounts, first: int, second: int, window: Window | str = "TFY"
) -> PassComparison:
    """Compare two passes: sum of z² over the points against chi-square.

    With n photons at a point in both passes together, the first has a binomial number A of them
    with ``q = t_a / (t_a + t_b)``, t the exposures. ``z = (A - n q) / sqrt(n q (1 - q))`` has mean
    0 and variance 1 for any n, which ``(A/t_a - B/t_b)`` over its estimated error has only for
    many. The noise of the monitor adds ``(n q (1 - q))² (v_a + v_b)`` to the variance, v its
    relative variance. For few photons z² scatters less than a chi-square of one degree of
    freedom; the sum's own variance sets the distribution that the probability is taken from
    (a scaled chi-square of the same mean and variance).

    Parameters
    ----------
    counts : RixsCounts
    first, second : int
        Passes, from 0.
    window : Window or str
        Of emission.

    Raises
    ------
    ValueError
        No such pass, or the window is one of excitation or reaches beyond the spectra.
    """
    window = Window.parse(window) if isinstance(window, str) else window
    pair = counts.chosen([first, second])
    n_ab, exposure, variance = _window_counts(counts, window, pair)
    both = np.isfinite(exposure).all(axis=0) & (n_ab.sum(axis=0) > 0)
    dof = int(both.sum())
    if not dof:
        return PassComparison(first, second, window, 0.0, 0, 1.0)
    n_ab, exposure = n_ab[:, both], exposure[:, both]
    n = n_ab.sum(axis=0)
    q = exposure[0] / exposure.sum(axis=0)
    binomial = n * q * (1 - q)
    total = binomial + binomial**2 * variance[:, both].sum(axis=0)
    chi2 = float(((n_ab[0] - n * q) ** 2 / total).sum())
    excess = (1 - 6 * q * (1 - q)) / binomial * (binomial / total) ** 2
    spread = float((2 + excess).sum())
    if spread <= 1e-9 * dof:  # one photon per point and equal exposures: nothing can be seen
        return PassComparison(first, second, window, chi2, dof, 1.0)
    scale = spread / (2 * dof)
    p_value = float(stats.chi2.sf(chi2 / scale, dof / scale))
    return PassComparison(first, second, window, chi2, dof, p_value)


def trend(
    counts: RixsCounts, window: Window | str, excitation: tuple[float, float] | None = None
) -> Trend:
    """Relative change of a yield per pass, and its standard deviation.

    The n photons of a point spread over the passes p as a multinomial with probabilities
    ``q_p = t_p / sum t`` where nothing changes. The slope is the score of a linear change,
    ``S = sum N_p (p - <p>)`` over points and passes with ``<p> = sum p q_p``, over
    its information ``sum n var(p)``; a pass that is under way enters with the points it has.

    Parameters
    ----------
    counts : RixsCounts
    window : Window or str
        Of emission.
    excitation : (float, float), optional
        Only points with excitation energies in this range (eV).

    Raises
    ------
    ValueError
        The window is one of excitation or reaches beyond the spectra.
    """
    window = Window.parse(window) if isinstance(window, str) else window
    n, exposure, variance = _window_counts(counts, window, list(range(counts.passes)))
    if excitation is not None:
        low, high = excitation
        exposure[:, (counts.energies < low) | (counts.energies > high)] = np.nan
    known = np.isfinite(exposure)
    n = np.where(known, n, 0)
    weight = np.where(known, exposure, 0.0)
    several = known.sum(axis=0) > 1
    n, weight, variance = n[:, several], weight[:, several], variance[:, several]
    q = weight / weight.sum(axis=0)
    number = np.arange(counts.passes, dtype=float)[:, None]
    away = number - (number * q).sum(axis=0)
    n_all = n.sum(axis=0)
    information = float((n_all * (q * away**2).sum(axis=0)).sum())
    used = np.flatnonzero((weight > 0).any(axis=1))
    expected = (n_all * q)[used].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = n[used].sum(axis=1) / expected
        value_sigma = np.sqrt(np.maximum(n[used].sum(axis=1), 1)) / expected
    if not information > 0:
        return Trend(window, math.nan, math.nan, used, value, value_sigma)
    slope = float((n * away).sum()) / information
    by_monitor = float(((n_all * q * away) ** 2 * variance).sum())
    sigma = math.sqrt(information + by_monitor) / information
    return Trend(window, slope, sigma, used, value, value_sigma)


class DamageSentinel:
    """Watches the passes of a run for a change of the sample.

    Parameters
    ----------
    windows : sequence of Window or str
        What to watch; by default the total yield.
    excitation : dict of str to (float, float), optional
        For windows by name, the excitation energies to take the trend over (eV): where
        the feature shows.
    limit : float
        Standard deviations from which on a change counts as damage. A live run looks at it
        again and again, so it should be well above 3.

    Raises
    ------
    ValueError
        The limit is not above 0, or a window is none of emission.
    """

    def __init__(
        self,
        windows: Sequence[Window | str] = ("TFY",),
        *,
        excitation: dict[str, tuple[float, float]] | None = None,
        limit: float = 5.0,
    ) -> None:
        if not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"limit = {limit} sigma, but must be finite and above 0 sigma")
        self.windows = tuple(Window.parse(w) if isinstance(w, str) else w for w in windows)
        for window in self.windows:
            if window.in_excitation or window.kind == "iPFY":
                raise ValueError(f"window {window} is no yield that damage can be seen in")
        self.excitation = dict(excitation or {})
        self.limit = limit

    def check(self, counts: RixsCounts) -> DamageVerdict:
        """Compare each pass with each other one, and look for trends.

        Raises
        ------
        ValueError
            A window reaches beyond the spectra.
        """
        begun = np.flatnonzero(counts.measured.any(axis=1)).tolist()
        comparisons = tuple(
            compare_passes(counts, a, b, window)
            for window in self.windows
            for i, a in enumerate(begun)
            for b in begun[i + 1 :]
        )
        trends = tuple(trend(counts, w, self.excitation.get(w.name)) for w in self.windows)
        found = [(c.significance, _of_pair(c)) for c in comparisons if c.dof]
        found += [
            (abs(t.significance), _of_trend(t)) for t in trends if math.isfinite(t.significance)
        ]
        if not found:
            return DamageVerdict(False, "nothing to compare yet", comparisons, trends, math.nan)
        worst, what = max(found)
        damaged = worst >= self.limit
        head = "the sample changes" if damaged else "no change seen"
        message = f"{head}: {what}, {worst:.1f} sigma (limit {self.limit:g})"
        return DamageVerdict(damaged, message, comparisons, trends, worst)


def _of_pair(c: PassComparison) -> str:
    passes = f"passes {c.first + 1} and {c.second + 1}"
    return f"{c.window.name} of {passes} differs, chi2 {c.chi2:.0f} for {c.dof} points"


def _of_trend(t: Trend) -> str:
    return f"{t.window.name} {100 * t.slope:+.2f} ± {100 * t.sigma:.2f} % per pass"


def _window_counts(
    counts: RixsCounts, window: Window, passes: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Photons in the window, exposure (NaN where not measured) and monitor variance, [n, nE]."""
    part = window.slice(counts.bins)
    n = np.stack([counts.spectra[p, :, part].sum(axis=1, dtype=np.int64) for p in passes])
    exposure = counts.exposure[passes]
    exposure[counts.provisional[passes]] = np.nan
    return n, exposure, counts.monitor_variance[passes]
