"""The simulated electrode."""

import numpy as np
import pytest

from redoxscope.data import phase_absorption
from redoxscope.sim.physics.stxm._diffusion import profile_table, sphere_profile, sphere_uptake
from redoxscope.sim.physics.stxm._lmr import _PIXEL, _reduced, lmr_sample
from redoxscope.sim.physics.stxm._sample import PhaseSample
from redoxscope.sim.physics.stxm._sphere import add_sphere


@pytest.fixture(scope="module")
def lmr():
    return lmr_sample(1)


def test_uptake_of_a_sphere():
    assert sphere_uptake(0.02) == pytest.approx(0.41873, abs=2e-5)
    x = 0.02  # short times: 6 sqrt(x/π) - 3 x
    assert sphere_uptake(x) == pytest.approx(6 * np.sqrt(x / np.pi) - 3 * x, abs=1e-5)


@pytest.mark.parametrize("theta", [0.001, 0.02, 0.3])
def test_profile_integrates_to_the_uptake(theta):
    r = (np.arange(4000) + 0.5) / 4000
    mean = np.sum(sphere_profile(r, theta) * 3 * r**2) / 4000
    assert mean == pytest.approx(sphere_uptake(theta), abs=1e-5)


def test_profile_runs_from_surface_to_centre():
    r = np.linspace(0, 1, 101)
    c = sphere_profile(r, 0.02)
    assert c[-1] == pytest.approx(1) and c[0] < 0.001 and (np.diff(c) >= 0).all()
    with pytest.raises(ValueError, match="1e-5"):
        sphere_profile(r, np.nan)


def test_projection_lifts_the_centre():
    # at Dt/a² = 0.02 the local value at the centre is 0, the mean along the chord 0.186
    radius, d = 0.1, 1e-17 * 1e8
    maps = np.zeros((11, 11), np.float32), np.zeros((11, 11), np.float32)
    of_sphere = _reduced(radius, 1.0, 0.02 * radius**2 / d)
    add_sphere(maps, -0.1, _PIXEL, np.zeros(3), radius, 0.2, of_sphere)
    thickness, reduced = maps
    assert thickness[5, 5] == pytest.approx(0.2)
    # the table rounds Dt/a² to steps of 12 %
    low, high = (sphere_chord(0.02 * f) for f in (1 / 1.06, 1.06))
    assert low - 0.005 < reduced[5, 5] / thickness[5, 5] < high + 0.005
    assert sphere_chord(0.02) == pytest.approx(0.186, abs=0.001)
    assert profile_table(0.02)[1][0] < 0.002


def sphere_chord(theta):
    return sphere_profile((np.arange(2000) + 0.5) / 2000, theta).mean()


def test_mean_valence(lmr):
    assert 3 + lmr.mean_fraction("Mn L3") == pytest.approx(3.80, abs=0.02)


def test_default_region(lmr):
    x0, y0, w, h = lmr.region_um
    inside = np.ix_(abs(lmr.y - y0) < h / 2, abs(lmr.x - x0) < w / 2)
    t = lmr.thickness[inside]
    assert 0.2 < (t < 1e-3).mean() < 0.6
    # at an edge, where an automatic I0 looks for it
    assert (t[:, :12] < 1e-3).mean() > 0.9
    valence = 3 + lmr.oxidised["Mn L3"][inside].sum() / t.sum()
    assert valence == pytest.approx(3.80, abs=0.02)


def test_thickness_and_density(lmr):
    assert lmr.thickness.max() <= 0.2001
    assert np.median(lmr.thickness[lmr.thickness > 0]) > 0.12
    assert lmr.optical_density(643.2).max() < 2


def test_inside_is_more_oxidised_than_outside(lmr):
    y, x = np.meshgrid(lmr.y, lmr.x, indexing="ij")
    r = np.hypot(x - 0.45, y - 0.1)
    f, t = lmr.fraction("Mn L3"), lmr.thickness
    solid = t > 0.05
    core = np.average(f[solid & (r < 1.2)], weights=t[solid & (r < 1.2)])
    rim = solid & (r > 2.1) & (r < 2.5)
    small = solid & (x < -2.3) & (abs(y) < 3)
    assert core > np.average(f[rim], weights=t[rim]) + 0.03
    assert core > np.average(f[small], weights=t[small]) + 0.08


def test_particles_are_reduced_from_their_surface(lmr):
    t, f = lmr.thickness, lmr.fraction("Mn L3")
    assert np.nanmean(f[(t > 0.01) & (t < 0.06)]) < np.nanmean(f[t > 0.15]) - 0.1


def test_same_seed_same_sample(lmr):
    np.testing.assert_array_equal(lmr_sample(1).thickness, lmr.thickness)
    assert not np.array_equal(lmr_sample(2).thickness, lmr.thickness)


@pytest.mark.parametrize("seed", [2, 3, 7])
def test_any_seed_has_the_mean_valence_and_a_blank(seed):
    s = lmr_sample(seed)
    assert 3 + s.mean_fraction("Mn L3") == pytest.approx(3.80, abs=0.02)
    assert (s.thickness[150:450, 150:450] < 1e-3).mean() > 0.2


def test_optical_density_of_a_pure_phase():
    t = np.full((2, 2), 0.1)
    for oxidised, row in ((t, 0), (0 * t, 1)):
        s = PhaseSample("flat", 0, 0, 1, t, {"Mn L3": oxidised})
        expected = 0.1 * phase_absorption("Mn L3", 642.0)[row, 0]
        np.testing.assert_allclose(s.optical_density(642.0), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"thickness": [1.0, 2.0]}, r"shape \(2,\)"),
        ({"thickness": [[1.0, np.nan], [0, 0]]}, "NaN or negative"),
        ({"pixel_um": 0.0}, "pixel"),
        ({"oxidised": {"Mn L3": np.full((2, 2), 1.5)}}, "not within 0 and the thickness"),
        ({"oxidised": {"Mn L3": np.full((2, 2), np.nan)}}, "not within 0 and the thickness"),
        ({"oxidised": {"Mn L3": np.ones((2, 3))}}, "expected"),
        ({"oxidised": {"Mn K": np.ones((2, 2))}}, "Mn K"),
    ],
)
def test_sample_refuses(change, match):
    good = {"name": "s", "x0_um": 0.0, "y0_um": 0.0, "pixel_um": 1.0, "thickness": np.ones((2, 2))}
    with pytest.raises(ValueError, match=match):
        PhaseSample(**{**good, **change})


def test_field_limits():
    with pytest.raises(ValueError, match="field = nan µm"):
        lmr_sample(1, field_um=float("nan"))
