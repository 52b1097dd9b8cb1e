"""Electrometer and station: what is refused when they are made, and on the simulated beamline."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from bluesky import plans as bp
from bluesky.utils import FailedStatus, RunEngineInterrupted
from ophyd import Device

from redoxscope.beamline import ConfigError, connect, make_beamline, parse_beamline
from redoxscope.devices import DeviceError, EnergySweep, LineCounter, QuadEM, XASStation
from redoxscope.documents import PointStatus, XasInfo
from redoxscope.plans import with_beam, xas
from redoxscope.scan import Point, Role, Scan

from ...shutters import closed

WAIT = 60.0


# -- made of what -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": {}}, "em.channels is empty"),
        ({"channels": {5: "i0"}}, "em.channels = 5"),
        ({"channels": {1: ""}}, r"em.channels\[1\]"),
        ({"channels": {1: "i0", 3: "i0"}}, "channels 1 and 3 are both 'i0'"),
        ({"upstream": ["tey"]}, "upstream has 'tey'; its channels are i0"),
    ],
)
def test_channels_that_make_no_sense(options, said):
    with pytest.raises(ValueError, match=said):
        QuadEM("BL:", name="em", **options)


def station(*detectors, **options):
    mono = SimpleNamespace(name="mono")
    named = {detector.name: detector for detector in detectors}
    return XASStation(name="station", mono=mono, detectors=named, **options)


def em(channels, name="em"):
    return QuadEM(f"BL:{name}:", name=name, channels=dict(enumerate(channels, 1)))


@pytest.mark.parametrize(
    ("channels", "modes"),
    [
        (["i0", "tey"], {"TEY"}),
        (["i0", "tey", "tfy"], {"TEY", "TFY"}),
        (["i0", "i1", "i2"], {"transmission", "reference"}),  # ion chambers at a K edge
    ],
)
def test_the_channels_say_which_spectra_there_are(channels, modes):
    made = station(em(channels))
    assert set(made.modes) == modes
    kinds = {mode.kind for mode in made.modes.values()}
    assert kinds == ({"transmission"} if "i1" in channels else {"yield"})
    assert made.channels["i0"] == "em_i0"


def test_counters_and_currents_make_one_spectrum():
    made = station(LineCounter("BL:I0:", name="i0"), em(["tey"]))
    assert made.modes["TEY"].keys == ("em_tey", "i0")


class Ophyds(Device):
    """As ophyd's QuadEM and its scaler: neither channels nor dwell of ours."""

    averaging_time = SimpleNamespace(name="averaging_time")

    def trigger(self):
        """Nothing."""


def test_a_device_of_anybodys_is_told_by_its_data_keys():
    channels = {"i0": "quad_current1_mean_value", "tey": "quad_current2_mean_value"}
    made = station(Ophyds(name="quad"), channels=channels)
    assert made.modes["TEY"].keys == ("quad_current2_mean_value", "quad_current1_mean_value")
    assert made.dwells == (Ophyds.averaging_time,)


OWN = {"PFY": {"signal": "sdd", "i0": "i0"}}


@pytest.mark.parametrize(
    ("channels", "options", "said"),
    [
        ([["i0", "i3"]], {}, "of which no spectrum can be made"),
        ([["i0", "tey"], ["tey"]], {}, "have a channel 'tey'"),
        ([["i0", "tey"]], {"channels": {"tey": "x"}}, "'tey', which is em_tey already"),
        ([["i0", "tey"]], {"modes": OWN}, "signal = 'sdd' is no channel"),
        (
            [["i0", "tey"]],
            {"modes": {"X": {"signal": "tey", "i0": "i0", "kind": "sum"}}},
            "kind = 'sum' is none of yield, transmission",
        ),
        ([], {"channels": {"i0": "a", "tey": "b"}}, "dwell of mute"),
    ],
)
def test_a_station_that_cannot_be(channels, options, said):
    detectors = [em(names, f"em{i or ''}") for i, names in enumerate(channels)]
    detectors = detectors or [Device("BL:", name="mute")]
    with pytest.raises(ValueError, match=said):
        station(*detectors, **options)


FILE = """\
name: mine
devices:
  mono: {class: monochromator, prefix: "M:"}
  em: {class: quadem, prefix: "EM:", channels: {1: CHANNEL, 2: tey}}
instruments:
  xas: {energy: mono, detectors: [em]}
"""


def test_a_file_that_binds_it(simulation):
    beamline = make_beamline(parse_beamline(FILE.replace("CHANNEL", "i0"), "mine.yml"))
    assert list(beamline.instruments) == ["xas_station"]
    assert beamline.instruments["xas_station"].modes["TEY"].keys == ("em_tey", "em_i0")
    beamline.destroy()


def test_a_file_whose_channels_make_no_spectrum_is_refused_with_its_line(simulation):
    with pytest.raises(ConfigError, match=r"mine.yml.*instruments.xas: xas_station has the chann"):
        make_beamline(parse_beamline(FILE.replace("CHANNEL", "mesh"), "mine.yml"))


def test_a_file_with_a_fifth_channel_is_refused():
    with pytest.raises(ConfigError, match="channels"):
        parse_beamline(FILE.replace("1: CHANNEL", "5: i0"), "mine.yml")


def test_the_page_on_picoammeters():
    """Each of its files is one; of the station that has a beamline's own mode, what it binds."""
    page = Path(__file__).parents[3] / "docs" / "how-to" / "own-picoammeter.md"
    parts = re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), flags=re.S | re.M)
    first, modes, scaler, sweep = parts
    devices, instruments = first.split("instruments:\n")
    start = f"name: mine\n{devices}"
    counter = '  sdd_counter: {class: counter, prefix: "BL:SDD:"}\n'
    for text in (
        f"{start}instruments:\n{instruments}",
        f"{start}{counter}instruments:\n{modes}",
        start + scaler.removeprefix("devices:\n"),
        start + sweep.removeprefix("devices:\n"),
    ):
        assert list(parse_beamline(text, "mine.yml").instruments) == ["xas"]


# -- on the simulated beamline ------------------------------------------------------------------


@pytest.fixture(scope="module")
def electrometer(simulation):
    device = QuadEM(
        f"{simulation.prefix}EM:", name="em", channels={1: "i0", 2: "tey", 3: "tfy"}
    )  # fmt: skip
    connect(device)
    yield device
    device.destroy()


@pytest.fixture
def there(stxm, electrometer):
    """The station, on the microscope's energy and shutter."""
    made = XASStation(
        name="station",
        mono=stxm.monochromator,
        detectors={"em": electrometer},
        shutter=stxm.shutter,
        ring=stxm.ring,
    )
    yield made
    made.destroy()
    electrometer.attach(None)


@pytest.fixture
def lit(stxm):
    stxm.shutter.set("hold").wait(WAIT)


def test_a_point_is_that_of_its_trigger(there, electrometer, lit):
    """The mean is new each time, with a sigma that the number of readings makes small."""
    electrometer.dwell.set(0.5).wait(WAIT)
    seen = []
    for _ in range(3):
        electrometer.trigger().wait(WAIT)
        seen.append(electrometer.read())
    currents = [one["em_i0"]["value"] for one in seen]
    assert len(set(currents)) == 3
    assert all(current > 1e-10 for current in currents)
    assert all(0 < one["em_i0_sigma"]["value"] < 0.01 * current
               for one, current in zip(seen, currents, strict=True))  # fmt: skip
    assert electrometer.describe()["em_i0"]["units"] == "A"
    assert set(electrometer.describe()) == set(seen[0])


def test_without_light_it_measures_only_when_told_so(there, electrometer):
    with pytest.raises(DeviceError, match="is closed, so it would count no light"):
        electrometer.trigger()
    electrometer.dark.put(True)
    try:
        electrometer.trigger().wait(WAIT)
        assert abs(electrometer.read()["em_i0"]["value"]) < 1e-11
    finally:
        electrometer.dark.put(False)


def test_channels_before_the_shutter_say_nothing_of_the_dark(simulation):
    device = QuadEM(
        f"{simulation.prefix}EM:", name="em2", channels={1: "i0", 2: "tey"}, upstream=["i0"]
    )
    connect(device)
    device.dark.put(True)
    device.trigger().wait(WAIT)
    read = device.read()
    assert math.isnan(read["em2_i0"]["value"]) and math.isnan(read["em2_i0_sigma"]["value"])
    assert math.isfinite(read["em2_tey"]["value"])
    device.destroy()


def test_a_dwell_shorter_than_its_readings_is_refused(electrometer):
    with pytest.raises(ValueError, match=r"em: a dwell of 1e-05 s is shorter .* 0.001 s .*EM:Sam"):
        electrometer.check_dwell(1e-5)


def test_a_pause_ends_the_point_well_and_a_stop_does_not(there, electrometer, lit, put):
    put(electrometer.dwell, 500.0)  # 10 s here: nobody waits for its end
    for end, good in ((electrometer.pause, True), (electrometer.stop, False)):
        electrometer.attach(None)
        status = electrometer.trigger()
        end()
        if good:
            status.wait(WAIT)
        else:
            with pytest.raises(DeviceError, match="em was stopped"):
                status.wait(WAIT)
        electrometer.pause()  # again: nothing


def test_a_step_scan_of_bluesky_takes_it(there, stxm, electrometer, RE, docs, put):
    put(electrometer.dwell, 0.1)
    RE(with_beam(bp.scan([electrometer], stxm.monochromator, 640, 641, 3), stxm.shutter))
    assert [event["data"]["energy"] for event in docs["event"]] == [640.0, 640.5, 641.0]
    assert all(event["data"]["em_tey"] > 1e-11 for event in docs["event"])
    assert docs["descriptor"][0]["hints"]["em"]["fields"] == ["em_i0", "em_tey", "em_tfy"]


def test_a_spectrum_of_the_simulated_beamline(there, stxm, electrometer, RE, docs):
    """One event a point; dark points without light; the shutter closed, all set back."""
    before = electrometer.dwell.get(), electrometer.acquire_mode.get()
    points = [Point(640.0, 0.2, Role.DARK)]
    points += [Point(e, 0.2, repeat=i) for i in range(2) for e in (638.0, 642.4)]
    RE(xas(there, scan=Scan(points=tuple(points), edge="Mn L")))
    data = [event["data"] for event in docs["event"]]
    assert [one["point"] for one in data] == list(range(5))
    assert {one["xas_point_status"] for one in data} == {0}
    assert [one["energy"] for one in data[1:]] == pytest.approx([638.0, 642.4] * 2, abs=0.02)
    info = XasInfo.from_start(docs["start"][0])
    signal, i0 = info.modes["TEY"].keys
    ratio = [one[signal] / one[i0] for one in data[1:]]
    assert ratio[1] > 1.5 * ratio[0]  # the white line
    assert ratio[2:] == pytest.approx(ratio[:2], rel=0.02)
    assert abs(data[0][i0]) < 0.01 * data[1][i0]
    assert docs["stop"][0]["exit_status"] == "success"
    closed(stxm.shutter)
    assert (electrometer.dwell.get(), electrometer.acquire_mode.get()) == before


def test_a_beam_that_is_lost_in_a_point_makes_it_doubtful(there, electrometer, RE, docs, fault):
    """It is measured again when the beam is back; of what the loss spoilt nothing is left."""

    class Once:
        name, parent, done = "once", None, False

    def lose(name, doc):
        if name == "event" and not Once.done:
            Once.done = True
            fault("beam_dump")

    def back(name, doc):
        if name == "event" and doc["data"]["point"] == 1:
            fault("beam_back")

    RE.subscribe(lose)
    RE.subscribe(back)
    RE(xas(there, energies=[640.0, 641.0, 642.0], dwell=0.2))
    status = [PointStatus(event["data"]["xas_point_status"]) for event in docs["event"]]
    assert status[0] == PointStatus.OK
    assert status[1] & PointStatus.BEAM
    assert docs["event"][1]["data"]["xas_point_tries"] == 3


def test_who_opens_another_mode_of_the_shutter_ends_it(there, stxm, electrometer, RE, docs):
    def take(name, doc):
        if name == "event":
            stxm.shutter.mode.put(0)

    RE.subscribe(take)
    with pytest.raises((RuntimeError, FailedStatus), match="somebody else"):
        RE(xas(there, energies=[640.0, 641.0], dwell=0.2))
    assert docs["stop"][0]["exit_status"] == "fail"
    closed(stxm.shutter)


# -- flown --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(simulation):
    channels = {1: "i0", 2: "tey", 3: "tfy"}
    device = EnergySweep(f"{simulation.prefix}Sweep:", name="sweep", channels=channels)
    connect(device)
    yield device
    device.destroy()


@pytest.fixture
def flying(stxm, electrometer, sweep):
    made = XASStation(
        name="station",
        mono=stxm.monochromator,
        detectors={"em": electrometer},
        shutter=stxm.shutter,
        ring=stxm.ring,
        sweep=sweep,
    )
    yield made
    made.destroy()
    electrometer.attach(None)


ZONES = [(638.0, 641.0, 0.5), (641.0, 643.0, 0.25)]


def test_a_flown_spectrum_has_the_events_of_one_in_steps(flying, stxm, RE, docs):
    RE(xas(flying, zones=ZONES, dwell=0.1, repeats=2, fly=True, edge="Mn L"))
    scan = Scan.from_start(docs["start"][0])
    data = [event["data"] for event in docs["event"]]
    assert [one["point"] for one in data] == list(range(len(scan.points)))
    assert [one["energy"] for one in data] == pytest.approx(
        [point.energy for point in scan.points], abs=0.02
    )
    info = XasInfo.from_start(docs["start"][0])
    assert info.fly and set(info.modes) == {"TEY", "TFY"}
    flown = [one["em_tey"] / one["em_i0"] for one in data]
    docs["event"].clear()
    RE(xas(flying, zones=ZONES, dwell=0.1, edge="Mn L"))
    steps = [event["data"]["em_tey"] / event["data"]["em_i0"] for event in docs["event"]]
    assert flown == pytest.approx(steps * 2, rel=0.03)
    assert {one["xas_point_status"] for one in data} == {0}
    closed(stxm.shutter)


def test_a_pause_in_a_line_costs_no_point(flying, stxm, sweep, RE, docs):
    """As bluesky pauses: from another thread, while a line is under way, or has just ended."""
    asked = []

    def first(*, value, **_):
        if value == 1 and not asked:
            asked.append(value)
            RE.request_pause()

    sweep.state.subscribe(first, run=False)
    try:
        with pytest.raises(RunEngineInterrupted):
            RE(xas(flying, zones=ZONES, dwell=1.0, fly=True, edge="Mn L", repeats=3))
        closed(stxm.shutter)
        RE.resume()
    finally:
        sweep.state.clear_sub(first)
    data = {event["data"]["point"]: event["data"] for event in docs["event"]}
    assert sorted(data) == list(range(45))
    assert {one["xas_point_status"] for one in data.values()} == {0}
    assert all(one["em_i0"] > 1e-10 for one in data.values())
    assert docs["stop"][0]["exit_status"] == "success"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dwell": 0.001}, r"sweep: a dwell of 0.001 s is shorter than 0.005 s"),
        ({"dwell": 0.02}, r"steps of 0.5 eV in 0.02 s are 25 eV/s, faster than 10 eV/s"),
        ({"fly": 1}, "fly = 1 must be True or False"),
    ],
)
def test_what_cannot_be_flown_is_refused_before_anything(flying, options, said):
    with pytest.raises(ValueError, match=said):
        list(xas(flying, **({"zones": ZONES, "dwell": 0.1, "fly": True} | options)))


def test_without_a_sweep_nothing_flies(there):
    with pytest.raises(ValueError, match="fly = True: station has no sweep"):
        list(xas(there, zones=ZONES, dwell=0.1, fly=True))
