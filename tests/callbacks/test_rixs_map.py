from __future__ import annotations

import logging
import re
import threading

import numpy as np
import pytest

from redoxscope.analysis.rixs import Places, RixsCounts
from redoxscope.callbacks import RixsMap, rixs_from_run
from redoxscope.callbacks.rixs._reader import RixsReader
from redoxscope.data import channel_absorption
from redoxscope.documents import PointStatus, Window
from redoxscope.scan import Point, Region, Scan, points_scan, stack_scan
from redoxscope.testing import validate_rixs_run

from .rixs_runs import DEAD_TIME, RixsRun, verdict

SMALL = np.round(np.concatenate([np.arange(526, 530, 0.5), np.arange(530, 534, 0.2)]), 3)


def small(**options) -> RixsRun:
    return RixsRun("O K", energies=SMALL, **{"passes": 3, **options})


def same(a, b) -> None:
    for name in ("rate", "sigma", "counts", "coverage"):
        np.testing.assert_array_equal(getattr(a.result, name), getattr(b.result, name))
    assert a.yields.keys() == b.yields.keys()
    for name in a.yields:
        np.testing.assert_array_equal(a.yields[name].value, b.yields[name].value)
        np.testing.assert_array_equal(a.yields[name].sigma, b.yields[name].sigma)
    for name in a.spectra:
        np.testing.assert_array_equal(a.spectra[name].value, b.spectra[name].value)


@pytest.fixture
def live():
    callback = RixsMap()
    yield callback
    callback.close()


def play(callback, documents) -> None:
    for name, doc in documents:
        callback(name, doc)


def test_made_up_runs_follow_the_contract():
    validate_rixs_run(small().documents())


@pytest.mark.parametrize("page", [True, False])
def test_live_equals_batch(live, page):
    run = small()
    play(live, run.documents(page=page))
    assert live.error is None
    snapshot = live.snapshot
    assert snapshot.finished
    assert snapshot.points_done == snapshot.points_total == 3 * len(SMALL)
    assert snapshot.photons == run.counts.sum()
    assert (snapshot.late, snapshot.lost, snapshot.outside) == (17, 23, 5)
    assert snapshot.pixels_used == 226
    assert (snapshot.edge, snapshot.sample) == ("O K", "lmr_charged")
    assert list(snapshot.yields) == ["TFY", "PFY", "sPFY"]
    assert list(snapshot.spectra) == ["XES_530p5_531p5"]
    same(snapshot, rixs_from_run(run.documents(page=not page)))
    shown = [snapshot, snapshot.result, snapshot.pixels, *snapshot.yields.values()]
    for part in (*shown, *snapshot.spectra.values()):
        assert len(repr(part)) < 300 and "array" not in repr(part)


def test_truth_is_recovered(live):
    run = small()
    play(live, run.documents())
    found = live.snapshot.yields["PFY"]
    truth = run.rate[:, Window.parse("PFY[505:535]").slice(run.bins)].sum(axis=1)
    pull = (found.value - truth) / found.sigma
    assert abs(pull.mean()) < 1.0
    assert 0.5 < pull.std() < 1.6
    z = (live.snapshot.result.rate - run.rate)[run.rate > 5]
    z /= np.sqrt(run.rate[run.rate > 5] / (3 * run.dwell * run.live))
    assert z.std() == pytest.approx(1.0, abs=0.1)


def test_i0_is_corrected_for_dead_time(live):
    """A monitor that is blind a tenth of the time at high flux must not bend the yields."""
    run = small()
    play(live, run.documents())
    counts = RixsCounts(SMALL, run.bins, run.passes)
    for p in range(run.passes):
        for k in range(run.n):
            true = run.i0[p, k] / (1 - run.i0[p, k] * 1e-7 / run.dwell)
            counts.set_point(
                p, k, spectrum=run.counts[p, k], seconds=run.dwell, live=run.live, i0=true,
                i0_sigma=true / np.sqrt(run.i0[p, k]),
            )  # fmt: skip
    np.testing.assert_allclose(
        live.snapshot.yields["PFY"].value, counts.yields("PFY[505:535]").value, rtol=1e-12
    )
    np.testing.assert_allclose(
        live.snapshot.yields["PFY"].sigma, counts.yields("PFY[505:535]").sigma, rtol=1e-12
    )


def test_without_a_monitor(live):
    run = small()
    events = [
        (n, d | {"data": {k: v for k, v in d["data"].items() if k != "i0"}})
        if n == "event"
        else (n, d)
        for n, d in run.documents()
    ]
    play(live, events)
    assert live.error is None
    expected = run.counts.sum(axis=(0, 2)) / (3 * run.dwell * run.live)
    np.testing.assert_allclose(live.snapshot.yields["TFY"].value, expected)


@pytest.mark.parametrize("bad", [float("nan"), 0.0, 1.2e7])
def test_point_without_i0_is_missing_not_zero(live, bad):
    """NaN, no beam, or a monitor dead all the time."""
    run = small(passes=1)
    documents = list(run.documents())
    documents[2 + 4] = run.event(4, i0=bad)
    play(live, documents)
    value = live.snapshot.yields["TFY"].value
    assert np.isnan(value[4])
    assert np.isfinite(np.delete(value, 4)).all()
    assert np.isnan(live.snapshot.result.rate[4]).all()


def test_resumed_run_overwrites_and_counts_no_late_photon_twice(live):
    run = small()
    total = run.passes * run.n
    documents = [run.start(), run.descriptor()]
    point = 0
    for i in [*range(20), *range(17, total)]:
        documents.append(run.event(i, point=point, tes_late=2, tes_lost=1))
        point += 1
    documents.append(documents[-1])  # handed out twice
    play(live, [*documents, run.stop()])
    assert live.error is None
    assert live.snapshot.photons == run.counts.sum()
    assert live.snapshot.late == 2 * (total + 3)  # what came late for a repeated point was late
    assert live.snapshot.lost == total + 3
    same(live.snapshot, rixs_from_run(run.documents()))


def test_interrupted_run_keeps_its_map_and_says_so(live):
    run = small()
    documents = list(run.documents(points=30))[:-1]
    play(live, [*documents, run.stop("abort", "Ctrl-C")])
    assert live.snapshot.finished
    assert "abort" in live.snapshot.message
    assert "Ctrl-C" in live.snapshot.message
    assert live.snapshot.points_done == 30
    value = live.snapshot.yields["TFY"].value
    assert np.isfinite(value).all()  # the first pass is whole
    coverage = live.snapshot.yields["TFY"].coverage
    np.testing.assert_allclose(coverage[:2], 2 / 3)
    np.testing.assert_allclose(coverage[2:], 1 / 3)


def test_runs_in_sequence_and_other_runs(live):
    first, second = small(), small(seed=4, uid="second", passes=1)
    play(live, first.documents())
    kept = live.snapshot
    other = [
        ("start", {"uid": "o", "plan_name": "energy_stack", "shape": [3, 4, 5]}),
        ("descriptor", {"uid": "o-d", "run_start": "o", "name": "primary"}),
        ("event", {"descriptor": "o-d", "seq_num": 1, "data": {}, "timestamps": {}, "time": 0.0}),
        ("stop", {"uid": "o-s", "run_start": "o", "exit_status": "success"}),
    ]
    play(live, other)
    live.photons(first.batch(3))
    assert live.wait(60)
    assert live.snapshot is kept
    start, *rest = second.documents()
    baseline = ("descriptor", {"uid": "b", "run_start": "second", "name": "baseline"})
    reading = ("event", {"descriptor": "b", "seq_num": 1, "data": {}, "timestamps": {}, "time": 0})
    play(live, [start, baseline, reading, *rest])
    assert live.error is None
    assert live.snapshot.uid == "second"
    assert live.snapshot.late == 17
    same(live.snapshot, rixs_from_run(second.documents()))


def test_one_energy(live):
    """What the plan xes makes: many passes of one energy."""
    run = RixsRun("O K", energies=np.array([531.0]), passes=20)
    name, start = run.start()
    start |= {"plan_name": "xes", "windows": ["XES[530.95:531.05]"]}
    play(live, [(name, start), *list(run.documents())[1:]])
    assert live.error is None
    (spectrum,) = live.snapshot.spectra.values()
    np.testing.assert_array_equal(spectrum.counts, run.counts.sum(axis=(0, 1)))
    assert live.snapshot.yields == {}


# -- live photons ------------------------------------------------------------------------------


def test_photons_of_the_point_under_way_are_shown_then_overwritten(live):
    run = small()
    play(live, [run.start(), run.descriptor(), *(run.event(i) for i in range(5))])
    for k in range(3):
        live.photons(run.batch(5, 40, seed=k))
    assert live.wait(60)
    snapshot = live.snapshot
    assert (snapshot.under_way.ipass, snapshot.under_way.index) == (0, 5)
    assert snapshot.under_way.photons == 120
    assert snapshot.points_done == 5
    assert np.isnan(snapshot.yields["TFY"].value[5])  # only finished points are measured
    np.testing.assert_allclose(np.nansum(snapshot.shown[5]), 120 / run.dwell)
    assert len(live.latencies_ms) == 120
    live(*run.event(5))
    live.photons(run.batch(5, 40))  # came after its point
    live.photons(run.batch(3, 40))
    assert live.wait(60)
    assert live.snapshot.under_way is None
    assert live.snapshot.photons == run.counts[0, :6].sum()
    np.testing.assert_array_equal(live.snapshot.shown, live.snapshot.result.rate)


def test_photons_of_an_abandoned_point_are_dropped(live):
    run = small()
    play(live, [run.start(), run.descriptor(), *(run.event(i) for i in range(5))])
    live.photons(run.batch(5, 100))
    live.photons(run.batch(5, 30, point=6))  # opened again after a pause
    live.photons(run.batch(5, 100))
    assert live.wait(60)
    assert live.snapshot.under_way.photons == 30


def test_photons_of_a_later_pass_keep_the_rate(live):
    """A quarter of a point must not show half of the rate."""
    run = small()
    n = run.n
    play(live, [run.start(), run.descriptor(), *(run.event(i) for i in range(n + 15))])
    assert live.wait(60)
    before = live.snapshot
    expected = run.rate[15].sum() * run.dwell
    live.photons(run.batch(n + 15, int(expected / 4)))
    assert live.wait(60)
    snapshot = live.snapshot
    assert (snapshot.under_way.ipass, snapshot.under_way.index) == (1, 15)
    old, new = np.nansum(snapshot.result.rate[15]), np.nansum(snapshot.shown[15])
    assert new == pytest.approx(old, rel=0.05)
    assert (snapshot.shown[15] != snapshot.result.rate[15]).any()
    np.testing.assert_array_equal(snapshot.shown[:15], before.shown[:15])


def test_photons_before_and_after_a_run_are_ignored(live):
    run = small(passes=1)
    live.photons(run.batch(0))
    play(live, run.documents())
    live.photons(run.batch(run.n))
    assert live.wait(60)
    assert live.error is None
    assert live.snapshot.finished
    assert live.snapshot.under_way is None


# -- windows -----------------------------------------------------------------------------------


def test_windows_change_while_it_runs(live):
    run = small()
    play(live, [run.start(), run.descriptor(), *(run.event(i) for i in range(30))])
    assert live.wait(60)
    live.set_window("PFY[505:530]")
    live.set_window("low=PFY[505:520]")
    live.remove_window("TFY")
    assert [str(w) for w in live.windows] == [
        "PFY[505:530]", "sPFY[522.5:525]", "XES[530.5:531.5]", "low=PFY[505:520]",
    ]  # fmt: skip
    assert list(live.snapshot.yields) == ["PFY", "sPFY", "low"]
    part = Window.parse("PFY[505:530]").slice(run.bins)
    expected = run.counts[:, :, part].sum(axis=2)
    np.testing.assert_array_equal(
        live.snapshot.yields["PFY"].counts[:2], expected[:2, :2].sum(axis=0)
    )
    play(live, [run.event(i) for i in range(30, 3 * run.n)])
    live(*run.stop())
    chosen = [str(w) for w in live.windows]
    same(live.snapshot, rixs_from_run(run.documents(), chosen))
    live.set_window("sPFY[522:525]")  # and after its end
    assert live.snapshot.finished
    assert live.snapshot.yields["sPFY"].window.low == 522.0


def test_what_is_asked_for_is_in_the_next_look(live):
    """However long the worker takes over it, and over what was waiting before."""
    run = small(configuration=verdict())
    play(live, [run.start(), run.descriptor(), *(run.event(i) for i in range(30))])
    assert live.wait(60)
    free = hold(live)
    live.set_window("PFY[505:530]")
    free()
    assert live.snapshot.yields["PFY"].window.high == 530.0
    live.set_window("low=PFY[505:520]")
    live.remove_window("low")  # known at once
    assert "low" not in live.snapshot.yields
    live.set_elastic_mask(2.0)
    assert np.isnan(live.snapshot.result.rate[0]).any()
    live.set_pixels(range(1, 241), [channel > 5 for channel in range(1, 241)])
    assert live.snapshot.pixels.usable.sum() == 235


def test_a_look_from_its_own_thread_does_not_wait_for_itself():
    run, looks = small(), []
    callback = RixsMap(on_update=lambda _: looks.append(callback.snapshot), rate=1000)
    play(callback, [run.start(), run.descriptor(), run.event(0)])
    assert callback.wait(60)
    callback.set_window("PFY[505:530]")
    assert callback.snapshot.yields["PFY"].window.high == 530.0
    assert looks[-1] is callback.snapshot
    callback.close()


def hold(live):
    """Keep the worker from anything until what this returns is called (or soon after)."""
    release = threading.Event()

    class Slow:
        local_time = ()
        point_start_ns = 0

        def __getattribute__(self, name):
            release.wait(0.3)
            return object.__getattribute__(self, name)

    live.photons(Slow())
    return lambda: threading.Timer(0.05, release.set).start()


def test_elastic_mask(live):
    run = small()
    play(live, run.documents())
    live.set_elastic_mask(2.0)
    assert np.isnan(live.snapshot.result.rate).any()
    assert live.snapshot.yields["PFY"].coverage.min() < 1
    same(live.snapshot, rixs_from_run(run.documents(), elastic_mask=2.0))
    with pytest.raises(ValueError, match="at least 0 eV"):
        live.set_elastic_mask(-1.0)


def test_bad_windows_are_refused_where_they_are_given(live):
    with pytest.raises(RuntimeError, match="no RIXS run yet"):
        live.set_window("PFY[505:530]")
    run = small()
    play(live, [run.start(), run.descriptor(), run.event(0)])
    assert live.wait(60)
    with pytest.raises(ValueError, match="beyond the spectrum of 200 to 1200 eV"):
        live.set_window("PFY[1100:1300]")
    with pytest.raises(ValueError, match="not of the form"):
        live.set_window("PFY 505")
    with pytest.raises(ValueError, match="there are TFY, PFY, sPFY"):
        live.remove_window("iPFY")
    with pytest.raises(ValueError, match="kind"):
        RixsMap(["QFY[1:2]"])
    assert len(live.windows) == 4


def test_window_that_suits_no_energy_is_said_and_hurts_nothing(live):
    run = small()
    play(live, [run.start(), run.descriptor(), run.event(0)])
    assert live.wait(60)
    live.set_window("late=XES[600:610]")
    assert live.wait(60)
    assert live.error is None
    assert "holds none of the excitation energies" in live.snapshot.message
    assert list(live.snapshot.yields) == ["TFY", "PFY", "sPFY"]


def test_windows_given_hold_for_every_run():
    callback = RixsMap(["PFY[505:530]", "sPFY[520:530]"])
    for uid in ("a", "b"):
        play(callback, small(uid=uid, passes=1).documents())
        assert list(callback.snapshot.yields) == ["PFY", "sPFY"]
    callback.close()


def test_few_counts_are_refused():
    run = RixsRun("Co L", energies=np.array([770.0, 775.0, 780.0, 800.0]), passes=1, dwell=0.1)
    snapshot = rixs_from_run(run.documents(), ["iPFY[500:540]"])
    found = snapshot.yields["iPFY"]
    few = run.counts[0][:, found.window.slice(run.bins)].sum(axis=1) < 25
    np.testing.assert_array_equal(found.refused, few)
    assert few.any()
    assert np.isnan(found.value[few]).all()


def test_an_inverse_yield_over_its_own_edge_is_refused():
    snapshot = rixs_from_run(small(passes=1).documents(), ["iPFY[505:535]", "TFY"])
    assert list(snapshot.yields) == ["TFY"]
    assert "crosses the O K edge" in snapshot.message


def test_an_inverse_yield_is_corrected_for_its_own_absorption():
    run = RixsRun("Co L", energies=np.array([770.0, 785.0, 800.0]), passes=1, dwell=50.0)
    found = rixs_from_run(run.documents(), ["iPFY[500:540]", "PFY[500:540]"]).yields
    own = channel_absorption("iPFY[500:540]", run.energies)
    assert own[0] / own[-1] > 1.05
    np.testing.assert_allclose(found["iPFY"].value, own / found["PFY"].value)


# -- feature, damage, pixels -------------------------------------------------------------------


def test_feature_is_found(live):
    run = RixsRun("O K", passes=2)
    play(live, run.documents())
    assert live.snapshot.features["sPFY"].significance > 5
    bare = RixsRun("Co L", passes=1)
    play(live, bare.documents())
    assert live.snapshot.features == {}


def test_damage_is_called_once():
    seen, calls = [], threading.Event()

    def warn(verdict, of):
        seen.append(verdict)
        assert of == run.uid
        calls.set()

    run = RixsRun("O K", passes=4, fade=0.9)
    callback = RixsMap(on_damage=warn)
    play(callback, run.documents())
    assert callback.wait(60) and calls.is_set()
    assert len(seen) == 1
    assert seen[0].damaged
    assert callback.snapshot.damage.damaged
    assert "the sample changes" in callback.snapshot.message
    play(callback, RixsRun("O K", passes=4, uid="sound").documents())
    assert not callback.snapshot.damage.damaged
    assert callback.snapshot.message == ""
    assert len(seen) == 1
    callback.close()


def test_lost_photons_are_no_damage():
    """Part of every pass but the first never came: that is not the sample's doing.

    Whenever it is looked at: which points a snapshot holds depends on how busy the machine is.
    """
    run = RixsRun("O K", passes=4, fade=0.9)

    def lossy(name, doc):
        if name == "event" and "tes_lost" in doc["data"] and doc["seq_num"] > run.n:
            lost = 5 + doc["data"]["tes_counts"] // 20
            doc = {**doc, "data": {**doc["data"], "tes_lost": lost}}
        return name, doc

    seen = []
    callback = RixsMap(on_damage=lambda verdict, run: seen.append(verdict))
    for number, (name, doc) in enumerate(run.documents()):
        callback(*lossy(name, doc))
        if number % (run.n // 3) == 0:
            assert callback.wait(60)
    assert callback.wait(60)
    assert not seen and not callback.snapshot.damage.damaged
    assert "late or never" in callback.snapshot.damage.message
    callback.close()


@pytest.mark.parametrize("why", ["flagged", "elsewhere"])
def test_doubtful_points_are_no_damage_and_in_no_yield(live, why):
    """Somebody else changed sample or energy: the map has these points from other passes only."""
    run = RixsRun("O K", passes=3)
    others = {run.n + 40 + k for k in range(5)}
    n = run.n

    def disturbed(i):
        name, doc = run.event(i)
        if i not in others:
            return name, doc
        data = {**doc["data"], "tes_spectrum": [9 * c for c in doc["data"]["tes_spectrum"]]}
        if why == "flagged":
            data["tes_point_status"] = int(PointStatus.SAMPLE | PointStatus.BEAM)
        else:
            data["energy"] += 0.08
        return name, {**doc, "data": data}

    documents = [run.start(), run.descriptor(), *(disturbed(i) for i in range(3 * n))]
    play(live, [*documents, *run.totals(), run.stop()])
    shown = live.snapshot
    assert shown.points_done == 3 * n - 5
    assert not shown.damage.damaged
    told = "sample 5, beam 5" if why == "flagged" else "energy 5"
    assert f"5 doubtful points are left out ({told})." in shown.message
    counts = run.counts.sum(axis=(0, 2))
    for k in range(40, 45):
        counts[k] -= run.counts[1, k].sum()
    np.testing.assert_array_equal(shown.result.counts.sum(axis=1), counts)
    assert shown.photons == run.counts.sum() - sum(run.counts[1, 40:45].sum(axis=1))
    same(shown, rixs_from_run([*documents, *run.totals(), run.stop()]))
    live(*run.start())
    play(live, [run.descriptor(), *(disturbed(i) for i in range(2 * n))])
    play(live, [run.event(i) for i in range(n, 2 * n)])  # after a pause they are there again
    live(*run.stop())
    assert live.snapshot.points_done == 2 * n and "doubtful" not in live.snapshot.message


def test_the_start_document_says_how_near_the_energy_has_to_be(live):
    run = small(passes=1)
    name, start = run.start()
    play(live, [(name, {**start, "energy_tolerance": 0.001}), run.descriptor(), run.event(0)])
    live(*run.stop())
    assert live.snapshot.points_done == 0  # 0.003 eV away
    assert "1 doubtful points are left out (energy 1)." in live.snapshot.message


def test_one_pass_is_not_compared(live):
    play(live, small(passes=1).documents())
    assert live.snapshot.damage is None


def test_failing_on_damage_stops_nothing(caplog):
    def broken(verdict):
        raise RuntimeError("cannot pause")

    callback = RixsMap(on_damage=broken, damage_limit=1e-3)
    with caplog.at_level(logging.ERROR):
        play(callback, small().documents())
    assert callback.error is None
    assert callback.snapshot.finished
    assert caplog.text.count("on_damage failed") == 1
    callback.close()


def test_pixels_from_configuration_and_photons(live):
    conf = verdict()
    run = small(configuration=conf)
    play(live, [run.start(), run.descriptor(), run.event(0)])
    for k in range(4):
        live.photons(run.batch(1, 5000, seed=k))
    assert live.wait(60)
    health = live.snapshot.pixels
    assert len(health) == 240
    np.testing.assert_array_equal(health.usable, conf["tes_pixel_ok"])
    assert health.photons.sum() == 20_000
    assert len(health.left_out) == 14


def test_pixels_from_a_calibration_run(live):
    """Its verdict holds for the runs that follow; photons are counted anew in each."""
    keys = dict.fromkeys(("tes_pixel_channel", "tes_pixel_ok"), {})
    calibration = [
        ("start", {"uid": "c", "plan_name": "tes_calibrate", "shape": [3, 1]}),
        ("descriptor", {"uid": "c-d", "run_start": "c", "name": "calibration", "data_keys": keys}),
        ("event", {
            "descriptor": "c-d", "seq_num": 1, "time": 0.0, "timestamps": {},
            "data": {"tes_pixel_channel": [1, 3, 7], "tes_pixel_ok": [1, 0, 1]},
        }),
        ("stop", {"uid": "c-s", "run_start": "c", "exit_status": "success"}),
    ]  # fmt: skip
    play(live, calibration)
    for uid in ("a", "b"):
        run = small(uid=uid, passes=1)
        play(live, [run.start(), run.descriptor(), run.event(0)])
        live.photons(run.batch(1, 10))
        play(live, [run.event(i) for i in range(1, run.n)])
        live(*run.stop())
        health = live.snapshot.pixels
        known = np.isin(health.channel, [1, 3, 7])
        assert health.usable[known].tolist() == [True, False, True]
        assert health.photons.sum() == 10
        assert health.left_out[3] == "refused by the calibration"


# -- failure -----------------------------------------------------------------------------------


def test_errors_stay_in_the_callback(live, caplog):
    run = small()
    documents = list(run.documents())
    documents[40] = run.event(38, tes_spectrum=[1, 2, 3])
    with caplog.at_level(logging.ERROR):
        play(live, documents[:40])
        assert live.wait(60)
        live.photons(run.batch(38))
        play(live, documents[40:])
    assert "spectrum has shape (3,)" in str(live.error)
    assert "RIXS map stopped" in caplog.text
    assert "RIXS map stopped" in live.snapshot.message
    live.set_window("PFY[505:530]")  # of the run that failed
    live.photons(run.batch(39))
    assert live.wait(60)
    play(live, small(uid="next").documents())  # the next run is not affected
    assert live.error is None
    assert live.snapshot.uid == "next"
    assert live.snapshot.message == ""


ONE = points_scan(energies=[531.0], dwell=1.0)
LINES = stack_scan(energies=[531.0], regions=[Region((0, 0), 1, 4)])


@pytest.mark.parametrize(
    ("start", "settings", "match"),
    [
        ({"scan": {"version": 3}}, {}, "version = 3; this redoxscope reads version 1"),
        ({"scan": LINES.as_dict()}, {}, "one of lines; a RIXS map needs points"),
        ({"windows": ["PFY"]}, {}, "needs a range"),
        ({}, {"tes_spectrum_step": float("nan")}, "tes_spectrum_low, _high, _step"),
        ({"scan": ONE.as_dict()}, {}, "point 1 is outside a scan of 1 points"),
    ],
)
def test_unsuitable_documents(live, start, settings, match):
    run = small(configuration=settings)
    name, doc = run.start()
    play(live, [(name, doc | start), *list(run.documents())[1:]])
    assert match in str(live.error)
    assert live.snapshot is None or "RIXS map stopped" in live.snapshot.message


# -- places ------------------------------------------------------------------------------------


def in_order(run, order):
    """Documents of a run whose points are gone to in another order: places of the usual one."""
    points = run.scan().points
    scan = Scan(points=tuple(points[i] for i in order), edge=run.edge)
    name, start = run.start()
    yield name, start | {"scan": scan.as_dict()}
    yield run.descriptor()
    for k, i in enumerate(order):
        begin = run.point_start(k)
        window = {"tes_point_start": begin, "tes_point_end": begin + int(1e9 * run.dwell)}
        name, event = run.event(i, tes_point=k, **window)
        event["data"]["point"] = k
        yield name, event | {"seq_num": 1000 - k}  # no place follows from it
    yield run.stop()


def test_energies_in_any_order_have_their_place(live):
    run = small(passes=2)
    rng = np.random.default_rng(1)
    order = [*rng.permutation(run.n), *(run.n + rng.permutation(run.n))]
    play(live, in_order(run, order))
    assert live.error is None
    np.testing.assert_array_equal(live.snapshot.energies, run.energies)  # rising
    same(live.snapshot, rixs_from_run(run.documents()))
    same(live.snapshot, rixs_from_run(in_order(run, order)))


def test_an_energy_that_comes_twice_in_a_pass_is_compared_with_itself(live):
    """Up and down again: what the beam did in between shows as between passes."""
    run = small(passes=2)
    up, down = range(run.n), range(2 * run.n - 1, run.n - 1, -1)
    documents = list(in_order(run, [*up, *down]))
    points = [Point(e, run.dwell) for e in [*SMALL, *SMALL[::-1]]]  # all of them one pass
    documents[0][1]["scan"] = Scan(points=tuple(points)).as_dict()
    play(live, documents)
    assert live.snapshot.passes == 2 and live.snapshot.points_total == 2 * run.n
    same(live.snapshot, rixs_from_run(run.documents()))
    assert live.snapshot.damage is not None


def test_each_point_has_its_own_dwell(live):
    """The dead time of the monitor is a matter of its rate."""
    run = small(passes=1, dwell=1.2)
    points = [Point(e, 1.2 if i else 0.3) for i, e in enumerate(SMALL)]
    name, start = run.start()
    documents = [(name, start | {"scan": Scan(points=tuple(points)).as_dict()})]
    documents += [run.descriptor(), run.event(0, i0=30_000.0), run.event(1, i0=30_000.0)]
    play(live, documents)
    assert live.wait(60)
    i0 = live._reader.counts.i0[0]
    assert i0[0] == pytest.approx(30_000 / (1 - 30_000 * DEAD_TIME / 0.3), rel=1e-9)
    assert i0[1] == pytest.approx(30_000 / (1 - 30_000 * DEAD_TIME / 1.2), rel=1e-9)


PLACES = {
    "rising": ([1.0, 2.0, 3.0], 1, [1.0, 2.0, 3.0], [0, 1, 2], [0, 0, 0]),
    "falling": ([3.0, 2.0], 2, [3.0, 2.0], [0, 1, 0, 1], [0, 0, 1, 1]),
    "any": ([2.0, 1.0, 3.0], 1, [1.0, 2.0, 3.0], [1, 0, 2], [0, 0, 0]),
    "again": ([1.0, 2.0, 1.0], 2, [1.0, 2.0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 2, 2, 3]),
    "one": ([5.0], 3, [5.0], [0, 0, 0], [0, 1, 2]),
}


@pytest.mark.parametrize("what", PLACES)
def test_places_of_points(what):
    energies, passes, axis, index, ipass = PLACES[what]
    places = Places.of(points_scan(energies=energies, dwell=1.0, passes=passes))
    assert places.energies.tolist() == axis and places.passes == max(ipass) + 1
    assert places.index.tolist() == index and places.ipass.tolist() == ipass
    assert places.place(len(places) - 1) == (ipass[-1], index[-1])
    for number in (-1, len(places)):
        with pytest.raises(ValueError, match=f"point {number} is outside a scan of"):
            places.place(number)


@pytest.mark.parametrize("point", [1.5, True, "1", None, -1, np.nan])
def test_a_point_that_is_no_whole_number_goes_nowhere(point):
    """Cut to one, its counts would silently be those of another energy."""
    docs = list(small().documents())
    reader = RixsReader(docs[0][1])
    reader.describe(next(doc for name, doc in docs if name == "descriptor"))
    event = next(doc for name, doc in docs if name == "event")
    with pytest.raises(ValueError, match="point"):
        reader.point({**event["data"], "point": point})
    reader.point({**event["data"], "point": np.float64(event["data"]["point"])})


def test_call_on_the_engine_thread_only_queues():
    started, release = threading.Event(), threading.Event()

    def block(_):
        started.set()
        release.wait(60)

    run = small()
    callback = RixsMap(on_update=block)
    documents = list(run.documents())
    play(callback, documents[:3])
    assert started.wait(60)
    play(callback, documents[3:40])  # would never return if anything were computed here
    callback.photons(run.batch(38))
    assert callback.snapshot.points_done == 1
    release.set()
    assert callback.wait(60)
    assert callback.snapshot.points_done == 38
    assert callback.snapshot.under_way.index == 38 % run.n
    callback.close()


def test_snapshots_do_not_change_after_publication(live):
    run = small()
    documents = list(run.documents())
    play(live, documents[:20])
    live.photons(run.batch(18))
    live.wait(60)
    early = live.snapshot
    rate, counts = early.result.rate.copy(), early.under_way.counts.copy()
    value = early.yields["PFY"].value.copy()
    live.photons(run.batch(18, seed=2))
    play(live, documents[20:])
    np.testing.assert_array_equal(early.result.rate, rate)
    np.testing.assert_array_equal(early.under_way.counts, counts)
    np.testing.assert_array_equal(early.yields["PFY"].value, value)


@pytest.mark.parametrize("step", [1e-4, 1e-6])
def test_a_map_that_no_memory_holds_is_refused_in_words(step, monkeypatch):
    """A step of the spectrum that was mistyped, or comes from elsewhere."""
    monkeypatch.setattr("redoxscope.callbacks._room.available_bytes", lambda: int(8e9))
    run = RixsRun("O K", passes=1)
    live = RixsMap()
    live(*run.start())
    name, descriptor = run.descriptor()
    descriptor["configuration"]["tes"]["data"]["tes_spectrum_step"] = step
    live(name, descriptor)
    assert live.wait(30)
    assert re.search(r"a RIXS map of 107 energies, .* needs .* GB, and 8 GB are", str(live.error))
    live.close()


def test_memory_does_not_grow_with_points_repeated(live):
    run = small(passes=1)
    play(live, [run.start(), run.descriptor()])
    for _ in range(5):
        for i in range(run.n):
            live(*run.event(i))
            live.photons(run.batch(i + 1, 5))
    assert live.wait(60)
    assert live.snapshot.points_done == run.n
    assert live._queue.empty()
    assert len(live._reader._found) == run.n


def test_pixels_of_a_run_that_ended_early_are_those_that_were_chosen(live):
    run = small(configuration=verdict())
    play(live, run.documents(points=5))  # no totals came
    assert live.snapshot.pixels_used == 226
