"""The page on finding and comparing runs, tried in a real catalog."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.data import load_references
from redoxscope.scan import stack_scan
from redoxscope.storage import DocumentLog, ingest

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
    exec(CODE[1], names)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and all("MC17" in line and "success" in line for line in printed)


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
