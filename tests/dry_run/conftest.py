"""A beamline whose file names everything otherwise than the simulation does."""

from __future__ import annotations

from pathlib import Path

import pytest

MINE = """\
name: mine
prefix: "BL:"
devices:
  mono:
    class: monochromator
    prefix: "PGM:"
    pvs: {Energy: "BL:pgm:en", EPU: "SR:ID7:E", "EPU:RBV": "SR:ID7:E_RBV"}
    edge_offsets: {Mn L3: 0.35}
  plate:
    class: zone_plate
    prefix: "zp"
    diameter: 155
    outer_zone: 25
    central_stop: 70
    osa_diameter: 40
    a0: 300
  pinhole: {class: osa, prefix: "osa"}
  stage: {class: sample_stage, prefix: "stage", pvs: {FineX: "PI:x", FineY: "PI:y"}}
  scanner: {class: scanner, prefix: "fly:"}
  pmt: {class: counter, prefix: "pmt:"}
  tey: {class: counter, prefix: "tey:"}
  dcct: {class: ring_current, prefix: "", pvs: {Current: "SR:DCCT"}}
  blade: {class: shutter, prefix: "blade:"}
instruments:
  stxm:
    energy: mono
    zone_plate: plate
    osa: pinhole
    sample_stage: stage
    scanner: scanner
    transmission: pmt
    counters: [tey]
    ring: dcct
    shutter: blade
"""


@pytest.fixture
def mine(tmp_path) -> Path:
    """Its file."""
    path = tmp_path / "mine.yml"
    path.write_text(MINE, encoding="utf-8")
    return path
