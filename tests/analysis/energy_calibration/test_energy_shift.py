"""Energy scales that are off, against references: recovered within sigma, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.energy_calibration import energy_shift, mean_spectrum
from redoxscope.data import edge_energies, load_references
from redoxscope.sim.physics.stxm import build_model

X = np.linspace(-1.5, 1.5, 24)


@pytest.fixture(scope="module")
def model():
    return build_model("lmr", seed=8, field_um=6.0)


def references(edge):
    found = load_references(edge)
    return found.energies, found.spectra


def stack(model, edge, off, dwell=0.0005):
    """Energies as read, which are `off` below the true ones; optical density and counts."""
    read = np.array(edge_energies(edge))
    counts, i0 = [], []
    for energy in read + off:
        image = [model.line(energy, None, X, y, dwell, 0.0)["transmission"] for y in X]
        counts.append(image)
        i0.append(model.beam.rate(energy, 0.0) * dwell * model.osa_clearance(energy))
    light = np.array(counts)
    return read, -np.log(np.maximum(light, 1) / np.array(i0)[:, None, None]), light


@pytest.mark.parametrize(
    ("edge", "off"), [("Mn L3", 0.4), ("Co L3", -1.1), ("Ni L3", 0.4), ("O K", -1.1)]
)
def test_a_shift_is_recovered_within_its_sigma(model, edge, off):
    read, od, counts = stack(model, edge, off)
    values, sigma, used = mean_spectrum(od, counts)
    assert used.sum() > 100
    for given in (sigma, None):
        found = energy_shift(read, values, references(edge), sigma=given)
        assert found.sigma <= 0.05
        # The simulated spot smears what is not linear in the thickness: 3 meV at the most.
        assert abs(found.shift - off) < 3 * found.sigma + 0.003


def test_sigma_is_the_scatter():
    """Monte Carlo, with a mixture that the fit does not know, and the same without the noise."""
    energies = np.array(edge_energies("Mn L3"))
    known, spectra = references("Mn L3")
    true = [0.05, 0.03] @ np.array([np.interp(energies + 0.3, known, row) for row in spectra])
    rng = np.random.default_rng(4)
    found = [
        energy_shift(energies, true + 0.03 * rng.standard_normal(len(true)), (known, spectra),
                     sigma=np.full(len(true), 0.03))
        for _ in range(60)
    ]  # fmt: skip
    shifts, sigmas = np.array([(one.shift, one.sigma) for one in found]).T
    assert shifts.std() == pytest.approx(sigmas.mean(), rel=0.3)
    assert shifts.mean() == pytest.approx(0.3, abs=3 * shifts.std() / np.sqrt(60) + 0.003)
    own = energy_shift(energies, true, (known, spectra), sigma=np.full(len(true), 0.01),
                       reference_sigma=0.04)  # fmt: skip
    assert own.sigma == pytest.approx(0.04, rel=0.1)


@pytest.mark.parametrize("off", [0.0, 0.4, -0.7])
def test_on_the_real_stack(toner, shared_data, off):
    """Against its authors' own end members the shift is that put in; sigma tells how much the
    mean spectrum of all pixels differs from theirs."""
    od = -np.log(toner.counts / toner.i0[:, None, None])
    values, sigma, _ = mean_spectrum(od, toner.counts)
    spectra = toner.design[:, :2].T
    found = energy_shift(toner.energies - off, values, (toner.energies, spectra), sigma=sigma)
    assert abs(found.shift - off) < 0.02
    assert found.sigma < 0.1
    with pytest.raises(ValueError, match=r"reduced do not look like .* 2\d % of its structure"):
        energy_shift(
            toner.energies - off, values, (toner.energies, spectra[1]), sigma=sigma,
            names=["reduced"],
        )  # fmt: skip


def test_what_says_nothing_is_refused():
    energies = np.array(edge_energies("Mn L3"))
    known, spectra = references("Mn L3")
    edge = np.interp(energies, known, spectra[0]) * 0.1
    noise = np.full(len(edge), 0.01)
    flat = 0.3 + 0.01 * np.random.default_rng(1).standard_normal(len(edge))
    with pytest.raises(ValueError, match="no edge in the spectrum|end of the search"):
        energy_shift(energies, flat, (known, spectra), sigma=noise)
    with pytest.raises(ValueError, match="fits best at .* the end of the search"):
        energy_shift(energies, edge, (known + 5.0, spectra), sigma=noise, search=2.0)
    far = np.where(energies > 650, edge, np.nan)
    with pytest.raises(ValueError, match=r"\d of \d+ energies, 65\d to 660 eV, lie within"):
        energy_shift(energies, far, (known, spectra), sigma=noise, search=15.0)
    wiggle = np.sin(2 * np.pi * energies)
    with pytest.raises(ValueError, match="shifts of .* and .* eV fit the spectrum equally well"):
        energy_shift(energies, wiggle, (known, np.sin(2 * np.pi * known)), sigma=noise)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"energies": [1.0, np.nan]}, r"energies\[1\] = nan eV must be"),
        ({"energies": [True, 2.0]}, r"energies\[0\] = True must be one number in eV"),
        ({"values": [1.0]}, r"values has shape \(1,\)"),
        ({"values": [np.nan] * 40}, "values has no finite number"),
        ({"sigma": [0.0] * 40}, "sigma holds 0; it must be greater than 0"),
        ({"references": ([1.0, 2.0, 2.0], [1, 2, 3])}, "reference energies: has 2 eV twice"),
        ({"references": ([1.0, 2.0], [1, 2, 3])}, r"references have shape \(1, 3\)"),
        ({"references": ([1.0, 2.0], [1, np.inf])}, "not finite"),
        ({"search": -1}, "search = -1 eV must be greater than 0 eV"),
        ({"search": float("nan")}, "search = nan eV"),
        ({"reference_sigma": -0.1}, "reference_sigma = -0.1 eV must be at least 0 eV"),
        ({"names": ["a", "b"]}, "2 names for 1 references"),
    ],
)
def test_bad_input_is_refused(change, says):
    energies = np.linspace(630, 650, 40)
    given = {
        "energies": energies, "values": np.ones(40), "references": (energies, np.ones(40)),
        **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=says):
        energy_shift(given.pop("energies"), given.pop("values"), given.pop("references"), **given)


def test_mean_spectrum_leaves_out_what_is_bare_or_too_thick():
    rng = np.random.default_rng(3)
    thickness = np.zeros((20, 20))
    thickness[5:15, 5:15], thickness[0, 0] = 0.5, 5.0
    true = thickness * np.array([0.5, 1.0, 2.0])[:, None, None]
    counts = rng.poisson(1e4 * np.exp(-true)).astype(float)
    counts[:, 7, 7] = np.nan
    values, sigma, used = mean_spectrum(-np.log(counts / 1e4), counts)
    assert used.sum() == 99 and not used[0, 0]
    assert np.all(np.abs(values - [0.25, 0.5, 1.0]) < 5 * sigma)
    counts[1] = np.nan
    values, _, _ = mean_spectrum(-np.log(counts / 1e4), counts)
    assert np.isnan(values[1]) and np.isfinite(values[[0, 2]]).all()
    with pytest.raises(ValueError, match="0 pixels have an optical density below 0.01"):
        mean_spectrum(1.0 + true, counts, max_od=0.01)
    with pytest.raises(ValueError, match=r"expected \(nE, ny, nx\)"):
        mean_spectrum(true[0], counts[0])
