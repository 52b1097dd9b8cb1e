"""The plan moves its region after a sample that drifts."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from ophyd.utils import LimitError

from redoxscope.analysis.registration import Drift, DriftTracker
from redoxscope.callbacks import oxidation_map
from redoxscope.plans import energy_stack
from redoxscope.plans.stxm._follow import Follow
from redoxscope.scan import Region, stack_scan
from redoxscope.sim.physics.stxm import build_model
from redoxscope.sim.physics.stxm._stage import Stage
from redoxscope.testing import FakeMicroscope, make_engine, paused_after, run_resuming

from .fake_microscope import fake_microscope, stack_plan, told

SIDE, ENERGIES = 40, np.linspace(638.0, 650.0, 14)
REGION = Region((0.0, 0.0), (4.0, 4.0), (SIDE, SIDE))  # 0.1 µm a pixel
DRIFT = (36.0, -24.0)
"""µm/h, along x and y."""
DWELL, BETWEEN = 4e-3, 20.0
"""s per pixel, and from image to image."""


def flown(follow, drift=DRIFT):
    """Documents of a stack on the simulated sample, whose regions go where they are told."""
    model = build_model("lmr", seed=3, stage=Stage(drift_um_per_h=drift))
    scan = stack_scan(energies=list(ENERGIES), regions=[REGION], dwell=DWELL, edge="Mn L3")
    documents = [
        ("start", {"uid": "r", "time": 0.0, "plan_name": "stxm_energy_stack", "edge": "Mn L3",
                   "contract_version": 2, "scan": scan.as_dict(), "detectors": ["transmission"]}),
        ("descriptor", {"uid": "d", "run_start": "r", "name": "primary",
                        "data_keys": {"transmission": {}}}),
    ]  # fmt: skip
    if follow:
        follow(*documents[1])
    for k, energy in enumerate(ENERGIES):
        region = follow.region(0) if follow else REGION
        (x0, x1), (y0, y1) = region.extents
        xs = np.linspace(x0, x1, SIDE)
        for line, y in enumerate(np.linspace(y0, y1, SIDE)):
            at = model.positions(xs, y, k * BETWEEN)
            counts = model.line(energy, None, at.actual_x, at.actual_y, DWELL, k * BETWEEN)
            data = {
                "frame": k, "line": line, "line_status": 0, "energy": float(energy),
                "sample_x": xs.tolist(), "sample_y": [float(y)] * SIDE,
                "transmission": counts["transmission"].tolist(),
            }  # fmt: skip
            if follow:
                data |= dict(zip(("followed_x", "followed_y"), follow.offset(0), strict=True))
            page = {
                "descriptor": "d", "uid": [f"{k}-{line}"], "seq_num": [k * SIDE + line + 1],
                "time": [0.0], "data": {key: [value] for key, value in data.items()},
                "timestamps": {key: [0.0] for key in data},
            }  # fmt: skip
            documents.append(("event_page", page))
            if follow:
                follow("event_page", page)
        if follow:
            done(follow.seen(k))
    return documents


def done(plan):
    """Run what a plan waits for."""
    answer = None
    while True:
        try:
            message = plan.send(answer)
        except StopIteration:
            return

        async def wait(factories=message.args[0]):
            tasks = [asyncio.ensure_future(make()) for make in factories]
            await asyncio.wait(tasks)
            return tasks

        answer = asyncio.run(wait())


def follower(farthest):
    scan = stack_scan(energies=list(ENERGIES), regions=[REGION], dwell=DWELL, edge="Mn L3")
    return Follow(scan, "transmission", farthest)


def test_the_region_goes_where_the_sample_went():
    follow = follower(5.0)
    documents = flown(follow)
    # The sample moves with +drift: what was at x is at x + drift t.
    true = np.array(DRIFT) * (len(ENERGIES) - 1) * BETWEEN / 3600
    np.testing.assert_allclose(follow.offset(0), true, atol=0.05)  # half a pixel
    found = oxidation_map(documents)
    np.testing.assert_allclose(found.drift.movement[-1], true[::-1], atol=0.04)
    (said,) = [doubt for doubt in found.doubts if doubt.kind == "drift"]
    assert said.value == pytest.approx(np.hypot(*true) / 0.1, abs=0.6)
    assert "and its region after it" in said.text
    np.testing.assert_allclose(np.diff(found.x), 0.1, atol=1e-9)
    assert abs(found.x[0] - REGION.extents[0][0]) < 1e-6  # sample coordinates of the first image
    still = oxidation_map(flown(None, (0.0, 0.0)))
    left = oxidation_map(flown(None))
    both = found.result.mask & still.result.mask
    assert both.sum() > 0.8 * still.result.mask.sum() > 50
    gone = np.isnan(left.result.thickness).sum() - np.isnan(still.result.thickness).sum()
    lost = np.isnan(found.result.thickness).sum() - np.isnan(still.result.thickness).sum()
    assert lost < 0.6 * gone  # without it the rim is lost that it keeps


def test_an_image_of_a_few_lines_is_nothing_to_compare_with():
    """As the first one is of a stack that is resumed at its last lines."""

    class Late:
        def __init__(self, follow):
            self._follow = follow

        def __getattr__(self, name):
            return getattr(self._follow, name)

        def __call__(self, name, doc):
            if name != "event_page" or (0, 36) < (doc["data"]["frame"][0], doc["data"]["line"][0]):
                self._follow(name, doc)

    follow = follower(5.0)
    flown(Late(follow))
    true = np.array(DRIFT) * (len(ENERGIES) - 2) * BETWEEN / 3600  # since the second image
    np.testing.assert_allclose(follow.offset(0), true, atol=0.06)


def test_it_goes_no_further_than_it_may_and_says_so(caplog):
    follow = follower(0.3)
    flown(follow)
    assert follow.offset(0) == (0.3, -0.3)
    assert caplog.text.count("it is followed no further") == 1
    assert "may be moved by 0.3 µm" in caplog.text


@pytest.mark.parametrize("error", [np.linalg.LinAlgError, StopIteration])
def test_an_image_that_cannot_be_registered_ends_the_following_only(monkeypatch, caplog, error):
    def broken(*_):
        raise error("no")

    follow = follower(5.0)
    monkeypatch.setattr(DriftTracker, "add", broken)
    line = {"line_status": 0, "transmission": [1.0] * SIDE, "followed_x": 0.0, "followed_y": 0.0,
            "sample_x": [0.1 * i for i in range(SIDE)]}  # fmt: skip
    page = {key: [value] * SIDE for key, value in line.items()} | {"line": list(range(SIDE))}
    follow("descriptor", {"uid": "d", "name": "primary"})
    for k in range(3):
        follow("event_page", {"descriptor": "d", "data": page | {"frame": [k] * SIDE}})
        done(follow.seen(k))
    assert follow.offset(0) == (0.0, 0.0)
    assert caplog.text.count("could not be registered") == 1 and error.__name__ in caplog.text


def test_shifts_that_are_not_believed_are_not_followed(monkeypatch, caplog):
    """As of a sample that is out of focus; said once."""
    monkeypatch.setattr(Drift, "disbelief", property(lambda self: "they are no path"))
    scan = stack_scan(energies=list(ENERGIES), regions=[REGION], dwell=DWELL, edge="Mn L3")
    follow = Follow(scan, "transmission", 5.0)
    with caplog.at_level("WARNING", "redoxscope.plans"):
        flown(follow)
    assert follow.offset(0) == (0.0, 0.0)
    assert caplog.text.count("not believed: they are no path") == 1


def test_the_limits_are_checked_as_far_as_it_may_go():
    stxm = fake_microscope(lines=8)
    seen = []

    def check(scan):
        seen.append(scan.regions[0].center)
        if scan.regions[0].center[0] > 1:
            raise LimitError("fine_x = 1.5 µm")

    stxm.check_scan = check
    options = {"pixels": (8, 8), "lines": 8}
    list(stack_plan(stxm, follow_drift=0.5, **options))
    assert sorted(seen) == [(-0.5, -0.5), (-0.5, 0.5), (0.0, 0.0), (0.5, -0.5), (0.5, 0.5)]
    plan = stack_plan(stxm, follow_drift=1.5, **options)
    with pytest.raises(LimitError, match=r"fine_x = 1.5 µm"):
        next(plan)


@pytest.mark.parametrize("pauses", [(), range(60, 4000, 307)], ids=["whole", "paused"])
def test_a_region_that_was_moved_is_flown_where_its_lines_say(pauses):
    """Through the plan: the scanner goes where the sample went, whatever pauses come."""
    model = build_model("lmr", seed=3, stage=Stage(drift_um_per_h=DRIFT))
    stxm = FakeMicroscope(fields=("transmission",))
    energies = [float(energy) for energy in ENERGIES]
    collect = stxm.scanner.collect_pages

    def pages():
        for page in collect():
            data = page["data"]
            for i, energy in enumerate(data["energy"]):
                when = BETWEEN * energies.index(energy)
                at = model.positions(np.array(data["sample_x"][i]), data["sample_y"][i][0], when)
                counts = model.line(energy, None, at.actual_x, at.actual_y, DWELL, when)
                data["transmission"][i] = counts["transmission"].tolist()
            yield page

    stxm.scanner.collect_pages = pages
    engine, documents = make_engine()
    plan = energy_stack(
        stxm, edge="Mn L3", energies=energies, regions=[REGION], dwell=DWELL, follow_drift=5.0
    )
    paused = run_resuming(engine, paused_after(plan, pauses))
    assert (paused > 3) == bool(pauses)
    documents.validate()
    rows = list(documents.rows().values())
    places = [(row["frame"], row["line"]) for row in rows]
    assert places == [(k, line) for k in range(len(energies)) for line in range(SIDE)]
    for row in rows:
        assert np.mean(row["sample_x"]) == pytest.approx(row["followed_x"], abs=1e-6)
        y = 0.1 * (row["line"] - (SIDE - 1) / 2) + row["followed_y"]
        assert row["sample_y"][0] == pytest.approx(y, abs=1e-6)
    # The last image lies where the one before it was found to be.
    true = np.array(DRIFT) * (len(energies) - 2) * BETWEEN / 3600
    last = rows[-1]["followed_x"], rows[-1]["followed_y"]
    np.testing.assert_allclose(last, true, atol=0.1)  # a pixel
    assert documents.stop["exit_status"] == "success" and not stxm.shutter.beam


def test_where_nothing_moved_the_region_is_prepared_once():
    stxm = fake_microscope(lines=8)
    messages = list(stack_plan(stxm, follow_drift=0.5, pixels=(8, 8), lines=8))
    commands = [name for name, *_ in told(messages)]
    assert commands.count("subscribe") - commands.count("unsubscribe") in (0, 1)
    assert commands.count("prepare") == 1  # nothing has moved
    start = next(m for m in messages if m.command == "open_run")
    assert start.kwargs["follow_drift"] == 0.5


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"follow_drift": 0.0}, "follow_drift"),
        ({"follow_drift": float("nan")}, "follow_drift"),
        ({"follow_drift": 1.0, "pixels": (4, 9)}, "8 pixels a side at least"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(change, match):
    with pytest.raises(ValueError, match=match):
        stack_plan(fake_microscope(), **change)


def test_an_image_lies_where_its_lines_say_that_it_was_flown():
    """Not where its region is when they come."""
    follow = follower(5.0)
    follow("descriptor", {"uid": "d", "name": "primary"})
    line = {
        "frame": 0, "line": 0, "line_status": 0, "sample_x": [0.0, 1.0],
        "transmission": [1000.0] * SIDE, "followed_x": 0.3, "followed_y": -0.1,
    }  # fmt: skip
    data = {key: [value] for key, value in line.items()}
    follow("event_page", {"descriptor": "d", "data": data})
    assert follow.offset(0) == (0.0, 0.0) and follow._taken_at[0] == (0.3, -0.1)
