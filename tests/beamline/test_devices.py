"""Devices of any class, bound to roles: what cannot be is said when the file is read."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ophyd import EpicsMotor, EpicsSignalRO, Signal

from redoxscope.beamline import ConfigError, _classes, make_beamline, parse_beamline
from redoxscope.devices import STXM, TES, Motor, NoShutter, OrderSortingAperture

from .mine import Attenuator
from .test_file import bound, changed, counter, device

MOTOR = "ophyd.EpicsMotor"
HERE = "tests.beamline.mine"


def wrong(text):
    with pytest.raises(ConfigError) as caught:
        parse_beamline(text, "here.yml")
    return str(caught.value)


WRONG = {
    "misspelt-class": (
        device(**{"class": "countr", "prefix": "X:"}),
        "devices.extra.class = 'countr' is neither a class of redoxscope nor the path of an "
        "installed one, as ophyd.EpicsMotor; did you mean 'counter'?",
    ),
    "class-of-nothing": (device(**{"class": "qqq"}), "known: monochromator, motor_monochromator"),
    "no-class": (device(prefix="X:"), "key 'devices.extra.class' is missing; e.g. monochromator"),
    "class-as-number": (device(**{"class": 5}), "devices.extra.class = 5 must be text"),
    "no-such-module": (
        device(**{"class": "no.such.Motor"}),
        "'no.such.Motor': the module 'no.such' cannot be imported: No module named 'no'",
    ),
    "no-such-name": (
        device(**{"class": "ophyd.EpicsMoter"}),
        "the module 'ophyd' has no 'EpicsMoter'; did you mean 'EpicsMotor'?",
    ),
    "a-function": (device(**{"class": "math.sqrt"}), "is no ophyd device class, but a builtin"),
    "a-class": (device(**{"class": f"{HERE}.Clock"}), "is no ophyd device class, but a class"),
    "the-base": (device(**{"class": "ophyd.Device"}), "is the base of all devices"),
    "option-unknown": (
        device(**{"class": MOTOR, "prefx": "X"}),
        "unknown key 'devices.extra.prefx'; did you mean 'prefix'?",
    ),
    "prefix-as-number": (
        device(**{"class": MOTOR, "prefix": 5}), "devices.extra.prefix = 5 must be text, in quotes",
    ),
    "named-as-a-plan": (device("image", **{"class": MOTOR, "prefix": "X:m1"}), "'image' is taken"),
    "closing-the-session": (
        device("close", **{"class": MOTOR, "prefix": "X:m1"}), "the name 'close' is taken",
    ),
    "a-module-that-exits": (
        device(**{"class": f"{HERE}_exits.Motor"}), "cannot be imported: no beam today",
    ),
    "device-of-nothing": ("name: a\ndevices: {m: }\n", "devices.m = None must hold keys and"),
    "devices-as-list": ("name: a\ndevices: [a]\n", "devices = ['a'] must hold keys and values"),
    "instruments-of-nothing": (
        "name: a\ndevices: {m: {class: motor, prefix: X, tolerance: 1}}\ninstruments:\n",
        "instruments = None must hold keys and values",
    ),
    "instrument-of-nothing": (
        "name: a\ndevices: {m: {class: motor, prefix: X, tolerance: 1}}\ninstruments: {tes: }\n",
        "instruments.tes = None must hold keys and values",
    ),
    "half-a-path": (device(**{"class": "ophyd."}), "the module 'ophyd' has no ''"),
    "points-only": (device(**{"class": "..Motor"}), "the module '.' cannot be imported"),
    "option-missing": (
        device(**{"class": f"{HERE}.Attenuator", "prefix": "X"}),
        "key 'devices.extra.filters' is missing",
    ),
    "option-that-is-ours": (
        device(**{"class": MOTOR, "prefix": "X", "parent": "y"}), "key 'devices.extra.parent'",
    ),
    "motor-of-another": (
        device(**{"class": MOTOR, "prefix": "ZP:Z"}),
        "devices.extra.prefix: the PV 'ZP:Z' belongs to zone_plate already",
    ),
    "our-motor-of-another": (
        device(**{"class": "motor", "prefix": "ZP:Z", "tolerance": 1}),
        "devices.extra.prefix: the PV 'ZP:Z' belongs to zone_plate already",
    ),
    "motor-without-tolerance": (
        device(**{"class": "motor", "prefix": "X:m1"}), "'devices.extra.tolerance' is missing",
    ),
    "named-as-the-instrument": (
        device("stxm", **{"class": MOTOR, "prefix": "X:m1"}), "the name 'stxm' is the instrument's",
    ),
    "unknown-instrument": (
        changed(instruments__stmx={}), "unknown key 'instruments.stmx'; did you mean 'stxm'?",
    ),
    "unknown-role": (bound(enrgy="mono"), "'instruments.stxm.enrgy'; did you mean 'energy'?"),
    "missing-role": (bound(osa=None), "key 'instruments.stxm.osa' is missing: the name of a"),
    "unknown-device": (
        bound(energy="mon"),
        "instruments.stxm.energy = 'mon' is no device of this file; did you mean 'mono'?",
    ),
    "device-as-number": (bound(energy=5), "instruments.stxm.energy = 5 must be text"),
    "lacks-methods": (
        bound(energy="osa"),
        "instruments.stxm.energy = 'osa' (osa) cannot be that: it has no energy, edge, offset",
    ),
    "lacks-a-part": (
        bound(zone_plate="sample_stage"), "(sample_stage) cannot be that: it has no a0, geometry",
    ),
    "holder-that-is-none": (
        bound("tes", holder="mono"), "(monochromator) cannot be that: it has no target, samples",
    ),
    "bound-twice": (
        bound(i0="transmission"),
        "instruments.stxm.i0 = 'transmission' (counter) is bound as transmission already",
    ),
    "counter-twice": (
        counter("diode").replace("- diode", "- diode\n    - diode"),
        "instruments.stxm.counters.1 = 'diode' (counter) is bound as counters already",
    ),
    "counters-as-text": (bound(counters="i0"), "counters = 'i0' must be a list of devices"),
    "unknown-counter": (bound(counters=["x"]), "counters.0 = 'x' is no device of this file"),
    "recorded-otherwise": (
        bound("tes", i0="transmission"),
        "instruments.tes.i0 = 'transmission' is stxm.transmission already, and recorded as",
    ),
    "flux": (bound(flux=-1), "instruments.stxm.flux = -1 photons/s must be greater than 0"),
    "no-devices": ("name: a\ndevices: {}\n", "devices is empty"),
    "devices-missing": ("name: a\n", "here.yml:1: key 'devices' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name):
    text, says = WRONG[name]
    assert says in wrong(text)


def test_a_part_that_lacks_a_method_is_named():
    """Plain motors cannot be guarded: what would hold the aperture off the sample?"""
    text = changed(osa={"class": f"{HERE}.Pinhole", "prefix": "OSA:"})
    assert (
        f"instruments.stxm.osa = 'osa' ({HERE}.Pinhole) cannot be that: it has no x.here, x.guard, "
        "x.time_to, y.here, y.guard, y.time_to, z.here" in wrong(text)
    )


def test_each_wrong_key_is_said_with_its_line():
    text = (
        'name: a\ndevices:\n  m: {class: ophyd.EpicsMotor, prefix: "X", q: 1}\n'
        "  n: {class: moter}\ninstruments:\n  stmx: {}\n"
    )
    assert [line.partition(": ")[0] for line in wrong(text).splitlines()] == [
        "here.yml:3", "here.yml:4", "here.yml:6",
    ]  # fmt: skip


@pytest.fixture
def made(simulation):
    """Devices of a file, which connect to nothing."""
    beamlines = []

    def make(text):
        beamlines.append(make_beamline(parse_beamline(text, "here.yml")))
        return beamlines[-1]

    yield make
    for beamline in beamlines:
        beamline.destroy()


def test_any_ophyd_class_with_its_own_options(made):
    beamline = made(
        'name: a\nprefix: "BL:"\ndevices:\n'
        '  slit: {class: ophyd.EpicsMotor, prefix: "m1", labels: [slits]}\n'
        f'  filter: {{class: "{HERE}:Attenuator", prefix: "Att:", filters: [Al, C]}}\n'
        "  dcct: {class: ophyd.EpicsSignalRO, read_pv: SR:DCCT}\n"
        "  note: {class: ophyd.Signal, value: 3}\n"
    )
    slit, attenuator, dcct, note = beamline.devices.values()
    assert isinstance(slit, EpicsMotor) and slit.name == "slit"
    assert slit.user_setpoint.pvname == "BL:m1.VAL" and slit._ophyd_labels_ == {"slits"}
    assert isinstance(attenuator, Attenuator) and attenuator.filters == ["Al", "C"]
    assert attenuator.chosen.pvname == "BL:Att:Filter"
    assert isinstance(dcct, EpicsSignalRO) and dcct.pvname == "SR:DCCT"
    assert type(note) is Signal and note.get() == 3
    assert beamline.instruments == {}


def test_a_class_by_its_entry_point(made, monkeypatch):
    from importlib.metadata import EntryPoint

    points = {
        "attenuator": EntryPoint("attenuator", f"{HERE}:Attenuator", _classes.GROUP),
        "gone": EntryPoint("gone", f"{HERE}:Gone", _classes.GROUP),
    }
    monkeypatch.setattr(_classes, "entry_points", lambda *, group: points.values())
    text = "name: a\ndevices:\n  f: {class: attenuator, prefix: 'F:', filters: []}\n"
    assert isinstance(made(text).devices["f"], Attenuator)
    assert "did you mean 'attenuator'?" in wrong(text.replace("attenuator", "attenuatr"))
    assert "mine:Gone cannot be loaded" in wrong(text.replace("attenuator", "gone"))


def test_a_class_that_waits_for_its_server_is_named(simulation):
    text = f"name: a\ndevices:\n  d: {{class: {HERE}.Hasty, prefix: 'N:'}}\n"
    with pytest.raises(ConfigError) as caught:
        make_beamline(parse_beamline(text, "here.yml"))
    assert str(caught.value) == (
        f"here.yml:3: devices.d: {HERE}.Hasty could not be made: TimeoutError: Value does not "
        "answer"
    )


def test_a_file_with_only_a_spectrometer(made):
    beamline = made(
        "name: a\ndevices:\n  tes: {class: tes, port: 5501}\n  mono: {class: monochromator, "
        "prefix: 'M:'}\n  blade: {class: shutter, prefix: 'S:'}\n  monitor: {class: counter, "
        "prefix: 'I:'}\ninstruments:\n  tes: {detector: tes, energy: mono, shutter: blade, "
        "i0: monitor}\n"
    )
    tes = beamline.instruments["tes"]
    assert isinstance(tes, TES) and tes is beamline.devices["tes"] and tes.port == 5501
    assert tes.mono is beamline.devices["mono"] and tes.mono.name == "mono"
    assert tes.shutter.name == "blade" and tes.holder is None and tes.ring is None
    assert tes.i0.counts.name == "i0" and tes.i0._shutter is tes.shutter
    assert [name for name, _ in beamline.roots()] == ["tes", "mono", "blade", "monitor"]


def test_a_file_with_only_a_motor_and_a_counter(made):
    beamline = made(
        "name: a\ndevices:\n  stage: {class: motor, prefix: 'X:m1', tolerance: 0.5}\n"
        "  diode: {class: counter, prefix: 'D:'}\n"
    )
    stage, diode = beamline.devices.values()
    assert isinstance(stage, Motor) and stage.tolerance == 0.5 and stage.name == "stage"
    assert diode.counts.name == "diode" and beamline.instruments == {}


def test_a_microscope_without_shutter_and_monitor(made):
    stxm = made(bound(shutter=None, i0=None)).instruments["stxm"]
    assert isinstance(stxm.shutter, NoShutter) and stxm.shutter.name == "stxm_shutter"
    assert not hasattr(stxm, "i0")
    assert "shutter" in stxm.component_names and "i0" not in stxm.component_names
    assert [counter.field for counter in stxm.line_detectors] == ["transmission"]


def test_one_device_serves_two_instruments(made):
    beamline = made(bound())
    stxm, tes = beamline.instruments["stxm"], beamline.instruments["tes"]
    assert tes.mono is stxm.monochromator is beamline.devices["mono"]
    assert tes.shutter is stxm.shutter and tes.ring is stxm.ring and tes.i0 is stxm.i0
    roots = [name for name, _ in beamline.roots()]
    assert roots[:2] == ["stxm", "xas_station"] and "holder" in roots
    assert not {"mono", "shutter", "ring", "i0"} & set(roots)
    # What it is called in documents does not depend on how the file calls it.
    assert stxm.monochromator.readback.name == "stxm_monochromator_readback"
    assert stxm.monochromator.parent is stxm
    assert stxm.monochromator.dotted_name == "monochromator"


def test_parts_are_read_and_staged_with_the_microscope(made):
    stxm = made(counter("diode")).instruments["stxm"]
    assert list(stxm.component_names) == ["flux", *STXM.ROLES, "diode"]
    assert [counter.field for counter in stxm.line_detectors] == ["transmission", "i0", "diode"]


def test_a_device_that_cannot_be_bound_is_named(simulation):
    """Also where somebody binds the microscope himself."""
    parts = dict.fromkeys(("zone_plate", "sample_stage", "scanner", "transmission", "ring"))
    osa = OrderSortingAperture("N:", name="pinhole")
    with pytest.raises(TypeError, match=r"my.monochromator: 'pinhole' \(Order.*has no energy"):
        STXM(name="my", monochromator=osa, osa=osa, **parts)
    osa.destroy()


def test_no_device_hides_what_a_session_has():
    """Names of the shell, and attributes of a session, are taken."""
    from redoxscope import plans
    from redoxscope.beamline._check import OF_THE_SESSION, SHELL
    from redoxscope.session import Session
    from redoxscope.session._names import SHORT, namespace

    stored = SimpleNamespace(outage="", open=lambda: None)
    session = SimpleNamespace(
        devices={}, extras={"windows": None, "calibrations": None}, RE=None, sd=None,
        stored=stored, cat=None, maps=dict.fromkeys(SHORT),
    )  # fmt: skip
    taken = SHELL | OF_THE_SESSION | {*plans.__all__}
    assert set(namespace(session)) <= taken
    own = {name for base in Session.__mro__[:-1] for name in vars(base) if name[0] != "_"}
    assert own and own <= taken


def test_all_are_hung_up_though_one_fails(simulation):
    beamline = make_beamline(parse_beamline(bound(), "here.yml").without("tes"))
    beamline.devices["first"] = SimpleNamespace(destroy=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        beamline.destroy()
    assert beamline.instruments["stxm"].ring.current._destroyed


def test_an_instrument_can_be_left_out():
    file = parse_beamline(bound(), "here.yml")
    left = file.without("tes")
    assert set(file.devices) - set(left.devices) == {"tes"}
    assert list(left.instruments) == ["stxm", "xas", "ptycho"]  # xas has the holder, too
    assert left.without("tes") is left
    assert file.changed("tes", port=7).devices["tes"].options.port == 7
    assert file.of_class("tes", "shutter") == ["shutter", "tes"]


def test_the_page_on_classes_of_ones_own(made, monkeypatch):
    """Its class, as a module that is installed, and its file."""
    page = (Path(__file__).parents[2] / "docs/how-to/own-device.md").read_text("utf-8")
    module = ModuleType("mybeamline.devices")
    code = re.findall(r"^```python\n(.*?)^```", page, flags=re.S | re.M)[0]
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "mybeamline", ModuleType("mybeamline"))
    monkeypatch.setitem(sys.modules, "mybeamline.devices", module)
    file = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.S | re.M)[0]
    devices = made(file).devices
    assert devices["attenuator"].filters == ["none", "Al", "C"]
    assert devices["attenuator"].motor.user_setpoint.pvname == "BL:Att:Motor.VAL"
    assert devices["attenuator"].chosen.name == "attenuator_chosen"
    assert devices["dcct"].pvname == "SR:DCCT"


@pytest.mark.parametrize("page", ["own-controller.md", "own-spectrometer.md"])
def test_pieces_of_files_on_the_pages_are_right(page):
    text = (Path(__file__).parents[2] / "docs/how-to" / page).read_text("utf-8")
    (piece,) = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.S | re.M)
    assert parse_beamline(f"name: mine\n{piece}", page).devices
