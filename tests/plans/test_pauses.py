"""One rule for pauses, whatever flies together: docs/explanation/pause-and-resume.md.

After every message of the plans, with fakes: each line, point and exposure is there once and in
order, nothing was taken in the dark or elsewhere, and the shutter was closed during the pause.
"""

from __future__ import annotations

import threading

import pytest
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.suspenders import SuspendBoolHigh
from ophyd import Signal

from redoxscope.plans import LineScanner, Pauses, uninterrupted
from redoxscope.scan import Raster
from redoxscope.testing import (
    FakeAxis,
    FakeFrames,
    FakeMicroscope,
    FakePoint,
    make_engine,
    paused_after,
    run_resuming,
)

LINES, ENERGIES = 3, (640.0, 641.0)


class Together:
    """A line scanner, a counter, a frames detector and a heater in one plan."""

    def __init__(self, folder):
        self.stxm = FakeMicroscope()
        self.heater = FakeAxis("heater", 20.0, unit="degC")
        self.counter = FakePoint()
        self.camera = FakeFrames(folder, picture=self.picture)
        self.engine, self.documents = make_engine()
        self.hot = []

    def picture(self, n):
        self.hot.append((self.heater.position, self.stxm.shutter.beam))
        return [[n] * 5] * 4

    def plan(self):
        stxm, shutter = self.stxm, self.stxm.shutter
        scanner = stxm.scanner

        def inside(temperature):
            """In the image of the scanner: nothing of it is repeated by the engine."""

            def settled():
                yield Msg("set", self.heater, temperature, group="heater")
                yield Msg("wait", None, group="heater")
                yield Msg("set", shutter, "follow", group="shutter")
                yield Msg("wait", None, group="shutter")
                yield Msg("trigger", self.counter, group="point")
                yield Msg("trigger", self.camera, group="point")
                yield Msg("wait", None, group="point")

            yield from uninterrupted(settled)
            yield Msg("checkpoint")
            yield Msg("create", None, name="exposures")
            for device in (self.heater, self.counter, self.camera):
                yield Msg("read", device)
            yield Msg("save")
            yield Msg("checkpoint")

        def image(energy):
            yield Msg("checkpoint")
            yield from uninterrupted(lambda: bps.mv(stxm.energy, energy))
            yield Msg("set", shutter, "follow", group="shutter")
            yield Msg("wait", None, group="shutter")
            yield Msg("checkpoint")
            yield Msg("kickoff", scanner, group="kickoff")
            yield Msg("wait", None, group="kickoff")
            number = 0
            while True:
                yield Msg("trigger", scanner, group="lines")
                yield Msg("wait", None, group="lines")
                if scanner.flown:
                    break
                yield Msg("collect", scanner, name="primary", return_payload=False)
                yield Msg("checkpoint")
                if number < LINES - 1:
                    number += 1
                    yield from inside(100.0 * number)
            yield Msg("collect", scanner, name="primary", return_payload=False)
            yield Msg("checkpoint")
            yield Msg("complete", scanner, group="complete")
            yield Msg("checkpoint")
            yield Msg("wait", None, group="complete")

        @bpp.stage_decorator([stxm, self.camera])
        @bpp.run_decorator()
        def whole():
            yield Msg("checkpoint")
            yield Msg("prepare", scanner, Raster(0, 1, 4, 0, 1, LINES, 0.01), group="prepare")
            yield Msg("wait", None, group="prepare")
            yield from bps.declare_stream(scanner, name="primary", collect=True)
            for energy in ENERGIES:
                yield from image(energy)

        return (yield from whole())

    def paused(self):
        assert not self.stxm.shutter.beam

    def check(self):
        rows = list(self.documents.rows().values())
        assert [(row["energy"], row["line"]) for row in rows] == [
            (energy, line) for energy in ENERGIES for line in range(LINES)
        ]
        assert self.stxm.scanner.dark == []
        events = list(self.documents.rows("exposures").values())
        wanted = [100.0 * (n + 1) for _ in ENERGIES for n in range(LINES - 1)]
        assert [event["heater"] for event in events] == wanted
        # What the events name was taken at the temperature that they say, and in the light.
        named = [self.hot[event["camera_frame"]] for event in events]
        assert named == [(temperature, True) for temperature in wanted]
        assert self.documents.stop["exit_status"] == "success"
        assert not self.stxm.shutter.beam and not self.stxm.scanner._open


@pytest.fixture
def together(tmp_path):
    return Together(tmp_path)


def test_the_fake_scanner_is_one():
    assert isinstance(FakeMicroscope().scanner, LineScanner)


def test_three_kinds_of_detectors_in_one_plan(together):
    assert run_resuming(together.engine, together.plan()) == 0
    together.check()
    assert together.camera.triggered == 2 * (LINES - 1)


def moments(plan, first="checkpoint", last="close_run"):
    """Numbers of a plan's messages, from its first checkpoint to the end of its run."""
    messages = list(plan)
    commands = [message.command for message in messages]
    return [
        pytest.param(n, id=f"{n}-{commands[n]}-{getattr(messages[n].obj, 'name', '')}")
        for n in range(commands.index(first), commands.index(last))
    ]


def listed(plan, scanner):
    """Messages of a plan, where its scanner flies what it is told."""
    answers = {
        "kickoff": scanner.kickoff, "trigger": scanner.trigger, "complete": scanner.complete
    }  # fmt: skip
    answer = None
    while True:
        try:
            msg = plan.send(answer)
        except StopIteration:
            return
        answer = None
        if msg.command == "prepare":
            scanner.prepare(*msg.args)
        elif msg.obj is scanner and msg.command in answers:
            answer = answers[msg.command]()
        elif msg.command == "collect":
            list(scanner.collect_pages())
        yield msg


def together_moments():
    bench = Together("unused")
    bench.stxm.shutter.beam = True
    return moments(listed(bench.plan(), bench.stxm.scanner))


@pytest.mark.parametrize("number", together_moments())
def test_paused_after_any_message_of_all_three_together(together, number):
    plan = paused_after(together.plan(), number)
    assert run_resuming(together.engine, plan, together.paused) == 1
    together.check()


@pytest.mark.parametrize("numbers", [(14, 15), (20, 26, 31), (17, 18, 19, 20), range(14, 60, 3)])
def test_paused_again_and_again(together, numbers):
    plan = paused_after(together.plan(), numbers)
    assert run_resuming(together.engine, plan, together.paused) == len(list(numbers))
    together.check()


@pytest.mark.parametrize("device", ["camera", "counter", "heater"])
def test_what_a_pause_broke_off_in_an_image_is_asked_for_again(together, device):
    """Its status ended well all the same; that does not count."""
    part = getattr(together, device)
    name = "set" if device == "heater" else "trigger"
    act, asked = getattr(part, name), []

    def act_and_pause(*args):
        asked.append(args)
        part.prompt = len(asked) != 2
        if not part.prompt:
            threading.Thread(target=together.engine.request_pause).start()
        return act(*args)

    setattr(part, name, act_and_pause)
    assert run_resuming(together.engine, together.plan(), together.paused) == 1
    together.check()
    assert len(asked) > 2 * (LINES - 1)


def test_a_suspender_is_a_pause(together):
    dump = Signal(name="dump", value=0)
    together.engine.install_suspender(SuspendBoolHigh(dump))
    act, asked, dark = together.camera.trigger, [], []

    def act_and_trip():
        asked.append(1)
        together.camera.prompt = len(asked) != 2
        if not together.camera.prompt:
            threading.Thread(target=dump.put, args=(1,)).start()
        return act()

    def halted():
        pause()
        dark.append(together.stxm.shutter.beam)
        threading.Thread(target=dump.put, args=(0,)).start()

    pause, together.camera.trigger = together.camera.pause, act_and_trip
    together.camera.pause = halted
    together.engine(together.plan())
    assert dark == [False]
    together.check()


def test_a_step_without_a_pause_is_done_once():
    engine, _ = make_engine()
    heater = FakeAxis("heater")
    engine(uninterrupted(lambda: bps.mv(heater, 50.0)))
    assert heater.targets == [50.0]


def test_a_step_gives_what_it_returns():
    engine, _ = make_engine(call_returns_result=True)

    def step():
        yield Msg("null")
        return 7

    assert engine(uninterrupted(step)).plan_result == 7


def test_pauses_are_counted():
    engine, _ = make_engine()
    pauses = Pauses()

    def plan():
        yield Msg("checkpoint")
        yield from pauses.watch()
        yield Msg("pause")
        yield Msg("null")

    assert run_resuming(engine, plan()) == 1
    assert pauses.count == 1
