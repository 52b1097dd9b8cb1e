"""Scan numbers and the user's metadata: kept, and shared by several processes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plans import count

from redoxscope.session._metadata import Metadata, ScanNumbers


def test_scan_numbers_go_on_from_session_to_session(tmp_path):
    first = ScanNumbers(tmp_path / "scan_id")
    assert [first({}), first({})] == [1, 2]
    assert ScanNumbers(tmp_path / "scan_id")({}) == 3


def test_no_two_processes_get_the_same_number(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from redoxscope.session._metadata import ScanNumbers\n"
        "n = ScanNumbers(Path(sys.argv[1]))\nprint(*(n({}) for _ in range(50)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "scan_id")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(word) for p in running for word in p.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 201))


def test_a_full_disk_is_told_with_the_file(tmp_path):
    part = tmp_path / f".scan_id.{os.getpid()}"
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/scan_id'"):
        ScanNumbers(tmp_path / "scan_id")({})
    assert not part.is_symlink()
    assert ScanNumbers(tmp_path / "scan_id")({}) == 1


def engine(folder):
    RE = RunEngine(
        Metadata(folder / "metadata.json"),
        context_managers=[],
        scan_id_source=ScanNumbers(folder / "scan_id"),
    )
    starts = []
    RE.subscribe(lambda name, doc: starts.append(doc), "start")
    return RE, starts


def test_a_number_that_the_user_sets_is_the_last_one(tmp_path):
    RE, starts = engine(tmp_path)
    RE(count([]))
    RE.md["scan_id"] = 1000
    RE(count([]))
    RE(count([]))
    assert [doc["scan_id"] for doc in starts] == [1, 1001, 1002]
    RE, starts = engine(tmp_path)
    RE(count([]))
    assert starts[0]["scan_id"] == 1003


def test_metadata_is_there_in_the_next_session(tmp_path):
    RE, starts = engine(tmp_path)
    RE.md["proposal"] = "GUP-1234"
    RE.md["sample"] = {"name": "LMR", "charge": np.float64(4.5)}
    RE.md["gone"] = 1
    del RE.md["gone"]
    RE.md["sample"]["holder"] = "B"  # in place: kept with the next run
    RE(count([]), operator="x")
    RE, starts = engine(tmp_path)
    RE(count([]))
    assert starts[0]["proposal"] == "GUP-1234"
    assert starts[0]["sample"] == {"name": "LMR", "charge": 4.5, "holder": "B"}
    assert "gone" not in starts[0] and "operator" not in starts[0]
    kept = json.loads((tmp_path / "metadata.json").read_text())
    assert set(kept) == {"proposal", "sample"}


def test_sessions_open_at_the_same_time_keep_each_others_keys(tmp_path):
    first, second = (Metadata(tmp_path / "metadata.json") for _ in range(2))
    first["operator"] = "Anna"
    second["sample"] = "B7"
    assert "operator" not in second
    assert dict(Metadata(tmp_path / "metadata.json")) == {"operator": "Anna", "sample": "B7"}


def test_a_copy_writes_nothing(tmp_path):
    md = Metadata(tmp_path / "metadata.json")
    md["sample"] = {"name": "a"}
    for made in (copy.deepcopy(md), copy.copy(md)):
        made["other"] = 1
    assert dict(Metadata(tmp_path / "metadata.json")) == {"sample": {"name": "a"}}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("x", object(), r"RE.md\['x'\] cannot be kept: object"), (5, 1, "key must be a text")],
)
def test_what_cannot_be_kept_is_refused(tmp_path, key, value, words):
    md = Metadata(tmp_path / "metadata.json")
    with pytest.raises(ValueError, match=words):
        md[key] = value
    assert not md


def test_a_damaged_file_is_set_aside(tmp_path, caplog):
    (tmp_path / "metadata.json").write_text('{"sample": "a')
    assert not Metadata(tmp_path / "metadata.json")
    assert (tmp_path / "metadata.json.damaged").exists()
    assert "set aside" in caplog.text
