"""The simulated array of microcalorimeters."""

from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.documents import Bins
from redoxscope.sim.physics.rixs import FWHM, GRID, Emission, RixsModel
from redoxscope.sim.physics.tes import TesArray

T0 = 1_700_000_000_000_000_123
SECOND = 10**9


def line(energy, total=1000.0):
    rate = np.zeros(len(GRID))
    rate[round((energy - GRID.low) / GRID.step)] = total
    return Emission(rate, energy)


@pytest.fixture(scope="module")
def reference():
    return RixsModel(1).emission("reference", 1000.0)


@pytest.fixture(scope="module")
def minute(reference):
    array = TesArray(seed=2)
    photons = array.draw(reference, 1.0, T0, T0 + 60 * SECOND)
    return SimpleNamespace(array=array, photons=photons, truth=array.energy_truth)


def energies(array, photons):
    """What a perfect calibration makes of filtered values and true levels."""
    index = photons["chan_index"].astype(int)
    pixels = [array.pixels[i] for i in index]
    gain, bend, drift, base = (
        np.array([getattr(p, name) for p in pixels])
        for name in ("gain", "compression", "drift", "baseline")
    )
    level = array.level(index, photons["t_ns"])
    height = photons["coefs"][:, 2] / (1 + drift * (level - base))
    return height / (gain - bend * height)


@pytest.mark.parametrize(
    ("sample", "omega", "flux"), [("reference", 1000.0, 1.0), ("lmr_charged", 643.0, 3.0)]
)
def test_drawn_spectrum_is_the_expected_one(sample, omega, flux):
    emission = RixsModel(1).emission(sample, omega)
    array = TesArray(seed=7, tail_fraction=0.05)
    good = np.array([p.ok for p in array.pixels])
    bins = Bins(200.0, 1300.0, 1.0)
    counts, seconds = np.zeros(len(bins)), 200
    photons = array.draw(emission, flux, T0, T0 + seconds * SECOND)
    photons = photons[good[photons["chan_index"]]]
    counts = np.histogram(energies(array, photons), bins.edges)[0]
    mean = seconds * array.expected(emission, bins, flux=flux)
    enough = mean > 20
    chi2 = np.mean((counts - mean)[enough] ** 2 / mean[enough])
    assert chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / enough.sum()))
    assert counts.sum() == pytest.approx(mean.sum(), abs=4 * np.sqrt(mean.sum()))


def test_pixels_count_by_their_efficiency_and_dead_time(minute, reference):
    counts = np.bincount(minute.photons["chan_index"], minlength=240)
    own = reference.total / 240 * np.array([p.efficiency for p in minute.array.pixels])
    mean = 60 * own / (1 + own * 1024 * 4.8e-6)
    seen = mean > 0
    assert counts[~seen].sum() == 0 and (~seen).sum() == 6
    assert np.mean((counts - mean)[seen] ** 2 / mean[seen]) == pytest.approx(0.95, abs=0.4)


@pytest.mark.parametrize("step_ms", [7, 100, 5000])
def test_records_exclude_each_other_across_draws(step_ms):
    array = TesArray(n=24, seed=1, dead=0, bad=0)
    step = step_ms * 1_000_000
    starts = range(T0, T0 + 5 * SECOND, step)
    parts = [array.draw(line(500.0), 20.0, t, t + step) for t in starts]
    photons = np.concatenate(parts)
    assert (np.diff(photons["t_ns"]) >= 0).all()
    assert all(
        t <= p["t_ns"].min() and p["t_ns"].max() < t + step
        for t, p in zip(starts, parts, strict=True)
        if len(p)
    )
    by_pixel = photons[np.lexsort([photons["t_ns"], photons["chan_index"]])]
    same = np.diff(by_pixel["chan_index"].astype(int)) == 0
    frames = np.diff(by_pixel["frame"])[same]
    assert frames.min() >= 1024
    rate = 1000 * 20 / 240
    per_pixel = len(photons) / 24 / (len(parts) * step * 1e-9)
    assert per_pixel == pytest.approx(rate / (1 + rate * 1024 * 4.8e-6), rel=0.03)
    assert np.array_equal(np.diff(photons["frame"]) * 4800, np.diff(photons["t_ns"]))


def test_going_back_in_time_starts_afresh(reference):
    array = TesArray(seed=1)
    first = array.draw(reference, 1.0, T0, T0 + 10 * SECOND)
    again = array.draw(reference, 1.0, T0 - SECOND, T0 + 9 * SECOND)
    assert len(again) == pytest.approx(len(first), rel=0.05)
    assert again["t_ns"].min() >= T0 - SECOND


def test_without_dead_time_every_photon_is_a_record(reference):
    array = TesArray(seed=1, dead_time=False)
    flux = 100_000 / reference.total
    photons = array.draw(reference, flux, T0, T0 + SECOND // 2)
    share = sum(p.efficiency for p in array.pixels) / 240
    assert len(photons) == pytest.approx(50_000 * share, rel=0.03)
    assert np.isfinite(photons["coefs"]).all()


def test_projections_of_a_record_are_its_coefficients(minute):
    some = minute.photons[:40]
    records = minute.array.waveform(some)
    pulses = minute.array.pulses
    assert records.shape == (40, 1024) and records.dtype == np.uint16
    found = records @ pulses.projectors.T
    noise = np.linalg.norm(pulses.projectors, axis=1) / np.sqrt(12)  # of rounding
    assert (abs(found - some["coefs"]) < 6 * noise).all()
    assert abs(found[:, 2] - some["coefs"][:, 2]).max() < 0.5
    left = records - found @ pulses.basis.T
    assert left.std(axis=1) == pytest.approx(some["resid"], rel=0.01)
    quiet = records[:, :250].mean(axis=1)
    assert np.median(abs(quiet - some["ptm"])) < 0.05 * np.median(some["peak"])
    one = minute.array.waveform(some[:1], np.random.default_rng(1))
    assert np.array_equal(one, minute.array.waveform(some[0], np.random.default_rng(1)))


def test_projectors_invert_the_basis(minute):
    pulses = minute.array.pulses
    assert pulses.projectors.shape == (5, 1024) and pulses.basis.shape == (1024, 5)
    assert pulses.projectors @ pulses.basis == pytest.approx(np.eye(5), abs=1e-9)
    assert pulses.shifted[0] == pytest.approx([0, 0, 1, 0, 0], abs=1e-9)
    assert pulses.basis[:, 2].max() == pytest.approx(1) and not pulses.basis[:259, 2].any()


def test_resolution_of_each_pixel(reference):
    array = TesArray(seed=2, dead_time=False)  # nothing piles up
    photons = array.draw(reference, 1.0, T0, T0 + 60 * SECOND)
    off = energies(array, photons) - array.energy_truth
    width = []
    for pixel in array.pixels:
        mine = off[photons["chan_index"] == pixel.index]
        if pixel.ok or pixel.fault == "poor resolution":
            width.append(FWHM * mine.std() / pixel.fwhm_ev)
            assert abs(mine.mean()) < 5 * pixel.fwhm_ev / FWHM / np.sqrt(len(mine))
        elif pixel.fault != "dead":
            assert mine.std() > 5
    assert np.mean(width) == pytest.approx(1, abs=0.01) and np.ptp(width) < 0.3
    good = sorted(p.fwhm_ev for p in array.pixels if p.ok)
    assert np.mean(good[:64]) == pytest.approx(1.1, abs=0.05)
    assert np.mean(good[64:]) == pytest.approx(1.45, abs=0.05)


def test_gain_drifts_with_the_level(minute):
    pixel = next(p for p in minute.array.pixels if p.ok)
    mine = (minute.photons["chan_index"] == pixel.index) & (abs(minute.truth - 1000) < 0.6)
    photons = minute.photons[mine]
    photons = photons[photons["resid"] < 1.3 * np.median(photons["resid"])]
    level = minute.array.level(photons["chan_index"].astype(int), photons["t_ns"])
    assert abs(photons["ptm"] - level).max() < 20 and np.ptp(level) > 8
    slope = np.polyfit(photons["ptm"] - pixel.baseline, photons["coefs"][:, 2], 1)
    assert slope[0] < 0
    still = TesArray(seed=2, drift=0.0)
    index, times = np.zeros(5, int), T0 + 100 * SECOND * np.arange(5)
    assert (still.level(index, times) == still.pixels[0].baseline).all()
    assert np.ptp(minute.array.level(index, times)) > 10


def test_gain_curves_spread_and_bend(minute):
    pixels = minute.array.pixels
    gain = np.array([p.gain for p in pixels])
    assert 0.07 < gain.std() / gain.mean() < 0.13
    for pixel in pixels:
        slope = np.diff(pixel.filtered(np.array([300.0, 500.0, 700.0, 900.0])))
        bend = np.diff(slope) / slope[:-1]
        if pixel.fault == "kinked gain":
            assert abs(bend[0] + 0.04) > 0.02 and bend[0] * pixel.kink > 0
        else:
            assert (-0.08 < bend).all() and (bend < -0.01).all()


def test_faulty_pixels_are_named(minute):
    faults = [p.fault for p in minute.array.pixels if not p.ok]
    assert faults.count("dead") == 6 and len(faults) == 14
    assert set(faults) == {"dead", "poor resolution", "two gains", "kinked gain"}
    assert [p.index for p in minute.array.pixels] == list(range(240)) and len(minute.array) == 240


def test_pile_up_adds_what_the_filter_sees_of_a_late_pulse():
    array = TesArray(n=8, seed=1, dead=0, bad=0, drift=0.0)
    one = line(500.0)
    photons = array.draw(one, 100.0, T0, T0 + 5 * SECOND)
    seen = energies(array, photons)
    noisy = photons["resid"] > 1.5 * np.median(photons["resid"][abs(seen - 500) < 3])
    assert 0.3 < noisy.mean() < 0.95  # 417 photons/s and 3.7 ms
    assert abs(np.median(seen[~noisy]) - 500) < 1.5
    assert np.sum(seen > 900) > 5  # not told apart
    records = array.waveform(photons[:20])
    whole = records.min(axis=1) > 0  # the converter cuts the rest off
    found = (records @ array.pulses.projectors.T)[:, 2]
    assert whole.sum() > 10
    assert found[whole] == pytest.approx(photons["coefs"][:20, 2][whole], abs=1)


def test_a_pile_up_is_the_sum_of_two_records():
    pulses = TesArray(n=8, dead=0, bad=0).pulses
    lag = 40
    later = np.zeros(1024)
    later[lag:] = pulses.basis[:-lag, 2]
    coefs = pulses.projectors @ later
    left = later - pulses.basis @ coefs
    assert coefs == pytest.approx(pulses.shifted[lag], abs=1e-6)
    assert left.std() == pytest.approx(pulses.shifted_residual[lag], rel=1e-6)


def test_a_seed_repeats_everything(reference):
    first, again, other = (TesArray(seed=s) for s in (4, 4, 5))
    draws = [a.draw(reference, 1.0, T0, T0 + SECOND) for a in (first, again, other)]
    assert first.pixels == again.pixels != other.pixels
    assert draws[0].tobytes() == draws[1].tobytes() != draws[2].tobytes()


def test_no_beam_and_no_time(reference):
    array = TesArray(seed=1)
    for flux, end in ((0.0, SECOND), (1.0, 0), (1.0, 1), (1.0, -SECOND)):
        photons = array.draw(reference, flux, T0, T0 + end)
        assert len(photons) == 0 and photons.dtype.names[0] == "chan_index"
        assert len(array.energy_truth) == 0
    dark = Emission(np.zeros(len(GRID)))
    assert len(array.draw(dark, 1.0, T0, T0 + SECOND)) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.draw(line(500.0), np.nan, T0, T0 + 1), "tes.flux = nan"),
        (lambda a: a.draw(line(500.0), -1.0, T0, T0 + 1), "tes.flux = -1"),
        (lambda a: a.draw(line(500.0), 1.0, T0, T0 + 10**16), "interval of 1e"),
        (lambda a: TesArray(n=0), "tes.n = 0 pixels"),
        (lambda a: TesArray(n=10, dead=5, bad=5), r"dead \+ bad|tes.dead"),
        (lambda a: TesArray(fwhm_ev=0.0), "tes.fwhm = 0 eV"),
        (lambda a: TesArray(tail_fraction=1.5), "tes.tail_fraction = 1.5"),
        (lambda a: TesArray(n_samples=100), "100 samples with 259"),
    ],
)
def test_errors_name_value_and_limit(call, message):
    with pytest.raises(ValueError, match=message):
        call(TesArray(n=8, dead=0, bad=0))
