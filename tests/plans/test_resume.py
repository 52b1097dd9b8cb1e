"""A stack that ended early is continued in a new run, and the two read as one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from redoxscope.analysis.dose import DoseLimit
from redoxscope.callbacks import OxidationMap, oxidation_map
from redoxscope.callbacks.oxidation import read_stack
from redoxscope.documents import LineStatus
from redoxscope.plans import Lookup, energy_stack, resume
from redoxscope.plans.stxm._dose_limit import DoseGuard
from redoxscope.scan import Region, lines_of, stack_scan
from redoxscope.testing import FakeSetting, validate_run

from ..callbacks.scan_runs import REFERENCES, play
from ..callbacks.test_drift import SIDE, drifting
from ..shutters import closed
from .fake_microscope import fake_microscope
from .test_dose_limit import ENERGIES, bench, frames_of, of_images
from .test_dose_limit import run as limited
from .test_until import UNTIL, Bench
from .test_until import N as LINES_OF_DISK
from .test_until import sample as of_disk

LINES = 6


def rows(documents):
    return [
        (frame, line)
        for name, doc in documents
        if name == "event_page"
        for frame, line in zip(doc["data"]["frame"], doc["data"]["line"], strict=True)
    ]


def begun(stxm, RE, record, stop_at):  # noqa: N803
    """Documents of a stack of three images that fails at a line."""

    def fail(name, doc):
        if name == "event_page" and stop_at in rows([(name, doc)]):
            raise RuntimeError("as it happens")

    token = RE.subscribe(fail)
    with pytest.raises(RuntimeError, match="as it happens"):
        RE(
            energy_stack(
                stxm, energies=[639.0, 641.0, 643.0], center=(0.3, -0.2), size=(2.0, 3.0),
                pixels=(5, LINES), dwell=0.01,
            )
        )  # fmt: skip
    RE.unsubscribe(token)
    found = list(record)
    record.clear()
    return found


def known(RE, *runs):  # noqa: N803
    def documents(uid):
        found = [run for run in runs if run[0][1]["uid"].startswith(uid)]
        if not found:
            raise ValueError(f"no run {uid!r}")
        return found[0]

    RE.preprocessors.append(Lookup(documents=documents))


@pytest.mark.parametrize("stop_at", [(1, 2), (0, LINES - 1)])
def test_it_goes_on_after_the_last_complete_line(stxm, RE, record, one_by_one, stop_at):  # noqa: N803
    first = begun(stxm, RE, record, stop_at)
    done = rows(first)
    uid = first[0][1]["uid"]
    known(RE, first)
    RE(resume(stxm, uid[:8]))
    second = list(record)
    validate_run(second)
    start = second[0][1]
    frame, line = done[-1][0], done[-1][1] + 1
    if line == LINES:
        frame, line = frame + 1, 0
    assert start["resumes"] == {"uid": uid, "frame": frame, "line": line}
    assert start["scan"] == first[0][1]["scan"]
    every = [(k, i) for k in range(3) for i in range(LINES)]
    assert done + rows(second) == every
    assert second[-1][1]["exit_status"] == "success"
    closed(stxm.shutter)
    # Each line where it would have been without a break.
    both = [*first, *second]
    y = {}
    for name, doc in both:
        if name == "event_page":
            data = doc["data"]
            for k, i, values in zip(data["frame"], data["line"], data["sample_y"], strict=True):
                y[k, i] = np.mean(values)
    asked = np.linspace(-0.2 - 1.25, -0.2 + 1.25, LINES)
    np.testing.assert_allclose([y[place] for place in every], np.tile(asked, 3), atol=0.02)
    # As one stack.
    reader = read_stack(both)
    reader.settle(final=True)
    assert reader.part.images.lines_done == 3 * LINES
    assert reader.start["uid"] == start["uid"]
    with pytest.raises(ValueError, match="has all its lines: there is nothing to resume"):
        known(RE, second)
        RE.preprocessors.pop(0)
        RE(resume(stxm, start["uid"]))


def test_a_run_that_was_continued_is_not_continued_again(stxm, RE, record, one_by_one):  # noqa: N803
    first = begun(stxm, RE, record, (1, 2))
    uid = first[0][1]["uid"]
    later = {"uid": "9f0011223344", "resumes": {"uid": uid, "frame": 1, "line": 3}}
    elsewhere = {"uid": "aa0011223344", "resumes": {"uid": "bb", "frame": 0, "line": 0}}
    asked = []

    def runs(key, of):
        asked.append((key, of))
        return [(later, None), (elsewhere, None)]

    RE.preprocessors.append(Lookup(documents=lambda _: first, runs=runs))
    with pytest.raises(ValueError, match="was continued by run '9f001122' already: resume that"):
        RE(resume(stxm, uid[:8]))
    assert asked == [("resumes", uid)] and not record


@pytest.mark.parametrize(
    ("documents", "match"),
    [
        ([], "no start document"),
        (None, "no run 'abcd'"),
    ],
)
def test_what_cannot_be_resumed_is_refused_before_a_move(RE, documents, match):  # noqa: N803
    def find(uid):
        if documents is None:
            raise ValueError(f"no run {uid!r}")
        return documents

    RE.preprocessors.append(Lookup(documents=find))
    with pytest.raises(ValueError, match=match):
        RE(resume(fake_microscope(), "abcd"))


def test_a_uid_is_text_and_somebody_must_know_runs(RE):  # noqa: N803
    with pytest.raises(ValueError, match="run = 7 must be a name in quotes"):
        resume(fake_microscope(), 7)
    with pytest.raises(ValueError, match="earlier runs are not known here"):
        RE(resume(fake_microscope(), "abcd"))


def test_beforehand_the_rest_is_told_and_not_the_whole():
    _, documents = limited(None)
    first = [
        (name, doc)
        for name, doc in documents
        if name != "event_page" or max(doc["data"]["frame"]) < 3
    ]
    stxm, engine, _ = bench()
    known(engine, first)
    scans = []

    async def told(msg):
        if "scan" in msg.kwargs:
            scans.append(msg.kwargs["scan"])
        return True

    engine.register_command("null", told)
    engine(resume(stxm, first[0][1]["uid"]))
    assert [[frame.energy for frame in scan.frames] for scan in scans] == [ENERGIES[3:]]


def test_the_rest_of_a_region_has_the_lines_of_the_whole():
    region = Region((1.0, 2.0), (3.0, 4.0), (7, 9))
    rest = lines_of(region, range(4, region.pixels[1]))
    whole, part = (np.linspace(*r.extents[1], r.pixels[1]) for r in (region, rest))
    np.testing.assert_allclose(part, whole[4:])
    assert rest.extents[0] == region.extents[0]
    with pytest.raises(ValueError, match="line"):
        lines_of(region, range(9, 10))


# -- reading -----------------------------------------------------------------------------------


def broken(run, at, jump=0):
    """The documents of a run as those of two, of which the second begins at a frame and line."""
    lines = run.lines()
    cut = lines.index(at)
    if jump:
        for k in range(at[0], len(run.counts)):
            first = at[1] if k == at[0] else 0
            run.counts[k][first:] = np.roll(run.counts[k], jump, axis=1)[first:]
    first = list(run.documents(lines[:cut]))
    run.uid = "other"
    second = list(run.documents(lines[cut:]))
    second[0][1]["resumes"] = {"uid": "run", "frame": at[0], "line": at[1]}
    return [*first, *second]


def test_the_map_of_both_is_that_of_one_run():
    run, _ = drifting(1e-9)
    whole = oxidation_map(run.documents(), REFERENCES)
    found = oxidation_map(broken(run, (9, 17)), REFERENCES)
    np.testing.assert_array_equal(found.result.fraction, whole.result.fraction)
    assert found.lines_done == found.lines_total and found.uid == "other"
    (said,) = [d for d in found.doubts if d.kind == "resumed"]
    assert said.value < 0.2 and "the sample moved by" in said.text


def test_the_live_map_of_the_later_run_begins_with_the_lines_of_the_earlier(caplog):
    run, _ = drifting(1e-9)
    both = broken(run, (9, 17))
    n = 1 + next(i for i, (name, _) in enumerate(both) if name == "stop")
    earlier, later = both[:n], both[n:]
    asked = []

    def known_runs(uid):
        asked.append(uid)
        return iter(earlier)

    with OxidationMap(REFERENCES, rate=1e6, earlier=known_runs) as live:
        first = next(i for i, (name, _) in enumerate(later) if name.startswith("event"))
        play(live, later[: first + 1])
        assert live.snapshot.lines_done > 9 * SIDE + 17
        play(live, later[first + 1 :])
        found = live.snapshot
    assert set(asked) == {"run"} and live.error is None
    assert "own lines only" not in caplog.text
    whole = oxidation_map(both, REFERENCES)
    np.testing.assert_array_equal(found.result.fraction, whole.result.fraction)
    np.testing.assert_array_equal(found.drift.shifts, whole.drift.shifts)
    assert found.lines_done == found.lines_total and found.uid == "other"
    assert [d.text for d in found.doubts] == [d.text for d in whole.doubts]


def test_without_the_earlier_run_the_live_map_has_its_own_lines_and_says_so(caplog):
    run, _ = drifting(1e-9)
    both = broken(run, (9, 0))
    n = 1 + next(i for i, (name, _) in enumerate(both) if name == "stop")

    def lost(uid):
        raise ValueError(f"no run {uid}")

    with OxidationMap(REFERENCES, rate=1e6, earlier=lost) as live:
        play(live, both[n:])
        assert (
            live.error is None and live.snapshot.lines_done == live.snapshot.lines_total - 9 * SIDE
        )
    assert "its own lines only" in caplog.text and "no run run" in caplog.text


def test_what_the_plan_moved_itself_is_no_movement_of_the_sample():
    """The region was 0.3 µm elsewhere: the images are shifted, and the sample stood still."""
    run, _ = drifting(1e-9)
    documents = broken(run, (9, 0), jump=-3)
    for name, doc in documents:
        if name == "event_page" and doc["data"]["frame"][0] >= 9:
            doc["data"] |= {"followed_x": [0.3], "followed_y": [0.0]}
            doc["data"]["sample_x"] = [
                (np.array(x) + 0.3).tolist() for x in doc["data"]["sample_x"]
            ]
    found = oxidation_map(documents, REFERENCES)
    (said,) = [d for d in found.doubts if d.kind == "resumed"]
    assert said.value < 0.2
    assert np.abs(found.drift.movement).max() < 0.04
    assert found.drift.shifts[12, 1] == pytest.approx(3.0, abs=0.1)


def test_the_image_of_a_break_lies_between_its_neighbours_while_the_run_goes_on():
    run, _ = drifting(6.0)
    documents = broken(run, (9, 17))
    reader = read_stack(documents, REFERENCES)
    reader.snapshot()
    shifts = reader.part.fit.shifts
    between = shifts[[8, 10]]
    assert np.abs(shifts[9] - shifts[-1]).max() > 1.0
    np.testing.assert_allclose(shifts[9], between.mean(axis=0))


@pytest.mark.parametrize("line", [0, 10, 30])
def test_where_the_sample_moved_meanwhile_it_is_said_and_undone(line):
    run, _ = drifting(1e-9)
    whole = oxidation_map(run.documents(), REFERENCES)
    found = oxidation_map(broken(run, (9, line), jump=3), REFERENCES)
    (said,) = [d for d in found.doubts if d.kind == "resumed"]
    assert said.value == pytest.approx(3.0, abs=0.1)
    np.testing.assert_allclose(found.drift.movement[12:, 1], 0.3, atol=0.03)
    both = found.result.mask & whole.result.mask
    assert both.sum() > 0.8 * whole.result.mask.sum()
    wrong = (found.result.fraction - whole.result.fraction)[both]
    assert np.sqrt((wrong**2).mean()) < 0.03
    if line:  # of the image that has two halves in two places the larger one is kept
        there = np.isfinite(found.drift.shifts[9]).all()
        kept = slice(line, SIDE) if line < SIDE / 2 else slice(0, line)
        assert there and found.drift.shifts[9, 1] == pytest.approx(
            -3.0 if kept.start else 0.0, abs=0.2
        )


def cut(documents, frame, line):
    """As if whoever measured it had been killed there."""
    found = []
    for name, doc in documents:
        if name == "stop":
            continue
        if name == "event_page":
            data = doc["data"]
            keep = [
                i
                for i, place in enumerate(zip(data["frame"], data["line"], strict=True))
                if place < (frame, line)
            ]
            doc = {**doc, "data": {k: [v[i] for i in keep] for k, v in data.items()}}
        found.append((name, doc))
    return found


def resumed(documents):
    """Documents of the run that continues another."""
    stxm, engine, found = bench()
    known(engine, documents)
    engine(resume(stxm, documents[0][1]["uid"]))
    return list(found)


# -- where it begins ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", [LineStatus.MISSED, LineStatus.DISTURBED], ids=["missed", "dark"]
)
def test_lines_that_were_lost_at_the_end_are_flown_again(status):
    """The beam was lost at night, and the run aborted in the morning."""
    first = cut(list(limited(1e12)[1]), 3, 2)
    for name, doc in first:
        if name == "event_page":
            data = doc["data"]
            places = zip(data["frame"], data["line"], strict=True)
            data["line_status"] = [
                int(status) if place >= (2, 3) or place == (1, 1) else 0 for place in places
            ]
    second = resumed(first)
    assert second[0][1]["resumes"] == {"uid": first[0][1]["uid"], "frame": 2, "line": 3}
    assert rows(second)[0] == (2, 3) and rows(second)[-1] == (len(ENERGIES) - 1, 3)


def test_a_run_that_ended_as_it_was_told_to_is_not_said_to_have_all_its_lines():
    gray = of_images()
    limit = gray[:12].sum() + gray[0] + 0.5 * gray[12]
    _, first = limited(limit, dose_check=[ENERGIES[0]])  # which is its last image
    with pytest.raises(ValueError, match=r"ended as it was told to \(dose_limit: .*nothing to res"):
        resumed(list(first))


TOLD: dict[str, dict[str, object]] = {
    "until": {"until": UNTIL}, "rows": {"rows": "informative"}
}  # fmt: skip


@cache
def whole_run(name):
    return Bench(of_disk()).run(**TOLD[name])


@pytest.mark.parametrize(
    ("name", "at"),
    [("until", (9, 7)), ("rows", (30, 0)), ("rows", (30, 9))],
    ids=["until", "rows", "rows-within"],
)
def test_what_the_run_was_told_holds_on(name, at):
    whole = whole_run(name)
    first = cut(whole.documents, *at)
    bench = Bench(of_disk())
    known(bench.engine, first)
    bench.engine(resume(bench.stxm, first[0][1]["uid"]))
    bench.safe()
    start = bench.of("start")[0]
    assert {key: start[key] for key in TOLD[name]} == TOLD[name]
    assert start["scan"] == first[0][1]["scan"]
    both = rows(first) + rows(bench.documents)
    assert len(set(both)) == len(both) < len(whole.scan.frames) * LINES_OF_DISK
    if name == "until" or at[1] == 0:  # lines of the image itself may choose other rows of it
        assert both == rows(whole.documents)
    assert bench.of("stop")[0]["reason"].partition(":")[0] == name.replace("rows", "")


# -- regions that were moved after the sample --------------------------------------------------


def test_a_region_goes_on_from_where_it_was_moved_to():
    stxm, engine, documents = bench()
    engine(
        energy_stack(
            stxm, energies=[639.0, 641.0, 643.0], size=2.0, pixels=8, dwell=1e-3, follow_drift=2.0
        )
    )  # fmt: skip
    runs = [cut(list(documents), 1, 3)]
    for name, doc in runs[0]:
        if name == "event_page":
            doc["data"]["followed_x"] = [0.5] * len(doc["data"]["frame"])
            doc["data"]["followed_y"] = [-0.25] * len(doc["data"]["frame"])
    runs[0] = [one for one in runs[0] if one[0] != "event_page" or one[1]["data"]["frame"]]
    for end in ((1, 6), None):  # the second is of the run before, which has moved nothing itself
        stxm, engine, documents = bench()
        known(engine, *runs)
        engine(resume(stxm, runs[-1][0][1]["uid"]))
        found = list(documents) if end is None else cut(list(documents), *end)
        runs.append([one for one in found if one[0] != "event_page" or one[1]["data"]["frame"]])
    for documents in runs[1:]:
        assert documents[0][1]["follow_drift"] == 2.0
        pages = [doc["data"] for name, doc in documents if name == "event_page"]
        assert {x for page in pages for x in page["followed_x"]} == {0.5}
        assert {y for page in pages for y in page["followed_y"]} == {-0.25}
        for page in pages:
            np.testing.assert_allclose(np.mean(page["sample_x"], axis=1), 0.5)
            asked = -0.25 + (np.array(page["line"]) - 3.5) * 0.25
            np.testing.assert_allclose(np.mean(page["sample_y"], axis=1), asked)


# -- dose --------------------------------------------------------------------------------------


def test_a_limit_of_the_dose_holds_over_all_runs_of_a_stack():
    limit = float(of_images()[:9].sum() * 1.001)
    _, whole = limited(limit, md={"sample": "electrode 7"})
    whole = list(whole)
    taken = frames_of(whole)
    assert 5 < len(taken) < len(ENERGIES)

    runs = [cut(whole, 3, 2)]
    for until in ((5, 1), None):
        stxm, engine, documents = bench()
        known(engine, *runs)
        engine(resume(stxm, runs[-1][0][1]["uid"]))
        runs.append(list(documents) if until is None else cut(documents, *until))
    assert runs[1][0][1]["resumes"]["frame"] == 3 and runs[2][0][1]["resumes"]["frame"] == 5
    assert runs[2][0][1]["dose_limit"] == whole[0][1]["dose_limit"]
    assert runs[2][0][1]["sample"] == "electrode 7" and "exposure" in runs[2][0][1]
    assert sorted({frame for run in runs for frame in frames_of(run)}) == taken
    assert "dose_limit" in runs[-1][-1][1]["reason"]


def test_a_line_that_two_runs_have_flown_counts_in_both():
    region = Region((0.0, 0.0), (2.0, 2.0), (4, 4))
    scan = stack_scan(energies=ENERGIES[:2], regions=[region], dwell=0.01, retries=0)
    guard = DoseGuard(DoseLimit(1e9), scan, np.array([1.0, 1.0]))
    guard.had([(0, line, 2) for line in range(4)], 0)
    guard.had([(0, line, 0) for line in range(4)], 0)
    assert guard.gray == 2.0
    guard("descriptor", {"uid": "d", "name": scan.stream_of(0)})
    data = {"frame": [0] * 4, "line": list(range(4)), "line_status": [0] * 4}
    for _ in range(2):  # after a pause the same events may come again
        guard("event_page", {"descriptor": "d", "data": data})
    assert guard.gray == 3.0


def test_a_limit_that_cannot_be_kept_is_not_dropped():
    _, whole = limited(1e12)
    documents = [doc for doc in whole if doc[0] in ("start", "descriptor")]
    stxm, engine, _ = bench()
    stxm.flux = FakeSetting("flux", 0.0)
    known(engine, documents)
    with pytest.raises(ValueError, match="dose_limit cannot be kept"):
        engine(resume(stxm, documents[0][1]["uid"]))
