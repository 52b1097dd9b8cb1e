from __future__ import annotations

import logging
import math
import threading

import numpy as np
import pytest

from redoxscope.analysis.oxidation import PixelFlag
from redoxscope.callbacks import OxidationMap, oxidation_map

from .conftest import make

MAPS = ("fraction", "sigma", "thickness", "thickness_sigma", "chi2", "coefficients", "flags")


def same(a, b) -> None:
    for name in MAPS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(a.mask, b.mask)


@pytest.fixture
def live(stack):
    callback = OxidationMap(stack[1])
    yield callback
    callback.close()


def play(callback, documents) -> None:
    for name, doc in documents:
        callback(name, doc)


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize("monitored", [True, False])
def test_live_equals_batch(page, monitored):
    stack, references = make(monitored=monitored)
    callback = OxidationMap(references)
    play(callback, stack.documents(page=page))
    assert callback.error is None
    snapshot = callback.snapshot
    assert snapshot.finished
    assert snapshot.lines_done == snapshot.lines_total == 12 * 24
    assert callback.lines == dict.fromkeys(callback.lines, 0) | {"OK": 288}
    assert callback.fit.monitored == monitored
    batch = oxidation_map(stack.documents(page=not page), references)
    same(snapshot.result, batch.result)
    assert snapshot.result.n_mask > 150
    assert 0.5 < snapshot.result.mean < 0.6
    assert snapshot.spectrum.n_pixels > 3
    np.testing.assert_allclose(snapshot.x, stack.x)
    np.testing.assert_allclose(snapshot.y, stack.y)
    callback.close()


def test_every_line_is_published_and_timed(stack, live):
    documents, _ = stack
    play(live, [documents.start(), documents.descriptor()])
    for i in range(5 * 24):
        live(*documents.line(*divmod(i, 24)))
        assert live.wait(60)
        assert live.snapshot.lines_done == i + 1
    assert len(live.latencies_ms) == 5 * 24
    assert all(latency >= 0 for latency in live.latencies_ms)
    assert live.result.n_mask > 150  # a map is there before the stack ends
    assert not live.snapshot.finished


def test_resumed_run_overwrites(stack, live):
    documents, references = stack
    play(live, [documents.start(), documents.descriptor()])
    order = [*range(100), *range(95, 160), *range(150, 288)]
    for i in order:
        live(*documents.line(*divmod(i, 24)))
    live(*documents.stop())
    assert live.error is None
    assert live.lines["OK"] == 288
    same(live.result, oxidation_map(documents.documents(), references).result)


def test_missed_line_then_retried(stack, live):
    documents, references = stack
    everything = list(documents.documents())
    everything[2 + 30] = documents.line(1, 6, missed=True)
    play(live, everything)
    assert live.lines == dict.fromkeys(live.lines, 0) | {"OK": 287, "MISSED": 1}
    assert (live.result.flags[6] & PixelFlag.MISSED).all()
    assert live.result.n_energies[6] == 11
    assert np.isfinite(live.result.fraction[6, 15])
    same(live.result, oxidation_map(everything, references).result)


def test_interrupted_run_keeps_its_map_and_says_so(stack, live):
    documents, _ = stack
    everything = list(documents.documents(lines=150))[:-1]
    play(live, [*everything, documents.stop("abort", "user")])
    assert live.snapshot.finished
    assert "abort" in live.snapshot.message
    assert "user" in live.snapshot.message
    assert (live.result.n_energies[:6] == 7).all()
    assert (live.result.n_energies[6:] == 6).all()


def test_runs_in_sequence_and_other_runs(stack, live):
    first, references = stack
    second, _ = make(seed=5, uid="second")
    other = [
        ("start", {"uid": "o", "plan_name": "count", "shape": [3]}),
        ("descriptor", {"uid": "o-d", "run_start": "o", "name": "primary"}),
        ("event", {"descriptor": "o-d", "seq_num": 1, "data": {}, "timestamps": {}, "time": 0.0}),
        ("stop", {"uid": "o-s", "run_start": "o", "exit_status": "success"}),
    ]
    baseline = ("descriptor", {"uid": "b", "run_start": "second", "name": "baseline"})
    reading = ("event", {"descriptor": "b", "seq_num": 1, "data": {}, "timestamps": {}, "time": 0})
    play(live, first.documents())
    kept = live.result
    play(live, other)
    assert live.result is kept
    start, *rest = second.documents()
    play(live, [start, baseline, reading, *rest])
    assert live.error is None
    assert live.snapshot.uid == "second"
    same(live.result, oxidation_map(second.documents(), references).result)


def test_backward_lines_are_turned_round(stack, live):
    documents, references = stack
    everything = []
    for name, doc in documents.documents():
        if name == "event_page" and doc["data"]["line"][0] % 2:
            for key in ("transmission", "i0", "sample_x"):
                doc["data"][key] = [doc["data"][key][0][::-1]]
        everything.append((name, doc))
    play(live, everything)
    same(live.result, oxidation_map(documents.documents(), references).result)


# -- failure -----------------------------------------------------------------------------------


def test_errors_stay_in_the_callback(stack, live, caplog):
    documents, references = stack
    everything = list(documents.documents())
    name, doc = everything[60]
    everything[60] = name, doc | {"data": doc["data"] | {"transmission": [[1.0, 2.0]]}}
    with caplog.at_level(logging.ERROR):
        for item in everything[:60]:
            live(*item)
        assert live.wait(60)
        play(live, everything[60:])
    assert "(frame 2, line 10): transmission has shape (2,)" in str(live.error)
    assert "oxidation map stopped" in caplog.text
    assert "Oxidation map stopped" in live.snapshot.message
    play(live, make(uid="next")[0].documents())  # the next run is not affected
    assert live.error is None
    assert live.snapshot.uid == "next"
    assert live.snapshot.finished


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 9}, "scan version = 9; this redoxscope reads version 1"),
        ({"frames": {"energy": [640.0], "dwell": 1e-3}}, "frame 1, which is none of region"),
        ({"frames": {"dwell": 1e-3}}, "scan frames has no 'energy'"),
        (
            {"regions": [{"center": [0, 0], "size": [3, 3], "pixels": [31, 24]}]},
            "transmission has shape",
        ),
        (
            {"regions": [{"center": [0, 0], "size": [3, 3], "pixels": [30, 12]}]},
            "line 12 of an image of 12 lines",
        ),
    ],
)
def test_unsuitable_start_documents(stack, live, change, match):
    name, doc = stack[0].start()
    live(name, doc | {"scan": doc["scan"] | change})
    play(live, list(stack[0].documents())[1:])
    assert match in str(live.error)
    assert live.snapshot is None or not live.snapshot.finished
    with pytest.raises(ValueError, match=match):
        oxidation_map([("start", doc | {"scan": doc["scan"] | change}), *documents_after(stack)])


def documents_after(stack):
    return list(stack[0].documents())[1:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame": [12]}, "says frame 12, which is none of region 'region'"),
        ({"frame": [-1]}, "frame = -1 must be a whole number >= 0"),
        ({"line": [24]}, "says line 24 of an image of 24 lines"),
    ],
)
def test_an_event_of_no_line_of_the_scan_is_named(stack, change, words):
    documents, references = stack
    everything = list(documents.documents())
    everything[7][1]["data"].update(change)
    with pytest.raises(ValueError, match=words):
        oxidation_map(everything, references)


def test_failing_on_update_is_called_once(stack, caplog):
    calls = []

    def broken(snapshot):
        calls.append(snapshot)
        raise RuntimeError("no screen")

    callback = OxidationMap(stack[1], on_update=broken)
    play(callback, stack[0].documents())
    assert callback.error is None
    assert len(calls) == 1
    assert callback.snapshot.finished
    callback.close()


def test_on_update_is_rate_limited_and_ends_with_the_final_map(stack):
    shown = []
    callback = OxidationMap(stack[1], on_update=shown.append, rate=1e-3)
    documents = list(stack[0].documents())
    for item in documents:
        callback(*item)
        callback.wait(60)
    assert len(shown) == 2  # the first, and the last
    assert shown[-1].snapshot is callback.snapshot and shown[-1].final
    callback.close()


def test_the_stop_document_waits_for_nothing_and_a_look_after_it_does(stack):
    busy, release = threading.Event(), threading.Event()

    def block(_):
        busy.set()
        release.wait(60)

    callback = OxidationMap(stack[1], on_update=block)
    play(callback, stack[0].documents())  # returns although the worker is stuck
    assert busy.wait(60) and not callback.wait(0.0)
    assert callback.pending == "oxidation map of run run"
    threading.Timer(0.05, release.set).start()
    assert callback.snapshot.finished and callback.result.n_mask > 150
    assert callback.wait(60) and callback.pending == ""
    callback.close()


def test_a_look_waits_only_so_long_and_says_so(stack, caplog):
    busy, release = threading.Event(), threading.Event()

    def block(_):
        busy.set()
        release.wait(60)

    callback = OxidationMap(stack[1], on_update=block, timeout=0.05)
    play(callback, stack[0].documents())
    assert busy.wait(60) and not callback.snapshot.finished
    assert "oxidation map of run run is not done after 0.05 s" in caplog.text
    release.set()
    assert callback.wait(60) and callback.snapshot.finished
    callback.close()


def test_call_on_the_engine_thread_only_queues(stack):
    started, release = threading.Event(), threading.Event()

    def block(_):
        started.set()
        release.wait(60)

    callback = OxidationMap(stack[1], on_update=block)
    documents = list(stack[0].documents())
    play(callback, documents[:3])
    assert started.wait(60)
    play(callback, documents[3:200])  # would never return if anything were computed here
    assert callback.snapshot.lines_done == 1
    release.set()
    assert callback.wait(60)
    assert callback.snapshot.lines_done == 198
    callback.close()


def test_snapshots_do_not_change_after_publication(stack, live):
    documents = list(stack[0].documents())
    play(live, documents[:200])
    live.wait(60)
    early = live.snapshot
    copy = early.result.fraction.copy()
    play(live, documents[200:])
    np.testing.assert_array_equal(early.result.fraction, copy)


def test_no_blank_is_said():
    stack, references = make()
    stack.counts[:] = np.random.default_rng(0).poisson(1000, stack.counts.shape)
    snapshot = oxidation_map(stack.documents(), references)
    assert "No blank area" in snapshot.message
    assert snapshot.result.n_mask == 0


def test_dead_time_and_saturation_come_from_the_descriptor(stack):
    documents, references = stack
    documents.configuration = {
        "transmission_dead_time": 2e-8,
        "transmission_saturation": 3.85e6,
    }
    documents.counts[:] = documents.counts / (1 + documents.counts * 2e-8 / 1e-3)
    corrected = oxidation_map(documents.documents(), references)
    assert corrected.result.ln_i0 == pytest.approx(np.log(4e3), abs=0.005)
    assert (corrected.result.flags & PixelFlag.SATURATED).any()


def test_bad_options():
    with pytest.raises(ValueError, match="i0 is 'guess'"):
        OxidationMap(i0="guess")
    with pytest.raises(ValueError, match="rate"):
        OxidationMap(rate=0)
    with pytest.raises(ValueError, match="no energy stack"):
        oxidation_map([])


# -- catalog -----------------------------------------------------------------------------------


class _Stream:
    def __init__(self, table, metadata):
        self.table, self.metadata = table, metadata

    def __iter__(self):
        return iter(self.table)

    def read(self, names):
        return self.table[names]


class _Run(dict):
    metadata: dict


def test_run_of_a_catalog(stack):
    xarray = pytest.importorskip("xarray")
    documents, references = stack
    documents.configuration = {"transmission_dead_time": 1e-8}
    everything = list(documents.documents())
    pages = [doc for name, doc in everything if name == "event_page"]
    keys = (
        "transmission", "i0", "sample_x", "sample_y", "frame", "line", "energy", "line_status"
    )  # fmt: skip
    columns = {}
    for key in keys:
        values = np.array([page["data"][key][0] for page in pages])
        columns[key] = (("time", f"dim_{key}")[: values.ndim], values)
    columns["seq_num"] = ("time", np.array([page["seq_num"][0] for page in pages]))
    run = _Run(
        primary=_Stream(
            xarray.Dataset(columns), {"configuration": everything[1][1]["configuration"]}
        )
    )
    run.metadata = {"start": everything[0][1]}
    same(
        oxidation_map(run, references).result,
        oxidation_map(everything, references).result,
    )


def test_with_a_run_engine(stack):
    from bluesky import RunEngine
    from bluesky.utils import Msg

    documents, references = stack
    RE = RunEngine({}, context_managers=[])
    callback = OxidationMap(references)
    RE.subscribe(callback)
    start = documents.start()[1]

    def plan():
        yield Msg("open_run", **{k: v for k, v in start.items() if k not in ("uid", "time")})
        yield Msg("close_run")

    RE(plan())
    assert callback.error is None
    assert callback.snapshot is None  # no line came
    callback.close()


@pytest.mark.parametrize("n", [3, 20])
def test_memory_does_not_grow_with_lines_repeated(stack, n):
    documents, references = stack
    callback = OxidationMap(references)
    play(callback, [documents.start(), documents.descriptor()])
    for _ in range(n):
        for i in range(24):
            callback(*documents.line(0, i))
    assert callback.wait(60)
    assert callback.snapshot.lines_done == 24
    assert callback._queue.empty()
    callback.close()


@pytest.mark.parametrize("option", ["rate", "timeout"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "2", None, True])
def test_times_that_no_lock_can_wait_for_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} = "):
        OxidationMap(**{option: value})
    with pytest.raises(ValueError, match=r"timeout = 1e\+300 s must be .* at most"):
        OxidationMap(timeout=1e300)


@pytest.mark.parametrize(
    "change",
    [{"references": "Toner 2014"}, {"scan": "Mn"}, {"scan": 5}, {"scan": {"kind": "lines"}}],
)
def test_a_run_refused_for_its_start_document_is_the_plan_s_to_say(stack, caplog, change):
    callback = OxidationMap()
    (_, start), *_, (_, stop) = stack[0].documents()
    baseline = {"uid": "b", "run_start": start["uid"], "name": "baseline", "data_keys": {}}
    refused = [("start", start | change), ("descriptor", baseline), ("stop", stop)]
    play(callback, refused)
    assert caplog.text == "" and callback.snapshot is None
    callback.close()


def test_references_that_cannot_be_read_are_told_once_there_are_data(stack, caplog):
    callback = OxidationMap()
    (_, start), *rest = stack[0].documents()
    play(callback, [("start", start | {"references": "Toner 2014"}), *rest])
    assert callback.wait(60)
    assert caplog.text.count("no whole oxidation map of run") == 1
    assert "cannot be read" in str(callback.error)
    assert callback.snapshot.finished  # the images
    callback.close()
