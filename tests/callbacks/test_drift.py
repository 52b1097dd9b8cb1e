"""A sample that moves while its stack is taken: registered, moved back, told."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.analysis.registration import likeness
from redoxscope.callbacks import OxidationMap, draw_drift, oxidation_map
from redoxscope.callbacks.oxidation import OxidationSnapshot, _doubts_model, _drift
from redoxscope.callbacks.oxidation._drift import Aligned
from redoxscope.callbacks.oxidation._stored import results_of
from redoxscope.callbacks.wire import pack, unpack
from redoxscope.data import UndeterminedError, edge_energies, load_references
from redoxscope.scan import Frame, Role
from redoxscope.sim.physics.stxm import GEOMETRY, BeamlineModel, open_sample

from .scan_runs import REFERENCES, Run, i0_rate, play, region, scan_of, spectra

N, SIDE = 20, 40
ENERGIES = np.linspace(636.0, 656.0, N)


def drifting(
    amplitude: float,
    seed: int = 0,
    *,
    check: tuple[float, float] | None = None,
    dwell: float = 1e-3,
    middle: float = 20,
) -> tuple[Run, np.ndarray]:
    """A run of a particle that wanders, and where it was (px), with a dose check where it is."""
    after = () if check is None else (Frame(float(ENERGIES[5]), dwell, 0, Role.DOSE_CHECK),)
    only = region("only", (SIDE, SIDE))
    run = Run(scan_of(only, energies=ENERGIES, dwell=dwell, after=after))
    rng = np.random.default_rng(seed)
    where = np.cumsum(rng.normal(0, 0.4, (N, 2)), axis=0)
    where -= where[0]
    where *= amplitude / np.abs(where).max()
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    for k, frame in enumerate(run.scan.frames):
        dy, dx = where[k] if frame.role is Role.SAMPLE else check or (0.0, 0.0)
        r = np.hypot(y - dy - middle, 1.2 * (x - dx - 19))
        thick = 1.2 / (1 + np.exp((r - 11) / 0.9))
        share = 0.3 + 0.4 * (x - dx) / SIDE
        s = spectra([frame.energy])[:, 0]
        od = thick * (share * s[0] + (1 - share) * s[1])
        light = float(i0_rate(frame.energy)) * frame.dwell
        run.counts[k] = rng.poisson(light * np.exp(-od)).astype(float)
    return run, where


def error(snapshot) -> float:
    """Rms of the fraction against the truth on the grid of the first image."""
    r = snapshot.result
    x = np.arange(SIDE)[None, :]
    wrong = r.fraction - (0.3 + 0.4 * x / SIDE)
    return float(np.sqrt(np.mean(wrong[r.mask] ** 2)))


def test_how_long_it_takes_is_foretold_where_the_sample_reaches_the_border():
    """Images that were moved have no data there at some energies."""
    run, _ = drifting(2.5, middle=2)
    live = OxidationMap(REFERENCES, rate=1e6)
    target = {"until": {"sigma": 0.02, "share": 0.5}}
    play(live, ((name, doc | target if name == "start" else doc) for name, doc in run.documents()))
    assert live.error is None
    found = live.snapshot
    assert found.drift.undone and found.result.mask[:2].any()
    assert found.until.forecast.enough and found.until.forecast.final_share > 0.5


def test_the_map_is_that_of_a_sample_that_stood_still():
    run, where = drifting(2.5)
    still, _ = drifting(1e-9)
    live = OxidationMap(REFERENCES, rate=1e6)
    play(live, run.documents())
    assert live.error is None
    found = live.snapshot
    assert found.drift.undone
    off = found.drift.shifts + where
    off -= off.mean(axis=0)
    assert np.sqrt((off**2).mean()) < 0.06
    np.testing.assert_allclose(found.drift.movement, -found.drift.shifts * 0.1)
    (doubt,) = [d for d in found.doubts if d.kind == "drift"]
    assert doubt.value == pytest.approx(np.hypot(*where.T).max(), abs=0.3)
    assert "moved back" in doubt.text and "nm" in doubt.text
    left = oxidation_map(run.documents(), REFERENCES, drift="ignore")
    assert left.drift is None
    measured = oxidation_map(run.documents(), REFERENCES, drift="measure")
    assert not measured.drift.undone and "drift='correct'" in measured.message
    quiet = oxidation_map(still.documents(), REFERENCES)
    assert error(left) > 4 * error(found)
    assert error(found) < 1.3 * error(quiet) + 0.01
    # What some images do not cover shows nothing.
    lost = np.isnan(found.result.thickness)
    assert lost[:, 0].all() or lost[:, -1].all() or lost[0].all() or lost[-1].all()


def test_sample_that_drifts_over_the_empty_support_is_no_beam_that_changed():
    for seed in (0, 1):
        run, _ = drifting(5.0, seed, dwell=5e-3)
        assert not [
            d.text for d in oxidation_map(run.documents(), REFERENCES).doubts if d.kind == "beam"
        ]
    run.counts[9][5:7] *= 0.9  # lines of support alone, which no map speaks of
    found = oxidation_map(run.documents(), REFERENCES)
    (doubt,) = [d for d in found.doubts if d.kind == "beam"]
    assert doubt.value == 2 and f"within 1 image ({ENERGIES[9]:g} eV)" in doubt.text


def test_live_is_batch_whatever_comes_twice():
    run, _ = drifting(2.0, seed=1)
    lines = run.lines()
    live = OxidationMap(REFERENCES, rate=1e6)
    play(live, run.documents([*lines[:300], *lines[250:]]))
    batch = oxidation_map(run.documents(), REFERENCES)
    for name in ("fraction", "sigma", "thickness", "chi2"):
        a, b = getattr(live.result, name), getattr(batch.result, name)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(live.snapshot.drift.shifts, batch.drift.shifts)


def test_the_last_shifts_are_the_maps_however_little_they_changed(monkeypatch):
    """Live the images are not moved again for each small change; at the end they are."""
    monkeypatch.setattr(_drift, "BETTER", 1e3)
    run, _ = drifting(2.0, seed=1)
    live = OxidationMap(REFERENCES, rate=1e6)
    play(live, run.documents())
    batch = oxidation_map(run.documents(), REFERENCES)
    np.testing.assert_array_equal(live.snapshot.drift.shifts, batch.drift.shifts)
    np.testing.assert_allclose(live.result.fraction, batch.result.fraction, rtol=1e-9, atol=1e-9)


def test_a_dose_check_is_compared_where_the_sample_is():
    """It comes last, where the sample has gone furthest; of a gradient that looks like damage."""
    run, _ = drifting(2.5, check=(1.0, 5.0), dwell=1e-2)
    (change,) = oxidation_map(run.documents(), REFERENCES).dose
    assert not change.reason and abs(change.significance) < 3 and change.n_pixels > 100
    (left,) = oxidation_map(run.documents(), REFERENCES, drift="ignore").dose
    assert abs(left.change) > 3 * abs(change.change)
    live = OxidationMap(REFERENCES, rate=1e6)
    play(live, run.documents())
    (again,) = live.snapshot.dose
    assert again.change == pytest.approx(change.change, abs=1e-6)


def test_a_sample_that_stood_still_until_its_dose_check_is_found_there():
    run, _ = drifting(1e-9, check=(0.0, 5.0), dwell=1e-2)
    found = oxidation_map(run.documents(), REFERENCES)
    assert not found.drift.undone and abs(found.dose[0].significance) < 3
    run, _ = drifting(1e-9, check=(0.0, 0.0))
    found = oxidation_map(run.documents(), REFERENCES)
    plain = oxidation_map(run.documents(), REFERENCES, drift="ignore")
    assert found.dose == plain.dose  # nothing is moved for less than can be told


def test_a_dose_check_in_which_the_sample_is_not_found_says_nothing():
    run, _ = drifting(2.5, check=(200.0, 200.0))
    found = oxidation_map(run.documents(), REFERENCES)
    assert found.drift.undone
    assert "how far the sample has moved until then" in found.dose[0].reason
    assert "cannot be compared" in found.message


def test_noise_is_like_noise_nowhere():
    """A dose check of a sample without structure has no place: it stays where it is."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, SIDE, SIDE))
    best = max(likeness(one, other, (dy, dx)) for dy in range(-5, 6) for dx in range(-5, 6))
    assert 2 < best < 0.8 * _drift.LIKE
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = 3.0 * (np.hypot(y - 18, x - 20) < 9)
    moved_on = np.roll(disc, 3, axis=1)
    assert likeness(disc + one, moved_on + other, (0, 3)) > 2 * _drift.LIKE
    assert likeness(np.ones((SIDE, SIDE)), other, (0, 0)) == 0.0
    assert likeness(np.full((SIDE, SIDE), np.nan), other, (0, 0)) == 0.0


def test_without_drift_nothing_is_moved():
    run, _ = drifting(1e-9)
    found = oxidation_map(run.documents(), REFERENCES)
    plain = oxidation_map(run.documents(), REFERENCES, drift="ignore")
    assert not found.drift.undone
    assert not [d for d in found.doubts if d.kind == "drift"]
    np.testing.assert_array_equal(found.result.fraction, plain.result.fraction)


def test_an_aborted_run_registers_what_it_has():
    run, where = drifting(2.0, seed=2)
    lines = run.lines()[: 12 * SIDE + 25]
    found = oxidation_map(run.documents(lines), REFERENCES)
    known = np.isfinite(found.drift.shifts).all(axis=1)
    assert known.sum() == 13  # the last of them in part
    off = (found.drift.shifts + where)[known]
    assert np.abs(off - off.mean(axis=0)).max() < 0.3


def test_the_shifts_are_stored_and_sent():
    run, _ = drifting(2.0, seed=1)
    found = oxidation_map(run.documents(), REFERENCES)
    kept = {one.name: one for one in results_of(found)}
    np.testing.assert_array_equal(kept["shift_y"].array, found.drift.shifts[:, 0])
    assert kept["shift_y_sigma"].sigma_of == "shift_y" and kept["shift_x"].unit == "pixels"
    np.testing.assert_array_equal(kept["movement_x"].array, found.drift.movement[:, 1])
    again = unpack(OxidationSnapshot, *pack(found))
    np.testing.assert_array_equal(again.drift.sigma, found.drift.sigma)


def test_a_word_that_is_none_is_refused():
    with pytest.raises(ValueError, match="drift is 'yes', but must be one of correct, measure"):
        OxidationMap(drift="yes")


# -- the picture -------------------------------------------------------------------------------


def test_the_picture_shows_the_movement_with_sigma_in_pixels_and_micrometres():
    n = 12
    shifts = np.stack([0.1 * np.arange(n), -0.3 * np.arange(n)], axis=1)
    sigma = np.full((n, 2), 0.05)
    sigma[4], shifts[9:], sigma[9:] = np.inf, np.nan, np.nan  # not told; not taken yet
    followed = np.zeros((n, 2))
    followed[5:, 1] = 0.2
    drift = Aligned(shifts, sigma, followed, (0.1, 0.05), undone=True)
    figure = Figure(figsize=(8, 5))
    draw_drift(figure, SimpleNamespace(drift=drift))
    figure.savefig(io.BytesIO())
    upper, lower = figure.axes[:2]
    assert [ax.get_ylabel() for ax in (upper, lower)] == ["along x (pixels)", "along y (pixels)"]
    assert lower.get_xlabel().startswith("image")
    (right,) = upper.child_axes
    assert right.get_ylabel() == "along x (µm)"
    assert right.get_ylim()[1] == pytest.approx(0.05 * upper.get_ylim()[1])
    for ax, axis in ((upper, 1), (lower, 0)):
        (bars,) = ax.containers
        at, shown = bars.lines[0].get_data()
        assert at.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
        np.testing.assert_allclose(shown, (drift.movement[:, axis] / drift.pixel[axis])[at - 1])
        ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
        np.testing.assert_allclose(np.ptp(ends, axis=1), 0.1)
        labels = ax.get_legend_handles_labels()[1]
        assert {"sample", "as those before and after", "region, moved after it"} == set(labels)
    draw_drift(figure, SimpleNamespace(drift=None))
    assert "no images were registered" in figure.axes[0].texts[-1].get_text()


def test_a_stack_out_of_focus_that_seems_to_drift_is_left_as_it_is():
    """3 µm in 30 pixels, A1 wrong by 1 % and energies by 0.4 eV: shifts of 5 px at 20 σ."""
    energies, n, dwell = np.array(edge_energies("Mn L3")), 30, 1e-3
    model = BeamlineModel(open_sample("lmr"), a1_true=GEOMETRY.a1 / 1.01, seed=2)
    at = (np.arange(n) - (n - 1) / 2) * 0.1
    run = Run(scan_of(region("only", (n, n)), energies=energies, dwell=dwell))
    for k, e in enumerate(energies.tolist()):
        z = model.nominal_z(e)
        lines = [model.line(e + 0.4, z, at, np.full(n, y), dwell, 0.0) for y in at.tolist()]
        run.counts[k] = np.stack([line["transmission"] for line in lines])
    light = np.array([model.beam.rate(e + 0.4, 0.0) * dwell for e in energies])
    i0 = (energies, light, np.sqrt(light) / 10)
    found = oxidation_map(run.documents(), load_references("Mn L3"), i0=i0)
    assert not found.drift.undone
    (doubt,) = [d for d in found.doubts if d.kind == "drift"]
    assert "not believed" in doubt.text and doubt.value > 1
    assert len(found.spectrum.energies) == len(energies)
    assert found.result.mask.all() and (found.result.n_energies == len(energies)).all()
    (offset,) = [d for d in found.doubts if d.kind == "energy_offset"]
    assert offset.value == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("error", [UndeterminedError("not told apart"), TypeError("a slip")])
def test_a_doubt_that_cannot_be_asked_is_one_and_stops_nothing(monkeypatch, caplog, error):
    def refused(*_):
        raise error

    monkeypatch.setattr(_doubts_model, "model_error", refused)
    run, _ = drifting(1e-9)
    found = oxidation_map(run.documents(), REFERENCES)
    assert found.finished and found.result.mask.any()
    (doubt,) = [d for d in found.doubts if d.kind == "unasked"]
    assert "the references" in doubt.text and str(error) in doubt.text
    (record,) = [r for r in caplog.records if "could not be checked" in r.getMessage()]
    assert bool(record.exc_info) == isinstance(error, TypeError)


def test_the_areas_spectrum_leaves_out_lines_that_are_not_covered_and_no_energies():
    run, where = drifting(2.5)
    everywhere = np.ones((SIDE, SIDE), dtype=bool)
    found = oxidation_map(run.documents(), REFERENCES, area=everywhere)
    assert found.drift.undone and np.abs(where).max() > 2
    assert len(found.spectrum.energies) == N
    assert found.spectrum.n_pixels > 0.7 * SIDE**2
