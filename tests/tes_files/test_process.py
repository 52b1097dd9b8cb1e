"""Photon files and logs to a summary: on real data, and on input that is not right."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from redoxscope.cli._tes import tes_app
from redoxscope.data import load_lines
from redoxscope.documents import Bins
from redoxscope.formats import OffWriter, off_dtype, read_off, read_tes_log
from redoxscope.tes_files import process
from redoxscope.tes_files._calibrations import calibration_log_for
from redoxscope.tes_files._energies import with_energies
from redoxscope.tes_files._inputs import find_files, name_of, read_files, read_logs
from redoxscope.tes_files._scans import preset_of

NAMES = ("016", "017", "018", "030")


@pytest.fixture(scope="module")
def real(shared_data):
    folder = shared_data / "ssrl_10_1_tes"
    return folder, [folder / f"20200219_{n}_log" for n in NAMES]


@pytest.fixture(scope="module")
def done(real, tmp_path_factory):
    """The whole of it, once: summary, folder, and what progress said."""
    out = tmp_path_factory.mktemp("rixs")
    told = []
    summary = process(real[0], real[1], out, lambda text, part: told.append((text, part)))
    return summary, out, told


@pytest.mark.slow
class TestRealData:
    def test_every_file_parses_whole(self, done):
        summary = done[0]
        assert summary["photons_total"] == 84954
        assert summary["leftover_bytes"] == 0
        assert summary["problems"] == {}
        assert summary["photons"] == {
            "1": 6696, "3": 12136, "7": 12566, "9": 11032,
            "13": 9039, "15": 13060, "17": 8385, "19": 12040,
        }  # fmt: skip

    def test_pixels(self, done):
        pixels = done[0]["pixels"]
        assert sum(p["ok"] for p in pixels.values()) >= 7
        for p in pixels.values():
            if p["ok"]:
                assert p["elastic_ev"] == pytest.approx(1000.0, abs=1.5)
                assert len(p["lines"]) >= 5
                assert p["rms_ev"] < 0.6
            assert p["reason"]

    def test_a_gain_that_changed_during_the_night_is_told(self, done):
        pixels = done[0]["pixels"]
        assert "gain had changed" in pixels["9"]["reason"]
        assert pixels["9"]["change_ev"]["20200219_030"] > 15
        others = [p["change_ev"]["20200219_030"] for c, p in pixels.items() if c != "9"]
        assert np.abs(others).max() < 3

    def test_cobalt_maximum(self, done):
        assert set(done[0]["pfy_max_ev"]) == {"20200219_017", "20200219_018"}
        for top in done[0]["pfy_max_ev"].values():
            assert top == pytest.approx(780.4, abs=0.4)

    def test_two_runs_of_the_same_sample_show_no_significant_difference(self, done):
        found = {each["window"]: each for each in done[0]["compared"]}
        assert set(found) == {"TFY", "PFY[765:800]", "Ll=PFY[672:684]"}
        for each in found.values():
            assert each["logs"] == ["20200219_017", "20200219_018"]
            assert each["significant"] is False
            assert abs(each["shift_ev"]) < 3 * each["sigma_ev"]
        assert found["PFY[765:800]"]["sigma_ev"] < 0.1  # so much would have been seen

    def test_oxygen_dips_on_the_line(self, done):
        summary = done[0]
        assert summary["o_k_dip"] == pytest.approx(0.11, abs=0.03)
        assert 0.02 < summary["o_k_dip_sigma"] < 0.04

    def test_dead_time(self, done):
        for scan in done[0]["scans"].values():
            assert scan["dead_time_fraction"] == pytest.approx(0.24, abs=0.01)

    def test_no_photon_is_lost_or_counted_twice(self, done):
        summary = done[0]
        counted = sum(s["photons"] for s in summary["scans"].values())
        counted += sum(c["photons"] for c in summary["calibrations"].values())
        assert counted + summary["photons_outside_logs"] == summary["photons_total"]
        for scan in summary["scans"].values():
            parts = ("photons_in_points", "photons_without_energy", "photons_between_points")
            assert sum(scan[k] for k in parts) == scan["photons"]

    def test_elastic_line_of_the_scans_agrees(self, done):
        """A check that the calibration does not know of: other energies, other sample."""
        for scan in done[0]["scans"].values():
            assert abs(scan["elastic_check"]["shift_ev"]) < 1.5

    def test_lines_that_were_not_used_are_where_they_should_be(self, done, real):
        """Another: weak lines, which no curve was drawn through, in the summed spectrum."""
        from redoxscope.analysis.tes import Calibration
        from redoxscope.analysis.tes._peaks import modes

        raw = json.loads((done[1] / "calibration_20200219_016.json").read_text())
        calibration = Calibration.from_dict(raw)
        log = read_tes_log(real[1][0])
        energy = []
        for path in sorted(real[0].glob("*.off")):
            p = read_off(path).photons
            p = p[(p.time_ns > log.passes[0].start) & (p.time_ns < log.passes[0].stop)]
            energy.append(calibration.energy(p.pixel, p.filtered, p.pretrigger))
        energy = np.concatenate(energy)
        for name in ("Fe Ll", "Fe Lb", "Ni Ll", "Ni Lb", "Cu Lb"):
            expected = load_lines()[name].energy_ev
            found = modes(energy[np.isfinite(energy)], np.array([expected]), np.array([2.0]))[0]
            assert found == pytest.approx(expected, abs=2.0), name

    def test_files(self, done):
        summary, out, told = done
        assert json.loads((out / "summary.json").read_text()) == summary
        assert len(summary["pictures"]) == 4
        assert all((out / name).stat().st_size > 20_000 for name in summary["pictures"])
        assert told[-1] == ("done", 1.0)
        assert all(0 <= part <= 1 for _, part in told)

    def test_scans_use_the_calibration_they_name(self, done):
        assert {s["calibration"] for s in done[0]["scans"].values()} == {"20200219_016"}


def test_calibration_alone(real, tmp_path):
    summary = process(real[0], [real[1][3]], tmp_path)
    assert summary["pixels_usable"] >= 7
    assert summary["pfy_max_ev"] == {}
    assert summary["o_k_dip"] is None
    assert summary["photons_outside_logs"] > 0


def test_a_cut_off_file_is_read_as_far_as_it_goes(real, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for n in (7, 19):
        shutil.copy(real[0] / f"20200219_chan{n}.off", files)
    cut = files / "20200219_chan7.off"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-1000])
    (files / "20200219_chan8.off").write_bytes(b"nothing")
    summary = process(files, [real[1][3]], tmp_path / "out")
    assert summary["photons"]["7"] == 12566 - 18
    assert set(summary["problems"]) >= {"20200219_chan7.off", "20200219_chan8.off"}
    assert summary["pixels"]["7"]["ok"]


def test_a_pixel_whose_file_ends_early_does_not_count(real, tmp_path):
    """Its missing photons would look like a sample that fades."""
    files = tmp_path / "files"
    files.mkdir()
    for n in (7, 13, 19):
        shutil.copy(real[0] / f"20200219_chan{n}.off", files)
    cut = files / "20200219_chan13.off"
    cut.write_bytes(cut.read_bytes()[:300_007])
    summary = process(files, [real[1][0], real[1][1]], tmp_path / "out")
    assert "file cut off" in summary["pixels_refused"]["13"]
    assert summary["pixels"]["7"]["ok"] and summary["pixels"]["19"]["ok"]


# -- input that is not right: said before anything heavy is done ------------------------------


def photons_file(folder, channel=1, start=1_582_151_030):
    """A small OFF file with photons once a second from `start` (s since 1970)."""
    path = folder / f"x_chan{channel}.off"
    n = 20
    with OffWriter(
        path, channel=channel, projectors=np.zeros((3, 8)), basis=np.zeros((8, 3)),
        frame_period=4.8e-6, presamples=2,
    ) as writer:  # fmt: skip
        records = np.zeros(n, off_dtype("0.3.0", 3))
        records["nsamp"], records["npre"] = 8, 2
        records["t_ns"] = (start + np.arange(n)) * 10**9
        records["frame"] = np.arange(n) * 1000
        records["coefs"][:, 2] = 5000.0
        records["ptm"] = 4000.0
        writer.append(records)
    return path


def log_file(folder, kind="cal", sample="mixv4b", name="20200219_001_log", start=1_582_151_030):
    path = folder / name
    motor = "motor: mono, " if kind == "data" else ""
    mono = "" if kind == "data" else "mono: 1000, "
    points = f"mono: {{780.0: [{start}.0, {start + 10}.0]}}"
    if kind == "cal":
        points = f"loop: {{0: [{start}.0, {start + 10}.0]}}"
    path.write_text(
        f"--- {{dtype: {kind}, {motor}{mono}sample: {sample}}}\n"
        f"--- {{header: {{mono: 1000.0, start: {start}.0, stop: {start + 10}.0}}, {points}}}\n"
    )
    return path


def test_no_such_folder(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        process(tmp_path / "nowhere", [log_file(tmp_path)], tmp_path / "out")


def test_a_file_is_no_folder(tmp_path):
    log = log_file(tmp_path)
    with pytest.raises(ValueError, match="a file, not a folder"):
        process(log, [log], tmp_path / "out")


def test_no_off_files(tmp_path):
    (tmp_path / "a.ljh").touch()
    with pytest.raises(ValueError, match=r"no OFF files \(\*.off\) in it; 1 LJH files"):
        process(tmp_path, [log_file(tmp_path)], tmp_path / "out")


def test_no_logs(tmp_path):
    photons_file(tmp_path)
    with pytest.raises(ValueError, match="no logs given"):
        process(tmp_path, [], tmp_path / "out")


def test_missing_log(tmp_path):
    photons_file(tmp_path)
    with pytest.raises(ValueError, match="log .*gone: no such file"):
        process(tmp_path, [tmp_path / "gone"], tmp_path / "out")
    with pytest.raises(ValueError, match="not a file"):
        process(tmp_path, [tmp_path], tmp_path / "out")


def test_a_photon_file_is_no_log(tmp_path):
    path = photons_file(tmp_path)
    with pytest.raises(ValueError, match="x_chan1.off"):
        process(tmp_path, [path], tmp_path / "out")


def test_no_log_of_a_calibration(tmp_path):
    photons_file(tmp_path)
    log = log_file(tmp_path, kind="data")
    with pytest.raises(ValueError, match="none of the logs 20200219_001 is of a calibration"):
        process(tmp_path, [log], tmp_path / "out")


def test_log_given_twice(tmp_path):
    photons_file(tmp_path)
    log = log_file(tmp_path)
    with pytest.raises(ValueError, match="20200219_001 is given more than once"):
        process(tmp_path, [log, log], tmp_path / "out")


def test_unknown_sample_needs_lines(tmp_path):
    photons_file(tmp_path)
    log = log_file(tmp_path, sample="steel")
    with pytest.raises(ValueError, match="'steel' is not known; known ones: .*Name its lines"):
        process(tmp_path, [log], tmp_path / "out")


def test_unknown_line(tmp_path):
    photons_file(tmp_path)
    with pytest.raises(ValueError, match="'Unobtainium' is not in the table"):
        process(tmp_path, [log_file(tmp_path)], tmp_path / "out", lines=["Unobtainium"])


def test_photons_of_another_day(tmp_path):
    photons_file(tmp_path, start=1_600_000_000)
    out = tmp_path / "out"
    with pytest.raises(
        ValueError,
        match="no photons between 2020-02-19 22:23:50 UTC and .*; the files hold photons from "
        "2020-09-13",
    ):
        process(tmp_path, [log_file(tmp_path)], out)
    assert not out.exists()


def test_not_one_readable_file(tmp_path):
    (tmp_path / "x_chan1.off").write_bytes(b"{}")
    with pytest.raises(ValueError, match="none of the 1 OFF files can be read; x_chan1.off: "):
        process(tmp_path, [log_file(tmp_path)], tmp_path / "out")


def test_a_copy_of_a_file_counts_no_photon_twice(tmp_path):
    path = photons_file(tmp_path, 1)
    shutil.copy(path, tmp_path / "y_copy.off")
    later = tmp_path / "later"
    later.mkdir()
    photons_file(later, 1, 1_582_151_045).rename(tmp_path / "z_later.off")  # 5 of 20 the same
    files = read_files(find_files(tmp_path), lambda _text, _part: None)
    assert files.counts == {1: 35} and len(files.photons) == 35
    assert files.problems == {
        "y_copy.off": "20 photons are in another file of channel 1 too",
        "z_later.off": "5 photons are in another file of channel 1 too",
    }


@pytest.mark.parametrize("kinds", [("cal",), ("cal", "data")])
def test_no_usable_pixel_is_a_failure_that_names_each(tmp_path, kinds):
    """And what an earlier run left is not taken for its result."""
    photons_file(tmp_path, 1)
    photons_file(tmp_path, 2)
    out = tmp_path / "out"
    out.mkdir()
    for name in ("summary.json", "rixs_20200219_001.png", "mine.txt"):
        (out / name).write_text("{}")
    logs = [log_file(tmp_path, k, name=f"20200219_00{i}_log") for i, k in enumerate(kinds)]
    with pytest.raises(ValueError, match="not one of 2 pixels can be used") as caught:
        process(tmp_path, logs, out)
    for channel in (1, 2):
        assert f"\n  {channel}: only 10 usable photons of 10" in str(caught.value)
    assert sorted(x.name for x in out.iterdir()) == [
        "calibration_20200219_000.json",
        "calibration_20200219_000.png",
        "mine.txt",
        *(["rixs_20200219_001.png"] if kinds == ("cal",) else []),
    ]


def scan_server_logs(folder, **changes):
    """Two calibrations, numbers 1 and 2, and after both a scan that names the first."""
    start = 1_582_151_030
    point = {"epoch_time_start_s": [start], "epoch_time_end_s": [start + 10.0]}
    common = {"var_name": "mono", "var_unit": "eV", "sample_desc": "mixv4b", **point}
    logs = {
        "calibration0001": {**common, "var_values": [1000.0], "routine": "mix", "cal_number": 1},
        "calibration0002": {**common, "var_values": [1000.0], "routine": "mix", "cal_number": 2},
        "scan0003": {**common, "var_values": [780.0], "cal_number": 1, **changes},
    }
    paths = []
    for k, (name, log) in enumerate(logs.items()):
        late = {key: [t + 20 * k for t in log[key]] for key in point}
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps({**log, **late}))
    return paths


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "0001"), (2, "0002"), ("1", "0001"), ("CAL0001", "0001"), (1.0, "0001"), (None, "0002")],
)
def test_a_scan_gets_the_calibration_that_it_names(tmp_path, number, name):
    logs = read_logs(scan_server_logs(tmp_path, cal_number=number))
    scan = next(log for log in logs if log.kind == "data")
    calibrations = [log for log in logs if log.kind == "cal"]
    assert name_of(calibration_log_for(scan, calibrations)) == f"calibration{name}"
    assert name_of(calibration_log_for(scan, calibrations, "calibration0002")).endswith("2")


def test_the_file_name_numbers_a_calibration_whose_log_does_not(tmp_path):
    paths = scan_server_logs(tmp_path)
    for path in paths[:2]:
        log = json.loads(path.read_text())
        del log["cal_number"]
        path.write_text(json.dumps(log))
    logs = read_logs(paths)
    scan = next(log for log in logs if log.kind == "data")
    found = calibration_log_for(scan, [log for log in logs if log.kind == "cal"])
    assert name_of(found) == "calibration0001"


def test_a_calibration_that_is_named_but_not_given(tmp_path):
    photons_file(tmp_path)
    paths = scan_server_logs(tmp_path, cal_number=7)
    with pytest.raises(ValueError, match="names calibration number 7, which is not among those g"):
        process(tmp_path, paths, tmp_path / "out")
    with pytest.raises(ValueError, match="calibration 'gone' is not among those given: calibrat"):
        process(tmp_path, paths, tmp_path / "out", calibration="gone")
    data = log_file(tmp_path, "data", name="20200219_002_log")
    data.write_text(data.read_text().replace("{dtype", "{cfolder: '20200218_001', dtype"))
    with pytest.raises(ValueError, match="names calibration '20200218_001', which is not among"):
        process(tmp_path, [log_file(tmp_path), data], tmp_path / "out")
    assert not (tmp_path / "out").exists()


WITHOUT = {"var_name": "time", "var_unit": "s"}


@pytest.mark.parametrize(
    ("given", "energies"),
    [
        ("780.5", [780.5] * 3),
        ("780,780.5,781", [780.0, 780.5, 781.0]),
        ("scan0003=780,780.5,781", [780.0, 780.5, 781.0]),
        ("FILE", [770.0, 771.0, 772.0]),
        ("scan0003=FILE", [770.0, 771.0, 772.0]),
    ],
)
def test_energies_can_be_given_where_a_scan_has_none(tmp_path, given, energies):
    file = tmp_path / "list.txt"
    file.write_text("# eV\n770\n771, 772  # end\n")
    times = {"epoch_time_start_s": [1.0, 2, 3], "epoch_time_end_s": [1.5, 2.5, 3.5]}
    paths = scan_server_logs(tmp_path, var_values=[0, 1, 2], **WITHOUT, **times)
    logs = with_energies(read_logs(paths), [given.replace("FILE", str(file))])
    scan = next(log for log in logs if log.kind == "data")
    assert [energy for energy, _, _ in scan.passes[0].points] == energies


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([], "scan0003.json: 1 of 1 points have no energy of .* --energies scan0003=VALUE"),
        (["780,781"], "2 energies given, but pass 1 has 1 points"),
        (["nonsense"], "neither numbers"),
        ([""], "nothing is given"),
        (["scan0009=780"], "no log 'scan0009' is given; given are calibration0001"),
        (["calibration0001=980"], "log calibration0001 has energies of its own"),
        (["780", "scan0003=781"], "was given some already"),
        (["0.78"], "0.78 eV is no energy of a soft X-ray monochromator"),
        (["nan"], "1 of 1 points have no energy"),
        (["inf"], "inf eV is no energy"),
        (["-780"], "-780 eV is no energy"),
    ],
)
def test_a_scan_without_energies_is_refused_before_anything_heavy(tmp_path, given, match):
    photons_file(tmp_path)
    paths = scan_server_logs(tmp_path, **WITHOUT)
    with pytest.raises(ValueError, match=match):
        process(tmp_path, paths, tmp_path / "out", energies=given)
    assert not (tmp_path / "out").exists()


def test_points_that_overlap_are_refused_before_anything_heavy(tmp_path):
    photons_file(tmp_path)
    start = 1_582_151_030
    times = {"epoch_time_start_s": [start, start + 1], "epoch_time_end_s": [start + 5, start + 6]}
    paths = scan_server_logs(tmp_path, var_values=[780.0, 781.0], **times)
    with pytest.raises(
        ValueError, match=r"scan0003.json: pass 1, the point at 781 eV starts 4.000"
    ):
        process(tmp_path, paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_energies_outside_the_spectra_have_the_total_yield_only():
    from redoxscope.tes_files._scans import _windows

    assert [w.kind for w in _windows(np.array([1500.0, 1510.0]))] == ["TFY"]
    assert [w.kind for w in _windows(np.array([100.0, 120.0]))] == ["TFY"]
    assert [w.kind for w in _windows(np.array([500.0, 520.0]))] == ["TFY", "PFY"]


def test_energies_are_not_taken_for_scans_that_have_some(tmp_path):
    photons_file(tmp_path)
    with pytest.raises(ValueError, match="the log of every scan has energies of its own"):
        process(tmp_path, scan_server_logs(tmp_path), tmp_path / "out", energies="780")


# -- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "edge"), [(768, 805, "Co L"), (526, 555, "O K"), (300, 320, None)]
)
def test_edge_follows_from_the_energies(low, high, edge):
    found = preset_of(np.linspace(low, high, 50))
    assert (found.edge if found else None) == edge


def test_bins_hold_the_windows():
    from redoxscope.tes_files._scans import BINS

    assert BINS == Bins(200.0, 1200.0, 0.5)


# -- the command ---------------------------------------------------------------------------------


def test_command(real, tmp_path):
    result = CliRunner().invoke(
        tes_app, ["process", str(real[0]), "--log", str(real[1][3]), "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "84954 photons in 8 pixels" in result.output
    assert "elastic 1000" in result.output
    assert (tmp_path / "summary.json").is_file()


def test_command_without_files(tmp_path):
    result = CliRunner().invoke(tes_app, ["process", str(tmp_path), "--log", "x"])
    assert isinstance(result.exception, ValueError)
    assert "no OFF files" in str(result.exception)
