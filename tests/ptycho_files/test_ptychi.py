"""pty-chi goes on where our engine has come, on the same grid.

It needs torch, which is heavy: it is looked for in this environment, then in that of the
interpreter that REDOXSCOPE_PTYCHI_PYTHON names.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from redoxscope.analysis.ptychography import Engine, refined_by_ptychi
from redoxscope.analysis.ptychography import _ptychi as module
from redoxscope.ptycho_files._process import Options

from .files import GEOMETRY, frames

HERE = importlib.util.find_spec("ptychi") is not None
PYTHON = os.environ.get("REDOXSCOPE_PTYCHI_PYTHON") or (sys.executable if HERE else "")
ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
import numpy as np
sys.path[:0] = [sys.argv[1]]
from redoxscope.analysis.ptychography import Engine, refined_by_ptychi, shift_between
from tests.analysis.ptychography.toy import toy, truth_on
t = toy(size=64, side=7, photons=3e5)
engine = Engine(t.geometry, t.probe, t.field)
engine.add(t.photons(), t.x, t.y)
for _ in range(3):
    engine.sweep()
before = engine.result()
after = refined_by_ptychi(engine, epochs=6, modes=2)
truth = np.abs(truth_on(t, before))
found = []
for one in (before, after):
    lag = shift_between(truth, one.amplitude, largest=4.0)
    found += [np.corrcoef(one.amplitude[one.covered], truth[one.covered])[0, 1], lag.dy, lag.dx]
places = np.abs(after.positions_um - np.column_stack([t.x, t.y])).max()
light = [(np.abs(one.probe) ** 2).sum() for one in (before, after)]
np.savez(sys.argv[2], found=found, places=places, light=light, modes=len(after.probe),
         level=[one.amplitude[one.covered].mean() for one in (before, after)])
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not PYTHON, reason="pty-chi is not installed (pip install 'redoxscope[ptychi]')"
)
def test_it_goes_on_from_our_image_and_stays_in_its_place(tmp_path):
    out = tmp_path / "found.npz"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [PYTHON, "-c", SCRIPT, str(ROOT), str(out)], check=True, timeout=400, env=environment
    )
    read = np.load(out)
    before, _, _, after, dy, dx = read["found"]
    assert after > before + 0.002 and abs(dy) < 0.25 and abs(dx) < 0.25  # pixels
    assert read["places"] < 0.003 and read["modes"] == 2  # µm
    assert read["light"][1] == pytest.approx(read["light"][0], rel=1e-3)
    assert read["level"][1] == pytest.approx(read["level"][0], rel=0.02)


def an_engine():
    data = frames()
    x, y = data["x"][:20], data["y"][:20]
    engine = Engine(GEOMETRY, data["probe"], (x.min(), x.max(), y.min(), y.max()))
    engine.add(data["counts"][:20], x, y)
    return engine, data


def test_it_is_given_the_frames_as_they_came():
    engine, data = an_engine()
    counts, good = module._frames(engine)
    assert good.all()
    np.testing.assert_allclose(counts, data["counts"][:20], rtol=0.01, atol=0.2)
    mask = np.ones((64, 64), bool)
    mask[3, 5] = False
    engine.add(data["counts"][20], data["x"][0], data["y"][0], mask=mask)
    assert (module._frames(engine)[1] == mask).all()


def test_bad_input_is_named(monkeypatch):
    engine, data = an_engine()
    with pytest.raises(ValueError, match="epochs = 0"):
        refined_by_ptychi(engine, epochs=0)
    with pytest.raises(ValueError, match="the engine has no frames"):
        refined_by_ptychi(Engine(GEOMETRY, data["probe"], engine.field))
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for ask in (lambda: refined_by_ptychi(engine), lambda: Options(ptychi=5)):
        with pytest.raises(ValueError, match=r"pip install 'redoxscope\[ptychi\]'"):
            ask()
