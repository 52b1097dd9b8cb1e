"""σ of a reconstruction against the error found; more freedom after the scan."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from redoxscope.analysis.ptychography import (
    Engine,
    fisher_sigma,
    halves,
    initial_probe,
    optical_density,
    refined,
    with_sigma,
)

from .toy import toy, truth_on

SWEEPS = 10


def run(engine, sweeps: int = SWEEPS):
    for _ in range(sweeps):
        engine.sweep()
    return engine


@pytest.fixture(scope="module")
def experiment():
    return toy(size=64, side=9, photons=3e5)


@pytest.fixture(scope="module")
def engine(experiment):
    t = experiment
    guess = initial_probe(t.geometry, outer_zone_nm=25, stop_fraction=0.4, defocus_um=2.8)
    engine = Engine(t.geometry, guess, t.field)
    engine.add(t.photons(), t.x, t.y)
    return run(engine)


@pytest.fixture(scope="module")
def result(engine):
    return with_sigma(engine.result(), *(run(half).result() for half in halves(engine)))


def test_sigma_explains_the_error(experiment, result):
    """The error against the truth over σ, where the object is smooth: its width is near one."""
    truth = truth_on(experiment, result)
    blank = (np.abs(truth) > 0.999) & result.covered
    od, sigma = optical_density(result, blank)
    true = -2 * np.log(np.abs(truth))
    smooth = ndimage.gaussian_gradient_magnitude(true, 1.5) < 0.02
    area = ndimage.binary_erosion(result.covered, iterations=8) & smooth
    assert area.sum() > 500
    pull = ((od - true) / sigma)[area]
    assert 0.6 < 1.4826 * np.median(np.abs(pull - np.median(pull))) < 1.6
    assert np.isnan(od[~result.covered]).all() and np.isnan(sigma[~result.covered]).all()
    assert abs(np.nanmean(od[blank])) < 1e-5


def test_sigma_is_of_the_size_that_photons_allow(result):
    area = result.covered
    ratio = result.sigma[area] / fisher_sigma(result)[area]
    assert 0.7 < np.median(ratio) < 3  # below 1: periods of two pixels have not come yet
    assert result.ring is not None and 0.005 < result.ring.half_pitch_um < 0.03
    # fewer photons came through: σ is larger there
    light = result.coverage * result.amplitude**2
    dim, bright = (
        (area & (light < np.percentile(light[area], 20))),
        area & (light > np.percentile(light[area], 80)),
    )
    assert np.median(result.sigma[dim]) > np.median(result.sigma[bright])


def test_four_times_the_light_is_half_of_sigma(experiment):
    t = experiment
    found = []
    for factor in (0.25, 1.0):
        engine = Engine(t.geometry, t.probe, t.field, probe_step=0)
        frames = np.random.default_rng(2).poisson(t.frames * factor).astype(np.float32)
        engine.add(frames, t.x, t.y)
        both = (run(half, 6).result() for half in halves(engine))
        found.append(np.median(with_sigma(run(engine, 6).result(), *both).sigma[30:90, 30:90]))
    assert found[0] / found[1] == pytest.approx(2, rel=0.2)


def test_halves_leave_the_engine_as_it_is(engine):
    before, updates = engine.object, engine.updates
    one, two = halves(engine)
    assert len(one) + len(two) == len(engine) and abs(len(one) - len(two)) <= 1
    run(one, 1)
    run(refined(engine, modes=2), 1)
    np.testing.assert_array_equal(engine.object, before)
    assert engine.updates == updates
    assert len(engine.probe) == 1


def test_places_that_are_off_are_found(experiment):
    t = experiment
    off = np.random.default_rng(8).normal(0, 0.004, (2, t.x.size))
    engine = Engine(t.geometry, t.probe, t.field, subpixel=4)
    engine.add(t.photons(), t.x + off[0], t.y + off[1])
    run(engine, 6)
    free = run(refined(engine, modes=1, largest_um=0.012), 8)
    places = free.result().positions_um

    def error(found):
        wrong = found - np.column_stack([t.x, t.y])
        return (wrong - wrong.mean(axis=0)).std()  # all together may move: so does the object

    assert error(places) < 0.8 * error(engine.result().positions_um)
    assert free.residual < 0.8 * engine.residual
    measured = engine.result().positions_um
    tied = run(refined(engine, modes=1, largest_um=0.001), 2).result().positions_um
    assert np.hypot(*(tied - measured).T).max() <= 0.001 + 1e-9


def test_a_source_of_finite_size_is_a_second_mode(experiment):
    """Frames of a beam that trembles along x: with a second mode they fit, with one they do not."""
    t = experiment
    q = np.fft.fftfreq(64)
    spectrum = np.fft.fft2(t.probe)
    frames = np.zeros(t.frames.shape)
    engine = Engine(t.geometry, t.probe, t.field, subpixel=1)
    truth = truth_on(t, engine.result())
    step = t.geometry.object_pixel_um
    y0, x0 = engine.result().y_um[0], engine.result().x_um[0]
    rows, columns = np.rint(t.y / step).astype(int), np.rint(t.x / step).astype(int)
    for off in (-6.0, 0.0, 6.0):
        beam = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * off * q)[None, :]) / np.sqrt(3)
        for k in range(len(frames)):
            top, left = rows[k] - round(y0 / step) - 32, columns[k] - round(x0 / step) - 32
            wave = beam * truth[top : top + 64, left : left + 64]
            frames[k] += np.abs(np.fft.fftshift(np.fft.fft2(wave, norm="ortho"))) ** 2
    engine.add(np.random.default_rng(1).poisson(frames), columns * step, rows * step)
    run(engine, 6)
    one, two = (run(refined(engine, modes=m, positions=False), 8) for m in (1, 2))
    assert two.residual < 0.7 * one.residual
    light = (np.abs(two.probe) ** 2).sum(axis=(1, 2))
    assert light[0] > light[1] > 0.02 * light.sum()
    assert abs(np.vdot(two.probe[0], two.probe[1])) < 1e-3 * light.sum()


def test_bad_input_is_named(engine, result):
    with pytest.raises(ValueError, match="modes = 0"):
        refined(engine, modes=0)
    with pytest.raises(ValueError, match="largest_um = 0 µm must be greater"):
        refined(engine, largest_um=0)
    with pytest.raises(ValueError, match="blank has 0 pixels"):
        optical_density(result, np.zeros(result.object.shape, bool))
    with pytest.raises(ValueError, match="is not that of the object"):
        optical_density(result, np.zeros((3, 3), bool))
    other = replace(result, object=result.object[1:], coverage=result.coverage[1:])
    with pytest.raises(ValueError, match="cover fewer than 16 pixels"):
        with_sigma(result, result, replace(result, coverage=np.zeros_like(result.coverage)))
    with pytest.raises(ValueError, match="are not on one grid"):
        with_sigma(result, result, other)


def test_without_halves_the_residual_makes_sigma_larger(engine):
    one = engine.result()
    poor = replace(one, residual=4.0)
    _, sigma = optical_density(replace(one, residual=0.5))
    _, larger = optical_density(poor)
    area = one.covered
    np.testing.assert_allclose(larger[area] / sigma[area], 2, rtol=1e-5)
    np.testing.assert_allclose(sigma[area], fisher_sigma(one)[area])
