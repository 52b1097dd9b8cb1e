"""What analyses found, in the catalog beside the run."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest

from redoxscope import __version__
from redoxscope.callbacks import NotDoneError, Result
from redoxscope.storage import (
    CatalogWriter,
    DocumentLog,
    ingest,
    keep_results,
    list_results,
    read_results,
    recover,
    run_documents,
    store_results,
)
from redoxscope.storage.results import _derive, _store
from redoxscope.storage.results._datasets import datasets

from .conftest import stack_documents


def put(folder: Path, catalog: Any, documents: list | None = None) -> Any:
    """A run of the catalog."""
    documents = documents or stack_documents()
    log = DocumentLog(folder)
    for name, doc in documents:
        log(name, doc)
    log.close()
    uid = documents[0][1]["uid"]
    ingest(log.path(uid), catalog)
    return catalog[uid]


@pytest.fixture
def run(tmp_path: Path, embedded: Any) -> Any:
    return put(tmp_path, embedded)


def some(level: float = 0.5, part: str = "", nx: int = 4) -> list[Result]:
    """A map, its σ, flags, a spectrum of fewer energies and a single number."""
    x, y = np.linspace(-1, 1, nx), np.array([0.0, 1.0, 2.0])
    of_map: dict[str, Any] = {
        "dims": ("y", "x"), "coords": {"y": y, "x": x}, "units": {"x": "µm", "y": "µm"},
        "part": part,
    }  # fmt: skip
    said = {
        "references": {"digest": "abc", "names": ["Mn4+", "Mn3+"]},
        "doubts": [{"kind": "chi2", "value": np.float64(5.5), "text": "It misses."}],
        "limit": float("nan"),
    }
    fraction = np.full((3, nx), float(level))
    fraction[0, 0] = np.nan
    return [
        Result("found", "fraction", fraction, attrs=said | {"of": "Mn4+"}, **of_map),
        Result("found", "sigma", fraction / 10, sigma_of="fraction", attrs=said, **of_map),
        Result("found", "flags", np.ones((3, nx), np.uint8), attrs=said, **of_map),
        Result("found", "mask", np.isfinite(fraction), attrs=said, **of_map),
        Result(
            "found", "spectrum", np.array([0.1, 0.4]), ("area_energy",), part,
            {"area_energy": np.array([640.0, 641.0])}, {"area_energy": "eV"}, "OD", attrs=said,
        ),
        Result("found", "mean", np.array(level), (), part, unit="", attrs=said),
    ]  # fmt: skip


def test_they_stand_beside_the_run(embedded: Any, run: Any) -> None:
    uid = run.metadata["start"]["uid"]
    assert store_results(embedded, uid, some()) == ["found"]
    run = embedded[uid]
    fraction = run["found"]["fraction"].read()
    np.testing.assert_array_equal(fraction, some()[0].array)
    assert run["found"]["mask"].read().dtype == bool and run["found"]["flags"].read().dtype == "u1"
    found = run["found"].read()
    assert found["fraction"].dims == ("y", "x") and found["mean"] == 0.5
    np.testing.assert_array_equal(found["x"], np.linspace(-1, 1, 4))
    assert found["x"].attrs["units"] == "µm" and found["spectrum"].attrs["units"] == "OD"
    np.testing.assert_array_equal(found["area_energy"], [640.0, 641.0])
    assert found["sigma"].attrs["sigma_of"] == "fraction"
    assert found["fraction"].attrs["of"] == "Mn4+"  # its own; the rest stands once
    assert "references" not in found["fraction"].attrs
    attrs = run["found"].metadata["attrs"]
    assert attrs["doubts"][0]["text"] == "It misses." and attrs["doubts"][0]["value"] == 5.5
    assert attrs["references"]["digest"] == "abc" and attrs["limit"] is None
    assert attrs["software"] == f"redoxscope {__version__}" and attrs["run"] == uid
    stored = datetime.fromisoformat(attrs["stored"])
    assert timedelta(0) <= datetime.now(UTC) - stored < timedelta(minutes=10)


def test_a_later_one_is_a_version(embedded: Any, run: Any) -> None:
    uid = run.metadata["start"]["uid"]
    assert [store_results(embedded, uid, some(level)) for level in (0.1, 0.2, 0.3)] == [
        ["found"], ["found_v2"], ["found_v3"],
    ]  # fmt: skip
    run = embedded[uid]
    np.testing.assert_array_equal(run["found"]["fraction"].read(), some(0.1)[0].array)
    assert run["found_v2"]["mean"].read() == 0.2
    assert read_results(run, "found")["mean"] == 0.3
    assert read_results(run, "found", version=1)["mean"] == 0.1
    listed = list_results(run)
    assert [(one.analysis, one.version, one.key) for one in listed] == [
        ("found", 1, "found"), ("found", 2, "found_v2"), ("found", 3, "found_v3"),
    ]  # fmt: skip
    assert listed[0].software == f"redoxscope {__version__}" and listed[0].parts == ()


def test_regions_are_parts(embedded: Any, run: Any) -> None:
    uid = run.metadata["start"]["uid"]
    parts = ("left", "right, 3 1/cm")
    results = [r for i, part in enumerate(parts) for r in some(i + 1, part, nx=4 + i)]
    store_results(embedded, uid, results)
    run = embedded[uid]
    assert run["found"]["left"]["fraction"].read().shape == (3, 4)
    assert run["found"]["right, 3 1_cm"]["fraction"].read().shape == (3, 5)
    assert read_results(run, "found", part=parts[1])["mean"] == 2
    assert list_results(run)[0].parts == parts
    with pytest.raises(ValueError, match="has found of left, right, 3 1/cm: give part="):
        read_results(run, "found")
    with pytest.raises(ValueError, match="part = 'up' is none of them"):
        read_results(run, "found", part="up")


def said(run: Any) -> str:
    """Documents of a run by the exporter and by us; as text, since no NaN is another."""
    return json.dumps([list(run.documents()), list(run_documents(run))], default=str)


def test_the_run_reads_as_before(embedded: Any, run: Any, tmp_path: Path) -> None:
    """Documents, exports and the streams are those of the run alone."""
    uid = run.metadata["start"]["uid"]
    before = said(run)
    store_results(embedded, uid, some())
    run = embedded[uid]
    assert said(run) == before
    assert [one["name"] for one in run.descriptors] == ["primary"]
    assert run["primary"].read()["transmission"].shape == (10, 20)
    buffer = io.BytesIO()
    run.export(buffer, format="application/x-hdf5")
    with h5py.File(buffer) as file:
        assert file["found/fraction"].shape == (3, 4)
        assert file["primary/transmission"].shape == (10, 20)


def test_what_a_crash_left_half_is_made_anew(
    embedded: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiled.client.container import Container

    uid = run.metadata["start"]["uid"]
    with monkeypatch.context() as patch:

        def dies(*_: Any, **__: Any) -> None:
            raise ConnectionError("killed")

        patch.setattr(Container, "replace_metadata", dies)
        with pytest.raises(ConnectionError):
            store_results(embedded, uid, some(0.1))
    assert list_results(embedded[uid]) == []
    assert store_results(embedded, uid, some(0.2)) == ["found"]
    assert read_results(embedded[uid], "found")["mean"] == 0.2
    store_results(embedded, uid, some(0.3))
    # A server's may be under way in another process: only what is old is removed.
    base = embedded[uid].base
    attrs = dict(base["found_v2"].metadata["attrs"], complete=False)
    base["found_v2"].replace_metadata({"attrs": attrs})
    assert _store._next_version(embedded[uid].base, "found", embedded=False) == 3
    attrs["stored"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    base["found_v2"].replace_metadata({"attrs": attrs})
    assert _store._next_version(embedded[uid].base, "found", embedded=False) == 2


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([], "there are no results to store"),
        ("fraction", "'fraction' is neither a result nor a snapshot"),
        ([{"a": 3}], "3 is neither a result nor a snapshot"),
        ([*some(), some()[0]], "is there twice"),
        ([some()[0], some(nx=5)[1]], "has 5 along 'x', others have 4"),
        ([Result("primary", "mean", np.array(1.0), ())], "the run has a stream 'primary'"),
        ([Result("found_v2", "mean", np.array(1.0), ())], "as a version of another would be"),
        (
            [Result("found", "mean", np.array(1.0), (), attrs={"view": {"on": print}})],
            "['view']['on'] = <built-in function print> is nothing that JSON has",
        ),
        (
            [some()[0], Result("found", "x", np.ones(4), ("x",))],
            "a result of found is called 'x', and so is a dimension",
        ),
    ],
    ids=[
        "nothing", "text", "number", "twice", "sizes", "stream", "version", "json", "coordinate",
    ],
)  # fmt: skip
def test_what_cannot_be_stored(embedded: Any, run: Any, results: Any, words: str) -> None:
    uid = run.metadata["start"]["uid"]
    with pytest.raises(ValueError) as caught:
        store_results(embedded, uid, results)
    assert words in str(caught.value)
    assert set(embedded[uid].base) == {"primary"}  # nothing was begun


def test_a_spectrum_alone(embedded: Any, run: Any) -> None:
    """Arrays of one dimension, and no other, take another way through Tiled."""
    uid = run.metadata["start"]["uid"]
    energies = np.array([640.0, 641.0, 642.0])
    of = {"dims": ("energy",), "coords": {"energy": energies}, "units": {"energy": "eV"}}
    store_results(embedded, uid, [Result("spectrum", "counts", energies * 2, unit="counts", **of)])
    run = embedded[uid]
    for found in (run["spectrum"].read(), read_results(run, "spectrum")):
        np.testing.assert_array_equal(found["counts"], energies * 2)
        np.testing.assert_array_equal(found["energy"], energies)
        assert found["energy"].attrs["units"] == "eV"


def test_nothing_is_made_up_where_there_is_none(embedded: Any, run: Any) -> None:
    with pytest.raises(ValueError, match=r"has no results of 'oxidation_map' \(it has: none at al"):
        read_results(run, "oxidation_map")
    store_results(embedded, run.metadata["start"]["uid"], some())
    run = embedded[run.metadata["start"]["uid"]]
    with pytest.raises(ValueError, match=r"\(it has: found\)"):
        read_results(run, "oxidation_map")
    with pytest.raises(ValueError, match="has no version 2 of found, only 1"):
        read_results(run, "found", version=2)
    with pytest.raises(ValueError, match="of one part only, so not of 'left'"):
        read_results(run, "found", part="left")


class Live:
    """Stands for a host of live analyses."""

    def __init__(self, *results: Result):
        self._results = list(results)

    def results(self, uid: str, timeout: float | None) -> list[Result]:
        assert timeout is not None and 0 < timeout < 300  # `cat[-1]` waits for it
        if not self._results:
            raise LookupError(f"run {uid} was not seen")
        return self._results


def test_live_results_are_kept(
    embedded: Any, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of the host; what it lacks is found in the run; what fails is said."""
    asked: list[set[str]] = []
    again = Result("again", "mean", np.array(7.0), ())

    def derived(documents: Any, but: Any = ()) -> tuple[list[Result], list[str]]:
        assert next(iter(documents))[0] == "start"
        asked.append(set(but))
        return [again], ["third: it has no counts"]

    monkeypatch.setattr("redoxscope.storage.results._keep.derive", derived)
    uid = run.metadata["start"]["uid"]
    keep_results(Live(*some()), Live())(embedded, uid)
    assert asked == [{"found"}]
    assert [one.key for one in list_results(embedded[uid])] == ["again", "found"]
    assert "no results of third: it has no counts" in caplog.text


def test_a_run_that_ended_before_its_first_event_has_no_results_and_no_error(
    tmp_path: Path, embedded: Any
) -> None:
    documents = [pair for pair in stack_documents() if pair[0] in ("start", "stop")]
    uid = put(tmp_path, embedded, documents).metadata["start"]["uid"]
    keep_results()(embedded, uid)  # raises where it reads a stream that is not there
    assert list_results(embedded[uid]) == []


class Reading:
    """A reader that counts lines; or fails."""

    said: ClassVar[list[str]] = []  # of the ends of runs

    def __init__(self, fails: str = ""):
        self.fails, self.lines = fails, 0

    def describe(self, descriptor: Any) -> bool:
        return descriptor["name"] == "primary"

    def take(self, name: str, doc: Any) -> list[float]:
        if self.fails == "take":
            raise ValueError("no counts")
        self.lines += len(doc["seq_num"])
        return []

    def snapshot(self, *, message: str, **how: bool) -> dict[str, int]:
        assert how == {"final": True}
        self.said.append(message)
        if self.fails == "snapshot":
            raise ValueError("no map")
        return {"": self.lines}


class Made:
    """Stands for an analysis."""

    def __init__(self, name: str, fails: str = "", apart: bool = False):
        self.name, self.title, self.fails = name, f"the {name}", fails
        self.apart = apart
        self.options = dict

    def accepts(self, start: Any) -> bool:
        if self.fails == "accepts":
            raise ValueError("no start")
        return self.fails != "unwanted"

    def reader(self, start: Any, options: Any) -> Any:
        return Reading(self.fails)

    def results(self, snapshot: int) -> list[Result]:
        return [Result(self.name, "lines", np.array(snapshot), ())]


def test_each_analysis_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    Reading.said.clear()
    kinds = ("", "take", "snapshot", "accepts", "unwanted")
    made = [Made(f"a{i}", fails) for i, fails in enumerate(kinds)] + [Made("left_out")]
    monkeypatch.setattr(_derive, "analyses", lambda: made)
    results, problems = _derive.derive(stack_documents(), but=["left_out"])
    assert [(r.analysis, int(r.array)) for r in results] == [("a0", 10)]
    assert set(Reading.said) == {""}  # it ended well
    assert problems == ["the a3: no start", "the a1: no counts", "the a2: no map"]


def test_a_run_nobody_wants_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("a", "unwanted")])

    def documents() -> Any:
        yield "start", {}
        pytest.fail("read on")

    assert _derive.derive(documents()) == ([], [])


def test_a_run_that_is_recovered_has_them_too(
    tmp_path: Path, embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("a"), Made("b", "take")])
    documents = stack_documents()
    log = DocumentLog(tmp_path)
    for name, doc in documents[:7]:  # killed in mid-run
        log(name, doc)
    log.close()
    (report,) = recover(tmp_path, embedded)
    assert report.status == "recovered"
    assert read_results(embedded[report.uid], "a")["lines"] == 5
    assert Reading.said[-1].startswith("Run ended: ")
    # Again, with what is lacking only: as after a crash between the run and its results.
    report.path.rename(tmp_path / report.path.name)
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("a"), Made("b")])
    (report,) = recover(tmp_path, embedded)
    assert report.status == "present"
    assert [one.key for one in list_results(embedded[report.uid])] == ["a", "b"]


def test_results_come_before_the_log_is_put_away(tmp_path: Path, embedded: Any) -> None:
    documents = stack_documents()
    uid = documents[0][1]["uid"]
    log = DocumentLog(tmp_path)
    seen: list[bool] = []
    writer = CatalogWriter(embedded, log, then=[lambda *_: seen.append(log.path(uid).exists())])
    for name, doc in documents:
        log(name, doc)
        writer(name, doc)
    assert writer.wait(60) and seen == [True] and not log.path(uid).exists()
    writer.close()


def test_a_position_that_was_not_measured_is_the_same_for_all() -> None:
    """Of a run that was aborted, say: NaN is no other value than NaN."""
    y = np.array([0.0, np.nan, 2.0])
    of = {"dims": ("y",), "coords": {"y": y}, "units": {"y": "µm"}}
    results = [Result("found", name, y * 2, unit="", **of) for name in ("fraction", "sigma")]
    (dataset,) = datasets(results).values()
    np.testing.assert_array_equal(dataset["y"], y)
    other = Result("found", "mean", y, unit="", **{**of, "coords": {"y": y + 1}})
    with pytest.raises(ValueError, match="has other values along 'y'"):
        datasets([*results, other])


class Slow:
    """A host that is not done while the catalog's thread has patience."""

    analysis = SimpleNamespace(name="found", apart=True)

    def __init__(self, *results: Result):
        self.go, self._results = threading.Event(), list(results)

    def results(self, uid: str, timeout: float | None) -> list[Result]:
        if timeout is not None:
            raise NotDoneError("it is not done")
        assert self.go.wait(60)
        if not self._results:
            raise LookupError("it was given up")
        return self._results


def test_results_that_come_late_are_stored_when_they_are_there(
    embedded: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("found", apart=True)])
    uid, slow = run.metadata["start"]["uid"], Slow(*some())
    keep = keep_results(slow)
    keep(embedded, uid)  # the catalog's thread goes on to the next run
    assert keep.pending == f"results of found of run {uid[:8]}" and not keep.wait(0)
    assert list_results(embedded[uid]) == []
    slow.go.set()
    assert keep.wait(60) and not keep.pending
    assert [one.key for one in list_results(embedded[uid])] == ["found"]


def test_late_results_that_never_come_are_told(
    embedded: Any, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("found", apart=True)])
    slow = Slow()
    keep = keep_results(slow)
    keep(embedded, run.metadata["start"]["uid"])
    assert "no results" not in caplog.text
    slow.go.set()
    assert keep.wait(60)
    assert "no results of found (it was given up); store_results(cat, " in caplog.text


def test_what_has_a_process_of_its_own_is_made_again_on_request_only(
    embedded: Any, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_derive, "analyses", lambda: [Made("a"), Made("b", apart=True)])
    uid = run.metadata["start"]["uid"]
    keep_results()(embedded, uid)  # as recover does
    assert [one.key for one in list_results(embedded[uid])] == ["a"]
    assert "no results of b (nothing was made of it); store_results(cat, " in caplog.text
    assert store_results(embedded, uid) == ["a_v2", "b"]
