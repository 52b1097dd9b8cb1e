"""From runs on a microscope whose scales are off to devices on which they are right."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from bluesky import plan_stubs as bps

from redoxscope.calibrations import (
    CalibrationError,
    Calibrations,
    _energy,
    calibrate_aperture,
    calibrate_energy,
    calibrate_focus,
)
from redoxscope.callbacks import oxidation_map
from redoxscope.data import edge_energies, load_references
from redoxscope.optics import InterlockError
from redoxscope.storage import stack_cube
from redoxscope.testing import make_engine

from .runs import MONO, PLATE, Bench, Plate


@pytest.fixture(scope="module")
def measured():
    """A microscope 0.4 eV and 1 % off, and what is proposed for it: energy, then focus."""
    bench = Bench()
    return bench, calibrate_energy(bench.stack("Mn L3", energies=edge_energies("Mn L3")[::2]))


@pytest.fixture
def bench(measured):
    return replace(measured[0], mono=type(measured[0].mono)())


@pytest.fixture
def energy(measured):
    return measured[1]


@pytest.fixture
def kept(bench, tmp_path):
    return Calibrations(tmp_path / "kept", [bench.mono, bench.plate, bench.osa], beamline="ours")


def mean_fraction(documents):
    result = oxidation_map(documents, region="sample").result
    inside = result.mask
    weights = np.where(inside, result.thickness, 0.0)
    return float((np.where(inside, result.fraction, 0.0) * weights).sum() / weights.sum())


def test_both_are_recovered_and_the_maps_bias_disappears(tmp_path):
    """A1 wrong by 1 %, energy off by 0.4 eV: recovered within σ, which is small enough."""
    bench = Bench()
    kept = Calibrations(tmp_path, [bench.mono, bench.plate], beamline="ours")
    x = np.linspace(-1.425, 1.425, 20)
    energies = edge_energies("Mn L3")[::2]
    truth = bench.model.truth(energies, x, x, load_references("Mn L3"))
    true = np.nansum(truth["fraction"] * truth["thickness"]) / np.nansum(truth["thickness"])

    first = bench.stack("Mn L3", energies=energies)
    before = mean_fraction(first) - true
    offset = calibrate_energy(first)
    assert offset.sigma["offset"] <= 0.05
    assert abs(offset.values["offset"] - 0.4) < 3 * offset.sigma["offset"]
    kept.apply(offset)
    # At each energy that is used the offset is known: here all are at the edge that was measured.
    focus = calibrate_focus(bench.focus([600.0, 800.0], "Mn L3"))
    assert abs(focus.values["a1"] - bench.model.a1_true) < 3 * focus.sigma["a1"]
    assert focus.sigma["a1"] < 1e-3 * bench.model.a1_true
    assert abs(focus.values["a0"] - 400.0) < 3 * focus.sigma["a0"]
    kept.apply(focus)
    second = bench.stack("Mn L3", energies=energies)
    after = mean_fraction(second) - true
    assert abs(before) > 0.1
    assert abs(after) < 0.01 < abs(before) / 10
    again = calibrate_energy(second)
    assert abs(again.values["offset"] - 0.4) < 0.005
    assert again.source["shift"] == pytest.approx(0.0, abs=0.005)


def test_what_is_proposed_shows_itself_and_changes_nothing(bench, energy):
    text = repr(energy)
    assert f"proposed for {MONO}, Mn L3 (run run-1); not applied:" in text
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
    (kept.folder / "broken.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert len(kept.history) == 1
    assert "broken.json is no calibration" in caplog.text


def test_a_full_disk_leaves_nothing_in_force(bench, energy, kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_keep", full)
    with pytest.raises(OSError, match="No space left"):
        kept.apply(energy)
    assert bench.mono.edge_offsets == {}


def test_focus_is_checked_against_the_geometry(bench, kept):
    found = calibrate_focus(bench.focus([640.0], "Mn L3"))
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


def test_a_focus_belongs_to_the_energy_offset_it_was_measured_with(bench, energy, kept, caplog):
    """0.4 eV are 3.5 µm."""
    found = calibrate_focus(bench.focus([640.0], "Mn L3"))
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
    again = calibrate_focus(bench.focus([640.0], "Mn L3"))
    kept.apply(again)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        kept.revert("Mn L3")
    assert "measure the focus again" in caplog.text


def test_runs_with_several_offsets_at_an_edge_are_doubted(bench):
    first = bench.focus([600.0], "Mn L3")
    bench.mono.edge_offsets["Mn L3"] = 0.3
    found = calibrate_focus(first, bench.focus([800.0], "Mn L3"))
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


def test_the_distance_of_both_foci_is_a0(bench):
    run = bench.focus([640.0])
    found = calibrate_focus(run, aperture=bench.osa_focus(640.0))
    assert abs(found.values["a0"] - 400.0) < 3 * found.sigma["a0"] < 5.0
    with pytest.raises(ValueError, match=r"measured at 700 eV, and the sample's at no such"):
        calibrate_focus(run, aperture=bench.osa_focus(700.0))
    assert [axes.get_xlabel() for axes in found.figure().axes] == [
        "zone plate z from best focus (µm)", "energy (eV)",
    ]  # fmt: skip


def test_the_stage_is_found_whatever_it_is_called(bench):
    run = bench.focus([640.0])
    still = calibrate_focus(run)
    (data,) = [doc["configuration"]["scanner"]["data"] for name, doc in run if name == "descriptor"]
    del data["stxm_sample_stage_fine_x"], data["stxm_sample_stage_z"]
    with pytest.raises(ValueError, match="the run does not say _fine_x, _z of any device"):
        calibrate_focus(run)
    data |= {"other_fine_x": 0.0, "other_z": 7.0}
    assert calibrate_focus(run).values["a0"] == pytest.approx(still.values["a0"] - 7.0)


def test_of_a_run_that_continues_another_the_lines_of_both_are_taken(bench, monkeypatch):
    documents = bench.stack("Mn L3", energies=edge_energies("Mn L3")[::2])
    run, given = SimpleNamespace(metadata={}), []

    def cube(source, **options):
        given.append(source)
        return stack_cube(documents, **options)

    monkeypatch.setattr(_energy, "documents_of", lambda source: documents)
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


def test_wrong_runs_are_refused(bench, energy):
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


def test_names_of_devices_are_those_of_the_run(bench, energy, tmp_path):
    """Two zone plates: the one that was measured is meant."""
    other = Plate(bench.model.geometry, "other_zone_plate")
    both = Calibrations(tmp_path, [other, bench.plate])
    both.apply(calibrate_focus(bench.focus([640.0])))
    assert other.geometry.a0_um == 400.0 != bench.plate.geometry.a0_um
