"""Where a yield is largest, and where it is nowhere."""

import numpy as np
import pytest

from redoxscope.analysis.rixs import find_maximum

ENERGY = np.linspace(770, 790, 201)


def peak(height, centre=780.37, width=1.0):
    return height * np.exp(-0.5 * ((ENERGY - centre) / width) ** 2)


def test_of_a_noisy_peak():
    noise = np.random.default_rng(1).normal(0, 1, 201)
    top = find_maximum(ENERGY, peak(20) + noise, np.ones(201))
    assert top.found
    assert abs(top.energy_ev - 780.37) < 3 * top.sigma_ev
    assert 0.02 < top.sigma_ev < 0.3
    assert top.significance > 20


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_none(seed):
    counts = np.random.default_rng(seed).poisson(12, 201)
    top = find_maximum(ENERGY, counts, np.sqrt(np.maximum(counts, 1)))
    assert not top.found and np.isnan([top.energy_ev, top.sigma_ev]).all()
    assert top.significance < 5
    assert f"only {top.significance:.1f} σ above its median; 5 are needed" in top.reason


def test_an_inverse_yield_of_noise_has_none():
    counts = np.random.default_rng(3).poisson(36, 201)
    assert not find_maximum(ENERGY, 1 / counts, counts**-1.5).found


@pytest.mark.parametrize(("rising", "end"), [(1, "last energy, 790"), (-1, "first energy, 770")])
def test_the_end_of_a_slope_is_none(rising, end):
    top = find_maximum(ENERGY, 500 + 20 * rising * (ENERGY - 780), np.full(201, 5.0))
    assert not top.found and end in top.reason and top.significance > 5


def test_a_plateau_is_none():
    value = np.where(ENERGY > 780.5, 50.0, 10.0)
    value[ENERGY > 789.5] = 45.0
    top = find_maximum(ENERGY, value, np.full(201, 3.0))
    assert not top.found and "anywhere between" in top.reason


@pytest.mark.parametrize(
    ("value", "sigma"), [(np.full(201, np.nan), np.ones(201)), (np.zeros(201), np.zeros(201))]
)
def test_of_nothing(value, sigma):
    assert not find_maximum(ENERGY, value, sigma).found


def test_of_too_few_energies():
    top = find_maximum([780.0, 781.0], [1.0, 50.0], [0.1, 0.1])
    assert top.reason == "2 energies measured; at least 3 are needed"


def test_order_and_spacing_do_not_matter():
    """Far points have no neighbour within the smoothing; a survey has few thousand eV."""
    energy = np.array([1400.0, 250, 900, 600, 500])
    value = np.array([10.0, 10, 10, 100, 10])
    top = find_maximum(energy, value, np.ones(5))
    assert top.found and top.energy_ev == pytest.approx(600, abs=60)
