"""What a beamline gets for the tests of its own file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bluesky.plans as bp
import pytest

from redoxscope.beamline import parse_beamline, simulated_beamline
from redoxscope.plans import energy_stack, rixs_map
from redoxscope.testing import beamline_problems, fake_beamline, make_engine

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = """
name: bench
devices:
  pipette: {class: ophyd.EpicsMotor, prefix: "X:m1"}
  angle: {class: ophyd.sim.SynAxis}
"""


def test_fakes_of_the_simulated_beamline_run_its_plans():
    fakes = fake_beamline(simulated_beamline(""))
    stxm, tes = fakes.instruments["stxm"], fakes.instruments["tes"]
    assert set(fakes.devices) == set(fakes.file.devices)
    assert fakes.devices["shutter"] is stxm.shutter is tes.shutter
    engine, documents = make_engine()
    engine(energy_stack(stxm, energies=[640.0, 641.0], pixels=3))
    assert len(documents.rows()) == 6 and {"transmission", "i0"} <= documents.rows()[1].keys()
    engine(rixs_map(tes, fakes.devices["mono"], energies=[700.0], passes=2, dwell=1.0))
    assert tes.taken == [(700.0, True)] * 2


def test_fakes_of_somebody_elses_classes():
    fakes = fake_beamline(parse_beamline(FOREIGN, "bench.yml"))
    fakes.connect()
    fakes.devices["pipette"].user_readback.sim_put(2.0)
    assert fakes.devices["pipette"].position == 2.0
    engine, documents = make_engine()
    engine(bp.scan([fakes.devices["angle"]], fakes.devices["angle"], 0, 1, 2))
    assert len(documents.rows()) == 2
    fakes.destroy()


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("a0: 400", "a0: -400", "zone_plate.a0 = -400 µm must be greater than 0 µm"),
        ("class: osa", "class: osaa", "osaa"),
        ("", "", None),
    ],
)
def test_what_is_wrong_with_a_file_is_said_line_by_line(tmp_path, old, new, says):
    from redoxscope.beamline import simulated_text

    path = tmp_path / "ours.yml"
    path.write_text(simulated_text("").replace(old, new, 1))
    problems = beamline_problems(path)
    assert problems == [] if says is None else says in problems[0]


TESTS = """
from redoxscope.plans import energy_stack
from redoxscope.testing import beamline_problems, validate_run

def test_file(beamline_path):
    assert beamline_problems(beamline_path) == []

def test_fakes(fakes, engine, documents):
    engine(energy_stack(fakes.instruments["stxm"], energies=[640.0], pixels=3))
    assert len(documents.rows()) == 3

def test_on_the_simulation(simulated, documents):
    simulated.RE.subscribe(documents)
    simulated.RE(energy_stack(simulated.stxm, energies=[640.0], pixels=3, size=1.0))
    validate_run(documents)
"""
CONFTEST = """
import pytest
pytest_plugins = ["redoxscope.testing.fixtures"]

@pytest.fixture(scope="session")
def beamline_path():
    return "ours.yml"
"""


def test_the_fixtures_in_a_project_of_its_own(tmp_path):
    from redoxscope.beamline import simulated_text

    (tmp_path / "ours.yml").write_text(
        simulated_text("BL:").replace("simulated: true", "simulated: false")
    )
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_ours.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr
