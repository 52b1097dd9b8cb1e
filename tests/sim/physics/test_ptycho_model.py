"""What ptychography sees of a sample: refraction, probe, frames, and that they agree."""

import numpy as np
import pytest
import xraydb

from redoxscope.data import DENSITY, FORMULA, phase_absorption
from redoxscope.optics import HC_EV_NM
from redoxscope.sim.physics.ptycho import CameraModel, PtychoModel, build_ptycho
from redoxscope.sim.physics.ptycho._optical import absorption, refraction
from redoxscope.sim.physics.stxm import BeamlineModel, Particle, open_sample

ENERGY = 643.2


@pytest.fixture(scope="module")
def model():
    return build_ptycho("diffusion", size=64)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# -- refraction


def test_refraction_far_from_edges_is_the_tabulated():
    energies = np.array([500.0, 600.0, 700.0, 1000.0])
    delta = np.array([xraydb.xray_delta_beta(FORMULA, DENSITY, e)[0] for e in energies])
    tabulated = delta * 2 * np.pi * energies / HC_EV_NM * 1e3
    np.testing.assert_allclose(refraction("total", energies), tabulated, rtol=0.03)


def test_refraction_follows_absorption():
    # a line absorbs at its middle, advances the wave less below it and more above
    below, above = refraction("total", np.array([641.0, 645.5]))
    assert above - below > 1.0
    # a transform and its inverse: f2 from f1 by the same relation, within the near edge
    e = np.linspace(560, 720, 3201)
    f1 = refraction("Mn L3", e) * e
    f2 = -(2 / np.pi) * np.array(
        [np.sum(x * f1[k % 2 :: 2] / (x**2 - e[k % 2 :: 2] ** 2)) for k, x in _off(e)]
    )
    f2 *= 2 * (e[1] - e[0])
    at = [x for _, x in _off(e)]
    expected = absorption("Mn L3", np.array(at)) / 2 * at
    assert np.corrcoef(f2, expected)[0, 1] > 0.99
    assert np.polyfit(expected, f2, 1)[0] == pytest.approx(1.0, abs=0.05)


def _off(e):
    """Every other point, so that none is where the integrand is infinite."""
    return [(k + 1, e[k]) for k in range(1400, 1900, 7)]


def test_absorption_of_the_two_valences():
    total, less = (absorption(part, np.array([ENERGY]))[0] for part in ("total", "Mn L3"))
    oxidised, reduced = phase_absorption("Mn L3", ENERGY)[:, 0]
    assert less == pytest.approx(oxidised - reduced)
    assert total == pytest.approx(oxidised, rel=0.01)  # other edges differ within their own range


# -- object


def test_object_is_as_dense_as_the_sample(model):
    od = -2 * np.log(np.abs(model.object_at(ENERGY)))
    fine = model.sample.optical_density(ENERGY)
    assert od.max() == pytest.approx(fine.max(), rel=0.1)  # the finest grain is blurred
    assert od.mean() == pytest.approx(fine.mean(), rel=0.01)
    phase = np.angle(model.object_at(ENERGY))
    assert phase.min() < -0.5 and phase.max() < 1e-6  # retarded, nowhere advanced


def test_pixel_shrinks_with_energy(model):
    assert model.pixel_um(640.0) == pytest.approx(0.00504, abs=1e-5)
    assert model.pixel_um(640.0) / model.pixel_um(660.0) == pytest.approx(660 / 640)
    assert build_ptycho(size=128).pixel_um(640.0) == pytest.approx(model.pixel_um(640.0))


def test_truth_at_the_middle_particle(model):
    particle = model.sample.particles[0]
    truth = model.truth([particle.x, particle.x + particle.radius - 0.004, 0.0], [particle.y])
    assert truth.thickness[0, 0] == pytest.approx(particle.section, rel=0.3)
    core, rim = truth.fraction[0, :2]
    assert core == pytest.approx(particle.core, abs=0.05)
    assert rim == pytest.approx(particle.surface, abs=0.15)
    assert np.isnan(model.truth([5.0], [5.0]).fraction).all()


def test_the_two_samples_have_the_same_outlines():
    a, b = (open_sample(kind) for kind in ("diffusion", "core-shell"))
    np.testing.assert_array_equal(a.thickness, b.thickness)
    assert [p.radius for p in a.particles] == [p.radius for p in b.particles]
    assert sum(p.alone for p in a.particles) > 20
    assert sum(not p.alone for p in a.particles) == 2


def test_core_shell_along_a_chord():
    particle = Particle(0, 0, 0.1, 0.12, "core-shell", 0.8, 0.1, np.nan, np.nan, 0.03, True)
    b = np.array([0.0, 0.05, 0.09])
    half = np.minimum(np.sqrt(0.1**2 - b**2), 0.06)
    z = (np.arange(100000) + 0.5) / 100000
    expected = [
        2 * h * np.where(np.hypot(z * h, r) < 0.07, 0.1, 0.8).mean()
        for h, r in zip(half, b, strict=True)
    ]
    np.testing.assert_allclose(particle.reduced()(b**2, -half, half), expected, rtol=1e-3)


# -- probe and frames


@pytest.mark.parametrize("defocus", [0.0, 2.0])
def test_photons_are_kept(model, defocus):
    assert np.sum(np.abs(model.probe(ENERGY, defocus)) ** 2) == pytest.approx(1, rel=1e-5)
    # on bare membrane every photon arrives, within the cone of the zone plate
    share = model.intensity(ENERGY, 50.0, 0.0, defocus)
    assert share.sum() == pytest.approx(1, rel=1e-4)
    y, x = np.indices(share.shape) - 32
    focal = model.geometry.a1 * ENERGY
    cone = model.geometry.diameter_um / 2 / focal * model.camera.distance_um
    beside = np.hypot(x, y) * model.camera.pixel_um > cone + 2 * model.camera.pixel_um
    assert share[beside].sum() < 1e-5
    assert share[32, 32] < 1e-5  # the central stop


def test_sample_transmits_what_stxm_sees(model):
    x, y = np.array([-0.05, 0.02, 0.12]), np.array([-0.13, -0.01])
    seen = [[model.intensity(ENERGY, a, b, 1.5).sum() for a in x] for b in y]
    np.testing.assert_allclose(model.stxm(ENERGY, x, y, 1.5), seen, rtol=2e-3)


def test_stxm_of_both_models_agree(model):
    x = np.linspace(-0.3, 0.3, 13)
    wave = model.stxm(ENERGY, x, [0.0])
    gauss = BeamlineModel(model.sample).expected_transmission([ENERGY], x, [0.0])[0]
    assert np.corrcoef(wave[0], gauss[0])[0, 1] > 0.99


def test_defocus_moves_the_focus_downstream():
    """A zone plate moved downstream takes its focus along: the wave on the sample converges."""
    model = build_ptycho("diffusion", size=128, seed=1)
    wavelength = HC_EV_NM / ENERGY * 1e-3
    freq = np.fft.fftfreq(128, model.pixel_um(ENERGY))
    q2 = freq[:, None] ** 2 + freq[None, :] ** 2

    def sharpness(distance):
        spectrum = np.fft.fft2(model.probe(ENERGY, 5.0)[0])
        field = np.fft.ifft2(spectrum * np.exp(-1j * np.pi * wavelength * distance * q2))
        return (np.abs(field) ** 2).max()

    assert sharpness(5.0) > 2 * sharpness(0.0) > 2 * sharpness(-5.0)


def test_a_frame_is_not_mirrored(model):
    """Material at one side only refracts to one side: x with x, y with y."""
    particle = model.sample.particles[0]
    energy = 600.0  # refraction without much absorption
    away = particle.radius * 0.8

    def tilt(dx, dy):
        share = model.intensity(energy, particle.x + dx, particle.y + dy)
        y, x = np.indices(share.shape) - 32
        return np.array([(share * x).sum(), (share * y).sum()]) / share.sum()

    right, left, up = tilt(away, 0), tilt(-away, 0), tilt(0, away)
    # a slope of the phase that rises to the right, as at the right rim, goes to larger qx
    assert right[0] > 0.2 and left[0] < -0.2 and up[1] > 0.2
    assert abs(right[1]) < 0.1 and abs(up[0]) < 0.1


def test_position_counts_less_than_a_pixel(model):
    particle = model.sample.particles[0]
    a = model.intensity(ENERGY, particle.x + 0.1, 0.0)
    moved = PtychoModel(_moved(model.sample, 0.0012), camera=model.camera)
    b = moved.intensity(ENERGY, particle.x + 0.1012, 0.0)
    c = model.intensity(ENERGY, particle.x + 0.1012, 0.0)
    same, other = np.abs(a - b).sum(), np.abs(a - c).sum()
    assert same < 0.5 * other


def _moved(sample, by):
    from dataclasses import replace

    return replace(sample, x0_um=sample.x0_um + by)


def test_counts_have_their_mean_and_variance(model, rng):
    flux, time = 2e6, 0.05
    camera = model.camera
    x = np.full(200, 50.0)
    frames = model.frames(ENERGY, x, x, time, flux, rng)[:, 0].astype(float)
    photons = model.intensity(ENERGY, 50.0, 50.0) * flux * time
    offset = camera.pedestal + camera.dark_rate * time
    mean = frames.mean(axis=0) - offset
    variance = camera.gain**2 * photons + camera.read_noise**2
    pull = (mean - camera.gain * photons) / np.sqrt(variance / len(frames))
    assert abs(pull.mean()) < 0.1 and 0.9 < pull.std() < 1.1
    ratio = frames.var(axis=0).sum() / variance.sum()
    assert ratio == pytest.approx(1, abs=0.03)


def test_exposures_of_a_place_follow_each_other(model, rng):
    frames = model.frames(ENERGY, [50.0, 0.0], [0.0, 0.0], (0.01, 0.1), 1e6, rng)
    assert frames.shape == (2, 2, 64, 64) and frames.dtype == np.uint16
    light = frames.astype(float) - model.camera.pedestal
    short, long = light.sum(axis=(2, 3)).T
    np.testing.assert_allclose(long / short, 10, rtol=0.15)


def test_closed_shutter_is_dark(model, rng):
    dark = model.frame(ENERGY, 0.0, 0.0, 1.0, 0.0, rng).astype(float)
    assert dark.mean() == pytest.approx(220, abs=0.3)
    assert dark.std() == pytest.approx(3, rel=0.05)


def test_saturation_and_bloom(rng):
    camera = CameraModel(shape=(16, 16), dark_rate=0.0)
    photons = np.zeros((16, 16), np.float32)
    photons[8, 5] = 20_000.0  # 200 000 counts: three pixels full, and the rest up and down
    frame = camera.expose(photons, 1.0, rng).astype(float)
    column = frame[:, 5]
    assert (column[7:10] == 60_000).all()  # whatever the read noise
    assert np.abs(column[[5, 11]] - 200).max() < 20
    assert (column[6], column[10]) == pytest.approx((8_700, 8_700), rel=0.2)
    assert np.abs(np.delete(frame, 5, axis=1) - 200).max() < 20


def test_beam_stop(rng):
    stop = CameraModel(shape=(64, 64), stop_um=4000.0, stop_transmission=0.1, pixel_um=480.0)
    model = PtychoModel(open_sample("diffusion"), camera=stop)
    assert model.intensity(ENERGY, 50.0, 0.0).sum() == pytest.approx(0.1, rel=0.01)


def test_a_source_takes_coherence():
    sample = open_sample("diffusion")
    camera = CameraModel().binned(4)
    point, broad = (PtychoModel(sample, camera=camera, source_um=(s, 0.0)) for s in (0.0, 0.008))
    assert point.probe(ENERGY).shape[0] == 1 and broad.probe(ENERGY).shape[0] == 2
    weights = np.sum(np.abs(broad.probe(ENERGY)) ** 2, axis=(1, 2))
    assert 0.03 < weights[1] < 0.2


# -- refusals


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, r: m.frames(np.nan, 0, 0, 0.1, 1e6, r), "energy = nan eV"),
        (lambda m, r: m.frames(300, 0, 0, 0.1, 1e6, r), "energy = 300 eV"),
        (lambda m, r: m.frames(640, np.nan, 0, 0.1, 1e6, r), "position x = nan µm"),
        (lambda m, r: m.frames(640, 0, 0, (0.1, 0.0), 1e6, r), "exposure time = 0 s"),
        (lambda m, r: m.frames(640, 0, 0, 0.1, -1, r), "flux = -1 photons/s"),
        (lambda m, r: m.frames(640, 0, 0, 0.1, 1e6, r, 40.0), "defocus = 40 µm makes the probe"),
        (lambda m, r: build_ptycho(size=100), "camera size = 100"),
        (lambda m, r: build_ptycho("nothing"), "neither a simulated sample"),
        (lambda m, r: CameraModel(shape=(64, 32)), "camera.shape"),
        (lambda m, r: CameraModel(saturation=100.0), "camera.saturation = 100 counts"),
        (lambda m, r: PtychoModel(m.sample, source_um=(np.nan, 0)), "source_x = nan µm"),
        (lambda m, r: open_sample("diffusion", field_um=12.0), "field = 12 µm"),
    ],
)  # fmt: skip
def test_refused(model, rng, call, match):
    with pytest.raises(ValueError, match=match):
        call(model, rng)
