"""Real K edges: positions of standards, a drift that a reference removes, a line of valence."""

from pathlib import Path

import numpy as np
import pytest

from redoxscope.analysis.xas import (
    Spectrum,
    align,
    calibrate_valence,
    edge_position,
    edge_positions,
    fit_references,
    merge,
    normalise,
    remainder,
)

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "k_edge_xas"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no real data here")

# Half height and integral (eV), as the data's own description has them (measured with larch).
TABLE = {
    "MnO": (6543.85, 6544.89),
    "MnCl2": (6547.11, 6547.32),
    "MnCO3": (6547.03, 6547.10),
    "Mn_oxalate": (6546.76, 6547.05),
    "Mn2O3": (6548.79, 6549.39),
    "MnOOH": (6549.62, 6550.33),
    "MnO2_ramsdellite": (6552.22, 6552.99),
    "MnO2_pyrolusite": (6552.25, 6553.06),
    "Li2MnO3": (6552.65, 6552.96),
}
VALENCE = {"MnO": 2, "Mn2O3": 3, "MnOOH": 3, "MnO2_ramsdellite": 4, "MnO2_pyrolusite": 4}
NIO = [k for k in range(11) if k != 5]
SCANS = tuple(f"NiO_scan{k:02d}" for k in NIO)


def columns(name):
    return np.genfromtxt(FOLDER / f"{name}.csv", delimiter=",", skip_header=1).T


def standard(name):
    energy, mu = columns(name)
    return Spectrum(energy, mu, None, name, "transmission", "Mn K")


@pytest.mark.parametrize("name", TABLE)
def test_positions_of_standards(name):
    found = edge_positions(normalise(standard(name)))
    half, integral = TABLE[name]
    assert found["half_height"].energy_ev == pytest.approx(half, abs=0.15)
    assert found["integral"].energy_ev == pytest.approx(integral, abs=0.15)
    assert 0 < found["integral"].sigma_ev < 0.1


def test_a_metal_has_a_shoulder_and_says_so():
    found = edge_positions(normalise(standard("Mn_foil")))
    # larch with the same ranges: 6540.37 and 6544.02
    assert found["half_height"].energy_ev == pytest.approx(6540.37, abs=0.3)
    assert found["integral"].energy_ev == pytest.approx(6544.02, abs=0.3)
    assert any("disagree" in text for text in found["integral"].warnings)


def test_the_derivative_is_no_measure_of_valence_and_says_so():
    for name, energy in (("Li2MnO3", 6556.6), ("Mn2O3", 6552.6)):
        found = edge_position(normalise(standard(name)), "derivative")
        assert found.energy_ev == pytest.approx(energy, abs=0.3)
        assert any("disagree" in text for text in found.warnings)


@pytest.fixture(scope="module")
def nickel():
    oxide, foil = [], []
    for name in SCANS:
        energy, a, b = columns(name)
        oxide.append(Spectrum(energy, a, None, name, edge="Ni K"))
        foil.append(Spectrum(energy, b, None, name, edge="Ni K"))
    return oxide, foil


def positions(spectra, method):
    return [edge_position(normalise(each), method).energy_ev for each in spectra]


@pytest.mark.parametrize("method", ["half_height", "integral"])
def test_a_reference_removes_the_drift(nickel, method):
    oxide, foil = nickel
    raw = positions(oxide, method)
    assert raw[0] - raw[-1] == pytest.approx(5.3, abs=0.1)
    alignment = align(foil)
    assert alignment.shifts[0] == 0
    assert alignment.shifts[-1] == pytest.approx(5.3, abs=0.3)
    left = positions(alignment.applied(oxide), method)
    assert np.ptp(left) < 0.25
    told = remainder(SCANS, left)
    assert told.spread_ev == np.ptp(left)


def test_what_the_reference_does_not_remove_is_told_with_its_step(nickel):
    oxide, foil = nickel
    told = remainder(SCANS, positions(align(foil).applied(oxide), "half_height"))
    assert told.step_after == "NiO_scan04"
    assert abs(told.step_ev) == pytest.approx(0.1, abs=0.06)
    assert "between NiO_scan04 and NiO_scan06" in told.text


def test_a_series_without_a_step_has_none():
    rng = np.random.default_rng(5)
    names = [f"{k}" for k in range(12)]
    steps = [remainder(names, rng.normal(0, 0.1, 12)).step_after for _ in range(300)]
    assert sum(map(bool, steps)) <= 20  # 5 % of 300 is 15


def test_drifted_scans_are_outliers_until_they_are_aligned(nickel):
    oxide, foil = nickel
    assert "NiO_scan00" in merge([normalise(each).spectrum for each in oxide]).outliers
    aligned = align(foil, to=5).applied(oxide)[5:]
    assert merge([normalise(each).spectrum for each in aligned]).outliers == ()


def test_valence_from_own_standards_carries_their_scatter():
    found = {
        name: (edge_position(normalise(standard(name))).energy_ev, valence)
        for name, valence in VALENCE.items()
    }
    line = calibrate_valence(found)
    assert line.slope == pytest.approx(4.0, abs=0.4)
    assert line.scatter == pytest.approx(0.6, abs=0.25)
    position = edge_position(normalise(standard("Li2MnO3")))
    valence, sigma = line.valence(position.energy_ev, position.sigma_ev)
    assert abs(valence - 4) < 2 * sigma
    assert 0.1 < sigma < 0.35  # the standards' scatter, not the noise of 0.02 eV
    # another ligand lies 3 eV higher: beyond what the scatter explains, as the data's notes warn
    chloride = edge_position(normalise(standard("MnCl2"))).energy_ev
    assert line.valence(chloride)[0] > 2.4


def test_a_real_mixture_is_found_again():
    parts = [normalise(standard(name)).spectrum for name in ("MnO", "Mn2O3", "MnO2_pyrolusite")]
    grid = np.arange(6530.0, 6600.0, 0.5)
    rng = np.random.default_rng(2)
    table = np.stack([np.interp(grid, each.energy, each.value) for each in parts])
    noise = 0.002
    mixed = 0.25 * table[0] + 0.0 * table[1] + 0.75 * table[2]
    mixed += noise * rng.standard_normal(len(grid))
    fit = fit_references(Spectrum(grid, mixed, np.full(len(grid), noise), "mix"), parts)
    assert fit.names == ("MnO", "Mn2O3", "MnO2_pyrolusite")
    assert np.abs(fit.fractions - [0.25, 0.0, 0.75]).max() < 0.01
    assert (np.abs(fit.fractions - [0.25, 0.0, 0.75]) < 4 * fit.sigma).all()
    assert fit.p > 1e-4


def test_references_that_do_not_cover_the_spectrum_are_named():
    parts = [normalise(standard(name)).spectrum for name in ("MnO", "Mn2O3")]
    wide = normalise(standard("Mn_foil")).spectrum
    with pytest.raises(ValueError, match="reference 'Mn2O3' has 6391.* does not cover"):
        fit_references(wide, parts)
