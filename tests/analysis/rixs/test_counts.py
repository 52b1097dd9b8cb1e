"""RIXS counts: rates, their sigma, and what is said where there is no value."""

import numpy as np
import pytest

from redoxscope.analysis.rixs import MIN_COUNTS, Bins, RixsCounts, Window

ENERGIES = np.array([528.0, 530.0, 532.0, 534.0])
BINS = Bins(500.0, 540.0, 1.0)


def filled(passes=2, level=10, **changes):
    counts = RixsCounts(ENERGIES, BINS, passes)
    for p in range(passes):
        for k in range(len(ENERGIES)):
            counts.set_point(p, k, spectrum=np.full(40, level), **{"seconds": 2.0, **changes})
    return counts


def test_a_rate_is_counts_over_live_time():
    result = filled(live=0.8).map()
    np.testing.assert_allclose(result.rate, 20 / (2 * 2 * 0.8))
    np.testing.assert_allclose(result.sigma, np.sqrt(20) / (2 * 2 * 0.8))
    assert (result.counts == 20).all()
    assert (result.coverage == 1).all()


def test_the_monitor_takes_the_flux_out_and_the_unit_stays():
    counts = RixsCounts(ENERGIES, BINS, 1)
    for k, flux in enumerate([1, 2, 3, 2]):
        counts.set_point(0, k, spectrum=np.full(40, 60 * flux), seconds=2.0, i0=1000.0 * flux)
    assert counts.flux == 1000.0
    np.testing.assert_allclose(counts.map().rate, 60.0)  # at the mean flux, 2: 120 in 2 s


def test_a_given_flux_makes_runs_comparable():
    values = []
    for i0 in (500.0, 1000.0):
        counts = RixsCounts(ENERGIES, BINS, 1, flux=1000.0)
        counts.set_point(0, 0, spectrum=np.full(40, round(i0)), seconds=1.0, i0=i0)
        values.append(counts.map().rate[0, 0])
    assert values[0] == values[1] == 1000.0


def test_passes_of_unlike_exposure_are_added_before_they_are_divided():
    counts = RixsCounts(ENERGIES, BINS, 2)
    counts.set_point(0, 0, spectrum=np.full(40, 1), seconds=1.0)
    counts.set_point(1, 0, spectrum=np.full(40, 99), seconds=9.0)
    np.testing.assert_allclose(counts.map().rate[0], 10.0)
    np.testing.assert_allclose(counts.map(passes=[1]).rate[0], 11.0)


def test_what_is_not_measured_is_nan_with_its_coverage():
    counts = RixsCounts(ENERGIES, BINS, 2)
    counts.set_point(0, 1, spectrum=np.zeros(40), seconds=1.0)
    result = counts.map()
    assert np.isnan(result.rate[[0, 2, 3]]).all()
    assert (result.rate[1] == 0).all()
    assert (result.sigma[1] == 1).all()  # that of one count: no count is no certainty
    np.testing.assert_array_equal(result.coverage[:, 0], [0, 0.5, 0, 0])
    assert np.isnan(counts.yields("TFY").value[0])


def test_the_last_word_counts():
    counts = filled(passes=1)
    counts.set_point(0, 2, spectrum=np.full(40, 3), seconds=1.0, late=4, lost=5)
    assert (counts.map().rate[2] == 3).all()
    assert (counts.late[0, 2], counts.lost[0, 2]) == (4, 5)
    counts.drop_point(0, 2)
    assert np.isnan(counts.map().rate[2]).all()
    assert counts.late.sum() == counts.lost.sum() == 0


@pytest.mark.parametrize("i0", [None, np.nan, 0.0, -3.0])
def test_a_point_without_monitor_among_others_is_not_measured(i0):
    counts = filled(passes=1, i0=100.0)
    counts.set_point(0, 1, spectrum=np.full(40, 10), seconds=2.0, i0=i0)
    assert counts.measured[0].tolist() == [True, False, True, True]
    assert counts.map().counts[1].sum() == 0


def test_a_detector_that_was_dead_measured_nothing():
    counts = filled(passes=1)
    counts.set_point(0, 1, spectrum=np.zeros(40), seconds=2.0, live=0.0)
    assert counts.measured[0].tolist() == [True, False, True, True]


def test_a_point_under_way_is_shown_at_the_mean_flux_until_its_event():
    counts = filled(passes=1, i0=100.0)
    counts.set_point(0, 1, spectrum=np.full(40, 4), seconds=0.5, provisional=True)
    assert (counts.map().rate[1] == 8).all()
    assert counts.flux == 50.0
    counts.set_point(0, 1, spectrum=np.full(40, 10), seconds=2.0, i0=100.0)
    np.testing.assert_allclose(counts.map().rate, 5.0)
    first = RixsCounts(ENERGIES, BINS, 1)
    first.set_point(0, 0, spectrum=np.full(40, 4), seconds=0.5, provisional=True)
    assert (first.map().rate[0] == 8).all()


def test_yields_sum_whole_bins():
    counts = RixsCounts(ENERGIES, BINS, 1)
    spectrum = np.arange(40)
    counts.set_point(0, 0, spectrum=spectrum, seconds=1.0)
    found = counts.yields("a=PFY[509.7:520.4]")
    assert str(found.window) == "a=PFY[510:520]"
    assert found.value[0] == spectrum[10:20].sum() == found.counts[0]
    assert found.sigma[0] == pytest.approx(np.sqrt(found.value[0]))
    assert counts.yields("TFY").value[0] == spectrum.sum()
    assert counts.yields(Window("sPFY", 510, 511)).value[0] == 10


def test_inverse_yield_and_where_it_is_refused():
    counts = RixsCounts(ENERGIES, BINS, 1)
    for k, n in enumerate([MIN_COUNTS - 1, MIN_COUNTS, 100]):
        counts.set_point(0, k, spectrum=np.eye(1, 40, 5, dtype=int)[0] * n, seconds=2.0)
    found = counts.yields("iPFY[500:510]")
    np.testing.assert_allclose(found.value, [np.nan, 2 / MIN_COUNTS, 2 / 100, np.nan])
    np.testing.assert_allclose(found.sigma[2], (10 / 2) / (100 / 2) ** 2)
    assert found.refused.tolist() == [True, False, False, False]  # the last is not measured
    assert "25" in found.reason
    assert counts.yields("iPFY[500:510]", [0]).counts[0] == MIN_COUNTS - 1


def test_own_absorption_of_the_inverse_channel():
    own = np.array([1.2, 1.0, 0.9, 0.9])
    counts = filled(passes=1)
    bare, found = (counts.yields("iPFY[500:510]", own_absorption=o) for o in (None, own))
    np.testing.assert_allclose(found.value, bare.value * own)
    np.testing.assert_allclose(found.sigma, bare.sigma * own)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        counts.yields("iPFY[500:510]", own_absorption=own[:3])
    with pytest.raises(ValueError, match="is for iPFY"):
        counts.yields("PFY[500:510]", own_absorption=own)


def test_elastic_mask_is_nan_and_coverage_never_zero():
    counts = filled(passes=1)
    result = counts.map(elastic_mask=2.0)
    near = np.abs(BINS.centers - ENERGIES[:, None]) < 2.0
    assert np.isnan(result.rate[near]).all()
    assert (result.rate[~near] == 5.0).all()
    assert (result.coverage == ~near).all()
    found = counts.yields("PFY[526:530]", elastic_mask=2.0)
    np.testing.assert_allclose(found.coverage, [0.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(found.value, [np.nan, 10.0, 20.0, 20.0])
    assert np.isnan(found.sigma[0])


def test_emission_spectrum_of_a_range_of_excitations():
    counts = RixsCounts(ENERGIES, BINS, 1)
    counts.set_point(0, 1, spectrum=np.full(40, 10), seconds=1.0)
    counts.set_point(0, 2, spectrum=np.full(40, 50), seconds=3.0)
    found = counts.xes("XES[530:534]")
    assert found.excitations.tolist() == [530.0, 532.0, 534.0]
    np.testing.assert_allclose(found.value, 60 / 4)
    np.testing.assert_allclose(found.sigma, np.sqrt(60) / 4)
    np.testing.assert_allclose(found.coverage, 2 / 3)
    masked = counts.xes("XES[530:532]", elastic_mask=1.0)
    at = BINS.centers.tolist()
    assert masked.value[at.index(530.5)] == pytest.approx(50 / 3)
    assert masked.coverage[at.index(530.5)] == 0.5
    assert masked.value[at.index(510.5)] == 15.0
    alone = counts.xes("XES[532:532.1]", elastic_mask=1.0)
    assert np.isnan(alone.value[at.index(532.5)])


def test_sigma_is_what_is_found_with_a_noisy_monitor():
    rng = np.random.default_rng(4)
    n = 4000
    counts = RixsCounts(np.arange(n, dtype=float), Bins(0.0, 4.0, 1.0), 2)
    for p in range(2):
        flux = rng.uniform(0.5, 1.5, n)
        for k in range(n):
            counts.set_point(
                p, k, spectrum=rng.poisson(100 * flux[k], 4), seconds=1.0, live=0.9,
                i0=(i0 := rng.poisson(500 * flux[k])), i0_sigma=np.sqrt(i0),
            )  # fmt: skip
    found = counts.yields("TFY")
    pull = (found.value - 400 * counts.flux / 500 / 0.9) / found.sigma
    assert abs(pull.std() - 1) < 0.04
    assert abs(pull.mean()) < 0.1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spectrum": np.zeros(39)}, r"shape \(39,\)"),
        ({"spectrum": np.full(40, 0.5)}, "parts of photons"),
        ({"spectrum": np.full(40, np.nan)}, "parts of photons"),
        ({"spectrum": np.full(40, -1)}, "-1 counts"),
        ({"seconds": 0.0}, "seconds = 0.0 s"),
        ({"seconds": np.nan}, "seconds = nan s"),
        ({"live": 1.1}, "live = 1.1"),
        ({"live": np.nan}, "live = nan"),
        ({"i0_sigma": -1.0}, "i0_sigma = -1.0 counts"),
    ],
)
def test_a_point_that_cannot_be(change, says):
    counts = filled(passes=1)
    with pytest.raises(ValueError, match=says):
        counts.set_point(0, 0, **{"spectrum": np.zeros(40), "seconds": 1.0, **change})
    assert (counts.map().rate == 5).all()  # nothing of it was kept


@pytest.mark.parametrize("at", [(-1, 0), (2, 0), (0, -1), (0, 4)])
def test_a_point_that_is_not_in_the_run(at):
    with pytest.raises(IndexError, match="2 passes of 4 energies"):
        filled().set_point(*at, spectrum=np.zeros(40), seconds=1.0)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda c: c.map(passes=[2]), "pass = 2 must be a whole number >= 0 and <= 1"),
        (lambda c: c.map(passes=[0, 0]), "once each"),
        (lambda c: c.map(passes=[]), "expected some of"),
        (lambda c: c.map(elastic_mask=-1.0), "elastic_mask = -1.0 eV"),
        (lambda c: c.yields("XES[530:532]"), "excitation, not of emission"),
        (lambda c: c.xes("PFY[530:532]"), "emission, not of excitation"),
        (lambda c: c.xes("XES[600:610]"), "none of the excitation energies of 528 to 534 eV"),
        (lambda c: RixsCounts([], BINS), r"expected \[nE\]"),
        (lambda c: RixsCounts([1.0, np.nan], BINS), "finite, eV"),
        (lambda c: RixsCounts([1.0], BINS, 0), "passes = 0"),
        (lambda c: RixsCounts([1.0], BINS, flux=0.0), "flux = 0.0 counts/s"),
    ],
)
def test_what_cannot_be_asked(action, says):
    with pytest.raises(ValueError, match=says):
        action(filled())
