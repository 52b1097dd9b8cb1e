"""Other arrays' gain curves, and lists of lines that are not the sample's."""

from dataclasses import replace

import numpy as np
import pytest

from redoxscope.analysis.tes import calibrate
from redoxscope.analysis.tes._gain import energy_of, fit_gain
from redoxscope.data import Line, LineTable, load_lines, mixture_lines
from redoxscope.formats import read_off, read_tes_log
from redoxscope.photons import Photons
from redoxscope.sim.physics.rixs import RixsModel

T0 = 1_700_000_000_000_000_000
CHECKED = np.array([277.0, 392.4, 450, 525, 600, 637, 705, 776, 850, 930, 1000])
ELEMENTS = ["C", "N", "O", "Mn", "Fe", "Co", "Ni", "Cu"]
NSLS = np.array([0.54282802, 1.05771277, -1.55495523, 0.95439702])


def nsls(energy):
    """A pixel of another beamline's array (NSLS-II), through the lines in the test below."""
    x = np.linspace(0, 1.15, 4000)
    curve = 929.22 * x * (NSLS @ x ** np.arange(4)[:, None])
    return np.interp(energy, curve, 15133.2 * x)


SHAPES = {
    "straight": lambda e: 10 * e,
    "saturating": lambda e: 12.5 * e / (1 + 1e-4 * e),
    "strongly saturating": lambda e: 15 * e / (1 + 6e-4 * e),
    "hyperbolic tangent": lambda e: 15000 * np.tanh(e / 1000),
    "another array": nsls,
    "with an offset": lambda e: 10 * e + 300,
    "with an offset below": lambda e: 10 * e - 150,
    "gain that rises": lambda e: 8 * e * (1 + 1.5e-4 * e),
    "a power": lambda e: 60 * e**0.75,
}


def array(shape, pixels=4, photons=2500, sample="reference", mono=1000.0):
    """Photons of a reference sample in pixels of such a curve, and each pixel's curve."""
    rng = np.random.default_rng(3)
    emission = RixsModel(1).emission(sample, mono)
    parts, curves = [], {}
    for channel in range(1, pixels + 1):
        gain, stretch = 1 + 0.1 * rng.uniform(-1, 1), 1 + 0.05 * rng.uniform(-1, 1)
        energy = emission.draw(photons, rng)
        energy = energy[energy > 20]
        time = T0 + np.sort(rng.integers(0, 300 * 10**9, len(energy)))
        level = 4000 + 20 * np.sin(time / 2e10) + rng.normal(0, 1, len(energy))
        seen = energy + 0.7 * rng.standard_normal(len(energy))

        def curve(e, gain=gain, stretch=stretch):
            return gain * SHAPES[shape](np.asarray(e) * stretch)

        height = curve(seen) * (1 - 1e-4 * (level - 4000))
        parts.append(Photons.of(np.full(len(energy), channel), time, height, level))
        curves[channel] = curve(CHECKED)
    return Photons.concatenate(parts), curves


def errors(made, curves):
    """Largest error (eV) of the usable pixels; 0 without any."""
    found = [
        np.abs(made[int(c)].energy(curves[int(c)], 4000.0) - CHECKED).max() for c in made.usable
    ]
    return max(found, default=0.0)


@pytest.fixture(scope="module")
def simulated():
    return array("saturating")


# -- gain curves of other arrays ---------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 0.25, 0.5, 1.0])
def test_the_curve_of_another_array_is_followed(sigma):
    height = np.array([5813.7, 7930.0, 10152.9, 12754.0, 14396.7, 15133.2])
    energy = np.array([276.26, 393.07, 524.23, 705.65, 851.72, 929.22])
    gain = fit_gain(height, energy, np.full(6, sigma))
    assert np.sqrt(np.mean((energy_of(gain, height) - energy) ** 2)) < 0.15


def test_a_curve_known_before_is_kept_where_no_line_says():
    height = np.linspace(3000, 11000, 6)
    known = np.array([0.085, 8e-7, 2e-11, 0.0])
    gain = fit_gain(height[-2:], energy_of(known, height[-2:]), np.full(2, 0.3), known)
    np.testing.assert_allclose(gain, known, rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_of_any_shape_are_calibrated(shape):
    photons, curves = array(shape)
    made = calibrate(photons, mixture_lines("reference"), elastic_ev=1000.0)
    assert made.usable.tolist() == [1, 2, 3, 4]
    assert errors(made, curves) < 2.0


# -- wrong lists -------------------------------------------------------------------------------


def shifted(table, **by):
    """The table with lines moved by so many eV; underscores stand for spaces."""
    lines = [replace(x, energy_ev=x.energy_ev + by.get(x.name.replace(" ", "_"), 0)) for x in table]
    return LineTable("test", tuple(sorted(lines, key=lambda x: x.energy_ev)))


def without(*elements):
    return [e for e in ELEMENTS if e not in elements]


WRONG = {
    "N and Fe missing": (lambda: load_lines(without("N", "Fe")), 1000.0),
    "C and N missing": (lambda: load_lines(without("C", "N")), 1000.0),
    "Ni missing": (lambda: load_lines(without("Ni")), 1000.0),
    "light lines only": (lambda: load_lines(["C", "N", "O", "Mn", "Fe"]), 1000.0),
    "another sample": (lambda: load_lines(["Ti", "V", "Cr", "Mn", "Co", "F"]), 1000.0),
    "yet another": (lambda: load_lines(["C", "F", "Ti", "Cr", "Mn", "Co"]), 1000.0),
    "half another": (lambda: load_lines(["C", "N", "F", "V", "Cr", "Fe", "Co", "Ni"]), 1000.0),
    "one too many": (lambda: load_lines([*ELEMENTS, "Ti"]), 1000.0),
    "C K +10": (lambda: shifted(mixture_lines("reference"), C_K=10), 1000.0),
    "C K -10": (lambda: shifted(mixture_lines("reference"), C_K=-10), 1000.0),
    "O K +5": (lambda: shifted(mixture_lines("reference"), O_K=5), 1000.0),
    "Fe La -20": (lambda: shifted(mixture_lines("reference"), Fe_La=-20), 1000.0),
    "Ni La +10": (lambda: shifted(mixture_lines("reference"), Ni_La=10), 1000.0),
    "Cu La +20": (lambda: shifted(mixture_lines("reference"), Cu_La=20), 1000.0),
    "elastic 940": (lambda: mixture_lines("reference"), 940.0),
    "elastic 980": (lambda: mixture_lines("reference"), 980.0),
    "elastic 1010": (lambda: mixture_lines("reference"), 1010.0),
    "elastic 1100": (lambda: mixture_lines("reference"), 1100.0),
    "no elastic": (lambda: mixture_lines("reference"), None),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_list_is_refused_or_does_no_harm(simulated, case):
    """Never a wrong energy axis without a word."""
    photons, curves = simulated
    table, elastic = WRONG[case]
    made = calibrate(photons, table(), elastic_ev=elastic)
    assert errors(made, curves) < 2.0
    assert all(p.reason for p in made.pixels)


@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("case", ["another sample", "C and N missing", "elastic 980", "O K +5"])
def test_nor_where_there_are_few_pixels_to_compare(case, pixels):
    photons, curves = array("saturating", pixels=pixels)
    table, elastic = WRONG[case]
    assert errors(calibrate(photons, table(), elastic_ev=elastic), curves) < 2.0


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("Ni missing", r"its peak at 8[45]\d eV \(\d+ photons, .* is explained by no line: the ne"),
        ("one too many", r"Ti La \(452.2 eV\) is not in its spectrum"),
        (
            "Ni La +10",
            r"its peak at 85\d eV .* no line|Ni La \(86\d.\d eV\)|Ni La is given at 861.5 eV",
        ),
        ("Fe La -20", r"its peak at 70\d eV|Fe La \(684.8 eV\)"),
        ("elastic 980", r"the elastic line was not found at 980.0 eV|elastic is given at 980"),
        ("no elastic", r"its peak at (99\d|100\d) eV .* is explained by no line"),
    ],
)
def test_the_refusal_names_line_or_peak_with_numbers(simulated, case, words):
    import re

    table, elastic = WRONG[case]
    made = calibrate(simulated[0], table(), elastic_ev=elastic)
    assert len(made.usable) == 0
    assert any(re.search(words, p.reason) for p in made.pixels), made.pixels[0].reason


def test_a_table_of_all_lines_expects_none_of_them(simulated):
    photons, curves = simulated
    assert load_lines().expected is False
    assert mixture_lines("reference").expected and load_lines(["Fe"]).expected
    made = calibrate(photons, load_lines(), elastic_ev=1000.0)
    assert made.usable.tolist() == [1, 2, 3, 4]
    assert errors(made, curves) < 1.0


def test_lines_that_the_beam_cannot_excite_are_not_missed():
    """Cu La lies 5 eV below the beam, its edge above."""
    photons, curves = array("saturating", mono=935.0)
    made = calibrate(photons, mixture_lines("reference"), elastic_ev=935.0)
    assert len(made.usable) == 4
    np.testing.assert_allclose(made[1].energy(curves[1][:-2], 4000.0), CHECKED[:-2], atol=2.0)


@pytest.fixture(scope="module")
def measured(shared_data):
    folder = shared_data / "ssrl_10_1_tes"
    log = read_tes_log(folder / "20200219_016_log")
    parts = []
    for path in sorted(folder.glob("*.off")):
        photons = read_off(path).photons
        first, last = np.searchsorted(photons.time_ns, (log.passes[0].start, log.passes[0].stop))
        parts.append(photons[first:last])
    photons = Photons.concatenate(parts)
    made = calibrate(photons, mixture_lines("mixv4b"), elastic_ev=1000.0)
    assert len(made.usable) == 8
    curves = {}
    for p in made.pixels:
        height = np.linspace(0.05, 1.2, 8000) * max(x.position for x in p.lines)
        curves[p.channel] = (
            np.interp(CHECKED, p.energy(height, p.pretrigger_reference), height),
            p.pretrigger_reference,
        )
    return photons, curves


@pytest.mark.slow
@pytest.mark.parametrize("moved", [-20, -10, 10, 20])
@pytest.mark.parametrize("name", ["C K", "N K", "O K", "Fe La", "Ni La", "Cu La"])
def test_measured_pixels_with_a_line_moved(measured, name, moved):
    photons, curves = measured
    table = shifted(mixture_lines("mixv4b"), **{name.replace(" ", "_"): moved})
    made = calibrate(photons, table, elastic_ev=1000.0)
    for c in map(int, made.usable):
        height, level = curves[c]
        np.testing.assert_allclose(made[c].energy(height, level), CHECKED, atol=2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("elements", "elastic"),
    [
        (["C", "N", "O", "Fe", "Ni"], 1000.0), (["N", "O", "Fe", "Ni", "Cu"], 1000.0),
        (["O", "Fe", "Ni", "Cu"], 1000.0), (["C", "N", "O", "Fe"], 1000.0),
        (["C", "N", "O", "Fe", "Ni", "Cu", "Mn"], 1000.0),
        (["Ti", "V", "Cr", "Mn", "Co", "F"], 1000.0), (["N", "O", "F", "Mn", "Fe", "Cu"], 1000.0),
        (["C", "N", "O", "Fe", "Ni", "Cu"], 940.0), (["C", "N", "O", "Fe", "Ni", "Cu"], 955.0),
        (["C", "N", "O", "Fe", "Ni", "Cu"], 980.0), (["C", "N", "O", "Fe", "Ni", "Cu"], 1020.0),
    ],
)  # fmt: skip
def test_measured_pixels_with_another_list(measured, elements, elastic):
    photons, curves = measured
    made = calibrate(photons, load_lines(elements), elastic_ev=elastic)
    for c in map(int, made.usable):
        height, level = curves[c]
        np.testing.assert_allclose(made[c].energy(height, level), CHECKED, atol=2.0)


def test_a_line_of_ones_own():
    table = LineTable("mine", (Line("X K", 460.0, 1.0),))
    assert table.expected and table["X K"].principal
