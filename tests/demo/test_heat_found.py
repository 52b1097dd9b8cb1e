"""What the heating experiment finds: where the simulated sample changed, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.xas import Spectrum
from redoxscope.data import rixs_preset
from redoxscope.demo._heat_draw import draw_heat
from redoxscope.demo._heat_found import (
    EDGES,
    METALS,
    MapPair,
    Temperature,
    compared,
    map_pair,
    window_of,
)
from redoxscope.demo._heat_measure import measured
from redoxscope.demo._heat_truth import otherwise, simulated, simulated_sample
from redoxscope.documents import Bins, Window
from redoxscope.scan import points_scan
from redoxscope.sim import HeatedSample, RixsModel
from redoxscope.sim.physics.rixs import rebinned

BINS = Bins(480.0, 900.0, 0.5)
LIVE_S = 5 * 550 * 0.77
"""Five scans of 550 s at each edge, of which 23 % are between points."""
CHANGED = [(edge, "TEY") for edge in METALS] + [("O K", "TFY"), ("O K", "PFY"), ("O K", "sPFY")]
SAME = [(edge, mode) for edge in METALS for mode in ("TFY", "PFY")] + [("O K", "TEY")]
SEEDS = 200


def zones_of(plan, edge):
    """Energies (eV) at which the demonstration measures an edge."""
    plans = measured("lmr_charged", 3, 4)
    zones = next(
        p["kwargs"]["zones"] for p in plans if (p["plan"], p["kwargs"]["edge"]) == (plan, edge)
    )
    return np.array(points_scan(zones=zones, dwell=1.0, passes=1, edge=edge, retries=0).energies)


@pytest.fixture(scope="module")
def truth():
    """Expected values by edge and mode, before and after: (energies, before, after)."""
    fresh, heated, model = HeatedSample(), HeatedSample(), RixsModel()
    heated.advance(5 * 3600.0, 100.0)
    out = {}
    for edge in EDGES:
        energies = zones_of("xas", edge)
        both = [sample.yields(energies) for sample in (fresh, heated)]
        for mode in ("TEY", "TFY"):
            out[edge, mode] = energies, both[0][mode], both[1][mode]
        preset, energies = rixs_preset(edge), zones_of("rixs_map", edge)
        share = (preset.pixels or 232) / 240
        maps = [
            rebinned(np.stack([model.mixture(s.parts(), e).rate for e in energies]), BINS) * share
            for s in (fresh, heated)
        ]
        windows = [w if isinstance(w, Window) else Window.parse(w) for w in preset.windows]
        for kind in ("PFY", "sPFY"):
            cut = next((w.slice(BINS) for w in windows if w.kind == kind), None)
            if cut is not None:
                out[edge, kind] = energies, *(one[:, cut].sum(axis=1) for one in maps)
    return out


def drawn(truth, rng, keys):
    """Spectra of the paper's counting times, before and after."""
    out = ({}, {})
    for edge, mode in keys:
        energies, *values = truth[edge, mode]
        for spectra, expected in zip(out, values, strict=True):
            if mode in (
                "TEY",
                "TFY",
            ):  # 3 repeats of 0.5 s, each of 500 readings of signal and mesh
                sigma = expected * np.hypot(0.03, 0.02) / np.sqrt(3 * 500)
                value = expected + sigma * rng.standard_normal(len(energies))
            else:
                seconds = LIVE_S / len(energies)
                counts = rng.poisson(expected * seconds)
                value, sigma = counts / seconds, np.sqrt(np.maximum(counts, 1)) / seconds
            spectra[edge, mode] = Spectrum(energies, value, sigma, mode=mode, edge=edge)
    return out


def test_what_is_asked_for_is_every_mode_of_every_edge(truth):
    assert set(truth) == {*CHANGED, *SAME}


def test_the_effect_is_found_where_it_is(truth):
    for seed in range(30):
        pairs = compared(*drawn(truth, np.random.default_rng(seed), truth))
        found = {(pair.edge, pair.mode): pair for pair in pairs}
        for key in CHANGED:
            assert found[key].significant and found[key].found.significant, (seed, str(found[key]))
            assert found[key].found.change > 0  # more of the lower valence, of oxidised oxygen


def test_and_not_found_where_it_is_not(truth):
    """At 3 sigma: below 1 % of single comparisons, and of whole experiments."""
    single = whole = 0
    for seed in range(SEEDS):
        spectra = drawn(truth, np.random.default_rng([seed, 1]), SAME)
        single += sum(pair.significant for pair in compared(*spectra, trials=2))
        whole += any(pair.significant for pair in compared(*spectra))
    assert single / (SEEDS * len(SAME)) < 0.01
    assert whole / SEEDS <= 0.01


def test_summaries_are_json_and_agree_with_themselves(truth):
    for pair in compared(*drawn(truth, np.random.default_rng(3), truth)):
        said = pair.summary()
        assert said["significant"] == (said["significance"] >= 3)
        assert all(value is None or np.isfinite(value) for value in said.values()
                   if not isinstance(value, (str, list)))  # fmt: skip
        assert said["unit"] == "%" and said["window_ev"] == list(window_of(pair.edge))


class Snapshot:
    def __init__(self, rate, energies, bins, sigma=None):
        class Result:
            pass

        self.result, self.energies, self.bins = Result(), energies, bins
        self.result.rate = rate
        self.result.sigma = np.ones_like(rate) if sigma is None else sigma


def test_maps_are_compared_cell_by_cell_with_their_neighbours():
    energies, bins = np.array([531.0, 530.0, 532.0]), Bins(515.0, 519.0, 1.0)
    before, after = np.zeros((3, 4)), np.zeros((3, 4))
    after[0] = 9.0  # at 531 eV, which comes second when sorted
    after[2, 3] = np.nan
    pair = map_pair(
        Snapshot(before, energies, bins), Snapshot(after, energies, bins), (515.0, 519.0)
    )
    assert pair.energies.tolist() == [530.0, 531.0, 532.0]
    assert pair.after[1].tolist() == [9.0] * 4
    assert pair.difference[1, 1] == pytest.approx(3.0)  # one row of three
    assert pair.sigma[1, 1] == pytest.approx(np.sqrt(2 * 9) / 9)
    assert pair.sigma[2, 3] == pytest.approx(np.sqrt(2 * 3) / 3)  # four cells, one not measured
    with pytest.raises(ValueError, match="not of the same energies"):
        map_pair(
            Snapshot(before, energies, bins), Snapshot(after, energies + 1, bins), (515.0, 519.0)
        )


def test_settling_counts_from_the_first_reading_in_band():
    temperature = Temperature(
        np.array([0.0, 0.5, 0.6, 0.7]), np.array([25.0, 98.0, 99.5, 100.0]),
        {"reached": 0.65, "soaked": 5.65}, {},
    )  # fmt: skip
    assert temperature.settle_s(100.0, 1.0) == pytest.approx(0.05 * 3600)
    assert np.isnan(temperature.settle_s(200.0, 1.0))


def test_an_overshoot_is_found_wherever_it_is():
    """On the way down too, and where the sensor failed for a moment."""
    celsius = np.array([25.0, np.nan, 100.1, 108.0, 40.0])
    temperature = Temperature(np.arange(5.0), celsius, {"soaked": 2.5}, {"overshoot": 0.1})
    assert temperature.overshoot_c(100.0) == pytest.approx(8.0)
    assert temperature.overshoot_c(200.0) == 0.0


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "broken off"])
def test_a_picture_is_drawn_of_whatever_there_is(truth, whole):
    from matplotlib.figure import Figure

    pairs = compared(*drawn(truth, np.random.default_rng(4), truth))
    energies = np.arange(528.0, 534.0)
    maps = MapPair(energies, np.arange(515.0, 530.0), *np.ones((4, 6, 15)))
    hours = np.linspace(0, 8, 50)
    heat = Temperature(
        hours, 25 + hours, {"reached": 1.0}, {"in_band": 1.0, "left_out": 0.0, "overshoot": 0.1}
    )
    figure = Figure(figsize=(17, 19))
    draw_heat(figure, pairs if whole else [], maps if whole else None, heat if whole else None)
    figure.draw_without_rendering()
    labelled = [ax for ax in figure.axes if ax.get_xlabel()]
    texts = " ".join(t.get_text() for ax in figure.axes for t in ax.texts)
    if whole:
        assert len(labelled) == 17 and all(
            "eV" in a.get_xlabel() or "(h" in a.get_xlabel() for a in labelled
        )
        assert "changed" in texts and "no change seen" in texts
    else:
        assert texts.count("not measured") == 17


def test_the_model_says_what_there_is_to_be_found(truth):
    hours = np.array([0.0, 0.01, 5.01, 5.02])
    heated = Temperature(hours, np.array([25.0, 100.0, 100.0, 25.0]), {}, {})
    sample = simulated_sample(heated)
    assert sample.phases()["relaxed"] == pytest.approx(0.95, abs=0.01)
    pairs = compared(*drawn(truth, np.random.default_rng(5), truth))
    changes = {(p.edge, p.mode): simulated(p, sample) for p in pairs}
    assert all(changes[key] > 1 for key in CHANGED)
    assert all(abs(changes[key]) < 0.01 for key in SAME)
    assert otherwise(pairs, list(changes.values())) == []
    wrong = otherwise(pairs, [0.0] * len(pairs))
    assert len(wrong) == len(CHANGED) and "Ni L TEY (seen, but not there" in wrong[0]
    missed = otherwise(pairs, [5.0] * len(pairs))
    assert sum("not seen" in text for text in missed) == len(SAME)
    assert any("Ni L TEY (+" in text and "+5.00 % there" in text for text in missed)
