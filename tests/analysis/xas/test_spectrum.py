"""What a spectrum is, and what is none."""

import numpy as np
import pytest

from redoxscope.analysis.xas import Comparison, Spectrum, normalise

from .spectra import ENERGY, l_edge

E = [640.0, 641.0, 642.0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"energy": [640.0, 640.0, 641.0]}, "640 eV twice"),
        ({"energy": [642.0, 641.0, 640.0]}, "must rise"),
        ({"energy": [640.0, np.nan, 642.0]}, "not finite"),
        ({"value": [1.0, 2.0]}, "2 points in value, but 3 in energy"),
        ({"sigma": [1.0]}, "1 points in sigma"),
        ({"sigma": [0.1, -0.1, 0.1]}, "sigma = -0.1 at 641 eV"),
        ({"value": ["a", "b", "c"]}, "must be a list of numbers"),
        ({"value": [True, False, True]}, "must be a list of numbers"),
        ({"energy": [], "value": [], "sigma": []}, "no"),
        ({"n": 0}, "n = 0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_what_is_no_spectrum_is_named(fields, words):
    good = {"energy": E, "value": [1.0, 2.0, 3.0], "sigma": None, "name": "MnO", "mode": "TEY"}
    with pytest.raises(ValueError, match=words):
        Spectrum(**(good | fields))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1"])
def test_any_numbers_make_one_and_unknown_sigma_is_nan(dtype):
    made = Spectrum(E, np.arange(3, dtype=dtype), None, "MnO", "TEY", "Mn L")
    assert made.value.dtype == made.energy.dtype == np.float64
    assert np.isnan(made.sigma).all()
    assert made.called == "spectrum MnO (Mn L TEY)"
    assert made.shifted(0.5).energy[0] == 640.5


def test_a_comparison_says_itself_in_a_line():
    said = Comparison(E, E, E, -0.123, 0.02, "eV", 6.1, 1e-9, True, mode="TEY", edge="Mn L")
    assert str(said) == "Mn L TEY: changed, -0.123 ± 0.02 eV, 6.1 sigma (limit 3)"
    nothing = Comparison(E, E, E, 0.01, 0.02, "eV", 0.4, 0.7, False)
    assert "no change seen" in str(nothing)


@pytest.mark.parametrize("to", ["maximum", "area", "step"])
@pytest.mark.parametrize("pre", [None, (635.0, 639.0)])
def test_a_spectrum_that_grows_is_normalised_or_says_why_not(to, pre):
    """Live it is asked for after each point, the first of which are all below the edge."""
    value = l_edge(ENERGY) + np.random.default_rng(0).normal(0, 1e-3, len(ENERGY))
    done, reasons = 0, set()
    for n in range(1, len(ENERGY) + 1, 3):
        grown = Spectrum(ENERGY[:n], value[:n], None, "so far")
        try:
            normalise(grown, pre=pre, to=to)
            done += 1
        except ValueError as error:
            reasons.add(str(error)[:20])
    assert done > 10 and reasons
