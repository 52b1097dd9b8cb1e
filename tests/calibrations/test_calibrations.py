"""From runs on a microscope whose scales are off to devices on which they are right."""

from __future__ import annotations

import json
import logging
import re
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from typer.testing import CliRunner

from redoxscope.calibrations import (
    CalibrationError,
    Calibrations,
    _energy,
    _runs,
    _store,
    calibrate_aperture,
    calibrate_energy,
    calibrate_focus,
)
from redoxscope.callbacks import oxidation_map
from redoxscope.cli import app
from redoxscope.data import edge_energies, load_references
from redoxscope.documents import RESUMES
from redoxscope.optics import InterlockError
from redoxscope.scan import Outer, Scan
from redoxscope.storage import stack_cube
from redoxscope.storage.catalog import main_streams
from redoxscope.testing import make_engine

from .runs import MONO, PLATE, Bench, Plate

ENERGIES = edge_energies("Mn L3")[::2]


@pytest.fixture(scope="module")
def first():
    """A stack on a microscope 0.4 eV and 1 % off."""
    return Bench().stack("Mn L3", energies=ENERGIES)


@pytest.fixture(scope="module")
def energy(first):
    return calibrate_energy(first)


@pytest.fixture(scope="module")
def scanned():
    """A focus scan on it."""
    return Bench(number=50).focus([640.0], "Mn L3")


@pytest.fixture
def bench():
    return Bench(number=100)


@pytest.fixture
def kept(bench, tmp_path):
    return Calibrations(tmp_path / "kept", [bench.mono, bench.plate, bench.osa], beamline="ours")


def changed(documents, of="event", **values):
    """The same run, and what is other in its events, start or descriptors."""
    found = deepcopy(documents)
    for name, doc in found:
        if name == of:
            data = doc["data"] if of == "event" else doc
            for key, value in values.items():
                data[key] = [value] * len(data[key]) if isinstance(data.get(key), list) else value
    return found


def with_offset(documents, offset):
    """The same run, measured with another energy offset (eV)."""
    found = changed(documents, "start", uid="again")
    for name, doc in found:
        if name == "descriptor":
            doc["configuration"]["scanner"]["data"][f"{MONO}_offset"] = offset
    return found


def without_monitor(documents):
    """The same run, as of a beamline that has none."""
    found = deepcopy(documents)
    for name, doc in found:
        if name == "start":
            doc["detectors"].remove("i0")
        else:
            del doc["data_keys" if name == "descriptor" else "data"]["i0"]
    return found


def mean_fraction(documents):
    result = oxidation_map(documents, region="sample").result
    inside = result.mask
    weights = np.where(inside, result.thickness, 0.0)
    return float((np.where(inside, result.fraction, 0.0) * weights).sum() / weights.sum())


def test_both_are_recovered_and_the_maps_bias_disappears(bench, kept, first, energy):
    """A1 wrong by 1 %, energy off by 0.4 eV: recovered within σ, which is small enough."""
    x = np.linspace(-1.425, 1.425, 20)
    truth = bench.model.truth(ENERGIES, x, x, load_references("Mn L3"))
    true = np.nansum(truth["fraction"] * truth["thickness"]) / np.nansum(truth["thickness"])

    before = mean_fraction(first) - true
    offset = energy
    assert offset.sigma["offset"] <= 0.05
    assert abs(offset.values["offset"] - 0.4) < 3 * offset.sigma["offset"]
    kept.apply(offset)
    # At each energy that is used the offset is known: here all are at the edge that was measured.
    focus = calibrate_focus(bench.focus([600.0, 800.0], "Mn L3", half=80.0, steps=21))
    assert abs(focus.values["a1"] - bench.model.a1_true) < 3 * focus.sigma["a1"]
    assert focus.sigma["a1"] < 1e-3 * bench.model.a1_true
    assert abs(focus.values["a0"] - 400.0) < 3 * focus.sigma["a0"]
    kept.apply(focus)
    second = bench.stack("Mn L3", energies=ENERGIES)
    after = mean_fraction(second) - true
    assert abs(before) > 0.1
    assert abs(after) < 0.01 < abs(before) / 10
    again = calibrate_energy(second)
    assert abs(again.values["offset"] - 0.4) < 0.005
    assert again.source["shift"] == pytest.approx(0.0, abs=0.005)


def test_what_is_proposed_shows_itself_and_changes_nothing(bench, energy):
    text = repr(energy)
    assert f"proposed for Mn L3 ({MONO}), from run run-1; not applied:" in text
    assert "offset = 0.4" in text and "was 0.000 eV" in text
    assert "doubt: the references are computed ones" in text
    assert bench.mono.edge_offsets == {}
    drawn = energy.figure()
    assert [axes.get_xlabel() for axes in drawn.axes] == ["energy (eV)", "shift (eV)"]
    json.dumps(energy.source)


def test_applied_told_and_taken_back(bench, energy, kept):
    bench.mono.edge_offsets["Mn L3"] = 0.1
    one = kept.apply(energy)
    offset = energy.values["offset"]
    assert bench.mono.edge_offsets == {"Mn L3": offset}
    assert [each.uid for each in kept.in_force] == [one.uid]
    assert one.before == {"offset": 0.1} and one.source["runs"] == ["run-1"]
    assert one.source["references"]["digest"] == load_references("Mn L3").digest()

    engine, documents = make_engine()
    engine.preprocessors.append(kept.told)

    def run():
        yield from bps.open_run()
        yield from bps.close_run()

    engine(run())  # at no edge: the offset of Mn L3 plays no part
    bench.mono.edge.set("Mn L3")
    engine(run())
    starts = [doc for name, doc in documents if name == "start"]
    assert "calibrations" not in starts[0]
    (told,) = starts[1]["calibrations"]
    assert told["uid"] == one.uid and told["of"] == "Mn L3" and told["runs"] == ["run-1"]
    assert told["values"] == {"offset": offset} and told["units"] == {"offset": "eV"}

    gone = kept.revert("Mn L3")
    assert bench.mono.edge_offsets == {"Mn L3": 0.1} and gone.reverted
    assert kept.in_force == [] and len(kept.history) == 1
    engine(run())
    last = [doc for name, doc in documents if name == "start"][-1]
    assert "calibrations" not in last


def test_an_offset_that_was_none_is_none_again(bench, energy, kept):
    kept.apply(energy)
    kept.revert("Mn L3")
    assert bench.mono.edge_offsets == {}


def test_one_on_top_of_the_other_comes_off_in_order(bench, energy, kept):
    first = kept.apply(energy)
    second = kept.apply(replace(energy, values={"offset": 0.5}))
    with pytest.raises(CalibrationError, match=f"{second.uid[:8]} was applied after"):
        kept.revert(first.uid)
    kept.revert(second)
    assert bench.mono.edge_offsets == {"Mn L3": energy.values["offset"]}
    kept.revert(first.uid[:8])
    assert bench.mono.edge_offsets == {}
    with pytest.raises(CalibrationError, match="no calibration 'Mn L3' is applied; applied: none"):
        kept.revert("Mn L3")


def test_what_was_changed_by_hand_stays(bench, energy, kept):
    kept.apply(energy)
    bench.mono.edge_offsets["Mn L3"] = 0.2
    assert kept.in_force == []
    with pytest.raises(CalibrationError, match=r"offset 0.200 eV at Mn L3.* changed since"):
        kept.revert("Mn L3")
    assert bench.mono.edge_offsets == {"Mn L3": 0.2}


def test_not_during_a_run_nor_with_another_users_offset(bench, energy, tmp_path):
    kept = Calibrations(tmp_path, [bench.mono], busy=lambda: True)
    with pytest.raises(CalibrationError, match="a run is going on"):
        kept.apply(energy)
    kept = Calibrations(tmp_path, [bench.mono])
    bench.mono.user_offset.set(0.3)
    with pytest.raises(CalibrationError, match=r"user_offset is 0.3 eV, and was 0 eV in the run"):
        kept.apply(energy)
    with pytest.raises(CalibrationError, match=f"no '{MONO}' to be calibrated in energy here"):
        Calibrations(tmp_path, [bench.plate]).apply(energy)
    with pytest.raises(CalibrationError, match="'Mn L3' is no proposal"):
        kept.apply("Mn L3")
    assert bench.mono.edge_offsets == {} and kept.history == []


def test_in_force_again_in_the_next_session_unless_the_file_changed(bench, energy, kept, caplog):
    kept.apply(energy)
    mono = type(bench.mono)()  # of a new session, as the file has it
    again = Calibrations(kept.folder, [mono], beamline="ours")
    assert [one.of for one in again.restore()] == ["Mn L3"]
    assert mono.edge_offsets == {"Mn L3": energy.values["offset"]}
    # On top of what was restored: the file still says what it said.
    again.apply(replace(energy, values={"offset": 0.5}))
    third = type(bench.mono)()
    assert Calibrations(kept.folder, [third], beamline="ours").restore()
    assert third.edge_offsets == {"Mn L3": 0.5}

    edited = type(bench.mono)(**{"Mn L3": 0.25})
    with caplog.at_level(logging.WARNING):
        assert Calibrations(kept.folder, [edited], beamline="ours").restore() == []
    assert "the beamline file has {'offset': 0.25} at Mn L3" in caplog.text
    assert edited.edge_offsets == {"Mn L3": 0.25}
    other = type(bench.mono)()
    assert Calibrations(kept.folder, [other], beamline="theirs").restore() == []


def test_a_damaged_file_is_told_and_passed_over(energy, kept, caplog):
    kept.apply(energy)
    (path,) = kept.folder.glob("*.json")
    good = json.loads(path.read_text())
    edited = {"reverted": {"reverted": "yesterday"}, "source": {"source": "mine"}}
    (kept.folder / "broken.json").write_text("{")
    for name, change in edited.items():
        (kept.folder / f"{name}.json").write_text(json.dumps(good | {"uid": name} | change))
    with caplog.at_level(logging.WARNING):
        assert len(kept.history) == 1
    for name in ("broken", *edited):
        assert f"{name}.json is no calibration" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("source", None, "source does not say runs"),
        ("source", [], "source does not say runs"),
        ("source", {"runs": 3}, "source does not say runs"),
        ("source", {"energy_scale": [3]}, "source does not say energy offsets"),
        ("kind", [], "kind is no text"),
        ("uid", 3, "uid is no text"),
        ("reverted", "soon", "Invalid isoformat string"),
        ("values", {"offset": "x"}, "values has 'x'"),
        ("values", [], "values is not of the names"),
        ("sigma", None, "sigma is not of the names"),
        ("sigma", {"offset": "x"}, "sigma has 'x'"),
        ("before", {}, "before is not of the names"),
        ("before", {"offset": True}, "before has True"),
        ("file", {"offset": float("nan")}, "file has nan"),
        ("units", {"offset": 1}, "units has 1"),
    ],
)
def test_a_file_with_a_value_of_a_wrong_kind_costs_no_run(energy, kept, caplog, key, value, says):
    one = kept.apply(energy)
    other = {**one.as_dict(), "uid": "other", key: value}
    (kept.folder / "other.json").write_text(json.dumps(other))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # every run asks
            assert [each.uid for each in kept.in_force] == [one.uid] and repr(kept)
    assert caplog.text.count("other.json is no calibration: ") == 1 and says in caplog.text
    assert kept.revert("Mn L3").reverted


def test_a_file_nested_too_deep_or_of_another_kind_of_device_costs_no_run(energy, kept, caplog):
    one = kept.apply(energy)
    (kept.folder / "deep.json").write_text("[" * 100_000)
    focus = {**one.as_dict(), "uid": "other", "kind": "focus"}  # a monochromator has none
    (kept.folder / "other.json").write_text(json.dumps(focus))
    assert [each.uid for each in kept.in_force] == [one.uid] and repr(kept)
    assert caplog.text.count("deep.json is no calibration") == 1
    assert not [each for each in kept.restore() if each.kind == "focus"]


def test_a_full_disk_takes_nothing_back(bench, energy, kept, monkeypatch):
    one = kept.apply(energy)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_keep", full)
    with pytest.raises(OSError, match="No space left"):
        kept.revert("Mn L3")
    assert bench.mono.edge_offsets == {"Mn L3": one.values["offset"]}
    assert [each.uid for each in kept.in_force] == [one.uid]


def test_a_full_disk_leaves_nothing_in_force(bench, energy, kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_keep", full)
    with pytest.raises(OSError, match="No space left"):
        kept.apply(energy)
    assert bench.mono.edge_offsets == {}


@pytest.mark.parametrize("moment", ["kept", "written"])
def test_ctrl_c_leaves_all_of_a_calibration_or_nothing(bench, energy, kept, monkeypatch, moment):
    """It comes while the file is synchronised, or when the device has its value already."""

    def interrupted(*_):
        raise KeyboardInterrupt

    def written(device, of, values, write=_store.KINDS["energy"].write):
        write(device, of, values)
        if values == energy.values:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "kept":
            patch.setattr(_store.os, "fsync", interrupted)
        else:
            one = _store.KINDS["energy"]._replace(write=written)
            patch.setattr(_store, "KINDS", {**_store.KINDS, "energy": one})
        with pytest.raises(KeyboardInterrupt):
            kept.apply(energy)
    assert bench.mono.edge_offsets == {}
    assert kept.history == [] and list(kept.folder.iterdir()) == []
    assert kept.apply(energy).uid == kept.in_force[0].uid


def test_two_sessions_on_one_folder_each_say_what_they_measure_with(bench, energy, kept):
    """One that is open keeps what it has; the newest is in force in the next."""
    other = Bench(number=200)
    elsewhere = Calibrations(kept.folder, [other.mono], beamline="ours")
    one = kept.apply(energy)
    assert elsewhere.in_force == [] and other.mono.edge_offsets == {}
    two = elsewhere.apply(replace(energy, values={"offset": 0.5}))
    assert [[each.uid for each in known.in_force] for known in (kept, elsewhere)] == [
        [one.uid], [two.uid],
    ]  # fmt: skip
    third = Bench(number=300)
    (restored,) = Calibrations(kept.folder, [third.mono], beamline="ours").restore()
    assert restored.uid == two.uid and third.mono.edge_offsets == {"Mn L3": 0.5}


def test_focus_is_checked_against_the_geometry(bench, kept, scanned):
    found = calibrate_focus(scanned)
    assert "A1 was not measured and stays as it is" in found.doubts[0]
    assert found.values["a1"] == pytest.approx(bench.plate.a1.get())
    # 55 µm of 1 % of A1 go into A0.
    assert found.values["a0"] == pytest.approx(455.0 - 0.4 * 8.62, abs=1.0)
    kept.apply(found)
    assert bench.plate.geometry.a0_um == found.values["a0"]
    kept.revert(PLATE)
    assert bench.plate.geometry.a0_um == 400.0
    for values, says in (
        ({"a0": 90.0, "a1": 8.7}, "zone_plate.a0 = 90 µm is not above 100 µm"),
        ({"a0": 4000.0, "a1": 8.7}, "zone_plate.a0 = 4000 µm is above"),
        ({"a0": 400.0, "a1": 12.0}, "zone_plate.a1 = 12 µm/eV is not within 20 %"),
    ):
        with pytest.raises(InterlockError, match=says):
            kept.apply(replace(found, values=values))
    assert bench.plate.geometry.a0_um == 400.0
    bench.plate.z.limits = (-5000.0, -100.0)
    with pytest.raises(InterlockError, match="at 640 eV is below its limit -5000 µm"):
        kept.apply(found)


def test_a_focus_belongs_to_the_energy_offset_it_was_measured_with(
    bench, energy, kept, scanned, caplog
):
    """0.4 eV are 3.5 µm."""
    found = calibrate_focus(scanned)
    assert found.source["energy_scale"] == [{"device": MONO, "edge": "Mn L3", "offset": 0.0}]
    kept.apply(found)
    with caplog.at_level(logging.WARNING):
        kept.apply(energy)
    assert caplog.text.count("measure the focus again") == 1
    kept.revert(PLATE)
    with pytest.raises(
        CalibrationError, match=r"has an offset of 0\.\d+ eV at Mn L3, and had 0 eV in the run"
    ):
        kept.apply(found)
    assert bench.plate.geometry.a0_um == 400.0
    kept.apply(calibrate_focus(with_offset(scanned, energy.values["offset"])))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        kept.revert("Mn L3")
    assert "measure the focus again" in caplog.text


def test_runs_with_several_offsets_at_an_edge_are_doubted(scanned):
    found = calibrate_focus(scanned, with_offset(scanned, 0.3))
    assert "the energy offset at an edge was not the same in all runs" in found.doubts


def test_a_file_is_read_once_and_one_that_cannot_be_costs_no_run(
    bench, energy, kept, caplog, monkeypatch
):
    kept.apply(energy)
    (kept.folder / "odd.json").mkdir()
    read, mine = [], Calibrations(kept.folder, [bench.mono], beamline="ours")
    whole = mine._read_now
    monkeypatch.setattr(mine, "_read_now", lambda path: [read.append(path), whole(path)][1])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert [one.of for one in mine.in_force] == ["Mn L3"]
    assert caplog.text.count("odd.json cannot be read") == 1
    assert len(read) == 2
    # What another session does in the same folder is seen.
    kept.revert("Mn L3")
    assert mine.in_force == [] and len(read) == 3 and mine.history[0].reverted


def test_the_distance_of_both_foci_is_a0(bench, scanned):
    found = calibrate_focus(scanned, aperture=bench.osa_focus(640.0))
    assert abs(found.values["a0"] - 400.0) < 3 * found.sigma["a0"] < 5.0
    with pytest.raises(ValueError, match=r"measured at 700 eV, and the sample's at no such"):
        calibrate_focus(scanned, aperture=bench.osa_focus(700.0))
    assert [axes.get_xlabel() for axes in found.figure().axes] == [
        "zone plate z from best focus (µm)", "energy (eV)",
    ]  # fmt: skip


def test_the_stage_is_found_whatever_it_is_called(scanned):
    run = deepcopy(scanned)
    still = calibrate_focus(run)
    (data,) = [doc["configuration"]["scanner"]["data"] for name, doc in run if name == "descriptor"]
    del data["stxm_sample_stage_fine_x"], data["stxm_sample_stage_z"]
    with pytest.raises(ValueError, match="the run does not say _fine_x, _z of any device"):
        calibrate_focus(run)
    data |= {"other_fine_x": 0.0, "other_z": 7.0}
    assert calibrate_focus(run).values["a0"] == pytest.approx(still.values["a0"] - 7.0)


def test_of_a_run_that_continues_another_the_lines_of_both_are_taken(first, monkeypatch):
    run, given = SimpleNamespace(metadata={"start": first[0][1]}), []

    def cube(source, **options):
        given.append(source)
        assert options["drift"] == "ignore"  # the mean of all pixels is fitted as it was taken
        return stack_cube(first, **options)

    monkeypatch.setattr(_energy, "head_of", lambda source: first)
    monkeypatch.setattr(_energy, "stack_cube", cube)
    calibrate_energy(run)
    assert given == [run]  # documents would be those of the later run alone


def test_the_aperture_goes_where_the_beam_is(bench, kept):
    run = bench.osa_image()
    run[1][1]["configuration"] = {}  # stepped points do not say what stands still
    found = calibrate_aperture(run)
    assert found.values == pytest.approx({"x": 7.3, "y": -4.6}, abs=0.2)
    assert bench.osa.x.position == 0.0
    kept.apply(found)
    assert bench.osa.x.position == found.values["x"] and len(kept.in_force) == 1
    bench.osa.x.set(30.0)
    assert kept.in_force == []  # somebody has moved it since
    bench.osa.x.set(found.values["x"])
    kept.revert("aperture")
    assert (bench.osa.x.position, bench.osa.y.position) == (0.0, 0.0)
    assert len(found.figure().axes) == 4


def test_wrong_runs_are_refused(bench):
    run = bench.osa_image()
    with pytest.raises(ValueError, match="a run of 'osa_image' is given where one of 'focus_scan'"):
        calibrate_focus(run)
    with pytest.raises(ValueError, match="no run is given"):
        calibrate_focus()
    with pytest.raises(ValueError, match="measured at no edge: give edge="):
        calibrate_energy(run)
    with pytest.raises(ValueError, match="edge = 'Mn L9' is not known"):
        calibrate_energy(run, edge="Mn L9")
    with pytest.raises(ValueError, match="no references are shipped for Fe L3"):
        calibrate_energy(run, edge="Fe L3")
    with pytest.raises(ValueError, match="3 is neither a run"):
        calibrate_energy(3)
    short = bench.focus([640.0], half=20.0, steps=9)
    with pytest.raises(ValueError, match=r"run-\d+, 640 eV: .*(end of the range|equally sharp)"):
        calibrate_focus(short)


def test_names_of_devices_are_those_of_the_run(bench, scanned, tmp_path):
    """Two zone plates: the one that was measured is meant."""
    other = Plate(bench.model.geometry, "other_zone_plate")
    both = Calibrations(tmp_path, [other, bench.plate])
    both.apply(calibrate_focus(scanned))
    assert other.geometry.a0_um == 400.0 != bench.plate.geometry.a0_um


NO_STACK = {
    "another edge": (
        {"edge": "Co L3"}, "edge = 'Co L3', and run run-1 was measured at Mn L3, whose offset"
    ),
    "references of another element": (
        {"references": "Co L3"}, r"0 of 30 energies, 634 to 660 eV, lie within .*764 to 812 eV"
    ),
    "its spectra moved here": (
        {"references": "moved"}, r"(do not look like|fits best at .3 eV, the end of the search)"
    ),
    "search": ({"search": np.nan}, "search = nan eV must be greater than 0 eV and at most 20 eV"),
    "sigma": ({"reference_sigma": np.inf}, "reference_sigma = inf eV .* finite"),
    "no limit": ({"max_od": np.inf}, "max_od = inf must be greater than 0 and finite"),
    "word": ({"max_od": "2"}, "max_od = '2' must be one number"),
    "truth": ({"max_od": True}, "max_od = True must be one number"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_STACK)
def test_an_energy_that_makes_no_sense_is_refused(first, name):
    options, says = NO_STACK[name]
    if options.get("references") == "moved":
        co = load_references("Co L3")
        options = {"references": replace(co, energies=co.energies - 138.4)}
    with pytest.raises(ValueError, match=says):
        calibrate_energy(first, **options)


def test_a_stack_that_lacks_something_is_told_what(first):
    (empty,) = [
        doc["uid"] for name, doc in first if name == "descriptor" and doc["name"] != "sample"
    ]
    alone = [(name, doc) for name, doc in first if empty not in (doc["uid"], doc.get("descriptor"))]
    nothing = [one for one in first if one[0] != "event"]
    elsewhere = changed(first, "start", edge=None)
    for documents, options, says in (
        (alone, {}, r"run run-1: No blank area found \(the optical density .* an i0_region="),
        (without_monitor(alone), {}, r"run run-1 has no I0.* i0_region="),
        (nothing, {}, "run run-1 has no counts behind the sample"),
        (changed(first, transmission=np.nan), {}, "run run-1 has no counts behind the sample"),
        (changed(first, transmission=0.0), {}, "run run-1 has no counts behind the sample"),
        (elsewhere, {"edge": "Ni L3", "references": "Mn L3"},
         "run run-1 was measured from 634 to 660 eV, and Ni L3 is within 838 to 890 eV"),
        (first[:1], {}, "the run does not say _edge, _user_offset, _offset of any device"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            calibrate_energy(documents, **options)


def test_a_focus_scan_that_lacks_something_is_told_what(bench, scanned):
    empty = bench.focus([640.0], "Mn L3", y=30.0, steps=15)
    other = changed(with_offset(scanned, 0.0), "start", beamline_id="theirs")
    plates = with_offset(scanned, 0.0)
    for name, doc in plates:
        if name == "descriptor":
            data = doc["configuration"]["scanner"]["data"]
            for key in ("a0", "a1"):
                data[f"other_{key}"] = data.pop(f"{PLATE}_{key}")
    run, few = "run run-51, 640 eV: ", "at least 7 positions are needed"
    for runs, says in (
        ([empty], r"run run-101, 640 eV: the lines are equally sharp from -52.* to -50.* µm"),
        ([scanned[:6]], f"{run}4 whole lines at 4 positions; {few}"),
        ([[one for one in scanned if one[0] != "event"]], "run run-51 of focus_scan has measured"),
        ([changed(scanned, transmission=np.nan)], f"{run}0 whole lines at 0 positions; {few}"),
        ([changed(scanned, i0=np.inf)], f"{run}0 whole lines at 0 positions; {few}"),
        ([changed(scanned, zone_plate_z=np.nan)], f"{run}0 whole lines at 0 positions; {few}"),
        ([changed(scanned, energy=np.nan)], f"{run}no photon energy was read"),
        ([scanned, scanned], "run run-51 is given 2 times"),
        ([scanned, other], "the runs are of several beamlines: ours, theirs"),
        ([scanned, plates], f"the runs are of several zone plates: {PLATE}, other"),
    ):
        with pytest.raises(ValueError, match=says):
            calibrate_focus(*runs)


def test_an_image_of_the_aperture_that_lacks_something_is_told_what(bench):
    run = bench.osa_image()
    around = deepcopy(run)
    scan = around[0][1]["scan"]
    loops = Scan(
        points=tuple(replace(p, outer=(20.0, *p.outer)) for p in Scan.from_start(run[0][1]).points),
        outer=(Outer("temperature", "°C"), Outer("osa_y", "um"), Outer("osa_x", "um")),
    )
    scan.clear()
    scan.update(loops.as_dict())
    nowhere = r"osa_x was nan µm at point 0, and was to be -60 µm within 2 µm, half a step"
    for documents, says in (
        (around, "run run-101 has loops over temperature, osa_y, osa_x: take one with nothing"),
        (changed(run, osa_x=np.nan), nowhere),
        (changed(run, osa_y=0.0), "osa_y was 0 µm at point 0, and was to be -60 µm within 2.5 µm"),
        (changed(run, transmission=np.nan), "image has 0 pixels that were measured"),
        (changed(run, transmission=7.0), "nothing bright stands out: counts from 7 to 7"),
    ):
        with pytest.raises(ValueError, match=says):
            calibrate_aperture(documents)
    # A point that failed has no place, and takes no other's with it.
    event = next(doc for name, doc in run if name == "event")
    event["data"] |= {"point_status": 3, "transmission": np.nan, "osa_x": np.nan}
    assert calibrate_aperture(run).values == pytest.approx({"x": 7.3, "y": -4.6}, abs=0.2)


class Kept(list):
    """A run of a catalog: names of its streams."""

    def __init__(self, start, documents=(), streams=(), parent=None):
        super().__init__(streams)
        self.metadata, self.documents, self.parent = {"start": start}, documents, parent


def test_a_run_of_a_catalog_that_measured_nothing_is_told():
    for plan, calibrate in (("energy_stack", calibrate_energy), ("focus_scan", calibrate_focus),
                            ("osa_image", calibrate_aperture)):  # fmt: skip
        start = {"uid": "1234567890", "plan_name": plan, "edge": "Mn L3"}
        with pytest.raises(ValueError, match=f"run 12345678 of {plan} has measured nothing"):
            calibrate(Kept(start, streams=["baseline"]))


def test_a_run_that_lacks_something_is_not_taken_for_an_empty_one(monkeypatch):
    def broken(run):
        yield "start", run.metadata["start"]
        raise KeyError("sample_x")

    monkeypatch.setattr(_runs, "run_documents", broken)
    start = {"uid": "1234567890", "plan_name": "energy_stack", "edge": "Mn L3"}
    with pytest.raises(KeyError, match="sample_x"):
        calibrate_energy(Kept(start, streams=["primary"]))


@pytest.mark.parametrize("change", [0.0, 0.4])
def test_a_stack_on_two_energy_scales_is_refused(first, monkeypatch, change):
    """It was interrupted, the offset was corrected, and it was continued."""

    def measured(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(_runs, "run_documents", lambda run: iter(run.documents))
    monkeypatch.setattr(_energy, "stack_cube", measured)
    documents = [one for one in first if one[0] in ("start", "descriptor")]
    later = deepcopy(documents)
    for kind, doc in later:
        if kind == "start":
            doc |= {"uid": "later", RESUMES: {"uid": doc["uid"]}}
        for device in doc.get("configuration", {}).values() if kind == "descriptor" else ():
            for key in device["data"]:
                if key == f"{MONO}_offset":
                    device["data"][key] += change
    streams = main_streams(documents[0][1])
    before = Kept(documents[0][1], documents, streams)
    run = Kept(later[0][1], later, streams, {documents[0][1]["uid"]: before})
    with pytest.raises(ValueError if change else ZeroDivisionError, match="two scales|^$"):
        calibrate_energy(run)


@pytest.mark.parametrize("value", [np.nan, np.inf, True, "0.4", None])
def test_what_is_no_number_is_not_applied(bench, energy, kept, value):
    with pytest.raises(ValueError, match=rf"{MONO}.offset = .* must be (one number in eV|finite)"):
        kept.apply(replace(energy, values={"offset": value}))
    assert bench.mono.edge_offsets == {} and kept.history == []


def test_what_was_measured_at_another_beamline_is_not_applied(bench, energy, kept):
    assert energy.beamline == "ours"
    with pytest.raises(CalibrationError, match="measured at beamline 'theirs', and this is 'ours'"):
        kept.apply(replace(energy, beamline="theirs"))
    assert bench.mono.edge_offsets == {} and kept.history == []


def test_the_command_lists_what_was_applied(energy, scanned, kept, tmp_path):
    kept.folder = tmp_path / "optics_calibrations"
    listed = ["calibrations", "--data", str(tmp_path)]
    run = CliRunner().invoke(app, listed)
    assert run.exit_code == 0 and run.output.startswith("No calibration was applied (")
    focus = kept.apply(calibrate_focus(scanned))
    first = kept.apply(energy)
    second = kept.apply(replace(energy, values={"offset": 0.5}))
    file = tmp_path / "all.json"
    text = CliRunner().invoke(app, [*listed, "--json", str(file)]).output.splitlines()
    offset, sigma = f"{energy.values['offset']:.3f}", f"{energy.sigma['offset']:.3f}"
    assert text[0] == "beamline ours" and len(text) == 4
    for line, state, words in zip(text[1:], ("applied", "replaced", "applied"), (
        [second.uid[:8], f"offset {offset} eV -> 0.500 ± {sigma} eV", "run run-1"],
        [first.uid[:8], MONO, f"offset none -> {offset} ± {sigma} eV"],
        [focus.uid[:8], PLATE, "a0 400.00 µm -> 45", "; a1 8.71079 µm/eV -> 8.71079 ±"],
    ), strict=True):  # fmt: skip
        assert line.split()[1] == state and all(word in line for word in words), line
        assert re.search(r"applied \d{4}-\d\d-\d\d \d\d:\d\d", line)
    content = json.loads(file.read_text())
    assert [one["state"] for one in content] == ["applied", "replaced", "applied"]
    assert content[1] == {**json.loads(json.dumps(first.as_dict())), "state": "replaced"}
    kept.revert(second)
    text = CliRunner().invoke(app, listed).output.splitlines()
    assert text[1].split()[1] == "reverted" and ", reverted 20" in text[1]
    assert text[2].split()[1] == "applied"
    theirs = CliRunner().invoke(app, [*listed, "--beamline", "theirs"]).output
    assert theirs.startswith("No calibration of beamline theirs was applied (")
