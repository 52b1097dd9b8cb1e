"""Modes of the beam: what partial coherence makes of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["orthogonal", "with_modes"]

_NEW = 0.02
"""Share of the light that a new mode begins with."""


def orthogonal(probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Modes at right angles with the same sum of intensities, the strongest first.

    Only their density matrix is measured: P. Thibault, A. Menzel, Nature 494 (2013) 68.
    """
    if len(probe) == 1:
        return probe
    flat = probe.reshape(len(probe), -1)
    _, turn = np.linalg.eigh(flat @ flat.conj().T)
    return (turn.conj().T[::-1] @ flat).reshape(probe.shape).astype(np.complex64)


def with_modes(probe: NDArray[np.complex64], modes: int) -> NDArray[np.complex64]:
    """As many modes as wanted: the strongest of those there are, and derivatives of the first.

    In first order a source of finite size adds the beam's derivatives along x and y.
    """
    have = orthogonal(probe)[:modes]
    if len(have) == modes:
        return have
    down, right = np.gradient(have[0])
    new = [right, down, *(np.gradient(v, axis=a) for v, a in ((right, 1), (down, 0), (right, 0)))]
    more = (new * 2)[: modes - len(have)]
    light = float(np.sum(np.abs(have) ** 2))
    scaled = [v * np.sqrt(_NEW * light / np.sum(np.abs(v) ** 2)) for v in more]
    return np.concatenate([have, np.array(scaled)]).astype(np.complex64)
