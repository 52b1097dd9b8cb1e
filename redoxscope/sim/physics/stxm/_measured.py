"""A measured stack served as a beamline: the real counts, through the same interface."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....data import References, references_from_h5
from ....inputs import axis_problem
from .._checks import finite
from ._stage import Positions

__all__ = ["MeasuredStack"]

Array = NDArray[np.float64]


def _read(f: Any, path: Path, name: str, expected: str, ndim: int) -> Array:
    item = f.get(name)
    if item is None:
        raise ValueError(f"sample file {path}: dataset {name!r} is missing; expected {expected}")
    shape = getattr(item, "shape", None)
    if shape is None or len(shape) != ndim:
        raise ValueError(
            f"sample file {path}: dataset {name!r} has shape {shape}; expected {expected}"
        )
    try:
        values = np.asarray(item[()], dtype=float)
    except (TypeError, ValueError) as e:
        raise ValueError(
            f"sample file {path}: dataset {name!r} holds no numbers ({item.dtype}); "
            f"expected {expected}"
        ) from e
    return values


def _axis(f: Any, path: Path, name: str, unit: str, n: int) -> Array:
    expected = f"[{n}] {unit}, strictly increasing"
    values = _read(f, path, name, expected, 1)
    if values.size != n:
        raise ValueError(
            f"sample file {path}: dataset {name!r} has shape {values.shape}; expected {expected}, "
            "as many as 'counts' has"
        )
    problem = axis_problem(values, unit)
    if problem is not None:
        raise ValueError(f"sample file {path}: dataset {name!r} {problem[1]}; expected {expected}")
    return values


def _dwell(f: Any, path: Path, n: int) -> Array:
    """Time per pixel (ms) of each image; one number is that of all."""
    if getattr(f.get("dwell"), "shape", ()) == ():
        return np.full(n, float(_read(f, path, "dwell", "a number, ms", 0)))
    values = _read(f, path, "dwell", f"a number or [{n}] ms", 1)
    if values.size != n:
        raise ValueError(
            f"sample file {path}: dataset 'dwell' has shape {values.shape}; expected a number or "
            f"[{n}] ms"
        )
    return values


def _nearest(axis: Array, values: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Index of the nearest grid value, and whether it is within half a step."""
    right = np.clip(np.searchsorted(axis, values), 1, axis.size - 1)
    index = np.where(values - axis[right - 1] <= axis[right] - values, right - 1, right)
    step = np.diff(axis)
    below = values < axis[index]
    local = step[np.clip(np.where(below, index - 1, index), 0, step.size - 1)]
    # exactly half way is still on one of the two; a NaN is nowhere
    return index, np.abs(values - axis[index]) <= 0.5 * local * (1 + 1e-9)


class MeasuredStack:
    """A measured energy stack in the place of the model.

    Parameters
    ----------
    path : path
        HDF5 file with ``counts`` [nE, ny, nx], ``energy`` [nE] (eV), ``x`` [nx] and ``y`` [ny]
        (µm), ``dwell`` (ms; one number, or [nE]), and, where they are known, ``ring_current`` [nE]
        (mA), ``oxidized`` and ``reduced`` [n, 2] (eV, optical density of an end member).

    Raises
    ------
    ValueError
        The file cannot be read, or a dataset is missing or misshaped; the message names file,
        dataset and what was expected.

    Notes
    -----
    Focus, shutter noise and stage errors do not exist here: the counts are what was measured,
    and the positions those of the file.
    """

    has_monitor = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise ValueError(f"sample file {self.path}: there is no such file")
        try:
            with h5py.File(self.path, "r") as f:
                counts = _read(f, self.path, "counts", "[nE, ny, nx] counts", 3)
                if min(counts.shape) < 2:
                    raise ValueError(
                        f"sample file {self.path}: dataset 'counts' has shape {counts.shape}; "
                        "expected [nE, ny, nx], at least 2 of each"
                    )
                n_e, n_y, n_x = counts.shape
                energies = _axis(f, self.path, "energy", "eV", n_e)
                x = _axis(f, self.path, "x", "µm", n_x)
                y = _axis(f, self.path, "y", "µm", n_y)
                dwell = _dwell(f, self.path, n_e)
                current = None
                if "ring_current" in f:
                    current = _read(f, self.path, "ring_current", f"[{n_e}] mA", 1)
                    if current.size != n_e:
                        raise ValueError(
                            f"sample file {self.path}: dataset 'ring_current' has shape "
                            f"{current.shape}; expected [{n_e}] mA"
                        )
        except OSError as e:
            raise ValueError(f"sample file {self.path} cannot be read as HDF5: {e}") from e
        for value in dwell:
            if not (np.isfinite(value) and value > 0):
                raise ValueError(
                    f"sample file {self.path}: dataset 'dwell' = {value:g} ms; expected above 0 ms"
                )
        self._counts, self.energies, self.x, self.y = counts, energies, x, y
        self.dwells_s = dwell * 1e-3
        self._current = current

    @property
    def dwell_s(self) -> float:
        """Longest time per pixel (s), which may differ from image to image: `dwells_s` [nE]."""
        return float(self.dwells_s.max())

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @property
    def region_um(self) -> tuple[float, float, float, float]:
        """The whole grid: centre x, y and size x, y (µm), half a pixel beyond the outer centres."""
        step_x, step_y = np.diff(self.x).mean(), np.diff(self.y).mean()
        return (
            float(self.x[0] + self.x[-1]) / 2,
            float(self.y[0] + self.y[-1]) / 2,
            float(self.x[-1] - self.x[0] + step_x),
            float(self.y[-1] - self.y[0] + step_y),
        )

    def references(self) -> References:
        """The end members in the file (OD; shown above 0.3 end members).

        Raises
        ------
        ValueError
            The file holds none, or they are misshaped.
        """
        return references_from_h5(self.path, ("oxidized", "reduced"), unit="OD")

    def truth(self, *_: object) -> None:
        """None: of a measured sample the truth is not known."""
        return None

    def _energy(self, energy_ev: float) -> int:
        index, ok = _nearest(self.energies, np.array([float(energy_ev)]))
        if not ok[0]:
            raise ValueError(
                f"energy = {energy_ev:g} eV is not on the {self.energies.size} energies of "
                f"{self.path.name}, {self.energies[0]:g}..{self.energies[-1]:g} eV (within half a "
                "step)"
            )
        return int(index[0])

    def prepare(self, energy_ev: float, zp_z_um: float | None = None) -> None:
        """Do nothing: there is nothing to compute, and any energy may be passed through."""

    def positions(
        self, x_um: ArrayLike, y_um: ArrayLike, t_s: float, zp_z_um: float | None = None
    ) -> Positions:
        """The nominal positions (µm): the grid of the file has no errors to add."""
        x = np.atleast_1d(np.asarray(x_um, dtype=float))
        y = np.array(np.broadcast_to(np.asarray(y_um, dtype=float), x.shape))
        return Positions(x, y, x, y)

    def ring_current(
        self, t_s: float, energy_ev: float | None = None, beam_on: bool = True
    ) -> float:
        """Ring current (mA) when the image of an energy was taken; NaN where it is not known."""
        if not beam_on:
            return 0.0
        if self._current is None or energy_ev is None:
            return float("nan")
        index, ok = _nearest(self.energies, np.array([float(energy_ev)]))
        return float(self._current[index[0]]) if ok[0] else float("nan")

    def line(
        self,
        energy_ev: float,
        zp_z_um: float | None,
        x_um: ArrayLike,
        y_um: ArrayLike,
        dwell_s: float,
        t_s: float,
        shutter_open: bool = True,
        beam_on: bool = True,
        flux_scale: float = 1.0,
    ) -> dict[str, Array]:
        """Measured counts along a line.

        Parameters
        ----------
        energy_ev, x_um, y_um
            Within half a step of the grid (eV, µm); a pixel off the grid is NaN.
        dwell_s : float
            The dwell of the measurement (s), to 0.1 %.
        zp_z_um, t_s
            Not used.
        shutter_open, beam_on, flux_scale
            Without light (shutter closed, no beam, or a scale of 0) the counts are zeros; any
            other scale leaves them as they were measured.

        Returns
        -------
        dict
            ``transmission`` [nx], the values of the file; ``i0`` [nx], NaN: no monitor.

        Raises
        ------
        ValueError
            The energy is off the grid, or the dwell is not that of the measurement.
        """
        finite("dwell", dwell_s, "s", 0, 3600, open_low=True)
        at = self._energy(energy_ev)
        if abs(dwell_s / self.dwells_s[at] - 1) > 1e-3:
            raise ValueError(
                f"dwell = {dwell_s:g} s is not {self.dwells_s[at]:g} s, at which {self.path.name} "
                "was measured"
            )
        x = np.atleast_1d(np.asarray(x_um, dtype=float))
        y = np.broadcast_to(np.asarray(y_um, dtype=float), x.shape)
        image = self._counts[at]
        ix, ok_x = _nearest(self.x, x)
        iy, ok_y = _nearest(self.y, y)
        dark = not (shutter_open and beam_on and flux_scale > 0)
        counts = np.zeros(x.size) if dark else image[iy, ix]
        return {
            "transmission": np.where(ok_x & ok_y, counts, np.nan),
            "i0": np.full(x.size, np.nan),
        }

    def monitor(
        self, energy_ev: float, dwell_s: float, t_s: float, flux_scale: float = 1.0
    ) -> float:
        """NaN: a measured stack has no monitor."""
        return float("nan")

    def point(
        self,
        energy_ev: float,
        zp_z_um: float | None,
        x_um: float,
        y_um: float,
        dwell_s: float,
        t_s: float,
        shutter_open: bool = True,
        beam_on: bool = True,
        flux_scale: float = 1.0,
    ) -> dict[str, float]:
        """Counts at one position: :meth:`line` with one pixel, as plain numbers."""
        got = self.line(
            energy_ev, zp_z_um, x_um, y_um, dwell_s, t_s, shutter_open, beam_on, flux_scale
        )
        return {key: float(values[0]) for key, values in got.items()}
