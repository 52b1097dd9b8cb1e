"""Quoted against found: the standard deviation of repeated measurements is the judge."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import StackFit

from ..conftest import make_stack

SHAPE = (96, 96)


def _pulls(n_energies, i0, thick, monitor, seed, dead_time=0.0):
    stack = make_stack(n_energies, SHAPE, i0, thick)
    rng = np.random.default_rng(seed)
    fit = StackFit(stack.design, 2, SHAPE)
    for k, image in enumerate(stack.counts(rng)):
        fit.set_image(k, image, rng.poisson(monitor, SHAPE) if monitor else None)
    result = fit.solve()
    good = result.mask & (stack.thickness > 0)
    assert good.sum() > 0.99 * (stack.thickness > 0).sum()
    return (
        ((result.fraction - stack.fraction) / result.sigma)[good],
        ((result.thickness - stack.thickness) / result.thickness_sigma)[good],
        result.chi2[good],
    )


@pytest.mark.parametrize(
    ("n_energies", "i0", "thick", "monitor"),
    [
        pytest.param(24, 5e3, 1.0, 0, id="plain"),
        pytest.param(60, 1e4, 1.5, 0, id="many"),
        pytest.param(24, 1e4, 1.0, 5e3, id="noisy-monitor"),
        pytest.param(8, 2e5, 1.0, 0, id="few-energies"),
        pytest.param(8, 2e5, 1.0, 1e5, id="few-energies-monitor"),
    ],
)
def test_sigma_is_what_is_found(n_energies, i0, thick, monitor):
    fraction, thickness, chi2 = _pulls(n_energies, i0, thick, monitor, seed=11)
    assert len(fraction) > 2000  # standard deviation known to 1.6 %
    assert 0.95 < 1 / fraction.std() < 1.05
    assert 0.95 < 1 / thickness.std() < 1.05
    assert abs(fraction.mean()) < 0.15
    assert chi2.mean() == pytest.approx(1.0, abs=0.1)


def test_sigma_is_the_propagated_variance_of_counts_monitor_and_i0():
    """Against numerical derivatives of a least-squares fit; I0 from four pixels matters."""
    stack = make_stack(12, (20, 20), 2e4)
    rng = np.random.default_rng(4)
    few = np.zeros((20, 20), dtype=bool)
    few[0, :4] = True
    counts = stack.counts(rng)
    monitor = rng.poisson(3e3, counts.shape).astype(float)
    fit = StackFit(stack.design, 2, (20, 20), blank=few)
    for k in range(12):
        fit.set_image(k, counts[k], monitor[k])
    result = fit.solve()
    variance = 1 / counts[:, few].sum(axis=1) + 1 / monitor[:, few].sum(axis=1)
    np.testing.assert_allclose(result.ln_i0_sigma, np.sqrt(variance), rtol=1e-6)
    n, m = counts[:, 10, 10], monitor[:, 10, 10]
    y = -np.log(n / m) + result.ln_i0

    def fraction(values):
        c = np.linalg.lstsq(stack.design, values, rcond=None)[0]
        return c[0] / (c[0] + c[1]), c[0] + c[1]

    for index, name in enumerate(("sigma", "thickness_sigma")):
        total = 0.0
        for k in range(12):
            step = np.where(np.arange(12) == k, 1e-5, 0.0)
            slope = (fraction(y + step)[index] - fraction(y - step)[index]) / 2e-5
            total += slope**2 * (1 / n[k] + 1 / m[k] + variance[k])
        assert getattr(result, name)[10, 10] == pytest.approx(np.sqrt(total), rel=1e-4)


def test_shifted_frames_are_as_noisy_as_before_and_say_so():
    stack = make_stack(12, (40, 40), 2e4)
    fit = StackFit(stack.design, 2, (40, 40), blank=stack.thickness == 0)
    for k, image in enumerate(stack.counts(np.random.default_rng(4))):
        fit.set_image(k, image)
    before = fit.solve().sigma[15:25, 15:25]
    fit.reaccumulate(np.full((12, 2), 0.5))
    after = fit.solve().sigma[15:25, 15:25]
    assert np.median(after / before) == pytest.approx(1.0, rel=0.05)


def test_region_sigma():
    stack = make_stack(24, (24, 24), 5e3)
    rng = np.random.default_rng(4)
    region = stack.thickness > 0
    found, quoted, chi2 = [], [], []
    for _ in range(150):
        fit = StackFit(stack.design, 2, (24, 24))
        for k, image in enumerate(stack.counts(rng)):
            fit.set_image(k, image)
        fit.solve()
        spectrum = fit.area_spectrum(region)
        found.append(spectrum.fraction)
        quoted.append(spectrum.fraction_sigma)
        chi2.append(spectrum.chi2)
    assert 0.85 < np.mean(quoted) / np.std(found) < 1.18  # 150 repetitions: 6 %
    assert np.mean(chi2) == pytest.approx(1.0, abs=0.15)
    assert np.mean(found) == pytest.approx(stack.fraction[region].mean(), abs=0.01)


def test_float32_is_good_enough():
    stack = make_stack()
    counts = stack.counts(np.random.default_rng(0))
    results = []
    for dtype in (np.float64, np.float32):
        fit = StackFit(stack.design, 2, (48, 48), dtype=dtype)
        for k, image in enumerate(counts):
            fit.set_image(k, image)
        results.append(fit.solve())
    both = results[0].mask & results[1].mask
    assert np.abs(results[0].fraction - results[1].fraction)[both].max() < 1e-4
    assert np.median(results[1].sigma[both]) > 1e-3
