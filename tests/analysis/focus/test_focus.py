"""Best foci, A0 and A1, and apertures: recovered where the model knows the truth."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.focus import best_focus, find_aperture, fit_focus, sharpness
from redoxscope.optics import depth_of_focus
from redoxscope.sim.physics.stxm import build_model

X = np.linspace(-2, 2, 120)


@pytest.fixture(scope="module")
def model():
    """Its zone plate's true A1 is 1 % below the one stated."""
    return build_model("lmr", a1_error=0.01, seed=8, field_um=6.0)


def scans(model, energy, z, places, dwell=0.001):
    """Counts and monitor of lines at each position of the zone plate; of each place, y (µm)."""
    got = [[model.line(energy, at, X, y, dwell, 0.0) for y in places] for at in z]
    return [
        tuple(np.array([one[k][key] for one in got]) for key in ("transmission", "i0"))
        for k in range(len(places))
    ]


def scan(model, energy, z):
    return scans(model, energy, z, [0.3])[0]


def around(model, energy, n=31):
    return np.linspace(-100, 100, n) + model.nominal_z(energy)


@pytest.mark.parametrize("monitored", [False, True])
def test_best_focus_lies_where_the_model_has_it(model, monitored):
    """55 µm from where the stated A1 puts it, within a part of the depth of focus, and its sigma
    is that of the scatter."""
    z = around(model, 640.0)
    off, sigma = [], []
    for counts, i0 in scans(model, 640.0, z, (0.3, -0.7, 1.1, -1.5, 0.0, 1.9)):
        found = best_focus(z, counts, i0 if monitored else None)
        off.append(found.z - model.focus_z(640.0))
        sigma.append(found.sigma)
    assert np.abs(off).max() < 0.3 * depth_of_focus(640.0, 45.0)
    assert np.max(sigma) < 0.3 * depth_of_focus(640.0, 45.0)
    pulls = np.array(off) / sigma
    assert 0.3 < np.sqrt(np.mean(pulls**2)) < 1.8


def test_order_and_missing_lines_do_not_matter(model):
    z = around(model, 640.0)
    counts, i0 = scan(model, 640.0, z)
    whole = best_focus(z, counts, i0)
    turned = best_focus(z[::-1], counts[::-1], i0[::-1])
    assert turned.z == pytest.approx(whole.z, abs=1e-6)
    counts[3], counts[20, 5] = np.nan, np.nan
    some = best_focus(z, counts, i0)
    assert some.left_out == 2
    assert some.z == pytest.approx(whole.z, abs=5 * whole.sigma)


def test_what_tells_no_focus_is_refused(model):
    z = around(model, 640.0)
    counts, _ = scan(model, 640.0, z)
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="no line has structure|equally sharp"):
        best_focus(z, rng.poisson(1e4, counts.shape))
    beyond = slice(0, 11)  # ends before the true focus
    with pytest.raises(ValueError, match=r"sharpest at the end of the range, -5\d+.* µm"):
        best_focus(z[beyond], counts[beyond])
    few = np.full_like(counts, np.nan)
    few[:6] = counts[:6]
    with pytest.raises(ValueError, match="6 whole lines at 6 positions; at least 7"):
        best_focus(z, few)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"z": [1.0, 2.0]}, r"counts has shape \(31, 120\); expected \(2, pixels\)"),
        ({"z": [float("nan")] * 31}, r"z\[0\] = nan µm must be finite"),
        ({"z": [True] * 31}, r"z\[0\] = True must be one number in µm"),
        ({"counts": np.ones(31)}, r"counts has shape \(31,\)"),
        ({"counts": -np.ones((31, 120))}, "counts holds -1 counts, below 0|no line|whole lines"),
        ({"i0": np.ones((3, 4))}, r"i0 has shape \(3, 4\); expected \(31, 120\)"),
    ],
)
def test_bad_scans_are_refused(change, says):
    given = {"z": np.arange(31.0), "counts": np.ones((31, 120)), "i0": None, **change}
    with pytest.raises(ValueError, match=says):
        best_focus(given["z"], given["counts"], given["i0"])


def test_sharpness_is_without_noise_and_knows_its_scatter():
    """Of a step in few counts: the mean over many lines is that of the step without noise."""
    step = np.where(np.arange(60) < 30, 200.0, 100.0)
    noisy = np.random.default_rng(2).poisson(step, (4000, 60))
    value, sigma = sharpness(noisy)
    (true,), _ = sharpness(step[None] * 1e9)
    assert value.mean() == pytest.approx(true, rel=0.02)
    assert value.std() == pytest.approx(np.sqrt(np.mean(sigma**2)), rel=0.05)
    flat, _ = sharpness(np.random.default_rng(3).poisson(100.0, (4000, 60)))
    assert abs(flat.mean()) < 4 * flat.std() / np.sqrt(4000)


def test_a0_and_a1_are_recovered_within_their_sigma(model):
    """A1 that is 1 % wrong is found to 0.05 %, with lines at three energies."""
    energies, foci = (600.0, 780.0, 900.0), []
    for energy in energies:
        z = around(model, energy)
        foci.append(best_focus(z, *scan(model, energy, z)))
    line = fit_focus(energies, [one.z for one in foci], [one.sigma for one in foci])
    assert abs(line.a1 - model.a1_true) < 3 * line.a1_sigma < 5e-4 * 3 * model.a1_true
    assert abs(line.a0 - model.geometry.a0_um) < 3 * line.a0_sigma
    z, sigma = line.z_at(700.0)
    assert abs(z - model.focus_z(700.0)) < 3 * sigma < 1.0


def test_fit_of_known_foci():
    """Monte Carlo: the covariance is that of the scatter, also where A0 was measured besides."""
    rng = np.random.default_rng(5)
    energies, sigma = np.array([520.0, 640.0, 780.0, 860.0]), np.array([0.5, 0.3, 0.3, 1.0])
    true = 400.0 - 8.7 * energies
    for a0 in (None, 2.0):
        found = []
        for _ in range(500):
            more = {} if a0 is None else {"a0": (400.0 + a0 * rng.standard_normal(), a0)}
            one = fit_focus(energies, true + sigma * rng.standard_normal(4), sigma, **more)
            excess = max(one.chi2, 1.0)
            found.append((one.a0, one.a1, one.a0_sigma / excess**0.5, one.a1_sigma / excess**0.5))
        spread = np.std(found, axis=0)
        assert spread[0] == pytest.approx(found[0][2], rel=0.1)
        assert spread[1] == pytest.approx(found[0][3], rel=0.1)
        assert np.mean(found, axis=0)[:2] == pytest.approx([400.0, 8.7], rel=1e-3)


def test_one_energy_needs_what_is_known_besides():
    with pytest.raises(ValueError, match="foci at one energy, 640 eV, do not tell A0 from A1"):
        fit_focus([640.0], [-5168.0], [0.5])
    held = fit_focus([640.0], [400 - 8.7 * 640], [0.5], a1=(8.7, 0.001))
    assert held.a0 == pytest.approx(400.0) and np.isnan(held.chi2)
    assert held.a0_sigma == pytest.approx(np.hypot(0.5, 0.64), rel=1e-6)
    both = fit_focus([640.0], [400 - 8.7 * 640], [0.5], a0=(400.0, 1.0))
    assert both.a1 == pytest.approx(8.7)
    with pytest.raises(ValueError, match="2 energies, 1 positions"):
        fit_focus([640.0, 650.0], [-5168.0], [0.5])
    with pytest.raises(ValueError, match=r"sigma\[0\] = 0 µm must be greater than 0 µm"):
        fit_focus([640.0, 650.0], [-5168.0, -5200.0], [0, 1.0])


def disc(x0, y0, radius, soft, high, low=50.0):
    x, y = np.arange(0, 100.0, 4), np.arange(0, 80.0, 4)
    away = np.hypot(*np.meshgrid(x - x0, y - y0))
    return x, y, low + high / (1 + np.exp((away - radius) / soft))


def test_the_middle_of_an_aperture():
    """Within its sigma, and the sigma is that of the scatter."""
    x, y, mean = disc(52.3, 37.8, 24.0, 1.5, 2000.0)
    rng = np.random.default_rng(7)
    found = [find_aperture(rng.poisson(mean), x, y) for _ in range(25)]
    assert np.mean([one.x for one in found]) == pytest.approx(52.3, abs=0.06)
    assert np.mean([one.y for one in found]) == pytest.approx(37.8, abs=0.06)
    assert np.mean([one.diameter for one in found]) == pytest.approx(48.0, abs=0.3)
    pulls = [(one.x - 52.3) / one.x_sigma for one in found]
    assert 0.5 < np.std(pulls) < 1.5
    missing = rng.poisson(mean).astype(float)
    missing[10] = np.nan
    assert find_aperture(missing, x, y).x == pytest.approx(52.3, abs=0.5)


def test_no_aperture_is_refused():
    x, y, mean = disc(2.0, 37.8, 24.0, 1.5, 2000.0)
    with pytest.raises(ValueError, match="reaches the edge of the image"):
        find_aperture(mean, x, y)
    with pytest.raises(ValueError, match="nothing bright stands out"):
        find_aperture(np.random.default_rng(1).poisson(100.0, mean.shape), x, y)
    with pytest.raises(ValueError, match=r"image has shape \(20, 25\); expected \(25, 20\)"):
        find_aperture(mean, y, x)
    with pytest.raises(ValueError, match="x falls from 96 to 0 µm"):
        find_aperture(mean, x[::-1], y)
