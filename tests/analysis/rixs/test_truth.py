"""Five passes over a sample of known truth: what was there comes out, within its sigma."""

import numpy as np
import pytest

from redoxscope.analysis.rixs import Bins, RixsCounts, feature_significance
from redoxscope.data import channel_absorption, rixs_preset
from redoxscope.sim.physics.rixs import RixsModel

BINS = Bins(200.0, 1200.0, 0.5)
I0 = 2e4


def measured(sample, edge, seed=0, passes=5):
    """Counts, and the matrix they were drawn from (photons/s at the mean flux)."""
    preset = rixs_preset(edge)
    share = (preset.pixels or 240) / 240
    truth = share * RixsModel().expected(sample, preset.energies, BINS)
    rng = np.random.default_rng(seed)
    counts = RixsCounts(preset.energies, BINS, passes, flux=I0 / preset.dwell)
    for p in range(passes):
        for k, row in enumerate(truth):
            flux, live = rng.uniform(0.7, 1.3), rng.uniform(0.9, 1.0)
            i0 = rng.poisson(I0 * flux)
            counts.set_point(
                p, k, spectrum=rng.poisson(row * preset.dwell * flux * live),
                seconds=preset.dwell, live=live, i0=i0, i0_sigma=np.sqrt(i0),
            )  # fmt: skip
    return counts, truth, preset


@pytest.mark.parametrize("edge", ["O K", "Mn L", "Co L", "Ni L"])
def test_partial_yield_is_the_model_within_its_errors(edge):
    counts, truth, preset = measured("lmr_charged", edge)
    window = preset.window("PFY")
    found = counts.yields(window)
    expected = truth[:, window.slice(BINS)].sum(axis=1)
    chi2 = np.mean(((found.value - expected) / found.sigma) ** 2)
    assert 0.75 < chi2 < 1.3  # 117 to 177 points: ± 0.13
    assert abs(np.mean((found.value - expected) / found.sigma)) < 0.35


@pytest.mark.parametrize(("sample", "low", "high"), [
    ("lmr_pristine", -3.5, 3.5), ("lmr_charged", 8, 25), ("lmr_heated", 12, 30),
])  # fmt: skip
def test_oxidised_oxygen_is_found_where_it_is(sample, low, high):
    counts, _, preset = measured(sample, "O K")
    feature = preset.feature
    found = feature_significance(
        counts, preset.window(feature.window), preset.window("PFY"), feature.excitation,
        reference=feature.reference, elastic_mask=preset.elastic,
    )  # fmt: skip
    assert low < found.significance < high


@pytest.mark.parametrize("edge", ["Mn L", "Co L", "Ni L"])
def test_inverse_yield_is_linear_in_the_absorption(edge):
    counts, _, preset = measured("lmr_charged", edge)
    window = preset.window("iPFY")
    own = channel_absorption(window, preset.energies)
    found = counts.yields(window, own_absorption=own)
    absorption = RixsModel().absorption("lmr_charged", preset.energies)
    assert not found.refused.any()
    weight = 1 / found.sigma
    line, covariance = np.polyfit(absorption, found.value, 1, w=weight, cov="unscaled")
    pull = (found.value - np.polyval(line, absorption)) * weight
    assert line[0] > 8 * np.sqrt(covariance[0, 0])
    assert 0.75 < np.mean(pull**2) < 1.3
