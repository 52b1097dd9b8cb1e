"""A map from optical densities and their deviations."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import PixelFlag, StackFit, map_of_od
from redoxscope.data import load_references

REFERENCES = load_references("Mn L3")
ENERGIES = np.array([636.0, 640.2, 641.0, 642.2, 643.4, 652.0])
DESIGN = REFERENCES.design(ENERGIES)


def stack(rng=None, shape=(20, 30), sigma=0.02, fraction=0.7, thickness=0.08):
    truth = DESIGN @ np.array([fraction * thickness, (1 - fraction) * thickness, 0.05])
    od = np.broadcast_to(truth[:, None, None], (len(truth), *shape)).copy()
    s = sigma * np.exp(od / 4)
    return (od if rng is None else od + s * rng.standard_normal(od.shape)), s


def test_sigma_is_what_the_fraction_scatters_by():
    od, sigma = stack(np.random.default_rng(3), shape=(60, 60))
    found = map_of_od(DESIGN, 2, od, sigma)
    assert found.mask.all()
    pull = (found.fraction - 0.7) / found.sigma
    assert abs(pull.mean()) < 0.1 and pull.std() == pytest.approx(1.0, abs=0.06)
    assert found.chi2.mean() == pytest.approx(1.0, abs=0.06)


def test_it_is_the_fit_of_counts_where_there_are_counts():
    rng = np.random.default_rng(5)
    truth, _ = stack(shape=(4, 5))
    counts = rng.poisson(4e4 * np.exp(-truth)).astype(float)
    fit = StackFit(DESIGN, 2, (4, 5), mode="monitor")
    monitor = np.full((4, 5), 1e12)
    for k, image in enumerate(counts):
        fit.set_image(k, image, monitor)
    want = fit.solve()
    od = np.log(1e12) - np.log(counts)
    got = map_of_od(DESIGN, 2, od, 1 / np.sqrt(counts))
    # One weight per energy there is 1, here the inverse variance: the same within the noise.
    assert np.abs(got.fraction - want.fraction).max() < 3 * got.sigma.max()
    assert 0.9 < got.sigma.mean() / want.sigma.mean() < 1.001


def test_the_zero_of_an_energy_is_in_the_sigma_of_all():
    od, sigma = stack()
    bare = map_of_od(DESIGN, 2, od, sigma)
    off = map_of_od(DESIGN, 2, od, sigma, zero_variance=np.full(len(od), 1e-3))
    assert (off.sigma > 1.3 * bare.sigma).all()
    np.testing.assert_allclose(off.ln_i0_sigma, 1e-3**0.5)


def test_a_gap_is_a_gap_and_thin_places_have_no_fraction():
    od, sigma = stack()
    od[2, 3, 4] = np.nan
    sigma[1, 5, 6] = np.nan
    od[:, 7] = 0.0
    found = map_of_od(DESIGN, 2, od, sigma, max_od=5.0)
    for place in ((3, 4), (5, 6)):
        assert np.isnan(found.fraction[place]) and np.isnan(found.thickness[place])
        assert found.flags[place] & PixelFlag.INCOMPLETE
    assert np.isnan(found.fraction[7]).all() and np.isfinite(found.thickness[7]).all()
    assert found.n_mask == od[0].size - od.shape[2] - 2
    assert not map_of_od(DESIGN, 2, od, sigma, max_od=0.01).n_mask
    nothing = map_of_od(DESIGN, 2, np.full_like(od, np.nan), sigma)
    assert not nothing.n_mask and np.isnan(nothing.thickness).all()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"od": np.zeros((3, 4, 5))}, "od has shape"),
        ({"sigma": np.zeros((6, 20, 30))}, "sigma is 0 or negative"),
        ({"zero_variance": [1.0]}, "zero_variance must be 6 numbers"),
        ({"zero_variance": [-1.0] * 6}, "zero_variance must be 6 numbers"),
        (
            {"design": DESIGN[:2], "od": np.zeros((2, 4, 4)), "sigma": np.ones((2, 4, 4))},
            "energies",
        ),
    ],
)
def test_wrong_input_is_refused(how, words):
    od, sigma = stack()
    with pytest.raises(ValueError, match=words):
        map_of_od(**{"design": DESIGN, "species": 2, "od": od, "sigma": sigma, **how})
