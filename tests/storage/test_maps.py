"""Maps of stored runs: several regions and roles, and the ALS's stacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_model import compose_run

from redoxscope.callbacks import OxidationMap, oxidation_map, oxidation_maps
from redoxscope.scan import Frame, Role, Scan
from redoxscope.storage import (
    CatalogWriter,
    DocumentLog,
    ingest,
    keep_results,
    list_results,
    logged_run,
    read_results,
    recover,
    run_documents,
    stack_cube,
    store_results,
)
from redoxscope.storage.catalog import in_order

from ..callbacks.scan_runs import (
    EMPTY,
    ENERGIES,
    REFERENCES,
    AlsRun,
    Particle,
    Run,
    region,
    scan_of,
)
from ..callbacks.test_regions import same


def composed(documents: Iterator[tuple[str, dict]]) -> list[tuple[str, dict[str, Any]]]:
    """The same run with all that a catalog wants of documents."""
    found: list[tuple[str, dict[str, Any]]] = []
    run, streams = None, {}
    for name, doc in documents:
        if name == "start":
            run = compose_run(metadata={key: doc[key] for key in doc if key not in ("uid", "time")})
            found.append(("start", run.start_doc))
        elif name == "descriptor":
            streams[doc["uid"]] = doc, []
        elif name == "event_page":
            descriptor, composers = streams[doc["descriptor"]]
            data = {key: values[0] for key, values in doc["data"].items()}
            if not composers:
                made = run.compose_descriptor(
                    name=descriptor["name"],
                    data_keys={key: data_key(value) for key, value in data.items()},
                    configuration={
                        device: {
                            "data": conf["data"], "timestamps": dict.fromkeys(conf["data"], 0.0),
                            "data_keys": {key: data_key(v) for key, v in conf["data"].items()},
                        }
                        for device, conf in descriptor["configuration"].items()
                    },
                )  # fmt: skip
                composers.append(made)
                found.append(("descriptor", made.descriptor_doc))
            number = sum(
                1
                for other, one in found
                if other == "event_page" and one["descriptor"] == composers[0].descriptor_doc["uid"]
            )
            page = composers[0].compose_event_page(
                data={key: [value] for key, value in data.items()},
                timestamps=dict.fromkeys(data, [1.7e9]),
                seq_num=[number + 1],
            )
            found.append(("event_page", page))
        else:
            found.append(("stop", run.compose_stop()))
    return found


def data_key(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"dtype": "array", "shape": [len(value)], "dtype_numpy": "<f8", "source": "test"}
    kind = ("integer", "<i8") if isinstance(value, int) else ("number", "<f8")
    return {"dtype": kind[0], "shape": [], "dtype_numpy": kind[1], "source": "test"}


def stored(folder: Path, catalog: Any, documents: list) -> Any:
    log = DocumentLog(folder)
    for name, doc in documents:
        log(name, doc)
    log.close()
    uid = documents[0][1]["uid"]
    ingest(log.path(uid), catalog)
    return catalog[uid]


def test_regions_and_roles(tmp_path: Path, embedded: Callable[..., Any]) -> None:
    frames = []
    for energy in ENERGIES[::-1]:
        frames += [Frame(float(energy), 1e-3, i) for i in (0, 1)]
        frames += [Frame(float(energy), 1e-3, 2, Role.I0)]
    frames += [Frame(float(ENERGIES[3]), 2e-3, 0, Role.DOSE_CHECK)]
    scan = Scan(
        regions=(region("left"), region("right", (20, 16), (15, 7)), region("no", (6, 5))),
        frames=tuple(frames),
    )
    run = Run(scan, (Particle(0.7), Particle(0.2), EMPTY), damage=0.03, dead_time=2e-8)
    found = stored(tmp_path, embedded, composed(run.documents()))
    expected = oxidation_maps(run.documents(), REFERENCES)
    for source in (found, list(run_documents(found))):
        maps = oxidation_maps(source, REFERENCES)
        assert list(maps) == ["left", "right"]
        for name in maps:
            same(maps[name].result, expected[name].result)
            np.testing.assert_array_equal(maps[name].x, expected[name].x)
        assert maps["left"].dose[0].change == expected["left"].dose[0].change


def test_a_run_that_ended_before_its_second_region(tmp_path: Path, embedded: Any) -> None:
    run = Run(scan_of(region("left"), region("right")), (Particle(), Particle()))
    found = stored(tmp_path, embedded, composed(run.documents(run.lines()[:20])))
    maps = oxidation_maps(found, REFERENCES)
    assert maps["left"].lines_done == 20 and maps["right"].lines_done == 0


def test_a_stack_of_the_als(tmp_path: Path, embedded: Any) -> None:
    ours = Run(scan_of(region("A", (30, 24))))
    als = AlsRun(np.array(ours.counts), ENERGIES, 1.0)
    found = stored(tmp_path, embedded, composed(als.documents()))
    same(
        oxidation_map(found, REFERENCES).result,
        oxidation_map(als.documents(), REFERENCES).result,
    )


def test_a_stack_and_the_run_that_continued_it_are_one(
    tmp_path: Path, embedded: Callable[..., Any]
) -> None:
    run = Run(scan_of(region("only")), (Particle(0.6),))
    lines = run.lines()
    first = composed(run.documents(lines[:77]))
    uid = first[0][1]["uid"]
    second = composed(run.documents(lines[77:]))
    frame, line = lines[77]
    link = {"uid": uid, "frame": frame, "line": line}
    second[0] = ("start", {**second[0][1], "resumes": link})
    assert list(logged_run(stored_log(tmp_path, first), uid[:9]))[0][1]["uid"] == uid
    newest = stored(tmp_path, embedded, second)
    with pytest.raises(ValueError, match=f"continues run '{uid[:8]}', which is not in the same"):
        oxidation_map(newest, REFERENCES)
    ingest(tmp_path / f"{uid}.jsonl", embedded)
    whole = oxidation_map(run.documents(), REFERENCES)
    found = oxidation_map(newest, REFERENCES)
    same(found.result, whole.result)
    assert found.lines_done == found.lines_total and found.uid == second[0][1]["uid"]
    cube = stack_cube(newest)
    assert (cube.line_status == 0).all() and cube.attrs["lines_done"] == len(lines)
    part = oxidation_map(embedded[uid], REFERENCES)
    assert part.lines_done == 77  # the earlier one holds what it holds


def test_what_is_stored_of_a_run_that_continues_another_is_of_both(
    tmp_path: Path, embedded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Live it has seen its own lines only: a map of a part of the images looks like a whole one."""
    run = Run(scan_of(region("only")), (Particle(0.6),))
    lines = run.lines()
    first, second = (composed(run.documents(part)) for part in (lines[:77], lines[77:]))
    uid, frame, line = first[0][1]["uid"], *lines[77]
    second[0] = ("start", {**second[0][1], "resumes": {"uid": uid, "frame": frame, "line": line}})
    live = OxidationMap(REFERENCES, rate=1e6)
    for name, doc in second:
        live(name, doc)
    live.close()
    later = str(stored(tmp_path, embedded, second).metadata["start"]["uid"])
    keep_results(live)(embedded, later)
    assert list_results(embedded[later]) == []
    assert "no results of oxidation map" in caplog.text and "not in the same catalog" in caplog.text
    stored_log(tmp_path, first)
    ingest(tmp_path / f"{uid}.jsonl", embedded)
    keep_results(live)(embedded, later)
    whole = oxidation_map(run.documents(), REFERENCES).result
    found = read_results(embedded[later], "oxidation_map")
    np.testing.assert_allclose(found["fraction"], whole.fraction, atol=1e-5)
    np.testing.assert_array_equal(found["mask"], whole.mask)
    assert store_results(embedded, later) == ["oxidation_map_v2"]  # with its own references: none
    # The earlier one has what it holds.
    keep_results()(embedded, uid)
    assert [one.analysis for one in list_results(embedded[uid])] == ["oxidation_map"]


def killed_and_resumed() -> tuple[list, list]:
    """A stack whose client was killed, and the run that measured the rest; its uid is the less."""
    run = Run(scan_of(region("only")), (Particle(0.6),))
    lines = run.lines()
    while True:
        first, second = composed(run.documents(lines[:77])), composed(run.documents(lines[77:]))
        uid, frame, line = first[0][1]["uid"], *lines[77]
        if second[0][1]["uid"] < uid:
            break
    second[0] = ("start", {**second[0][1], "resumes": {"uid": uid, "frame": frame, "line": line}})
    return first[:-1], second  # no stop document


def test_a_killed_run_is_stored_before_the_one_that_continues_it(
    tmp_path: Path, embedded: Any
) -> None:
    killed, last = killed_and_resumed()
    stored_log(tmp_path, killed)
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(embedded, log, then=[keep_results()])
    for name, doc in last:
        log(name, doc)
        writer(name, doc)
    assert writer.wait(120) and writer.waiting == {}
    writer.close()
    first, later = embedded[killed[0][1]["uid"]], embedded[last[0][1]["uid"]]
    assert first.metadata["stop"]["exit_status"] == "abort"
    assert [one.analysis for one in list_results(later)] == ["oxidation_map"]
    assert not list(tmp_path.glob("*.jsonl"))


def test_runs_are_recovered_after_those_that_they_continue(tmp_path: Path, embedded: Any) -> None:
    """Whatever their uids: the map is made when a run is stored, of the lines of all."""
    killed, last = killed_and_resumed()
    for documents in (last, killed):
        stored_log(tmp_path, documents)
    uid = last[0][1]["uid"]
    reports = recover(tmp_path, embedded)
    assert [report.uid for report in reports] == [uid, killed[0][1]["uid"]]  # by name
    assert [one.analysis for one in list_results(embedded[uid])] == ["oxidation_map"]


def test_logs_are_ordered_by_what_they_continue(tmp_path: Path) -> None:
    uids = "c", "a", "d", "b"
    for uid, link in zip(uids, [{}, *({"resumes": {"uid": one}} for one in uids)], strict=False):
        line = json.dumps({"name": "start", "doc": {"uid": uid, "time": 0.0, **link}})
        (tmp_path / f"{uid}.jsonl").write_text(line + "\n")
    logs = [tmp_path / f"{uid}.jsonl" for uid in uids]
    assert in_order(logs) == logs and in_order(logs[3:]) == logs
    circle = json.dumps({"name": "start", "doc": {"uid": "c", "resumes": {"uid": "b"}}})
    logs[0].write_text(circle + "\n")  # no run does: but it must end
    assert set(in_order(logs)) == set(logs)


def stored_log(folder: Path, documents: list) -> Path:
    log = DocumentLog(folder)
    for name, doc in documents:
        log(name, doc)
    log.close()
    return folder


def test_a_run_is_found_by_the_beginning_of_its_uid(tmp_path: Path) -> None:
    run = Run(scan_of(region("only")), (Particle(0.6),))
    documents = composed(run.documents(run.lines()[:3]))
    stored_log(tmp_path, documents)
    with pytest.raises(ValueError, match="no run in .* has a uid that begins with"):
        logged_run(tmp_path, "zz")
    with pytest.raises(ValueError, match="is no uid"):
        logged_run(tmp_path, "*")
    log = DocumentLog(tmp_path)
    other = composed(run.documents(run.lines()[:3]))
    log(*other[0])
    try:
        with pytest.raises(ValueError, match="is being measured"):
            logged_run(tmp_path, other[0][1]["uid"])
    finally:
        log.close()
