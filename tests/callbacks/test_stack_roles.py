"""Images of the empty beam, of the dark, and dose checks: used, said, and never in the fit."""

from __future__ import annotations

import logging
from enum import StrEnum

import numpy as np
import pytest
from matplotlib.figure import Figure

from redoxscope.callbacks import (
    OxidationMap,
    draw_oxidation,
    i0_of_run,
    oxidation_map,
    oxidation_maps,
)
from redoxscope.scan import Frame, Role, Scan

from .scan_runs import (
    DARK,
    EMPTY,
    ENERGIES,
    MONITOR,
    REFERENCES,
    Particle,
    Run,
    i0_rate,
    play,
    region,
    scan_of,
)
from .test_regions import same

FILLED = Particle(radius=2.0)
"""Sample everywhere: no blank area."""


def of_role(role: Role, energies=ENERGIES, dwell=2e-3, where=0) -> list[Frame]:
    return [Frame(float(e), dwell, where, role) for e in energies]


def with_empty_beam(frames=None, sample=FILLED, **options) -> Run:
    """A region full of sample, and one without."""
    sample_frames = scan_of(region("A")).frames
    empty = of_role(Role.I0, where=1) if frames is None else frames
    scan = Scan(
        regions=(region("A"), region("empty", (10, 8), (20.0, 7.0))),
        frames=(*sample_frames[:6], *empty, *sample_frames[6:]),
    )
    return Run(scan, (sample, EMPTY), **options)


# -- I0 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitored", [False, True])
def test_images_of_the_empty_beam_give_i0_with_their_own_sigma(monitored):
    run = with_empty_beam(monitored=monitored, dead_time=2e-8)
    live = OxidationMap(REFERENCES)
    play(live, run.documents())
    found = live.snapshots["A"]
    assert list(live.snapshots) == ["A"] and found.doubts == ()
    truth = i0_rate(ENERGIES) / MONITOR if monitored else i0_rate(ENERGIES) * 1e-3
    r = found.result
    pull = (r.ln_i0 - np.log(truth)) / r.ln_i0_sigma
    assert abs(pull).max() < 4 and pull.std() > 0.4
    # 80 pixels for twice the time, of 4000 counts per ms
    assert r.ln_i0_sigma.mean() == pytest.approx(
        np.sqrt(1 / (80 * 8e3) + (1 / (80 * 4e4) if monitored else 0)), rel=0.1
    )
    off = ((r.fraction - 0.4) / r.sigma)[r.mask]
    assert r.n_mask == 720 and abs(off.mean()) < 0.5
    same(oxidation_map(run.documents(), REFERENCES).result, r)
    blank = oxidation_map(run.documents(), REFERENCES, i0="blank")
    assert "blank" in [d.kind for d in blank.doubts]  # as asked for: not those images


def test_images_of_the_empty_beam_come_before_a_blank_area():
    run = with_empty_beam(sample=Particle())
    found = oxidation_map(run.documents(), REFERENCES)
    assert found.result.blank is None
    own = oxidation_map(run.documents(), REFERENCES, i0="blank")
    assert own.result.blank is not None
    np.testing.assert_allclose(found.result.ln_i0, own.result.ln_i0, atol=0.01)


def test_energies_without_an_image_of_the_empty_beam():
    run = with_empty_beam(frames=of_role(Role.I0, ENERGIES[2:], where=1))
    found = oxidation_map(run.documents(), REFERENCES)
    assert (found.result.n_energies == 10).all()
    assert "I0 is not known at 2 energies (636, 638.182 eV)" in found.message
    gap = with_empty_beam(frames=of_role(Role.I0, np.delete(ENERGIES, 4), where=1))
    found = oxidation_map(gap.documents(), REFERENCES)
    assert "I0 is interpolated at 1 energy (644.727 eV), between images" in found.message
    assert (found.result.n_energies == 12).all()
    few = with_empty_beam(frames=of_role(Role.I0, ENERGIES[:2], where=1), sample=Particle())
    assert oxidation_map(few.documents(), REFERENCES).result.blank is not None  # better than two
    forced = oxidation_map(few.documents(), REFERENCES, i0="images")
    assert forced.result.n_mask == 0 and forced.result.blank is None


def test_i0_images_that_differ_make_sigma_as_large_as_they_differ():
    before, after = (of_role(Role.I0, where=1) for _ in range(2))
    run = with_empty_beam(frames=[*before, *after])
    for i in run.frames(Role.I0)[12:]:
        run.counts[i] = np.round(run.counts[i] * 1.02)  # the beam has changed by 2 %
    r = oxidation_map(run.documents(), REFERENCES).result
    assert r.ln_i0_sigma.mean() == pytest.approx(0.01, rel=0.3)
    np.testing.assert_allclose(r.ln_i0, np.log(i0_rate(ENERGIES) * 1.01e-3), atol=5e-3)


def test_asked_for_images_that_are_not_there():
    run = Run(scan_of(region("A")))
    with pytest.raises(ValueError, match="'images', but the run has no image of the empty beam"):
        oxidation_map(run.documents(), REFERENCES, i0="images")
    live = OxidationMap(REFERENCES, i0="images")
    play(live, run.documents())
    assert "no image of the empty beam" in live.snapshot.message
    assert live.result.n_mask == 0 and np.isfinite(live.snapshot.frame.counts).all()


def test_an_image_of_the_empty_beam_that_is_not_empty_is_said():
    run = with_empty_beam()
    for i in run.frames(Role.I0):
        run.counts[i][:, :4] *= 0.7
    assert "not empty all over" in oxidation_map(run.documents(), REFERENCES).message


def test_i0_of_a_run_of_the_empty_beam():
    frames = tuple(of_role(Role.I0))
    empty = Run(Scan(regions=(region("e"),), frames=frames), (EMPTY,), uid="empty")
    spectrum = i0_of_run(empty.documents())
    np.testing.assert_allclose(spectrum.values / spectrum.dwell, i0_rate(ENERGIES), rtol=1e-3)
    run = Run(scan_of(region("A")), (FILLED,))
    found = oxidation_map(run.documents(), REFERENCES, i0=list(empty.documents()))
    assert found.result.n_mask == 720 and found.doubts == ()
    zones = Run(scan_of(region("A"), dwell=np.where(ENERGIES < 645, 1e-3, 4e-3)))
    spectrum = i0_of_run(zones.documents())  # from its blank area, as if at one dwell
    np.testing.assert_allclose(spectrum.values / spectrum.dwell, i0_rate(ENERGIES), rtol=5e-3)


# -- dark ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("dead_time", [0.0, 2e-8])
def test_dark_images_are_taken_off_and_said(when, dead_time):
    scan = scan_of(region("A"), **{when: of_role(Role.DARK, [640.0], 5e-3)})
    run = Run(scan, dark=DARK, dead_time=dead_time)
    live = OxidationMap(REFERENCES)
    play(live, run.documents())
    found = live.snapshot
    (doubt,) = found.doubts
    assert doubt.kind == "dark" and doubt.value == pytest.approx(DARK, rel=0.01)
    assert "dark counts per s and pixel are taken off" in doubt.text
    off = ((found.result.fraction - 0.4) / found.result.sigma)[found.result.mask]
    assert abs(off.mean()) < 0.3 and 0.8 < off.std() < 1.2
    np.testing.assert_allclose(np.exp(found.result.ln_i0), i0_rate(ENERGIES) * 1e-3, rtol=5e-3)
    same(oxidation_map(run.documents(), REFERENCES).result, found.result)


def test_few_dark_counts_are_no_doubt_and_none_are_said():
    scan = scan_of(region("A"), before=of_role(Role.DARK, [640.0]))
    assert oxidation_map(Run(scan).documents(), REFERENCES).doubts == ()
    run = Run(scan)
    after = [(f, line) for f, line in run.lines() if f]
    (doubt,) = oxidation_map(run.documents(after), REFERENCES).doubts
    assert "No dark image was taken" in doubt.text


def test_dark_images_with_light_are_not_taken_off():
    scan = scan_of(region("A"), after=of_role(Role.DARK, [640.0]))
    run = Run(scan)
    run.counts[-1][:] = 4e3
    found = oxidation_map(run.documents(), REFERENCES)
    assert "are not dark" in found.message and "not taken off" in found.message
    np.testing.assert_allclose(np.exp(found.result.ln_i0), i0_rate(ENERGIES) * 1e-3, rtol=5e-3)


# -- dose ------------------------------------------------------------------------------------------


def checked(damage=0.0, **options) -> Run:
    energies = ENERGIES[[3, 8]]
    checks = of_role(Role.DOSE_CHECK, energies)
    return Run(scan_of(region("A"), after=checks), damage=damage, **options)


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize("damage", [0.0, 0.03])
def test_a_dose_check_says_by_how_much_the_sample_has_changed(damage, monitored, caplog):
    run = checked(damage, monitored=monitored)
    live = OxidationMap(REFERENCES)
    with caplog.at_level(logging.WARNING):
        play(live, run.documents())
    found = live.snapshot
    assert [change.energy for change in found.dose] == pytest.approx(list(ENERGIES[[3, 8]]))
    for change, doubt in zip(found.dose, found.doubts, strict=True):
        assert change.change == pytest.approx(damage, abs=4 * change.sigma)
        assert change.sigma < 0.004 and change.n_pixels > 150
        assert doubt.kind == "dose" and doubt.value == change.change
        assert f"Dose check at {change.energy:g} eV" in doubt.text and " σ, median" in doubt.text
        assert ("has changed" in doubt.text) == (damage > 0)
        assert ("no change beyond" in doubt.text) == (damage == 0)
        assert caplog.text.count(doubt.text) == 1  # at the prompt
        assert doubt.text in found.message
    plain = Run(scan_of(region("A")), monitored=monitored)  # the same first images, no checks
    same(oxidation_map(plain.documents(), REFERENCES).result, found.result)
    batch = oxidation_map(run.documents(), REFERENCES)
    assert batch.dose == found.dose
    figure = Figure()
    draw_oxidation(figure, found)
    shown = " ".join(t.get_text() for t in figure.texts) + figure._supxlabel.get_text()
    assert "Dose check at" in shown


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize("damage", [0.0, 0.03])
def test_a_ring_that_decays_is_no_damage(damage, monitored):
    """A check has its own image of the empty beam: the mean of both would hide the decay."""
    run = with_empty_beam(damage=damage, monitored=monitored)
    energy = ENERGIES[[3]]
    frames = (
        *run.scan.frames, *of_role(Role.DOSE_CHECK, energy), *of_role(Role.I0, energy, where=1)
    )  # fmt: skip
    run.scan = Scan(regions=run.scan.regions, frames=frames)
    run.__post_init__()
    for k in (-2, -1):
        run.counts[k] *= 0.95
        if monitored:  # what it watches decays less, as one that is not in the same beam
            run.monitor[k] *= 0.98
    (change,) = oxidation_map(run.documents(), REFERENCES, region="A").dose
    assert change.change == pytest.approx(damage, abs=4 * change.sigma)
    assert change.sigma < 0.007


def test_a_dose_check_is_compared_when_it_is_whole():
    run = checked(0.03)
    live = OxidationMap(REFERENCES, rate=1e6)
    documents = list(run.documents())
    for item in documents[:-25]:  # all but the last check's last lines
        live(*item)
    assert live.wait(60) and len(live.snapshot.dose) == 1
    for item in documents[-25:-1]:
        live(*item)
    assert live.wait(60) and len(live.snapshot.dose) == 2
    live(*documents[-1])
    live.close()
    assert len(live.snapshot.dose) == 2


def test_a_dose_check_that_was_not_taken_is_told():
    run = checked()
    here = [(f, line) for f, line in run.lines() if f != len(ENERGIES) + 1]
    found = oxidation_map(run.documents(here), REFERENCES)
    assert [change.reason for change in found.dose] == ["", "it was not taken"]
    assert f"{ENERGIES[8]:g} eV: cannot be compared (it was not taken)" in found.message
    here = [(f, line) for f, line in here if f != 8]
    found = oxidation_map(run.documents(here), REFERENCES)
    assert "cannot be compared (its energy was not measured before)" in found.message


def test_a_dose_check_without_i0_cannot_be_compared():
    run = checked()
    run.particles = (FILLED,)
    run.__post_init__()
    found = oxidation_map(run.documents(), REFERENCES)
    assert "cannot be compared (I0 is not known)" in found.message


def test_a_dose_check_of_pixels_taken_together(monkeypatch):
    from redoxscope.callbacks.oxidation import _reader
    from redoxscope.callbacks.oxidation._memory import map_bytes

    room = 2 * map_bytes((14, 24, 30), 3, False, 2) + 10
    monkeypatch.setattr(_reader, "available_bytes", lambda: room)
    found = oxidation_map(checked(0.03).documents(), REFERENCES)
    assert found.result.fraction.shape == (12, 15)
    for change in found.dose:
        assert change.change == pytest.approx(0.03, abs=4 * change.sigma)


# -- all together ----------------------------------------------------------------------------------


def test_roles_regions_and_a_resumed_run_together():
    regions = (region("A"), region("B", (16, 12), (15, 7)), region("empty", (10, 8), (20, 7)))
    frames = [*of_role(Role.DARK, [640.0], where=2)]
    for energy in ENERGIES[np.random.default_rng(2).permutation(12)]:
        frames += [Frame(float(energy), 1e-3, i) for i in (0, 1)]
        frames += of_role(Role.I0, [energy], where=2)
    frames += of_role(Role.DOSE_CHECK, ENERGIES[[4]], where=1)
    scan = Scan(regions=regions, frames=tuple(frames))
    run = Run(scan, (FILLED, Particle(0.7), EMPTY), dark=DARK, damage=0.05, monitored=True)
    lines = run.lines()
    live = OxidationMap(REFERENCES)
    play(live, run.documents([*lines[:300], *lines[250:500], *lines[490:]]))
    batch = oxidation_maps(run.documents(), REFERENCES)
    assert list(batch) == ["A", "B"]
    for name, truth in (("A", 0.4), ("B", 0.7)):
        r = live.snapshots[name].result
        same(r, batch[name].result)
        off = ((r.fraction - truth) / r.sigma)[r.mask]
        assert abs(off.mean()) < 0.6 and 0.8 < off.std() < 1.2
    assert live.snapshots["A"].dose == ()
    (change,) = live.snapshots["B"].dose
    assert change.significance > 6
    assert sum(live.lines.values()) == scan.lines


def test_images_of_a_role_not_known_here_are_passed_over_and_said(monkeypatch):
    class Later(StrEnum):
        POLARISED = "polarised"

    run = Run(scan_of(region("A"), after=of_role(Role.DOSE_CHECK, ENERGIES[[3]])))
    expected = oxidation_map(Run(scan_of(region("A"))).documents(), REFERENCES)
    live = OxidationMap(REFERENCES)
    object.__setattr__(run.scan.frames[-1], "role", Later.POLARISED)
    monkeypatch.setattr(Scan, "from_start", lambda start: run.scan)
    play(live, run.documents())
    (doubt,) = live.snapshot.doubts
    assert doubt.kind == "roles" and "1 image of the role 'polarised'" in doubt.text
    same(live.result, expected.result)
