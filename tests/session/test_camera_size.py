"""A session on a simulated camera that is read binned."""

from __future__ import annotations

from types import SimpleNamespace

from redoxscope.beamline import simulated_beamline
from redoxscope.dry_run.support import on_the_simulation
from redoxscope.session.support import at_binning
from redoxscope.sim import build_ptycho


class Simulated:
    camera_binning = 2


def test_the_station_knows_how_large_pixels_are():
    file = simulated_beamline("SIM:")
    told = at_binning(file, Simulated())
    assert told.instruments["ptycho"].options.pixel == 240.0
    assert told.instruments["stxm"] == file.instruments["stxm"]
    assert file.instruments["ptycho"].options.pixel == 120.0  # a copy was changed


def test_the_file_describes_the_simulated_camera():
    options = simulated_beamline("SIM:").instruments["ptycho"].options
    camera = build_ptycho().camera
    said = options.pixel, options.distance, options.gain, options.read_noise, options.saturation
    assert said == (
        camera.pixel_um, camera.distance_um, camera.gain, camera.read_noise, camera.saturation,
    )  # fmt: skip


def test_a_rehearsal_has_nothing_of_the_real_camera():
    simulated = SimpleNamespace(dastard=None, speed=1.0, heat_speed=1.0, camera_binning=1)
    file = simulated_beamline("SIM:").with_instrument("ptycho", mask="/gpfs/bad.npy")
    file = file.changed(
        "camera", path="/gpfs/tonight", read_path="/mnt/x", external="Ext. Gate", internal="Own"
    )
    told = on_the_simulation(file, simulated)
    options = told.devices["camera"].options
    assert (options.path, options.read_path) == ("", "")
    assert (options.external, options.internal) == ("External", "Internal")
    assert told.instruments["ptycho"].options.mask is None
    assert on_the_simulation(file.without("ptycho"), simulated).instruments.keys() == {
        name for name in file.instruments if name != "ptycho"
    }
