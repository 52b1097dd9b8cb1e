"""What changed is found with the right sigma; what did not is not found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from redoxscope.analysis.xas import Spectrum, compare, merge

from .spectra import ENERGY, counted, currents, l_edge

SEEDS = 200


def averaged(n, noise):
    return lambda rng, **sample: merge(currents(rng, n, noise, **sample)).spectrum


def photons(level):
    return lambda rng, **sample: counted(rng, level, **sample)


KINDS = {
    "currents, 4 repeats": averaged(4, 0.005),
    "currents, 2 repeats": averaged(2, 0.02),
    "100 photons": photons(100),
    "5 photons": photons(5),
    "one spectrum, sigma not known": averaged(1, 0.01),
}


@pytest.fixture(scope="module", params=KINDS)
def null(request):
    """Comparisons of two measurements of the same."""
    make, found = KINDS[request.param], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        found.append(compare(make(rng), make(rng)))
    return found


def test_what_did_not_change_is_not_found(null):
    # 0.27 % are expected at 3 sigma: 0.5 of 200; below 1 % is at most one
    assert sum(each.significant for each in null) <= 1
    assert np.mean([each.p < 0.05 for each in null]) < 0.1


def test_sigma_of_the_change_is_right(null):
    pull = np.array([each.change / each.change_sigma for each in null])
    assert abs(pull.mean()) < 3 / np.sqrt(SEEDS)
    # of 200 the standard deviation is known to 5 %
    assert 0.87 < pull.std() < 1.15


def test_the_difference_has_its_sigma(null):
    for each in null[:20]:
        z = each.difference / each.sigma
        assert z.std() == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("kind", ["currents, 4 repeats", "100 photons"])
def test_what_changed_is_found(kind):
    make = KINDS[kind]
    part = {"currents, 4 repeats": 0.03, "100 photons": 0.4}[kind]
    found = [
        compare(make(np.random.default_rng(k)), make(np.random.default_rng(1000 + k), reduced=part))
        for k in range(20)
    ]
    assert all(each.significant and each.change < 0 and each.unit == "eV" for each in found)


@pytest.mark.parametrize("moved", [-1.0, -0.3, 0.02, 0.2, 0.8])
def test_a_shift_is_measured_in_ev(moved):
    make = KINDS["currents, 4 repeats"]
    found = compare(make(np.random.default_rng(1)), make(np.random.default_rng(2), moved=moved))
    assert found.significant
    assert found.change == pytest.approx(moved, abs=max(4 * found.change_sigma, 0.02 * abs(moved)))


def test_scale_and_background_are_no_change_unless_they_are_asked_for():
    make = KINDS["currents, 4 repeats"]
    before, after = make(np.random.default_rng(1)), make(np.random.default_rng(2))
    other = after.changed(
        value=1.3 * after.value + 0.2 - 0.001 * (ENERGY - 640), sigma=1.3 * after.sigma
    )
    assert not compare(before, other).significant
    assert compare(before, other, scale=False).significant
    assert compare(before, other, background=False).significant


def test_what_the_energy_scale_explains_is_not_significant():
    make = KINDS["currents, 4 repeats"]
    before, after = make(np.random.default_rng(3)), make(np.random.default_rng(4), moved=0.01)
    assert compare(before, after).significant
    found = compare(before, after, energy_sigma=0.02)
    assert found.change_sigma >= 0.02
    assert not found.significant


def with_peak(rng, height, noise=0.004):
    value = l_edge(ENERGY) + height * np.exp(-0.5 * ((ENERGY - 646) / 0.5) ** 2)
    return Spectrum(
        ENERGY, value + noise * rng.standard_normal(len(value)), np.full(len(value), noise)
    )


def test_the_area_in_a_window_is_compared_with_the_scale_of_what_lies_outside():
    window = (645.0, 647.0)
    inside = (ENERGY >= 645) & (ENERGY <= 647)
    width = np.gradient(ENERGY)
    pull, changes = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        before, after = with_peak(rng, 0.2), with_peak(rng, 0.3)
        after = after.changed(value=1.2 * after.value, sigma=1.2 * after.sigma)
        found = compare(before, after, window=window)
        true = l_edge(ENERGY) + 0.2 * np.exp(-0.5 * ((ENERGY - 646) / 0.5) ** 2)
        grown = 0.1 * np.exp(-0.5 * ((ENERGY - 646) / 0.5) ** 2)
        # both relative to the first, the second brought to its scale
        expected = 100 * (width * grown)[inside].sum() / (width * true)[inside].sum()
        changes.append(found.change)
        pull.append((found.change - expected) / found.change_sigma)
        assert found.unit == "%" and found.significant
    assert np.std(pull) == pytest.approx(1.0, abs=0.2)
    assert np.mean(changes) == pytest.approx(expected, rel=0.03)


def test_no_change_in_a_window_is_not_found():
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        found.append(compare(with_peak(rng, 0.2), with_peak(rng, 0.2), window=(645.0, 647.0)))
    assert sum(each.significant for each in found) <= 1
    z = [each.change / each.change_sigma for each in found]
    assert np.std(z) == pytest.approx(1.0, abs=0.15)


def test_other_energies_do_not_make_a_difference():
    grid = ENERGY[::2] + 0.033
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = 0.01
        pair = [
            Spectrum(e, l_edge(e) + noise * rng.standard_normal(len(e)), np.full(len(e), noise))
            for e in (ENERGY, grid)
        ]
        found.append(compare(*(pair if seed % 2 else pair[::-1])))
    assert sum(each.significant for each in found) <= 2
    assert np.std([e.change / e.change_sigma for e in found]) == pytest.approx(1.0, abs=0.3)


def test_several_comparisons_count():
    make = KINDS["100 photons"]
    pair = make(np.random.default_rng(1)), make(np.random.default_rng(2), reduced=0.2)
    one, ten = compare(*pair), compare(*pair, trials=10)
    assert ten.p == pytest.approx(10 * one.p)
    assert ten.significance < one.significance
    assert one.significance == pytest.approx(stats.norm.isf(one.p / 2), rel=1e-6)


def test_the_significance_of_what_is_certain_is_a_number():
    make = averaged(4, 1e-5)
    pair = make(np.random.default_rng(1)), make(np.random.default_rng(2), reduced=0.9)
    found = compare(*pair)
    assert np.isfinite(found.significance) and found.significance > 10


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"window": (700.0, 710.0)}, "holds 0 points of spectra over 635 to 661.5 eV"),
        ({"window": (647.0, 645.0)}, "must rise"),
        ({"window": (600.0, 700.0)}, "leaves 0 points"),
        ({"window": 5}, "window = 5 must be a pair"),
        ({"energy_sigma": -1}, "energy_sigma = -1 eV must be at least 0 eV"),
        ({"limit": 0}, "limit = 0"),
        ({"trials": 0.5}, "trials = 0.5"),
    ],
    ids=["beyond", "falling", "all", "no pair", "negative", "no limit", "no trials"],
)
def test_what_cannot_be_asked_is_refused(given, words):
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match=words):
        compare(counted(rng, 100), counted(rng, 100), **given)


def test_spectra_of_other_edges_cannot_be_compared():
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match=r"780 to 806.5 eV.* 0 points in common"):
        compare(counted(rng, 100), counted(rng, 100).shifted(145.0))
    flat = Spectrum(ENERGY, ENERGY, np.zeros(len(ENERGY)), "flat")
    with pytest.raises(ValueError, match="flat has sigma = 0"):
        compare(flat, flat)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"mode": "TEY"}, {"mode": "TFY"}, r"differ in mode \(TEY, TFY\); compare like with like"),
        ({"edge": "Mn L"}, {"edge": "Ni L"}, r"differ in edge \(Mn L, Ni L\)"),
    ],
    ids=["mode", "edge"],
)
def test_like_is_compared_with_like(one, other, words):
    rng = np.random.default_rng(1)
    before, after = counted(rng, 100), counted(rng, 100)
    with pytest.raises(ValueError, match=words):
        compare(before.changed(**one), after.changed(**other))
    compare(before.changed(**one), after)  # what is not told may be the same
    compare(before.changed(**one), after.changed(**one))
