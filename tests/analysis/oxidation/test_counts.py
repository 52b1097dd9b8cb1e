from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import Detector, dead_time_corrected, log_variance


def _observed(rate: float, dwell: float, dead: float, n: int, rng: np.random.Generator):
    """Counts of a non-paralyzable detector, photon by photon."""
    counts = np.zeros(n, dtype=int)
    clock = -dead * np.ones(n)  # alive at the start of each dwell
    clock[:] = 0.0
    while True:
        arrival = clock + rng.exponential(1.0 / rate, n)
        alive = arrival < dwell
        if not alive.any():
            return counts
        counts += alive
        clock = np.where(alive, arrival + dead, np.inf)


@pytest.mark.parametrize("dead", [0.0, 1e-7, 4e-7])
def test_dead_time_restores_the_rate_and_its_variance(dead):
    rng = np.random.default_rng(1)
    rate, dwell = 1e6, 1e-3
    observed = _observed(rate, dwell, dead, 4000, rng).astype(float)
    corrected = dead_time_corrected(observed, dwell, dead)
    assert corrected.mean() == pytest.approx(rate * dwell, rel=2e-3)
    predicted = np.mean(log_variance(observed))
    assert np.log(corrected).var() == pytest.approx(predicted, rel=0.08)


def test_detector_dead_all_the_time_is_nan():
    assert np.isnan(dead_time_corrected([1000.0], 1e-3, 1e-6)[0])
    assert np.isnan(dead_time_corrected([np.nan], 1e-3, 1e-6)[0])


@pytest.mark.parametrize(
    ("dwell", "dead", "field"),
    [(1.0, -1.0, "dead_time"), (1.0, np.nan, "dead_time"), (None, 1e-6, "dwell"), (0, 1, "dwell")],
)
def test_bad_input_is_named(dwell, dead, field):
    with pytest.raises(ValueError, match=field):
        dead_time_corrected([1.0], dwell, dead)


def test_detector_limits():
    assert Detector().limit(1e-3) == np.inf
    assert Detector(saturation=1e6).limit(None) == np.inf
    assert Detector(saturation=1e6).limit(1e-3) == pytest.approx(1000)
    assert Detector(dead_time=1e-6, saturation=5e6).limit(1e-3) == pytest.approx(1000)
    with pytest.raises(ValueError, match=r"saturation is -1"):
        Detector(saturation=-1)
