"""One or two energies at an edge: images with the edge's offset, and no map."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redoxscope.data import UndeterminedError, load_references
from redoxscope.plans import energy_stack
from redoxscope.scan import Scan


class FakeSTXM(SimpleNamespace):
    """As much of a microscope as the plan needs until it opens its run."""

    name, parent = "stxm", None

    def check_scan(self, scan):
        self.checked = scan

    def checks(self, scan):
        return []

    def back_after(self, error):
        return None

    def place(self, region, dwell, retries):
        return SimpleNamespace(coarse_x=None, coarse_y=None, raster=None)

    def stage(self):
        return [self]

    def unstage(self):
        return [self]


def start_of(**options):
    """The start document's metadata, as the plan gives it to the RunEngine."""
    detector = SimpleNamespace(field="transmission")
    parts = dict.fromkeys(("energy", "scanner", "shutter", "sample_stage", "fixed_parts"))
    parts["monochromator"] = SimpleNamespace(edge=SimpleNamespace(get=lambda: "", name="edge"))
    stxm = FakeSTXM(line_detectors=[detector], **parts)
    for msg in energy_stack(stxm, size=1.0, pixels=2, **options):
        if msg.command == "open_run":
            return msg.kwargs
    raise AssertionError("no run was opened")


@pytest.mark.parametrize(
    "energies",
    [
        pytest.param([641.8], id="one"),
        pytest.param([641.8, 643.2], id="two"),
        pytest.param([600.0], id="one the references do not cover"),
        pytest.param([634.0, 635.0, 636.0], id="all before the edge"),
    ],
)
def test_few_energies_at_an_edge(energies, caplog):
    start = start_of(edge="Mn L3", energies=energies)
    assert start["edge"] == "Mn L3" and Scan.from_start(start).energies == energies
    assert "references" not in start
    assert "no map, images only" in caplog.text and f"{len(energies)} energ" in caplog.text


def test_enough_energies_carry_the_edges_references(caplog):
    start = start_of(edge="Mn L3", energies=[639.0, 641.0, 643.0])
    assert start["references"]["names"] == ["Mn4+", "Mn3+"]
    assert not caplog.text


def test_references_that_were_asked_for_must_fit():
    with pytest.raises(UndeterminedError, match="1 energy cannot fit 3 unknowns"):
        start_of(edge="Mn L3", energies=[641.8], references=load_references("Mn L3"))
    with pytest.raises(ValueError, match="600 eV are outside"):  # a stack, and a slip
        start_of(edge="Mn L3", energies=[600.0, 641.0, 643.0])
