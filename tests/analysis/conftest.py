from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass
class Toner:
    counts: np.ndarray
    energies: np.ndarray
    design: np.ndarray
    i0: np.ndarray


@pytest.fixture(scope="session")
def toner(shared_data) -> Toner:
    h5py = pytest.importorskip("h5py")
    with h5py.File(shared_data / "toner_fe_l" / "71214078.h5") as f:
        counts = f["counts"][:]
        design = np.column_stack([f["oxidized"][:, 1], f["reduced"][:, 1], np.ones(len(counts))])
        return Toner(counts, f["energy"][:], design, f["i0"][:, 1] * f["dwell"][()])


@dataclass
class Synthetic:
    """A stack of known truth: particles on a blank, two species of Gaussian white lines."""

    design: np.ndarray
    fraction: np.ndarray
    thickness: np.ndarray
    od: np.ndarray
    i0: np.ndarray

    def counts(self, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
        return rng.poisson(scale * self.i0[:, None, None] * np.exp(-self.od)).astype(float)


def make_stack(
    n_energies: int = 24, shape: tuple[int, int] = (48, 48), i0: float = 5e3, thick: float = 1.0
) -> Synthetic:
    energy = np.linspace(636.0, 660.0, n_energies)

    def peak(center: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((energy - center) / width) ** 2)

    step = 1.0 / (1.0 + np.exp(-(energy - 642.0)))
    design = np.column_stack(
        [
            peak(643.3, 0.9) + 0.4 * peak(641.2, 0.7) + 0.3 * step,
            peak(641.8, 0.9) + 0.5 * peak(653.0, 1.2) + 0.3 * step,
            np.ones(n_energies),
        ]
    )
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 0.3 * min(shape)
    fraction = 0.2 + 0.6 * x / shape[1]
    thickness = np.where(inside, thick, 0.0)
    od = np.einsum(
        "kj,jyx->kyx",
        design,
        np.stack([fraction * thickness, (1 - fraction) * thickness, 0.2 * thickness]),
    )
    i0_of_energy = i0 * (1.0 + 0.1 * np.sin(np.arange(n_energies)))
    return Synthetic(design, fraction, thickness, od, i0_of_energy)


@pytest.fixture(scope="session")
def stack() -> Synthetic:
    return make_stack()
