"""The beamline file: what is wrong with one is said by key; what is right makes the devices."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import yaml

from redoxscope.config import (
    ConfigError,
    load_beamline,
    make_stxm,
    parse_beamline,
    simulated_beamline,
)
from redoxscope.contract import validate_run
from redoxscope.plans import energy_stack
from redoxscope.session import connect

TEXT = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")


def changed(**parts):
    """The simulated beamline's file with keys changed: ``part__key=value``; None deletes it."""
    content = yaml.safe_load(TEXT)
    for path, value in parts.items():
        *folders, key = path.split("__")
        where = content
        for folder in folders:
            where = where[folder]
        if value is None:
            del where[key]
        else:
            where[key] = value
    return yaml.safe_dump(content)


WRONG = {
    "misspelt": (changed(zone_plate__outer_zon=45), ["zone_plate.outer_zon", "'outer_zone'"]),
    "misspelt-part": (changed(scaner={"prefix": "x"}), ["'scaner'", "'scanner'"]),
    "unlike-anything": (changed(qqq=1), ["'qqq'", "known:", "monochromator"]),
    "missing": (changed(zone_plate__a0=None), ["'zone_plate.a0' is missing"]),
    "missing-part": (changed(shutter=None), ["'shutter' is missing"]),
    "text-for-number": (changed(zone_plate__a0="wide"), ["zone_plate.a0 = 'wide'", "number"]),
    "negative": (changed(zone_plate__diameter=-240), ["zone_plate.diameter = -240", "greater"]),
    "nan": (changed(zone_plate__a0=float("nan")), ["zone_plate.a0"]),
    "osa-wider-than-stop": (changed(zone_plate__osa_diameter=96), ["osa", "96", "95", "µm"]),
    "a1-of-another-plate": (changed(zone_plate__a1=3.0), ["a1", "3 µm/eV", "20 %"]),
    "text-for-yes": (changed(simulated="perhaps"), ["simulated", "perhaps"]),
    "counter-name": (changed(counters={"scanner": {"prefix": "X:"}}), ["counters", "scanner"]),
    "counter-as-data-key": (changed(counters={"energy": {"prefix": "X:"}}), ["energy"]),
    "no-such-suffix": (changed(ring__pvs={"Curent": "X"}), ["ring.pvs", "'Curent'", "'Current'"]),
    "no-such-edge": (
        changed(monochromator__edge_offsets={"MnL3": 0.35}),
        ["monochromator.edge_offsets", "MnL3", "Mn L3"],
    ),
    "not-yaml": ("name: [", ["not a YAML file"]),
    "list": ("- a\n- b\n", ["expected keys and values"]),
    "empty": ("", ["expected keys and values"]),
    "python": ("name: !!python/object/apply:os.getpid []", ["not a YAML file"]),
}


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
        parse_beamline(changed(zone_plate__a0=None, ring=None, extra=1), "here.yml")
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_beamline(tmp_path / "none.yml")
    with pytest.raises(ConfigError):
        load_beamline(tmp_path)


def test_what_the_file_says_reaches_the_devices(simulation):
    text = changed(
        monochromator__edge_offsets={"Mn L3": 0.35}, monochromator__backlash=0.5,
        monochromator__tolerance=0.1, zone_plate__a0=350, ring__pvs={"Current": "SR:DCCT"},
    )  # fmt: skip
    stxm = make_stxm(parse_beamline(text, "x").model_copy(update={"prefix": "P:"}))
    assert stxm.monochromator.offset_at("Mn L3") == 0.35
    assert stxm.monochromator.backlash.get() == 0.5
    assert stxm.monochromator.tolerance == 0.1
    assert stxm.zone_plate.a0.get() == 350
    assert stxm.ring.current.pvname == "SR:DCCT"
    assert stxm.scanner.index.pvname == "P:Scan:Index"
    stxm.destroy()


def run_stack(simulation, RE, text):
    stxm = make_stxm(parse_beamline(text, "x").model_copy(update={"prefix": simulation.prefix}))
    connect(stxm)
    record = []
    token = RE.subscribe(lambda name, doc: record.append((name, doc)))
    try:
        RE(energy_stack(stxm, energies=[639.0, 640.0], pixels=3, size=1.0))
    finally:
        RE.unsubscribe(token)
        stxm.destroy()
    validate_run(record)
    return record


def test_a_further_counter_is_recorded(simulation, stxm, RE):
    """Here one more device on the PVs of the monitor."""
    record = run_stack(simulation, RE, changed(counters={"photodiode": {"prefix": "I0:"}}))
    assert record[0][1]["detectors"] == ["transmission", "i0", "photodiode"]
    for name, doc in record:
        if name == "event_page":
            np.testing.assert_array_equal(doc["data"]["photodiode"], doc["data"]["i0"])


def test_no_monitor(simulation, stxm, RE):
    record = run_stack(simulation, RE, changed(i0=None) + "\ni0: null\n")
    assert record[0][1]["detectors"] == ["transmission"]
    assert all("i0" not in doc["data"] for name, doc in record if name == "event_page")


def test_the_map_copes_without_a_monitor(simulation, stxm, RE):
    from redoxscope.callbacks import OxidationMap

    live = OxidationMap()
    token = RE.subscribe(live)
    text = changed(i0=None) + "\ni0: null\n"
    other = make_stxm(parse_beamline(text, "x").model_copy(update={"prefix": simulation.prefix}))
    connect(other)
    try:
        energies = [638.0, 640.0, 642.0, 643.5, 645.0, 650.0]
        RE(energy_stack(other, edge="Mn L3", energies=energies, pixels=16, size=10.0))
    finally:
        RE.unsubscribe(token)
        live.close()
        other.destroy()


def test_the_simulated_file_is_a_beamline_file():
    config = simulated_beamline("RS1:")
    assert config.simulated and config.prefix == "RS1:"
