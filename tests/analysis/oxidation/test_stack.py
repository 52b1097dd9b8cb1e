from __future__ import annotations

import warnings

import numpy as np
import pytest

from redoxscope.analysis._move import moved
from redoxscope.analysis.oxidation import Detector, PixelFlag, StackFit, default_area

from ..conftest import make_stack

MAPS = ("fraction", "sigma", "thickness", "thickness_sigma", "chi2", "coefficients")


def feed(fit: StackFit, counts, monitor=None, skip=()) -> StackFit:
    for k in range(counts.shape[0]):
        for line in range(counts.shape[1]):
            if (k, line) in skip:
                continue
            fit.set_line(k, line, counts[k, line], None if monitor is None else monitor[k, line])
    return fit


def same(a, b, rtol=0.0, atol=0.0) -> None:
    for name in MAPS:
        one, other = getattr(a, name), getattr(b, name)
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        if name in ("fraction", "sigma"):  # meaningless, and ill-conditioned, without sample
            one, other = one[a.mask], other[a.mask]
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
    np.testing.assert_array_equal(a.flags, b.flags)
    np.testing.assert_array_equal(a.mask, b.mask)


def lstsq(design, counts, i0):
    od = -np.log(counts.reshape(len(design), -1).astype(float) / i0[:, None])
    return np.linalg.lstsq(design, od, rcond=None)[0].reshape(design.shape[1], *counts.shape[1:])


# -- the real stack ----------------------------------------------------------------------------


def test_toner_line_by_line_with_automatic_i0(toner):
    fit = feed(StackFit(toner.design, 2, (125, 125), min_thickness=0.3), toner.counts)
    result = fit.solve()
    assert result.n_mask == pytest.approx(2449, abs=25)
    assert result.mean == pytest.approx(0.741, abs=0.005)
    assert result.std == pytest.approx(0.289, abs=0.005)
    i0 = np.exp(result.ln_i0)
    assert np.abs(i0 / toner.i0 - 1).max() < 0.005
    np.testing.assert_allclose(
        result.coefficients, lstsq(toner.design, toner.counts, i0), rtol=0, atol=1e-7
    )
    high = (result.flags & PixelFlag.HIGH_OD).astype(bool) & result.mask
    assert high.sum() == pytest.approx(852, abs=30)
    region = fit.area_spectrum(default_area(result))
    assert region.n_pixels > 20
    assert 0 < region.fraction_sigma < result.sigma_median / 4


def test_toner_with_the_authors_i0(toner):
    # As a monitor: everything but the blank is exercised, and the README's figures are exact.
    fit = StackFit(toner.design, 2, (125, 125), mode="monitor", min_thickness=0.3)
    for k, image in enumerate(toner.counts):
        fit.set_image(k, image, np.full(image.shape, toner.i0[k]))
    result = fit.solve()
    assert result.n_mask == 2449
    assert result.mean == pytest.approx(0.741, abs=0.0005)
    assert result.std == pytest.approx(0.289, abs=0.0005)
    np.testing.assert_allclose(
        result.coefficients, lstsq(toner.design, toner.counts, toner.i0), rtol=0, atol=1e-7
    )
    strict = StackFit(toner.design, 2, (125, 125), mode="monitor", min_thickness=0.3, max_od=2.0)
    for k, image in enumerate(toner.counts):
        strict.set_image(k, image, np.full(image.shape, toner.i0[k]))
    assert strict.solve().n_mask == 2449 - 852


# -- order, repetition, gaps -------------------------------------------------------------------


def test_order_and_repetition_do_not_matter(stack):
    rng = np.random.default_rng(0)
    counts = stack.counts(rng)
    whole = StackFit(stack.design, 2, (48, 48))
    for k, image in enumerate(counts):
        whole.set_image(k, image)
    batch = whole.solve()

    live = StackFit(stack.design, 2, (48, 48))
    order = [(k, line) for k in range(24) for line in range(48)]
    rng.shuffle(order)
    for n, (k, line) in enumerate(order):
        if n % 7 == 0:
            live.set_line(k, line, stack.counts(rng)[k, line])  # replaced below
        if n % 100 == 0:
            live.solve(live.refresh())
        live.set_line(k, line, counts[k, line])
        if n % 11 == 0:
            live.set_line(k, line, counts[k, line])
    same(live.solve(), batch, rtol=1e-9, atol=1e-11)


def test_a_bad_line_replaced_leaves_no_trace(stack):
    counts = stack.counts(np.random.default_rng(0))
    good = feed(StackFit(stack.design, 2, (48, 48)), counts)
    mended = StackFit(stack.design, 2, (48, 48))
    spoilt = counts.copy()
    spoilt[3, 20, :24] = 0.0  # -inf in the sums
    spoilt[5, 22] = 0.0  # a line in the dark: not taken, as if it had been missed
    spoilt[4, 21] = np.nan  # missed
    feed(mended, spoilt)
    before = mended.solve()
    assert np.isnan(before.thickness[20, :24]).all()
    assert np.isfinite(before.thickness[20, 24:]).all()
    assert before.n_energies[22] == before.n_energies[23] - 1
    assert np.isfinite(before.thickness[22]).all()
    assert (before.flags[20, :24] & PixelFlag.NON_POSITIVE).all()
    assert (before.flags[21] & PixelFlag.MISSED).all()
    assert before.n_energies[21] == 23
    mended.set_line(3, 20, counts[3, 20])
    mended.set_line(4, 21, counts[4, 21])
    mended.set_line(5, 22, counts[5, 22])
    same(mended.solve(), good.solve(), rtol=1e-9, atol=1e-11)


def test_pixels_without_counts_and_without_monitor_are_no_warning(stack):
    # The logarithms are infinite with both signs, and their sum is not a number.
    counts = stack.counts(np.random.default_rng(0))
    monitor = np.full(counts.shape, 1e4)
    counts[3, 20, 5], monitor[7, 20, 5] = 0.0, 0.0
    fit = feed(StackFit(stack.design, 2, (48, 48)), counts, monitor)
    fit.uniform()
    for shifts in (None, np.full((24, 2), 0.5)):
        fit.reaccumulate(shifts)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = fit.solve()
        assert np.isnan(result.thickness[20, 5]) == (shifts is None)  # shifting mixes pixels


def test_missed_lines_use_the_energies_that_are_there(stack):
    counts = stack.counts(np.random.default_rng(0))
    spoilt = counts.copy()
    spoilt[[2, 5], 24] = np.nan
    fit = feed(StackFit(stack.design, 2, (48, 48)), spoilt)
    result = fit.solve()
    keep = np.setdiff1d(np.arange(24), [2, 5])
    expected = lstsq(stack.design[keep], counts[keep][:, 24:25], np.exp(result.ln_i0[keep]))
    np.testing.assert_allclose(result.coefficients[:, 24], expected[:, 0], atol=1e-9)
    assert np.isfinite(result.fraction[24, 24])


def test_interrupted_stack_is_incomplete_not_wrong(stack):
    counts = stack.counts(np.random.default_rng(0))
    fit = StackFit(stack.design, 2, (48, 48))
    feed(fit, counts[:2])
    early = fit.solve()
    assert np.isnan(early.fraction).all()
    assert (early.flags & PixelFlag.INCOMPLETE).all()
    feed(fit, counts[:15])
    for line in range(10):
        fit.set_line(15, line, counts[15, line])
    result = fit.solve()
    assert (result.n_energies[:10] == 16).all()
    assert (result.n_energies[10:] == 15).all()
    expected = lstsq(stack.design[:15], counts[:15], np.exp(result.ln_i0[:15]))
    np.testing.assert_allclose(result.coefficients[:, 10:], expected[:, 10:], atol=1e-9)


def test_energy_without_known_i0_waits(stack):
    counts = stack.counts(np.random.default_rng(0))
    mask = np.zeros((48, 48), dtype=bool)
    mask[-5:] = True  # the blank is scanned last
    fit = feed(StackFit(stack.design, 2, (48, 48), blank=mask), counts[:10])
    fit.set_line(10, 24, counts[10, 24])
    result = fit.solve()
    assert result.n_energies[24] == 10
    expected = lstsq(stack.design[:10], counts[:10], np.exp(result.ln_i0[:10]))
    np.testing.assert_allclose(result.coefficients[:, 24], expected[:, 24], atol=1e-9)


def test_refresh_asks_for_what_changed_only(stack):
    counts = stack.counts(np.random.default_rng(0))
    fit = feed(StackFit(stack.design, 2, (48, 48)), counts)
    fit.solve()
    assert fit.refresh().size == 0
    fit.set_line(23, 7, counts[23, 7])
    np.testing.assert_array_equal(fit.refresh(), [7])
    brighter = counts.copy()
    brighter[23] *= 1.5  # ln I0 of one energy moves: every line is affected
    for line in range(48):
        fit.set_line(23, line, brighter[23, line])
    assert fit.refresh().size == 48


# -- one rule for lines and images --------------------------------------------------------------


def few_energies(rng, monitored=False):
    """Five energies, half of the pixels blank; the sample's counts are Poisson."""
    design = np.column_stack([[0, 1, 0, 0.2, 0.3], [0, 0, 1, 0.2, 0.3], np.ones(5)])
    thick = np.zeros((30, 30))
    thick[:, 15:] = 1.0
    od = design[:, 0, None, None] * 0.6 * thick + design[:, 1, None, None] * 0.4 * thick
    counts = rng.poisson(1e4 * np.exp(-od)).astype(float)
    return design, counts, rng.poisson(5e3, counts.shape).astype(float) if monitored else None


def _dark_image(counts, monitor):
    counts[4] = 0.0


def _dark_lines(counts, monitor):
    counts[2, 7:11] = 0.0


def _nan_lines(counts, monitor):
    counts[1, [0, 3, 29]] = np.nan


def _nan_image(counts, monitor):
    counts[3] = np.nan


def _nan_pixels(counts, monitor):
    counts[1, 5, 0] = counts[2, 6, 20] = np.nan


def _zero_pixels(counts, monitor):
    counts[1, 5, 0] = counts[2, 6, 20] = 0.0


def _negative_lines(counts, monitor):
    counts[2, 4] = -1.0


def _dark_counts(counts, monitor):
    rng = np.random.default_rng(2)
    counts[4, :20] = rng.poisson(0.1, counts[4, :20].shape)
    counts[0, 7], counts[1, 8] = 0.0, 0.0
    counts[0, 7, 3], counts[1, 8, 2:5] = 1.0, [np.nan, 1.0, -1.0]
    if monitor is not None:
        monitor[4, 5:20] = rng.poisson(0.1, monitor[4, 5:20].shape)


def _no_light_at_all(counts, monitor):
    counts[:] = 0.0


def _no_monitor_on_the_first_line(counts, monitor):
    if monitor is not None:
        monitor[0, 0] = np.nan


def _no_monitor_in_the_first_images(counts, monitor):
    if monitor is not None:
        monitor[:2] = np.nan


def _dark_monitor(counts, monitor):
    if monitor is not None:
        monitor[3, 4:9] = 0.0
        monitor[2] = 0.0


@pytest.mark.parametrize("monitored", [False, True], ids=["alone", "monitor"])
@pytest.mark.parametrize(
    "damage",
    [
        _dark_image, _dark_lines, _nan_lines, _nan_image, _nan_pixels, _zero_pixels,
        _negative_lines, _dark_counts, _no_light_at_all, _no_monitor_on_the_first_line,
        _no_monitor_in_the_first_images, _dark_monitor,
    ],
)  # fmt: skip
def test_lines_and_images_give_the_same_map(damage, monitored):
    rng = np.random.default_rng(1)
    design, counts, monitor = few_energies(rng, monitored)
    damage(counts, monitor)

    def line(fit, k, i):
        fit.set_line(k, i, counts[k, i], None if monitor is None else monitor[k, i])

    def image(fit, k):
        fit.set_image(k, counts[k], None if monitor is None else monitor[k])

    def new():
        return StackFit(design, 2, (30, 30))

    lines = [(k, i) for k in range(5) for i in range(30)]
    by_line, backwards, shuffled, twice, by_image, reverse, again, mixed = (new() for _ in range(8))
    for k, i in lines:
        line(by_line, k, i)
    for k, i in reversed(lines):
        line(backwards, k, i)
    for k, i in rng.permutation(lines):
        line(shuffled, k, i)
    for k, i in lines:  # overwritten: what was there before leaves no trace
        twice.set_line(k, i, np.full(30, 77.0), np.full(30, 5.0) if i % 2 else None)
        line(twice, k, i)
    for k in range(5):
        image(by_image, k)
    for k in reversed(range(5)):
        image(reverse, k)
    for k in range(5):
        again.set_image(k, np.full((30, 30), 77.0), np.full((30, 30), 5.0))
    for k in range(5):
        image(again, k)
    for k in range(5):
        if k % 2:
            image(mixed, k)
        for i in range(0, 30, 2):
            line(mixed, k, i)
        if not k % 2:
            image(mixed, k)
    expected = by_line.solve()
    for fit in (backwards, shuffled, twice, by_image, reverse, again, mixed):
        assert fit.monitored == by_line.monitored
        np.testing.assert_array_equal(fit.lines_present, by_line.lines_present)
        found = fit.solve()
        same(found, expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(found.ln_i0, expected.ln_i0, rtol=1e-12)


@pytest.mark.parametrize("dark_counts", [0.0, 0.01, 0.1, 2.0])
@pytest.mark.parametrize("monitored", [False, True], ids=["alone", "monitor"])
def test_a_dark_image_is_left_out_and_not_believed(monitored, dark_counts):
    rng = np.random.default_rng(1)
    design, counts, monitor = few_energies(rng, monitored)
    counts[4] = rng.poisson(dark_counts, (30, 30))
    if monitor is not None:
        monitor[4] = rng.poisson(dark_counts, (30, 30))
    fit = StackFit(design, 2, (30, 30))
    for k in range(5):
        fit.set_image(k, counts[k], None if monitor is None else monitor[k])
        fit.solve(fit.refresh())
    result = fit.solve()
    assert result.n_mask == 450
    assert (result.n_energies == 4).all()
    assert (result.flags & PixelFlag.MISSED).all()
    assert result.mean == pytest.approx(0.6, abs=0.01)


# -- flags and mask ----------------------------------------------------------------------------


def test_flags(stack):
    counts = stack.counts(np.random.default_rng(0))
    counts[5, 24, 24] = 0
    counts[6, 24, 25] = -3
    counts[7, 24, 26] = np.nan
    counts[8, 24, 27] = 9e3
    fit = feed(
        StackFit(stack.design, 2, (48, 48), dwell=1e-3, transmission=Detector(saturation=8e6)),
        counts,
    )
    result = fit.solve()
    expected = [PixelFlag.NON_POSITIVE] * 2 + [PixelFlag.INCOMPLETE, PixelFlag.SATURATED]
    assert [int(f) for f in result.flags[24, 24:28]] == [int(f) for f in expected]
    assert np.isnan(result.fraction[24, 24:28]).all()
    assert np.isnan(result.thickness[24, 24:28]).all()
    assert not result.mask[24, 24:28].any()
    assert np.isfinite(result.fraction[24, 28])
    assert result.mask[24, 28]
    assert result.mask[stack.thickness == 0].mean() < 0.002


def test_nothing_is_said_where_it_means_nothing(stack):
    """Outside the mask a fraction is noise over noise: 92, or -1.9."""
    fit = feed(StackFit(stack.design, 2, (48, 48)), stack.counts(np.random.default_rng(0)))
    result = fit.solve()
    assert 0 < result.n_mask < result.mask.size
    for values in (result.fraction, result.sigma):
        np.testing.assert_array_equal(np.isnan(values), ~result.mask)
    assert np.isfinite(result.coefficients).all() and np.isfinite(result.thickness).all()


def test_a_regions_energies_are_energies(stack):
    counts = stack.counts(np.random.default_rng(0))
    counts[3, 24] = np.nan
    axis = np.linspace(636.0, 660.0, 24)
    fit = feed(StackFit(stack.design, 2, (48, 48), energies=axis), counts)
    fit.solve()
    spectrum = fit.area_spectrum(stack.thickness > 0)
    np.testing.assert_array_equal(spectrum.energies, np.delete(axis, 3))
    np.testing.assert_array_equal(spectrum.index, np.delete(np.arange(24), 3))
    untold = feed(StackFit(stack.design, 2, (48, 48)), counts)
    untold.solve()
    assert np.isnan(untold.area_spectrum(stack.thickness > 0).energies).all()


def test_max_od_masks_what_is_flagged():
    thick = make_stack(thick=2.5)
    counts = thick.counts(np.random.default_rng(0))
    shown = feed(StackFit(thick.design, 2, (48, 48)), counts).solve()
    hidden = feed(StackFit(thick.design, 2, (48, 48), max_od=2.0), counts).solve()
    high = (shown.flags & PixelFlag.HIGH_OD).astype(bool)
    assert (high & shown.mask).sum() > 100
    assert not (hidden.mask & high).any()
    np.testing.assert_array_equal(shown.coefficients, hidden.coefficients)
    np.testing.assert_array_equal(shown.fraction[hidden.mask], hidden.fraction[hidden.mask])


# -- I0 ----------------------------------------------------------------------------------------


def test_monitor_takes_out_beam_fluctuations(stack):
    rng = np.random.default_rng(2)
    beam = 1.0 + 0.3 * rng.standard_normal((24, 48, 48)).clip(-2, 2)
    counts = rng.poisson(beam * stack.i0[:, None, None] * np.exp(-stack.od)).astype(float)
    monitor = rng.poisson(beam * 2e4).astype(float)
    fit = feed(StackFit(stack.design, 2, (48, 48)), counts, monitor)
    assert fit.monitored
    result = fit.solve()
    assert fit.blank.found
    np.testing.assert_allclose(result.ln_i0, np.log(stack.i0 / 2e4), atol=5e-3)
    pull = ((result.fraction - stack.fraction) / result.sigma)[result.mask]
    assert pull.std() == pytest.approx(1.0, abs=0.1)


def test_without_blank_the_monitor_stands_alone():
    full = make_stack()
    full.od[:] = 0.8 * full.od.max(axis=(1, 2), keepdims=True) * np.linspace(0.7, 1.3, 48)
    rng = np.random.default_rng(2)
    monitor = rng.poisson(2e4, full.od.shape).astype(float)
    fit = feed(StackFit(full.design, 2, (48, 48), scale=full.i0 / 2e4), full.counts(rng), monitor)
    result = fit.solve()
    assert not fit.blank.found
    assert result.blank is None
    np.testing.assert_allclose(result.ln_i0, np.log(full.i0 / 2e4))
    assert result.n_mask == 48 * 48
    alone = feed(StackFit(full.design, 2, (48, 48)), full.counts(rng)).solve()
    assert alone.n_mask == 0
    assert np.isnan(alone.fraction).all()


def test_line_without_its_monitor_is_missed(stack):
    counts = stack.counts(np.random.default_rng(0))
    monitor = np.full(counts.shape, 1e4)
    monitor[4, 24] = np.nan
    result = feed(StackFit(stack.design, 2, (48, 48)), counts, monitor).solve()
    assert result.n_energies[24] == 23
    assert (result.flags[24] & PixelFlag.MISSED).all()


def test_saturated_pixels_do_not_enter_i0(stack):
    counts = stack.counts(np.random.default_rng(0))
    counts[:, :4] = 9e3  # a bright rim on the blank, at the detector's limit
    fit = feed(
        StackFit(
            stack.design,
            2,
            (48, 48),
            dwell=1e-3,
            transmission=Detector(saturation=9e6),
            blank=stack.thickness == 0,
        ),
        counts,
    )
    np.testing.assert_allclose(fit.solve().ln_i0, np.log(stack.i0), atol=5e-3)


# -- alignment ---------------------------------------------------------------------------------


def test_reaccumulate_undoes_a_known_drift(stack):
    rng = np.random.default_rng(0)
    counts = stack.counts(rng)
    reference = feed(StackFit(stack.design, 2, (48, 48)), counts)
    drift = np.stack([np.arange(24) % 4, -(np.arange(24) % 3)], axis=1)
    moved = np.stack([np.roll(f, d, axis=(0, 1)) for f, d in zip(counts, drift, strict=True)])
    fit = feed(StackFit(stack.design, 2, (48, 48)), moved)
    wrong = fit.solve()
    fit.reaccumulate(-drift)
    right = fit.solve()
    expected = reference.solve()
    inner = np.s_[4:-4, 4:-4]
    inside = stack.thickness[inner] > 0
    difference = np.abs(right.fraction - expected.fraction)[inner][inside]
    assert difference.max() < 0.01  # I0 differs by the pixels lost at the border
    assert np.nanmax(np.abs(wrong.fraction - expected.fraction)[inner][inside]) > 0.1
    np.testing.assert_array_equal(fit.frames, moved.astype(np.float32))
    assert np.isnan(right.fraction[:, 0]).all()  # not covered by every frame
    fit.reaccumulate()
    same(fit.solve(), wrong, rtol=1e-9, atol=1e-11)


def test_lines_after_a_shift_are_shifted_too(stack):
    counts = stack.counts(np.random.default_rng(0))
    shifts = np.tile([0.0, 1.5], (24, 1))
    before, after = (StackFit(stack.design, 2, (48, 48)) for _ in range(2))
    feed(before, counts)
    before.reaccumulate(shifts)
    feed(after, counts[:10])
    after.reaccumulate(shifts)
    feed(after, counts)
    same(after.solve(), before.solve(), rtol=1e-9, atol=1e-11)


def test_images_that_have_not_come_are_not_moved(stack, monkeypatch):
    """Where they will lie is guessed anew with each image that comes."""
    sides = []

    def move(image, shift):
        sides.append(image.shape)
        return moved(image, shift)

    monkeypatch.setattr("redoxscope.analysis.oxidation._frames.moved", move)
    counts = stack.counts(np.random.default_rng(0))
    fit = feed(StackFit(stack.design, 2, (48, 48)), counts[:10])
    fit.reaccumulate(np.full((24, 2), 0.5))
    assert sides == [(48, 48)] * 10


# -- input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"design": np.ones((2, 3))}, "energies cannot determine"),
        ({"design": np.full((9, 3), np.nan)}, "finite"),
        (
            {"design": np.column_stack([np.arange(9.0), 2 * np.arange(9.0), np.ones(9)])},
            "collinear",
        ),
        ({"species": 1}, "species is 1"),
        ({"species": 4}, "species is 4"),
        ({"shape": (0, 4)}, "shape"),
        ({"mode": "best"}, "mode is 'best'"),
        ({"scale": -1.0}, "scale"),
        ({"min_thickness": np.nan}, "min_thickness"),
        ({"max_od": 0.0}, "max_od"),
        ({"blank": np.zeros((4, 5), dtype=bool)}, "blank is true nowhere"),
        ({"blank": np.ones((5, 4), dtype=bool)}, r"blank has shape \(5, 4\), .* \(4, 5\)"),
        ({"blank": np.full((4, 5), 7)}, "true .* or false"),
        ({"energies": [640.0]}, "energies has shape"),
    ],
)
def test_bad_arguments_are_named(change, match):
    arguments = {
        "design": np.column_stack([np.arange(9.0), np.arange(9.0) ** 2, np.ones(9)]),
        "species": 2,
        "shape": (4, 5),
    } | change
    with pytest.raises(ValueError, match=match):
        StackFit(**arguments)


def test_bad_lines_are_refused(stack):
    fit = StackFit(stack.design, 2, (48, 48))
    with pytest.raises(ValueError, match="counts has shape"):
        fit.set_line(0, 0, np.ones(47))
    with pytest.raises(IndexError, match="energy 24, line 0"):
        fit.set_line(24, 0, np.ones(48))
    with pytest.raises(ValueError, match="shifts has shape"):
        fit.reaccumulate(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"mask has shape \(4, 4\)"):
        fit.area_spectrum(np.ones((4, 4), dtype=bool))
    with pytest.raises(ValueError, match="no pixel"):
        fit.area_spectrum(np.ones((48, 48), dtype=bool))
