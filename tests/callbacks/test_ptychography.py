"""Live reconstruction: blocks of frames in, images out."""

from __future__ import annotations

import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.ndimage import binary_erosion, gaussian_gradient_magnitude

from redoxscope.analysis.ptychography import Engine, ring_correlation
from redoxscope.callbacks import ApartHost, Host, _room, analyses, wire
from redoxscope.callbacks.ptychography import (
    PtychoOptions,
    PtychoSnapshot,
    _options,
    _reader,
    _task,
    draw_ptychography,
    merged_frames,
    ptychography_from_run,
)
from redoxscope.callbacks.ptychography._frames import FrameFile, UnreadableFramesError
from redoxscope.callbacks.ptychography._task import Task
from redoxscope.callbacks.ptychography.analysis import ANALYSIS
from redoxscope.data import load_references
from redoxscope.documents import FrameStatus
from redoxscope.formats import file_uri

from .ptycho_runs import DATASET, PtychoRun

LONG = 300.0
"""Longest time (s) for a reconstruction on a busy machine."""
QUICK = PtychoOptions(live_updates=2, updates=12, modes=1, resolution=False)


def one_energy(path, **how):
    return PtychoRun(path / "frames.h5", energies=(641.2,), **{"places_per_block": 12, **how})


def misfit(run, image):
    """Scatter of the optical density about the truth where frames are, and of the truth itself."""
    truth = -2 * np.log(np.abs(run.transmission(image.energy_ev, image.x_um, image.y_um)))
    found = -2 * np.log(np.maximum(image.amplitude, 1e-6))
    covered = image.covered
    return float(np.std((found - truth)[covered])), float(np.std(truth[covered]))


def play(host, documents):
    for pair in documents:
        host(*pair)


def test_it_is_found_and_runs_in_a_process_of_its_own():
    assert ANALYSIS in analyses() and ANALYSIS.apart


def test_live_ends_as_a_run_that_is_over_and_shows_the_sample(tmp_path):
    run = one_energy(tmp_path)
    seen = []
    with Host([ANALYSIS], options={"ptychography": QUICK}) as host:
        documents = []
        for pair in run.documents(live=True):
            documents.append(pair)
            host(*pair)
            if pair[0] == "event":
                assert host.wait(LONG)  # frames come while it works
                seen += host.latest.values()
        live = host.latest[run.uid, "ptychography", ""]
        assert host.errors == {} and live.finished
    after = ptychography_from_run(documents, QUICK)[""]
    one, other = live.image, after.image
    error, contrast = misfit(run, other)
    assert error < 0.5 * contrast  # the sample is there
    assert misfit(run, one)[0] < 1.05 * error + 0.002
    truth = run.transmission(641.2, one.x_um, one.y_um)
    pitch = [
        ring_correlation(image.object, truth, image.pixel_um, threshold=0.5, area=image.covered)
        for image in (one, other)
    ]
    assert pitch[0].half_pitch_um == pytest.approx(pitch[1].half_pitch_um, rel=0.05)
    assert one.frames == other.frames == len(run.scan.exposures[-1].positions)
    # The first picture came before a third of the frames.
    first = next(snapshot for snapshot in seen if snapshot.images)
    assert 0 < first.pace.frames <= first.pace.total / 3


def test_how_far_behind_it_is_is_known_and_nothing_waits(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents(live=True))
    reader = ANALYSIS.reader(documents[0][1], QUICK)
    for name, doc in documents[1:-1]:
        if name == "descriptor":
            assert reader.describe(doc)
        else:
            reader.take(name, doc)
    total = len(run.scan.exposures[-1].positions)
    assert reader.busy and not reader.snapshot()  # nothing was read yet: it only noted
    reader.work()
    [shown] = reader.snapshot().values()
    assert shown.pace.frames == 12 and shown.pace.behind == total - 12
    assert 0 < shown.pace.seconds_behind < 1e5
    while reader.busy:
        reader.work()
    pace = reader.snapshot(final=True)[""].pace
    assert (pace.frames, pace.behind, pace.seconds_behind) == (total, 0, 0.0)
    assert pace.seconds_behind_last > 0 and pace.ms_per_frame > 0 and pace.ms_per_update > 0
    # Of a run that is over nobody was behind.
    assert np.isnan(ptychography_from_run(documents, QUICK)[""].pace.seconds_behind_last)


def test_frames_that_are_doubtful_or_not_there_are_left_out_and_said(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    events = [doc for name, doc in documents if name == "event"]
    data = events[-1]["data"]
    data["frame_status"][0] = int(FrameStatus.TORN)  # the short exposure of a place
    data["row"][0] = -1
    data["frame_status"][2] = data["frame_status"][3] = int(FrameStatus.MISSED)
    data["row"][2] = data["row"][3] = -1
    data["row"][5] = 10**6  # announced, and not in the file
    data["x"][7] = float("nan")
    found = ptychography_from_run(documents, QUICK)[""]
    assert found.pace.left_out == 5
    assert found.image.frames == len(run.scan.exposures[-1].positions) - 1
    assert "5 frames are left out" in found.message
    assert np.isfinite(found.image.object).all()


def test_a_block_that_comes_again_replaces_what_there_was(tmp_path):
    run = one_energy(tmp_path)
    bad = [(k, first, places + (0.2, 0.2)) for k, first, places in run.blocks()]
    good = list(run.blocks())
    # A block whose sample was elsewhere, then the same again as it should be, once more as it was
    # given out by a plan that goes on after a pause.
    twice = [*good[:-1], (*good[-1][:2], bad[-1][2]), good[-1]]
    documents = list(run.documents(blocks=twice))
    again = [pair for pair in documents if pair[0] == "event"][-1]
    documents.insert(-1, again)
    found = ptychography_from_run(documents, QUICK)[""]
    frames = len(run.scan.exposures[-1].positions)
    assert found.image.frames == frames == found.pace.total
    assert np.abs(found.image.positions_um).max() < 0.2
    # The same where the first had been used already.
    reader = ANALYSIS.reader(documents[0][1], QUICK)
    for name, doc in documents[1:-1]:
        if name == "descriptor":
            assert reader.describe(doc)
        else:
            reader.take(name, doc)
        while reader.busy:
            reader.work()
    live = reader.snapshot(final=True)[""]
    assert live.image.frames == frames == live.pace.frames
    assert np.abs(live.image.positions_um).max() < 0.2


def test_a_file_that_cannot_be_read_yet_is_said_and_read_later(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    away = tmp_path / "away.h5"
    run.path.rename(away)
    with Host([ANALYSIS], options={"ptychography": QUICK}) as host:
        play(host, documents[:-2])
        assert host.wait(LONG)
        assert host.errors == {} and host.latest == {}
        away.rename(run.path)
        play(host, documents[-2:])
        found = host.latest[run.uid, "ptychography", ""]
    assert (
        found.finished and found.pace.frames == found.pace.total and "be read" not in found.message
    )


@pytest.mark.parametrize("fault", ["gone", "no HDF5", "other shape"])
def test_a_file_that_stays_unreadable_leaves_the_run_and_says_why(tmp_path, fault):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    if fault == "gone":
        run.path.unlink()
    elif fault == "no HDF5":
        run.path.write_text("nothing")
    else:
        with h5py.File(run.path, "w") as file:
            file[DATASET] = np.zeros((300, 32, 64), "u2")
    with Host([ANALYSIS], options={"ptychography": QUICK}) as host:
        told = []
        host.tell = told.append
        play(host, documents)
        assert host.wait(LONG)
        found = host.latest[run.uid, "ptychography", ""]
    assert not host.errors and found.images == () and found.finished
    assert "Frames cannot be read" in found.message and str(run.path) in found.message


def test_of_a_truncated_file_no_frame_is_taken_that_is_not_there(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    content = run.path.read_bytes()
    run.path.write_bytes(content[: len(content) // 2])
    found = ptychography_from_run(documents, QUICK)[""]
    taken = 0 if found.image is None else found.image.frames
    assert taken < found.pace.total
    assert "cannot be read" in found.message or "frames are left out" in found.message
    assert found.image is None or not found.image.skipped


def test_the_snapshot_travels_and_is_drawn(tmp_path):
    run = one_energy(tmp_path)
    found = ptychography_from_run(run.documents(), QUICK)[""]
    header, arrays = wire.decode(wire.encode(*ANALYSIS.to_wire(found.thinned(40))))
    back = ANALYSIS.from_wire(header, arrays)
    assert isinstance(back, PtychoSnapshot) and max(back.image.object.shape) <= 40
    figure = Figure(ANALYSIS.size)
    for snapshot in (back, found, PtychoSnapshot(title="nothing yet")):
        draw_ptychography(figure, snapshot)
        figure.savefig(tmp_path / "drawn.png")
    names = {result.name for result in ANALYSIS.results(found)}
    assert {"object_0", "probe_0", "coverage_0", "positions_0"} <= names


def test_without_darks_the_pedestal_is_taken_off_and_said(tmp_path):
    run = one_energy(tmp_path)
    blocks = [block for block in run.blocks() if run.scan.exposures[block[0]].role == "sample"]
    found = ptychography_from_run(run.documents(blocks=blocks), QUICK)[""]
    error, contrast = misfit(run, found.image)
    assert error < 0.6 * contrast
    assert "no dark frames of 0.01 s, 0.1 s: 200 counts" in found.message


def test_energies_become_a_map_whose_sigma_is_what_it_is_off_by(tmp_path):
    run = PtychoRun(tmp_path / "frames.h5", photons=2e6, step=0.045)
    with Host([ANALYSIS], options={"ptychography": QUICK}) as host:
        for pair in run.documents(live=True):
            host(*pair)
            assert host.wait(LONG)  # what is done in which order does not depend on the machine
        found = host.latest[run.uid, "ptychography", ""]
        stored = {result.name: result for result in host.results(run.uid)}
    assert found.done == len(run.energies) == len(found.images) and not host.errors
    thickness, fraction = run.truth(found.map.x, found.map.y)
    r = found.map.result
    inside = r.mask & binary_erosion(thickness > 0.05, iterations=2)
    assert inside.sum() > 200
    pull = (r.fraction - fraction)[inside] / r.sigma[inside]
    assert 0.6 < pull.std() < 1.7 and abs(pull.mean()) < 0.7
    seen = np.corrcoef(r.fraction[inside], fraction[inside])[0, 1]
    assert seen > 0.6  # the gradient, not only noise
    np.testing.assert_array_equal(stored["fraction"].array, r.fraction)
    assert stored["fraction_sigma"].sigma_of == "fraction" and stored["od"].dims[0] == "energy"
    assert stored["fraction"].attrs["species"] == ["Mn4+", "Mn3+"]
    figure = Figure(ANALYSIS.size)
    draw_ptychography(figure, found)
    figure.savefig(tmp_path / "map.png")
    # What is sent to a screen is a part of it.
    thin = found.thinned(30)
    assert max(thin.map.result.fraction.shape) <= 30 and len(thin.images) == 1
    back = ANALYSIS.from_wire(*wire.decode(wire.encode(*ANALYSIS.to_wire(thin))))
    draw_ptychography(figure, back)


def test_the_beam_may_vary_from_block_to_block_and_blocks_in_length(tmp_path):
    class Unsteady(PtychoRun):
        def light(self, number):
            return (1.0, 0.6, 1.5)[number % 3]

    steady = one_energy(tmp_path)
    want = ptychography_from_run(steady.documents(), QUICK)[""].image
    run = Unsteady(tmp_path / "other.h5", energies=(641.2,), places_per_block=16)  # then 4
    found = ptychography_from_run(run.documents(), QUICK)[""].image
    assert found.residual < 2 * want.residual
    assert misfit(run, found)[0] < 1.5 * misfit(steady, want)[0]


def test_more_energies_than_fit_into_memory_are_done_one_after_the_other(tmp_path):
    energies = tuple(638.0 + k for k in range(5))
    run = PtychoRun(tmp_path / "frames.h5", energies=energies, step=0.1, places_per_block=50)
    documents = list(run.documents())
    quick = replace(QUICK, updates=2)
    found = ptychography_from_run(documents, quick)[""]
    assert found.done == len(found.images) == 5 and found.pace.frames == found.pace.total
    reader = ANALYSIS.reader(documents[0][1], quick)  # the same live, all announced at once
    for name, doc in documents[1:-1]:
        if name == "descriptor":
            assert reader.describe(doc)
        else:
            reader.take(name, doc)
    for _ in range(1000):
        if reader.busy:
            reader.work()
    assert not reader.busy
    assert reader.snapshot(final=True)[""].done == 5


def test_an_image_that_was_put_aside_is_not_replaced_by_a_part_of_it(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    reader = ANALYSIS.reader(documents[0][1], QUICK)
    for name, doc in documents[1:-1]:
        if name == "descriptor":
            assert reader.describe(doc)
        else:
            reader.take(name, doc)
    (part,) = reader._parts.values()
    (task,) = part.tasks.values()
    reader._read_darks()
    while task.waiting:
        reader._feed(part, task)
    whole = task.result.frames
    task.shelve()
    reader._feed(part, task)  # then its file is gone
    assert 0 < task.frames < whole
    task.finish()
    assert task.result.frames == whole


def test_where_memory_is_short_fewer_energies_are_kept(tmp_path, monkeypatch):
    energies = (638.0, 639.0, 640.0)
    run = PtychoRun(tmp_path / "frames.h5", energies=energies, step=0.1, places_per_block=50)
    documents = list(run.documents())
    one = len(run.scan.exposures[-1].positions) * run.size**2 * 4
    monkeypatch.setattr(_reader, "available_bytes", lambda: 3 * one // 2)
    reader = ANALYSIS.reader(documents[0][1], replace(QUICK, updates=2))
    for name, doc in documents[1:-1]:
        if name == "descriptor":
            assert reader.describe(doc)
        else:
            reader.take(name, doc)
    while reader.busy:
        reader.work()
        assert len(reader._held()) <= 1
    assert reader.snapshot(final=True)[""].done == 3


def test_who_only_merges_frames_needs_no_room_for_them(tmp_path, monkeypatch):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    monkeypatch.setattr(_room, "available_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="ptychography of .* places needs"):
        ptychography_from_run(documents, QUICK)
    (found,) = merged_frames(documents)
    assert sum(len(piece.x) for piece in found.pieces) == len(run.scan.exposures[-1].positions)


def test_modes_and_places_come_when_all_frames_are_there(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    plain = ptychography_from_run(documents, QUICK)[""].image
    with Host([ANALYSIS], options={"ptychography": replace(QUICK, modes=2)}) as host:
        play(host, documents)
        assert host.wait(LONG) and not host.errors
        finer = host.latest[run.uid, "ptychography", ""].image
    assert len(plain.probe) == 1 and len(finer.probe) == 2
    assert finer.updates > plain.updates and finer.frames == plain.frames
    error, contrast = misfit(run, finer)
    assert error < 0.5 * contrast


def test_two_halves_of_the_frames_say_how_fine_it_is_and_how_sure(tmp_path):
    run = one_energy(tmp_path, step=0.04)
    found = ptychography_from_run(run.documents(), replace(QUICK, resolution=True))[""]
    rings, image = found.resolution, found.image
    assert found.resolution_ev == 641.2 and rings.value[0] > 0.9
    assert image.pixel_um <= rings.half_pitch_um < 0.06
    truth = run.transmission(641.2, image.x_um, image.y_um)
    against = ring_correlation(
        image.object, truth, image.pixel_um, threshold=0.5, area=image.covered
    )
    assert rings.half_pitch_um > 0.95 * against.half_pitch_um  # halves promise nothing finer
    # sigma is that of the optical density, against the truth away from edges
    off = -2 * np.log(np.maximum(image.amplitude, 1e-6) / np.abs(truth))
    smooth = gaussian_gradient_magnitude(np.abs(truth), 1.5) < 0.005
    area = binary_erosion(image.covered, iterations=6) & smooth
    pull = (off / image.sigma)[area]
    assert area.sum() > 500
    assert 0.6 < 1.4826 * np.median(np.abs(pull - np.median(pull))) < 1.5
    stored = {result.name: result.array for result in ANALYSIS.results(found)}
    assert {"ring_correlation", "ring_limit", "sigma_0"} <= set(stored)
    np.testing.assert_array_equal(np.isfinite(stored["sigma_0"]), image.covered)
    header, arrays = wire.decode(wire.encode(*ANALYSIS.to_wire(found)))
    np.testing.assert_array_equal(ANALYSIS.from_wire(header, arrays).image.sigma, image.sigma)


def test_halves_know_nothing_of_each_other(tmp_path):
    """They begin with the first guess of the beam: that of all frames has the other half in it."""
    run = one_energy(tmp_path)
    reader = ANALYSIS.reader(run.start()[1], QUICK)
    for name, doc in list(run.documents())[1:-1]:
        reader.describe(doc) if name == "descriptor" else reader.take(name, doc)
    reader.snapshot(final=True)
    (part,) = reader._parts.values()
    (task,) = part.tasks.values()
    guess = task.first_probe()
    assert not np.allclose(np.abs(task.result.probe[0]), np.abs(guess), rtol=0.01)
    places = []
    for half in task.halves():
        while half.waiting:
            half.feed(reader._file)
        np.testing.assert_array_equal(half._engine.first_probe, guess)
        half.sweep(1)
        places.append({tuple(place) for place in half.result.positions_um.tolist()})
    assert len(places[0]) + len(places[1]) == task.result.frames and not places[0] & places[1]


def test_masked_pixels_play_no_part_and_a_bad_mask_is_said(tmp_path):
    mask = np.zeros((64, 64), "u1")
    mask[20:24, 40:44] = 1
    np.save(tmp_path / "mask.npy", mask)

    class Hot(PtychoRun):
        def measure(self, index, places):
            frames = super().measure(index, places)
            frames[:, 20:24, 40:44] = self.rng.integers(0, 50_000, (len(frames), 4, 4))
            return frames

    def made(path):
        run = Hot(tmp_path / "frames.h5", energies=(641.2,), mask=path)
        found = ptychography_from_run(run.documents(), QUICK)[""]
        return misfit(run, found.image)[0], found.message

    with_mask, said = made(str(tmp_path / "mask.npy"))
    assert "mask" not in said
    without, said = made(str(tmp_path / "absent.npy"))
    assert "All pixels are used: the mask" in said and "absent.npy" in said
    assert with_mask < 0.8 * without


def test_what_is_no_ptychography_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no ptychography in these documents"):
        ptychography_from_run([("start", {"uid": "a", "plan_name": "count"})])
    with pytest.raises(ValueError, match="live_updates"):
        PtychoOptions(live_updates=0)


def test_an_energy_that_was_broken_off_does_not_cut_the_map(tmp_path):
    run = PtychoRun(tmp_path / "frames.h5", photons=2e6, step=0.045)
    blocks = list(run.blocks())
    last = [block for block in blocks if block[0] == blocks[-1][0]]
    kept = blocks[: len(blocks) - len(last) + 1]  # of the last energy one block
    found = ptychography_from_run(run.documents(blocks=kept), QUICK)[""]
    assert len(found.images) == 4 and found.done == 3
    assert found.map.energies.tolist() == sorted(run.energies)[:3]
    assert "The map is without 645 eV, which was not taken whole." in found.message


def test_energies_that_were_never_taken_are_not_done(tmp_path):
    run = PtychoRun(tmp_path / "frames.h5", energies=(641.2, 645.0), step=0.1, places_per_block=4)
    first = next(k for k, part in enumerate(run.scan.exposures) if part.role == "sample")
    blocks = [block for block in run.blocks() if block[0] <= first]
    found = ptychography_from_run(run.documents(blocks=blocks[:-1]), QUICK)[""]
    assert found.finished and found.done == 0 and len(found.images) == 1


def test_an_outage_while_the_halves_are_read_costs_the_resolution_only(tmp_path, monkeypatch):
    run = one_energy(tmp_path)
    halves = Task.halves

    def gone(file):
        raise UnreadableFramesError("frames.h5: gone")

    def unreadable(task):
        found = halves(task)
        for half in found:
            half.feed = gone
        return found

    monkeypatch.setattr(Task, "halves", unreadable)
    found = ptychography_from_run(run.documents(), replace(QUICK, resolution=True))[""]
    assert found.finished and found.image is not None and found.resolution is None
    assert "No resolution: frames.h5: gone." in found.message


def damaged_file(path, bad):
    """Six frames with check sums, of which some are damaged."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset(DATASET, (6, 8, 8), "u2", chunks=(1, 8, 8), fletcher32=True)
        data[:] = np.arange(1, 7)[:, None, None]
        at = [data.id.get_chunk_info_by_coord((k, 0, 0)).byte_offset for k in bad]
    content = bytearray(path.read_bytes())
    for offset in at:
        content[offset + 3] ^= 0xFF
    path.write_bytes(content)
    return FrameFile(
        {
            "mimetype": "application/x-hdf5", "uri": file_uri(path),
            "parameters": {"dataset": DATASET},
        },
        (8, 8),
    )  # fmt: skip


def test_a_damaged_row_costs_itself_only(tmp_path):
    file = damaged_file(tmp_path / "frames.h5", [2])
    frames, there = file.read(np.array([0, 1, 2, -1, 4]))
    assert there.tolist() == [True, True, False, False, True]
    assert frames[:, 0, 0].tolist() == [1, 2, 0, 0, 5]
    file.close()


def test_rows_none_of_which_can_be_read_are_said(tmp_path):
    file = damaged_file(tmp_path / "frames.h5", range(6))
    with pytest.raises(UnreadableFramesError, match=r"frames\.h5"):
        file.read(np.arange(6))


def test_a_block_whose_beam_is_lost_is_left_out_and_said(tmp_path):
    """Taken for one with full beam, its frames would be those of a dark sample."""
    run = one_energy(tmp_path)
    documents = list(run.documents())
    events = [doc for name, doc in documents if name == "event"]
    events[-1]["data"]["i0"] = float("nan")
    lost = events[-1]["data"]["places"]
    found = ptychography_from_run(documents, QUICK)[""]
    total = len(run.scan.exposures[-1].positions)
    assert found.image.frames == total - lost and found.image.skipped == lost
    assert f"{lost} frames left out: incident photons not known" in found.message


def test_frames_without_a_gate_do_not_make_the_beam_brighter(tmp_path):
    run = one_energy(tmp_path)
    documents = list(run.documents())
    want = ptychography_from_run(documents, QUICK)[""].image
    events = [doc for name, doc in documents if name == "event"]
    gate = events[-1]["data"]["gate"]
    half = 2 * (events[-1]["data"]["places"] // 2)
    gate[:half] = [float("nan")] * half
    found = ptychography_from_run(documents, QUICK)[""].image
    assert found.frames == want.frames - half // 2
    assert found.residual < 2 * want.residual


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    for ask in (
        lambda: PtychoOptions(gpu=True),
        lambda: ApartHost(ANALYSIS, options={"gpu": True}),
    ):
        with pytest.raises(ValueError, match="gpu = True: array module 'cupy' cannot be used here"):
            ask()
    with pytest.raises(ValueError, match="gpu = 1 must be True or False"):
        PtychoOptions(gpu=1)
    with pytest.raises(ValueError, match="options of ptychography: .*'gpus'"):
        ApartHost(ANALYSIS, options={"gpus": True})


def test_on_a_gpu_all_is_computed_there(tmp_path, monkeypatch):
    run = one_energy(tmp_path, step=0.1)
    used = []

    def engine(*arguments, xp, **options):
        used.append(xp)
        return Engine(*arguments, **options)

    monkeypatch.setattr(_options, "array_module", lambda name: None)
    monkeypatch.setattr(_task, "Engine", engine)
    asked = PtychoOptions(updates=1, modes=1, gpu=True)
    assert ptychography_from_run(run.documents(), asked)[""].finished
    assert used == ["cupy"] * 3  # the image, and two halves


def test_options_reach_the_process(monkeypatch):
    from redoxscope.callbacks.remote import __main__, _process

    began, made = [], []

    def popen(command, **how):
        began.append(command)
        raise OSError("enough")

    class MadeError(Exception):
        pass

    def host(analyses, *, options, **how):
        made.append(options)
        raise MadeError

    monkeypatch.setattr(_process.subprocess, "Popen", popen)
    apart = ApartHost(ANALYSIS, options={"updates": 7, "modes": 3})
    apart("start", {"uid": "a", "ptychography": {}, "scan": {}})
    (command,) = began
    monkeypatch.setattr(__main__.sys, "argv", command[2:])
    monkeypatch.setattr(__main__, "Host", host)
    monkeypatch.setattr(__main__.os, "nice", lambda by: by)
    kept = {fd: os.dup(fd) for fd in (1, 2)}
    try:
        with pytest.raises(MadeError):
            __main__.main()
    finally:
        for fd, old in kept.items():
            os.dup2(old, fd)
            os.close(old)
    assert made == [{"ptychography": PtychoOptions(updates=7, modes=3)}]


def test_references_that_do_not_suit_the_energies_are_refused_or_said(tmp_path):
    with pytest.raises(ValueError, match="references = 'Mn L3' must be References"):
        PtychoOptions(references="Mn L3")
    run = PtychoRun(tmp_path / "frames.h5", step=0.1)
    wrong = replace(QUICK, references=load_references("Co L3"))
    with pytest.raises(
        ValueError, match="energies 639, .* are outside .* the range of the references Co3"
    ):
        ptychography_from_run(run.documents(), wrong)
    # Those of the run's own edge cost the map, not the images.
    far = PtychoRun(tmp_path / "far.h5", step=0.1)
    found = list(far.documents())
    found[0][1]["edge"] = "Co L3"
    told = ptychography_from_run(found, replace(QUICK, updates=3))[""]
    assert len(told.images) == 4 and (told.map is None or told.map.result is None)
    assert "Images only, no map: energies" in told.message or "No map: " in told.message
    assert "outside" in told.message and "Co3+" in told.message


@pytest.mark.parametrize(
    ("period", "words"),
    [(90.0, "No map: at 639 eV fewer than 64 pixels are empty"), (15.0, "are there empty")],
    ids=["rough", "smooth"],
)
def test_a_sample_that_fills_the_image_has_no_map_and_is_told_why(tmp_path, period, words):
    class Full(PtychoRun):
        def truth(self, x, y):
            waves = np.sin(period * x)[None, :] * np.sin(0.8 * period * y)[:, None]
            return 0.1 + 0.02 * waves, np.full((len(y), len(x)), 0.5)

    run = Full(tmp_path / "frames.h5", energies=(639.0, 641.2, 645.0), photons=2e6)
    found = ptychography_from_run(run.documents(), QUICK)[""]
    assert found.finished and len(found.images) == 3
    assert words in found.message
    assert found.map is None or not found.map.result.n_mask


def test_frames_that_are_not_square_are_refused(tmp_path):
    run = one_energy(tmp_path, info={"shape": (64, 48)})
    with pytest.raises(ValueError, match="frames of 64 x 48 pixels .* must be square"):
        ANALYSIS.reader(run.start()[1], QUICK)
