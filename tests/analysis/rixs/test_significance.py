"""Significances are what they say: Monte Carlo without and with an effect."""

import numpy as np
import pytest
from scipy import stats

from redoxscope.analysis.rixs import (
    Bins,
    DamageSentinel,
    RixsCounts,
    compare_passes,
    feature_significance,
    trend,
)

ENERGIES = np.linspace(527.0, 545.0, 37)
BINS = Bins(500.0, 540.0, 1.0)
BAND = np.exp(-0.5 * ((BINS.centers - 525.0) / 2.5) ** 2)
ABSORPTION = 0.3 + np.exp(-0.5 * ((ENERGIES - 531.0) / 2.0) ** 2)
SPOT = {"window": "sPFY[522:525]", "pfy": "PFY[510:535]", "excitation": (530.0, 532.0)}


def run(rng, level=100.0, passes=1, feature=0.0, i0_noise=0.0, fade=None, elastic=0.0):
    counts = RixsCounts(ENERGIES, BINS, passes)
    for p in range(passes):
        for k, energy in enumerate(ENERGIES):
            rate = ABSORPTION[k] * BAND * (1.0 if fade is None else fade(p))
            near = np.exp(-0.5 * ((energy - 531.0) / 0.5) ** 2)
            rate = rate + feature * near * np.exp(-0.5 * ((BINS.centers - 523.7) / 0.8) ** 2)
            rate = rate + elastic * np.exp(-0.5 * ((BINS.centers - energy) / 0.5) ** 2)
            i0 = rng.normal(1.0, i0_noise) if i0_noise else 1.0
            counts.set_point(
                p, k, spectrum=rng.poisson(level * rate), seconds=1.0, i0=1000 * i0,
                i0_sigma=1000 * i0_noise,
            )  # fmt: skip
    return counts


def test_without_a_feature_the_significance_is_normal():
    rng = np.random.default_rng(0)
    found = [feature_significance(run(rng, 3.0), **SPOT).significance for _ in range(400)]
    assert abs(np.mean(found)) < 3 / 20
    assert abs(np.std(found) - 1) < 0.12
    assert stats.kstest(found, "norm").pvalue > 0.01


def test_a_feature_is_found_with_its_size():
    rng = np.random.default_rng(1)
    found = [feature_significance(run(rng, feature=1.0), **SPOT) for _ in range(40)]
    truth = 100 * 1.0 * sum(
        np.exp(-0.5 * ((e - 531.0) / 0.5) ** 2) for e in ENERGIES if 530 <= e <= 532
    ) * np.exp(-0.5 * ((BINS.centers[22:25] - 523.7) / 0.8) ** 2).sum()  # fmt: skip
    excess = np.array([f.excess for f in found])
    sigma = np.array([f.excess_sigma for f in found])
    assert np.mean([f.significance for f in found]) > 5
    assert np.mean(excess) == pytest.approx(truth, rel=0.1)  # its tails lie in the rest
    assert np.std(excess) == pytest.approx(sigma.mean(), rel=0.35)
    assert found[0].found
    assert abs(found[0].profile[ENERGIES == 531.0][0] / found[0].profile_sigma[8]) > 2


def test_the_monitor_makes_no_feature():
    rng = np.random.default_rng(2)
    found = [
        feature_significance(run(rng, 20.0, i0_noise=0.2), **SPOT).significance for _ in range(60)
    ]
    assert abs(np.std(found) - 1) < 0.3


def test_the_elastic_line_makes_no_feature():
    rng = np.random.default_rng(3)
    counts = run(rng, elastic=5.0)
    above = {"reference": [(538.0, 545.0)]}  # their elastic line is outside of the PFY
    assert feature_significance(counts, **SPOT, **above).significance < -5
    assert abs(feature_significance(counts, **SPOT, **above, elastic_mask=2.5).significance) < 3.5
    assert abs(feature_significance(counts, **SPOT, elastic_mask=2.5).significance) < 3.5


def test_too_few_photons_say_nothing():
    found = feature_significance(run(np.random.default_rng(4), 0.01), **SPOT)
    assert np.isnan(found.significance)
    assert "at least 25 needed" in found.reason
    assert not found.found
    empty = feature_significance(RixsCounts(ENERGIES, BINS), **SPOT)
    assert "measured yet" in empty.reason
    swallowed = feature_significance(
        run(np.random.default_rng(4)), **SPOT, elastic_mask=20.0, reference=[(527, 529)]
    )
    assert "leaves nothing" in swallowed.reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pfy": "PFY[523:535]"}, "does not hold"),
        ({"excitation": (600.0, 601.0)}, "none of the excitation energies"),
        ({"window": "XES[522:525]"}, "excitation, not of emission"),
    ],
)
def test_what_cannot_be_asked_of_a_feature(change, says):
    counts = RixsCounts(ENERGIES, BINS)
    with pytest.raises(ValueError, match=says):
        feature_significance(counts, **{**SPOT, **change})


@pytest.mark.parametrize("level", [0.2, 20.0])
def test_passes_alike_have_even_probabilities(level):
    rng = np.random.default_rng(5)
    found = [
        compare_passes(run(rng, level, 2, i0_noise=0.05), 0, 1, "sPFY[522:525]").p_value
        for _ in range(300)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.005
    assert np.mean(np.array(found) < 0.05) < 0.09


def test_unlike_exposures_are_no_difference():
    rng = np.random.default_rng(6)
    found = []
    for _ in range(200):
        counts = RixsCounts(ENERGIES, BINS, 2)
        for p, seconds in enumerate([1.0, 5.0]):
            for k in range(len(ENERGIES)):
                n = rng.poisson(0.05 * seconds, len(BINS))
                counts.set_point(p, k, spectrum=n, seconds=seconds)
        found.append(compare_passes(counts, 0, 1).p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.005


def test_trend_without_a_change_pulls_as_it_should():
    rng = np.random.default_rng(7)
    found = []
    for _ in range(200):
        counts = run(rng, 5.0, 4, i0_noise=0.05)
        for k in range(20, len(ENERGIES)):
            counts.drop_point(3, k)  # the pass under way
        found.append(trend(counts, "PFY[515:535]", (528.0, 540.0)).significance)
    assert abs(np.std(found) - 1) < 0.15
    assert abs(np.mean(found)) < 0.25


def test_trend_finds_the_slope():
    rng = np.random.default_rng(8)
    found = trend(run(rng, 100.0, 5, fade=lambda p: 1 - 0.03 * (p - 2)), "TFY")
    assert found.slope == pytest.approx(-0.03, abs=4 * found.sigma)
    assert found.significance < -5
    np.testing.assert_allclose(found.value, [1.06, 1.03, 1.0, 0.97, 0.94], atol=0.02)
    assert found.passes.tolist() == [0, 1, 2, 3, 4]


def test_sentinel_speaks_up_and_stays_quiet():
    sentinel = DamageSentinel(("TFY", "sPFY[522:525]"), excitation={"sPFY": (529.0, 533.0)})
    rng = np.random.default_rng(9)
    quiet = sentinel.check(run(rng, 100.0, 3))
    assert not quiet.damaged
    assert quiet.message.startswith("no change seen")
    assert len(quiet.comparisons) == 6
    assert len(quiet.trends) == 2
    loud = sentinel.check(run(rng, 100.0, 3, fade=lambda p: 1 - 0.05 * p))
    assert loud.damaged
    assert loud.worst > 5
    assert loud.message.startswith("the sample changes: TFY -")


def test_sentinel_before_there_is_anything_to_compare():
    sentinel = DamageSentinel()
    assert sentinel.check(RixsCounts(ENERGIES, BINS, 3)).message == "nothing to compare yet"
    one = RixsCounts(ENERGIES, BINS, 3)
    one.set_point(0, 0, spectrum=np.ones(40), seconds=1.0)
    verdict = sentinel.check(one)
    assert not verdict.damaged
    assert np.isnan(verdict.worst)
    one.set_point(1, 0, spectrum=np.full(40, 9), seconds=0.1, provisional=True)
    assert sentinel.check(one).message == "nothing to compare yet"  # not from half a point


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limit": 0.0}, "limit = 0.0 sigma"),
        ({"windows": ["XES[530:532]"]}, "no yield"),
        ({"windows": ["iPFY[500:540]"]}, "no yield"),
    ],
)
def test_what_is_no_sentinel(options, says):
    with pytest.raises(ValueError, match=says):
        DamageSentinel(**options)
