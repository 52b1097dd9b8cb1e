"""No instrument is obligatory: whatever a file declares is a working session."""

from __future__ import annotations

import bluesky.plans as bp
import pytest
import yaml
from bluesky.utils import RunEngineInterrupted
from ophyd.sim import SynAxis

from redoxscope import start_session
from redoxscope.beamline import simulated_text
from redoxscope.cli._shell import banner
from redoxscope.plans import energy_stack
from redoxscope.queue._names import names
from redoxscope.testing import Documents

from ..devices.tes.parts import truth
from ..plans.conftest import ask_for_pause

SOFT = """
name: bench
devices:
  angle: {class: ophyd.sim.SynAxis}
  diode: {class: ophyd.sim.SynSignal}
"""


def written(folder, text):
    path = folder / "beamline.yml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def soft(tmp_path_factory):
    """A motor and a counter of somebody else's classes."""
    folder = tmp_path_factory.mktemp("soft")
    with start_session(written(folder, SOFT), data=folder / "data") as s:
        yield s


def test_only_a_motor_and_a_counter(soft):
    assert list(soft.devices) == ["angle", "diode"] and isinstance(soft.angle, SynAxis)
    soft.sd.baseline.append(soft.angle)
    (uid,) = soft.RE(bp.scan([soft.diode], soft.angle, 0, 1, 3))
    run = soft.cat[uid]
    assert run["primary"].read()["angle"].values.tolist() == [0.0, 0.5, 1.0]
    assert run["baseline"].read()["angle"].shape == (2,)
    assert run.metadata["start"]["beamline_id"] == "bench"


def test_names_of_the_shell_and_the_queue_are_those_of_the_file(soft):
    shell = soft.namespace()
    assert shell["angle"] is soft.angle and "stxm" not in shell and "windows" not in shell
    text = banner(soft)
    assert "RE(bp.count([angle]))" in text and "energy_stack" not in text
    assert (
        text.split("names: ")[1].split()
        == "s RE sd cat bp bps bpp omap rmap pmap angle diode calibrations".split()
    )
    queue = names(soft)
    assert {"angle", "diode", "count", "scan", "mv"} <= queue.keys()
    assert not {"count_with_beam", "energy_stack", "rixs_map"} & queue.keys()


def test_what_it_has_not_is_named(soft):
    with pytest.raises(AttributeError, match="no 'stxm'; it has angle, diode, oxidation_map"):
        _ = soft.stxm
    with pytest.raises(AttributeError, match="no 'diod'; did you mean 'diode'"):
        _ = soft.diod
    assert {"angle", "oxidation_map"} <= set(dir(soft))


def test_aborted_as_it_closes(tmp_path, caplog):
    """There is no shutter and no scanner to speak of."""
    stopped = []
    with start_session(written(tmp_path, SOFT), data=tmp_path / "data") as s:
        s.angle.stop = lambda **_: stopped.append(True)

        def pause(msg):
            if msg.command == "save":
                ask_for_pause(s.RE)

        s.RE.msg_hook = pause
        with pytest.raises(RunEngineInterrupted):
            s.RE(bp.scan([s.diode], s.angle, 0, 1, 3))
    assert "the run was aborted: what was taken is kept" in caplog.text
    assert "CHECK" not in caplog.text


ONLY_TES = """
name: only-tes
simulated: true
devices:
  tes: {class: tes}
instruments:
  tes: {detector: tes}
"""


def test_only_a_spectrometer(tmp_path):
    """Nothing takes its beam away."""
    file = written(tmp_path, ONLY_TES)
    with start_session(file, speed=20, data=tmp_path / "data") as s:
        assert list(s.devices) == ["tes"] and s.beam_shutter is None and "windows" in s.extras
        assert "RE(bp.count([tes]))" in banner(s) and "mono" not in banner(s)
        s.tes.set_calibration(truth())
        s.tes.dwell.put(2.0)
        documents = Documents()
        s.RE.subscribe(documents)
        s.RE(bp.count([s.tes], 2))
    counts = [row["tes_counts"] for row in documents.rows().values()]
    assert len(counts) == 2 and counts[1] > 50


def test_a_microscope_without_shutter(tmp_path):
    content = yaml.safe_load(simulated_text(""))
    del content["devices"]["shutter"], content["instruments"]["stxm"]["shutter"]
    del content["instruments"]["xas"], content["instruments"]["ptycho"]
    file = written(tmp_path, yaml.safe_dump(content))
    with start_session(file, speed=50, data=tmp_path / "data") as s:
        assert s.beam_shutter is None and "tes" not in s.devices
        assert "count" in names(s) and "count_with_beam" not in names(s)
        documents = Documents()
        s.RE.subscribe(documents)
        s.RE(energy_stack(s.stxm, energies=[640.0], pixels=4, size=1.0))
    rows = documents.rows().values()
    assert [row["line_status"] for row in rows] == [0] * 4
    assert min(min(row["transmission"]) for row in rows) > 0
