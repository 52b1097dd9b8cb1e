"""Photons of the whole simulated array, calibrated and counted: the model comes out again."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.rixs import RixsCounts, feature_significance, spectrum_of
from redoxscope.analysis.tes import calibrate
from redoxscope.data import load_lines, rixs_preset
from redoxscope.demo._rixs import chi2_dof
from redoxscope.documents import Bins
from redoxscope.photons import Photons
from redoxscope.sim.physics.rixs import RixsModel
from redoxscope.sim.physics.tes import TesArray

BINS = Bins(200.0, 1200.0, 0.5)
RECORD = 1024 * 4.8e-6
SECOND = 1_000_000_000


def photons_of(rows) -> Photons:
    return Photons.of(rows["chan_index"] + 1, rows["t_ns"], rows["coefs"][:, 2], rows["ptm"])


@pytest.fixture(scope="module")
def array():
    """Array, the time when the calibration ended (ns), and the calibration made by then."""
    array, end = TesArray(240, 1), 120 * SECOND
    rows = array.draw(RixsModel().emission("reference", 1000.0), 1.0, 0, end)
    made = calibrate(photons_of(rows), load_lines(), elastic_ev=1000.0, pixels=range(1, 241))
    return array, end, made


def scan(array, begin, calibration, edge, passes=3):
    """A run as the device counts it, after so many ns."""
    preset, model = rixs_preset(edge), RixsModel()
    used = calibration.best(preset.pixels) if preset.pixels else calibration.usable
    counts = RixsCounts(preset.energies, BINS, passes)
    emissions = [model.emission("lmr_charged", e) for e in preset.energies]
    length = round(preset.dwell * SECOND)
    for ipass in range(passes):
        for k, emission in enumerate(emissions):
            photons = photons_of(array.draw(emission, 1.0, begin, begin + length))
            begin += length
            photons = photons[np.isin(photons.pixel, used)]
            energy = calibration.energy(photons.pixel, photons.filtered, photons.pretrigger)
            live = 1 - len(photons) * RECORD / (len(used) * preset.dwell)
            counts.set_point(
                ipass, k, spectrum=spectrum_of(energy, BINS), seconds=preset.dwell, live=live
            )
    chosen = np.asarray(used) - 1
    truth = np.stack([array.expected(emission, BINS, chosen) for emission in emissions])
    # What is recorded, over the time in which the pixels were alive.
    alive = 1 - truth.sum(axis=1) * RECORD / len(used)
    return counts, truth / alive[:, None], preset


def test_the_calibration_leaves_out_the_bad_pixels_by_name(array):
    array, _, made = array
    bad = {p.index + 1 for p in array.pixels if not p.ok}
    assert len(bad) == 14
    assert {p.channel for p in made.pixels if not p.ok} == bad
    assert all(p.reason for p in made.pixels if not p.ok)


@pytest.mark.slow
def test_partial_yields_are_those_of_the_model(array):
    array, begin, made = array
    found = []
    for edge in 2 * ("O K", "Mn L", "Co L", "Ni L"):  # 1218 points: ± 0.04
        counts, truth, preset = scan(array, begin, made, edge)
        begin += 1200 * SECOND
        pfy = counts.yields(preset.window("PFY"))
        part = pfy.window.slice(BINS)
        expected = truth[:, part].sum(axis=1)
        found.append(chi2_dof(pfy.value, pfy.counts, expected))
        assert np.average(pfy.value / expected, weights=pfy.counts) == pytest.approx(1, abs=0.015)
        if preset.feature is not None:
            feature = preset.feature
            seen = feature_significance(
                counts, preset.window(feature.window), preset.window("PFY"), feature.excitation,
                reference=feature.reference, elastic_mask=preset.elastic,
            )  # fmt: skip
            assert seen.significance > 5
    assert 0.9 < np.mean(found) < 1.1, found
