"""By how much a sample moved: on a stack of known truth, and on the measured one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from redoxscope.analysis._move import moved
from redoxscope.analysis.registration import Drift, DriftTracker, shift_onto
from redoxscope.sim.physics.stxm import build_model

from ..conftest import make_stack

Y, X = np.mgrid[:48, :48]


def drifting(n: int, i0: float, seed: int, amplitude: float = 2.0):
    """Energies, counts and drift of a particle whose composition and contrast change."""
    rng = np.random.default_rng(seed)
    stack = make_stack(n, (48, 48), i0)
    drift = np.cumsum(rng.normal(0, 0.2, (n, 2)), axis=0)
    drift -= drift[0]
    drift *= amplitude / np.abs(drift).max()
    counts = np.empty((n, 48, 48))
    for k, (dy, dx) in enumerate(drift):
        x = X - dx
        thick = 1 / (1 + np.exp((np.hypot(Y - dy - 22, 1.3 * (x - 24)) - 12) / 0.8))
        share = 0.2 + 0.6 * x / 48
        od = thick * (stack.design[k, 0] * share + stack.design[k, 1] * (1 - share) + 0.2)
        counts[k] = rng.poisson(stack.i0[k] * np.exp(-od))
    return np.linspace(636.0, 660.0, n), counts, drift


def tracked(energies, counts, order=None, passes=1):
    tracker = DriftTracker(energies, counts[0].shape)

    def image_of(k):
        return np.log(counts[k]), 1 / counts[k]

    for k in range(len(energies)) if order is None else order:
        tracker.add(k, *image_of(k))
    for _ in range(passes):
        tracker.again(image_of)
    return tracker.drift


def off(drift, true):
    """Error of each shift against all: where the grid lies as a whole is no error."""
    known = drift.known & (drift.sigma > 0).all(axis=1)
    error = (drift.shifts + true)[known]
    weight = 1 / drift.sigma[known] ** 2
    return error - (weight * error).sum(axis=0) / weight.sum(axis=0)


def test_sigma_is_as_large_as_the_error():
    pulls = []
    for seed in range(3):
        energies, counts, true = drifting(36, 3000, seed)
        drift = tracked(energies, counts)
        assert drift.known.all() and drift.matters
        error = off(drift, true)
        assert np.sqrt((error**2).mean()) < 0.06
        pulls.append(error / drift.sigma)
    assert 0.6 < np.concatenate(pulls).std() < 1.3


def test_the_grid_is_that_of_the_first_image():
    energies, counts, true = drifting(20, 2e4, 1)
    drift = tracked(energies, counts)
    np.testing.assert_array_equal(drift.shifts[0], 0.0)
    assert np.abs(drift.shifts + true).max() < 0.15


def test_energies_far_apart_come_first():
    energies, counts, true = drifting(32, 3000, 2)
    order = sorted(range(32), key=lambda k: int(f"{k:05b}"[::-1], 2))
    time = np.argsort(order)
    drift = tracked(energies, counts, order)
    assert np.sqrt((off(drift, true) ** 2).mean()) < 0.06
    assert time[order[3]] == 3  # by the order taken, not by energy


def test_an_image_that_tells_nothing_lies_between_its_neighbours():
    energies, counts, _ = drifting(20, 3000, 3)
    counts[9] = np.random.default_rng(0).poisson(3000, (48, 48))
    drift = tracked(energies, counts)
    assert drift.known.sum() == 19 and not drift.known[9]
    np.testing.assert_allclose(drift.shifts[9], drift.shifts[[8, 10]].mean(axis=0))
    assert np.isinf(drift.sigma[9]).all()


def test_an_image_that_comes_late_lies_where_it_was_taken():
    """As the two halves of one do that was broken off: they are registered last."""
    energies, counts, _ = drifting(16, 3000, 3, amplitude=6.0)
    counts[4] = np.random.default_rng(0).poisson(3000, (48, 48))
    late = (4, 0)
    tracker = DriftTracker(energies, counts[0].shape)
    for k in [*(k for k in range(16) if k not in late), *late]:
        tracker.add(k, np.log(counts[k]), 1 / counts[k])
    drift = tracker.drift
    assert tracker.images == tuple(range(16))
    assert drift.known.sum() == 15 and not drift.known[4]
    np.testing.assert_allclose(drift.shifts[4], drift.shifts[[3, 5]].mean(axis=0))
    np.testing.assert_array_equal(drift.shifts[0], 0.0)


def test_no_drift_does_not_matter():
    energies, counts, _ = drifting(30, 3000, 4, amplitude=1e-9)
    assert not tracked(energies, counts).matters


def test_a_jump_is_found_by_the_edges():
    energies, counts, _ = drifting(12, 3000, 5, amplitude=1e-9)
    for k in range(6, 12):
        counts[k] = np.roll(counts[k], (-5, 4), axis=(0, 1))
    drift = tracked(energies, counts)
    np.testing.assert_allclose(drift.shifts[6:], [[5.0, -4.0]] * 6, atol=0.15)


def test_missing_lines_are_left_out():
    energies, counts, true = drifting(20, 3000, 6)
    counts[7, 20:30] = np.nan
    counts[8, 40:] = np.nan
    drift = tracked(energies, counts)
    assert drift.known.all()
    assert np.abs(off(drift, true)).max() < 0.2


def test_large_images_are_made_smaller():
    tracker = DriftTracker([700.0, 701.0], (1030, 600))
    assert tracker.factor == 4  # to 300 a side at most; two rows are left over
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(1030, 600)), 5) * 10
    for k, by in enumerate([(0, 0), (6.3, -4.2)]):
        tracker.add(k, moved(image, by) + rng.normal(0, 0.01, image.shape), 1e-4)
    np.testing.assert_allclose(tracker.drift.shifts[1], [-6.3, 4.2], atol=0.05)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"references": np.zeros((2, 9, 8))}, "references have shape"),
        ({"image": np.zeros((4, 9)), "references": np.zeros((4, 9))}, "at least 8 a side"),
        ({"largest": 0.0}, "largest = 0.0 pixels"),
    ],
)
def test_what_cannot_be_is_refused(change, match):
    given = {"image": np.zeros((9, 9)), "references": np.zeros((9, 9))} | change
    with pytest.raises(ValueError, match=match):
        shift_onto(**given)


def test_nothing_to_see_is_no_shift():
    noise = np.random.default_rng(0).normal(size=(2, 40, 40))
    assert not shift_onto(np.zeros((40, 40)), np.zeros((40, 40))).found
    assert not shift_onto(noise[0], np.full((40, 40), np.nan)).found


def test_what_has_not_arrived_is_no_shift():
    """Begun 14 pixels off, on a slope that leads there: the steps end before."""
    y, x = np.mgrid[:96, :96] - 48.0
    image = 2.0 * np.exp(-0.5 * (y**2 + x**2) / 20.0**2)
    there = moved(image, (0.0, 14.0)) + np.random.default_rng(0).normal(0, 1e-3, image.shape)
    assert not shift_onto(there, image, variance=1e-6, search=False).found
    near = shift_onto(there, image, variance=1e-6, start=(0.0, -12.0), search=False)
    np.testing.assert_allclose((near.dy, near.dx), (0.0, -14.0), atol=0.05)


def test_detail_finer_than_a_pixel_is_no_hindrance():
    """A spot of 55 nm and pixels of 100 nm: steps are too long, and go to and fro."""
    model = build_model("lmr", seed=3, field_um=6.0)
    at = (np.arange(40) - 19.5) * 0.1
    (before,) = model.expected_transmission([638.0], at, at)
    rng = np.random.default_rng(0)
    for by in ((-0.34, -0.5), (-0.62, -0.6), (0.4, -0.7), (0.2, 0.1)):  # pixels
        (after,) = model.expected_transmission([638.9], at + 0.1 * by[1], at + 0.1 * by[0])
        one, other = (rng.poisson(3e4 * light).astype(float) for light in (before, after))
        fine = (y - ndimage.gaussian_filter(y, 2.0) for y in (np.log(other), np.log(one)))
        found = shift_onto(*fine, variance=1 / other)
        np.testing.assert_allclose((found.dy, found.dx), by, atol=0.08)


def test_even_images_are_compared_with_nothing():
    """Without any sample in them nothing tells where they lie."""
    even = np.full((48, 48), 8.0)
    tracker = DriftTracker([700.0, 701.0, 702.0], (48, 48))
    for k in range(3):
        tracker.add(k, even, 1e-4)
    tracker.again(lambda k: (even, 1e-4))
    assert not tracker.drift.known.any() and not tracker.drift.matters


def drift_of(shifts, sigma):
    """Of images in order; NaN of those that tell none."""
    shifts = np.column_stack([shifts, shifts])
    sigma = np.where(np.isfinite(shifts), sigma, np.inf)
    return Drift(np.nan_to_num(shifts), sigma, tuple(range(len(shifts))))


def test_shifts_that_are_no_path_are_not_believed():
    rng, steady = np.random.default_rng(0), np.linspace(0, 4, 40)
    for believed in (
        drift_of(steady + rng.normal(0, 0.2, 40), 0.2),
        drift_of(np.where(np.arange(40) < 17, 0.0, 5.0) + rng.normal(0, 0.2, 40), 0.2),
        drift_of(rng.normal(0, 0.5, 40), 0.02),  # a stage that trembles, registered well
    ):
        assert believed.matters and not believed.disbelief
    no_path = drift_of(np.where(rng.random(40) < 0.4, 3.0, 0.0), 0.2)
    assert not no_path.matters and "no path" in no_path.disbelief
    spread = drift_of(steady + rng.normal(0, 0.6, 40), 0.2)
    assert not spread.matters and "with σ of 0.20" in spread.disbelief
    few = drift_of(np.where(np.arange(40) < 19, steady, np.nan), 0.02)
    assert not few.matters and "only 19 of 40 images" in few.disbelief


# -- the measured stack ------------------------------------------------------------------------


def by_fourier(image, shift):
    """Move an image without loss, for the test's own drift."""
    ny, nx = image.shape
    padded = np.pad(image, ((0, ny), (0, nx)), mode="symmetric")
    return np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(padded), shift)).real[:ny, :nx]


def path(kind, n):
    """A drift of 3 px that wanders from image to image, or creeps and turns."""
    if kind == "wanders":
        true = np.cumsum(np.random.default_rng(0).normal(0, 0.15, (n, 2)), axis=0)
    else:
        s, rng = np.linspace(0, 1, n)[:, None], np.random.default_rng(1)
        ramp = 3.0 * s * rng.uniform(0.3, 1.0, (1, 2))
        true = ramp + 0.7 * np.sin(2 * np.pi * s * rng.uniform(1, 2, (1, 2)))
    true = true - true[0]
    return true * 3.0 / np.abs(true).max()


def fraction(toner, images):
    """Of the inner pixels, and which of them are thick enough."""
    od = np.log(toner.i0)[:, None] - images[:, 6:-6, 6:-6].reshape(len(images), -1)
    c = np.linalg.lstsq(toner.design, od, rcond=None)[0]
    return c[0] / (c[0] + c[1]), c[0] + c[1] > 0.3


@pytest.mark.parametrize("kind", ["wanders", "creeps"])
def test_toner_drift_of_three_pixels(toner, kind):
    """The shifts to 0.1 px, the map to 0.01 rms of that of the stack as it is."""
    y = np.log(toner.counts.astype(float))
    true = path(kind, len(y))
    shifted = np.stack([by_fourier(*each) for each in zip(y, true, strict=True)])
    drift = tracked(toner.energies, np.exp(shifted))
    assert drift.known.all() and drift.matters
    error = np.sqrt((off(drift, true) ** 2).mean(axis=0))
    assert error.max() <= 0.1
    expected, mask = fraction(toner, y)
    undone = [moved(*each) for each in zip(shifted, drift.shifts, strict=True)]
    found, wrong = (fraction(toner, np.stack(images))[0] for images in (undone, shifted))
    rms, without = (np.sqrt(((f - expected)[mask] ** 2).mean()) for f in (found, wrong))
    print(f"rms error {error} px; map {rms:.4f}, {without:.4f} without")
    assert rms <= 0.01
    assert without > 0.1


def test_toner_without_drift_is_left_as_it_is(toner):
    """Its authors have aligned it, to some hundredths of a pixel."""
    counts = toner.counts[::3].astype(float)
    drift = tracked(toner.energies[::3], counts)
    assert drift.known.all() and not drift.matters
