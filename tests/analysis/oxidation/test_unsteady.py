"""Beam that changed within an image is found by the sample itself, also where nothing is blank."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import I0Spectrum, StackFit, leave_unsteady_out

from ..conftest import make_stack

DIP = 0.95


@pytest.fixture(scope="module")
def fit(toner):
    made = StackFit(toner.design, 2, toner.counts.shape[1:], min_thickness=0.3)
    for k, counts in enumerate(toner.counts):
        made.set_image(k, counts)
    return made


@pytest.fixture(scope="module")
def clean(fit):
    found = leave_unsteady_out(fit)
    fit.leave_out(np.zeros_like(found[1]))
    return found[:2]


@pytest.mark.parametrize(("k", "row"), [(36, 10), (20, 90)])
def test_a_dip_within_an_image_of_the_real_stack(toner, fit, clean, k, row):
    """Of the real Fe stack, whose upper half has no blank area, lines from some row on."""
    before, usual = clean
    counts = toner.counts[k].astype(float)
    counts[row:] *= DIP
    fit.set_image(k, counts)
    try:
        after, found, change = leave_unsteady_out(fit)
    finally:
        fit.set_image(k, toner.counts[k])
        fit.leave_out(np.zeros_like(usual))
    # The smaller part is the one that differs.
    part = slice(row, None) if row > found.shape[1] / 2 else slice(None, row)
    assert found[k, part].mean() > 0.85
    assert np.abs(np.abs(change[k, part]).mean() - (1 - DIP)) < 0.01
    outside = found.copy()
    outside[k, part] = False
    assert (outside & ~usual).sum() < 10
    both = before.mask & after.mask
    assert both.sum() > 0.99 * before.mask.sum()
    moved = np.abs(after.fraction - before.fraction)[both] / before.sigma[both]
    assert moved.max() < 1


def test_the_real_stack_as_it_is_loses_lines_of_one_image(clean):
    """Its blank pixels say the same of these; where only the references do not suit, nothing."""
    image, line = np.nonzero(clean[1])
    assert set(image) == {55} and len(line) >= 3 and 80 <= line.min() and line.max() <= 88


@pytest.mark.parametrize("lines", [slice(20, 21), slice(10, 16), slice(30, None)], ids=str)
def test_what_counting_explains_is_no_change(lines):
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(4))
    fit = StackFit(stack.design, 2, counts.shape[1:])
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    assert not leave_unsteady_out(fit)[1].any()
    image = counts[7].copy()
    image[lines] = np.round(image[lines] * 0.9)
    fit.set_image(7, image)
    _, off, change = leave_unsteady_out(fit)
    truth = np.zeros_like(off)
    truth[7, lines] = True
    np.testing.assert_array_equal(off, truth)
    assert change[truth].mean() == pytest.approx(-0.1, abs=0.01)
    np.testing.assert_allclose(change[truth], -0.1, atol=0.03)


def test_what_no_reference_has_is_not_the_beams_doing():
    """A phase with a sharp line in most columns of some rows; beside it the support is empty."""
    stack = make_stack()
    y, x = np.mgrid[:48, :48]
    thick = ((x < 34) & (y >= 6) & (y < 42)).astype(float)
    share = 0.2 + 0.6 * x / 48
    c = np.stack([share * thick, (1 - share) * thick, 0.2 * thick])
    od = np.einsum("kj,jyx->kyx", stack.design, c)
    od[14, 18:26, :34] += 0.15
    counts = np.random.default_rng(4).poisson(stack.i0[:, None, None] * np.exp(-od)).astype(float)
    counts[7, 18:26] = np.round(counts[7, 18:26] * 0.9)  # and here it was the beam
    fit = StackFit(stack.design, 2, counts.shape[1:])
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    _, off, _ = leave_unsteady_out(fit)
    truth = np.zeros_like(off)
    truth[7, 18:26] = True
    np.testing.assert_array_equal(off, truth)


@pytest.mark.parametrize("known", [True, False], ids=["energies", "no energies"])
def test_references_wrong_at_a_white_line_are_not_the_beams_doing(known):
    """Where nothing is blank: at the energies beside, the same lines are off, too."""
    stack = make_stack()
    y, x = np.mgrid[:48, :48]
    thick = 1.0 + 0.3 * np.sin(x / 7 + y / 5)
    share = 0.2 + 0.6 * x / 48
    c = np.stack([share * thick, (1 - share) * thick, 0.2 * thick])
    od = np.einsum("kj,jyx->kyx", stack.design, c)
    od[9:14, 20:24] += np.array([0.02, 0.04, 0.05, 0.04, 0.02])[:, None, None]
    counts = np.random.default_rng(4).poisson(stack.i0[:, None, None] * np.exp(-od)).astype(float)
    fit = StackFit(
        stack.design, 2, counts.shape[1:], energies=np.arange(24.0) if known else None,
        i0=I0Spectrum(np.arange(24.0), stack.i0, np.sqrt(stack.i0)) if known else None,
        blank=None if known else np.arange(48)[:, None] + np.zeros(48) < 2,
    )  # fmt: skip
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    assert not leave_unsteady_out(fit)[1].any()
    counts[18, 30:] = np.round(counts[18, 30:] * 0.9)  # and here it was the beam
    fit.set_image(18, counts[18])
    truth = np.zeros((24, 48), dtype=bool)
    truth[18, 30:] = True
    np.testing.assert_array_equal(leave_unsteady_out(fit)[1], truth)


def test_a_line_left_out_counts_again_when_it_comes_again():
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(4))
    fit = StackFit(stack.design, 2, counts.shape[1:])
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    whole = fit.solve()
    off = np.zeros(counts.shape[:2], dtype=bool)
    off[3, 5] = True
    fit.leave_out(off)
    without = fit.solve()
    assert without.n_energies[5] == len(counts) - 1 and not fit.lines_present[3, 5]
    fit.set_line(3, 5, counts[3, 5])
    again = fit.solve()
    np.testing.assert_array_equal(again.fraction, whole.fraction)
    with pytest.raises(ValueError, match="must be a mask"):
        fit.leave_out(off[:2])


def test_lines_of_frames_that_were_moved_are_those_that_were_flown():
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(4))
    shifts = np.zeros((len(counts), 2))
    shifts[12:, 0] = 3.0  # the sample lies 3 lines higher in the later images
    counts[12:, :-3] = counts[12:, 3:]
    counts[16, 20:26] *= 0.9
    fit = StackFit(stack.design, 2, counts.shape[1:])
    for k, image in enumerate(counts):
        fit.set_image(k, image)
    fit.reaccumulate(shifts)
    result, off, _ = leave_unsteady_out(fit)
    truth = np.zeros_like(off)
    truth[16, 20:26] = True
    np.testing.assert_array_equal(off, truth)
    assert (result.n_energies[23:29] == len(counts) - 1).all()
    assert result.n_energies[22] == result.n_energies[29] == len(counts)
