"""A sample: maps of thickness and of oxidised thickness on a fine grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ....data import EDGES, continuum, edge_absorption

__all__ = ["PhaseSample"]

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PhaseSample:
    """A sample of one material whose elements are each a mixture of two valences.

    Parameters
    ----------
    name : str
    x0_um, y0_um : float
        Centre of the first pixel (µm).
    pixel_um : float
        Step of the grid in both directions (µm).
    thickness : ndarray [ny, nx]
        µm of material along the beam; zero is bare membrane.
    oxidised : mapping of str to ndarray [ny, nx]
        For an edge, the thickness times the fraction of its oxidised phase (µm). Edges
        left out count as fully oxidised.
    region_um : (float, float, float, float)
        A region worth scanning: centre x, y and size x, y (µm).

    Raises
    ------
    ValueError
        Shapes disagree, a value is not finite, or an oxidised thickness is not within 0 and
        the thickness.

    Notes
    -----
    Outside the grid there is bare membrane.
    """

    name: str
    x0_um: float
    y0_um: float
    pixel_um: float
    thickness: Map
    oxidised: Mapping[str, Map] = field(default_factory=dict)
    region_um: tuple[float, float, float, float] = (0.0, 0.0, 6.0, 6.0)

    def __post_init__(self) -> None:
        thickness = np.ascontiguousarray(self.thickness, dtype=np.float32)
        if thickness.ndim != 2 or min(thickness.shape) < 2:
            raise ValueError(f"sample.thickness has shape {thickness.shape}; expected [ny, nx]")
        if not (np.isfinite(thickness).all() and (thickness >= 0).all()):
            raise ValueError("sample.thickness holds NaN or negative values (µm)")
        if not (np.isfinite([self.x0_um, self.y0_um]).all() and 0 < self.pixel_um < np.inf):
            raise ValueError(
                f"sample grid: x0 = {self.x0_um:g} µm, y0 = {self.y0_um:g} µm and pixel = "
                f"{self.pixel_um:g} µm must be finite, the pixel above 0 µm"
            )
        maps = {}
        for edge, values in self.oxidised.items():
            if edge not in EDGES or not EDGES[edge].species:
                raise ValueError(f"sample.oxidised: no references are shipped for edge {edge!r}")
            part = np.ascontiguousarray(values, dtype=np.float32)
            if part.shape != thickness.shape:
                raise ValueError(
                    f"sample.oxidised[{edge!r}] has shape {part.shape}; expected {thickness.shape}"
                )
            if not ((part >= 0) & (part <= thickness * 1.0001 + 1e-6)).all():  # NaN fails too
                raise ValueError(
                    f"sample.oxidised[{edge!r}] is not within 0 and the thickness (µm)"
                )
            maps[edge] = part
        object.__setattr__(self, "thickness", thickness)
        object.__setattr__(self, "oxidised", maps)

    @property
    def x(self) -> NDArray[np.float64]:
        """Pixel centres (µm), [nx]."""
        return np.asarray(self.x0_um + self.pixel_um * np.arange(self.thickness.shape[1]), float)

    @property
    def y(self) -> NDArray[np.float64]:
        """Pixel centres (µm), [ny]."""
        return np.asarray(self.y0_um + self.pixel_um * np.arange(self.thickness.shape[0]), float)

    def fraction(self, edge: str) -> NDArray[np.float64]:
        """Oxidised fraction of an edge's element, [ny, nx]; NaN on the bare membrane."""
        part = self.oxidised[edge].astype(float)
        out: NDArray[np.float64] = np.full(part.shape, np.nan)
        np.divide(part, self.thickness, out=out, where=self.thickness > 1e-6)
        return out

    def mean_fraction(self, edge: str) -> float:
        """Oxidised fraction, weighted by thickness."""
        return float(self.oxidised[edge].sum(dtype=float) / self.thickness.sum(dtype=float))

    def optical_density(self, energy_ev: float) -> Map:
        """Optical density at an energy (eV), [ny, nx], before any blur.

        Raises
        ------
        ValueError
            The energy is NaN or outside the range of the absorption model.
        """
        base = float(continuum(energy_ev)[0])
        terms: list[tuple[float, Map]] = []
        for name, edge in EDGES.items():
            if not edge.species:
                continue
            most, least = (float(a) for a in edge_absorption(name, energy_ev)[[0, -1], 0])
            part = self.oxidised.get(name)
            if part is None:
                base += most
                continue
            base += least
            if abs(most - least) > 1e-3:  # 1/µm: below 2e-4 of optical density
                terms.append((most - least, part))
        od = self.thickness * np.float32(base)
        for weight, part in terms:
            od += np.float32(weight) * part
        return od
