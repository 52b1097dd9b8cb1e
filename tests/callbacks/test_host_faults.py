"""Whatever an analysis of somebody's own does wrong, the others and the host go on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from redoxscope.callbacks import Host

from .mean_spectrum import ANALYSIS as MEAN
from .mean_spectrum import MeanReader
from .test_host import play


@dataclass(frozen=True)
class Stubborn:
    """A snapshot that cannot be copied."""

    message: str = ""

    def __post_init__(self) -> None:
        if self.message:
            raise RuntimeError("never with a message")


def fails(*args, **kwargs):
    raise RuntimeError("out of order")


def reading(**methods):
    return type("Odd", (MeanReader,), methods)


def after_one(first, then):
    """A method that gives something once, and then another."""
    given = []

    def method(self, *args, **kwargs):
        given.append(1)
        return first if len(given) == 1 else then()

    return method


FAULTS = {
    "snapshot gives a number": {"reader": reading(snapshot=lambda self, **how: {"": 5})},
    "snapshot gives text": {"reader": reading(snapshot=lambda self, **how: "map")},
    "snapshot gives none": {"reader": reading(snapshot=lambda self, **how: None)},
    "snapshot gives parts without names": {
        "reader": reading(snapshot=lambda self, **how: {7: MeanReader.snapshot(self, **how)[""]})
    },
    "snapshot fails": {"reader": reading(snapshot=fails)},
    "snapshot cannot be copied": {
        "reader": reading(snapshot=after_one({"": Stubborn()}, fails)), "snapshot": Stubborn
    },
    "take gives none": {"reader": reading(take=lambda self, name, doc: None)},
    "take gives text": {"reader": reading(take=lambda self, name, doc: ["now"])},
    "describe fails": {"reader": reading(describe=fails)},
    "part_names fail": {"reader": reading(part_names=property(fails))},
    "part_names are a number": {"reader": reading(part_names=5)},
    "refusal fails": {"reader": reading(refusal=property(fails))},
    "remarks fail": {"reader": reading(remarks=fails)},
    "remarks are text": {"reader": reading(remarks=lambda self: ["watch out"])},
    "told fails": {"reader": reading(told=fails)},
    "doubts fail": {"doubts": fails},
    "doubts are text": {"doubts": lambda snapshot: ["watch out"]},
    "results fail": {"results": fails},
    "reader fails": {"reader": fails},
    "reader gives a number": {"reader": lambda start, options: 5},
    "accepts fails": {"accepts": fails},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_an_analysis_hurts_no_other(stack, fault, caplog):
    documents, _ = stack
    odd = replace(MEAN, name="odd", title="odd one", **FAULTS[fault])
    updates = []
    with Host([odd, MEAN], on_update=updates.append, rate=1e6, timeout=30) as host:
        for i, pair in enumerate(documents.documents()):
            host(*pair)
            if i % 50 == 0:
                host.send("wish", i)
                assert host.wait(30)
        assert host.wait(30)
        counts = host.latest["run", "mean_spectrum", ""].counts
        np.testing.assert_allclose(counts, documents.counts.mean(axis=(1, 2)))
        if fault not in ("accepts fails", "results fail"):
            assert ("run", "odd") in host.errors
        assert {result.analysis for result in host.results("run")} >= {"mean_spectrum"}
        assert "odd one" in caplog.text
        play(host, replace(documents, uid="next").documents())
        assert host.latest["next", "mean_spectrum", ""].counts.shape == counts.shape
    assert all(type(update.snapshot) in (MEAN.snapshot, Stubborn) for update in updates)


def test_who_is_told_may_fail(stack, caplog):
    """What a user has said to be told with is none of the analysis's business."""
    from redoxscope.callbacks import Doubt

    doubting = replace(MEAN, doubts=lambda snapshot: [Doubt("odd", 1.0, "An odd thing.")])
    with Host([doubting]) as host:
        host.tell = fails
        play(host, stack[0].documents())
        assert host.wait(30)
        assert host.errors == {}
        assert host.results("run")
    assert "An odd thing." in caplog.text


def test_who_waits_where_the_work_is_done_waits_not_for_ever(stack):
    """From ``on_update``, which is on the host's own thread."""
    seen = []

    def on_update(update):
        seen.append(host.wait())
        try:
            seen.append(len(host.results(update.run)))
        except LookupError as exc:
            seen.append(str(exc))
        seen.append(len(host.latest))

    host = Host([MEAN], on_update=on_update, rate=1e6)
    play(host, stack[0].documents())
    assert host.wait(30) and host.on_update is on_update
    assert seen and "there is no final" in seen[1]
    assert host.results("run")
    host.close()
