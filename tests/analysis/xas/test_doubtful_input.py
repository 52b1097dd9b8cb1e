"""What an analysis must not take for an edge: ranges on the wrong side, noise, half a spectrum."""

import numpy as np
import pytest

from redoxscope.analysis.xas import Spectrum, align, normalise

E = np.concatenate([np.arange(8180, 8320, 5.0), np.arange(8320, 8380, 0.5),
                    np.arange(8380, 8800, 5.0)])  # fmt: skip


def spectrum(name="sample", at=8340.0, noise=1e-3, only=slice(None), seed=1):
    value = 0.5 - 1e-4 * (E - at) + np.arctan((E - at) / 1.5) / np.pi + 0.5
    value = value + noise * np.random.default_rng(seed).normal(size=len(E))
    return Spectrum(E[only], value[only], np.full(len(E), noise)[only], name)


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({"pre": (8500, 8600)}, r"pre = \(8500, 8600\) eV must end below the edge of .* 8340"),
        ({"pre": (8200, 8345)}, r"pre = \(8200, 8345\) eV must end below"),
        ({"post": (8200, 8300)}, r"post = \(8200, 8300\) eV must begin behind the edge"),
    ],
)
def test_a_range_on_the_wrong_side_of_the_edge_is_refused(ranges, said):
    with pytest.raises(ValueError, match=said):
        normalise(spectrum(), **ranges)


def test_a_spectrum_that_begins_in_its_edge_says_so():
    late = normalise(spectrum(only=E > 8330))
    assert any("begins 10 eV below the edge" in text for text in late.warnings)
    assert not normalise(spectrum()).warnings


def test_transmitted_intensity_is_no_absorbance():
    absorbance = spectrum()
    with pytest.raises(ValueError, match=r"falls at the edge: transmitted intensity\? .* -ln"):
        normalise(absorbance.changed(value=np.exp(-absorbance.value)))
    noise = np.random.default_rng(0).normal(1, 0.01, len(E))
    with pytest.raises(ValueError, match="no edge in it$"):
        normalise(absorbance.changed(value=noise, sigma=np.full(len(E), 0.01)), e0=8340.0)


def test_a_spectrum_that_ends_in_its_edge_says_so():
    early = normalise(spectrum(only=E < 8341), to="maximum")
    assert any("may end before its maximum" in text for text in early.warnings)


def test_a_reference_without_an_edge_is_not_aligned_on():
    rng = np.random.default_rng(0)
    noise = Spectrum(E, rng.normal(1, 0.1, len(E)), np.full(len(E), 0.1), "noise")
    with pytest.raises(ValueError, match="noise has no edge like|noise .* cannot be aligned"):
        align([spectrum("foil"), noise])
    found = align([spectrum("foil"), spectrum("later", at=8338.0, seed=2)])
    assert found.shifts[1] == pytest.approx(2.0, abs=0.05)
