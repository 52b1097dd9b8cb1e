"""A dwell of its own for each energy: dead time, limits, I0, darkness and rates follow it."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import Detector, I0Spectrum, PixelFlag, StackFit

from ..conftest import make_stack

N = 24
ENERGIES = np.linspace(636.0, 660.0, N)
DWELL = np.where((ENERGIES > 640.0) & (ENERGIES < 645.0), 8e-3, 1e-3)
DEAD = 2e-8


@pytest.fixture(scope="module")
def stack():
    return make_stack()


def counted(stack, dead=0.0, seed=0):
    """Counts at a rate of I0 per ms, each energy for its dwell; as a counter with a dead time."""
    rate = stack.i0[:, None, None] * np.exp(-stack.od) / 1e-3
    time = DWELL[:, None, None]
    return np.random.default_rng(seed).poisson(rate * time / (1 + rate * dead)).astype(float)


def solved(stack, counts, dwell=DWELL, monitor=None, order=range(N), **options):
    order = list(order)
    fit = StackFit(
        stack.design[order], 2, (48, 48), energies=ENERGIES[order],
        dwell=dwell if np.ndim(dwell) == 0 else np.asarray(dwell)[order], **options,
    )  # fmt: skip
    for i, k in enumerate(order):
        for line in range(48):
            m = None if monitor is None else monitor[k, line]
            fit.set_line(i, line, counts[k, line], m)
    return fit, fit.solve()


def test_the_fraction_is_right_and_sigma_too(stack):
    counts = counted(stack, DEAD)
    _, result = solved(stack, counts, transmission=Detector(dead_time=DEAD))
    np.testing.assert_allclose(
        np.exp(result.ln_i0), stack.i0 * DWELL / 1e-3, rtol=5e-3
    )  # what came in each energy's own time
    pull = ((result.fraction - stack.fraction) / result.sigma)[result.mask]
    assert abs(pull.mean()) < 0.15 and pull.std() == pytest.approx(1.0, abs=0.1)
    _, wrong = solved(stack, counts, 1e-3, transmission=Detector(dead_time=DEAD))
    off = ((wrong.fraction - stack.fraction) / wrong.sigma)[wrong.mask]
    assert abs(off.mean()) > 0.3  # one dwell for all corrects for eight times the rate


def test_images_and_lines_are_the_same(stack):
    counts = counted(stack, DEAD)
    detector = Detector(dead_time=DEAD, saturation=9e6)
    _, lines = solved(stack, counts, transmission=detector)
    fit = StackFit(stack.design, 2, (48, 48), dwell=DWELL, transmission=detector)
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    images = fit.solve()
    np.testing.assert_allclose(images.coefficients, lines.coefficients, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(images.flags, lines.flags)


def test_any_order_of_energies_gives_the_same_map(stack):
    counts = counted(stack, DEAD)
    detector = Detector(dead_time=DEAD)
    fit, rising = solved(stack, counts, transmission=detector)
    order = np.random.default_rng(3).permutation(N)
    other, mixed = solved(stack, counts, order=order, transmission=detector)
    for name in ("fraction", "sigma", "thickness", "chi2"):
        np.testing.assert_allclose(
            getattr(mixed, name), getattr(rising, name), rtol=1e-9, atol=1e-9
        )
    np.testing.assert_array_equal(mixed.mask, rising.mask)
    np.testing.assert_allclose(mixed.ln_i0, rising.ln_i0[order], rtol=1e-12)
    area = rising.mask
    one, two = fit.area_spectrum(area), other.area_spectrum(area)
    np.testing.assert_allclose(two.od, one.od[order], rtol=1e-9)
    assert two.fraction == pytest.approx(one.fraction)


def test_a_long_dwell_saturates_at_no_lower_rate(stack):
    counts = counted(stack)
    limit = Detector(saturation=5.7e6)  # above the highest I0, 5.5 counts per µs
    _, result = solved(stack, counts, transmission=limit)
    saturated = (result.flags & PixelFlag.SATURATED).astype(bool)
    assert 0 < saturated.mean() < 0.2  # the noise of the shortest dwell reaches it here and there
    assert np.isfinite(result.ln_i0).all() and (result.n_energies == N).all()
    _, wrong = solved(stack, counts, 1e-3, transmission=limit)
    assert np.isnan(wrong.ln_i0[DWELL > 1e-3]).all()  # all of the blank area is saturated


def test_a_short_dwell_is_not_the_dark(stack):
    """Two hundred and fifty times less light, since the pixel was looked at for less."""
    dwell = np.where(np.arange(N) == 3, 4e-6, 1e-3)
    rng = np.random.default_rng(0)
    counts = rng.poisson(
        50 * stack.i0[:, None, None] * np.exp(-stack.od) * dwell[:, None, None] / 1e-3
    ).astype(float)
    fit, _ = solved(stack, counts, dwell)
    assert fit.lines_present.all()
    fit, _ = solved(stack, counts, None)
    assert not fit.lines_present[3].any()


def test_rates_of_several_dwells_have_the_sigma_of_their_counts(stack):
    counts = counted(stack)
    _, expected = solved(stack, counts)
    fit, result = solved(stack, counts / DWELL[:, None, None])
    assert fit.noise.why == "steps" and fit.noise.dwell == pytest.approx(1e-3)
    np.testing.assert_allclose(result.sigma, expected.sigma, rtol=1e-3)
    np.testing.assert_allclose(result.ln_i0_sigma, expected.ln_i0_sigma, rtol=1e-3)
    # No step is left: the scatter says it.
    current = 1.0 + 0.01 * np.linspace(0, 1, counts.size).reshape(counts.shape)
    fit, result = solved(stack, counts / DWELL[:, None, None] / current)
    assert fit.noise.why == "rate"
    assert result.sigma_median == pytest.approx(expected.sigma_median, rel=0.1)


def test_a_monitor_in_a_rate_follows_too(stack):
    counts = counted(stack)
    monitor = np.random.default_rng(2).poisson(
        3e3 * DWELL[:, None, None] / 1e-3, counts.shape
    ).astype(float)  # fmt: skip
    _, expected = solved(stack, counts, monitor=monitor)
    fit, result = solved(stack, counts, monitor=monitor / DWELL[:, None, None])
    assert fit.noise.monitor_dwell == pytest.approx(1e-3)
    np.testing.assert_allclose(result.sigma, expected.sigma, rtol=1e-3)


def test_a_given_i0_is_scaled_to_each_dwell(stack):
    counts = counted(stack)
    given = I0Spectrum(ENERGIES, stack.i0, 0.01 * stack.i0, dwell=1e-3)
    _, result = solved(stack, counts, i0=given)
    np.testing.assert_allclose(np.exp(result.ln_i0), stack.i0 * DWELL / 1e-3, rtol=1e-9)
    np.testing.assert_allclose(result.ln_i0_sigma, 0.01, rtol=1e-9)


@pytest.mark.parametrize(
    ("dwell", "words"),
    [
        ([1e-3, 2e-3], r"dwell has shape \(2,\), but there are 24 energies"),
        ([*[1e-3] * 23, 0.0], r"dwell\[23\] = 0 s must be greater than 0 s"),
        ([np.nan, *[1e-3] * 23], r"dwell\[0\] = nan s"),
        (-1.0, r"dwell\[0\] = -1 s"),
    ],
)
def test_a_wrong_dwell_is_named(stack, dwell, words):
    with pytest.raises(ValueError, match=words):
        StackFit(stack.design, 2, (48, 48), dwell=dwell)


@pytest.mark.parametrize("factor", [1.0, 10.0, 1000.0])
def test_a_long_dwell_weighs_more(stack, factor):
    """As least squares with weights; sigma as small as the counts allow, chi-square at one."""
    dwell = np.where(ENERGIES > 645.0, 1e-3 * factor, 1e-3)
    mean = stack.i0[:, None, None] * np.exp(-stack.od) * (dwell / 1e-3)[:, None, None]
    counts = np.random.default_rng(5).poisson(mean).astype(float)
    fit, result = solved(stack, counts, dwell)
    root = np.sqrt(dwell)
    od = (result.ln_i0[:, None, None] - np.log(counts)).reshape(N, -1)
    expected = np.linalg.lstsq(root[:, None] * stack.design, root[:, None] * od, rcond=None)[0]
    np.testing.assert_allclose(
        result.coefficients.reshape(len(expected), -1), expected, rtol=1e-6, atol=1e-9
    )
    pull = ((result.fraction - stack.fraction) / result.sigma)[result.mask]
    assert abs(pull.mean()) < 0.2 and pull.std() == pytest.approx(1.0, abs=0.1)
    assert np.median(result.chi2[result.mask]) == pytest.approx(1.0, abs=0.1)
    area = fit.area_spectrum(result.mask)
    assert area.chi2 < 3.0
