"""Values that are not counts are found out, and sigma is made right."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import I0Error, I0Spectrum, StackFit

from ..conftest import make_stack

DWELL = 0.433e-3


def solved(design, frames, dwell=DWELL, monitor=None, **options):
    fit = StackFit(design, 2, frames.shape[1:], dwell=dwell, **options)
    for k, frame in enumerate(frames):
        fit.set_image(k, frame, None if monitor is None else monitor[k])
    return fit, fit.solve()


@pytest.fixture(scope="module")
def counted():
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(0))
    fit, result = solved(stack.design, counts)
    assert fit.noise.unit == 1.0 and fit.noise.why == "" and not fit.noise.beyond
    assert 0.9 < fit.noise.excess < 1.2
    return stack, counts, result


@pytest.mark.parametrize(
    ("unit", "dwell"),
    [
        pytest.param(1 / DWELL, DWELL, id="counts per second"),
        pytest.param(1e-3 / DWELL, DWELL, id="counts per ms"),
        pytest.param(1000.0, 1e-3, id="counts per second at 1 ms, whole numbers"),
        pytest.param(1000.0, None, id="whole numbers, dwell unknown"),
        pytest.param(5.0, DWELL, id="five per count"),
    ],
)
def test_scaled_counts_give_the_sigma_of_counts(counted, unit, dwell):
    stack, counts, expected = counted
    fit, result = solved(stack.design, counts * unit, dwell)
    assert fit.noise.unit == pytest.approx(unit, rel=1e-6) and fit.noise.why == "steps"
    np.testing.assert_array_equal(result.mask, expected.mask)
    np.testing.assert_allclose(result.sigma, expected.sigma, rtol=1e-3)
    np.testing.assert_allclose(result.chi2, expected.chi2, rtol=0.01)
    np.testing.assert_allclose(result.ln_i0_sigma, expected.ln_i0_sigma, rtol=1e-3)


@pytest.mark.parametrize("dwell", [DWELL, None])
def test_rates_without_steps_are_known_by_their_scatter(counted, dwell):
    """Each value divided by a current that drifts: no step is left."""
    stack, counts, expected = counted
    current = 1.0 + 0.01 * np.linspace(0, 1, counts.size).reshape(counts.shape)
    fit, result = solved(stack.design, counts / DWELL / current, dwell)
    assert fit.noise.why == ("rate" if dwell else "scatter")
    assert result.sigma_median == pytest.approx(expected.sigma_median, rel=0.1)
    assert np.median(result.chi2[result.mask]) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("dwell", [1e-3, 2e-3, 4e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 3.0])
def test_counts_are_counts_at_any_dwell(counted, dwell):
    """At 4 ms counts per ms are multiples of 0.25, and so is any whole number."""
    stack, counts, expected = counted
    fit, result = solved(stack.design, counts, dwell)
    assert fit.noise.unit == 1.0 and fit.noise.why == ""
    np.testing.assert_array_equal(result.sigma, expected.sigma)


def test_noise_beyond_counting_is_in_sigma(counted):
    stack, counts, expected = counted
    rng = np.random.default_rng(1)
    noisy = np.round(counts * (1 + 0.05 * rng.standard_normal(counts.shape)))
    fit, result = solved(stack.design, noisy)
    assert fit.noise.unit == 1.0 and fit.noise.excess == pytest.approx(13.5, rel=0.1)
    assert fit.noise.relative == pytest.approx(0.05**2, rel=0.1)
    pull = ((result.fraction - stack.fraction) / result.sigma)[result.mask]
    assert 0.85 < pull.std() < 1.15  # 2.4 if counting were believed
    assert result.sigma_median > 2 * expected.sigma_median


def test_monitor_in_a_rate(counted):
    stack, counts, _ = counted
    monitor = np.random.default_rng(2).poisson(3e3, counts.shape).astype(float)
    _, expected = solved(stack.design, counts, monitor=monitor)
    fit, result = solved(stack.design, counts, monitor=monitor / DWELL)
    assert fit.noise.unit == 1.0 and fit.noise.monitor_unit == pytest.approx(1 / DWELL)
    np.testing.assert_allclose(result.sigma, expected.sigma, rtol=1e-3)


def test_values_scaled_down_are_noticed(counted):
    stack, counts, _ = counted
    current = 1.0 + 0.01 * np.linspace(0, 1, counts.size).reshape(counts.shape)  # no step is left
    fit, _ = solved(stack.design, counts / 1000.0 / current)
    assert fit.noise.excess < 0.03 and not fit.noise.beyond


def test_order_does_not_matter_for_it(counted):
    stack, counts, _ = counted
    rates = counts / DWELL
    _, expected = solved(stack.design, rates)
    fit = StackFit(stack.design, 2, (48, 48), dwell=DWELL)
    for n, (k, i) in enumerate(np.random.default_rng(0).permutation(list(np.ndindex(24, 48)))):
        fit.set_line(k, i, rates[k, i])
        if n % 100 == 0:
            fit.solve(fit.refresh())
    result = fit.solve()
    np.testing.assert_allclose(result.sigma, expected.sigma, rtol=1e-9)


def test_toner_is_in_counts_and_its_rates_are_not(toner):
    fit, expected = solved(toner.design, toner.counts, min_thickness=0.3)
    assert fit.noise.unit == 1.0 and not fit.noise.beyond
    fit, result = solved(toner.design, toner.counts / DWELL, min_thickness=0.3)
    assert fit.noise.unit == pytest.approx(1 / DWELL)
    assert result.n_mask == expected.n_mask == pytest.approx(2449, abs=25)
    assert result.sigma_median == pytest.approx(expected.sigma_median, rel=1e-3)


# -- an I0 measured elsewhere -------------------------------------------------------------------

ENERGIES = np.linspace(636.0, 660.0, 24)


def test_a_given_i0_is_used_with_its_sigma(counted):
    stack, counts, _ = counted
    sample = np.s_[:, 16:32, 16:32]  # no blank in it
    axis = np.linspace(630.0, 670.0, 401)
    values = np.interp(axis, ENERGIES, stack.i0)
    spectra = [I0Spectrum.of((axis, values, s * values)) for s in (0.0, 0.05)]
    frames = counts[sample]
    results = [
        solved(stack.design, frames, i0=spectrum, energies=ENERGIES)[1] for spectrum in spectra
    ]
    exact, vague = results
    np.testing.assert_allclose(exact.ln_i0, np.log(stack.i0), atol=5e-3)
    assert exact.n_mask == 256
    pull = ((exact.fraction - stack.fraction[16:32, 16:32]) / exact.sigma)[exact.mask]
    assert abs(pull.mean()) < 0.3 and pull.std() == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(vague.ln_i0_sigma, 0.05, rtol=1e-6)
    assert vague.sigma_median > 1.5 * exact.sigma_median
    np.testing.assert_allclose(vague.coefficients, exact.coefficients)


def test_a_given_i0_can_come_and_go(counted):
    stack, counts, expected = counted
    fit, own = solved(stack.design, counts, energies=ENERGIES)
    fit.set_i0(I0Spectrum(ENERGIES, 1.1 * stack.i0))
    assert fit.refresh().size == 48
    given = fit.solve()
    np.testing.assert_allclose(given.ln_i0, np.log(1.1 * stack.i0))
    fit.set_i0(None)
    again = fit.solve()
    np.testing.assert_array_equal(again.coefficients, own.coefficients)
    np.testing.assert_array_equal(again.sigma, expected.sigma)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (([640.0, 641.0], [1.0]), "2 energies and 1 values"),
        (([640.0, 641.0], [1.0, -2.0]), r"i0 = -2 at 641 eV must be greater than 0 counts"),
        (([640.0, 641.0], [1.0, 0.0]), "greater than 0"),
        (([640.0, 641.0], [1.0, np.nan]), r"values\[1\] = nan counts per pixel must be finite"),
        (([640.0, np.inf], [1.0, 1.0]), r"energies\[1\] = inf eV must be finite"),
        (([640.0, 640.0], [1.0, 1.0]), "640 eV twice"),
        (([640.0, 641.0], [1.0, 1.0], [0.1]), "1 sigma, but 2 values"),
        (([640.0, 641.0], [1.0, 1.0], [0.1, -0.1]), "sigma of -0.1"),
        (([640.0], [1.0], [0.1], [3.0]), "4 parts"),
        ((["a"], [1.0]), "one number in eV"),
        ((["640"], [1.0]), "one number in eV"),
        (([640.0], [True]), "one number in counts"),
        (([640.0], [1.0 + 1j]), "one number in counts"),
        (([640.0, 641.0], np.ma.masked_array([1.0, 1.0], [0, 1])), r"values\[1\] = masked"),
        ((iter([640.0, 641.0]), {1.0, 2.0}), "values .* a list of numbers"),
        (([], []), "0 energies"),
        ((640.0, 1.0), "a list of numbers in eV"),
        (5, "0 parts"),
    ],
)
def test_a_wrong_i0_is_named(parts, words):
    with pytest.raises(ValueError, match=words):
        I0Spectrum.of(parts)


@pytest.mark.parametrize("dwell", ["1e-3", True, 0.0, np.nan, 1j, [1e-3]])
def test_a_wrong_dwell_of_an_i0_is_named(dwell):
    with pytest.raises(ValueError, match="i0's dwell = .* s"):
        I0Spectrum([640.0, 641.0], [1.0, 1.0], dwell=dwell)


def test_an_i0_that_does_not_suit_the_stack(counted):
    stack, counts, _ = counted
    with pytest.raises(I0Error, match=r"covers 640 to 650 eV, .* 636 to 660 eV \(14 energies"):
        solved(stack.design, counts, energies=ENERGIES, i0=I0Spectrum([640, 650], [1, 1]))
    rate = I0Spectrum(ENERGIES, stack.i0 / DWELL)
    fit, result = solved(stack.design, counts, energies=ENERGIES, i0=rate)
    assert "times darker than i0" in fit.i0_refusal and "not a rate" in fit.i0_refusal
    assert result.n_mask == 0 and np.isnan(result.fraction).all()
    fit, _ = solved(stack.design, counts, energies=ENERGIES, i0=I0Spectrum(ENERGIES, stack.i0 / 9))
    assert "times brighter than i0" in fit.i0_refusal
    ratio = I0Spectrum(ENERGIES, stack.i0, ratio=True)
    fit, _ = solved(stack.design, counts, energies=ENERGIES, i0=ratio)
    assert "per monitor count" in fit.i0_refusal


def test_the_dwell_of_a_given_i0_is_taken_into_account():
    ln, variance = I0Spectrum([640, 650], [100.0, 200.0], [10.0, 10.0], dwell=2e-3).at([650], 1e-3)
    assert np.exp(ln[0]) == pytest.approx(100.0) and variance[0] == pytest.approx(0.05**2)
    falling = I0Spectrum([650, 640], [200.0, 100.0])
    assert np.exp(falling.at([645], None)[0][0]) == pytest.approx(150.0)


@pytest.mark.parametrize("n", [2, 3, 4, 10, 100])
@pytest.mark.parametrize("how", ["average", "scaled"])
def test_averages_and_scaled_counts_are_found_by_their_step(n, how):
    stack = make_stack()
    rng = np.random.default_rng(0)
    sums = stack.counts(rng, float(n)) if how == "average" else stack.counts(rng)
    _, result = solved(stack.design, sums / n, energies=ENERGIES)
    expected = solved(stack.design, sums, energies=ENERGIES)[1]
    np.testing.assert_allclose(result.sigma[result.mask], expected.sigma[result.mask], rtol=1e-3)


def test_decimals_are_no_step():
    """Frames moved by parts of a pixel and written with one decimal."""
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(0))
    moved = 0.7 * counts + 0.3 * np.roll(counts, 1, axis=2)
    fit, result = solved(stack.design, np.round(moved, 1), energies=ENERGIES)
    assert fit.noise.unit == 1.0 and fit.noise.why == ""
    expected = solved(stack.design, moved, energies=ENERGIES)[1]
    assert result.sigma_median == pytest.approx(expected.sigma_median, rel=1e-3)
