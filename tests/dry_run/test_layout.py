"""A simulated beamline made from any beamline file, and from how that beamline stands."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from importlib import resources

import pytest

from redoxscope.beamline import (
    ConfigError,
    connect,
    load_beamline,
    make_beamline,
    parse_beamline,
    simulated_beamline,
)
from redoxscope.dry_run import State, StateError, layout_of, read_state, take_snapshot
from redoxscope.sim import Layout, Simulation
from redoxscope.sim.ioc._process import _running, _take_port
from redoxscope.testing import made_stxm

from .watching import WatchingIOC


def said(value=None, limits=None):
    return {"device": "", "value": value} | ({} if limits is None else {"limits": list(limits)})


def state(config, **pvs):
    """A snapshot of a beamline in which these PVs said something of interest."""
    names = layout_of(config).names.values()
    known = dict.fromkeys(layout_of(config).plain, said()) | {name: said() for name in names} | pvs
    return State(config.name, "mine.yml", "", "2026-11-26T01:00:00+00:00", known)


@pytest.fixture
def config(mine):
    return load_beamline(mine)


def test_every_pv_has_the_name_of_the_file(config):
    names = layout_of(config).names
    assert names["Mono:Energy"] == "BL:pgm:en"
    assert names["Mono:Energy:RBV"] == "BL:PGM:Energy:RBV"
    assert names["Sample:FineX"] == "PI:x"
    assert names["Counters.tey:Line"] == "BL:tey:Line"
    assert names["Ring:Current"] == "SR:DCCT"
    assert not [name for name in names if name.startswith(("I0:", "Holder:"))]


def test_the_layout_survives_the_way_to_the_process(config):
    layout = layout_of(config, state(config, **{"BL:zpZ.VELO": said(1500.0)}))
    assert Layout.from_json(layout.to_json()) == layout
    assert layout.value("ZP:Z.VELO", 0) == 1500.0
    assert layout.offset_at(640.0) == 0.35
    assert layout.zone_plate().outer_zone_nm == 25


def test_an_absorption_station_is_served_under_its_own_names(tmp_path):
    path = tmp_path / "xas.yml"
    path.write_text(
        "name: mine\nprefix: 'BL:'\ndevices:\n"
        "  mono: {class: monochromator, prefix: 'PGM:'}\n"
        "  keithleys: {class: quadem, prefix: 'EM7:', channels: {1: i0, 2: tey}}\n"
        "  flyer: {class: energy_sweep, prefix: 'FLY:', channels: {1: i0, 2: tey}}\n"
        "instruments: {xas: {energy: mono, detectors: [keithleys], sweep: flyer}}\n"
    )
    names = layout_of(load_beamline(path)).names
    assert names["EM:Current2:MeanValue_RBV"] == "BL:EM7:Current2:MeanValue_RBV"
    assert names["Sweep:Energy"] == "BL:FLY:Energy"


def test_a_monochromator_on_a_record_settles_as_its_file_says(tmp_path):
    path = tmp_path / "fly.yml"
    mono = "{class: motor_monochromator, prefix: 'PGM', settle: 0.7}"
    path.write_text(f"name: mine\ndevices: {{mono: {mono}}}\n")
    assert layout_of(load_beamline(path)).value("Mono:Settle", 0.2) == 0.7


def test_one_pv_under_two_keys_is_named(mine):
    mine.write_text(mine.read_text().replace('"SR:ID7:E"', '"BL:pgm:en"'))
    with pytest.raises(ConfigError, match="devices.mono EPU.*devices.mono Energy|'BL:pgm:en'"):
        layout_of(load_beamline(mine))


def test_a_snapshot_of_another_beamline_is_refused(config):
    other = replace(state(config), beamline="theirs")
    with pytest.raises(StateError, match="of the beamline 'theirs'.*of 'mine'"):
        layout_of(config, other)


def test_a_snapshot_that_lacks_a_pv_of_the_file_is_refused(config):
    known = state(config)
    less = {pv: entry for pv, entry in known.pvs.items() if pv not in ("PI:x", "PI:y")}
    with pytest.raises(StateError, match="nothing of the PV 'PI:x', nor of 1 more"):
        layout_of(config, replace(known, pvs=less))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: mine\n", "no snapshot; make one"),
        ("snapshot: 9\n", "of version 9; this program reads version 1"),
        ("snapshot: 1\nbeamline: 3\n", "beamline = 3 must be text"),
        ("- 1\n", "no snapshot"),
        ("a: [\n", "state.yml:"),
        (
            "snapshot: 1\nbeamline: b\nfile: f\nsha256: s\ntime: t\npvs:\n  X: 3\n",
            "X = 3 must hold value",
        ),
        (
            "snapshot: 1\nbeamline: b\nfile: f\nsha256: s\ntime: t\npvs:\n  X: {limits: [1]}\n",
            r"X: limits = \[1\] must be two numbers",
        ),
    ],
)
def test_what_is_no_snapshot_is_said(tmp_path, text, words):
    path = tmp_path / "state.yml"
    path.write_text(text)
    with pytest.raises(StateError, match=words):
        read_state(path)


def test_a_snapshot_file_that_is_not_there(tmp_path):
    with pytest.raises(StateError, match="none.yml"):
        read_state(tmp_path / "none.yml")


@pytest.mark.parametrize("pv", ["BL:PGM:Velocity", "BL:zpZ.VELO", "BL:blade:DeadMan"])
def test_text_where_a_number_belongs_is_named(config, pv):
    with pytest.raises(StateError, match=rf"{pv}: value = 'fast' must be a number"):
        layout_of(config, state(config, **{pv: said("fast")}))


@pytest.fixture(scope="module")
def stood(tmp_path_factory):
    """The beamline of the file, not as the simulation's own: limits, speeds, positions."""
    from .conftest import MINE

    path = tmp_path_factory.mktemp("beamline") / "mine.yml"
    path.write_text(MINE, encoding="utf-8")
    config = load_beamline(path)
    there = state(
        config,
        **{
            "BL:pgm:en": said(705.5, (260.0, 1300.0)),
            "BL:PGM:Energy:RBV": said(705.5),
            "SR:ID7:E": said(705.0, (270.0, 1200.0)),
            "SR:ID7:E_RBV": said(705.0),
            "BL:PGM:Velocity": said(2.5),
            "BL:PGM:Settle": said(0.7),
            "BL:zpZ.VELO": said(333.0),
            "BL:zpZ.ACCL": said(1.5),
            "BL:zpZ.VAL": said(-1500.0, (-9000.0, -200.0)),
            "BL:zpZ.RBV": said(-1500.0),
            "BL:fly:Flyback": said(0.05),
            "BL:fly:MaxPoints": said(500),
            "SR:DCCT": said(211.0),
            "BL:blade:Mode": said(1),
            "BL:blade:DeadMan": said(7.0),
        },
    )
    ioc = WatchingIOC(_take_port(), layout_of(config, there), path.parent)
    yield path, ioc
    ioc.close()
    _running.discard(ioc.port)


def test_the_simulation_stands_as_the_beamline_did_and_a_snapshot_only_reads(stood):
    path, ioc = stood
    taken = take_snapshot(path, timeout=60)
    assert taken.missing == ()
    assert taken.beamline == "mine"
    assert taken.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    pvs = taken.pvs
    assert pvs["BL:pgm:en"] == {
        "device": "stxm.monochromator.setpoint", "value": 705.5, "unit": "eV",
        "limits": [260.0, 1300.0], "precision": 4,
    }  # fmt: skip
    assert pvs["SR:ID7:E"]["limits"] == [270.0, 1200.0]
    assert pvs["BL:zpZ.VAL"]["limits"] == [-9000.0, -200.0]
    assert pvs["BL:zpZ.RBV"]["value"] == -1500.0
    assert pvs["BL:zpZ.VELO"]["value"] == 333.0
    assert pvs["BL:zpZ.ACCL"]["value"] == 1.5
    assert pvs["BL:zpZ.DIR"]["enum"] == ["Pos", "Neg"]
    assert pvs["BL:PGM:Settle"]["value"] == 0.7
    assert pvs["BL:fly:Flyback"]["value"] == 0.05
    assert pvs["BL:fly:MaxPoints"]["value"] == 500
    assert pvs["BL:blade:DeadMan"]["value"] == 7.0
    assert pvs["SR:DCCT"]["value"] == pytest.approx(211.0, rel=0.01)
    assert pvs["BL:blade:Mode"]["value"] == 0, "a simulation begins with the shutter closed"
    assert {what for what, _ in ioc.seen} == {"search", "create"}, "a snapshot writes nothing"


def test_the_file_of_a_snapshot_reads_as_it_was_written(stood, tmp_path):
    path, _ = stood
    taken = take_snapshot(path, timeout=60)
    (tmp_path / "s.yml").write_text(taken.to_yaml(), encoding="utf-8")
    assert read_state(tmp_path / "s.yml") == taken
    layout_of(load_beamline(path), taken)


def test_pvs_that_do_not_answer_are_named_and_the_rest_is_written(stood, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from redoxscope.cli import app

    path, _ = stood
    other = tmp_path / "mine.yml"
    other.write_text(path.read_text().replace("SR:DCCT", "SR:GONE"))
    done = CliRunner().invoke(app, ["snapshot", str(other), "--timeout", "3"])
    assert done.exit_code == 1
    assert "SR:GONE" in done.stderr
    (tmp_path / "s.yml").write_text(done.stdout, encoding="utf-8")
    taken = read_state(tmp_path / "s.yml")
    assert taken.missing == ("SR:GONE",)
    assert taken.pvs["BL:PGM:Velocity"]["value"] == 2.5


def test_an_instant_clock_jumps_to_where_somebody_waits_for():
    import asyncio

    from redoxscope.sim.ioc._clock import InstantClock

    async def waits():
        clock, stop = InstantClock(), asyncio.Event()
        await clock.sleep(3600.0)
        assert clock.now() == 3600.0
        assert not await clock.unless(stop, 60.0)
        assert clock.now() == 3660.0
        stop.set()
        assert await clock.unless(stop, 60.0)
        assert clock.now() == 3660.0, "it was stopped before it began"

    asyncio.run(waits())


def test_an_instant_simulation_arrives_where_it_was_sent(mine):
    for theirs in ("BL:", "SR:", "PI:"):
        mine.write_text(mine.read_text().replace(theirs, f"T{theirs}"))
    config = load_beamline(mine)
    with Simulation(layout=layout_of(config), instant=True):
        stxm = made_stxm(config)
        try:
            connect(stxm)
            stxm.energy.set(740.0).wait(timeout=60)
            for k in range(12):  # also where times do not add up to the last bit
                stxm.sample_stage.x.set(40.0 * (k % 2) + 0.01 * k).wait(timeout=60)
            stxm.sample_stage.x.set(3000.0).wait(timeout=60)
            assert stxm.monochromator.position == pytest.approx(740.0)
            assert stxm.sample_stage.x.position == pytest.approx(3000.0)
            assert stxm.zone_plate.z.position == pytest.approx(stxm.energy.focus(740.0))
        finally:
            stxm.destroy()


def test_a_layout_without_sense_ends_the_process_with_a_line():
    done = subprocess.run(
        [sys.executable, "-m", "redoxscope.sim", "--port=1", "--layout={}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def fly_file(**changes):
    text = resources.files("redoxscope").joinpath("beamlines/fly.yml").read_text("utf-8")
    text = text.replace("simulated: true", "simulated: false")
    text = text.replace("STXMSIM:XPS:energy", "ALS:mono").replace("STXMSIM:", "ALS:")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse_beamline(text, "fly.yml")


def test_a_beamline_of_the_fly_contract_has_its_names_too():
    layout = layout_of(fly_file())
    assert layout.fly
    assert layout.names["STXMSIM:XPS:energy"] == "ALS:mono"
    assert layout.names["STXMSIM:E712:FLY:GO"] == "ALS:E712:FLY:GO"
    assert layout.names["STXMSIM:E712:FLY:ERROR"] == "ALS:E712:FLY:ERROR"
    assert layout.names["STXMSIM:E712:FLY:DATA:default"] == "ALS:E712:FLY:DATA:default"
    assert layout.names["Sample:FineX"] == "ALS:E712:SampleX"
    assert not layout_of(simulated_beamline("")).fly


def test_what_the_simulation_cannot_serve_is_named():
    more = '  tey: {class: fly_counter, prefix: "ALS:TEY:"}\n  ring: {'
    with pytest.raises(ConfigError, match="devices.tey COUNTS: the simulation has no PV"):
        layout_of(
            fly_file(**{"  ring: {": more, "    ring: ring": "    ring: ring\n    counters: [tey]"})
        )
    other = '"ALS:mono"\n    pvs: {.VELO: "ALS:speed"}\n'
    with pytest.raises(ConfigError, match="devices.mono .VELO: .* 'ALS:speed'"):
        layout_of(fly_file(**{'"ALS:mono"\n': other}))


MORE = """\
  slit: {class: ophyd.EpicsMotor, prefix: "m1"}
  wheel: {class: motor, prefix: "m2", tolerance: 0.5}
  filter: {class: tests.beamline.mine.Attenuator, prefix: "Att:", filters: []}
  dcct2: {class: ophyd.EpicsSignalRO, read_pv: "SR:TEXT", string: true}
instruments:
"""


def test_devices_of_other_classes_are_served_too(mine):
    """Motors move; what is no motor keeps what is written."""
    mine.write_text(mine.read_text("utf-8").replace("instruments:\n", MORE), "utf-8")
    config = load_beamline(mine)
    layout = layout_of(config)
    assert layout.names["Motors.slit"] == "BL:m1" and layout.names["Motors.wheel"] == "BL:m2"
    assert layout.plain == {"BL:Att:Filter": 0.0, "SR:TEXT": 0.0}
    there = state(
        config,
        **{
            "BL:m1.RBV": said(5.0), "BL:m1.VAL": said(5.0, (-10.0, 20.0)),
            "BL:Att:Filter": said(2), "SR:TEXT": said("multi bunch"),
        },
    )  # fmt: skip
    layout = layout_of(config, there)
    assert Layout.from_json(layout.to_json()) == layout
    with Simulation(layout=layout, instant=True):
        beamline = make_beamline(config)
        try:
            beamline.connect()
            slit, wheel, attenuator, note = (
                beamline.devices[name] for name in ("slit", "wheel", "filter", "dcct2")
            )
            assert slit.position == 5.0 and slit.limits == (-10.0, 20.0)
            slit.move(12.0, timeout=60)
            assert slit.position == 12.0
            wheel.set(3.0).wait(timeout=60)
            assert wheel.position == 3.0
            assert attenuator.chosen.get() == 2 and note.get() == "multi bunch"
            attenuator.chosen.put(1, wait=True)
            assert attenuator.chosen.get(use_monitor=False) == 1
        finally:
            beamline.destroy()


def test_the_motor_of_an_energy_stands_as_it_stood():
    config = fly_file()
    known = {name: said() for name in layout_of(config).names.values()}
    known |= {"ALS:mono.VAL": said(710.0, (300.0, 900.0)), "ALS:mono.VELO": said(3.0)}
    there = State(config.name, "fly.yml", "", "2026-11-26T01:00:00+00:00", known)
    layout = layout_of(config, there)
    assert layout.limits("Mono:EPU", (0, 0)) == (300.0, 900.0)
    assert layout.value("Mono:Velocity", 0) == 3.0


def test_a_fly_beamline_answers_by_its_own_names():
    config = fly_file(**{'"Sample:"': '"ALS:Sample:"', '"Ring:"': '"ALS:Ring:"'})
    with Simulation(layout=layout_of(config), instant=True, options={"fly-poll": 0.002}):
        stxm = made_stxm(config)
        try:
            connect(stxm)
            stxm.energy.set(700.0).wait(timeout=60)
            assert stxm.monochromator.position == pytest.approx(700.0)
        finally:
            stxm.destroy()


def test_the_command_serves_a_beamline_file_until_it_is_ended(mine):
    import os
    import signal

    # In the background of a shell SIGINT is ignored, and that is handed on.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from redoxscope.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, "sim", "--beamline", str(mine)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        first = process.stdout.readline()
        assert f"answers as the PVs of {mine}" in first, process.stderr.read()
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=120)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--state", "s.yml"], "--state is of a beamline"),
        (["--beamline", "mine.yml", "--write", "x.yml"], "--write makes the file"),
    ],
)
def test_options_that_do_not_go_together(options, words):
    from typer.testing import CliRunner

    from redoxscope.cli import app

    done = CliRunner().invoke(app, ["sim", *options])
    assert isinstance(done.exception, ValueError)
    assert words in str(done.exception)
