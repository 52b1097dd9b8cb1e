"""An I0 that was measured elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number, as_numbers

__all__ = ["I0Error", "I0Spectrum"]

Array = NDArray[np.float64]
TOLERANCE = 1e-3
"""eV that an energy may lie outside the spectrum."""


class I0Error(ValueError):
    """An I0 that does not suit a stack."""


@dataclass(frozen=True, eq=False)
class I0Spectrum:
    """Counts without a sample in the beam, measured elsewhere.

    Attributes
    ----------
    energies : numpy.ndarray [n]
        eV, increasing.
    values : numpy.ndarray [n]
        Transmission counts per pixel, or per monitor count, without a sample.
    sigma : numpy.ndarray [n] or None
        Standard deviation of the values; None: taken as exact.
    dwell : float or None
        Counting time of the values per pixel, s; None: that of the stack.
    ratio : bool or None
        Whether the values are per monitor count; None: as the stack needs them.
    source : str
        Where it comes from, for messages.
    partial : bool
        Whether energies outside it are left out; else it is refused for a stack that has any.

    Raises
    ------
    ValueError
        Shapes differ, an energy is not finite or there twice, a value is not a positive number,
        a sigma is negative.
    """

    energies: Array
    values: Array
    sigma: Array | None = None
    dwell: float | None = None
    ratio: bool | None = None
    source: str = "given"
    partial: bool = False

    def __post_init__(self) -> None:
        energies = _numbers("energies", self.energies, "eV")
        values = _numbers("values", self.values, "counts per pixel")
        if len(values) != len(energies) or not energies.size:
            raise ValueError(
                f"i0 has {len(energies)} energies and {len(values)} values; expected as many of "
                "both: (energies in eV, counts per pixel[, sigma])"
            )
        order = np.argsort(energies, kind="stable")
        energies, values = energies[order], values[order]
        twice = np.flatnonzero(np.diff(energies) == 0)
        if twice.size:
            raise ValueError(f"i0 has the energy {energies[twice[0]]:g} eV twice")
        if not (values > 0).all():
            bad = int(np.argmin(values > 0))
            raise ValueError(
                f"i0 = {values[bad]:g} at {energies[bad]:g} eV must be greater than 0 counts"
            )
        sigma = None
        if self.sigma is not None:
            sigma = _numbers("sigma", self.sigma, "counts per pixel")
            if len(sigma) != len(values):
                raise ValueError(f"i0 has {len(sigma)} sigma, but {len(values)} values")
            sigma = sigma[order]
            if not (sigma >= 0).all():
                raise ValueError(f"i0 has a sigma of {sigma.min():g} counts; it must be >= 0")
        if self.dwell is not None:
            object.__setattr__(self, "dwell", as_number("i0's dwell", self.dwell, "s", above=0))
        if self.ratio is not None and not isinstance(self.ratio, (bool, np.bool_)):
            raise ValueError(f"i0's ratio = {self.ratio!r} must be True, False or None")
        for name, value in (("energies", energies), ("values", values), ("sigma", sigma)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, value: Any) -> I0Spectrum:
        """A spectrum from itself, or from (energies, values) or (energies, values, sigma)."""
        if isinstance(value, cls):
            return value
        parts = tuple(value) if isinstance(value, Iterable) else ()
        if len(parts) not in (2, 3):
            raise ValueError(
                f"i0 has {len(parts)} parts; expected (energies in eV, counts per pixel) or "
                "(energies, counts, sigma)"
            )
        return cls(*parts)

    def at(self, energies: ArrayLike, dwell: ArrayLike | None) -> tuple[Array, Array]:
        """Ln I0 and its variance at a stack's energies (eV) and dwell (s; one, or one for each).

        Interpolated linearly, never extrapolated; sigma is interpolated as the values are, since
        neighbours of a smooth spectrum err together. NaN outside a `partial` one.

        Raises
        ------
        I0Error
            It does not cover the energies and is not partial, or its dwell is known and the
            stack's is not.
        """
        wanted = np.asarray(energies, dtype=np.float64)
        low, high = float(self.energies[0]), float(self.energies[-1])
        outside = ~self.covers(wanted)
        if outside.any() and not self.partial:
            raise I0Error(
                f"i0 covers {low:g} to {high:g} eV, but the stack goes from {wanted.min():g} to "
                f"{wanted.max():g} eV ({int(outside.sum())} energies are not covered)"
            )
        values = np.interp(wanted, self.energies, self.values)
        relative = np.zeros_like(values)
        if self.sigma is not None:
            relative = np.interp(wanted, self.energies, self.sigma) / values
        if self.dwell is not None and not self.ratio:
            if dwell is None:
                raise I0Error("i0 has a dwell, but the stack has none to compare it with")
            values = values * (np.asarray(dwell, dtype=np.float64) / self.dwell)
        found, variance = np.log(values), relative**2
        found[outside] = variance[outside] = np.nan
        return found, variance

    def covers(self, energies: ArrayLike) -> NDArray[np.bool_]:
        """Which energies (eV) lie within it."""
        wanted = np.asarray(energies, dtype=np.float64)
        low, high = self.energies[0] - TOLERANCE, self.energies[-1] + TOLERANCE
        return np.asarray((wanted >= low) & (wanted <= high))

    def holds(self, energies: ArrayLike) -> NDArray[np.bool_]:
        """Which energies (eV) it has a value of its own for, not one between two."""
        wanted = np.asarray(energies, dtype=np.float64)
        nearest = np.abs(self.energies[:, None] - wanted).min(axis=0)
        return np.asarray(nearest <= TOLERANCE)


def _numbers(name: str, values: Any, unit: str) -> Array:
    return np.array(as_numbers(f"i0's {name}", values, unit))
