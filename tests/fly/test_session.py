"""A session on a file of the FLY contract starts the beamline that serves it."""

from __future__ import annotations

from importlib import resources

import pytest

from redoxscope import start_session
from redoxscope.beamline import load_beamline, parse_beamline, simulated_fly
from redoxscope.plans import energy_stack
from redoxscope.testing import Documents, validate_fly_run, validate_run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fly.yml"
    text = resources.files("redoxscope").joinpath("beamlines/fly.yml").read_text("utf-8")
    path.write_text(text, "utf-8")
    return path


def test_a_stack_unchanged(file, tmp_path):
    options = {"fly-poll": 0.001}
    with start_session(
        file, speed=50, data=tmp_path / "data", simulation_options=options
    ) as session:
        documents = Documents()
        session.RE.subscribe(documents)
        session.RE(energy_stack(session.stxm, energies=[639.0, 640.0], pixels=(6, 3), size=3))
        assert session.file.of_class("fly_scanner") == ["scanner"]
    rows = documents.rows()
    assert [(row["frame"], row["line"]) for row in rows.values()] == [
        (frame, line) for frame in range(2) for line in range(3)
    ]
    assert {row["line_status"] for row in rows.values()} == {0}
    assert documents.stop["exit_status"] == "success"
    validate_run(documents)
    validate_fly_run(documents)


def test_whole_names_belong_to_the_simulation_too():
    config = simulated_fly().served_as("RS1:")
    assert config.prefix == "RS1:"
    assert config.devices["sample_stage"].pvs["FineY"] == "RS1:STXMSIM:E712:SampleY"
    assert config.devices["zone_plate"].pvs == {"Z": "RS1:STXMSIM:XER:ZonePlateZ"}


def test_the_file_that_sim_writes(tmp_path, monkeypatch):
    """As for a session, written down."""
    from typer.testing import CliRunner

    from redoxscope.cli import app
    from redoxscope.sim import Simulation

    monkeypatch.setattr(Simulation, "wait", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    path = tmp_path / "mine.yml"
    arguments = ["sim", "--contract", "fly", "--prefix", "ZZ:", "--write", str(path)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "The FLY contract is served as ZZ:STXMSIM:*" in done.output
    found, expected = load_beamline(path), simulated_fly().served_as("ZZ:")
    assert found == expected
    assert parse_beamline(path.read_text(), "mine.yml") == expected
