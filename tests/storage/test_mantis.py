"""NXstxm files as Mantis reads them: the real program, in an environment of its own.

Mantis is GPL and no dependency. ``make oracle`` installs it and says where its Python is.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.storage.nxstxm import NxstxmRecorder

from ..callbacks.scan_runs import ENERGIES, Particle, Run, i0_rate, region, scan_of, spectra
from .test_nxstxm import spectrum_run

MANTIS = os.environ.get("REDOXSCOPE_MANTIS", "")
pytestmark = pytest.mark.skipif(
    not MANTIS, reason="Mantis is in an environment of its own: make oracle"
)

READ = """
import sys
import numpy as np
from mantis_xray.file_plugins import file_nexus_hdf5 as plugin
from mantis_xray.analysis import analyze, data_stack, data_struct
path, given, out = sys.argv[1:4]
assert plugin.identify(path), "not identified"
structure = plugin.GetFileStructure(path)
found = {"entries": np.array(list(structure))}
for i, entry in enumerate(structure):
    stack = data_stack.data(data_struct.h5())
    plugin.read(path, stack, selection=(i, 0, 0))
    found[f"data{i}"], found[f"ev{i}"] = stack.absdata, stack.ev
    found[f"x{i}"], found[f"y{i}"] = stack.x_dist, stack.y_dist
given = np.load(given)
if "i0" in given:
    stack = data_stack.data(data_struct.h5())
    plugin.read(path, stack, selection=(0, 0, 0))
    stack.data_struct.spectromicroscopy.normalization.white_spectrum = given["i0"]
    stack.evi0, stack.i0data = stack.ev, given["i0"]
    stack.i0_dwell = None
    stack.calculate_optical_density()
    fit = analyze.analyze(stack)
    fit.target_spectra, fit.n_target_spectra = given["spectra"], len(given["spectra"])
    fit.calc_svd_maps()
    found["od"], found["maps"] = stack.od3d, fit.target_svd_maps
np.savez(out, **found)
"""


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """What Mantis finds in the file of a run."""

    def with_mantis(run: Run, **given: Any) -> Any:
        documents = list(run.documents())
        recorder = NxstxmRecorder(tmp_path / "a.nxs", documents[0][1])
        for name, doc in documents:
            recorder(name, {"time": time.time(), **doc} if name == "stop" else doc)
        np.savez(tmp_path / "given.npz", **given)
        files = [str(tmp_path / name) for name in ("a.nxs", "given.npz", "found.npz")]
        done = subprocess.run(
            [MANTIS, "-c", READ, *files], capture_output=True, text=True, timeout=120,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return np.load(files[2])

    yield with_mantis


def test_arrays_and_component_maps(read: Callable[..., Any]) -> None:
    run = Run(scan_of(region("A")), (Particle(0.4),))
    i0, targets = i0_rate(ENERGIES) * 1e-3, spectra(ENERGIES)
    found = read(run, i0=i0, spectra=targets)
    counts = np.array(run.counts)
    np.testing.assert_allclose(found["data0"].transpose(2, 1, 0), counts, rtol=1e-6)  # [x, y, E]
    np.testing.assert_allclose(found["ev0"], ENERGIES, rtol=1e-6)
    (x0, x1), (y0, y1) = run.scan.regions[0].extents
    np.testing.assert_allclose(found["x0"], np.linspace(x0, x1, 30), rtol=1e-6)
    np.testing.assert_allclose(found["y0"], np.linspace(y0, y1, 24), rtol=1e-6)
    od = -np.log(counts / i0[:, None, None])
    np.testing.assert_allclose(found["od"].transpose(2, 1, 0), od, atol=1e-6)
    maps = np.linalg.lstsq(targets.T, od.reshape(len(ENERGIES), -1), rcond=None)[0]
    got = found["maps"].transpose(2, 1, 0)
    np.testing.assert_allclose(got, maps.reshape(2, *counts.shape[1:]), atol=1e-6)


def test_regions_can_be_chosen(read: Callable[..., Any]) -> None:
    run = Run(scan_of(region("left"), region("right", (8, 5))), (Particle(), Particle()))
    found = read(run)
    assert len(found["entries"]) == 2
    np.testing.assert_array_equal(found["data1"].transpose(2, 1, 0), run.counts[1::2])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Run(scan_of(region("A", (7, 5)), energies=[700.0])),
        lambda: spectrum_run(1),
        lambda: spectrum_run(9),
    ],
    ids=["image", "point", "line"],
)
def test_other_kinds_open(make: Callable[[], Run], read: Callable[..., Any]) -> None:
    run = make()
    found = read(run)
    np.testing.assert_array_equal(np.sort(found["data0"].ravel()), np.sort(np.ravel(run.counts)))
