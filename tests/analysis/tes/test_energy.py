"""Energies from a calibration that is there."""

import json
import math

import numpy as np
import pytest

from redoxscope.analysis.tes import Calibration, LineFit, PixelCalibration

GAIN = (0.08, 1e-6, -3e-12, 1e-16)


def pixel(channel, ok=True, fwhm=1.4, **kw):
    return PixelCalibration(
        channel, ok, "", GAIN, 5e-5, 4000.0 + channel, elastic_fwhm_ev=fwhm, **kw
    )


@pytest.fixture
def calibration():
    return Calibration(
        (pixel(1), pixel(3, ok=False), pixel(12043, fwhm=1.1), PixelCalibration(7, False, "dead"))
    )


def test_energies_are_those_of_each_pixel(calibration):
    rng = np.random.default_rng(1)
    n = 70_000  # more than one piece
    channel = rng.choice([1, 12043], n).astype(np.uint16)
    f = rng.uniform(2000, 12000, n).astype(np.float32)
    p = rng.normal(5000, 30, n).astype(np.float32)
    energy = calibration.energy(channel, f, p)
    assert energy.dtype == np.float32
    for c in (1, 12043):
        mine = channel == c
        expected = calibration[c].energy(f[mine], p[mine])
        np.testing.assert_allclose(energy[mine], expected, rtol=3e-6)


def test_pixels_that_are_not_usable_or_not_known_have_no_energy(calibration):
    channel = np.array([3, 7, 2, 60000, 1], np.uint16)
    energy = calibration.energy(channel, np.full(5, 5000.0), np.full(5, 4000.0))
    assert np.isnan(energy[:4]).all()
    assert np.isfinite(energy[4])


def test_an_empty_calibration_knows_no_energy():
    assert np.isnan(Calibration(()).energy([1, 0], [1.0, 2.0], [1.0, 1.0])).all()


def test_no_photons(calibration):
    assert len(calibration.energy([], [], [])) == 0


def test_into_given_space(calibration):
    out = np.empty(2, np.float32)
    assert calibration.energy([1, 1], [1e3, 2e3], [4e3, 4e3], out=out) is out
    with pytest.raises(ValueError, match="out is float64"):
        calibration.energy([1], [1e3], [4e3], out=np.empty(1))


def test_columns_must_fit(calibration):
    with pytest.raises(ValueError, match=r"columns differ: pixel \(2,\), filtered \(1,\)"):
        calibration.energy([1, 1], [1e3], [4e3])


def test_usable_and_best(calibration):
    assert calibration.usable.tolist() == [1, 12043]
    assert calibration.best(1).tolist() == [12043]
    assert calibration.best(64).tolist() == [1, 12043]


def test_best_puts_unknown_widths_last():
    c = Calibration((pixel(1, fwhm=math.nan), pixel(2, fwhm=5.0)))
    assert c.best(1).tolist() == [2]


def test_only_some_channels(calibration):
    assert calibration.of([1]).usable.tolist() == [1]
    assert calibration.of([1])[12043].reason == "not asked for"
    assert calibration.of([3]).usable.tolist() == []


def test_survives_json(calibration):
    line = LineFit("O K", 524.9, 6000.0, math.nan, 100.0, left_out=True)
    c = Calibration(
        (pixel(1, lines=(line,), mended=True), PixelCalibration(2, False, "dead")),
        line_table="abc", line_table_version="1", method="m", line_shifts={"O K": 0.2},
    )  # fmt: skip
    text = json.dumps(c.to_dict(), allow_nan=False)
    again = Calibration.from_dict(json.loads(text))
    assert again.to_dict() == c.to_dict()
    assert again.uid == c.uid
    assert again[1].gain == GAIN
    assert math.isnan(again[2].gain[0])
    assert math.isnan(again[1].lines[0].residual_ev)


@pytest.mark.parametrize("raw", [{}, {"pixels": [{}]}, {"pixels": [], "colour": "red"}])
def test_no_calibration(raw):
    with pytest.raises(ValueError, match="this is no calibration"):
        Calibration.from_dict(raw)
