"""What heating makes of an electrode, and what one sees of that."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.data import edge_energies, get_edge
from redoxscope.sim import HeatedSample, RixsModel
from redoxscope.sim.physics.heated import GASES
from redoxscope.sim.physics.rixs import PHASES

HOURS = 3600.0
METALS = ("Mn L3", "Co L3", "Ni L3")


def after(*history):
    """A sample after pairs of seconds and degrees."""
    sample = HeatedSample()
    for seconds, temperature in history:
        sample.advance(seconds, temperature)
    return sample


@pytest.fixture(scope="module")
def ramp():
    """Temperature (°C), phases and gas from room temperature to 600 °C at 2 °C/min."""
    sample, rows = HeatedSample(), []
    for temperature in np.arange(25.0, 600.0, 0.5):
        sample.advance(15.0, float(temperature))
        rows.append((temperature, sample.phases(), sample.gas_rates()))
    return rows


def where(ramp, what, share):
    """First temperature (°C) of a ramp at which a phase has a share."""
    return next(t for t, phases, _ in ramp if phases[what] >= share)


def test_five_hours_at_100_degrees_change_the_electrons_and_not_the_structure():
    heated = after((5 * HOURS, 100.0))
    phases = heated.phases()
    assert phases["relaxed"] == pytest.approx(0.95, abs=0.01)
    assert phases["spinel"] < 1e-4 and phases["rock_salt"] < 1e-9
    assert heated.parts() == {"lmr_charged": 0.05, "lmr_heated": 0.95}


def test_a_day_of_measuring_at_room_temperature_changes_nothing():
    assert after((24 * HOURS, 25.0)).phases()["relaxed"] < 0.01


@pytest.mark.parametrize("edge", METALS)
def test_metals_are_reduced_at_the_surface_and_not_in_the_bulk(edge):
    energies = np.array(edge_energies(edge))
    before, heated = (s.yields(energies) for s in (HeatedSample(), after((5 * HOURS, 100.0))))
    oxidised, reduced = get_edge(edge).l3_max_ev.values()
    change = np.interp([oxidised, reduced], energies, heated["TEY"] / before["TEY"] - 1)
    assert change[0] < -0.01 < 0.01 < change[1]
    assert heated["TFY"] == pytest.approx(before["TFY"], rel=1e-9)


def test_oxygen_is_oxidised_in_the_bulk_and_not_at_the_surface():
    energies = np.array(edge_energies("O K"))
    before, heated = (s.yields(energies) for s in (HeatedSample(), after((5 * HOURS, 100.0))))
    # the metals' edges lie above: what is left of them at O K is the same
    assert heated["TEY"] == pytest.approx(before["TEY"], rel=1e-4)
    change = heated["TFY"] / before["TFY"] - 1
    assert energies[change.argmax()] == pytest.approx(531.0, abs=0.2)
    assert 0.02 < change.max() < 0.15
    assert np.abs(change[np.abs(energies - 531) > 2.5]).max() < 1e-4


def test_the_spectrometer_sees_the_feature_grow_and_the_metals_stay():
    model, heated = RixsModel(), after((5 * HOURS, 100.0)).parts()
    grid = model.emission("lmr_charged", 531.0).energies
    window = (grid > 522.3) & (grid < 525.1)

    def feature(parts, energy):
        return model.mixture(parts, energy).rate[window].sum()

    fresh = {"lmr_charged": 1.0}
    assert feature(heated, 531.0) > 1.15 * feature(fresh, 531.0)
    assert feature(heated, 528.8) == pytest.approx(feature(fresh, 528.8), rel=1e-3)
    for energy in (643.2, 780.2, 855.8):
        assert model.mixture(heated, energy).rate == pytest.approx(
            model.mixture(fresh, energy).rate, rel=1e-9
        )


def test_structure_changes_near_200_and_450_degrees(ramp):
    assert 180 < where(ramp, "spinel", 0.05) < 205
    assert 200 < where(ramp, "spinel", 0.5) < 230
    assert 410 < where(ramp, "rock_salt", 0.05) < 430
    assert 440 < where(ramp, "rock_salt", 0.5) < 465
    assert ramp[-1][1]["rock_salt"] > 0.999


def test_oxygen_leaves_above_200_degrees(ramp):
    assert set(ramp[0][2]) == set(GASES)
    rates = np.array([gas["O2"] for _, _, gas in ramp])
    at = np.array([t for t, _, _ in ramp])
    top = rates.max()
    assert rates[at <= 100].max() < 1e-5 * top
    assert 205 < at[rates.argmax()] < 230
    second = (at > 300) & (at < 550)
    assert 440 < at[second][rates[second].argmax()] < 470
    # 0.5 mg gives half an O2 for each metal in all
    assert (rates * 15.0).sum() == pytest.approx(5.7e-6 * 2.48e4 * 0.5, rel=0.05)


def test_one_long_step_is_many_short_ones():
    short = after(*[(10.0, 230.0)] * 60, *[(10.0, 460.0)] * 60).phases()
    long = after((600.0, 230.0), (600.0, 460.0)).phases()
    assert long == pytest.approx(short, rel=1e-9)


def test_nothing_comes_back_on_cooling():
    sample = after((1 * HOURS, 300.0))
    hot = sample.phases()
    sample.advance(24 * HOURS, 25.0)
    assert sample.phases() == pytest.approx(hot, abs=1e-6)
    assert sample.gas_rates()["O2"] < 1e-20


def test_a_number_gives_numbers_and_a_line_a_line():
    sample = after((2 * HOURS, 100.0))
    energies = np.array([520.0, 531.0, 643.2])
    line = sample.yields(energies)
    for i, energy in enumerate(energies):
        point = sample.yields(float(energy))
        assert isinstance(point["TEY"], float)
        assert point == pytest.approx({mode: line[mode][i] for mode in line})


def test_fluorescence_is_that_of_the_spectrometers_model():
    electrode = PHASES["lmr_charged"]
    shown = HeatedSample().yields(np.array([545.0, 635.0, 660.0]))["TFY"]
    whole = []
    for energy in (545.0, 635.0, 660.0):
        rate = electrode.emitted(energy)
        grid = RixsModel().emission("lmr_charged", energy).energies
        whole.append((rate * grid).sum() * 0.01 / 3.66)
    assert shown == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.advance(-1.0, 25.0), "heated.seconds = -1 s"),
        (lambda s: s.advance(np.nan, 25.0), "heated.seconds = nan s"),
        (lambda s: s.advance(1.0, np.nan), "heated.temperature = nan °C"),
        (lambda s: s.advance(1.0, -300.0), "-273.15"),
        (lambda s: s.yields(10.0), "heated.energy = 10 eV"),
        (lambda s: s.yields([640.0, np.nan]), "heated.energy = nan eV"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(HeatedSample())
