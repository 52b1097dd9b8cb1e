"""NXstxm files: what they hold, that validators take them, and that they outlive their writer."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from redoxscope.documents import FOCUS_SCAN, LineStatus
from redoxscope.scan import Frame, Outer, Point, Region, Role, Scan
from redoxscope.storage import DocumentLog, export_run, store_results
from redoxscope.storage.nxstxm import NxstxmFiles, NxstxmRecorder, is_for_nxstxm

from ..callbacks.scan_runs import ENERGIES, REFERENCES, Particle, Run, region, scan_of
from .test_maps import composed, stored

Doc = tuple[str, dict[str, Any]]


def written(path: Path, documents: Any) -> NxstxmRecorder:
    """A recorder that has taken a run."""
    documents = list(documents)
    recorder = NxstxmRecorder(path, documents[0][1])
    for name, doc in documents:
        recorder(name, {"time": time.time(), **doc} if name == "stop" else doc)
    recorder.close()
    return recorder


def validated(path: Path) -> tuple[int, int]:
    """Warnings and errors of nxvalidate; what they are stands in the captured log."""
    from nexusformat.nexus.validate import logger, validate_file

    logger.handlers.clear()  # it would write to the standard error of the first test
    return validate_file(str(path))


def texts(values: Any) -> list[str]:
    return [value.decode() for value in values]


def spectrum_run(nx: int, ny: int = 1) -> Run:
    return Run(scan_of(Region((1.0, 2.0), (0.1 * nx, 0.1 * ny), (nx, ny), "A")), monitored=True)


def focus_run(nx: int = 12) -> Run:
    z = [-7850.0, -7800.0, -7825.0]  # not in order
    frames = tuple(Frame(700.0, 1e-3, 0, Role.SAMPLE, (value,)) for value in z)
    scan = Scan(
        regions=(region("edge", (nx, 1)),), frames=frames, outer=(Outer("zone_plate_z", "um"),)
    )
    return Run(scan)


def osa_documents(plan: str = "osa_image", axes: tuple[str, str] = ("osa_y", "osa_x")) -> list[Doc]:
    """A step scan of two axes, its last point missing."""
    slow, fast = np.array([-2.0, 0.0, 2.0]), np.array([10.0, 11.0, 12.0, 13.0])
    points = tuple(Point(700.0, 0.01, outer=(float(a), float(b))) for a in slow for b in fast)
    scan = Scan(points=points, outer=tuple(Outer(name, "um") for name in axes))
    start = {
        "uid": "run-of-osa", "time": 1.7e9, "plan_name": plan, "scan": scan.as_dict(),
        "detectors": ["transmission"],
    }  # fmt: skip
    keys: dict[str, Any] = {"transmission": {}, "point": {}}
    descriptor = {
        "uid": "d", "run_start": "run-of-osa", "name": "primary", "data_keys": keys,
        "configuration": {},
    }  # fmt: skip
    events = [
        (
            "event",
            {
                "descriptor": "d", "seq_num": i + 1,
                "data": {
                    "point": i, "point_status": 0, "energy": 700.1, "transmission": float(i),
                    axes[0]: p.outer[0] + 0.01, axes[1]: p.outer[1] - 0.01,
                },
            },
        )
        for i, p in enumerate(points[:-1])
    ]  # fmt: skip
    stop = {"run_start": "run-of-osa", "time": 1.7e9 + 5, "exit_status": "success"}
    return [("start", start), ("descriptor", descriptor), *events, ("stop", stop)]


def test_a_stack_as_mantis_wants_it(tmp_path: Path) -> None:
    run = Run(scan_of(region("A"), energies=ENERGIES[::-1]), monitored=True)
    written(tmp_path / "a.nxs", run.documents())
    with h5py.File(tmp_path / "a.nxs") as file:
        entry = file["entry1"]
        assert texts(entry["definition"]) == ["NXstxm"]  # of one element
        data = entry["counter0"]
        assert texts(data["stxm_scan_type"]) == ["sample image stack"]
        assert texts(data.attrs["axes"]) == ["energy", "sample_y", "sample_x"]
        assert data.attrs["sample_y_indices"] == 1
        np.testing.assert_array_equal(data["energy"], ENERGIES)  # rising, however it was gone
        np.testing.assert_array_equal(data["data"], np.array(run.counts)[::-1])
        np.testing.assert_array_equal(entry["control/data"], np.array(run.monitor)[::-1])
        np.testing.assert_allclose(data["count_time"], 1e-3)
        assert data["line_status"].shape == (12, 24) and not data["line_status"][()].any()
        # In the instrument everything is in the order in which it came.
        flat = entry["instrument/counter0/data"][()].reshape(12, 24, 30)
        np.testing.assert_array_equal(flat, run.counts)
        energies = entry["instrument/monochromator/energy"][()].reshape(12, -1)
        np.testing.assert_array_equal(energies[:, 0], ENERGIES[::-1])
        assert energies.shape[1] == 24 * 30
        (x0, x1), (y0, y1) = run.scan.regions[0].extents
        np.testing.assert_allclose(data["sample_x"][[0, -1]], [x0, x1])
        measured = entry["instrument/sample_y/data"][()].reshape(12, 24, 30)
        np.testing.assert_allclose(measured[3, [0, -1], 5], [y0, y1])


SCANS = {
    "stack": lambda: Run(scan_of(region("A", (7, 5)))).documents(),
    "monitored": lambda: Run(scan_of(region("A", (7, 5))), monitored=True).documents(),
    "image": lambda: Run(scan_of(region("A", (7, 5)), energies=[700.0])).documents(),
    "line": lambda: spectrum_run(9).documents(),
    "point": lambda: spectrum_run(1).documents(),
    "focus": lambda: focus_run().documents(),
    "osa_image": osa_documents,
    "osa_focus": lambda: osa_documents("osa_focus", ("zone_plate_z", "osa_x")),
    "detector": lambda: osa_documents("detector_image", ("detector_y", "detector_x")),
    "coarse": lambda: osa_documents("coarse_image", ("coarse_y", "coarse_x")),
}


@pytest.mark.parametrize("kind", list(SCANS))
def test_nxvalidate_has_nothing_to_say(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nxs"
    written(path, SCANS[kind]())
    assert validated(path) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "said", "shape", "axes"),
    [
        ("image", "sample image", (5, 7), ["sample_y", "sample_x"]),
        ("line", "sample line spectrum", (12, 9), ["energy", "line_position"]),
        ("point", "sample point spectrum", (12, 1, 1), ["energy", "sample_y", "sample_x"]),
        ("focus", "sample focus", (3, 12), ["zoneplate_z", "line_position"]),
        ("osa_image", "osa image", (3, 4), ["osa_y", "osa_x"]),
        ("osa_focus", "osa focus", (3, 4), ["zoneplate_z", "osa_x"]),
        ("detector", "detector image", (3, 4), ["detector_y", "detector_x"]),
        ("coarse", "sample image", (3, 4), ["sample_y", "sample_x"]),
    ],
)
def test_each_kind_of_scan(
    kind: str, said: str, shape: tuple[int, ...], axes: list[str], tmp_path: Path
) -> None:
    written(tmp_path / "a.nxs", SCANS[kind]())
    with h5py.File(tmp_path / "a.nxs") as file:
        data = file["entry1/counter0"]
        assert texts(data["stxm_scan_type"]) == [said]
        assert data["data"].shape == shape and texts(data.attrs["axes"]) == axes
        for name in ("energy", "sample_x", "sample_y", *axes):
            assert data[name].ndim == 1
        missing = int(np.isnan(data["data"][()]).sum())
        assert missing == (1 if shape == (3, 4) else 0)


def test_a_focus_scan_has_its_positions_in_order(tmp_path: Path) -> None:
    run = focus_run()
    written(tmp_path / "a.nxs", run.documents())
    with h5py.File(tmp_path / "a.nxs") as file:
        data = file["entry1/counter0"]
        np.testing.assert_array_equal(data["zoneplate_z"], [-7850.0, -7825.0, -7800.0])
        np.testing.assert_array_equal(data["data"], np.array(run.counts)[[0, 2, 1], 0])


def test_points_lie_where_they_were_asked_for(tmp_path: Path) -> None:
    written(tmp_path / "a.nxs", osa_documents())
    with h5py.File(tmp_path / "a.nxs") as file:
        values = file["entry1/counter0/data"][()]
        np.testing.assert_array_equal(values.ravel()[:11], np.arange(11))
        np.testing.assert_allclose(file["entry1/instrument/osa_y/data"][:5], [-1.99] * 4 + [0.01])
        np.testing.assert_array_equal(file["entry1/counter0/line_status"], [0, 0, 0])


def test_regions_roles_and_loops_are_entries(tmp_path: Path) -> None:
    frames = [
        Frame(float(e), 1e-3, i, Role.I0 if i == 2 else Role.SAMPLE, (t,))
        for t in (20.0, 300.0)
        for e in ENERGIES[:3]
        for i in range(3)
    ]
    frames += [Frame(float(ENERGIES[0]), 1e-3, 0, Role.DOSE_CHECK, (300.0,))] * 2
    regions = (region("left"), region("right", (8, 3)), region("no", (4, 4)))
    scan = Scan(regions=regions, frames=tuple(frames), outer=(Outer("temperature", "degC"),))
    run = Run(scan, (Particle(), Particle(), Particle(radius=0)))
    written(tmp_path / "a.nxs", run.documents())
    with h5py.File(tmp_path / "a.nxs") as file:
        titles = [file[f"entry{i}/title"].asstr()[()] for i in range(1, 9)]
        assert titles == [
            "left, temperature 20 degC", "right, temperature 20 degC",
            "no, temperature 20 degC, i0", "left, temperature 300 degC",
            "right, temperature 300 degC", "no, temperature 300 degC, i0",
            "left, temperature 300 degC, dose check",
            "left, temperature 300 degC, dose check, no. 2",
        ]  # fmt: skip
        for i, frames_of in ((2, (1, 4, 7)), (6, (11, 14, 17))):
            np.testing.assert_array_equal(
                file[f"entry{i}/counter0/data"], [run.counts[k] for k in frames_of]
            )
        np.testing.assert_array_equal(file["entry8/counter0/data"], run.counts[-1])
    assert validated(tmp_path / "a.nxs") == (0, 0)


def test_a_line_that_comes_again_replaces_the_first(tmp_path: Path) -> None:
    run = Run(scan_of(region("A", (7, 5))))
    documents = list(run.documents())
    again = run.line(4, 2, transmission=[1.0] * 7, line_status=int(LineStatus.RETRIED))
    missed = run.line(4, 3, transmission=[np.nan] * 7, line_status=int(LineStatus.MISSED))
    written(tmp_path / "a.nxs", [*documents[:-1], again, missed, documents[-1]])
    with h5py.File(tmp_path / "a.nxs") as file:
        data = file["entry1/counter0"]
        np.testing.assert_array_equal(data["data"][4, 2], 1.0)
        np.testing.assert_array_equal(data["data"][4, 1], run.counts[4][1])
        assert np.isnan(data["data"][4, 3]).all()
        assert data["line_status"][4].tolist() == [0, 0, 1, 2, 0]


def test_lines_that_must_not_be_used_are_no_data(tmp_path: Path) -> None:
    """Readers do not look at the status; what came stands in the instrument."""
    run = Run(scan_of(region("A", (7, 5))), monitored=True)
    documents = list(run.documents())
    documents[2 + 22] = run.line(4, 2, line_status=int(LineStatus.DISTURBED))
    written(tmp_path / "a.nxs", documents)
    with h5py.File(tmp_path / "a.nxs") as file:
        entry = file["entry1"]
        assert entry["counter0/line_status"][4].tolist() == [0, 0, 3, 0, 0]
        for path, counts in (("counter0", run.counts), ("control", run.monitor)):
            found = entry[f"{path}/data"][()]
            wanted = np.array(counts)
            wanted[4, 2] = np.nan
            np.testing.assert_array_equal(found, wanted)
        flat = entry["instrument/counter0/data"][()].reshape(12, 5, 7)
        np.testing.assert_array_equal(flat, run.counts)
    assert validated(tmp_path / "a.nxs") == (0, 0)


def test_parts_of_the_results_know_their_entries(tmp_path: Path) -> None:
    """Never the first one for want of a better: it may be of the empty beam, or colder."""
    frames = [
        Frame(float(e), 1e-3, i, role, (t,))
        for t in (20.0, 300.0)
        for i, role in ((1, Role.I0), (0, Role.SAMPLE))
        for e in ENERGIES[:3]
    ]
    loops = (Outer("temperature", "degC"),)
    both = Scan(regions=(region("A"), region("no", (4, 4))), frames=tuple(frames), outer=loops)
    two = NxstxmRecorder(tmp_path / "a.nxs", Run(both, (Particle(),) * 2).start()[1])
    assert [two.entry_of(f"A, {t} degC") for t in (20, 300)] == ["entry2", "entry4"]
    assert two.entry_of("A") == "entry2"  # over all loops
    assert two.entry_of("no") == "entry1"  # asked for by its name: its dose
    assert two.entry_of("") is None and two.entry_of("elsewhere") is None
    before = tuple(Frame(float(e), 1e-3, 0, Role.I0) for e in ENERGIES[:3])
    one = NxstxmRecorder(tmp_path / "b.nxs", Run(scan_of(region("A"), before=before)).start()[1])
    assert one.entry_of("") == one.entry_of("A") == "entry2"
    empty = Scan(regions=both.regions, frames=tuple(replace(f, outer=()) for f in frames[:6]))
    beside = NxstxmRecorder(tmp_path / "d.nxs", Run(empty, (Particle(),) * 2).start()[1])
    assert beside.entry_of("") == beside.entry_of("A") == "entry2"
    assert beside.entry_of("no") == "entry1"
    z = (-7850.0, -7800.0)
    focus = Scan(
        regions=(region("edge", (5, 1)),), outer=(Outer("zone_plate_z", "um"),),
        frames=tuple(
            Frame(e, 1e-3, 0, Role.SAMPLE, (value,)) for e in (700.0, 710.0) for value in z
        ),
    )  # fmt: skip
    start = {**Run(focus).start()[1], "plan_name": FOCUS_SCAN}
    lines = NxstxmRecorder(tmp_path / "c.nxs", start)
    assert [lines.entry_of(f"{e} eV") for e in (700, 710)] == ["entry1", "entry2"]


def test_the_zone_plate_of_a_real_microscope(tmp_path: Path) -> None:
    documents = list(Run(scan_of(region("A", (7, 5)))).documents())
    said = {"diameter": 240.0, "outer_zone": 25.0, "central_stop": 95.0, "a0": 400.0, "a1": 4.84}
    configuration = documents[1][1]["configuration"]
    configuration["zp"] = {"data": {f"zp_{key}": value for key, value in said.items()}}
    written(tmp_path / "a.nxs", documents)
    with h5py.File(tmp_path / "a.nxs") as file:
        found = file["entry1/instrument/zone_plate"]
        assert found["outermost_zone_width"][()] == 25.0
        assert found["outermost_zone_width"].attrs["units"] == "nm"
        np.testing.assert_array_equal(found["focus_parameters"], [0.0, 4.84])
        assert found["a1"].attrs["units"] == "um/eV"
    assert validated(tmp_path / "a.nxs") == (0, 0)


def test_a_line_that_was_flown_backwards(tmp_path: Path) -> None:
    run = Run(scan_of(region("A", (7, 5))))
    documents = list(run.documents())
    ahead = documents[2 + 22][1]["data"]
    back = {key: ahead[key][0][::-1] for key in ("sample_x", "transmission")}
    documents[2 + 22] = run.line(4, 2, **back)
    written(tmp_path / "a.nxs", documents)
    with h5py.File(tmp_path / "a.nxs") as file:
        np.testing.assert_array_equal(file["entry1/counter0/data"], run.counts)
        flat = file["entry1/instrument/counter0/data"][()].reshape(12, 5, 7)
        np.testing.assert_array_equal(flat[4, 2], run.counts[4][2][::-1])  # as it came
        assert np.diff(file["entry1/instrument/sample_x/data"][22 * 7 : 23 * 7]).max() < 0


def test_the_file_can_be_read_at_each_line(tmp_path: Path) -> None:
    run, path = Run(scan_of(region("A", (7, 5)))), tmp_path / "a.nxs"
    documents = list(run.documents())
    recorder = NxstxmRecorder(path, documents[0][1])
    for n, (name, doc) in enumerate(documents[:20]):
        recorder(name, doc)
        if n:
            with h5py.File(path) as file:
                status = file["entry1/counter0/line_status"][()]
                assert (status == 0).sum() == n - 1
                assert (~np.isnan(file["entry1/counter0/data"][()])).sum() == 7 * (n - 1)
    assert validated(path) == (0, 0)
    recorder.close()


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.storage.test_nxstxm import endless
from redoxscope.storage.nxstxm import NxstxmFiles
files = NxstxmFiles(sys.argv[1])
for n, (name, doc) in enumerate(endless()):
    files(name, doc)
    if n == 50:
        files.wait()
        print("written", flush=True)
"""


def endless() -> Iterator[Doc]:
    """A run that writes its lines again and again."""
    run = Run(scan_of(region("A", (7, 5))))
    *documents, _ = run.documents()
    yield from documents
    while True:
        yield from documents[2:]


def test_a_killed_writer_leaves_a_file_that_reads(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), root], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline().strip() == "written"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(".nxs.part")
    run = Run(scan_of(region("A", (7, 5))))
    with h5py.File(path) as file:
        found = file["entry1/counter0/data"][()]
        first = ~np.isnan(found)
        assert first.sum() >= 7 * 49
        np.testing.assert_array_equal(found[first], np.array(run.counts)[first])
    assert validated(path) == (0, 0)


def test_files_of_several_runs_at_once(tmp_path: Path) -> None:
    first, second = (Run(scan_of(region("A", (7, 5))), uid=uid, seed=i)
                     for i, uid in enumerate(("first-run", "second-run")))  # fmt: skip
    files = NxstxmFiles(tmp_path / "new")
    for pair in zip(first.documents(), second.documents(), strict=True):
        for name, doc in pair:
            files(name, {"time": time.time(), **doc} if name == "stop" else doc)
    files("start", {"uid": "other", "time": 0.0, "plan_name": "count"})
    files("stop", {"uid": "s", "run_start": "other", "time": 1.0})
    assert files.wait(60) and not files.pending
    files.close()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "first-ru.nxs", "second-r.nxs",
    ]  # fmt: skip
    for run in (first, second):
        with h5py.File(tmp_path / "new" / f"{run.uid[:8]}.nxs") as file:
            np.testing.assert_array_equal(file["entry1/counter0/data"], run.counts)


def test_what_goes_wrong_is_said_and_other_runs_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Run(scan_of(region("A", (7, 5))), uid="bad"), Run(scan_of(region("A", (7, 5))))
    (tmp_path / "bad.nxs.part").write_text("something else")
    files = NxstxmFiles(tmp_path)
    for run in (bad, good):
        for name, doc in run.documents():
            files(name, {"time": time.time(), **doc} if name == "stop" else doc)
    assert files.wait(60)
    files.close()
    assert "bad.nxs.part" in files.problems["bad"] and "redoxscope export" in caplog.text
    assert (tmp_path / "bad.nxs.part").read_text() == "something else"
    assert (tmp_path / "run.nxs").exists()


def test_what_comes_after_the_end_or_makes_no_sense_hangs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = NxstxmFiles(tmp_path)
    files("start", {"time": 0.0, "plan_name": "no uid"})
    files("start", {"uid": "other", "time": 0.0, "plan_name": "count"})
    files("descriptor", {"uid": "d", "run_start": "other", "name": "primary"})
    files("stop", {"uid": "s", "run_start": "other", "time": 1.0})
    assert files.wait(60)
    assert not files._streams  # of a run that is none of ours, too
    assert "KeyError" in files.problems[""]
    (name, start), *rest = Run(scan_of(region("A", (7, 5)))).documents()
    files(name, start)
    files.close()
    for name, doc in rest:
        files(name, doc)
    files.close()
    assert files.wait(60) and not files.pending
    assert "closed before its end" in files.problems["run"]
    assert "run run has no whole NXstxm file" in caplog.text


def test_other_runs_are_none() -> None:
    assert not is_for_nxstxm({"uid": "r", "plan_name": "count"})


def test_an_export_has_the_map_beside_the_data(tmp_path: Path, embedded: Any) -> None:
    from redoxscope.callbacks import oxidation_maps

    regions = region("left", (12, 10)), region("right", (10, 9))
    run = Run(scan_of(*regions), (Particle(0.7), Particle(0.2)))
    found = stored(tmp_path / "log", embedded, composed(run.documents()))
    uid = found.metadata["start"]["uid"]
    store_results(embedded, uid, oxidation_maps(found, REFERENCES))
    (path,) = export_run(embedded[uid], "nxstxm", tmp_path)
    assert path.name == f"{uid[:8]}.nxs"
    with h5py.File(path) as file:
        for i, name in ((1, "left"), (2, "right")):
            entry = file[f"entry{i}"]
            assert entry["title"].asstr()[()] == name
            np.testing.assert_array_equal(entry["counter0/data"], run.counts[i - 1 :: 2])
            process = entry[f"oxidation_map_{name}"]
            assert process.attrs["NX_class"] == "NXprocess"
            wanted = embedded[uid]["oxidation_map"][name]["fraction"].read()
            np.testing.assert_array_equal(process["fraction/data"], wanted)
            assert process["fraction/x"].attrs["units"] == "um"
        assert file["entry1/entry_identifier_uuid"].asstr()[()] == uid
    assert validated(path) == (0, 0)
    with pytest.raises(FileExistsError, match="overwrite"):
        export_run(embedded[uid], "nxstxm", tmp_path)


def resumed(run: Run, *at: int) -> list[list[Doc]]:
    """The documents of a run in parts, each of which continues the one before it."""
    lines, found = run.lines(), []
    for begin, end in itertools.pairwise((0, *at, len(lines))):
        documents = composed(run.documents(lines[begin:end]))
        if found:
            frame, line = lines[begin]
            link = {"uid": found[-1][0][1]["uid"], "frame": frame, "line": line}
            documents[0] = ("start", {**documents[0][1], "resumes": link})
        found.append(documents)
    return found


def test_a_run_that_continues_another_is_exported_with_it(tmp_path: Path, embedded: Any) -> None:
    run = Run(scan_of(region("A", (7, 5))))
    first, second = resumed(run, 23)
    stored(tmp_path / "one", embedded, first)
    found = stored(tmp_path / "two", embedded, second)
    (path,) = export_run(found, "nxstxm", tmp_path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry1/counter0/data"], run.counts)
        assert file["entry1/entry_identifier_uuid"].asstr()[()] == second[0][1]["uid"]


def test_a_run_that_continues_others_begins_with_their_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them has been stored; the third ends at once, and its file is whole so far."""
    run, log = Run(scan_of(region("A", (7, 5)))), DocumentLog(tmp_path / "log")
    first, second, third = resumed(run, 23, 41)
    for name, doc in (*first, *second):
        log(name, doc)
    log.close()
    uid, last = (str(documents[0][1]["uid"]) for documents in (first, third))
    (tmp_path / "log/stored").mkdir()
    log.path(uid).rename(tmp_path / "log/stored" / log.path(uid).name)
    files = NxstxmFiles(tmp_path, logs=tmp_path / "log")
    files(*third[0])
    assert files.wait(60) and not files.problems
    with h5py.File(tmp_path / f"{last[:8]}.nxs.part") as file:
        found = file["entry1/counter0/data"][()].reshape(-1, 7)
        np.testing.assert_array_equal(found[:41], np.reshape(run.counts, (-1, 7))[:41])
        assert np.isnan(found[41:]).all()
    for name, doc in third[1:]:
        files(name, doc)
    assert files.wait(60)
    with h5py.File(tmp_path / f"{last[:8]}.nxs") as file:
        np.testing.assert_array_equal(file["entry1/counter0/data"], run.counts)
        assert file["entry1/entry_identifier_uuid"].asstr()[()] == last
    assert validated(tmp_path / f"{last[:8]}.nxs") == (0, 0)
    files.logs, files.folder = tmp_path, tmp_path / "log"  # where there is none
    for name, doc in third:
        files(name, doc)
    files.close()
    assert "no run in" in files.problems[last] and files.problems[last] in caplog.text
    with h5py.File(tmp_path / "log" / f"{last[:8]}.nxs") as file:  # its own lines, all the same
        assert file["entry1/counter0/line_status"][()].ravel().tolist() == [-1] * 41 + [0] * 19
