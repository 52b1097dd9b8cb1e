"""Object and probe from frames as they come."""

import numpy as np
import pytest

from redoxscope.analysis.ptychography import (
    Engine,
    halves,
    initial_probe,
    remove_gauge,
    ring_correlation,
)

from .toy import geometry, toy, truth_on


@pytest.fixture(scope="module")
def experiment():
    return toy(size=64, side=8, photons=1e5)


@pytest.fixture(scope="module")
def guess(experiment):
    """What is known of the beam before: a tenth off."""
    return initial_probe(experiment.geometry, outer_zone_nm=25, stop_fraction=0.4, defocus_um=2.7)


def half_pitch_nm(experiment, result) -> float:
    found = ring_correlation(
        result.object, truth_on(experiment, result), result.pixel_um, threshold=0.5,
        area=result.covered,
    )  # fmt: skip
    return 1e3 * found.half_pitch_um


def agreement(experiment, result) -> float:
    """Mean correlation with the truth, of periods down to four pixels."""
    found = ring_correlation(
        result.object, truth_on(experiment, result), result.pixel_um, area=result.covered
    )
    return float(found.value[found.frequency < 1 / (4 * result.pixel_um)].mean())


def test_it_finds_the_object_and_the_beam(experiment, guess):
    engine = Engine(experiment.geometry, guess, experiment.field, alpha=1.0)
    assert engine.add(experiment.photons(), experiment.x, experiment.y) == 64
    for _ in range(12):
        engine.sweep()
    result = engine.result()
    assert half_pitch_nm(experiment, result) < 11  # two pixels are 10
    assert 0.8 < result.residual < 1.5
    overlap = abs(np.vdot(result.probe[0], experiment.probe))
    overlap /= np.linalg.norm(result.probe) * np.linalg.norm(experiment.probe)
    before = abs(np.vdot(guess, experiment.probe))
    before /= np.linalg.norm(guess) * np.linalg.norm(experiment.probe)
    assert overlap > 0.99 > before
    assert (np.abs(result.probe) ** 2).sum() == pytest.approx(1e5, rel=0.1)


def test_a_third_of_the_frames_show_it(experiment, guess):
    """Recognised: the picture of the area seen is that of the object, as well as σ lets it be."""
    engine = Engine(experiment.geometry, guess, experiment.field, expected=64)
    frames = experiment.photons()
    for first in range(0, 24, 8):
        part = slice(first, first + 8)
        engine.add(frames[part], experiment.x[part], experiment.y[part])
        engine.sweep(5 * 8)
    assert len(engine) == 24 and not engine.probe_held
    result = engine.result()
    truth = truth_on(experiment, result)
    area = result.covered
    like = np.corrcoef(result.amplitude[area], np.abs(truth[area]))[0, 1]
    assert like > 0.9


def test_frames_that_come_in_blocks_give_what_all_at_once_give(experiment, guess):
    frames = experiment.photons()
    live = Engine(experiment.geometry, guess, experiment.field, alpha=1.0)
    for first in range(0, 64, 16):
        part = slice(first, first + 16)
        live.add(frames[part], experiment.x[part], experiment.y[part])
        live.sweep(48)
    batch = Engine(experiment.geometry, guess, experiment.field, alpha=1.0)
    batch.add(frames, experiment.x, experiment.y)
    for engine in (live, batch):
        engine.sweep(12 * 64 - engine.updates)
    live_one, batch_one = (agreement(experiment, e.result()) for e in (live, batch))
    assert batch_one > 0.8
    assert live_one == pytest.approx(batch_one, rel=0.05)


def test_gaps_and_bad_frames_are_left_out_and_said(experiment, guess):
    frames = experiment.photons()
    x, y = experiment.x.copy(), experiment.y.copy()
    frames[3] = np.nan
    x[5] = np.nan
    y[7] = 50.0
    frames[9] = 0
    frames[11:14, 20:24, :] = np.nan  # a part of a frame is no reason
    scale = np.ones(64)
    scale[15] = np.nan
    engine = Engine(experiment.geometry, guess, experiment.field, alpha=1.0)
    assert engine.add(frames, x, y, scale=scale) == 59
    for _ in range(10):
        engine.sweep()
    result = engine.result()
    assert result.frames == 59 and result.skipped == 5
    assert np.isfinite(result.object).all() and np.isfinite(result.probe).all()
    assert half_pitch_nm(experiment, result) < 12
    assert set(result.notes) == {
        "1 frames left out: no place",
        "1 frames left out: place outside of the field",
        "1 frames left out: incident photons not known",
        "1 frames left out: no light",
        "1 frames left out: too few good pixels",
    }


def test_more_light_in_a_frame_is_no_structure(experiment, guess):
    """Frames of half the light are those of the same object, if that is said."""
    rng = np.random.default_rng(3)
    scale = rng.uniform(0.5, 1.5, 64)
    frames = rng.poisson(experiment.frames * scale[:, None, None]).astype(np.float32)
    said, unsaid = (
        Engine(experiment.geometry, guess, experiment.field, alpha=1.0) for _ in range(2)
    )
    said.add(frames, experiment.x, experiment.y, scale=scale)
    unsaid.add(frames, experiment.x, experiment.y)
    for engine in (said, unsaid):
        for _ in range(5):
            engine.sweep()
    assert said.residual < 2
    assert unsaid.residual > 2 * said.residual


def test_parts_of_a_pixel_are_worth_it():
    """With large pixels, places to a quarter of one fit better than places to a whole one."""
    t = toy(size=64, side=6, photons=1e6)
    found = []
    for parts in (1, 4):
        engine = Engine(t.geometry, t.probe, t.field, alpha=1.0, subpixel=parts, probe_step=0)
        engine.add(t.photons(), t.x, t.y)
        for _ in range(8):
            engine.sweep()
        found.append(engine.residual)
    assert found[1] < 0.9 * found[0]


def test_the_gauge_is_fixed_on_the_empty_part(experiment, guess):
    engine = Engine(experiment.geometry, 1.1 * guess, experiment.field, alpha=1.0)
    engine.add(experiment.photons(), experiment.x, experiment.y)
    for _ in range(8):
        engine.sweep()
    result = engine.result()
    rows, columns = np.mgrid[: result.object.shape[0], : result.object.shape[1]]
    ramp = np.exp(1j * (0.01 * rows - 0.02 * columns + 0.5))
    size = result.probe.shape[-1]
    inside = np.arange(size) - size // 2
    back = np.exp(-1j * (0.01 * inside[:, None] - 0.02 * inside[None, :]))
    from dataclasses import replace

    turned = replace(
        result, object=1.2 * result.object * ramp, probe=result.probe * back / 1.2,
        coverage=result.coverage / 1.44,
    )  # fmt: skip
    truth = truth_on(experiment, result)
    blank = np.abs(truth) > 0.999
    one, two = (remove_gauge(r, blank) for r in (result, turned))
    np.testing.assert_allclose(one.object[one.covered], two.object[one.covered], rtol=1e-3)
    assert np.abs(one.object[one.covered & blank]).mean() == pytest.approx(1, abs=1e-4)
    area = one.covered & ~blank
    # what one frame of the two sees is the same still
    window = (slice(40, 40 + size), slice(40, 40 + size))
    before, after = (np.abs(np.fft.fft2(r.probe[0] * r.object[window])) for r in (turned, two))
    np.testing.assert_allclose(after, before, atol=2e-4 * before.max())
    assert np.corrcoef(np.abs(one.object[area]), np.abs(truth[area]))[0, 1] > 0.9
    with pytest.raises(ValueError, match="fewer than 16 pixels"):
        remove_gauge(result, np.zeros(result.object.shape, dtype=bool))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe": np.ones((8, 8))}, r"of shape \(16, 16\)"),
        ({"probe": np.zeros((16, 16))}, "probe has no light"),
        ({"field": (1.0, 0.0, 0.0, 1.0)}, "field = "),
        ({"field": (0.0, 1e4, 0.0, 1e4)}, "more than 67108864"),
        ({"alpha": 0}, "alpha = 0 must be greater than 0"),
        ({"alpha": True}, "alpha = True must be one number"),
        ({"subpixel": 2.5}, "subpixel = 2.5"),
        ({"expected": 0}, "expected = 0"),
        ({"read_noise": -1}, "read_noise = -1 photons"),
        ({"xp": "jax"}, "array module = 'jax'"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_bad_input_is_named(changes, message):
    options = {"probe": np.ones((16, 16)), "field": (0.0, 0.1, 0.0, 0.1)} | changes
    with pytest.raises(ValueError, match=message):
        Engine(geometry(16), **options)


def test_frames_of_another_shape_are_named():
    engine = Engine(geometry(16), np.ones((16, 16)), (0.0, 0.1, 0.0, 0.1))
    with pytest.raises(ValueError, match=r"are not those of the geometry, \(n, 16, 16\)"):
        engine.add(np.ones((2, 16, 8)), 0, 0)
    with pytest.raises(ValueError, match="mask of shape"):
        engine.add(np.ones((2, 16, 16)), 0, 0, mask=np.ones((8, 8), bool))
    assert np.isnan(engine.sweep(3)) and np.isnan(engine.result().residual)
    assert not engine.result().covered.any()


def test_hardly_any_light_is_no_residual():
    """A photon here and there: nothing to judge by, and nothing that warns or breaks."""
    frame = np.zeros((16, 16))
    frame[3, 3] = 1
    point = np.zeros((16, 16))
    point[8, 8] = 1  # its light goes everywhere
    engine = Engine(geometry(16), point, (0.0, 0.1, 0.0, 0.1))
    assert engine.add(frame, 0.0, 0.0) == 1
    assert np.isnan(engine.sweep(9)) and np.isnan(engine.residual)
    assert np.isfinite(engine.object).all()
    one, two = halves(engine)
    assert (len(one), len(two)) == (1, 0) and np.isnan(two.sweep())


def test_a_field_has_room_for_all_its_frames():
    """Places at the field's edges, and a stage that is off by a tenth of a micrometre."""
    engine = Engine(geometry(16), np.ones((16, 16)), (-0.3, 0.2, 0.1, 0.7), subpixel=4)
    for x in (-0.3, 0.2):
        for y in (0.1, 0.7):
            for off in (-0.0999, 0, 0.0999):
                assert engine.add(np.ones((16, 16)), x + off, y + off) == 1
    engine.sweep()
    assert engine.add(np.ones((16, 16)), -0.5, 0.1) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outer_zone_nm": 5}, "beyond the .* that a frame reaches"),
        ({"outer_zone_nm": 0}, "outer_zone_nm = 0 nm must be greater"),
        ({"defocus_um": 40}, "makes the beam .* wide"),
        ({"stop_fraction": 1}, "stop_fraction = 1 must be below 1"),
        ({"pattern": np.zeros((64, 64))}, "pattern has no light"),
        ({"pattern": np.zeros((32, 64))}, "pattern of shape"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_a_beam_that_cannot_be_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        initial_probe(geometry(64), **({"outer_zone_nm": 25} | changes))


def test_the_first_frames_improve_the_guess(experiment, guess):
    """The mean pattern gives the pupil as it is."""
    better = initial_probe(
        experiment.geometry, outer_zone_nm=25 * 1.1, stop_fraction=0.3, defocus_um=3,
        pattern=experiment.photons()[:10].mean(axis=0),
    )  # fmt: skip
    worse = initial_probe(
        experiment.geometry, outer_zone_nm=25 * 1.1, stop_fraction=0.3, defocus_um=3
    )

    def overlap(p):
        true = experiment.probe
        return abs(np.vdot(p, true)) / np.linalg.norm(p) / np.linalg.norm(true)

    assert overlap(better) > overlap(worse)


def test_a_pixel_whose_variance_is_not_known_is_no_good(experiment, guess):
    """One NaN in a frame's variance would be in all of the object after some updates."""
    frames = experiment.photons()[:20]
    variance = np.maximum(frames, 1)
    variance[3, 30, 31], variance[4, 30, 31] = np.nan, np.inf
    engine = Engine(experiment.geometry, guess, experiment.field)
    assert engine.add(frames, experiment.x[:20], experiment.y[:20], variance=variance) == 20
    engine.sweep()
    result = engine.result()
    assert np.isfinite(result.object).all() and np.isfinite(result.probe).all()
    assert np.isfinite(result.residual)


def test_the_beam_is_moved_less_where_the_object_is_above_one(experiment, guess, monkeypatch):
    """As it is where the first frames, that give the beam its scale, were dim."""
    steps = []
    for level in (1.0, 2.0):
        engine = Engine(experiment.geometry, guess, experiment.field, expected=1)
        engine.add(experiment.photons()[:1], experiment.x[:1], experiment.y[:1])
        engine._object[...] = level
        monkeypatch.setattr(engine._bank, "due", lambda: True)
        monkeypatch.setattr(engine._bank, "update", steps.append)
        engine.sweep(1)
    usual, above = steps
    assert usual == pytest.approx(1.0, abs=0.2) and above < 0.7


def test_coverage_is_the_beam_laid_on_each_place(experiment, guess):
    engine = Engine(experiment.geometry, guess, experiment.field)
    assert not engine.coverage().any()
    engine.add(experiment.photons()[:9], experiment.x[:9], experiment.y[:9])
    light = (np.abs(engine.probe) ** 2).sum(axis=0)
    want = np.zeros(engine.object.shape)
    for row, column, _ in engine._places:
        want[row : row + 64, column : column + 64] += light
    found = engine.coverage()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-9 * want.max())
    assert not found[want == 0].any()
