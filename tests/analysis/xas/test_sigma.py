"""What is reported as sigma is what scatters; outliers and doubtful edges are named."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from redoxscope.analysis.xas import (
    METHODS,
    Spectrum,
    calibrate_valence,
    compare,
    edge_position,
    edge_positions,
    fit_references,
    merge,
    normalise,
)

from .spectra import ENERGY, counted, currents, l_edge

SEEDS = 150
K = np.concatenate([np.arange(6340, 6530, 5), np.arange(6530, 6580, 0.4), np.arange(6580, 7060, 4)])


def k_edge(energy):
    """A K edge with a white line and a background that falls."""
    step = 0.5 + np.arctan((energy - 6550.0) / 1.5) / np.pi
    line = 0.4 * np.exp(-0.5 * ((energy - 6554) / 2.5) ** 2)
    return 0.4 - 2e-4 * (energy - 6550) + step + line


@pytest.mark.parametrize("known", [True, False], ids=["sigma known", "from neighbours"])
def test_positions_scatter_as_their_sigma_says(known):
    noise, found = 0.004, {method: [] for method in METHODS}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        value = k_edge(K) + noise * rng.standard_normal(len(K))
        sigma = np.full(len(K), noise) if known else None
        positions = edge_positions(normalise(Spectrum(K, value, sigma), e0=6550.0))
        for method, each in positions.items():
            found[method].append((each.energy_ev, each.sigma_ev))
    for method, rows in found.items():
        energy, sigma = np.array(rows).T
        ratio = np.median(sigma) / energy.std()
        # the derivative's maximum is not linear in the noise
        assert ratio == pytest.approx(1.0, abs=0.5 if method == "derivative" else 0.2), method


def test_positions_of_noise_are_those_without():
    true = edge_positions(normalise(Spectrum(K, k_edge(K), np.full(len(K), 1e-6)), e0=6550.0))
    rng = np.random.default_rng(3)
    noisy = k_edge(K) + 0.004 * rng.standard_normal((SEEDS, len(K)))
    for method in ("integral", "half_height"):
        found = [
            edge_position(normalise(Spectrum(K, v, None), e0=6550.0), method).energy_ev
            for v in noisy
        ]
        error = np.std(found) / np.sqrt(SEEDS)
        assert np.mean(found) == pytest.approx(true[method].energy_ev, abs=4 * error + 0.01)


@pytest.mark.parametrize("n", [3, 6])
def test_the_mean_scatters_as_its_sigma_says(n):
    rng = np.random.default_rng(n)
    means = [merge(currents(rng, n, 0.01, drift=0.0)).spectrum for _ in range(60)]
    pull = np.array([(m.value - l_edge(ENERGY)) / m.sigma for m in means])
    assert pull.std() == pytest.approx(1.0, abs=0.08)
    high = l_edge(ENERGY) > 1.0  # where noise is largest, and few points are
    assert pull[:, high].std() == pytest.approx(1.0, abs=0.15)
    assert pull[:, :8].std() == pytest.approx(1.0, abs=0.15)


def flown(rng, n, noise, **sample):
    """Repeats whose energies are not quite those of the others, as of a line that is flown."""
    found = []
    for k in range(n):
        energy = ENERGY + 0.04 * rng.standard_normal()
        value = l_edge(energy, **sample) * (1 + noise * rng.standard_normal(len(energy)))
        found.append(Spectrum(energy, value, None, f"repeat {k + 1}"))
    return found


def test_repeats_at_other_energies_keep_their_noise():
    rng = np.random.default_rng(11)
    merged = [merge(flown(rng, 4, 0.02)) for _ in range(80)]
    assert sum(len(each.outliers) for each in merged) <= 1
    means = [each.spectrum for each in merged]
    pull = np.concatenate([
        ((m.value - l_edge(m.energy)) / m.sigma)[np.isfinite(m.value)] for m in means
    ])  # fmt: skip
    assert pull.std() == pytest.approx(1.0, abs=0.1)
    found = [compare(a, b) for a, b in zip(means[::2], means[1::2], strict=True)]
    assert np.std([each.change / each.change_sigma for each in found]) < 1.3
    assert sum(each.significant for each in found) <= 1


def test_counting_is_believed_until_the_repeats_scatter_more():
    rng = np.random.default_rng(4)
    honest = merge([counted(rng, 400).changed(name=f"{k}") for k in range(6)])
    assert honest.factor == pytest.approx(1.0, abs=0.15)
    repeats = [counted(rng, 400).changed(name=f"{k}") for k in range(6)]
    less = merge([each.changed(sigma=each.sigma / 3) for each in repeats])
    assert less.factor == pytest.approx(3.0, abs=0.4)
    assert np.median(less.spectrum.sigma / honest.spectrum.sigma) == pytest.approx(1.0, abs=0.15)


def test_a_sigma_that_is_not_known_makes_that_of_the_mean_no_smaller():
    rng = np.random.default_rng(5)
    noise = np.full(len(ENERGY), 0.01)
    values = l_edge(ENERGY) + 0.01 * rng.standard_normal((2, len(ENERGY)))
    lacking = np.where(np.arange(len(ENERGY)) % 5 == 0, np.nan, noise)
    both = [Spectrum(ENERGY, v, s, n) for v, s, n in zip(values, (noise, lacking), "ab")]  # noqa: B905
    np.testing.assert_allclose(merge(both).spectrum.sigma, 0.01 / np.sqrt(2), rtol=1e-9)


def test_an_energy_at_which_no_repeat_has_a_point_is_a_gap():
    gap = np.arange(len(ENERGY)) == 20
    rng = np.random.default_rng(6)
    repeats = [
        each.changed(value=np.where(gap, np.nan, each.value)) for each in currents(rng, 4, 0.01)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = merge(repeats).spectrum
    np.testing.assert_array_equal(np.isnan(mean.value), gap)
    np.testing.assert_array_equal(np.isnan(mean.sigma), gap)


def test_good_repeats_are_no_outliers():
    rng = np.random.default_rng(5)
    found = [merge(currents(rng, n, 0.01, drift=0.05)) for n in (3, 4, 8) for _ in range(60)]
    assert sum(len(each.outliers) for each in found) <= 1


@pytest.mark.parametrize("n", [3, 5])
@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda v: v * (1 + 0.1 * np.random.default_rng(1).standard_normal(len(v))), "scatters"),
        (lambda v: np.interp(ENERGY - 0.3, ENERGY, v), "lies 0.[23]"),
        (lambda v: np.where(np.arange(len(v)) == 60, 3 * v, v), "point at 644.20 eV"),
    ],
    ids=["noise", "moved", "glitch"],
)
def test_a_repeat_that_does_not_belong_is_named_with_the_reason(n, spoil, word):
    repeats = currents(np.random.default_rng(6), n, 0.005)
    repeats[1] = repeats[1].changed(value=spoil(repeats[1].value))
    found = merge(repeats)
    assert found.outliers == ("repeat 2",)
    assert found.spectrum.n == n - 1
    if word.startswith("point"):
        assert word in found.reasons["repeat 2"] or "scatters" in found.reasons["repeat 2"]
    else:
        assert re.search(word, found.reasons["repeat 2"])


def test_two_repeats_are_never_judged_and_it_is_said_that_they_differ():
    a = counted(np.random.default_rng(1), 1000).changed(name="a")
    b = counted(np.random.default_rng(2), 1000, moved=0.5).changed(name="b")
    found = merge([a, b])
    assert found.outliers == ()
    assert "nobody can say which one is wrong" in found.warnings[0]


def test_fractions_scatter_as_their_sigma_says():
    references = [
        Spectrum(ENERGY, l_edge(ENERGY, reduced=part), np.full(len(ENERGY), 1e-9), name)
        for part, name in ((0.0, "high"), (1.0, "low"))
    ]
    pull, p = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        value = l_edge(ENERGY, reduced=0.3) + 0.05 * rng.standard_normal(len(ENERGY))
        fit = fit_references(Spectrum(ENERGY, value, np.full(len(ENERGY), 0.05)), references)
        pull.append((fit.fractions[1] - 0.3) / fit.sigma[1])
        p.append(fit.p)
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(pull)) < 0.3
    assert np.mean(np.array(p) < 0.05) < 0.12


def test_noise_of_the_references_counts():
    rng = np.random.default_rng(7)
    value = l_edge(ENERGY, reduced=0.3)
    spectrum = Spectrum(ENERGY, value, np.full(len(ENERGY), 0.001))

    def references(noise):
        return [
            Spectrum(
                ENERGY, l_edge(ENERGY, reduced=part) + noise * rng.standard_normal(len(ENERGY)),
                np.full(len(ENERGY), noise), name,
            )
            for part, name in ((0.0, "high"), (1.0, "low"))
        ]  # fmt: skip

    assert (
        fit_references(spectrum, references(0.02)).sigma[0]
        > 3 * (fit_references(spectrum, references(1e-6)).sigma[0])
    )


def test_what_is_no_sum_of_the_references_is_told_and_sigma_grows():
    references = [
        Spectrum(ENERGY, l_edge(ENERGY, reduced=part), np.full(len(ENERGY), 1e-6), name)
        for part, name in ((0.0, "high"), (1.0, "low"))
    ]
    other = l_edge(ENERGY) + 0.5 * np.exp(-0.5 * ((ENERGY - 646) / 0.6) ** 2)
    fit = fit_references(Spectrum(ENERGY, other, np.full(len(ENERGY), 0.01)), references)
    assert fit.p < 1e-6 and "do not describe" in fit.warnings[0]
    alike = references[0].changed(name="again")
    with pytest.raises(ValueError, match="too alike to be told apart"):
        fit_references(references[0], [references[0], alike])


def test_valence_scatters_as_its_sigma_says():
    pull = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        valence = np.array([2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 2.5, 3.5])
        at = 6540 + 4 * valence + 0.5 * rng.standard_normal(len(valence))
        line = calibrate_valence({f"{k}": (e, v) for k, (e, v) in enumerate(zip(at, valence))})  # noqa: B905
        found, sigma = line.valence(6540 + 4 * 3.2 + 0.5 * rng.standard_normal())
        pull.append((found - 3.2) / sigma)
    # Student's t of 6 degrees of freedom scatters by 1.22
    assert np.std(pull) == pytest.approx(1.22, abs=0.15)


@pytest.mark.parametrize(
    ("standards", "words"),
    [
        ({"a": (1.0, 2)}, "1 standards given"),
        ({"a": (1.0, 2), "b": (2.0, 2), "c": (3.0, 2)}, "all standards have the valence 2"),
        ({"a": (5.0, 2), "b": (1.0, 3), "c": (5.0, 4)}, "which is no slope"),
        ({"a": (5.0, 2), "b": 3, "c": (5.0, 4)}, "standard 'b' = 3 must be"),
        ({"a": (-5.0, 2), "b": (1.0, 3), "c": (5.0, 4)}, "position = -5"),
        ([1, 2], "must be a mapping"),
    ],
    ids=["one", "same", "flat", "no pair", "negative", "list"],
)
def test_what_is_no_line_of_standards_is_refused(standards, words):
    with pytest.raises(ValueError, match=words):
        calibrate_valence(standards)


def test_a_peak_below_the_edge_that_reaches_half_height_is_told():
    peak = 0.9 * np.exp(-0.5 * ((K - 6541) / 0.8) ** 2)
    found = edge_positions(normalise(Spectrum(K, k_edge(K) + peak, None), e0=6550.0))
    assert any("6541" in text and "stands above half height" in text
               for text in found["half_height"].warnings)  # fmt: skip
    assert found["half_height"].energy_ev == pytest.approx(6540.1, abs=0.5)
    plain = edge_positions(normalise(Spectrum(K, k_edge(K), None), e0=6550.0))
    assert not any("half height" in text for text in plain["half_height"].warnings)


@pytest.mark.parametrize("level", [0.0, 1.0], ids=["around 0", "around 1"])
def test_noise_has_no_edge(level):
    rng = np.random.default_rng(8)
    value = level + 0.01 * rng.standard_normal(len(K))
    with pytest.raises(ValueError, match="so there is no edge in it"):
        normalise(Spectrum(K, value, np.full(len(K), 0.01)), e0=6550.0)
