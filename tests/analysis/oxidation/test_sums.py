"""Maps from running sums are those of all frames taken together, whatever came before."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import Detector, I0Spectrum, PixelFlag, StackFit

from ..conftest import make_stack

NY, NX, N = 40, 30, 20
ENERGIES = np.linspace(636.0, 660.0, N)
VALUES = ("fraction", "sigma", "thickness", "thickness_sigma", "chi2", "coefficients")


def direct(design, od, variance, i0_variance, weight):
    """Formulas as they stand in the documentation, one pixel after the other."""
    rows = design * weight[:, None]
    gain = np.linalg.solve(rows.T @ design, rows.T)
    found = {name: np.empty(od.shape[1:]) for name in VALUES[:-1]}
    found["coefficients"] = np.tensordot(gain, od, 1)
    for y, x in np.ndindex(*od.shape[1:]):
        c = found["coefficients"][:, y, x]
        v = variance[:, y, x]
        covariance = (gain * (v + i0_variance)) @ gain.T
        total = c[0] + c[1]
        f = c[0] / total
        g = np.array([1 - f, -f, 0.0]) / total
        s = np.array([1.0, 1.0, 0.0])
        residual = od[:, y, x] - design @ c
        found["fraction"][y, x] = f
        found["sigma"][y, x] = np.sqrt(g @ covariance @ g)
        found["thickness"][y, x] = total
        found["thickness_sigma"][y, x] = np.sqrt(s @ covariance @ s)
        found["chi2"][y, x] = (residual**2 / v).sum() / (len(design) - design.shape[1])
    return found


def same(result, expected, rtol, chi2=None):
    good = np.isfinite(result.thickness)
    for name in VALUES:
        one, other = getattr(result, name), expected[name]
        inside = result.mask if name in ("fraction", "sigma") else good
        tolerance = chi2 if name == "chi2" and chi2 is not None else rtol
        np.testing.assert_allclose(
            one[..., inside], other[..., inside], rtol=tolerance, atol=tolerance
        )


def as_dict(result):
    return {name: getattr(result, name) for name in VALUES}


class Beam:
    """Counts of a stack, as a counter and a monitor give them."""

    def __init__(self, i0=2e4, dwell=None, dead=0.0, monitor=None, thick=1.2, seed=0):
        self.stack = make_stack(N, (NY, NX), i0, thick)
        rng = np.random.default_rng(seed)
        self.dwell = dwell
        time = np.ones(N) if dwell is None else dwell / 1e-3
        rate = self.stack.i0[:, None, None] * np.exp(-self.stack.od) * time[:, None, None]
        if dead:
            rate = rate / (1 + rate * dead / dwell[:, None, None])
        self.counts = rng.poisson(rate).astype(float)
        self.monitor = None
        if monitor:
            self.monitor = rng.poisson(monitor * time[:, None, None], rate.shape).astype(float)
        self.dead = dead

    def fit(self, **options):
        options.setdefault("energies", ENERGIES)
        if self.dead:
            options["transmission"] = Detector(dead_time=self.dead)
        return StackFit(self.stack.design, 2, (NY, NX), dwell=self.dwell, **options)

    def line(self, fit, k, i):
        fit.set_line(k, i, self.counts[k, i], None if self.monitor is None else self.monitor[k, i])

    def image(self, fit, k):
        fit.set_image(k, self.counts[k], None if self.monitor is None else self.monitor[k])

    def expected(self, result):
        n, t = self.counts, np.ones(N) if self.dwell is None else self.dwell
        true = n / (1 - n * self.dead / t[:, None, None])
        od, variance = -np.log(true), 1 / n
        if self.monitor is not None:
            od, variance = od + np.log(self.monitor), variance + 1 / self.monitor
        od += result.ln_i0[:, None, None]
        return direct(self.stack.design, od, variance, result.ln_i0_sigma**2, t / t.max())


CASES = {
    "plain": {},
    "monitor": {"monitor": 5e3},
    "dead time and dwell": {
        "dwell": np.where(ENERGIES > 645, 4e-3, 1e-3), "dead": 1e-8, "monitor": 5e3
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("order", ["scan", "mixed"])
def test_image_by_image_is_as_all_at_once(name, order):
    beam = Beam(**CASES[name])
    mask = beam.stack.thickness == 0
    fit = beam.fit(blank=mask)
    for k in range(N) if order == "scan" else np.random.default_rng(2).permutation(N):
        beam.image(fit, k)
        live = fit.solve(fit.refresh())
    same(live, beam.expected(live), 1e-8)
    final = fit.solve()
    same(final, beam.expected(final), 1e-9)
    np.testing.assert_array_equal(live.flags, final.flags)
    np.testing.assert_array_equal(live.mask, final.mask)


@pytest.mark.parametrize("name", CASES)
def test_line_by_line_flown_again_and_missed(name):
    """I0 moves with each line of an image; lines are missed, replaced, and come late."""
    beam = Beam(**CASES[name])
    rng = np.random.default_rng(5)
    fit = beam.fit(blank=beam.stack.thickness == 0)
    late = []
    for k in range(N):
        for i in range(NY):
            kind = rng.integers(12)
            if kind == 0:  # missed, and flown at once
                fit.set_line(k, i, np.full(NX, np.nan), None)
            elif kind == 1:  # wrong, and replaced in the end
                fit.set_line(k, i, rng.permutation(beam.counts[k, i]), np.full(NX, 7.0))
                late.append((k, i))
                continue
            elif kind == 2:
                late.append((k, i))
                continue
            beam.line(fit, k, i)
            if i % 9 == 0:
                fit.solve(fit.refresh())
    fit.solve(fit.refresh())
    for k, i in late:
        beam.line(fit, k, i)
        if i % 5 == 0:
            fit.solve(fit.refresh())
    live = fit.solve(np.arange(NY))
    assert np.isfinite(live.thickness).all()
    # Chi-square may be that of an I0 that has moved by less than a tenth of a pixel's sigma.
    same(live, beam.expected(live), 1e-8, chi2=0.05)
    final = fit.solve()
    same(final, beam.expected(final), 1e-9)
    np.testing.assert_array_equal(live.flags, final.flags)


def test_the_order_leaves_no_trace_at_the_end():
    beam = Beam(monitor=5e3)
    whole = beam.fit()
    for k in range(N):
        beam.image(whole, k)
    expected = whole.solve()
    rng = np.random.default_rng(1)
    fit = beam.fit()
    for n, (k, i) in enumerate(rng.permutation([(k, i) for k in range(N) for i in range(NY)])):
        if n % 10 == 0:
            fit.set_line(k, i, rng.permutation(beam.counts[k, i]), beam.monitor[k, i])
        if n % 50 == 0:
            fit.solve(fit.refresh())
        beam.line(fit, k, i)
    found = fit.solve()
    for name in (*VALUES, "flags", "mask", "ln_i0"):  # not one bit
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_another_i0_moves_all_that_it_should():
    beam = Beam()
    fit = beam.fit(blank=beam.stack.thickness == 0)
    for k in range(N):
        beam.image(fit, k)
        fit.solve(fit.refresh())
    rng = np.random.default_rng(3)
    shape = beam.stack.i0 * rng.normal(1.0, 0.02, N)
    given = I0Spectrum(ENERGIES, shape, 0.01 * shape)
    fit.set_i0(given)
    live = fit.solve(fit.refresh())
    np.testing.assert_allclose(np.exp(live.ln_i0), shape)
    same(live, beam.expected(live), 1e-8)
    few = I0Spectrum(ENERGIES[3:], shape[3:], partial=True)
    fit.set_i0(few)
    live = fit.solve(fit.refresh())
    assert (live.n_energies == N - 3).all()
    fit.set_i0(None)
    same(fit.solve(fit.refresh()), as_dict(fit.solve()), 1e-9)


def test_the_beam_changes_within_an_image():
    """The mean over the blank area moves with each line: chi-square follows it, flags too."""
    beam = Beam(i0=2e5, thick=2.0)
    drift = np.linspace(1.0, 1.15, NY)
    mask = np.zeros((NY, NX), dtype=bool)
    mask[:, :3] = True
    fit = beam.fit(blank=mask)
    for falling in (False, True):
        beam.counts = np.round(beam.counts * (drift[::-1] if falling else drift)[None, :, None])
    for k in range(N):
        scale = drift if k % 2 else drift[::-1]
        beam.counts[k] = np.round(beam.counts[k] * scale[:, None])
        for i in range(NY):
            beam.line(fit, k, i)
            live = fit.solve(fit.refresh())
    expected = beam.expected(live)
    np.testing.assert_allclose(live.chi2, expected["chi2"], rtol=0.05, atol=0.02)
    same(fit.solve(np.arange(NY)), expected, 1e-8, chi2=0.05)
    high = (live.flags & PixelFlag.HIGH_OD).astype(bool)
    od = live.ln_i0[:, None, None] - np.log(beam.counts)
    assert 20 < high.sum() < high.size - 20
    np.testing.assert_array_equal(high, (od > 2.0).any(axis=0))
    final = fit.solve()
    np.testing.assert_array_equal(final.flags, live.flags)
    same(final, beam.expected(final), 1e-9)


@pytest.mark.parametrize("change", ["dark", "shift", "unit"])
def test_what_changes_every_frame_is_summed_again(change):
    beam = Beam(dwell=np.full(N, 1e-3))
    if change == "unit":  # noise beyond counting: the blank area's scatter says so, again and again
        rng = np.random.default_rng(8)
        beam.counts = np.round(beam.counts * rng.normal(1.0, 0.03, beam.counts.shape))
    fit = beam.fit(blank=beam.stack.thickness == 0)
    for k in range(N):
        beam.image(fit, k)
        if k == 12 and change == "dark":
            fit.set_dark(2e4)
        if k == 12 and change == "shift":
            fit.reaccumulate(np.random.default_rng(0).uniform(-1, 1, (N, 2)))
        live = fit.solve(fit.refresh())
    final = fit.solve()
    assert change != "unit" or fit.noise.relative > 0
    same(live, as_dict(final), 1e-8, chi2=0.02 if change == "unit" else None)
    np.testing.assert_array_equal(live.flags, final.flags)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_keeps_what_counts_are_worth(name):
    """Chi-square of a million counts, at the end of as many sums as there are energies."""
    beam = Beam(**CASES[name] | {"i0": 1e6})
    fits = [beam.fit(blank=beam.stack.thickness == 0, dtype=d) for d in (np.float32, np.float64)]
    for k in range(N):
        for fit in fits:
            beam.image(fit, k)
            fit.solve(fit.refresh())
    single, double = (fit.solve(np.arange(NY)) for fit in fits)
    assert single.fraction.dtype == single.coefficients.dtype == np.float32
    inside = double.mask & single.mask
    error = np.abs(single.fraction - double.fraction)[inside] / double.sigma[inside]
    assert error.max() < 0.02
    np.testing.assert_allclose(single.sigma[inside], double.sigma[inside], rtol=1e-3)
    np.testing.assert_allclose(single.chi2, double.chi2, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(np.float64, 1e-8), (np.float32, 1e-3)], ids=["double", "single"]
)
def test_the_real_stack_live(toner, dtype, rtol):
    """In scan order, where the first energies hardly tell the species apart."""
    whole = StackFit(toner.design, 2, (125, 125), min_thickness=0.3)
    for k, image in enumerate(toner.counts):
        whole.set_image(k, image)
    expected = whole.solve()
    fit = StackFit(
        toner.design, 2, (125, 125), min_thickness=0.3, blank=expected.blank, dtype=dtype
    )
    for k, image in enumerate(toner.counts):
        fit.set_image(k, image)
        live = fit.solve(fit.refresh())
    same(live, as_dict(expected), rtol)
    assert live.n_mask == pytest.approx(2446, abs=10)
    assert live.mean == pytest.approx(0.742, abs=0.002)


@pytest.mark.filterwarnings("error")
def test_a_saturated_pixel_and_dark_counts_are_no_warning():
    """Pixels taken together are infinite where one of them is saturated."""
    beam = Beam(dwell=np.full(N, 1e-3), monitor=5e3)
    beam.counts[4, 20, 11] = np.inf
    fit = beam.fit(blank=beam.stack.thickness == 0)
    for k in range(N):
        beam.image(fit, k)
        if k == 8:
            fit.set_dark(1e4, 1e3)
        result = fit.solve(fit.refresh())
    assert result.flags[20, 11] == PixelFlag.SATURATED
    assert np.isnan(result.thickness).sum() == np.isnan(result.chi2).sum() == 1
