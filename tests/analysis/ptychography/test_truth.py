"""On the simulated microscope: double exposure, photon and read noise, a beam known to a tenth."""

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from redoxscope.analysis.ptychography import (
    Engine,
    Geometry,
    initial_probe,
    merge_exposures,
    ring_correlation,
)
from redoxscope.sim import build_ptycho

ENERGY, DEFOCUS, TIMES, FLUX = 641.8, 4.0, (0.03, 0.3), 1e7
SIDE, STEP = 9, 0.04


@cache
def model():
    return build_ptycho("diffusion", size=128, seed=1)


@cache
def geometry() -> Geometry:
    camera = model().camera
    return Geometry(ENERGY, camera.distance_um, camera.pixel_um, camera.shape[0])


@cache
def measured():
    """Frames and merged counts of a jittered grid over the edge of a particle, and the places."""
    rng = np.random.default_rng(3)
    grid = (np.arange(SIDE) - (SIDE - 1) / 2) * STEP
    x, y = (v.ravel() + rng.uniform(-0.01, 0.01, SIDE**2) for v in np.meshgrid(grid, grid))
    x = x + 0.1
    camera = model().camera
    frames = model().frames(ENERGY, x, y, TIMES, FLUX, rng, DEFOCUS)
    darks = model().frames(ENERGY, np.zeros(5), np.zeros(5), TIMES, 0.0, rng, DEFOCUS)
    merged = merge_exposures(
        frames, TIMES, darks.mean(axis=0), gain=camera.gain, read_noise=camera.read_noise,
        saturation=camera.saturation, bloom=2, dark_variance=darks.var(axis=0, ddof=1).mean() / 5,
    )  # fmt: skip
    return frames, merged, x, y


def guess(defocus: float = 0.9 * DEFOCUS, zone: float = 1.05):
    zp = model().geometry
    return initial_probe(
        geometry(), outer_zone_nm=zone * zp.outer_zone_nm, defocus_um=defocus,
        stop_fraction=zp.central_stop_um / zp.diameter_um,
    )  # fmt: skip


def engine(expected: int | None = None) -> Engine:
    _, _, x, y = measured()
    return Engine(geometry(), guess(), (x.min(), x.max(), y.min(), y.max()), expected=expected)


def truth(result) -> np.ndarray:
    grid, wave = model().grid(ENERGY), model().object_at(ENERGY)
    at = np.meshgrid(
        (result.y_um - grid.y0_um) / grid.pixel_um,
        (result.x_um - grid.x0_um) / grid.pixel_um,
        indexing="ij",
    )
    real, imag = (
        map_coordinates(part, at, order=1, cval=out)
        for part, out in ((wave.real, 1.0), (wave.imag, 0.0))
    )
    return real + 1j * imag


def test_the_pixel_is_five_nanometres():
    assert geometry().object_pixel_um == pytest.approx(model().pixel_um(ENERGY), rel=1e-6)
    assert geometry().object_pixel_um == pytest.approx(0.005, rel=0.02)


def test_the_long_exposure_is_full_in_places_and_the_short_one_is_not():
    frames, merged, _, _ = measured()
    full = frames >= model().camera.saturation
    assert full[:, 1].any() and not full[:, 0].any()
    assert merged.mask.all()


def test_the_guess_of_the_beam_has_the_models_sign_of_the_defocus():
    true = model().probe(ENERGY, DEFOCUS)[0]

    def overlap(wave):
        return abs(np.vdot(wave, true)) / np.linalg.norm(wave) / np.linalg.norm(true)

    assert overlap(guess(DEFOCUS, 1.0)) > 0.99
    assert overlap(guess(-DEFOCUS, 1.0)) < 0.8
    assert overlap(guess(0.5 * DEFOCUS, 1.0)) < 0.98


def test_half_pitch_below_ten_nanometres():
    _, merged, x, y = measured()
    found = engine()
    found.add(merged.counts, x, y, mask=merged.mask, variance=merged.variance)
    for _ in range(14):
        found.sweep()
    result = found.result()
    ring = ring_correlation(
        result.object, truth(result), result.pixel_um, threshold=0.5, area=result.covered
    )
    assert ring.half_pitch_um <= 0.010


def test_a_preview_before_a_third_of_the_frames():
    """Line by line, five updates for each frame: amplitude and phase of what has been seen."""
    _, merged, x, y = measured()
    found = engine(expected=SIDE**2)
    for line in range(3):
        part = slice(line * SIDE, (line + 1) * SIDE)
        found.add(
            merged.counts[part], x[part], y[part],
            mask=merged.mask[part], variance=merged.variance[part],
        )  # fmt: skip
        found.sweep(5 * SIDE)
    assert len(found) <= SIDE**2 / 3
    result = found.result()
    true = truth(result)
    area = result.covered
    assert np.corrcoef(result.amplitude[area], np.abs(true[area]))[0, 1] > 0.9
    ring = ring_correlation(result.object, true, result.pixel_um, threshold=0.5, area=area)
    assert ring.half_pitch_um < 0.03
