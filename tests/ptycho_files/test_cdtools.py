"""Another program reads our file, and sees the object the right way round.

cdtools needs torch, which is heavy: it is looked for in this environment, then in that of the
interpreter that REDOXSCOPE_CDTOOLS_PYTHON names.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from .files import GEOMETRY, best, frames, letter
from .test_process import write

HERE = importlib.util.find_spec("cdtools") is not None
PYTHON = os.environ.get("REDOXSCOPE_CDTOOLS_PYTHON") or (sys.executable if HERE else "")

SCRIPT = """
import sys
import numpy as np, torch
from cdtools.datasets import Ptycho2DDataset
from cdtools.models import FancyPtycho
torch.manual_seed(0)
data = Ptycho2DDataset.from_cxi(sys.argv[1])
model = FancyPtycho.from_dataset(data, n_modes=1)
for loss in model.Adam_optimize(30, data, lr=0.01, batch_size=20):
    pass
np.savez(sys.argv[2], object=model.save_results(data)["obj"], good=data.mask.numpy(),
         wavelength=float(data.wavelength), distance=float(data.detector_geometry["distance"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="cdtools is not installed (pip install cdtools-py)")
def test_cdtools_sees_the_object_the_right_way_round(tmp_path):
    path = write(tmp_path / "letter.cxi", frames())
    out = tmp_path / "object.npz"
    subprocess.run([PYTHON, "-c", SCRIPT, str(path), str(out)], check=True, timeout=400)
    read = np.load(out)
    assert read["good"].all() and read["distance"] == pytest.approx(0.08)
    assert read["wavelength"] == pytest.approx(1.93725e-9, rel=1e-4)
    wide, sample = np.abs(read["object"]), np.abs(letter(GEOMETRY.object_pixel_um))
    middle, half = np.array(wide.shape) // 2, 40
    got = wide[tuple(slice(m - half, m + half) for m in middle)]
    true = sample[tuple(slice(m // 2 - half, m // 2 + half) for m in sample.shape)]
    found = {
        name: best(got, other, most=14)
        for name, other in {
            "as it is": true, "turned": true[::-1, ::-1], "left-right": true[:, ::-1],
            "up-down": true[::-1], "transposed": true.T,
        }.items()
    }  # fmt: skip
    assert max(found, key=found.get) == "as it is" and found["as it is"] > 0.8, found
