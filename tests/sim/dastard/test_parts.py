"""Parts of the simulated Dastard by themselves."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.formats import summary_dtype
from redoxscope.sim.dastard import SERVER_FAULTS, ServerFaults
from redoxscope.sim.dastard._beam import BeamHistory, BeamState
from redoxscope.sim.dastard._clock import ServerClock, rfc3339
from redoxscope.sim.dastard._rates import TriggerRates
from redoxscope.sim.dastard._rpc import GoError, fill, unfinished
from redoxscope.sim.dastard._scans import ScanState, TransitionError
from redoxscope.sim.dastard._server import DastardServer
from redoxscope.sim.dastard._source import TRIGGER_FIELDS, Source, default_trigger

SAMPLES = ("lmr_charged", "reference")


def test_the_clock_runs_faster_from_its_epoch_on():
    clock = ServerClock(50, epoch_ns=1_000_000_000)
    assert clock.of_real(1.0) == 1_000_000_000
    assert clock.of_real(3.0) == 101_000_000_000
    before = clock.now_ns()
    assert clock.now_ns() >= before
    with pytest.raises(ValueError, match="speed = nan"):
        ServerClock(float("nan"))


def test_times_read_as_those_of_go(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    assert rfc3339(1_700_000_000_000_000_000).startswith("2023-11-1")
    assert ".12" in rfc3339(1_700_000_000_120_000_000)
    assert "." not in rfc3339(1_700_000_000_000_000_000)


def test_structs_are_filled_as_go_fills_them():
    fields = {"Label": "string", "Count": "int32", "Rate": "float64", "On": "bool", "All": "[]int"}
    given = {"LABEL": "x", "count": -1, "Other": 5, "all": [1, 2], "rate": 3}
    assert fill(given, "S", fields) == {
        "Label": "x", "Count": -1, "Rate": 3.0, "On": False, "All": [1, 2]
    }  # fmt: skip
    assert fill(None, "S", fields)["All"] == []
    for wrong in ({"Count": 1.5}, {"Count": 1 << 31}, {"On": 1}, {"All": 3}, {"All": ["a"]}, [1]):
        with pytest.raises(GoError, match="json: cannot unmarshal"):
            fill(wrong, "S", fields)


def test_a_request_may_be_cut_anywhere_and_nonsense_is_seen_at_once():
    text = (
        '{"id":-1.5e+3,"method":"a\\u00e9\\ud83d\\ude00b\\n","params":[true,false,null,{"a":[]}]}'
    )
    for end in range(1, len(text)):
        with pytest.raises(json.JSONDecodeError) as caught:
            json.JSONDecoder().raw_decode(text[:end])
        assert unfinished(caught.value), text[:end]
    for nonsense in ("hello", "\0\1", "}{", "GET /", '{"a" 5', '{"a":tru3', "[1 2]", '{"a":"\\x"}'):
        with pytest.raises(json.JSONDecodeError) as caught:
            json.JSONDecoder().raw_decode(nonsense)
        assert not unfinished(caught.value), nonsense


def test_beam_changes_take_effect_when_they_happened():
    beam = BeamState(energy=640.0, open=True)
    history = BeamHistory(beam)
    closed = beam.changed({"open": False}, SAMPLES)
    history.add(150, closed)
    moved = closed.changed({"energy": 700, "open": True}, SAMPLES)
    history.add(180, moved)
    assert list(history.stretches(100, 200)) == [
        (100, 150, beam), (150, 180, closed), (180, 200, moved)
    ]  # fmt: skip
    assert list(history.stretches(200, 300)) == [(200, 300, moved)]
    late = moved.changed({"flux": 0}, SAMPLES)
    history.add(250, late)  # photons until 300 were drawn already
    assert list(history.stretches(300, 400)) == [(300, 400, late)]
    assert history.latest is late and late.on_sample == 0


def test_a_heated_sample_is_told_by_its_parts():
    beam = BeamState(open=True).changed({"parts": {"lmr_charged": 0.2, "lmr_heated": 0.8}}, SAMPLES)
    assert beam.parts == (("lmr_charged", 0.2), ("lmr_heated", 0.8))
    assert beam.changed({"energy": 531.0}, SAMPLES).parts == beam.parts
    assert beam.changed({"sample": "reference", "parts": {}}, SAMPLES).parts == ()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"energy": float("nan")}, "beam energy = nan"),
        ({"flux": -1}, "beam flux = -1.0 must be"),
        ({"sample": "wood"}, "unknown sample 'wood'; known: lmr_charged, reference"),
        ({"parts": {"wood": 1.0}}, "unknown part 'wood'; known: lmr_charged, lmr_heated"),
        ({"parts": {"lmr_spinel": float("nan")}}, "part lmr_spinel = nan must be a share"),
    ],
)
def test_impossible_beams_are_refused(message, text):
    with pytest.raises(ValueError) as error:
        BeamState().changed(message, SAMPLES)
    assert text in str(error.value)


def photons(times):
    out = np.zeros(len(times), summary_dtype(0))
    out["t_ns"] = times
    out["chan_index"] = np.arange(len(times)) % 2
    return out


def test_counts_belong_to_the_second_of_the_photon():
    second = 1_000_000_000
    rates = TriggerRates(2, begin_ns=10 * second + 5)
    rates.add(photons([10 * second + 6, 11 * second - 1, 11 * second, 11 * second + 3]))
    first, after = rates.take(), rates.take()
    assert first["CountsSeen"] == [1, 1] and after["CountsSeen"] == [1, 1]
    assert first["HiTime"] == rfc3339(11 * second) and first["Duration"] == second
    assert rates.boundary_ns == 13 * second


def test_channels_of_either_readout():
    resonators, lancero = (Source(kind, 40, 1024, 259) for kind in ("RESONATOR", "LANCERO"))
    assert (resonators.nchan, lancero.nchan) == (40, 80)
    assert list(lancero.index(np.arange(3))) == [1, 3, 5]
    assert [lancero.names[i] for i in (0, 1, 79)] == ["err1", "chan1", "chan40"]
    assert [lancero.number(i) for i in (0, 1, 79)] == [1, 1, 40]
    assert lancero.row(79) == (9, 30) and resonators.row(39) == (0, 1)
    pulses = default_trigger() | {"EdgeMulti": True}
    lancero.set_triggers([0, 1, 2], pulses)  # of the error signals nothing comes
    assert np.flatnonzero(lancero.triggering).tolist() == [0]
    groups = lancero.trigger_state()
    assert [len(group["ChannelIndices"]) for group in groups] == [3, 77]
    assert set(groups[0]) == {"ChannelIndices", *TRIGGER_FIELDS}


def test_faults_are_read_from_text():
    faults = ServerFaults()
    faults.request("late 0.5 3")
    faults.request("drop 0.1")
    faults.request("late_writing 2")
    faults.request("quiet")
    assert (faults.late, faults.late_s, faults.drop, faults.late_writing_s) == (0.5, 3.0, 0.1, 2.0)
    faults.request("clear")
    assert (faults.late, faults.drop, faults.rate, faults.quiet) == (0.0, 0.0, 1.0, False)


@pytest.mark.parametrize("command", ["drop", "drop 2", "drop x", "late 0.1", "quiet 1", "rate -1"])
def test_faults_that_make_no_sense_are_refused(command):
    with pytest.raises(ValueError, match="expected") as error:
        ServerFaults().request(command)
    assert SERVER_FAULTS[command.split()[0]] in str(error.value)


def test_scan_states_are_strict():
    state = ScanState()
    with pytest.raises(TransitionError, match="Can't scan_start when in no_file"):
        state.check("scan_start")
    for call in ("file_start", "scan_start", "scan_point_start"):
        state.check(call)
        state.go(call)
    with pytest.raises(TransitionError, match="Can't scan_end when in scan_point"):
        state.check("scan_end")


@pytest.mark.parametrize(
    "told, until",
    [(None, 990), (995, 990), (950, 950), (0, 900)],
    ids=["nobody-tells", "up-to-date", "behind", "gone"],
)
def test_photons_are_drawn_when_it_is_known_what_fell_on_the_sample(told, until):
    """A late message on a busy machine would be photons of another beam, and look like damage."""
    server = SimpleNamespace(_lag_ns=10, _told_ns=told, _patience_ns=100)
    assert DastardServer._known_until(server, 1000) == until
