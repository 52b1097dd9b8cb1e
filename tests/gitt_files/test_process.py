"""Files of a cycler: which columns, which units, what is left behind, what is refused."""

from __future__ import annotations

import json
import sys

import matplotlib.image
import numpy as np
import pytest

from redoxscope.cli import app, main
from redoxscope.formats import FormatError, Table
from redoxscope.gitt_files import process
from redoxscope.gitt_files._columns import find_columns
from redoxscope.gitt_files._given import material
from redoxscope.gitt_files._quantities import AREA, LENGTH, quantity

from ..analysis.kinetics.test_gitt import BY_HAND, PLATE
from ..analysis.kinetics.titrations import titration

PLANE = {"area": "0.1 cm2", "mass": "0.5mg", "molar_volume": "17 cm3/mol", "molar_mass": "85g/mol"}
"""0.5 mg of 5 g/cm³ over 0.1 cm²: 10 µm, as PLATE."""


@pytest.fixture(scope="module")
def six(shared_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("gitt") / "results"
    summary = process(shared_data / "gitt/gitt_six_pulses.csv", out, radius="1.8um")
    return summary, out


def test_the_six_pulses_from_the_file_to_the_summary(six):
    summary, out = six
    assert json.loads((out / "summary.json").read_text()) == summary
    assert [p["d_m2_s"] for p in summary["pulses"]] == pytest.approx(
        [row[3] for row in BY_HAND.values()], rel=0.02
    )
    assert summary["d_median_m2_s"] == pytest.approx(4.77e-16, rel=0.02)
    for p in summary["pulses"]:
        assert p["refused"] is None and p["sigma"] > 0 and 0.93 < p["r2"] < 0.96
        assert p["window_s"] == pytest.approx([1.001, 59.901], abs=1e-3)
        assert p["ir_ohm"] == pytest.approx(0.592, abs=0.005)
        assert p["charge_mah"] > 0 and p["lithium"] is None and p["warnings"]
    soc = [p["soc"] for p in summary["pulses"]]
    assert soc == pytest.approx(np.arange(0.5, 6) / 6, abs=1e-3)
    assert summary["soc_is"].startswith("state of charge, as part of what passes in the file")


def test_the_picture_is_drawn(six):
    picture = matplotlib.image.imread(six[1] / "gitt.png")
    assert picture.shape[1] > 1500 and picture[..., :3].std() > 0.05
    assert sorted(p.name for p in six[1].iterdir()) == ["gitt.png", "summary.json"]


def mpt(path, t, v, i):
    rows = [f"{a:.4f}\t{b:.8f}\t{1e3 * c:.6E}" for a, b, c in zip(t, v, i, strict=True)]
    text = "EC-Lab ASCII FILE\nNb header lines : 4\n3 µm\ntime/s\tEwe/V\t<I>/mA\n" + "\n".join(rows)
    path.write_bytes(text.replace(".", ",").encode("cp1252"))
    return path


def test_a_text_file_of_ec_lab_a_plane_electrode_and_its_lithium(tmp_path):
    file = mpt(tmp_path / "cell.mpt", *titration(1e-14, PLATE, pulses=2))
    summary = process(file, tmp_path / "out", **PLANE)
    assert summary["geometry"] == "planar"
    assert summary["volume_per_area_m"] == pytest.approx(1e-5)
    assert [p["d_m2_s"] for p in summary["pulses"]] == pytest.approx([1e-14] * 2, rel=0.02)
    assert summary["columns"] == {"time": "time/s", "voltage": "Ewe/V", "current": "<I>/mA"}
    assert summary["notes"] == [
        "L is volume over surface, 10000 nm: --thickness gives that of the electrode, for τ ≪ L²/D"
    ]
    taken_out = 1e-3 * 600 / (96485 * 0.5e-3 / 85)
    assert summary["pulses"][0]["lithium"] == pytest.approx(taken_out / 2, rel=1e-3)


REAL = (
    "EC-Lab ASCII FILE\nNb header lines : 6\n\nGalvanostatic Cycling with Potential Limitation\n\n"
    "mode\tox/red\terror\tcontrol changes\tNs changes\tcounter inc.\tNs\ttime/s\t"
    "control/V/mA\tEwe/V\t<I>/mA\tdq/mA.h\tI Range\t\n"
)


def test_the_columns_of_ec_lab(tmp_path):
    """A file has a dozen columns; one of them is text."""
    t, v, i = titration(1e-14, PLATE, pulses=1, every=0.5)
    rows = (
        f"1\t1\t0\t0\t0\t0\t1\t{a:.3f}\t{1e3 * c:.3f}\t{b:.7f}\t{1e3 * c:.4E}\t0\t10 mA\t\n"
        for a, b, c in zip(t, v, i, strict=True)
    )
    file = tmp_path / "cell.mpt"
    file.write_text(REAL + "".join(rows))
    summary = process(file, tmp_path / "out", radius="30um", window=(1, 60))
    assert summary["columns"] == {"time": "time/s", "voltage": "Ewe/V", "current": "<I>/mA"}
    assert summary["pulses"][0]["d_m2_s"] == pytest.approx(1e-14, rel=0.02)  # R/3 = 10 µm


def test_a_column_of_dates_is_no_time(tmp_path):
    file = tmp_path / "cell.csv"
    file.write_text("time/s,v/V,I/A\n2026-11-26 12:00,3.7,0\n2026-11-26 12:01,3.7,0\n")
    with pytest.raises(FormatError, match="'time/s': '2026-11-26 12:00' in line 2 is no number"):
        process(file, tmp_path / "out", radius="1um")


def test_a_capacity_gives_the_state_of_charge_and_a_refused_pulse_stays_in_the_list(tmp_path):
    t, v, i = titration(1e-14, PLATE, pulses=2)
    keep = t <= t[np.flatnonzero(i)[-1]]  # the second has no rest behind it
    file = mpt(tmp_path / "cell.mpt", t[keep], v[keep], i[keep])
    summary = process(file, tmp_path / "out", **PLANE | {"capacity": "1mAh"})
    first, second = summary["pulses"]
    assert first["refused"] is None and second["refused"].startswith("there is no rest after it")
    assert [first["soc"], second["soc"]] == pytest.approx([0.3 / 3.6, 0.9 / 3.6], rel=1e-3)
    assert summary["soc_is"] == "charge passed since the file's beginning, over the capacity"
    assert second["d_m2_s"] is None and second["sigma"] is None
    assert summary["pulses_refused"] == 1


def test_a_file_without_a_usable_pulse_has_no_median(tmp_path):
    t, v, i = titration(1e-14, PLATE, pulses=1, rest=40)
    summary = process(mpt(tmp_path / "cell.mpt", t, v, i), tmp_path / "out", radius="5 µm")
    assert summary["d_median_m2_s"] is None and summary["pulses_refused"] == 1
    with pytest.raises(ValueError, match="no pulse in it, the current in column '<I>/mA' is zero"):
        process(mpt(tmp_path / "cell.mpt", t, v, 0 * i), tmp_path / "none", radius="5um")
    assert not (tmp_path / "none").exists()


def csv(path, t, v, i):
    np.savetxt(path, np.transpose([t, v, i]), delimiter=",", header="t/s,V/V,I/A", comments="")
    return path


def test_a_voltage_of_zero_is_refused_and_drawn(tmp_path):
    t, v, i = titration(1e-14, PLATE, pulses=2, every=1.0)
    v[i > 0] = 0
    summary = process(csv(tmp_path / "zero.csv", t, v, i), tmp_path / "out", radius="1um")
    assert summary["pulses_refused"] == 2 and (tmp_path / "out/gitt.png").exists()
    for p in summary["pulses"]:
        assert "dE/d√t is in the noise: 0 ± " in p["refused"] and p["tau_d_over_l2"] is None


def test_what_speaks_against_the_current_or_the_options_is_told(tmp_path):
    t, v, i = titration(1e-14, PLATE, pulses=2, every=1.0)
    given = PLANE | {"thickness": "10um", "capacity": "1mAh"}
    right = process(csv(tmp_path / "right.csv", t, v, i), tmp_path / "a", **given)
    assert right["notes"] == []
    wrong = process(csv(tmp_path / "wrong.csv", t, v, -100 * i), tmp_path / "b", **given)
    sign, soc, lithium = wrong["notes"]
    assert sign.startswith("in 2 of 2 pulses the voltage moves against the current: its sign is")
    assert soc.startswith("the state of charge goes to ±25: is --capacity right, and the unit of")
    assert (
        lithium.startswith("the lithium per formula unit goes to ±") and "--molar-mass" in lithium
    )
    assert all(any("against the current" in w for w in p["warnings"]) for p in wrong["pulses"])


def test_weak_pulses_behind_a_strong_charge_are_told(tmp_path):
    t, v, i = titration(1e-14, PLATE, pulses=2, every=1.0)
    strong = np.arange(601.0)
    t = np.concatenate([t, t[-1] + 1 + strong])
    v, i = np.append(v, 4 + strong / 1e4), np.append(i, np.full(601, 80e-3))
    summary = process(csv(tmp_path / "cell.csv", t, v, i), tmp_path / "out", radius="1um")
    assert len(summary["pulses"]) == 1
    assert summary["notes"] == [
        "currents below 1.6 mA (2 % of the largest) are taken for none, and there is a steady one "
        "of 1 mA: pulses of it need a file without the stronger current"
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "--radius .* or --area .*; neither is given|neither is given"),
        ({"radius": "1um", "area": "1cm2"}, "both are given"),
        ({"radius": "1.8"}, r"--radius = '1.8' has no unit; it must have one of m, cm, mm, µm, nm"),
        ({"radius": "1.8 furlong"}, "the unit must be one of m, cm"),
        ({"radius": "-1.8um"}, "--radius = -1.8 um must be greater than 0 um"),
        ({"radius": "0um"}, "greater than 0"),
        ({"radius": "1e999um"}, "finite"),
        ({"radius": "wide"}, "must be a number with its unit"),
        ({"radius": "1um", "thickness": "1um"}, "--thickness is for a plane electrode"),
        ({"radius": "1um", "mass": "1mg"}, "--mass and --molar-mass go together"),
        ({"radius": "1um", "molar_mass": "85g/mol"}, "--mass and --molar-mass go together"),
        ({"area": "1cm2"}, "needs --molar-volume and --molar-mass and --mass too"),
        ({"area": "1m2/g"}, "needs --molar-volume and --molar-mass too"),
        (PLANE | {"mass": "2 mAh"}, "--mass = '2 mAh': the unit must be one of kg, g, mg, µg"),
    ],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(ValueError, match=says):
        material(**options)


def test_units():
    for text in ("1.8um", "1.8 µm", "1.8μm", "1800 nm", "1.8e-6m", "0.0018mm"):
        assert quantity("r", text, LENGTH)[0] == pytest.approx(1.8e-6)
    for text in ("12cm2", "12 cm²", "12 cm^2", "1200mm2", "0.0012m2"):
        assert quantity("a", text, AREA)[0] == pytest.approx(1.2e-3)
    # A surface per mass does without the mass: 1/(5 g/cm³ · 2 m²/g) = 0.1 µm.
    shape = material(area="2 m²/g", molar_volume="17cm3/mol", molar_mass="85g/mol").geometry
    assert shape.volume_per_area == pytest.approx(1e-7)
    thick = material(**PLANE, thickness="20um").geometry
    assert (thick.length, thick.volume_per_area) == pytest.approx((2e-5, 1e-5))


def columns(*names, **given):
    data = np.arange(6.0)
    return find_columns(Table("cell.csv", dict.fromkeys(names, data)), given)


@pytest.mark.parametrize(
    ("names", "factors"),
    [
        (("time_s", "voltage_V", "current_A"), (1, 1, 1)),
        (("Seconds", "Volts", "Amps"), (1, 1, 1)),
        (("Test_Time(s)", "Current(mA)", "Voltage(V)"), (1, 1, 1e-3)),
        (("time/h", "control/V/mA", "Ewe/V", "<I>/mA", "Ewe-Ece/V"), (3600, 1, 1e-3)),
        (("Time [min]", "Voltage [mV]", "Current [µA]"), (60, 1e-3, 1e-6)),
        (("cycle", "Total Time, s", "Cell Voltage (V)", "I (A)"), (1, 1, 1)),
    ],
)
def test_columns_are_found_by_their_names_and_units(names, factors):
    found = columns(*names)
    assert (found.time[1], found.voltage[1], found.current[1]) == pytest.approx(factors)


@pytest.mark.parametrize(
    ("names", "given", "says"),
    [
        (("time_s", "voltage_V"), {}, "no column is the current .* --current. It has 'time_s', 'v"),
        (("time", "voltage_V", "I/mA"), {}, "'time' does not say its unit; give it, as in --time"),
        (("time_s", "Time (h)", "v/V", "I/mA"), {}, "'time_s', 'Time .h.' could each be the time"),
        (("time_s", "v/V", "I/mA"), {"current": "J:mA"}, "no column 'J'"),
        (("time_s", "v/V", "I/mA"), {"current": "I/mA:kg"}, "the unit must be one of a, "),
        (("t_s", "v/V", "x"), {"current": "x"}, "'x' does not say its unit; .* --current 'x':A"),
    ],
)
def test_columns_that_are_not_clear(names, given, says):
    with pytest.raises(FormatError, match=says):
        columns(*names, **given)


def test_columns_that_are_given_and_rows_that_lack_something():
    found = columns("clock", "v/V", "x y", time="clock:min", current="x y:mA")
    assert (found.time[1], found.current[1]) == pytest.approx((60, 1e-3))
    gap = np.array([0, 1, np.nan, 3])
    whole = np.arange(4.0)
    found = find_columns(Table("c.csv", {"t/s": whole, "v/V": gap, "I/A": whole}), {})
    assert len(found.time) == 3 and found.notes == (
        "1 rows lack time, voltage or current and are left out",
    )
    with pytest.raises(FormatError, match="time falls from 3 to 0 s in row 2 of the numbers"):
        find_columns(Table("c.csv", {"t/s": 3 - 3 * whole, "v/V": whole, "I/A": whole}), {})


def test_the_command(shared_data, tmp_path, capsys, monkeypatch):
    file = str(shared_data / "gitt/gitt_six_pulses.csv")
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["redoxscope", "gitt", file, "--radius", "1.8um", "--out", str(out)]
    )
    with pytest.raises(SystemExit) as ended:
        main(app)
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert (
        "6 pulses, 0 refused" in said and "D = 5.11e-16 ± 4e-16 m²/s  soc 0.083  R² 0.954" in said
    )
    assert "median 4.77e-16 m²/s" in said and "6 pulses are doubtful" in said
    monkeypatch.setattr(sys, "argv", ["redoxscope", "gitt", file, "--out", str(tmp_path / "no")])
    with pytest.raises(SystemExit) as ended:
        main(app)
    assert ended.value.code == 2 and "neither is given" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
