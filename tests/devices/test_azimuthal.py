"""Images as I(q): needs pyFAI, which the package does without."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from bluesky import plans as bp

from redoxscope.devices import AzimuthalProfile, DeviceError
from redoxscope.testing import FakePoint, make_engine

WITH = pytest.mark.skipif(
    importlib.util.find_spec("pyFAI") is None, reason="pyFAI is not installed (extra diffraction)"
)
WAVELENGTH, DISTANCE, PIXEL, SIZE = 1e-10, 0.1, 2e-4, 200
PONI = f"""\
poni_version: 2.1
Detector: Detector
Detector_config: {{"pixel1": {PIXEL}, "pixel2": {PIXEL}, "max_shape": [{SIZE}, {SIZE}]}}
Distance: {DISTANCE}
Poni1: {PIXEL * SIZE / 2}
Poni2: {PIXEL * SIZE / 2}
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: {WAVELENGTH}
"""


@pytest.fixture
def poni(tmp_path):
    path = tmp_path / "geometry.poni"
    path.write_text(PONI, encoding="utf-8")
    return path


def ring(radius=50.0):
    """A thin ring of this radius (pixels) around the beam."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    return 10 + 1000.0 * (abs(np.hypot(x, y) - radius) < 1)


@WITH
def test_a_ring_is_where_its_scattering_vector_says(poni):
    profile = AzimuthalProfile(FakePoint("camera"), ring, poni, name="xrd", bins=500, q_max=20.0)
    engine, documents = make_engine()
    engine(bp.count([profile]))
    documents.validate()
    [row] = documents.rows().values()
    intensity, sigma = np.array(row["xrd_intensity"]), np.array(row["xrd_sigma"])
    theta = np.arctan(50 * PIXEL / DISTANCE) / 2
    wanted = 4 * np.pi * np.sin(theta) / WAVELENGTH * 1e-9
    assert profile.q[np.nanargmax(intensity)] == pytest.approx(wanted, abs=0.1)
    assert np.nanmedian(intensity) == pytest.approx(10, rel=0.05)
    there = np.isfinite(intensity) & (intensity > 0)
    assert (sigma[there] < intensity[there]).all() and (sigma[there] > 0).all()
    assert np.isnan(intensity[-1])  # beyond the image's corner nothing is measured, not zero
    descriptor = next(doc for name, doc in documents.all if name == "descriptor")
    known = descriptor["configuration"]["xrd"]["data"]
    assert known["xrd_q"] == profile.q.tolist() and "Wavelength" in known["xrd_poni"]


@WITH
@pytest.mark.parametrize(
    "image, says",
    [
        (lambda: np.zeros(5), "rows and columns are needed"),
        (lambda: np.zeros((3, 4)), r"\(3, 4\) pixels, the mask \(200, 200\)"),
        (lambda: 1 / 0, "division by zero"),
    ],
    ids=["one-dimension", "mask", "fails"],
)
def test_an_image_that_is_none_fails_the_point(poni, image, says):
    mask = np.zeros((SIZE, SIZE))
    profile = AzimuthalProfile(FakePoint("camera"), image, poni, name="xrd", mask=mask)
    status = profile.trigger()
    with pytest.raises(DeviceError, match=says):
        status.wait(60)
    with pytest.raises(DeviceError, match="no image was integrated"):
        profile.read()


@WITH
@pytest.mark.parametrize(
    "change, options, says",
    [
        (("Wavelength", "Nothing"), {}, "it has no wavelength"),
        (None, {"bins": 0}, "bins = 0 must be a whole number >= 1"),
        (None, {"q_max": -1}, "q_max = -1 1/nm must be greater than 0 1/nm"),
    ],
    ids=["wavelength", "bins", "q"],
)
def test_what_makes_no_sense_is_refused(poni, change, options, says):
    if change:
        poni.write_text(PONI.replace(*change), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        AzimuthalProfile(FakePoint("camera"), ring, poni, name="xrd", **options)


@WITH
def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.poni"):
        AzimuthalProfile(FakePoint("camera"), ring, tmp_path / "none.poni", name="xrd")


def test_without_pyfai_it_says_what_to_install(poni, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyFAI", None)
    with pytest.raises(ImportError, match=r"pip install 'redoxscope\[diffraction\]'"):
        AzimuthalProfile(FakePoint("camera"), ring, poni, name="xrd")
