"""What the electrode emits: fluorescence, Raman losses, elastic light, oxidised oxygen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ....data import get_edge, load_lines
from ._absorption import METALS, Shells, electrode_shells, yield_of
from ._emission import GRID, add_peak

__all__ = ["ELASTIC_SIGMA", "FEATURE", "Electrode", "line_energy"]

Array = NDArray[np.float64]

FEATURE = (531.0, 0.45, 523.7, 0.45)
"""Oxidised oxygen: excitation and emission (eV), each with its standard deviation."""

ELASTIC_SIGMA = 0.12
"""Width of the light from the monochromator (eV, standard deviation)."""

_ELASTIC = 8e-4  # 1/µm, cross-section of diffuse elastic light
_LOW_LOSS = 0.15  # photons near the elastic line over those in the feature
_LL_SHARE = {"L3": 0.10, "L2": 0.076}  # xraydb
# loss (eV), width (eV), weight: quasi-elastic, d-d excitations, charge transfer
_RAMAN = ((0.0, ELASTIC_SIGMA, 0.14), (1.9, 0.55, 0.38), (3.3, 0.8, 0.23), (7.0, 2.2, 0.25))
# position against the line (eV), width (eV), weight
_O_RESONANT = ((1.0, 0.85, 0.86), (-2.6, 1.1, 0.14))
_O_NORMAL = ((0.7, 1.05, 0.62), (-2.0, 1.3, 0.30), (-4.2, 1.6, 0.08))
_O_NORMAL_FROM = (533.6, 0.7)  # eV, excitation above which the whole valence band emits
_L_NORMAL = ((0.0, 1.2, 0.85), (-3.0, 2.0, 0.15))
_K_NORMAL = ((0.0, 1.8, 1.0),)
_LL_NORMAL = ((0.0, 1.8, 1.0),)

_Shape = tuple[tuple[float, float, float], ...]
Peak = tuple[Any, float, Any]
"""Middle (eV), standard deviation (eV) and area (1/µm)."""


def _band(line: float, shape: _Shape, area: Any) -> Iterator[Peak]:
    for offset, sigma, weight in shape:
        yield line + offset, sigma, weight * area


@cache
def line_energy(name: str) -> float:
    """Energy of a fluorescence line (eV), from the shipped table.

    Lη, which the table leaves out, lies above Ll by the distance of the two edges.
    """
    element, line = name.split()
    if line != "Ln":
        return load_lines()[name].energy_ev
    low, high = get_edge(f"{element} L3").edge_ev
    return load_lines()[f"{element} Ll"].energy_ev + high - low


@cache
def _coster_kronig(element: str) -> float:
    import xraydb

    return float(xraydb.ck_probability(element, "L2", "L3"))


@dataclass(frozen=True)
class Electrode:
    """An electrode of the Li-rich oxide, thick and flat, light in and out at 45°.

    Parameters
    ----------
    fractions : tuple of (str, float)
        Oxidised share of each edge's element.
    feature : float
        Strength of the oxidised-oxygen feature: the photons at its excitation maximum over those
        of the O K band there. 0: none.
    """

    fractions: tuple[tuple[str, float], ...]
    feature: float = 0.0

    @property
    def shells(self) -> Shells:
        return electrode_shells(self.fractions)

    def peaks(self, energy: Any, feature: float | None = None) -> Iterator[Peak]:
        """What is emitted, peak by peak: middle (eV), standard deviation (eV), area (1/µm).

        Parameters
        ----------
        energy : float or ndarray
            Excitation (eV); middle and area have its shape.
        feature : float, optional
            Instead of the electrode's own.
        """
        shells = self.shells
        for shell in ("C K", "F K"):
            area = shells.part(shell, energy) * yield_of(shell)
            yield from _band(line_energy(shell), _K_NORMAL, area)
        yield from self._oxygen(energy, self.feature if feature is None else feature)
        for metal in METALS:
            yield from self._metal(metal, energy)
        yield energy, ELASTIC_SIGMA, _ELASTIC

    def source(self, energy: float, feature: float) -> Array:
        """Radiative part of the absorption before self-absorption (1/µm per cell), [m]."""
        out = np.zeros(len(GRID))
        *inelastic, elastic = self.peaks(energy, feature)
        for centre, sigma, area in inelastic:
            add_peak(out, centre, sigma, area)
        # what is emitted cannot have more energy than what came in
        out *= ndtr((energy + 3 * ELASTIC_SIGMA - GRID.centers) / ELASTIC_SIGMA)
        add_peak(out, *elastic)
        return out

    def _oxygen(self, energy: Any, feature: float) -> Iterator[Peak]:
        shells, line = self.shells, line_energy("O K")
        area = shells.part("O K", energy) * yield_of("O K")
        normal = ndtr((energy - _O_NORMAL_FROM[0]) / _O_NORMAL_FROM[1])
        yield from _band(line, _O_NORMAL, normal * area)
        yield from _band(line, _O_RESONANT, (1 - normal) * area)
        excitation, width, emission, sigma = FEATURE
        top = shells.part("O K", excitation) * yield_of("O K")
        near = np.exp(-0.5 * ((energy - excitation) / width) ** 2)
        yield emission, sigma, feature * top * near
        yield energy - 0.3, 0.25, _LOW_LOSS * feature * top * near
        # the pre-edge states also scatter without loss
        yield energy, ELASTIC_SIGMA, 0.04 * (1 - normal) * area

    def _metal(self, metal: str, energy: Any) -> Iterator[Peak]:
        shells = self.shells
        ck = _coster_kronig(metal)
        l3 = shells.part(f"{metal} L3", energy)
        l2 = shells.part(f"{metal} L2", energy)
        for level, line, low, holes, moved in (
            ("L3", "La", "Ll", l3, ck * l2),
            ("L2", "Lb", "Ln", (1 - ck) * l2, 0.0),
        ):
            rate = yield_of(f"{metal} {level}")
            above = energy - shells.maxima[f"{metal} {level}"]
            raman = 0.10 + 0.50 / (1 + np.exp(np.clip((above - 3.0) / 1.2, -50, 50)))
            to_s = _LL_SHARE[level]
            hot = holes * rate * (1 - to_s) * raman
            for loss, sigma, weight in _RAMAN:
                yield energy - loss, sigma, hot * weight
            cold = rate * (1 - to_s) * (holes * (1 - raman) + moved)
            yield from _band(line_energy(f"{metal} {line}"), _L_NORMAL, cold)
            s_line = rate * to_s * (holes + moved)
            yield from _band(line_energy(f"{metal} {low}"), _LL_NORMAL, s_line)

    def emitted(self, energy: float, damage: float = 1.0) -> Array:
        """Emission of the thick sample per cell (arbitrary units), [m].

        ``source(E) / (mu(energy) + mu(E))``: light that enters and leaves at the same angle
        (Achkar et al., Sci. Rep. 1, 182 (2011)). `damage` scales the oxidised-oxygen feature.
        """
        return self.source(energy, self.feature * damage) / (
            self.shells.absorption(energy) + self._mu_out()
        )

    def _mu_out(self) -> Array:
        return _mu_out(self.fractions)


@cache
def _mu_out(fractions: tuple[tuple[str, float], ...]) -> Array:
    return electrode_shells(fractions).absorption(GRID.centers)
