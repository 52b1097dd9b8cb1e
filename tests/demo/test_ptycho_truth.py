"""From frames of the simulated microscope to D: every step is that of a run, the truth is known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from redoxscope.analysis.ptychography import Engine, Geometry, initial_probe, merge_exposures
from redoxscope.callbacks.ptychography._map import map_of
from redoxscope.callbacks.ptychography._profiles import profiles_of
from redoxscope.data import load_references
from redoxscope.demo._ptycho_found import map_against, profile_against, seen_share
from redoxscope.sim import build_ptycho

ENERGIES = (636.0, 641.8, 643.2)
SIDE, STEP, TIMES, FLUX, DEFOCUS = 10, 0.04, (0.03, 0.3), 1e7, 4.0
RESOLUTION = 0.01
AGE = 100 * 3600.0


@cache
def found(sample):
    """Map against the truth, profiles of the particle in the middle, the model."""
    model = build_ptycho(sample, size=128, seed=1)
    camera, plate, particle = model.camera, model.geometry, model.sample.particles[0]
    rng = np.random.default_rng(3)
    grid = (np.arange(SIDE) - (SIDE - 1) / 2) * STEP
    images = []
    for energy in ENERGIES:
        x, y = (v.ravel() + rng.uniform(-0.01, 0.01, SIDE**2) for v in np.meshgrid(grid, grid))
        x, y = x + particle.x, y + particle.y
        frames = model.frames(energy, x, y, TIMES, FLUX, rng, DEFOCUS)
        darks = model.frames(energy, np.zeros(5), np.zeros(5), TIMES, 0.0, rng, DEFOCUS)
        merged = merge_exposures(
            frames, TIMES, darks.mean(axis=0), gain=camera.gain, read_noise=camera.read_noise,
            saturation=camera.saturation, dark_variance=darks.var(axis=0, ddof=1).mean() / 5,
        )  # fmt: skip
        geometry = Geometry(energy, camera.distance_um, camera.pixel_um, 128)
        probe = initial_probe(  # off by a tenth and by a twentieth
            geometry, outer_zone_nm=1.05 * plate.outer_zone_nm, defocus_um=0.9 * DEFOCUS,
            stop_fraction=plate.central_stop_um / plate.diameter_um,
        )  # fmt: skip
        engine = Engine(geometry, probe, (x.min(), x.max(), y.min(), y.max()))
        engine.add(merged.counts, x, y, mask=merged.mask, variance=merged.variance)
        for _ in range(12):
            engine.sweep()
        images.append(engine.result())
    made = map_of(images, load_references("Mn L3"))
    against = map_against(made.x, made.y, made.result, model, align=True)
    profiles = profiles_of(
        1 - made.result.fraction, made.result.sigma, made.result.thickness, made.x, made.y,
        time=AGE, resolution=RESOLUTION, section=particle.section,
    )  # fmt: skip
    return against, profiles, particle


@pytest.mark.parametrize("sample", ["diffusion", "core-shell"])
def test_the_map_is_off_by_its_sigma(sample):
    against, _, _ = found(sample)
    told = against.summary()
    assert told["pixels"] > 2000 and 0.75 < told["pull_std"] < 1.4
    assert abs(told["bias"]) < 0.02


@pytest.mark.parametrize("sample", ["diffusion", "core-shell"])
def test_a_profile_is_off_by_its_sigma(sample):
    """Behind the blur at the edge: there the outline cuts what the blur has spread."""
    against, profiles, _ = found(sample)
    (one,) = profiles.fits.particles
    true = seen_share(
        against.true_share, against.true_thickness, RESOLUTION, against.pixel_um
    )  # fmt: skip
    compared = profile_against(one, true)
    inside = one.profile.distance > 2 * RESOLUTION
    assert inside.sum() > 15
    pulls = compared.pulls[inside]
    assert np.sqrt(np.mean(pulls**2)) < 2.0
    assert np.abs(one.profile.mean - compared.true_mean)[inside].max() < 0.06


def test_d_is_found_and_diffusion_preferred():
    _, profiles, particle = found("diffusion")
    fits = profiles.fits
    assert not fits.refused and fits.preferred == "diffusion" and fits.delta_aic > 20
    assert 1e4 * fits.d == pytest.approx(particle.diffusivity, rel=0.2)
    low, high = fits.interval
    assert low < particle.diffusivity / 1e4 < high


def test_a_core_and_a_shell_are_told_from_it():
    _, profiles, particle = found("core-shell")
    fits = profiles.fits
    (one,) = fits.particles
    assert fits.preferred == "core-shell" and fits.delta_aic < -20
    assert np.isnan(fits.d) and "a core with a shell describes it better" in fits.refused
    assert one.core_shell.length == pytest.approx(particle.shell, abs=0.004)
