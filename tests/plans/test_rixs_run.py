"""RIXS runs on the simulated beamline: server, IOC, RunEngine, files and catalog are real."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from bluesky.utils import RunEngineInterrupted
from caproto.sync.client import write as caput

from redoxscope.callbacks import Host, PixelState, photons_of_run, rixs_from_photons, rixs_from_run
from redoxscope.callbacks.rixs.analysis import ANALYSIS as RIXS
from redoxscope.devices import DeviceError
from redoxscope.documents import STREAM, TOTALS_STREAM, PointStatus
from redoxscope.plans import rixs_map
from redoxscope.scan import Scan
from redoxscope.session._publish import publish_documents
from redoxscope.testing import validate_rixs_run

from ..callbacks.test_remote import Heard, Proxy
from ..devices.tes.parts import settled, truth
from ..shutters import closed
from .conftest import Cut, ask_for_pause

ENERGIES = [528.0, 530.8, 531.0, 545.0]
SCAN = {"energies": ENERGIES, "dwell": 2.0, "passes": 2, "windows": ["PFY[505:535]", "TFY"]}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    from redoxscope import start_session

    with start_session(speed=20, tes=True, data=tmp_path_factory.mktemp("data")) as s:
        s.tes.set_calibration(truth())
        assert len(s.cat) == 0  # made now, not at the end of the first run
        yield s


@pytest.fixture
def run(session):
    """Run a plan; its documents by stream, and the run as it was emitted."""
    record = []
    token = session.RE.subscribe(lambda name, doc: record.append((name, doc)))

    def go(**options):
        session.RE(rixs_map(session.tes, session.mono, **(SCAN | options)))
        return record

    go.record = record
    yield go
    if session.RE.state != "idle":
        session.RE.abort()
    session.RE.unsubscribe(token)


def events(record, stream=STREAM):
    names = {doc["uid"]: doc["name"] for name, doc in record if name == "descriptor"}
    found = {}
    for name, doc in record:
        if name == "event" and names[doc["descriptor"]] == stream:
            found[doc["seq_num"]] = doc["data"]
    return found


def consistent(session, record):
    """Every event holds the photons of its window in the list, each once."""
    uid = record[0][1]["uid"]
    photons = photons_of_run(session.cat[uid])
    used = set(session.tes.calibration.usable.tolist())
    mine = np.isin(photons.photons.pixel, list(used))
    for data in events(record).values():
        own = mine & (photons.point == data["tes_point"]) & ~photons.late.astype(bool)
        assert own.sum() == data["tes_counts"]
        when = photons.photons.time_ns[photons.point == data["tes_point"]]
        assert ((when >= data["tes_point_start"]) & (when < data["tes_point_end"])).all()
    key = np.stack([photons.photons.pixel, photons.photons.time_ns])
    assert np.unique(key, axis=1).shape[1] == key.shape[1]


def test_a_run_fulfils_the_contract_and_live_is_batch(session, run):
    record = run()
    validate_rixs_run(record)
    assert len(events(record)) == 8 and record[-1][1]["exit_status"] == "success"
    closed(session.stxm.shutter)
    live = session.rixs_map.snapshot
    uid = record[0][1]["uid"]
    again = rixs_from_run(session.cat[uid])
    np.testing.assert_array_equal(live.result.rate, again.result.rate)
    assert live.photons == sum(d["tes_counts"] for d in events(record).values()) > 100
    assert live.lost == 0
    consistent(session, record)


def test_the_map_is_made_again_from_photons(session, run):
    record = run(passes=1)
    live = session.rixs_map.snapshot
    stored = session.cat[record[0][1]["uid"]]
    again = rixs_from_photons(photons_of_run(stored), stored)
    np.testing.assert_array_equal(live.result.counts, again.result.counts)
    np.testing.assert_allclose(live.result.rate, again.result.rate, rtol=1e-12, equal_nan=True)


def test_the_best_pixels_alone(session, run):
    record = run(passes=1, pixels=64)
    health = session.rixs_map.snapshot.pixels
    assert session.rixs_map.snapshot.pixels_used == 64
    assert health.count(PixelState.SPARE) == len(session.tes.calibration.usable) - 64
    assert set(health.left_out) == {p.channel for p in session.tes.calibration.pixels if not p.ok}
    assert all(health.left_out.values())
    validate_rixs_run(record)
    stored = session.cat[record[0][1]["uid"]]
    assert rixs_from_run(stored).pixels.count(PixelState.SPARE) == health.count(PixelState.SPARE)


def test_pause_in_the_middle_of_a_point(session, run):
    RE, asked = session.RE, []

    def pause(batch):
        """In the thread that takes the photons: until it is asked for the point cannot end."""
        if batch.point == 1 and not asked:
            asked.append(batch)
            RE.request_pause()

    token = session.tes.subscribe_batches(pause)
    try:
        with pytest.raises(RunEngineInterrupted):
            run()
    finally:
        token()
    assert RE.state == "paused"
    closed(session.stxm.shutter)  # no beam on the sample while nobody counts
    RE.resume()
    validate_rixs_run(run.record)
    assert len(events(run.record)) == 8
    points = [data["tes_point"] for _, data in sorted(events(run.record).items())]
    assert points[-1] > 7  # the abandoned window took a number
    consistent(session, run.record)
    closed(session.stxm.shutter)


def test_pause_while_the_server_begins_the_run(session, run):
    """bluesky neither stages again nor goes on waiting for it."""
    RE, asked = session.RE, []

    def ask(msg):
        if msg.command == "stage" and not asked:
            asked.append(ask_for_pause(RE))

    session.simulation.dastard.fault("late_writing 40")
    settled(session.tes)
    RE.msg_hook = ask
    try:
        with pytest.raises(RunEngineInterrupted):
            run(passes=1)
        assert not run.record  # no run was opened
        RE.resume()
    finally:
        RE.msg_hook = None
        session.simulation.dastard.fault("clear")
    validate_rixs_run(run.record)
    assert len(events(run.record)) == 4


def test_pause_at_the_end_of_a_pass_announces_no_photon_twice(session, run):
    RE, asked = session.RE, []

    def ask(name, doc):
        if name == "event" and doc["seq_num"] == len(ENERGIES) and not asked:
            asked.append(ask_for_pause(RE))  # while the last point is being saved

    token = RE.subscribe(of_points(ask), "event")
    try:
        with pytest.raises(RunEngineInterrupted):
            run()
        RE.resume()
    finally:
        RE.unsubscribe(token)
    datums = [doc for name, doc in run.record if name == "stream_datum"]
    mine = [doc for doc in datums if doc["stream_resource"] == datums[0]["stream_resource"]]
    for key, first in (("indices", 0), ("seq_nums", 1)):
        borders = [first, *(doc[key]["stop"] for doc in mine)]
        assert [doc[key]["start"] for doc in mine] == borders[:-1]
    stop = run.record[-1][1]
    assert stop["num_events"]["tes_photons"] == mine[-1]["indices"]["stop"]
    validate_rixs_run(run.record)


def test_pause_before_the_totals_are_read_loses_no_photons(session, run, monkeypatch):
    RE, read, asked = session.RE, session.tes.totals.read, []

    def pause_first():
        if not asked:
            asked.append(ask_for_pause(RE))
        return read()

    monkeypatch.setattr(session.tes.totals, "read", pause_first)
    with pytest.raises(RunEngineInterrupted):
        run(passes=1)
    feed = session.tes.client.status
    for _ in range(10):  # the server goes on counting
        feed.wait_for("TRIGGERRATE", lambda _: True, 20, what="it counts", after=feed.count)
    RE.resume()
    assert events(run.record, TOTALS_STREAM)[1]["tes_total_lost"] == 0
    validate_rixs_run(run.record)


def test_the_shutter_is_asked_for_after_a_long_move(session, run):
    """The dead man of the shutter runs from when the point begins, not the move before it."""
    shutter, mono, targets, there = session.stxm.shutter, session.mono, [], []

    def look(msg):
        if msg.command == "set" and msg.obj is mono:
            targets.append(msg.args[0])
        elif msg.command == "set" and msg.obj is shutter and msg.args == ("hold",):
            there.append(mono.at(targets[-1]))

    session.RE(bps.mv(mono, 1000.0))
    session.RE.msg_hook = look
    try:
        record = run(passes=1)
    finally:
        session.RE.msg_hook = None
    assert len(there) >= len(ENERGIES) and all(there)
    assert min(data["tes_counts"] for data in events(record).values()) > 10


def test_abort_leaves_everything_ready_for_the_next_run(session, run):
    RE, asked = session.RE, []

    def ask(name, doc):
        if doc["seq_num"] == 2 and not asked:
            asked.append(ask_for_pause(RE))

    token = RE.subscribe(of_points(ask), "event")
    with pytest.raises(RunEngineInterrupted):
        run(passes=20)
    RE.unsubscribe(token)
    RE.abort("enough")
    stop = run.record[-1][1]
    assert stop["exit_status"] == "abort"
    closed(session.stxm.shutter)
    done = events(run.record)
    assert 0 < len(done) < 80
    run.record.clear()
    run(passes=1)
    validate_rixs_run(run.record)


def test_a_server_that_dies_in_the_middle_of_a_point(session, run):
    dastard = session.simulation.dastard
    killed = []

    def kill(batch):
        if not killed:
            killed.append(True)
            dastard.kill()

    token = session.tes.subscribe_batches(kill)
    try:
        with pytest.raises(DeviceError, match="Dastard 127.0.0.1:.* closed its connection"):
            run(passes=20)
        closed(session.stxm.shutter)
        assert run.record[-1][0] == "stop" and run.record[-1][1]["exit_status"] == "fail"
    finally:
        token()
        dastard.restart()
    run.record.clear()
    run(passes=1)
    validate_rixs_run(run.record)
    consistent(session, run.record)


# A second here for each point: what another client does in the second falls into it.
LONG = {"energies": ENERGIES[:3], "dwell": 20.0, "passes": 1}


def of_points(function):
    """A callback of events, called for those of points: temperatures are events, too."""
    return lambda name, doc: function(name, doc) if "tes_point" in doc["data"] else None


def another_client(session, *puts):
    """Puts of another CA client within the second point, as (suffix, value); what ends it."""
    done = []

    def meddle(batch):
        if batch.point == 1 and not done:
            done.append(True)
            for suffix, value in puts:
                caput(f"{session.simulation.prefix}{suffix}", value, notify=False)

    return session.tes.subscribe_batches(meddle)


MEDDLING = {
    "mono": (("Mono:Energy", 560.0),),
    "mono-and-back": (("Mono:Energy", 560.0), ("Mono:Energy", 530.8)),
    "epu": (("Mono:EPU", 560.0),),
    "holder": (("Holder:Sample", "reference"),),
    "holder-and-back": (("Holder:Sample", "reference"), ("Holder:Sample", "lmr_charged")),
    "dwell": (("I0:Dwell", 0.01),),
    "dwell-and-back": (("I0:Dwell", 0.01), ("I0:Dwell", LONG["dwell"])),
}


@pytest.mark.parametrize("what", MEDDLING)
def test_a_point_in_which_another_client_meddles_is_measured_again(session, run, what, caplog):
    end = another_client(session, *MEDDLING[what])
    try:
        record = run(**LONG)
    finally:
        end()
    validate_rixs_run(record)
    done = events(record)
    assert len(done) == 3 and "is measured again" in caplog.text
    assert all(data["tes_point_status"] == 0 for data in done.values())
    assert done[2]["tes_point"] > 1
    for seq_num, data in done.items():
        assert abs(data["energy"] - ENERGIES[seq_num - 1]) <= 0.02
        assert data["i0"] > 0
    assert session.tes.holder.position == "lmr_charged"
    assert session.rixs_map.snapshot.points_done == 3
    consistent(session, record)
    closed(session.stxm.shutter)


@pytest.mark.parametrize("puts", [(("Shutter:Cmd", 0),), (("Shutter:Mode", 0),)])
def test_a_shutter_that_another_client_takes_stays_closed(session, run, puts):
    end = another_client(session, *puts)
    try:
        with pytest.raises(RuntimeError, match="Shutter:.* is 0.*somebody else.*rather than open"):
            run(**LONG)
    finally:
        end()
    closed(session.stxm.shutter)
    assert run.record[-1][1]["exit_status"] == "fail" and 0 < len(events(run.record)) < 4


@pytest.mark.parametrize("suffix", ["Shutter:Cmd", "Shutter:Mode"])
def test_a_shutter_that_is_taken_between_two_points_stays_closed(session, run, suffix):
    def take(name, doc):
        caput(f"{session.simulation.prefix}{suffix}", 0, notify=True)

    token = session.RE.subscribe(of_points(take), "event")
    try:
        with pytest.raises(DeviceError, match=f"{suffix}.* is 0 .*is not opened again"):
            run(**LONG)
    finally:
        session.RE.unsubscribe(token)
    closed(session.stxm.shutter)
    assert run.record[-1][1]["exit_status"] == "fail" and len(events(run.record)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["set", "trigger"])
def test_a_network_cut_is_survived(session, run, command, caplog):
    """Before the second move, and as the second point begins: the server is held."""
    words = "it is asked for again when stxm_monochromator and tes answer"

    def hook(msg):
        hook.points += msg.command == "set" and msg.obj is session.mono
        mine = msg.obj is (session.mono if command == "set" else session.tes)
        if hook.points == 2 and msg.command == command and mine:
            cut()

    hook.points = 0
    session.RE.msg_hook = hook
    try:
        with Cut(session.simulation.pid, words) as cut:
            record = run(passes=1)
    finally:
        session.RE.msg_hook = None
    validate_rixs_run(record)
    assert [data["tes_point_status"] for data in events(record).values()] == [0] * len(ENERGIES)
    assert words in caplog.text
    assert record[-1][1]["exit_status"] == "success"
    closed(session.stxm.shutter)
    consistent(session, record)


def test_a_run_is_measured_again(session, run):
    """From its start document in the catalog: the same points, with the same windows."""
    zones = [(528.0, 529.0, 1.0), (531.0, 530.0, 0.5, 4.0)]
    record = list(run(energies=None, zones=zones, dwell=2.0, passes=2))
    validate_rixs_run(record)
    lengths = {d["tes_point_end"] - d["tes_point_start"] for d in events(record).values()}
    assert lengths == {2 * 10**9, 4 * 10**9}
    start = session.cat[record[0][1]["uid"]].metadata["start"]
    run.record.clear()
    session.RE(rixs_map(session.tes, session.mono, scan=Scan.from_start(start)))
    validate_rixs_run(run.record)
    assert run.record[0][1]["scan"] == record[0][1]["scan"] == start["scan"]
    shown = session.rixs_map.snapshot
    assert shown.energies.tolist() == [528.0, 529.0, 530.0, 530.5, 531.0] and shown.passes == 2
    stored = rixs_from_run(session.cat[run.record[0][1]["uid"]])
    np.testing.assert_array_equal(shown.result.rate, stored.result.rate)


def test_a_beam_dump_within_a_point_is_no_damage(session, run, caplog):
    end = another_client(session, ("Sim:Fault", "beam_dump"))
    back = threading.Event()

    def bring_back(name, doc):
        if doc["seq_num"] == 3 and not back.is_set():
            back.set()
            caput(f"{session.simulation.prefix}Sim:Fault", "beam_back", notify=True)

    token = session.RE.subscribe(of_points(bring_back), "event")
    try:
        record = run(**LONG | {"energies": ENERGIES})
    finally:
        end()
        session.RE.unsubscribe(token)
        caput(f"{session.simulation.prefix}Sim:Fault", "beam_back", notify=True)
    done = events(record)
    flagged = [n for n, data in done.items() if data["tes_point_status"]]
    assert 2 in flagged and len(done) == 4
    assert all(PointStatus(done[n]["tes_point_status"]) == PointStatus.BEAM for n in flagged)
    assert "beam" in caplog.text
    shown = session.rixs_map.snapshot
    assert f"{len(flagged)} doubtful points are left out (beam {len(flagged)})" in shown.message
    assert shown.points_done == 4 - len(flagged)


def test_lost_photons_are_counted(session, run):
    session.simulation.dastard.fault("drop 0.3")
    try:
        record = run(passes=1)
    finally:
        session.simulation.dastard.fault("clear")
    totals = events(record, TOTALS_STREAM)[1]
    share = totals["tes_total_lost"] / (totals["tes_total_lost"] + totals["tes_total_photons"])
    assert 0.2 < share < 0.4
    assert session.rixs_map.snapshot.lost == totals["tes_total_lost"]


def test_without_a_calibration_nothing_moves(session):
    calibration, here = session.tes.calibration, session.mono.position
    session.tes.set_calibration(None)
    try:
        with pytest.raises(ValueError, match="not calibrated"):
            session.RE(rixs_map(session.tes, session.mono, **SCAN))
    finally:
        session.tes.set_calibration(calibration)
    assert session.mono.position == here
    closed(session.stxm.shutter)


def test_damage_pauses_the_scan(session, run):
    from redoxscope.analysis.rixs import DamageVerdict

    verdict = DamageVerdict(True, "sPFY falls by 30 % a pass (6.1 σ)", (), (), 6.1)
    first = threading.Event()

    def once(batch):
        if not first.is_set():
            first.set()
            session.rixs_map.on_damage(verdict, run.record[0][1]["uid"])

    token = session.tes.subscribe_batches(once)
    try:
        with pytest.raises(RunEngineInterrupted):
            run()
    finally:
        token()
    closed(session.stxm.shutter)
    session.RE.resume()
    assert len(events(run.record)) == 8


def test_damage_found_at_the_very_end_holds_nobody_up(session, run, caplog):
    """Closing waits for the map, so the map must not wait for the RunEngine."""
    from redoxscope.analysis.rixs import DamageVerdict

    verdict = DamageVerdict(True, "sPFY falls by 30 % a pass (6.1 σ)", (), (), 6.1)
    last = []

    def ending(update):
        if update.final:
            last.append(session.rixs_map.on_damage(verdict, update.run))

    limit, session.rixs_map.timeout = session.rixs_map.timeout, 60.0
    session.rixs_map.on_update = ending
    try:
        record = run(passes=1)
        assert session.rixs_map.wait(120)
    finally:
        session.rixs_map.on_update, session.rixs_map.timeout = None, limit
    assert last == [None] and record[-1][1]["exit_status"] == "success"
    assert "is not done" not in caplog.text
    assert "sPFY falls" in caplog.text


def test_the_point_under_way_is_seen_elsewhere(session, run):
    """Photons of a real (simulated) server, through a session and a proxy, to a host elsewhere."""
    proxy, host, undo = Proxy(), Host([RIXS]), ExitStack()
    with undo, Heard(proxy.out, host) as heard:
        publish_documents(proxy.into, session.beamline, session.RE, undo)
        heard.wait_said(f"session {session.file.name} is there")
        run()
        heard.wait(lambda: heard.documents and heard.documents[-1][0] == "stop")
        uid = run.record[0][1]["uid"]
        assert {of for of, _ in heard.batches} == {uid}
        assert not any("lost" in said or "not here" in said for said in heard.said)
        mine, theirs = session.rixs_map.snapshot, host.latest[uid, "rixs_map", ""]
        assert theirs.finished and theirs.photons == mine.photons > 0
    host.close()
    proxy.stop()
