"""Photons as columns: what the stream, the files and the analysis hand to each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["LiveBatch", "Photons"]


@dataclass(frozen=True)
class Photons:
    """Photons of a microcalorimeter array, one column per quantity, each [n].

    Attributes
    ----------
    pixel : numpy.ndarray of uint16
        Channel number of the pixel, as files and Dastard's channel names have it (not the
        index that Dastard's messages carry).
    time_ns : numpy.ndarray of int64
        When the pulse was triggered, ns since 1970 on the server's clock.
    filtered : numpy.ndarray of float32
        Filtered pulse height (arbitrary units), before any correction.
    pretrigger : numpy.ndarray of float32
        Mean of the record before the pulse (arbitrary units); the gain drifts with it.
    energy : numpy.ndarray of float32
        Energy (eV); NaN where it is not known.
    """

    pixel: NDArray[np.uint16]
    time_ns: NDArray[np.int64]
    filtered: NDArray[np.float32]
    pretrigger: NDArray[np.float32]
    energy: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.time_ns)

    def __getitem__(self, index: slice | NDArray) -> Photons:
        """Photons of a slice, a mask or an array of positions."""
        return Photons(*(getattr(self, f.name)[index] for f in fields(self)))

    def with_energy(self, energy: NDArray[np.float32]) -> Photons:
        """The same photons with other energies (eV)."""
        return replace(self, energy=np.asarray(energy, np.float32))

    @classmethod
    def empty(cls) -> Photons:
        """No photon."""
        return cls.of((), (), (), ())

    @classmethod
    def of(
        cls,
        pixel: object,
        time_ns: object,
        filtered: object,
        pretrigger: object,
        energy: object | None = None,
    ) -> Photons:
        """Photons from anything that makes columns; without energies they are NaN."""
        time = np.asarray(time_ns, np.int64)
        return cls(
            np.asarray(pixel, np.uint16),
            time,
            np.asarray(filtered, np.float32),
            np.asarray(pretrigger, np.float32),
            np.full(len(time), np.nan, np.float32)
            if energy is None
            else np.asarray(energy, np.float32),
        )

    @classmethod
    def concatenate(cls, parts: Iterable[Photons]) -> Photons:
        """All photons of the parts, in their order."""
        whole = [part for part in parts if len(part)]
        if not whole:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, f.name) for p in whole]) for f in fields(cls)))


@dataclass(frozen=True)
class LiveBatch:
    """Photons of the point under way, as they come; for display, the event has the last word.

    Attributes
    ----------
    point : int
        ``tes_point`` of the point.
    point_start_ns : int
        Start of its window, ns since 1970 on the server's clock.
    pixel : numpy.ndarray of uint16 [n]
        Channel numbers.
    energy : numpy.ndarray of float32 [n]
        Energies (eV).
    local_time : numpy.ndarray of float64 [n]
        When each photon happened (s since 1970) on this machine's clock.
    """

    point: int
    point_start_ns: int
    pixel: NDArray[np.uint16]
    energy: NDArray[np.float32]
    local_time: NDArray[np.float64]
