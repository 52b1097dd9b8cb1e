"""From sums to maps: coefficients, fraction, and what counting statistics say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_CONDITION", "Solver", "scaled_condition"]

Array = NDArray[np.float64]
MAX_CONDITION = 1e3
"""Condition number, columns scaled to one, beyond which references count as collinear: noise of
0.1 % in the optical density is then of the order of the coefficients themselves."""
HIGH_OD = 2.0
"""Optical density above which a pixel is flagged."""


def scaled_condition(design: Array) -> float:
    """Condition number of the design matrix with columns scaled to unit length."""
    norm = np.linalg.norm(design, axis=0)
    if len(design) < design.shape[1] or not (norm > 0).all():
        return float("inf")
    return float(np.linalg.cond(design / norm))


@dataclass(frozen=True, eq=False)
class Solver:
    """Least squares for all pixels that share a set of energies.

    An energy's weight goes with its dwell and is the same for all pixels: ``c = G^-1 A^T W y``
    with ``G = A^T W A``. This is within 1 % of the Cramér-Rao bound for optical densities up to
    1, and 15 % at 2.5. Its covariance is the sandwich ``G^-1 A^T W V W A G^-1`` with the pixel's
    own counting variances V on the diagonal, which is right whatever the weights. I0's variance,
    shared by all pixels, adds to V.

    Attributes
    ----------
    design : numpy.ndarray [n, K+1]
        Rows of the design matrix for the energies present.
    species : int
        Leading columns that are species.
    i0_variance : numpy.ndarray [n]
        Variance of ln I0 at these energies.
    weight : numpy.ndarray [n]
        Of each energy.
    """

    design: Array
    species: int
    i0_variance: Array
    weight: Array

    @cached_property
    def solvable(self) -> bool:
        """Whether the energies determine the coefficients."""
        return scaled_condition(self.design) < MAX_CONDITION

    @cached_property
    def gain(self) -> Array:
        """``G^-1 A^T W`` [K+1, n]: what an optical density adds to the coefficients."""
        rows = self.design * self.weight[:, None]
        return np.asarray(np.linalg.solve(rows.T @ self.design, rows.T))

    @cached_property
    def _from_second(self) -> Array:
        """[3, pairs]: variance of c_0, 2 cov(c_0, S) and variance of S from the sums of variances.

        Of the thickness ``S = sum c_j`` of the species.
        """
        rows = self.design * self.weight[:, None]
        inverse = np.linalg.inv(rows.T @ self.design)
        one, total = inverse[0], inverse[: self.species].sum(axis=0)
        a, b = np.triu_indices(len(inverse))
        both = np.where(a == b, 0.5, 1.0)
        return np.array(
            [f * both * (u[a] * v[b] + u[b] * v[a])
             for f, u, v in ((1.0, one, one), (2.0, one, total), (1.0, total, total))]
        )  # fmt: skip

    @cached_property
    def _shared(self) -> Array:
        """The same [3] of I0's variance, which all pixels share."""
        one, total = self.gain[0], self.gain[: self.species].sum(axis=0)
        return np.array([one * one, 2.0 * one * total, total * total]) @ self.i0_variance

    def maps(self, c: NDArray, second: NDArray, into: Mapping[str, NDArray]) -> None:
        """Write the maps of a block of P pixels.

        ``var f = (var c_0 - 2 f cov(c_0, S) + f^2 var S) / S^2`` of the fraction ``f = c_0 / S``.

        Parameters
        ----------
        c : numpy.ndarray [K or more, P]
            Coefficients, the species first; NaN in pixels without a value.
        second : numpy.ndarray [pairs, P]
            ``sum_k w_k^2 a_ki a_kj V_k`` of each pair of columns i <= j, with the counting variance
            V_k of the optical density, I0's left out.
        into : mapping
            ``fraction, sigma, thickness, thickness_sigma`` [P].
        """
        dtype = second.dtype
        total, fraction, sigma = into["thickness"], into["fraction"], into["sigma"]
        if self.species == 1:
            np.copyto(total, c[0])
        else:
            np.add(c[0], c[1], out=total)
            for j in range(2, self.species):
                total += c[j]
        one, both, of_total = covariance = self._from_second.astype(dtype) @ second
        covariance += self._shared.astype(dtype)[:, None]
        np.divide(c[0], total, out=fraction)
        np.multiply(of_total, fraction, out=sigma)
        sigma -= both
        sigma *= fraction
        sigma += one
        np.maximum(sigma, 0.0, out=sigma)  # rounding
        np.sqrt(sigma, out=sigma)
        sigma /= np.abs(total, out=both)
        np.sqrt(of_total, out=into["thickness_sigma"])
