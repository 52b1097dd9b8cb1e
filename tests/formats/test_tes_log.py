"""Logs of scans: the measured ones, the scan server's, and broken ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from redoxscope.formats import FormatError, read_tes_log

HEAD = "--- {dtype: data, motor: mono, sample: ad1, file_header: true}\n"
PASS = """--- {header: {pass: 0, start: 100.5, stop: 110.25},
  mono: {640.2: [103.0, 104.0], 640.001: [101.0, 102.0]}}
"""


@pytest.mark.parametrize(
    ("name", "kind", "mono", "points"),
    [
        ("016", "cal", 1000.0, [1076]),
        ("017", "data", None, [243, 243, 243]),
        ("018", "data", None, [243, 243, 243]),
        ("030", "cal", 1000.0, [450]),
    ],
)
def test_the_measured_logs(
    shared_data: Path, name: str, kind: str, mono: float | None, points: list[int]
) -> None:
    log = read_tes_log(shared_data / "ssrl_10_1_tes" / f"20200219_{name}_log")
    assert (log.kind, log.mono_ev, log.problem) == (kind, mono, None)
    assert log.sample == ("mixv4b" if kind == "cal" else "ad1")
    assert [len(each.points) for each in log.passes] == points
    for each in log.passes:
        starts = [start for _, start, _ in each.points]
        assert starts == sorted(starts)
        for _, start, end in each.points:
            assert 1.0e9 < end - start < 1.5e9  # 1.2 s of dwell
        if kind == "data":
            energies = [energy for energy, _, _ in each.points]
            assert (energies[0], energies[-1]) == (768.001, 804.802)
            assert energies == sorted(energies)
            assert each.start < each.points[0][1] < each.points[-1][2] < each.stop
            taken = sum(end - start for _, start, end in each.points)
            dead = 1 - taken / (each.points[-1][2] - each.points[0][1])
            assert 0.21 < dead < 0.26
        else:
            assert {energy for energy, _, _ in each.points} == {1000.0}


def test_a_log_of_the_beamline(tmp_path: Path) -> None:
    path = tmp_path / "a_log"
    path.write_text(HEAD + PASS + PASS.replace("10", "20"))
    log = read_tes_log(path)
    assert log.passes[0].start == 100_500_000_000
    assert log.passes[0].stop == 110_250_000_000
    assert log.passes[0].points == [
        (640.001, 101_000_000_000, 102_000_000_000),
        (640.2, 103_000_000_000, 104_000_000_000),
    ]
    assert len(log.passes) == 2
    assert log.header["file_header"] is True
    assert log.span == (101_000_000_000, 204_000_000_000)


def test_microseconds_survive(tmp_path: Path) -> None:
    path = tmp_path / "a_log"
    path.write_text(HEAD + PASS.replace("101.0, 102.0", "1582152317.990671, 1582152319.190477"))
    assert (640.001, 1582152317990671000, 1582152319190477000) in read_tes_log(path).passes[
        0
    ].points


@pytest.mark.parametrize(
    "points", ["640.001: [101, 102, 103, 104]", "640.001: [103, 104], 640.001: [101, 102]"]
)
def test_a_point_exposed_twice(tmp_path: Path, points: str) -> None:
    path = tmp_path / "a_log"
    path.write_text(HEAD + f"--- {{header: {{start: 1, stop: 200}}, mono: {{{points}}}}}\n")
    assert read_tes_log(path).passes[0].points == [
        (640.001, 101_000_000_000, 102_000_000_000),
        (640.001, 103_000_000_000, 104_000_000_000),
    ]


def test_a_log_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a_log"
    path.write_text(HEAD + PASS + PASS[:70])
    log = read_tes_log(path)
    assert [len(each.points) for each in log.passes] == [2]
    assert "cut off" in str(log.problem)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no 'dtype'"),
        ("just text", "no 'dtype'"),
        ("--- {dtype: other}\n", "no 'dtype'"),
        (HEAD, "without a point"),
        (HEAD + "--- {header: {start: 1, stop: 2}}\n", "pass 1 has no 'header' or no 'mono'"),
        (HEAD + PASS.replace("[103.0, 104.0]", "[103.0]"), "point 640.2"),
        (HEAD + PASS.replace("[103.0, 104.0]", "[105.0, 104.0]"), "ends 1.0"),
        (HEAD + PASS.replace("[103.0, 104.0]", "[now, 104.0]"), "'now' is no number"),
        (HEAD + PASS.replace("[103.0, 104.0]", "[-3, 104.0]"), "-3.0 is no time"),
        (HEAD + PASS.replace("640.2", "later"), "'later' is no number"),
        ("--- {dtype: [}", "cut off or not YAML at line 1"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
        ("{broken json", "JSON"),
        ("{}", "no var_name, var_values"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "a_log"
    path.write_text(text)
    with pytest.raises(FormatError, match=match) as caught:
        read_tes_log(path)
    assert str(path) in str(caught.value)


def test_a_binary_file_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    path.write_bytes(b"\x80\xff\x00" * 100)
    with pytest.raises(FormatError, match="not a text file"):
        read_tes_log(path)


def _server_log(**changes: Any) -> dict[str, Any]:
    log = {
        "var_name": "mono",
        "var_unit": "eV",
        "scan_num": 3,
        "sample_id": 7,
        "sample_desc": "charged",
        "var_values": [640.0, 641.0, 642.0],
        "epoch_time_start_s": [100.0, 102.0, 104.0],
        "epoch_time_end_s": [101.0, 103.0, 105.0],
    }
    return {**log, **changes}


def test_a_log_of_the_scan_server(tmp_path: Path) -> None:
    path = tmp_path / "scan0003.json"
    path.write_text(json.dumps(_server_log(), indent=2))
    log = read_tes_log(path)
    assert (log.kind, log.sample, log.mono_ev, log.problem) == ("data", "charged", None, None)
    assert log.passes[0].points[1] == (641.0, 102_000_000_000, 103_000_000_000)
    assert (log.passes[0].start, log.passes[0].stop) == (100_000_000_000, 105_000_000_000)
    assert log.header["scan_num"] == 3


def test_a_calibration_of_the_scan_server(tmp_path: Path) -> None:
    path = tmp_path / "calibration0001.json"
    path.write_text(json.dumps(_server_log(var_values=[980.0] * 3, routine="mix", cal_number=1)))
    log = read_tes_log(path)
    assert (log.kind, log.mono_ev) == ("cal", 980.0)
    path.write_text(json.dumps(_server_log(var_name="time", var_unit="s", routine="mix")))
    log = read_tes_log(path)
    assert log.mono_ev is None
    assert all(math.isnan(energy) for energy, _, _ in log.passes[0].points)


def test_a_scan_whose_last_point_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "scan0003.json"
    path.write_text(json.dumps(_server_log(epoch_time_end_s=[101.0, 103.0])))
    log = read_tes_log(path)
    assert len(log.passes[0].points) == 2
    assert log.problem == "3 values, 3 starts and 2 ends of points"
    path.write_text(json.dumps(_server_log(var_values=[], epoch_time_end_s=[])))
    with pytest.raises(FormatError, match="without a finished point"):
        read_tes_log(path)
    path.write_text(json.dumps(_server_log(var_values=3)))
    with pytest.raises(FormatError, match="no lists"):
        read_tes_log(path)
