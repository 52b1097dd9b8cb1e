"""The page on finding and comparing runs, tried in a real catalog."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from redoxscope.data import load_references
from redoxscope.scan import stack_scan
from redoxscope.storage import DocumentLog, _find, find, ingest, runs_table

from .conftest import stack_documents, stack_lines

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "find-and-compare-runs.md"
ENERGIES = [638.0, 640.0, 641.8, 643.2, 646.0, 655.0]
CODE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.S | re.M)


def _run(directory: Path, catalog: Any, sample: str, x: float = 0.0, **md: Any) -> Any:
    lines = stack_lines(energies=len(ENERGIES))
    region = {"center": [x, 0.0], "size": [2.0, 0.5], "pixels": [20, 5]}
    scan = stack_scan(energies=ENERGIES, regions=[region], dwell=0.002, edge="Mn L3")
    start = {
        "sample": sample, "edge": "Mn L3", "scan": scan.as_dict(), "shape": [6, 5, 20],
        "detectors": ["transmission", "i0"], "contract_version": 2,
        "references": load_references("Mn L3").at(ENERGIES), **md,
    }  # fmt: skip
    documents = stack_documents(lines, **start)
    log = DocumentLog(directory)
    for name, doc in documents:
        log(name, doc)
    log.close()
    uid = documents[0][1]["uid"]
    ingest(log.path(uid), catalog)
    return catalog[uid]


@pytest.fixture
def runs(tmp_path: Path, embedded: Any) -> list[Any]:
    return [_run(tmp_path, embedded, sample) for sample in ("MC17", "MC17", "MC18")]


def test_runs_are_found_by_what_they_say(
    embedded: Any, runs: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"cat": embedded}
    exec(CODE[0], names)
    assert len(names["mine"]) == 2
    assert {run.metadata["start"]["sample"] for run in names["mine"].values()} == {"MC17"}
    _, *printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and all("MC17" in line and "success" in line for line in printed)
    exec(CODE[1], names)


def test_maps_are_compared_only_where_they_can_be(
    tmp_path: Path, embedded: Any, runs: list[Any]
) -> None:
    names: dict[str, Any] = {}
    exec(CODE[2], names)
    change, sigma, both = names["difference"](runs[0], runs[1])
    assert change.shape == sigma.shape == both.shape == (5, 20)
    np.testing.assert_array_equal(change[both], 0)  # the same counts in both
    other = _run(tmp_path, embedded, "MC19", x=1.0)
    with pytest.raises(ValueError, match="edge or region differ"):
        names["difference"](runs[0], other)


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory, embedded: Any) -> Any:
    """Four runs of a sample each, begun on known days; a catalog of the tests' others, too."""
    folder = tmp_path_factory.mktemp("some")
    for sample, begin, plan, operator in (
        ("F1", datetime(2024, 3, 1, 9), "stxm_energy_stack", "Kim"),
        ("F1", datetime(2024, 3, 2, 9), "stxm_energy_stack", "Lee"),
        ("F2", datetime(2024, 3, 31, 23, 30), "stxm_energy_stack", "Kim"),
        ("F2", datetime(2024, 4, 1, 9), "image", "Lee"),
    ):
        _run(
            folder, embedded, sample, time=begin.timestamp(), plan_name=plan, operator=operator,
            num_points=30,
        )  # fmt: skip
    return embedded


@pytest.mark.parametrize(
    ("asked", "samples"),
    [
        ({"sample": "F1"}, ["F1", "F1"]),
        ({"sample": ["F1", "F2"], "edge": "Mn L3"}, ["F1", "F1", "F2", "F2"]),
        ({"sample": ["F1", "F2"], "edge": "Co L3"}, []),
        ({"since": "2024-03-02", "until": "2024-03-02"}, ["F1"]),
        ({"since": "2024-03", "until": "2024-03"}, ["F1", "F1", "F2"]),
        ({"since": "2024-03-31 23:00", "until": "2024"}, ["F2", "F2"]),
        ({"since": date(2024, 4, 1), "until": date(2024, 4, 1)}, ["F2"]),
        ({"until": datetime(2024, 3, 1, 10)}, ["F1"]),
        ({"until": "2024-04-30", "plan": "image"}, ["F2"]),
        ({"until": "2024-04-30", "operator": "Kim"}, ["F1", "F2"]),
        ({"until": "2024-04-30", "status": "success"}, ["F1", "F1", "F2", "F2"]),
        ({"until": "2024-04-30", "status": ["fail", "abort"]}, []),
        ({"until": "2024-04-30", "scan_id": np.int64(12)}, ["F1", "F1", "F2", "F2"]),
        ({"since": timedelta(hours=1), "sample": "F1"}, []),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_find(some: Any, asked: dict[str, Any], samples: list[str]) -> None:
    found = find(some, **asked)
    assert [run.metadata["start"]["sample"] for run in found.values()] == samples


def test_what_was_found_is_a_catalog(some: Any) -> None:
    found = find(some, sample="F2")
    assert found[-1].metadata["start"]["plan_name"] == "image"
    assert len(find(found, plan="stxm_energy_stack")) == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": "yesterday"}, "since = 'yesterday' must be a date as '2026-11-26'"),
        ({"since": 3}, "since = 3 must be a date"),
        ({"since": "2024-03-02", "until": "2024-03-01"}, "until = 2024-03-01 is before since"),
        ({"edge": 7}, "edge = 7"),
        ({"sample": []}, "sample is an empty list"),
        ({"operator": {"a": 1}}, "operator = {'a': 1} must be text, a number"),
        ({"operator": [None]}, "operator = None must be text"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_asked(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        find(object(), **asked)


def test_a_table_that_a_person_reads(some: Any) -> None:
    table = runs_table(find(some, until="2024-04-30"), last=3)
    assert len(table) == 3 and table.more == 1
    head, *lines, older = str(table).splitlines()
    assert head.split() == [
        "scan", "uid", "began", "plan", "edge", "sample", "measured", "done", "ended",
    ]  # fmt: skip
    assert lines[0].startswith("12 ") and "2024-04-01 09:00  image" in lines[0]
    assert "Mn L3  F2      6 E, 20×5  30/30  success" in lines[0]
    assert "2024-03-02 09:00" in lines[2] and older == "… and 1 older"
    assert "<td>2024-04-01 09:00</td>" in table._repr_html_()
    assert str(runs_table(find(some, sample="none of them"))) == "no runs"
    with pytest.raises(ValueError, match="last = 0"):
        runs_table(some, last=0)


def test_a_row_is_one_line_whatever_the_sample_is_called() -> None:
    start = {"uid": "abc", "sample": "a\nb\x1b[2J", "plan_name": "count"}
    run = SimpleNamespace(metadata={"start": start, "stop": None})
    row = dict(zip(_find._COLUMNS, _find._row(run), strict=True))
    assert row["sample"] == "a\ufffdb\ufffd[2J" and row["ended"] == "not ended"
