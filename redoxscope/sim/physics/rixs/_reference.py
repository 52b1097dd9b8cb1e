"""What the reference sample emits: a mixture with lines from carbon to copper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ....data import load_lines
from ._electrode import ELASTIC_SIGMA
from ._emission import GRID, add_peak

__all__ = ["ReferenceMixture"]

Array = NDArray[np.float64]

# line: edge that must be passed (eV), detected photons at 1000 eV (per cent), width (eV, sigma)
_LINES = {
    "C K": (284.2, 6.0, 1.8), "N K": (401.6, 7.0, 1.5), "O K": (532.0, 17.0, 1.3),
    "Mn La": (638.7, 6.0, 1.2), "Mn Lb": (649.9, 1.2, 1.3),
    "Fe Ll": (706.8, 1.2, 1.6), "Fe La": (706.8, 12.0, 1.2), "Fe Lb": (719.9, 2.0, 1.3),
    "Co La": (778.1, 6.0, 1.2), "Co Lb": (793.2, 1.2, 1.3),
    "Ni Ll": (852.7, 1.2, 1.6), "Ni La": (852.7, 12.0, 1.2), "Ni Lb": (870.0, 2.0, 1.3),
    "Cu Ll": (932.7, 1.0, 1.6), "Cu La": (932.7, 12.0, 1.2), "Cu Lb": (952.3, 2.0, 1.3),
}  # fmt: skip
_ELASTIC = 10.0  # per cent, at any energy
_FALL = -2.5  # power of the energy with which absorption above an edge falls


@dataclass(frozen=True)
class ReferenceMixture:
    """Mixture whose lines are each as strong as the absorption of its edge.

    Attributes
    ----------
    shifts : mapping of str to float
        Distance of a line from the energy that the table gives (eV).
    """

    shifts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def shifted(cls, error: float, rng: np.random.Generator) -> ReferenceMixture:
        """Lines off the table by `error` times its standard uncertainties."""
        table = load_lines()
        return cls(
            {n: error * table[n].uncertainty_ev * float(rng.standard_normal()) for n in _LINES}
        )

    @property
    def lines(self) -> dict[str, float]:
        """True energy of each line (eV)."""
        table = load_lines()
        return {name: table[name].energy_ev + self.shifts.get(name, 0.0) for name in _LINES}

    def emitted(self, energy: float, damage: float = 1.0) -> Array:
        """Detected photons per cell at 1000 eV in per cent, [m]; `damage` does not matter here."""
        out = np.zeros(len(GRID))
        for name, centre in self.lines.items():
            edge, percent, sigma = _LINES[name]
            open_ = float(ndtr((energy - edge) / 1.0)) * (energy / 1000.0) ** _FALL
            add_peak(out, centre, sigma, percent * open_)
        add_peak(out, energy, ELASTIC_SIGMA, _ELASTIC)
        return out
