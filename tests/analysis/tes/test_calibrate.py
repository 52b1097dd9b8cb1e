"""Calibration of simulated arrays, whose truth is known, and of real pixels."""

from dataclasses import replace

import numpy as np
import pytest

from redoxscope.analysis.tes import Calibration, Limits, calibrate
from redoxscope.analysis.tes._assign import Target, candidates
from redoxscope.analysis.tes._consensus import Likeness, choose
from redoxscope.analysis.tes._drift import drift_by_entropy, drift_by_lines, shrink
from redoxscope.analysis.tes._gain import energy_of, fit_gain
from redoxscope.analysis.tes._peaks import find_pulse_peaks, modes, width_at_half
from redoxscope.data import load_lines, mixture_lines
from redoxscope.photons import Photons
from redoxscope.sim.physics.rixs import RixsModel
from redoxscope.sim.physics.tes import TesArray

T0 = 1_700_000_000_000_000_000
LINES = mixture_lines("reference")


def measured(n, seconds, seed=1, line_error=0.0, **kw):
    """An array on the reference sample: array, photons, their true energies."""
    array = TesArray(n, seed, **kw)
    emission = RixsModel(seed, line_error=line_error).emission("reference", 1000.0)
    drawn = array.draw(emission, 1.0, T0, T0 + int(seconds * 1e9))
    photons = Photons.of(drawn["chan_index"] + 1, drawn["t_ns"], drawn["coefs"][:, 2], drawn["ptm"])
    return array, photons, array.energy_truth


@pytest.fixture(scope="module")
def small():
    """24 pixels, among them a dead one and each kind of bad one, for two minutes."""
    array, photons, truth = measured(24, 120, seed=4, dead=1, bad=3)
    made = calibrate(photons, LINES, elastic_ev=1000.0, pixels=range(1, 25))
    return array, photons, truth, made


# -- the whole ---------------------------------------------------------------------------------


def test_verdicts_are_the_truth(small):
    array, _, _, made = small
    assert {p.channel: p.ok for p in made.pixels} == {p.index + 1: p.ok for p in array.pixels}


def test_refusals_say_why(small):
    array, _, _, made = small
    words = {
        "dead": "no photons",
        "poor resolution": "resolution",
        "two gains": "not like that of the other pixels",
        "kinked gain": "fit",
    }
    bad = [p for p in array.pixels if not p.ok]
    assert {p.fault for p in bad} == set(words)
    for p in bad:
        assert words[p.fault] in made[p.index + 1].reason


def test_energies_are_right(small):
    array, photons, truth, made = small
    error = made.energy(photons.pixel, photons.filtered, photons.pretrigger) - truth
    for channel in made.usable:
        mine = photons.pixel == channel
        for low, high in ((515, 535), (630, 645), (770, 785), (845, 860), (998, 1002)):
            line = mine & (truth > low) & (truth < high)
            assert abs(np.median(error[line])) < 0.5
    ok = np.isin(photons.pixel, made.usable)
    assert abs(np.median(error[ok & (truth > 500)])) < 0.06


def test_resolution_is_that_of_the_pixels(small):
    array, _, _, made = small
    true = np.median([p.fwhm_ev for p in array.pixels if p.ok])
    found = np.median([made[int(c)].elastic_fwhm_ev for c in made.usable])
    assert true < found < 1.25 * true  # the elastic line has a width of its own


def test_elastic_line_is_where_the_monochromator_is(small):
    made = small[-1]
    assert all(abs(made[int(c)].elastic_ev - 1000) < 0.3 for c in made.usable)


def test_drift_is_found(small):
    array, _, _, made = small
    # The pulse height follows the level by `drift`; the correction undoes that.
    for c in made.usable:
        assert made[int(c)].drift_slope == pytest.approx(-array.pixels[c - 1].drift, abs=3e-5)
    slopes = [(made[int(c)].drift_slope, -array.pixels[c - 1].drift) for c in made.usable]
    assert np.corrcoef(np.transpose(slopes))[0, 1] > 0.9


def test_it_says_which_lines_it_is_from(small):
    made = small[-1]
    assert made.line_table == LINES.hash
    assert made.line_table_version == LINES.version
    assert set(made.line_shifts) == {x.name for x in LINES if x.principal} | {"elastic"}


def test_lines_of_elements_that_are_not_there_do_no_harm(small):
    array, photons, _, made = small
    again = calibrate(photons, load_lines(), elastic_ev=1000.0, pixels=range(1, 25))
    assert again.usable.tolist() == made.usable.tolist()
    assert "Ti La" not in again.line_shifts


def test_pixels_agree_where_the_table_is_wrong():
    array, photons, truth = measured(16, 120, seed=3, line_error=1.0, dead=0, bad=0)
    made = calibrate(photons, LINES, elastic_ev=1000.0)
    assert len(made.usable) == 16
    error = made.energy(photons.pixel, photons.filtered, photons.pretrigger) - truth
    nickel = (truth > 840) & (truth < 860)
    each = [np.median(error[nickel & (photons.pixel == c)]) for c in made.usable]
    assert np.std(each) < 0.3
    assert abs(np.mean(each)) < 1.5  # nobody knows better than the table and the elastic line


def test_an_earlier_calibration_helps_where_there_are_few_photons(small):
    _, photons, _, made = small
    limits = Limits(photons=30)
    for channel in made.usable[:4]:
        mine = photons[photons.pixel == channel][:60]
        alone = calibrate(mine, LINES, elastic_ev=1000.0, limits=limits)[channel]
        helped = calibrate(mine, LINES, elastic_ev=1000.0, previous=made, limits=limits)[channel]
        level = made[channel].pretrigger_reference
        assert alone.reason == "no assignment of its peaks to the lines fits"
        assert helped.energy(9000.0, level) == pytest.approx(
            made[channel].energy(9000.0, level), abs=3.0
        )
        assert not helped.ok  # a guess is not a measurement


def test_an_earlier_calibration_that_is_wrong_is_not_believed(small):
    _, photons, _, made = small
    stale = Calibration(
        tuple(
            replace(p, gain=tuple(g * 1.05**k for k, g in enumerate(p.gain, 1)))
            for p in made.pixels
        )
    )
    again = calibrate(photons, LINES, elastic_ev=1000.0, previous=stale, pixels=range(1, 25))
    assert again.usable.tolist() == made.usable.tolist()
    for c in made.usable:
        p = made[int(c)]
        assert again[int(c)].energy(9000.0, p.pretrigger_reference) == pytest.approx(
            p.energy(9000.0, p.pretrigger_reference), abs=0.3
        )


def test_a_gain_that_changed_over_a_pause_is_told(small):
    array, photons, _, made = small
    channel = int(made.usable[3])
    later = Photons.of(
        photons.pixel, photons.time_ns + 10**13, photons.filtered.copy(), photons.pretrigger
    )
    later.filtered[photons.pixel == channel] *= 1.02
    both = Photons.concatenate([photons, later])
    again = calibrate(both, LINES, elastic_ev=1000.0)
    assert set(made.usable) - set(again.usable) == {channel}
    assert "its gain changed by +" in again[channel].reason
    assert "over a pause" in again[channel].reason


def test_result_does_not_depend_on_the_order_of_the_photons(small):
    _, photons, _, made = small
    again = calibrate(photons[::-1], LINES, elastic_ev=1000.0, pixels=range(1, 25))
    assert again.usable.tolist() == made.usable.tolist()
    for c in made.usable:
        h = np.array([3000.0, 6000.0, 10000.0])
        ours, theirs = again[int(c)], made[int(c)]
        np.testing.assert_allclose(ours.energy(h, 4e3), theirs.energy(h, 4e3), atol=0.02)


@pytest.mark.slow
def test_240_pixels():
    array, photons, _ = measured(240, 120, seed=2)
    made = calibrate(photons, LINES, elastic_ev=1000.0, pixels=range(1, 241))
    assert {p.channel for p in made.pixels if p.ok} == {p.index + 1 for p in array.pixels if p.ok}
    best = made.best(64)
    assert np.mean([array.pixels[c - 1].fwhm_ev for c in best]) < 1.25


def test_noise_is_refused_not_calibrated():
    rng = np.random.default_rng(5)
    n = 4000
    photons = Photons.of(
        rng.integers(1, 5, n), T0 + np.arange(n) * 10**7, rng.uniform(100, 12000, n),
        rng.normal(4000, 10, n),
    )  # fmt: skip
    made = calibrate(photons, LINES, elastic_ev=1000.0)
    assert len(made.usable) == 0
    assert all(p.reason for p in made.pixels)


def test_few_photons_are_told():
    photons = Photons.of([1] * 40, T0 + np.arange(40), np.full(40, 5000.0), np.full(40, 4000.0))
    made = calibrate(photons, LINES, elastic_ev=1000.0)
    assert made[1].reason.startswith("only 40 usable photons of 40; at least")


def test_no_photons():
    with pytest.raises(ValueError, match="there are no photons"):
        calibrate(Photons.empty(), LINES)


@pytest.mark.parametrize("energy", [float("nan"), -5.0, 0.0])
def test_elastic_energy_must_be_one(energy):
    photons = Photons.of([1], [T0], [1.0], [1.0])
    with pytest.raises(ValueError, match="is not a positive energy"):
        calibrate(photons, LINES, elastic_ev=energy)


def test_too_few_lines():
    photons = Photons.of([1], [T0], [1.0], [1.0])
    with pytest.raises(ValueError, match="at least 3 strong ones"):
        calibrate(photons, load_lines(["O K", "Fe La"]))


# -- its parts -----------------------------------------------------------------------------------

TARGETS = [Target(x.name, x.energy_ev, x.uncertainty_ev, x.principal) for x in LINES]
TARGETS.append(Target("elastic", 1000.0, 0.1))


def test_fit_gain_goes_through_the_lines():
    height = np.array([3000.0, 4500, 6000, 8000, 9500, 11000])
    energy = energy_of(np.array([0.085, 8e-7, 2e-11, 0.0]), height)
    gain = fit_gain(height, energy, np.full(6, 0.1))
    np.testing.assert_allclose(energy_of(gain, height), energy, atol=0.02)


def test_assignment_of_a_spectrum_with_wrong_strengths():
    rng = np.random.default_rng(2)
    strong = [t for t in TARGETS if t.principal]
    share = rng.uniform(0.3, 1.0, len(strong))
    energy = np.concatenate(
        [rng.normal(t.energy_ev, 2.0, int(300 * s)) for t, s in zip(strong, share, strict=True)]
    )
    height = 11 * energy / (1 + 1.5e-4 * energy)
    best = candidates(find_pulse_peaks(height), TARGETS)[0]
    np.testing.assert_allclose(energy_of(best.gain, height), energy, atol=3.0)


def test_the_others_overrule_a_pixels_own_best():
    like = Likeness(200.0, 1030.0)
    rng = np.random.default_rng(3)
    energy = rng.normal(rng.choice([400.0, 525.0, 850.0, 1000.0], 2000), 2.0)
    right, wrong = like.spectrum(energy), like.spectrum(energy * 0.93)
    spectra = [np.array([right, wrong])] * 3 + [np.array([wrong, right]), np.empty((0, 415))]
    scores = [np.array([1.0, 0.5])] * 3 + [np.array([1.0, 0.95]), np.empty(0)]
    chosen, likeness, _ = choose(spectra, scores)
    assert chosen == [0, 0, 0, 1, -1]
    assert (likeness[:4] > 0.99).all()
    assert np.isnan(likeness[4])


def test_a_wrong_assignment_that_all_could_have_does_not_win():
    like = Likeness(200.0, 1030.0)
    rng = np.random.default_rng(3)
    right, wrong = [], []
    for _ in range(5):
        energy = rng.normal(rng.choice([400.0, 525.0, 850.0, 1000.0], 500), 2.0)
        right.append(like.spectrum(energy))
        wrong.append(like.spectrum(energy * 0.93))
    spectra = [np.array([r, w]) for r, w in zip(right, wrong, strict=True)]
    chosen, _, _ = choose(spectra, [np.array([1.0, 0.5])] * 5)
    assert chosen == [0] * 5


def test_entropy_finds_the_drift():
    rng = np.random.default_rng(4)
    level = rng.normal(0, 20, 3000)
    true = rng.normal(rng.choice([4000.0, 6000.0, 9000.0], 3000), 15)
    assert drift_by_entropy(true / (1 + 8e-5 * level), level) == pytest.approx(8e-5, abs=1e-5)


def test_entropy_of_constant_level_is_no_drift():
    assert drift_by_entropy(np.full(500, 4000.0), np.zeros(500)) == 0.0


def test_drift_left_in_lines():
    rng = np.random.default_rng(4)
    level = rng.normal(0, 20, 3000)
    true = rng.choice([400.0, 600.0, 900.0], 3000)
    seen = true / (1 + 3e-5 * level) + rng.normal(0, 0.6, 3000)
    slope, sigma = drift_by_lines(seen, level, np.array([400.0, 600.0, 900.0]), 4.0)
    assert slope == pytest.approx(3e-5, abs=4 * sigma)
    assert sigma < 2e-6


def test_uncertain_values_follow_the_others():
    values, sigmas = shrink(
        np.array([1.0, 1.1, 0.9, 1.0, 5.0, 7.0]), np.array([0.01, 0.01, 0.01, 0.01, 3.0, np.inf])
    )
    np.testing.assert_allclose(values[:4], [1.0, 1.1, 0.9, 1.0], atol=0.02)
    assert values[4] == pytest.approx(1.0, abs=0.3)
    assert 0.9 < values[5] < 1.1


def test_modes_climb():
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.normal(10, 1, 4000), rng.normal(20, 1, 1000)])
    found = modes(x, np.array([11.5, 19.0, 100.0]), np.array([0.8, 0.8, 0.8]))
    np.testing.assert_allclose(found[:2], [10, 20], atol=0.15)
    assert np.isnan(found[2])


def test_width_from_the_high_side_ignores_a_tail():
    rng = np.random.default_rng(7)
    core = rng.normal(1000, 0.6, 4000)
    tail = 1000 - rng.exponential(5, 2000)
    width = width_at_half(np.concatenate([core, tail]), 1000.0, 4.0)
    assert width == pytest.approx(2.3548 * 0.6, rel=0.06)


def test_width_of_nothing():
    assert np.isnan(width_at_half(np.array([1.0, 2.0]), 1.0, 4.0))
