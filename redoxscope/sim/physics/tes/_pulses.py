"""Pulse shape of a microcalorimeter, and the model that Dastard fits to records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_COEFS", "PulseModel"]

Array = NDArray[np.float64]

N_COEFS = 5
_RISE, _DECAY = 8.0, 90.0  # samples


def _pulse(time: Array, decay: float = _DECAY) -> Array:
    """Two exponentials from time 0 (samples), not scaled."""
    late = np.maximum(time, 0.0)
    return np.asarray(np.exp(-late / decay) - np.exp(-late / _RISE))


@dataclass(frozen=True, eq=False)
class PulseModel:
    """Linear model of a record: level, arrival time, pulse height and two changes of shape.

    Parameters
    ----------
    n_samples, n_presamples : int
        Length of a record and where its trigger is.
    frame_ns : int
        Time of a sample (ns).

    Attributes
    ----------
    basis : ndarray [n_samples, 5]
    projectors : ndarray [5, n_samples]
        ``projectors @ basis`` is the identity. The third coefficient is the filtered value.
    shifted : ndarray [n_samples - n_presamples, 5]
        What a pulse of height 1 adds to the coefficients if it comes this many samples late.
    shifted_residual : ndarray [n_samples - n_presamples]
        What it adds to the standard deviation of the residual.
    filter_noise : float
        Noise of the filtered value over that of a sample.
    """

    n_samples: int = 1024
    n_presamples: int = 259
    frame_ns: int = 4800

    def __post_init__(self) -> None:
        if not 64 <= self.n_presamples + 64 <= self.n_samples:
            raise ValueError(
                f"pulse model: {self.n_samples} samples with {self.n_presamples} before the "
                "trigger leave fewer than 64 after it"
            )
        time: Array = np.arange(self.n_samples, dtype=np.float64) - self.n_presamples
        raw = _pulse(time)
        scale = raw.max()
        pulse = raw / scale
        late = np.gradient(pulse)
        longer = (_pulse(time, 1.1 * _DECAY) - raw) / scale
        curved = np.gradient(late)
        basis = np.stack([np.ones_like(pulse), late, pulse], axis=1)
        for extra in (longer, curved):
            extra = extra - basis @ np.linalg.lstsq(basis, extra, rcond=None)[0]
            basis = np.column_stack([basis, extra / np.linalg.norm(extra)])
        projectors = np.linalg.pinv(basis)
        lags = np.arange(self.n_samples - self.n_presamples)
        moved = np.stack([_pulse(time - lag) / scale for lag in lags], axis=1)
        shifted = (projectors @ moved).T
        residual = moved - basis @ shifted.T
        set_ = object.__setattr__
        set_(self, "basis", basis)
        set_(self, "projectors", projectors)
        set_(self, "shifted", np.ascontiguousarray(shifted))
        set_(self, "shifted_residual", residual.std(axis=0))
        set_(self, "filter_noise", float(np.linalg.norm(projectors[2])))
        after = pulse[self.n_presamples :]
        set_(self, "mean_height", float(after.mean()))
        set_(self, "rms_height", float(np.sqrt((after**2).mean())))

    basis: Array = None  # type: ignore[assignment]
    projectors: Array = None  # type: ignore[assignment]
    shifted: Array = None  # type: ignore[assignment]
    shifted_residual: Array = None  # type: ignore[assignment]
    filter_noise: float = 0.0
    mean_height: float = 0.0
    rms_height: float = 0.0

    @property
    def record_ns(self) -> int:
        """Length of a record (ns)."""
        return self.n_samples * self.frame_ns

    def records(
        self, coefs: Array, residual: Array, rng: np.random.Generator
    ) -> NDArray[np.uint16]:
        """Records whose projections are these coefficients.

        Parameters
        ----------
        coefs : ndarray [n, 5]
        residual : ndarray [n]
            Standard deviation of what the model leaves over.
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of uint16 [n, n_samples]
            Rounded, and cut off at the range of the converter.
        """
        noise = rng.standard_normal((len(coefs), self.n_samples))
        noise -= (noise @ self.projectors.T) @ self.basis.T
        noise *= (np.asarray(residual, float) / noise.std(axis=1))[:, None]
        wave = np.asarray(coefs, float) @ self.basis.T + noise
        return np.clip(np.rint(wave), 0, 65535).astype(np.uint16)
