"""The probe, moved by parts of a pixel, with what its updates need."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arrays import transforms

__all__ = ["EVERY", "Bank"]

EVERY = 32
"""Updates of the object between two of the probe."""


class Bank:
    """Copies of the probe at each part of a pixel, renewed when it changes.

    Moving a probe costs two transforms, as much as an update; kept for 32 updates it costs
    next to nothing.

    Parameters
    ----------
    xp : module
        numpy, or one like it.
    probe : array of complex64 [modes, size, size]
    parts : int
        Parts of a pixel, along each axis.
    alpha : float
        Regularisation of the object's update.
    """

    def __init__(self, xp: Any, probe: Any, parts: int, alpha: float) -> None:
        self._xp, self._parts, self._alpha = xp, parts, alpha
        self._forward, self._inverse = transforms(xp)
        size = probe.shape[-1]
        q = np.fft.fftfreq(size)
        offsets = np.arange(parts) / parts
        ramps = np.exp(-2j * np.pi * offsets[:, None] * q)
        # at Nyquist a part of a pixel has no place of its own: a real factor keeps the shift even
        if size % 2 == 0:
            ramps[:, size // 2] = np.cos(np.pi * offsets)
        both = ramps[:, None, :, None] * ramps[None, :, None, :]
        self._ramps = xp.asarray(both.reshape(-1, 1, size, size).astype(np.complex64))
        self._sums = xp.zeros((parts**2, *probe.shape), dtype=np.complex64)
        self._used = np.zeros(parts**2, dtype=int)
        self._conjugate = xp.empty((size, size), dtype=np.complex64)
        self.replace(probe)

    def replace(self, probe: Any) -> None:
        """Take another probe; what was collected for the old one is dropped."""
        xp = self._xp
        self.probe = probe.astype(np.complex64)
        if self._parts == 1:
            self.waves = self.probe[None].copy()
        else:
            spectrum = self._forward(self.probe.copy())
            self.waves = self._inverse(spectrum[None] * self._ramps)
        light = (xp.abs(self.waves) ** 2).sum(axis=1, keepdims=True)
        peak = light.max()
        self.steps = xp.conj(self.waves) / ((1 - self._alpha) * light + self._alpha * peak)
        self._sums[...] = 0
        self._used[:] = 0

    def collect(self, part: int, change: Any, view: Any, work: Any) -> None:
        """Note what a frame says of the probe: the change of its exit wave, and the object."""
        xp = self._xp
        conjugate = xp.conj(view, out=self._conjugate)
        for mode in range(len(change)):
            self._sums[part, mode] += xp.multiply(change[mode], conjugate, out=work[mode])
        self._used[part] += 1

    def due(self) -> bool:
        """Whether enough is collected."""
        return int(self._used.sum()) >= EVERY

    def update(self, step: float) -> None:
        """Move the probe by the mean of what was collected."""
        xp = self._xp
        total = xp.zeros_like(self.probe)
        for part in np.flatnonzero(self._used):
            if part:
                spectrum = self._forward(self._sums[part].copy())
                spectrum *= xp.conj(self._ramps[part])
                total += self._inverse(spectrum)
            else:
                total += self._sums[0]
        self.replace(self.probe + (step / int(self._used.sum())) * total)
