"""The sample stage: where it was told to be, where it is, and where it says it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import finite

__all__ = ["Positions", "Stage"]

Array = NDArray[np.float64]


class Positions(NamedTuple):
    """Positions along a line (µm), each [nx]."""

    measured_x: Array  #: what the interferometer reads
    measured_y: Array
    actual_x: Array  #: where on the sample the beam is
    actual_y: Array


@dataclass(frozen=True)
class Stage:
    """Following error, interferometer noise and drift.

    Parameters
    ----------
    following_um : float
        Amplitude of the smooth following error (µm).
    jitter_um : float
        Random error of the position, pixel to pixel (µm, standard deviation).
    noise_um : float
        Noise of the interferometer (µm, standard deviation).
    drift_um_per_h : (float, float)
        Drift of the sample that the interferometer does not see, x and y (µm/h).

    Raises
    ------
    ValueError
        A value is NaN, negative (drift may be) or beyond 1 µm (drift: 1000 µm/h).
    """

    following_um: float = 0.0015
    jitter_um: float = 0.0005
    noise_um: float = 0.0005
    drift_um_per_h: tuple[float, float] = field(default=(0.0, 0.0))

    def __post_init__(self) -> None:
        finite("stage.following", self.following_um, "µm", 0, 1)
        finite("stage.jitter", self.jitter_um, "µm", 0, 1)
        finite("stage.noise", self.noise_um, "µm", 0, 1)
        for axis, value in zip("xy", self.drift_um_per_h, strict=True):
            finite(f"stage.drift_{axis}", value, "µm/h", -1000, 1000)

    def positions(
        self, x_um: ArrayLike, y_um: ArrayLike, t_s: float, rng: np.random.Generator
    ) -> Positions:
        """Positions of a line driven to nominal positions (µm, [nx]) at a time (s)."""
        x = np.atleast_1d(np.asarray(x_um, dtype=float))
        y = np.broadcast_to(np.asarray(y_um, dtype=float), x.shape)
        # pickup of the mains is slow beside a pixel, and its phase differs from line to line
        phase = 2 * np.pi * (x / 1.7 + 0.37 * t_s)
        error_x = self.following_um * np.sin(phase)
        error_y = self.following_um * np.cos(0.6 * phase + 1.0)
        random = rng.standard_normal((4, x.size))
        stage_x = x + error_x + self.jitter_um * random[0]
        stage_y = y + error_y + self.jitter_um * random[1]
        drift_x, drift_y = (d * t_s / 3600.0 for d in self.drift_um_per_h)
        return Positions(
            stage_x + self.noise_um * random[2],
            stage_y + self.noise_um * random[3],
            stage_x - drift_x,
            stage_y - drift_y,
        )
