"""Which emission may serve as an inverse channel (iPFY), and over which scans."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import xraydb
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Window

__all__ = ["channel_absorption", "window_problems"]

# element's line, emission range of its lines (eV), excitation range with structure of its own
# edge (eV); from the tables of edges and emission lines in this folder
_CHANNELS = (
    ("C K", (265.0, 290.0), (280.0, 330.0)),
    ("N K", (383.0, 402.0), (395.0, 440.0)),
    ("O K", (505.0, 535.0), (525.0, 570.0)),
    ("Mn L", (630.0, 655.0), (636.0, 670.0)),
    ("F K", (670.0, 682.0), (683.0, 720.0)),
    ("Fe L", (695.0, 725.0), (704.0, 740.0)),
    ("Co L", (768.0, 798.0), (775.0, 812.0)),
    ("Ni L", (842.0, 875.0), (849.0, 890.0)),
)
ELASTIC = 3.0
"""How near to the excitation energy (eV) scattered light still belongs to it."""


def window_problems(energies: Sequence[float], windows: Iterable[Window | str]) -> tuple[str, ...]:
    """Why some windows mean little over these excitation energies.

    Parameters
    ----------
    energies : sequence of float
        Excitation energies of the scan (eV).
    windows : iterable of Window or str

    Returns
    -------
    tuple of str
        One sentence per problem; empty where there is none. An inverse yield is wrong where the
        scan crosses the edge of its own channel, where scattered light falls into it, and where
        it holds no known line; an XES without energies is empty.

    Raises
    ------
    ValueError
        No energies, or a window that cannot be read.
    """
    if not len(energies):
        raise ValueError("energies is empty; expected excitation energies in eV")
    low, high = min(energies), max(energies)
    problems = []
    for item in windows:
        window = Window.parse(item) if isinstance(item, str) else item
        if window.kind == "iPFY":
            problems += _inverse_problems(window, low, high)
        elif window.in_excitation and not any(window.low <= e <= window.high for e in energies):
            problems.append(f"{window}: none of the excitation energies lies in it")
        elif math.isfinite(window.low) and window.low > high + ELASTIC:
            problems.append(
                f"{window}: nothing is emitted above the highest excitation energy of {high:g} eV"
            )
    return tuple(problems)


def _inverse_problems(window: Window, low: float, high: float) -> list[str]:
    problems = []
    if window.low - ELASTIC < high and low < window.high + ELASTIC:
        problems.append(
            f"{window}: the scan of {low:g} to {high:g} eV brings scattered light into it, so its "
            "inverse is no absorption"
        )
    inside = [c for c in _CHANNELS if c[1][0] < window.high and window.low < c[1][1]]
    if not inside:
        problems.append(f"{window}: no known emission line lies in it")
    for name, _, edge in inside:
        if edge[0] < high and low < edge[1]:
            problems.append(f"{window}: {_crossing(low, high, name, *edge)}")
    return problems


def channel_absorption(window: Window | str, energies: ArrayLike) -> NDArray[np.float64]:
    """Own absorption of an inverse channel over a scan, for `RixsCounts.yields`.

    Away from its edge it falls slowly, by some 15 % over a scan of 40 eV; the inverse yield
    grows by as much.

    Parameters
    ----------
    window : Window or str
        Of kind iPFY.
    energies : array_like of float [nE]
        Excitation energies (eV).

    Returns
    -------
    numpy.ndarray of float [nE]
        Photoabsorption of the element whose line is in the window (xraydb, Elam tables), relative
        to its mean.

    Raises
    ------
    ValueError
        The window is no iPFY, holds no line or those of several elements, or the scan crosses
        the channel's own edge.
    """
    window = Window.parse(window) if isinstance(window, str) else window
    energies = np.asarray(energies, np.float64)
    if window.kind != "iPFY" or not energies.size:
        raise ValueError(f"window {window}: expected an iPFY and excitation energies in eV")
    inside = [c for c in _CHANNELS if c[1][0] < window.high and window.low < c[1][1]]
    if len(inside) != 1:
        lines = ", ".join(c[0] for c in inside) or "no known line"
        raise ValueError(f"window {window} holds {lines}; an inverse channel needs one element's")
    name, _, (low, high) = inside[0]
    if low < energies.max() and energies.min() < high:
        raise ValueError(f"{window}: {_crossing(energies.min(), energies.max(), name, low, high)}")
    absorption = np.asarray(xraydb.mu_elam(name.split()[0], energies, kind="photo"))
    return absorption / absorption.mean()


def _crossing(start: float, stop: float, name: str, low: float, high: float) -> str:
    return (
        f"the scan of {start:g} to {stop:g} eV crosses the {name} edge "
        f"({low:g} to {high:g} eV), whose emission it holds"
    )
