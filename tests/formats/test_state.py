"""State labels, external triggers, dropped data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from redoxscope.formats import (
    ExternalTriggerWriter,
    FormatError,
    IncompleteHeader,
    StateWriter,
    read_data_drops,
    read_experiment_state,
    read_external_triggers,
)

T0 = 1_700_000_000_000_000_000


def test_labels_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a_experiment_state.txt"
    writer = StateWriter(path)
    assert not path.exists()
    labels = ["START", "SCAN0", "PAUSE", "SCAN0", "a, b µ"]
    for number, label in enumerate(labels):
        writer.label(label, T0 + number)
        # Others follow the file: a label is there at once.
        assert read_experiment_state(path).labels[-1] == label
    writer.close()
    assert path.read_text().splitlines()[:2] == [
        "# unix time in nanoseconds, state label",
        f"{T0}, START",
    ]
    states = read_experiment_state(path)
    assert states.labels == tuple(labels)
    assert states.times.tolist() == [T0 + n for n in range(5)]
    assert states.spans("SCAN0") == [(T0 + 1, T0 + 2), (T0 + 3, T0 + 4)]
    assert states.spans("a, b µ") == [(T0 + 4, None)]
    assert states.spans("SCAN1") == []
    assert states.problem is None


def test_half_a_last_line(tmp_path: Path) -> None:
    path = tmp_path / "state.txt"
    path.write_text(f"# unixnano, label\n0, START\n{T0}, SCAN1\n{T0 + 1}, SCA")
    states = read_experiment_state(path)
    assert states.labels == ("START", "SCAN1")
    assert "SCA" in str(states.problem)
    path.write_text("# unix time in nano")
    assert len(read_experiment_state(path).labels) == 0


@pytest.mark.parametrize("line", ["SCAN1", "now, SCAN1", "1.5e18, SCAN1"])
def test_a_line_that_is_no_label(tmp_path: Path, line: str) -> None:
    path = tmp_path / "state.txt"
    path.write_text(f"# head\n0, START\n{line}\n1, STOP\n")
    with pytest.raises(FormatError, match=r"state.txt, line 3: .* time in ns and a label"):
        read_experiment_state(path)


@pytest.mark.parametrize("label", ["two\nlines", "end\n", "a\rb"])
def test_a_label_is_one_line(tmp_path: Path, label: str) -> None:
    with pytest.raises(FormatError, match="more than one line"):
        StateWriter(tmp_path / "state.txt").label(label, T0)


def test_external_triggers_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "external_trigger.bin"
    with ExternalTriggerWriter(path, 64) as writer:
        writer.append([])
        assert not path.exists()
        writer.append([64, 128])
        writer.append(np.array([2**40]))
    head = path.read_bytes().partition(b"\n")[0]
    assert head.endswith(b"(subframeDivisions=  64)")
    triggers = read_external_triggers(path)
    assert (triggers.divisions, triggers.counts.tolist()) == (64, [64, 128, 2**40])
    assert (triggers.leftover_bytes, triggers.problem) == (0, None)
    assert writer.count == 3


def test_external_triggers_cut_off_or_out_of_order(tmp_path: Path) -> None:
    path = tmp_path / "external_trigger.bin"
    with ExternalTriggerWriter(path, 30) as writer:
        writer.append([5, 9, 7])
    assert "1 of 3 counts" in str(read_external_triggers(path).problem)
    whole = path.read_bytes()
    path.write_bytes(whole[:-13])
    triggers = read_external_triggers(path)
    assert (triggers.counts.tolist(), triggers.leftover_bytes) == ([5], 3)
    for keep in (0, 1, 50):
        path.write_bytes(whole[:keep])
        with pytest.raises(IncompleteHeader):
            read_external_triggers(path)
    for data in (b"something else\n", b"# no number\n", b"{" * 60):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="no external trigger file"):
            read_external_triggers(path)


def test_data_drops(tmp_path: Path) -> None:
    path = tmp_path / "data_drop.txt"
    path.write_text(
        "# first framenum after drop, number of dropped frames\n     1234567      100\n"
    )
    drops = read_data_drops(path)
    assert (drops.first.tolist(), drops.frames.tolist()) == ([1234567], [100])
    path.write_text("# head\n")
    assert len(read_data_drops(path).first) == 0
    path.write_text("# head\n 1 2\n 3")
    assert (read_data_drops(path).frames.tolist(), bool(read_data_drops(path).problem)) == (
        [2],
        True,
    )
    path.write_text("# head\n 1 two\n")
    with pytest.raises(FormatError, match="line 2"):
        read_data_drops(path)
