"""A map for each region; energies in any order, each with its dwell; live equals batch."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from redoxscope.callbacks import OxidationMap, oxidation_map, oxidation_maps
from redoxscope.callbacks.oxidation import _reader
from redoxscope.callbacks.oxidation._memory import factor_within, map_bytes, maps_bytes
from redoxscope.scan import Frame, Outer, Role

from .scan_runs import EMPTY, ENERGIES, REFERENCES, Particle, Run, play, region, scan_of

TWO = (region("left"), region("right", (20, 16), (15.0, 7.0)))
PARTICLES = (Particle(0.7), Particle(0.2))
DWELL = np.where((ENERGIES > 640) & (ENERGIES < 646), 4e-3, 1e-3)
SHUFFLED = np.random.default_rng(1).permutation(12)


def same(a, b) -> None:
    for name in ("fraction", "sigma", "thickness", "chi2", "coefficients", "flags", "ln_i0"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(a.mask, b.mask)


def two(**options) -> Run:
    scan = scan_of(*TWO, energies=ENERGIES[SHUFFLED], dwell=DWELL[SHUFFLED])
    return Run(scan, PARTICLES, **options)


@pytest.mark.parametrize("monitored", [False, True])
def test_two_regions_any_order_zones_and_a_resumed_run(monitored):
    """Live is batch, whatever comes twice; and both are right."""
    run = two(monitored=monitored, dead_time=2e-8)
    lines = run.lines()
    order = [*lines[:200], *lines[150:300], *lines[280:]]
    live, shown = OxidationMap(REFERENCES, rate=1e6), []
    live.on_update = lambda update: shown.append(update.part)
    play(live, run.documents(order))
    assert live.error is None
    batch = oxidation_maps(run.documents(), REFERENCES)
    assert list(batch) == list(live.snapshots) == ["left", "right"]
    for name, fraction in (("left", 0.7), ("right", 0.2)):
        found = live.snapshots[name]
        same(found.result, batch[name].result)
        assert found.region == name and found.regions == ("left", "right")
        assert found.finished and found.lines_done == found.lines_total
        np.testing.assert_array_equal(found.energies, ENERGIES[SHUFFLED])
        r = found.result
        pull = (r.fraction - fraction)[r.mask] / r.sigma[r.mask]
        assert abs(pull.mean()) < 0.4 and 0.8 < pull.std() < 1.2
        assert found.spectrum.fraction == pytest.approx(fraction, abs=0.02)
        same(oxidation_map(run.documents(), REFERENCES, region=name).result, r)
    assert live.snapshot is live.snapshots["right"]  # the one measured last
    assert live.result.fraction.shape == (16, 20)
    assert live.lines["OK"] == run.scan.lines
    assert set(shown) == {"left", "right"}
    assert batch["left"].doubts == () == batch["right"].doubts


def test_rising_and_shuffled_energies_give_the_same_map():
    mixed = two()
    rising = Run(scan_of(*TWO, dwell=DWELL), PARTICLES)
    for i, frame in enumerate(mixed.scan.frames):
        k = next(
            k
            for k, other in enumerate(rising.scan.frames)
            if (other.energy, other.region) == (frame.energy, frame.region)
        )
        mixed.counts[i] = rising.counts[k]
    one, two_ = (oxidation_maps(run.documents(), REFERENCES) for run in (rising, mixed))
    for name in ("left", "right"):
        for what in ("fraction", "sigma", "thickness", "chi2"):
            np.testing.assert_allclose(
                getattr(one[name].result, what),
                getattr(two_[name].result, what),
                rtol=1e-5,  # energies are summed in another order, in single precision
                atol=1e-6,
            )


def test_one_of_several_must_be_named():
    run = two()
    with pytest.raises(ValueError, match="maps of 'left', 'right': give region="):
        oxidation_map(run.documents(), REFERENCES)
    with pytest.raises(ValueError, match="region = 'rihgt' is none of the run's: 'left', 'right'"):
        oxidation_map(run.documents(), REFERENCES, region="rihgt")
    alone = Run(scan_of(region("only")))
    assert oxidation_map(alone.documents(), REFERENCES).region == "only"
    assert oxidation_map(alone.documents(), REFERENCES, region="only").region == "only"


def test_masks_are_given_by_region():
    run = two()
    area = np.zeros((16, 20), dtype=bool)
    area[7:9, 8:12] = True
    found = oxidation_maps(run.documents(), REFERENCES, area={"right": area})
    assert found["right"].spectrum.n_pixels == 8
    assert found["left"].spectrum.n_pixels != 8
    for options, words in (
        ({"area": area}, r"area is one mask, but the run has maps of 'left', 'right'"),
        ({"blank": {"up": area}}, r"blank is given for 'up'; the run has maps of 'left', 'right'"),
    ):
        with pytest.raises(ValueError, match=words):
            oxidation_maps(run.documents(), REFERENCES, **options)


def test_a_region_that_was_not_reached_has_no_map():
    run = two()
    found = oxidation_maps(run.documents(run.lines()[:24]), REFERENCES)
    assert found["left"].lines_done == 24 and found["right"].lines_done == 0
    assert {d.kind for d in found["right"].doubts} >= {"missing"}
    assert np.isnan(found["right"].result.fraction).all()


def test_what_is_said_at_the_prompt_names_the_region_it_is_true_of(caplog):
    run = two()
    lines = [(f, line) for f, line in run.lines() if not (f == 4 and line == 3)]
    live = OxidationMap(REFERENCES)
    with caplog.at_level(logging.WARNING):
        play(live, run.documents(lines))
    assert "left: 1 line of 1 image is lacking" in caplog.text
    assert "left" in live.snapshots["left"].title and "right" in live.snapshot.title


def test_values_of_an_outer_loop_make_maps_of_their_own():
    scan = scan_of(region("A"), outer=(Outer("temperature", "degC"),), values=((25.0,), (300.0,)))
    found = oxidation_maps(Run(scan).documents(), REFERENCES)
    assert list(found) == ["A, 25 degC", "A, 300 degC"]
    for snapshot in found.values():
        assert snapshot.lines_done == 12 * 24 and snapshot.result.n_mask > 100
        assert snapshot.result.mean == pytest.approx(0.4, abs=0.01)
    live = OxidationMap(REFERENCES)
    play(live, Run(scan).documents())
    for name, snapshot in live.snapshots.items():
        same(snapshot.result, found[name].result)


def test_an_event_of_the_wrong_stream_or_frame_is_refused():
    run = two()
    documents = list(run.documents(run.lines()[:30]))
    documents[3][1]["descriptor"] = "run-1"
    with pytest.raises(ValueError, match="says frame 0, which is none of region 'right'"):
        oxidation_maps(documents, REFERENCES)
    documents = list(run.documents(run.lines()[:30]))
    del documents[4][1]["data"]["frame"]
    with pytest.raises(ValueError, match="has no 'frame': its place is not known"):
        oxidation_maps(documents, REFERENCES)


def test_all_maps_must_fit_into_memory(monkeypatch):
    shapes = [(12, 24, 30), (12, 16, 20)]
    assert maps_bytes(shapes, 3, False, 1) == sum(map_bytes(s, 3, False) for s in shapes)
    assert factor_within((1, 16, 20), 4) == 2 and factor_within((1, 7, 7), 4) == 1
    room = 2 * map_bytes(shapes[0], 3, False) + 10  # enough for one of them
    monkeypatch.setattr(_reader, "available_bytes", lambda: room)
    run = two()
    live, told = OxidationMap(REFERENCES), []
    live.tell = told.append
    play(live, run.documents())
    found = live.snapshots
    assert found["left"].result.fraction.shape == (12, 15)
    assert found["right"].result.fraction.shape == (8, 10)
    assert "all maps need" in found["left"].message
    assert sum("2 × 2 pixels" in text for text in told) == 2
    monkeypatch.undo()
    assert oxidation_maps(run.documents(), REFERENCES)["left"].result.fraction.shape == (24, 30)


def test_a_run_of_no_sample_has_no_map():
    frames = tuple(Frame(float(e), 1e-3, 0, Role.I0) for e in ENERGIES)
    scan = scan_of(region("empty")).__class__(regions=(region("empty"),), frames=frames)
    run = Run(scan, (EMPTY,))
    live = OxidationMap(REFERENCES)
    play(live, run.documents())
    assert live.snapshot is None and live.error is None and live.snapshots == {}
    with pytest.raises(ValueError, match="no image of a sample, only of i0"):
        oxidation_map(run.documents(), REFERENCES)


def test_rates_that_the_documents_name_are_counts_at_each_dwell():
    run = Run(scan_of(region("A"), dwell=DWELL))
    expected = oxidation_map(run.documents(), REFERENCES)
    documents = list(run.documents())
    documents[1][1]["data_keys"]["transmission"]["units"] = "Hz"
    for (frame, _), (_, doc) in zip(run.lines(), documents[2:-1], strict=True):
        rate = np.array(doc["data"]["transmission"][0]) / run.scan.frames[frame].dwell
        doc["data"]["transmission"] = [rate.tolist()]
    found = oxidation_map(documents, REFERENCES)
    assert found.doubts == ()
    np.testing.assert_allclose(found.result.sigma, expected.result.sigma, rtol=1e-6)
    np.testing.assert_allclose(found.result.ln_i0, expected.result.ln_i0, rtol=1e-6)
