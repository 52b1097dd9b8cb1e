"""The samples of the simulated spectrometer."""

import numpy as np
import pytest

from redoxscope.data import load_lines
from redoxscope.documents import Bins
from redoxscope.sim.physics.rixs import (
    FWHM,
    GRID,
    RIXS_SAMPLES,
    RixsModel,
    broadened,
    piled_up,
    rebinned,
)
from redoxscope.sim.physics.rixs._electrode import ELASTIC_SIGMA

WIDE = Bins(200.0, 1300.0, 0.5)
ELECTRODES = [name for name in RIXS_SAMPLES if name != "reference"]


@pytest.fixture(scope="module")
def model():
    return RixsModel(1)


def band(matrix, bins, low, high):
    return matrix[..., (bins.centers > low) & (bins.centers < high)].sum(axis=-1)


@pytest.mark.parametrize(
    ("sample", "omega"),
    [
        ("lmr_pristine", 529.5),
        ("lmr_charged", 531.0),
        ("lmr_charged", 643.0),
        ("reference", 1000.0),
    ],
)
def test_photons_follow_the_expected_matrix(model, sample, omega):
    emission = model.emission(sample, omega)
    rng = np.random.default_rng(5)
    n = 400_000
    seen = emission.draw(n, rng) + 1.4 / FWHM * rng.standard_normal(n)
    counts = np.histogram(seen, WIDE.edges)[0]
    mean = model.expected(sample, omega, WIDE, 1.4)[0] / emission.total * n
    enough = mean > 20
    chi2 = np.mean((counts - mean)[enough] ** 2 / mean[enough])
    assert chi2 == pytest.approx(1, abs=4 * np.sqrt(2 / enough.sum()))
    assert counts[~enough].sum() == pytest.approx(mean[~enough].sum(), abs=60)


def test_nothing_is_lost_between_cells_and_bins(model):
    total = model.emission("lmr_charged", 643.0).total
    assert model.expected("lmr_charged", 643.0, WIDE).sum() == pytest.approx(total, rel=1e-6)
    part = model.expected("lmr_charged", [643.0], Bins(500.03, 540.03, 0.25))
    assert part.shape == (1, 160)
    whole = model.expected("lmr_charged", [643.0], Bins(500.03, 540.03, 40.0))
    assert part.sum() == pytest.approx(whole.sum(), rel=1e-9)


@pytest.mark.parametrize(("fraction", "tail"), [(0.0, 3.0), (0.3, 3.0)])
def test_a_resolution_keeps_mean_and_width(fraction, tail):
    line = np.zeros(len(GRID))
    line[5000] = 1
    seen = broadened(line, 1.4, fraction, tail)
    shift = GRID.centers - GRID.centers[5000]
    assert seen.sum() == pytest.approx(1, rel=1e-9)
    assert seen @ shift == pytest.approx(-fraction * tail, abs=1e-6)
    within = GRID.step**2 / 6 + (1.4 / FWHM) ** 2
    spread = within + fraction * (2 * tail**2) - (fraction * tail) ** 2
    assert seen @ shift**2 - (seen @ shift) ** 2 == pytest.approx(spread, rel=0.01)


def test_pulses_on_top_of_each_other():
    line = np.zeros(len(GRID))
    line[np.searchsorted(GRID.edges, 500.0)] = 2.0
    both = piled_up(line, np.array([1.0, 0.5]), 0.0)
    assert both.sum() == pytest.approx(2, rel=1e-9)
    assert band(both, GRID, 999, 1001) == pytest.approx(1, rel=1e-9)
    assert band(both, GRID, 749, 751) == pytest.approx(1, rel=1e-9)
    height = 2 * 500 / (1 + 1e-4 * 500)
    energy = height / (1 - 1e-4 * height)
    bent = piled_up(line, np.array([1.0]), 1e-4)
    assert bent @ GRID.centers / bent.sum() == pytest.approx(energy, abs=0.3)


@pytest.mark.parametrize("edge", [(634.0, 662.0), (770.0, 802.0), (845.0, 880.0)])
@pytest.mark.parametrize("sample", ELECTRODES)
def test_inverse_yield_is_linear_in_the_absorption(model, sample, edge):
    omegas = np.arange(*edge, 0.5)
    inverse = model.inverse_yield(sample, omegas)
    shells = model.shells(sample)
    own = np.array([shells.part("O K", w) for w in omegas])
    mu = model.absorption(sample, omegas)
    # light leaves at the energy of the O K line, where the absorption is that below the O K edge
    assert inverse * own / (mu + model.absorption(sample, 525.0)) == pytest.approx(
        np.mean(inverse * own / (mu + model.absorption(sample, 525.0))), rel=2e-3
    )


def test_metal_yield_saturates_and_oxygen_dips(model):
    bins = Bins(400.0, 700.0, 1.0)
    below, top = model.expected("lmr_charged", [636.0, 643.2], bins)
    mu = model.absorption("lmr_charged", [636.0, 643.2])
    oxygen = band(top, bins, 500, 540) / band(below, bins, 500, 540)
    assert oxygen == pytest.approx((mu[0] + 0.99) / (mu[1] + 0.99), abs=0.08) and oxygen < 0.6
    # manganese does not rise in proportion to what it absorbs
    later = model.expected("lmr_charged", [660.0], bins)[0]
    shells = model.shells("lmr_charged")
    absorbed = [shells.part("Mn L3", w) + shells.part("Mn L2", w) for w in (643.2, 660.0)]
    emitted = [band(row, bins, 545, 700) for row in (top, later)]
    assert emitted[0] / emitted[1] < 0.75 * absorbed[0] / absorbed[1]


def test_oxidised_oxygen_stands_out(model):
    bins = Bins(500.0, 545.0, 0.5)
    omegas = np.arange(527.0, 535.0, 0.1)
    pristine, charged, heated = (
        model.expected(sample, omegas, bins, 1.4)
        for sample in ("lmr_pristine", "lmr_charged", "lmr_heated")
    )
    spfy = [band(m, bins, 522.3, 525.1) for m in (pristine, charged, heated)]
    at = np.argmin(abs(omegas - 531.0))
    assert abs(omegas[spfy[1].argmax()] - 531.0) < 0.25
    assert spfy[1][at] > 2.5 * spfy[0][at] and spfy[2][at] > 1.15 * spfy[1][at]
    extra = heated - charged  # the same absorption, so the feature alone
    row, column = np.unravel_index(extra.argmax(), extra.shape)
    assert omegas[row] == pytest.approx(531.0, abs=0.11)
    assert bins.centers[column] == pytest.approx(523.7, abs=0.3)
    assert extra[(omegas < 528.5) | (omegas > 533.5)].max() < 1e-4 * extra.max()


def test_heating_changes_no_metal_edge(model):
    for omegas in ([643.0, 655.0], [780.0, 795.0], [856.0, 872.0]):
        a = model.expected("lmr_charged", omegas, WIDE)
        assert np.array_equal(a, model.expected("lmr_heated", omegas, WIDE))


@pytest.mark.parametrize(("metal", "low", "high"), [("Mn", 634, 662), ("Ni", 845, 880)])
def test_white_lines_are_where_the_absorption_has_them(model, metal, low, high):
    omegas = np.arange(low, high, 0.1)
    absorbed = omegas[model.absorption("lmr_charged", omegas).argmax()]
    ll = load_lines()[f"{metal} Ll"].energy_ev
    yields = model.expected("lmr_charged", omegas, Bins(ll - 8, ll + 8, 16.0))[:, 0]
    assert omegas[yields.argmax()] == pytest.approx(absorbed, abs=0.3)


@pytest.mark.parametrize("omega", [531.0, 636.0, 770.0, 1000.0])
def test_elastic_line(model, omega):
    sample = "reference" if omega == 1000.0 else "lmr_charged"
    rate = model.emission(sample, omega).rate
    near = abs(GRID.centers - omega) < 0.35
    centre = rate[near] @ GRID.centers[near] / rate[near].sum()
    assert centre == pytest.approx(omega, abs=0.05)
    first_order = RixsModel(second_order=0.0).emission(sample, omega).rate
    assert first_order[GRID.centers > omega + 10 * ELASTIC_SIGMA].sum() < 1e-12


def test_second_order_light():
    with_, without = RixsModel(second_order=0.02), RixsModel(second_order=0.0)
    bins = Bins(1058.0, 1066.0, 8.0)
    assert without.expected("lmr_charged", 531.0, bins)[0, 0] == 0
    elastic = with_.expected("lmr_charged", 531.0, bins)[0, 0]
    assert elastic == pytest.approx(2 * RixsModel().expected("lmr_charged", 531.0, bins)[0, 0])
    metal = Bins(630.0, 660.0, 30.0)
    assert with_.expected("lmr_charged", 526.0, metal)[0, 0] > 0.3


def test_rates_are_those_of_such_an_array(model):
    scan = [model.emission("lmr_charged", w).total for w in np.arange(634.0, 662.0)]
    assert np.mean(scan) == pytest.approx(470, rel=0.1)
    assert scan[0] < np.mean(scan) < max(scan)
    assert model.emission("reference", 1000.0).total == pytest.approx(2500, rel=0.05)


def test_damage_takes_the_feature_only():
    model = RixsModel(damage_dose=100.0)
    fresh = model.emission("lmr_charged", 531.0).rate
    worn = model.emission("lmr_charged", 531.0, dose=100.0).rate
    gone = model.emission("lmr_charged", 531.0, dose=1e6).rate
    assert (fresh - gone).sum() > 0.1 * fresh.sum()
    assert (worn - gone).sum() == pytest.approx((fresh - gone).sum() / np.e, rel=1e-6)
    assert RixsModel().emission("lmr_charged", 531.0, 1e6).total == pytest.approx(fresh.sum())
    metal = [model.emission("lmr_charged", 643.0, dose).total for dose in (0.0, 1e6)]
    assert metal[0] == pytest.approx(metal[1])


def test_reference_lines_are_those_of_the_table(model):
    rate = model.emission("reference", 1000.0).rate
    for name in ("N K", "O K", "Mn La", "Fe La", "Co La", "Ni La", "Cu La"):
        energy = load_lines()[name].energy_ev
        near = np.flatnonzero(abs(GRID.centers - energy) < 3)
        assert GRID.centers[near[rate[near].argmax()]] == pytest.approx(energy, abs=0.15)
    assert model.reference.lines["Ni La"] == load_lines()["Ni La"].energy_ev
    # below an edge its lines are dark
    dark = RixsModel(second_order=0.0).emission("reference", 900.0).rate
    assert rebinned(dark, Bins(920, 940, 20.0))[0] < 0.01


def test_line_error_is_drawn_with_the_seed():
    table = load_lines()
    lines = [RixsModel(seed, line_error=1.0).reference.lines for seed in (3, 3, 4)]
    assert lines[0] == lines[1] != lines[2]
    off = [(e - table[n].energy_ev) / table[n].uncertainty_ev for n, e in lines[0].items()]
    assert 0.3 < np.std(off) < 2


def test_whole_range_of_energies(model):
    for sample in RIXS_SAMPLES:
        for omega in (250.0, 399.0, 700.0, 1101.0, 1250.0):
            emission = model.emission(sample, omega)
            assert np.isfinite(emission.rate).all() and (emission.rate >= 0).all()
            assert emission.total > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.emission("gold", 640.0), "known samples: lmr_pristine"),
        (lambda m: m.emission("reference", np.nan), "rixs.energy = nan eV"),
        (lambda m: m.emission("reference", 1300.0), "1300 eV must be at least 250"),
        (lambda m: m.emission("reference", 640.0, -1.0), "rixs.dose = -1 s"),
        (lambda m: m.absorption("reference", 640.0), "'reference' has no absorption"),
        (lambda m: m.absorption("lmr_charged", [640.0, 2000.0]), "2000 eV"),
        (lambda m: RixsModel(second_order=2.0), "rixs.second_order = 2"),
        (lambda m: RixsModel(damage_dose=0.0), "rixs.damage_dose = 0 s"),
        (lambda m: RixsModel(line_error=np.nan), "rixs.line_error = nan"),
    ],
)
def test_errors_name_value_and_limit(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
