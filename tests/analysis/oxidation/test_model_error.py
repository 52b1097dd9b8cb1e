"""What the fit does not explain is told apart: energies that are off, a species that is lacking."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import StackFit, model_error
from redoxscope.callbacks.oxidation._doubts_model import model_doubts
from redoxscope.data import load_references

N, ENERGIES = 40, np.linspace(636.0, 656.0, 60)
REFERENCES = load_references("Mn L3")


def found(offset=0.0, strange=0.0, counts=5000.0, seed=1, which=slice(None)):
    """Fit, maps and doubts of a sample measured at energies that are off, part of it strange."""
    e = ENERGIES[which]
    species = len(REFERENCES.names)
    y, x = np.mgrid[:N, :N]
    inside = np.hypot(y - N / 2, x - N / 2) < N / 3
    parts = [x / N, *[(1 - x / N) / (species - 1)] * (species - 1)]
    c = np.stack([*(0.1 * inside * part for part in parts), 0.1 * inside])
    od = np.einsum("kj,jyx->kyx", REFERENCES.design(e + offset), c)
    corner = inside & (x < N / 2) & (y < N / 2)
    od += strange * np.exp(-0.5 * ((e - 647.0) / 0.8) ** 2)[:, None, None] * corner
    images = np.random.default_rng(seed).poisson(counts * np.exp(-od)).astype(float)
    fit = StackFit(
        REFERENCES.design(e), species, (N, N), energies=e, min_thickness=REFERENCES.min_thickness
    )
    for k, image in enumerate(images):
        fit.set_image(k, image)
    result = fit.solve()
    return fit, result, {doubt.kind: doubt for doubt in model_doubts(fit, result, REFERENCES)}


@pytest.mark.parametrize("offset", [-0.4, 0.1, 0.4])
def test_an_energy_offset_is_fitted_with_its_sigma(offset):
    fit, result, doubts = found(offset)
    error = model_error(fit, result, REFERENCES.design)
    assert 0 < error.offset_sigma < 0.02
    assert abs(error.offset - offset) < 4 * error.offset_sigma
    assert error.chi2 > 4 > error.chi2_shifted
    assert doubts["energy_offset"].value == error.offset
    assert f"{offset:+.1f}"[1:] in doubts["energy_offset"].text
    assert "component" not in doubts


def test_an_offset_beyond_what_is_looked_through_has_no_sigma():
    fit, result, doubts = found(-1.8)
    error = model_error(fit, result, REFERENCES.design)
    assert error.offset == pytest.approx(-1.5, abs=0.05) and np.isinf(error.offset_sigma)
    assert "off by −1.5 eV or more" in doubts["energy_offset"].text


def test_a_species_that_is_lacking_is_found_where_it_is():
    fit, result, doubts = found(strange=0.15)
    assert "A component is missing" in doubts["component"].text
    error = model_error(fit, result, REFERENCES.design)
    assert error.residual_energy == pytest.approx(647.0, abs=1.0) and error.residual > 0.05
    y, x = np.mgrid[:N, :N]
    strange = (x < N / 2) & (y < N / 2)
    assert (error.area & strange).sum() > 0.95 * error.area.sum()


def test_a_sample_that_the_references_describe_is_not_doubted():
    for seed in range(5):
        fit, result, doubts = found(seed=seed)
        assert doubts == {}
        error = model_error(fit, result, REFERENCES.design)
        assert abs(error.offset) < 4 * error.offset_sigma


def test_nothing_is_said_of_too_few_energies_or_pixels():
    few = found(which=slice(10, 40, 8))
    assert model_error(few[0], few[1], REFERENCES.design) is None and few[2] == {}
    fit = StackFit(REFERENCES.design(ENERGIES), len(REFERENCES.names), (N, N), energies=ENERGIES)
    assert model_error(fit, fit.solve(), REFERENCES.design) is None
