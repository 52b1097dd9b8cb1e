"""Images that are not of the sample's spectrum: dark ones, repeated ones, and I0 in parts."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import Detector, I0Spectrum, PixelFlag, StackFit, change_of_od

from ..conftest import make_stack

N = 24
ENERGIES = np.linspace(636.0, 660.0, N)
DWELL = np.where(np.arange(N) % 2, 1e-3, 4e-3)
RATE = 3e5
"""Dark counts per s."""


@pytest.fixture(scope="module")
def stack():
    return make_stack(i0=5e3)


def counted(stack, dark=0.0, dead=0.0, seed=0):
    """Counts of light at I0 per ms and of the dark, each energy for its dwell."""
    rate = stack.i0[:, None, None] * np.exp(-stack.od) / 1e-3 + dark
    time = DWELL[:, None, None]
    return np.random.default_rng(seed).poisson(rate * time / (1 + rate * dead)).astype(float)


def fitted(stack, counts, by_line=False, **options):
    fit = StackFit(stack.design, 2, (48, 48), energies=ENERGIES, dwell=DWELL, **options)
    for k, image in enumerate(counts):
        if by_line:
            for line in range(48):
                fit.set_line(k, line, image[line])
        else:
            fit.set_image(k, image)
    return fit


# -- dark ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", [0.0, 2e-8])
@pytest.mark.parametrize("when", ["first", "last", "in between"])
def test_dark_counts_are_taken_off(stack, dead, when):
    counts = counted(stack, RATE, dead)
    options = {"transmission": Detector(dead_time=dead)}
    fit = fitted(stack, [], **options)
    for k, image in enumerate(counts):
        if (when, k) in (("first", 0), ("in between", 9)):
            fit.set_dark(RATE)
        for line in range(48):
            fit.set_line(k, line, image[line])
    fit.set_dark(RATE)
    result = fit.solve()
    np.testing.assert_allclose(np.exp(result.ln_i0), stack.i0 * DWELL / 1e-3, rtol=5e-3)
    pull = ((result.fraction - stack.fraction) / result.sigma)[result.mask]
    assert abs(pull.mean()) < 0.15 and pull.std() == pytest.approx(1.0, abs=0.1)
    thick = result.thickness[result.mask]
    assert np.median(thick) == pytest.approx(1.0, abs=0.01)
    wrong = fitted(stack, counts, **options).solve()
    assert np.median(wrong.thickness[wrong.mask]) < 0.97  # the dark fills the dark places up


def test_the_dark_of_a_monitor_is_taken_off(stack):
    counts = counted(stack)
    monitor = np.random.default_rng(1).poisson((2e6 + RATE) * DWELL[:, None, None], counts.shape)
    fit = StackFit(stack.design, 2, (48, 48), energies=ENERGIES, dwell=DWELL)
    for k, image in enumerate(counts):
        fit.set_image(k, image, monitor[k])
    fit.set_dark(0.0, RATE)
    expected = stack.i0 / 1e-3 / 2e6
    np.testing.assert_allclose(np.exp(fit.solve().ln_i0), expected, rtol=5e-3)


def test_a_pixel_with_no_more_than_the_dark_has_no_value(stack):
    counts = counted(stack, RATE)
    counts[3, 24, 24] = RATE * DWELL[3]
    fit = fitted(stack, counts)
    assert not fit.solve().flags[24, 24] & PixelFlag.NON_POSITIVE
    fit.set_dark(RATE)
    result = fit.solve()
    assert result.flags[24, 24] & PixelFlag.NON_POSITIVE and np.isnan(result.thickness[24, 24])


def test_dark_counts_need_a_dwell(stack):
    with pytest.raises(ValueError, match="the dwell of the stack is not known"):
        StackFit(stack.design, 2, (48, 48)).set_dark(1.0)


# -- dose ----------------------------------------------------------------------------------------


def again(stack, k, change=0.0, seed=5, dwell=2e-3, monitor=None):
    """A later image of energy ``k``; the sample's optical density has changed."""
    od = stack.od[k] * (1 + change / stack.od[k][24, 24])
    later = StackFit(np.empty((1, 0)), 0, (48, 48), energies=ENERGIES[[k]], dwell=dwell)
    counts = np.random.default_rng(seed).poisson(stack.i0[k] * np.exp(-od) * dwell / 1e-3)
    later.set_image(0, counts, monitor)
    return later


@pytest.mark.parametrize("change", [0.0, 0.02, -0.05])
def test_a_change_is_found_with_its_sigma(stack, change):
    fit = fitted(stack, counted(stack))
    k = 7
    sample = fit.solve().mask
    found = [change_of_od(fit, k, again(stack, k, change, seed), 0, sample) for seed in range(40)]
    values = np.array([f.change for f in found])
    truth = np.median((stack.od[k] * change / stack.od[k][24, 24])[sample])
    sigma = np.median([f.sigma for f in found])
    assert abs(values.mean() - truth) < 3 * sigma  # one first image for all: it errs with them
    # The first image is the same in all: its share of sigma does not scatter here.
    assert 0.3 * sigma < values.std() < 1.1 * sigma
    assert all(f.n_pixels > 500 and f.energy == ENERGIES[k] for f in found)
    if change == -0.05:
        assert np.median([f.significance for f in found]) < -20


def test_sigma_of_a_change_is_what_two_images_scatter(stack):
    k, pulls = 7, []
    for seed in range(40):
        fit = fitted(stack, counted(stack, seed=100 + seed)[: k + 1])
        fit.solve()
        inside = stack.thickness > 0
        pulls.append(change_of_od(fit, k, again(stack, k, 0.0, seed), 0, inside).significance)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35) and abs(np.mean(pulls)) < 0.6


def test_i0_of_few_blank_pixels_is_in_sigma(stack):
    few = np.zeros((48, 48), dtype=bool)
    few[0, :6] = True
    fit = fitted(stack, counted(stack), blank=few)
    fit.solve()
    found = change_of_od(fit, 7, again(stack, 7), 0, stack.thickness > 0)
    later, first = 6 * stack.i0[7] * 2, 6 * stack.i0[7] * DWELL[7] / 1e-3
    assert found.sigma == pytest.approx(np.sqrt(1 / later + 1 / first), rel=0.1)


def test_a_change_where_i0_comes_from_elsewhere(stack):
    counts = counted(stack)[:, 16:32, 16:32]  # no blank area
    given = I0Spectrum(ENERGIES, stack.i0, dwell=1e-3)
    fit = StackFit(stack.design, 2, (16, 16), energies=ENERGIES, dwell=DWELL, i0=given)
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    fit.solve()
    later = StackFit(np.empty((1, 0)), 0, (16, 16), energies=ENERGIES[[7]], dwell=8e-3)
    od = stack.od[7, 16:32, 16:32] + 0.05
    later.set_image(0, np.random.default_rng(0).poisson(stack.i0[7] * np.exp(-od) * 8))
    found = change_of_od(fit, 7, later, 0, np.zeros((16, 16), dtype=bool))
    assert found.change == pytest.approx(0.05, abs=4 * found.sigma) and found.sigma < 0.003
    assert found.n_pixels == 256


def test_a_change_that_cannot_be_known_says_why(stack):
    counts = counted(stack)[:, 16:32, 16:32]
    fit = StackFit(stack.design, 2, (16, 16), energies=ENERGIES, dwell=DWELL)
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    fit.solve()
    later = StackFit(np.empty((1, 0)), 0, (16, 16), energies=ENERGIES[[7]], dwell=1e-3)
    nothing = np.zeros((16, 16), dtype=bool)
    found = change_of_od(fit, 7, later, 0, nothing)
    assert np.isnan(found.change) and found.reason == "I0 is not known"
    full = fitted(stack, counted(stack))
    full.solve()
    later = StackFit(np.empty((1, 0)), 0, (48, 48), energies=ENERGIES[[7]], dwell=1e-3)
    assert change_of_od(full, 7, later, 0, stack.thickness > 0).reason


# -- an I0 in parts ------------------------------------------------------------------------------


def test_energies_that_a_partial_i0_does_not_cover_are_left_out(stack):
    counts = counted(stack)
    part = I0Spectrum(ENERGIES[:15], stack.i0[:15], dwell=1e-3, partial=True)
    fit = fitted(stack, counts, i0=part)
    result = fit.solve()
    assert np.isnan(result.ln_i0[15:]).all() and (result.n_energies == 15).all()
    np.testing.assert_allclose(np.exp(result.ln_i0[:15]), (stack.i0 * DWELL / 1e-3)[:15])
    np.testing.assert_array_equal(part.covers(ENERGIES), np.arange(N) < 15)
