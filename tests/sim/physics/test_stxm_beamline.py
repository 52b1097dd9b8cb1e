"""Beam, optics, detectors and stage of the simulated beamline."""

from dataclasses import replace

import numpy as np
import pytest

from redoxscope.data import edge_energies, load_references
from redoxscope.sim.physics.stxm import GEOMETRY, Beam, BeamlineModel, build_model, open_sample
from redoxscope.sim.physics.stxm._detector import CountingDetector
from redoxscope.sim.physics.stxm._image import blur
from redoxscope.sim.physics.stxm._sample import PhaseSample
from redoxscope.sim.physics.stxm._stage import Stage

STEADY = Beam(noise=0.0, lifetime_h=1e6)
STILL = Stage(following_um=0, jitter_um=0, noise_um=0)


def step_sample(fractions=(0.9, 0.3)):
    """Bare membrane for x < 0; above, 0.1 µm of two compositions, y < 0 and y > 0."""
    t = np.zeros((201, 201))
    t[:, 100:] = 0.1
    ox = t * np.where(np.arange(201) < 100, *fractions)[:, None]
    return PhaseSample("step", -2, -2, 0.02, t, {"Mn L3": ox})


def model(sample=None, **kwargs):
    return BeamlineModel(sample or step_sample(), **{"beam": STEADY, "stage": STILL, **kwargs})


# -- detectors


def test_counts_are_poisson():
    counts = CountingDetector(dead_time_s=0).count(
        np.full(200_000, 400.0), 1e-3, np.random.default_rng(1)
    )
    assert (counts == np.rint(counts)).all()
    assert counts.mean() == pytest.approx(400, abs=0.2)
    assert counts.var() == pytest.approx(400, rel=0.015)


@pytest.mark.parametrize("x", [0.01, 0.05])
def test_dead_time(x):
    """Mean of the non-paralysable formula, variance of renewal theory N/(1+x)^3."""
    dwell, tau = 1e-3, 5e-9
    n = x * dwell / tau
    counts = CountingDetector(tau).count(np.full(400_000, n), dwell, np.random.default_rng(2))
    assert counts.mean() == pytest.approx(n / (1 + x), rel=2e-4)
    assert counts.var() == pytest.approx(n / (1 + x) ** 3, rel=0.012)  # 3 sd of the estimate


def test_no_light_no_counts():
    m = model()
    x = np.linspace(-1, 1, 50)
    closed = m.line(642, None, x, 0.5, 1e-3, 0.0, shutter_open=False)
    assert (closed["transmission"] == 0).all() and (closed["i0"] > 0).all()
    for dark in ({"beam_on": False}, {"flux_scale": 0.0}):
        dump = m.line(642, None, x, 0.5, 1e-3, 0.0, **dark)
        assert (dump["transmission"] == 0).all() and (dump["i0"] == 0).all()
    assert m.ring_current(0.0, beam_on=False) == 0


def test_line_has_the_expected_counts():
    m = model(transmission=CountingDetector(0))
    x = np.linspace(-1.5, 1.5, 400)
    counts = m.line(642.0, None, x, 0.5, 0.1, 0.0)["transmission"]
    rate = m.beam.rate(642.0, 0.0) * 0.1
    expected = rate * m.expected_transmission([642.0], x, [0.5])[0, 0]
    pull = (counts - expected) / np.sqrt(expected)
    assert pull.std() == pytest.approx(1, abs=0.12) and abs(pull.mean()) < 0.2
    assert expected[0] == pytest.approx(rate, rel=1e-5)  # blank


def test_monitor_and_sample_share_the_noise_of_the_beam():
    m = model(beam=Beam(noise=0.01))
    line = m.line(700.0, None, np.full(2000, -1.0), 0.5, 1.0, 0.0)
    a, b = line["transmission"], line["i0"]
    assert a.std() / a.mean() == pytest.approx(0.01, rel=0.1)
    assert (a / b).std() / (a / b).mean() < 0.002


def test_monitor_alone_is_no_i0():
    b = Beam()
    share = [b.monitor_efficiency(e) for e in (634.0, 660.0)]
    assert abs(share[1] / share[0] - 1) > 0.01


def test_point_is_a_line_of_one():
    one = model(seed=4).point(642.0, None, 0.5, 0.5, 1e-2, 0.0)
    line = model(seed=4).line(642.0, None, [0.5], [0.5], 1e-2, 0.0)
    assert one == {k: v[0] for k, v in line.items()}
    assert all(type(v) is float for v in one.values())


def test_same_seed_same_counts():
    x = np.linspace(-1, 1, 20)
    a, b, c = (model(seed=s).line(642, None, x, 0, 1e-3, 0.0)["transmission"] for s in (1, 1, 2))
    assert (a == b).all() and (a != c).any()


# -- beam


def test_ring_current_decays_and_is_topped_up():
    b = Beam(current_ma=500, lifetime_h=8, top_up_s=0)
    assert b.ring_current(8 * 3600) == pytest.approx(500 / np.e)
    assert b.rate(700, 3600) == pytest.approx(b.rate(700, 0) * np.exp(-1 / 8))
    top = Beam(lifetime_h=8, top_up_s=60)
    assert top.ring_current(60.0) == 500 and top.ring_current(59.0) < 500


def test_flux_is_smooth_over_an_edge():
    b = Beam()
    f = b.spectrum(edge_energies("Mn L3"))
    assert f.std() / f.mean() < 0.05
    assert b.spectrum(700.0) == pytest.approx(1, abs=0.001)
    assert b.spectrum(286.0) < 0.8 * b.spectrum(300.0)


def test_harmonic_light_fills_what_is_absorbed():
    x = [1.0]
    clean, dirty = (
        model(beam=Beam(noise=0, harmonic=h), transmission=CountingDetector(0)) for h in (0.0, 0.1)
    )
    a, b = (m.line(642.0, None, x, 0.5, 1.0, 0.0)["transmission"][0] for m in (clean, dirty))
    extra = (b - a) / clean.beam.rate(642.0, 0)
    assert extra == pytest.approx(0.1, abs=0.005)


# -- optics


def width(m, z):
    """Distance over which the edge of the sample rises from 25 to 75 % (µm)."""
    x = np.linspace(-1.9, 1.9, 2000)
    m.prepare(642.0, z)
    t = m.line(642.0, z, x, 0.6, 100.0, 0.0)["transmission"]  # long dwell: no noise to speak of
    t = (t - t.min()) / (t.max() - t.min())
    return np.interp(-0.25, -t, x) - np.interp(-0.75, -t, x)


def test_wrong_a1_blurs():
    right = model(transmission=CountingDetector(0))
    wrong = model(a1_true=right.a1_true * 1.002, transmission=CountingDetector(0))
    z = right.nominal_z(642.0)
    assert right.focus_z(642.0) == pytest.approx(z)
    sharp, soft = width(right, z), width(wrong, z)
    assert sharp < 0.06 < 2 * sharp < soft
    # a Gaussian edge rises from 25 to 75 % over 1.349 σ (the bright side weighs a little more)
    assert soft == pytest.approx(1.349 * wrong.spot_sigma(642.0, z), rel=0.15)


def test_wide_blur_agrees_with_the_direct_one():
    rng = np.random.default_rng(0)
    image = rng.random((80, 90)).astype(np.float32)
    from scipy.ndimage import gaussian_filter

    direct = gaussian_filter(image, 5.0, mode="nearest", truncate=6.0)
    np.testing.assert_allclose(blur(image, 5.0), direct, atol=2e-4)


def test_osa_clips_the_cone():
    assert model().osa_clearance(640) == pytest.approx(1, abs=1e-12)
    clipped = model(geometry=replace(GEOMETRY, a0_um=1500))
    cone = 1500 / (2 * clipped.a1_true * 602)
    inner, outer = 95 * cone, 240 * cone
    passes = (25**2 - inner**2) / (outer**2 - inner**2)
    assert clipped.osa_clearance(602) == pytest.approx(passes, rel=1e-4)


def test_motor_noise_costs_no_image():
    m = model()
    z = m.nominal_z(642.0)
    m.prepare(642.0, z)
    plane = m._plane(642.0, z)
    assert m._plane(642.00002, z + 0.03) is plane
    assert m._plane(642.0, z + 30) is not plane


# -- stage


def test_following_error_is_a_few_nanometres_and_read_back():
    m = model(stage=Stage())
    x = np.linspace(-1, 1, 500)
    at = m.positions(x, 0.2, 10.0)
    assert 0.001 < np.std(at.actual_x - x) < 0.01
    assert 0.001 < np.std(at.actual_y - 0.2) < 0.01
    assert np.std(at.measured_x - at.actual_x) < 0.002
    assert np.std(at.measured_y - at.actual_y) < 0.002


def test_drift_is_not_read_back():
    m = model(stage=Stage(0, 0, 0, drift_um_per_h=(1.0, -0.5)))
    at = m.positions([0.0, 1.0], 0.0, 1800.0)
    np.testing.assert_allclose(at.measured_x, [0, 1])
    np.testing.assert_allclose(at.actual_x, [-0.5, 0.5])
    np.testing.assert_allclose(at.actual_y, [0.25, 0.25])


def test_a_zone_plate_that_goes_aside_takes_focus_and_aperture_along():
    m = model(stage=Stage(0, 0, 0), runout=(8.0, -5.0))
    z = m.focus_z(740.0)
    away = np.array([8.0, -5.0]) * (z - m.focus_z(640.0)) / 1000
    assert np.hypot(*away) > 5  # µm
    at = m.positions([0.0, 1.0], 0.0, 0.0, z)
    np.testing.assert_allclose(at.measured_x, [0, 1])
    np.testing.assert_allclose(at.actual_x, away[0] + [0, 1])
    np.testing.assert_allclose(at.actual_y, [away[1]] * 2)
    np.testing.assert_allclose(m.positions([0.0], 0.0, 0.0, m.focus_z(640.0)).actual_x, 0)
    straight = model().passing(740.0)
    assert m.passing(740.0, z, (*away, 0.0), tuple(away)) == straight
    assert m.passing(740.0, z, (*-25 * away, 0.0)).first < straight.first


# -- truth


def test_truth_of_a_known_phantom():
    m = model(step_sample((0.9, 0.3)))
    x, y = np.array([-1.0, 0.5, 1.0]), np.array([-1.0, 1.0])
    truth = m.truth(edge_energies("Mn L3"), x, y, load_references("Mn L3"))
    np.testing.assert_allclose(truth["thickness"], [[0, 0.1, 0.1]] * 2, atol=2e-4)
    np.testing.assert_allclose(truth["fraction"][:, 1:], [[0.9, 0.9], [0.3, 0.3]], atol=3e-3)
    assert truth["coefficients"].shape == (3, 2, 3)


def test_truth_is_what_the_spot_sees():
    m = model(step_sample((0.9, 0.3)))
    truth = m.truth(edge_energies("Mn L3"), [1.0], [-0.01], load_references("Mn L3"))
    assert truth["fraction"][0, 0] == pytest.approx(0.6, abs=0.15)  # on the border


def test_off_the_sample_is_membrane():
    np.testing.assert_array_equal(model().expected_transmission([642.0], [50.0], [0.0]), [[[1.0]]])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.line(np.nan, None, [0.0], 0, 1e-3, 0), "energy = nan eV"),
        (lambda m: m.line(200, None, [0.0], 0, 1e-3, 0), "energy = 200 eV must be at least 400"),
        (lambda m: m.line(640, np.nan, [0.0], 0, 1e-3, 0), "zone_plate.z = nan µm"),
        (lambda m: m.line(640, None, [np.nan], 0, 1e-3, 0), "sample position"),
        (lambda m: m.line(640, None, [0.0], 0, 0.0, 0), "dwell = 0 s must be above 0"),
        (lambda m: m.line(640, None, [0.0], 0, np.nan, 0), "dwell = nan s"),
        (lambda m: model(a1_true=np.nan), "a1_true = nan µm/eV"),
        (lambda m: Beam(flux=-1), "beam.flux = -1 photons/s"),
        (lambda m: CountingDetector(np.nan), "detector.dead_time = nan s"),
        (lambda m: Stage(drift_um_per_h=(np.nan, 0)), "stage.drift_x = nan µm/h"),
        (lambda m: model(runout=(0, np.nan)), "zone_plate.runout_y = nan µm/mm"),
        (lambda m: build_model("lmr", a1_error=np.nan), "a1_error = nan"),
        (lambda m: open_sample("nosuch"), "neither a simulated sample"),
        (lambda m: open_sample("nosuch.h5"), "nosuch.h5: there is no such file"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call(model())


def test_build_model():
    m = build_model("lmr", a1_error=0.01, drift_um_per_h=(0.2, -0.1))
    assert m.geometry.a1 / m.a1_true == pytest.approx(1.01)
    assert m.stage.drift_um_per_h == (0.2, -0.1)
    assert m.transmission.dead_time_s == 5e-9 and m.transmission.saturation > 0
