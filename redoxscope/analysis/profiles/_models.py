"""What a beam through a particle sees: diffusion from the surface, and a core with a shell.

Lengths are in radii a of the particle. ``x`` is the distance of the beam from the particle's
axis, 1 - x that from the projected edge. A particle is a sphere cut by a section whose middle is
the sphere's, or a cylinder whose axis is the beam.

The share is 1 at the surface and 0 in a core that nothing has reached; a fraction is
``bulk + (surface - bulk) * share``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["SHAPES", "chord", "core_shell", "diffusion", "diffusion_table"]

Array = NDArray[np.float64]

SHAPES = ("sphere", "cylinder")
MODES = 400
"""Terms of the series: enough for √(Dt) of 0.005 radii."""
NODES = 32
ROOT_TAU = np.geomspace(0.005, 1.5, 64)
"""√(Dt)/a of a table."""
X = 1 - np.linspace(0, 1, 100) ** 2
"""x of a table: dense at the edge, where √(Dt) may be short."""


def chord(x: ArrayLike, shape: str, half: float = 1.0) -> Array:
    """Half the length of the beam's way through the particle, in radii.

    Parameters
    ----------
    x : array_like of float
        Distance from the axis (radii); beyond 1 there is nothing.
    shape : {"sphere", "cylinder"}
    half : float
        Half the thickness of the section over the radius; 1 for a whole sphere.
    """
    at = _array(x)
    if shape == "cylinder":
        return np.where(at < 1, 1.0, 0.0)
    return np.minimum(np.sqrt(np.clip(1 - at**2, 0, None)), half)


def diffusion(x: ArrayLike, root_tau: ArrayLike, shape: str, half: float = 1.0) -> Array:
    """Share along the beam after diffusion from a surface that is kept at 1.

    Parameters
    ----------
    x : array_like of float [n]
        Distance from the axis (radii), 0 to 1.
    root_tau : array_like of float [m]
        √(D t)/a, at least 0.005.
    shape, half
        As for `chord`.

    Returns
    -------
    numpy.ndarray [n, m]
        Mean of the local share over the way of the beam.

    Notes
    -----
    J. Crank, The Mathematics of Diffusion, 2nd ed., Oxford 1975: eq. 6.18 (sphere), 5.22
    (cylinder). Each term of the series is a function of the place times a decay, so the mean
    over the way is taken of these functions once, for all times (Gauss-Legendre).
    """
    at = _array(x).clip(0, 1)
    tau = _array(root_tau) ** 2
    n = np.arange(1.0, MODES + 1)
    rate: Array
    if shape == "cylinder":
        zeros = special.jn_zeros(0, MODES)
        place = 2 * special.j0(np.outer(at, zeros)) / (zeros * special.j1(zeros))
        rate = zeros**2
    else:
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        z = np.outer(chord(at, shape, half), (nodes + 1) / 2)
        r = np.sqrt(at[:, None] ** 2 + z**2)[:, :, None]
        # sin(nπr)/(nπr), which is 1 in the middle.
        place = np.einsum("q,xqn->xn", weights, -((-1.0) ** n) * np.sinc(n * r))
        rate = np.square(n * np.pi)
    return np.clip(1 - place @ np.exp(-np.outer(rate, tau)), 0, 1)


@lru_cache(maxsize=64)
def diffusion_table(shape: str, half: float) -> Array:
    """`diffusion` at every `X` and `ROOT_TAU`."""
    table = diffusion(X, ROOT_TAU, shape, half)
    table.flags.writeable = False
    return table


def core_shell(x: ArrayLike, width: ArrayLike, shape: str, half: float = 1.0) -> Array:
    """Share along the beam of a shell of one width, with a sharp border.

    Parameters
    ----------
    x : array_like of float [n]
        Distance from the axis (radii), 0 to 1.
    width : array_like of float [m]
        Of the shell (radii), 0 to 1.
    shape, half
        As for `chord`.

    Returns
    -------
    numpy.ndarray [n, m]
        1 - (way through the core) / (way through the particle).
    """
    at = _array(x).clip(0, 1)[:, None]
    core = 1 - _array(width)[None, :]
    if shape == "cylinder":
        return np.where(at < core, 0.0, 1.0)
    inner = np.minimum(np.sqrt(np.clip(core**2 - at**2, 0, None)), half)
    outer = chord(at, shape, half)
    # At the very edge there is no way through the core either: all shell.
    return 1 - inner / np.where(outer > 0, outer, 1.0)


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, float)
