"""No instrument is obligatory: whatever a file declares is a working session."""

from __future__ import annotations

import threading

import bluesky.plans as bp
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd.sim import SynAxis

from redoxscope import start_session
from redoxscope.cli._shell import banner
from redoxscope.queue._names import names

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
        text.split("names: ")[1].split() == "s RE sd cat bp bps bpp omap rmap angle diode".split()
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
                threading.Thread(target=s.RE.request_pause).start()

        s.RE.msg_hook = pause
        with pytest.raises(RunEngineInterrupted):
            s.RE(bp.scan([s.diode], s.angle, 0, 1, 3))
    assert "the run was aborted: what was taken is kept" in caplog.text
    assert "CHECK" not in caplog.text
