"""The beamline file: what is wrong with one is said by key; what is right makes the devices."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import yaml

from redoxscope.beamline import (
    ConfigError,
    connect,
    load_beamline,
    parse_beamline,
    simulated_beamline,
)
from redoxscope.callbacks import OxidationMap
from redoxscope.plans import energy_stack
from redoxscope.testing import made_stxm, validate_run

TEXT = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")
TOP = {"name", "simulated", "prefix", "devices", "instruments", "catalog", "qqq", "extra"}


def changed(**parts):
    """The simulated beamline's file with keys changed: ``device__key=value``; None deletes it."""
    content = yaml.safe_load(TEXT)
    for path, value in parts.items():
        *folders, key = path.split("__")
        first = folders[0] if folders else key
        where = content if first in TOP else content["devices"]
        for folder in folders:
            where = where[folder]
        if value is None:
            del where[key]
        else:
            where[key] = value
    return yaml.safe_dump(content, sort_keys=False)


def raw(old, new):
    """The simulated beamline's file with a piece of its text replaced."""
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def counter(name, **part):
    """The file with one more counter."""
    content = yaml.safe_load(TEXT)
    content["devices"][name] = {"class": "counter", "prefix": "X:", **part}
    content["instruments"]["stxm"]["counters"] = [name]
    return yaml.safe_dump(content, sort_keys=False)


def bound(instrument="stxm", **roles):
    """The file with roles bound otherwise; None leaves one out."""
    content = yaml.safe_load(TEXT)
    part = content["instruments"][instrument]
    for role, device in roles.items():
        part[role] = device
        if device is None:
            del part[role]
    return yaml.safe_dump(content, sort_keys=False)


def device(name="extra", **part):
    """The file with one more device."""
    content = yaml.safe_load(TEXT)
    content["devices"][name] = part
    return yaml.safe_dump(content, sort_keys=False)


WRONG = {
    "misspelt": (changed(zone_plate__outer_zon=45), ["zone_plate.outer_zon", "'outer_zone'"]),
    "misspelt-part": (bound(scaner="scanner"), ["'instruments.stxm.scaner'", "'scanner'"]),
    "unlike-anything": (changed(qqq=1), ["'qqq'", "known:", "devices"]),
    "missing": (changed(zone_plate__a0=None), ["'devices.zone_plate.a0' is missing"]),
    "missing-part": (bound(scanner=None), ["'instruments.stxm.scanner' is missing"]),
    "text-for-number": (
        changed(zone_plate__a0="wide"),
        ["zone_plate.a0 = 'wide' must be one number in µm"],
    ),
    "negative": (
        changed(zone_plate__diameter=-240),
        ["zone_plate.diameter = -240 µm must be greater than 0 µm"],
    ),
    "nan": (changed(zone_plate__a0=float("nan")), ["zone_plate.a0 = nan µm", "finite"]),
    "inf": (raw("a0: 400 ", "a0: .inf "), [":19: devices.zone_plate.a0 = inf µm", "finite"]),
    "inf-lateness": (raw("lateness: 0.1", "lateness: .inf"), ["tes.lateness = inf s", "finite"]),
    "inf-offset": (
        changed(mono__edge_offsets={"Mn L3": float("inf")}),
        ["devices.mono.edge_offsets.Mn L3 = inf eV must be finite"],
    ),
    "inf-backlash": (
        changed(mono__backlash=float("-inf")), ["backlash = -inf eV must be finite"],
    ),
    "yes-for-number": (
        raw("a0: 400 ", "a0: yes "),
        [":19: devices.zone_plate.a0 = True must be one number in µm", "YAML takes yes"],
    ),
    "1e3": (raw("a0: 400 ", "a0: 1e3 "), ["zone_plate.a0 = '1e3'", "1.0e+3 or 1000"]),
    "number-in-quotes": (raw("a0: 400 ", 'a0: "400" '), ["zone_plate.a0 = '400'", "quotes"]),
    "decimal-comma": (raw("a0: 400 ", "a0: 400,5 "), ["zone_plate.a0 = '400,5'", "µm"]),
    "list-for-number": (raw("a0: 400 ", "a0: [400] "), ["zone_plate.a0 = [400]", "one number"]),
    "osa-wider-than-stop": (
        changed(zone_plate__osa_diameter=96),
        ["zone_plate.osa_diameter = 96 µm", "95 µm"],
    ),
    "a1-of-another-plate": (changed(zone_plate__a1=3.0), ["zone_plate.a1 = 3 µm/eV", "20 %"]),
    "text-for-yes": (changed(simulated="perhaps"), ["simulated = 'perhaps'", "true or false"]),
    "number-for-yes": (changed(simulated=1), ["simulated = 1 must be true or false"]),
    "yes-for-text": (raw("name: simulated", "name: no"), ["name = False", "quote"]),
    "date-for-text": (raw("name: simulated", "name: 2026-11-26"), ["name = ", "must be text"]),
    "empty-name": (changed(name=""), ["name = '' must not be empty"]),
    "blank-in-a-prefix": (changed(ring__prefix="Ring: "), ["ring.prefix = 'Ring: '", "no blanks"]),
    "empty-pv": (changed(ring__pvs={"Current": ""}), ["ring.pvs.Current = ''"]),
    "number-for-pv": (changed(ring__pvs={"Current": 5}), ["ring.pvs.Current = 5", "text"]),
    "port-too-high": (changed(tes__port=65532), ["tes.port = 65532", "<= 65531"]),
    "port-zero": (changed(tes__port=0), ["tes.port = 0", ">= 1"]),
    "port-true": (changed(tes__port=True), ["tes.port = True"]),
    "port-in-quotes": (changed(tes__port="5500"), ["tes.port = '5500'"]),
    "scan-server-port": (changed(tes__scan_server_port=10**6), ["tes.scan_server_port", "65535"]),
    "backend": (changed(tes__backend="Dastard"), ["tes.backend = 'Dastard'", "'dastard'"]),
    "part-without-keys": (changed(ring="Ring:"), ["ring = 'Ring:' must hold keys and values"]),
    "part-without-prefix": (
        changed(ring={"class": "ring_current"}), ["'devices.ring.prefix' is missing"],
    ),
    "part-of-nothing": (changed(ring={}), ["'devices.ring.class' is missing"]),
    "counter-name": (counter("flux"), ["devices.flux", "taken"]),
    "counter-as-data-key": (counter("energy"), ["devices.energy", "taken"]),
    "counter-with-a-blank": (counter("my diode"), ["devices.my diode", "letters, digits"]),
    "counter-with-a-sign": (counter("diode-2"), ["diode-2", "letters, digits"]),
    "counter-with-an-accent": (counter("diode_é"), ["letters, digits"]),
    "counter-as-digit": (counter("2nd"), ["2nd", "a letter first"]),
    "counter-underscored": (counter("_diode"), ["a letter first"]),
    "counter-as-keyword": (counter("lambda"), ["devices.lambda", "word of Python"]),
    "counter-as-soft-keyword": (counter("match"), ["word of Python"]),
    "counter-as-time-stamp": (counter("ts_energy"), ["devices.ts_energy", "'ts_'"]),
    "counter-as-photon": (counter("tes_PFY"), ["devices.tes_PFY", "'tes_'"]),
    "counter-as-column": (counter("seq_num"), ["devices.seq_num"]),
    "counter-as-point": (counter("point"), ["devices.point"]),
    "counter-as-method": (counter("trigger"), ["devices.trigger"]),
    "counter-as-attribute": (counter("line_detectors"), ["devices.line_detectors"]),
    "counter-in-the-shell": (counter("cat"), ["devices.cat", "shell"]),
    "counter-as-number": (
        raw("  ring: {", "  5: {class: counter, prefix: X}\n  ring: {"), ["devices.5"],
    ),
    "no-such-suffix": (changed(ring__pvs={"Curent": "X"}), ["ring.pvs", "'Curent'", "'Current'"]),
    "no-such-suffix-of-a-counter": (
        counter("diode", pvs={"line": "X"}), ["devices.diode.pvs", "did you mean 'Line'"],
    ),
    "no-such-edge": (
        changed(mono__edge_offsets={"MnL3": 0.35}),
        ["devices.mono.edge_offsets", "MnL3", "Mn L3"],
    ),
    "key-twice": (
        raw("    a0: 400 ", "    a0: 400\n    a0: 450 "),
        [":20: key 'devices.zone_plate.a0' is there twice, in lines 19 and 20"],
    ),
    "part-twice": (TEXT + "name: R\n", ["key 'name' is there twice"]),
    "key-twice-in-braces": (
        raw("edge_offsets: {}", 'edge_offsets: {"Mn L3": 1, "Mn L3": 2}'),
        ["key 'devices.mono.edge_offsets.Mn L3' is there twice, in lines 10 and 10"],
    ),
    "pv-twice": (
        changed(i0__prefix="Trans:"), ["i0.prefix", "'Trans:", "belongs to transmission already"],
    ),
    "pv-of-another": (
        changed(ring__pvs={"Current": "Shutter:Mode"}), ["'Shutter:Mode' belongs to ring already"],
    ),
    "no-prefix": (
        changed(simulated=False, scanner__prefix=""), ["scanner.prefix = ''", "'XStart'"[1:-1]],
    ),
    "not-yaml": ("name: [", [":1: not a YAML file"]),
    "tabs": (raw("    prefix: \"ZP:\"", "\tprefix: \"ZP:\""), [":14: not a YAML file", "tabs"]),
    "two-documents": (TEXT + "---\nname: b\n", ["not a YAML file"]),
    "prefix-without-quotes": (raw('"Mono:"', "Mono: a"), [":9: not a YAML file"]),
    "list": ("- a\n- b\n", ["expected keys and values, found a list"]),
    "word": ("hello", ["expected keys and values, found 'hello'"]),
    "empty": ("", ["the file is empty"]),
    "comments": ("# nothing\n", ["the file is empty"]),
    "key-as-list": ("? [a, b]\n: 1\n", [":1: a key must be text"]),
    "in-itself": ("a: &x [*x]", ["a part that holds itself"]),
    "aliases-of-aliases": (
        "a: &a [0,0,0,0,0,0,0,0,0,0]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in ("ab", "bc", "cd", "de")),
        ["more than 10000 values"],
    ),
    "no-such-alias": ("name: *nobody", ["not a YAML file", "nobody"]),
    "python": ("name: !!python/object/apply:os.getpid []", ["not a YAML file"]),
    "no-such-day": ("name: 2026-13-45", ["not a YAML file"]),
    "control": ("name: a\x07b", ["not a YAML file"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name, tmp_path):
    text, says = WRONG[name]
    file = tmp_path / "beamline.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_beamline(file)
    for word in [str(file), *says]:
        assert word in str(caught.value), str(caught.value)


def test_every_wrong_key_is_named():
    with pytest.raises(ConfigError) as caught:
        parse_beamline(changed(zone_plate__a0=None, ring__class=None, extra=1), "here.yml")
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="none.yml: No such file"):
        load_beamline(tmp_path / "none.yml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_beamline(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (TEXT.encode("cp1252"), ":15: byte 0xb5 is not UTF-8 ('µ' in the encoding of Windows)"),
        (TEXT.encode("utf-16"), "UTF-16; save it as UTF-8"),
        (TEXT.encode() + b"\0", "not a text file"),
    ],
)
def test_an_encoding_that_is_not_ours(tmp_path, content, says):
    file = tmp_path / "beamline.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_beamline(file)
    assert says in str(caught.value) and str(file) in str(caught.value)


def test_what_editors_add_does_no_harm(tmp_path):
    """A byte order mark, line ends of Windows, parts that are written once and used twice."""
    file = tmp_path / "beamline.yml"
    file.write_bytes(("\ufeff" + TEXT.replace("\n", "\r\n")).encode())
    assert load_beamline(file) == parse_beamline(TEXT, "x")
    shared = raw('prefix: "ZP:"', '<<: {prefix: "Other:"}\n    prefix: "ZP:"')
    assert parse_beamline(shared, "x") == parse_beamline(TEXT, "x")
    offsets = 'prefix: "Mono:"\n    edge_offsets: {"Mn L3": 0.35, "Co L3": 1}'
    text = raw('prefix: "Mono:"\n    edge_offsets: {}', offsets)
    assert parse_beamline(text, "x").devices["mono"].options.edge_offsets == {
        "Mn L3": 0.35,
        "Co L3": 1.0,
    }


def test_every_clash_is_named():
    content = yaml.safe_load(changed(i0__prefix="Trans:", ring__pvs={"C": "x"}))
    content["devices"]["lambda"] = {"class": "counter", "prefix": "X:"}
    text = yaml.safe_dump(content, sort_keys=False)
    with pytest.raises(ConfigError) as caught:
        parse_beamline(text, "here.yml")
    assert len(str(caught.value).splitlines()) == 3


def test_what_the_file_says_reaches_the_devices(simulation):
    text = changed(
        mono__edge_offsets={"Mn L3": 0.35}, mono__backlash=0.5,
        mono__tolerance=0.1, zone_plate__a0=350, ring__pvs={"Current": "SR:DCCT"},
    )  # fmt: skip
    stxm = made_stxm(replace(parse_beamline(text, "x"), prefix="P:"))
    assert stxm.monochromator.offset_at("Mn L3") == 0.35
    assert stxm.monochromator.backlash.get() == 0.5
    assert stxm.monochromator.tolerance == 0.1
    assert stxm.zone_plate.a0.get() == 350
    assert stxm.ring.current.pvname == "SR:DCCT"
    assert stxm.scanner.source.index.pvname == "P:Scan:Index"
    stxm.destroy()


@pytest.fixture
def run_stack(simulation, stxm, RE):
    """Take a small stack with the devices of another file; its documents, and its live map."""

    def run(config, **options):
        other = made_stxm(config.served_as(simulation.prefix))
        record, live = [], OxidationMap()
        tokens = [RE.subscribe(lambda name, doc: record.append((name, doc))), RE.subscribe(live)]
        try:
            connect(other)
            RE(energy_stack(other, **options))
            result = live.result
        finally:
            for token in tokens:
                RE.unsubscribe(token)
            live.close()
            other.destroy()
        validate_run(record)
        return record, result

    return run


SMALL = {"energies": [639.0, 640.0], "pixels": 3, "size": 1.0}
MAPPED = {
    "edge": "Mn L3", "energies": [638.0, 640.0, 642.0, 643.5, 645.0, 650.0], "pixels": 30,
    "size": 6.0,
}  # fmt: skip
NO_MONITOR = bound(i0=None)


def test_a_further_counter_is_recorded(run_stack):
    """Here one more device on the PVs of the monitor, which no file may ask for."""
    config = parse_beamline(counter("photodiode"), "x")
    config = config.changed("photodiode", prefix="I0:")
    record, _ = run_stack(config, **SMALL)
    assert record[0][1]["detectors"] == ["transmission", "i0", "photodiode"]
    pages = [doc["data"] for name, doc in record if name == "event_page"]
    assert pages
    for data in pages:
        np.testing.assert_array_equal(data["photodiode"], data["i0"])


def test_no_monitor(run_stack):
    record, _ = run_stack(parse_beamline(NO_MONITOR, "x"), **SMALL)
    assert record[0][1]["detectors"] == ["transmission"]
    pages = [doc["data"] for name, doc in record if name == "event_page"]
    assert pages and all("i0" not in data for data in pages)


def test_no_shutter(run_stack, stxm, caplog):
    """The blade of the simulated beamline is opened by somebody else here, and stays so."""
    stxm.shutter.set("open").wait(timeout=60)
    try:
        record, _ = run_stack(parse_beamline(bound(shutter=None), "x"), **SMALL)
        assert stxm.shutter.is_open
    finally:
        stxm.shutter.set("closed").wait(timeout=60)
    pages = [doc["data"] for name, doc in record if name == "event_page"]
    counts = np.concatenate([np.ravel(data["transmission"]) for data in pages])
    assert counts.size == 18 and counts.min() > 0
    assert "the sample has beam all the time" in caplog.text


def test_the_map_copes_without_a_monitor(run_stack):
    """I0 is that of the blank area, which this image has: the same map, with or without."""
    _, with_monitor = run_stack(parse_beamline(TEXT, "x"), **MAPPED)
    _, without = run_stack(parse_beamline(NO_MONITOR, "x"), **MAPPED)
    assert without.n_mask > 300
    assert without.n_mask == pytest.approx(with_monitor.n_mask, rel=0.3)
    assert without.mean == pytest.approx(with_monitor.mean, abs=0.05)


def test_the_simulated_file_is_a_beamline_file():
    config = simulated_beamline("RS1:")
    assert config.simulated and config.prefix == "RS1:"
