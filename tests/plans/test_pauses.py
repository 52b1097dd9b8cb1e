"""One rule for pauses, whatever flies together: docs/explanation/pause-and-resume.md.

After every message of the plans, with fakes: each line, point and exposure is there once and in
order, nothing was taken in the dark or elsewhere, and the shutter was closed during the pause.
"""

from __future__ import annotations

import tempfile
import threading

import pytest
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.suspenders import SuspendBoolHigh
from ophyd import Signal

from redoxscope.plans import (
    LineScanner,
    Microscope,
    Pauses,
    energy_stack,
    execute,
    rixs_map,
    uninterrupted,
)
from redoxscope.plans._pauses import in_thread
from redoxscope.scan import Frame, Outer, Raster, Region, Scan
from redoxscope.testing import (
    FakeAxis,
    FakeFrames,
    FakeMicroscope,
    FakeMono,
    FakePoint,
    FakeSpectrometer,
    make_engine,
    paused_after,
    run_resuming,
    validate_fly_run,
    validate_run,
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


def moments(engine, plan, first="checkpoint", last="close_run"):
    """Numbers of a plan's messages, from its first checkpoint to the end of its run.

    The plan is run for it: what it asks next may depend on what was answered.
    """
    messages = []
    engine.msg_hook = messages.append
    engine(plan)
    commands = [message.command for message in messages]
    return [
        pytest.param(n, id=f"{n}-{commands[n]}-{getattr(messages[n].obj, 'name', '')}")
        for n in range(commands.index(first), commands.index(last))
    ]


def together_moments():
    with tempfile.TemporaryDirectory() as folder:
        bench = Together(folder)
        return moments(bench.engine, bench.plan())


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


class Stack:
    """An energy stack on a microscope that flies in no time."""

    def __init__(self, prompt=True):
        self.stxm = FakeMicroscope(prompt=prompt)
        self.engine, self.documents = make_engine()

    def plan(self, **options):
        options = {"energies": ENERGIES, "pixels": (4, LINES)} | options
        return energy_stack(self.stxm, **options)

    def paused(self):
        assert not self.stxm.shutter.beam

    def check(self):
        self.documents.validate()
        validate_run(self.documents)
        rows = self.documents.rows().values()
        assert [(row["energy"], row["frame"], row["line"]) for row in rows] == [
            (energy, frame, line) for frame, energy in enumerate(ENERGIES) for line in range(LINES)
        ]
        assert self.stxm.scanner.dark == []
        assert self.documents.stop["exit_status"] == "success"
        assert not self.stxm.shutter.beam


def stack_moments():
    bench = Stack()
    return moments(bench.engine, bench.plan())


def test_the_fake_microscope_is_one():
    assert isinstance(FakeMicroscope(), Microscope)


def test_a_stack_is_one_for_viewers_of_the_fly_contract():
    bench = Stack()
    bench.engine(bench.plan())
    bench.check()
    validate_fly_run(bench.documents)
    assert bench.documents.start["stxm"]["shape"] == [2, LINES, 4]


@pytest.mark.parametrize("number", stack_moments())
def test_a_stack_paused_after_any_message(number):
    bench = Stack()
    assert run_resuming(bench.engine, paused_after(bench.plan(), number), bench.paused) == 1
    bench.check()


@pytest.mark.parametrize("numbers", [range(16, 40, 2), (18, 19, 20, 21), (25, 30, 35)])
def test_a_stack_paused_again_and_again(numbers):
    bench = Stack()
    paused = run_resuming(bench.engine, paused_after(bench.plan(), numbers), bench.paused)
    assert paused == len(list(numbers))
    bench.check()


@pytest.mark.parametrize("number", [0, 1])
def test_a_stack_paused_while_the_energy_moves(number):
    bench = Stack()
    energy, move, count = bench.stxm.energy, bench.stxm.energy.set, 0

    def move_and_pause(value):
        nonlocal count
        energy.prompt = count != number
        if not energy.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        count += 1
        return move(value)

    energy.set = move_and_pause
    assert run_resuming(bench.engine, bench.plan(), bench.paused) == 1
    bench.check()


@pytest.mark.parametrize("number", range(2 * LINES))
def test_a_stack_paused_while_a_line_is_flown(number):
    """It is flown again, whole."""
    bench = Stack()
    scanner, fly, count = bench.stxm.scanner, bench.stxm.scanner.fly, 0

    def fly_or_pause():
        nonlocal count
        count += 1
        if count == number + 1:
            threading.Thread(target=bench.engine.request_pause).start()
        else:
            fly()

    def resume():
        resumed()
        fly()

    resumed, scanner.resume, scanner.fly = scanner.resume, resume, fly_or_pause
    assert run_resuming(bench.engine, bench.plan(), bench.paused) == 1
    bench.check()
    assert scanner.halted == 1


def heated_scan():
    return Scan(
        regions=(Region((0, 0), (2, 2), (4, LINES)),),
        frames=[Frame(energy, 0.01, outer=(t,)) for t in (100.0, 200.0) for energy in ENERGIES],
        outer=(Outer("temperature", "degC"),),
    )


class Heated(Stack):
    """A stack at two temperatures."""

    def __init__(self):
        super().__init__()
        self.heater = FakeAxis("heater", 20.0, unit="degC")
        self.taken = []
        self.stxm.scanner._count = self.count

    def count(self, field, line):
        if field == "i0":
            self.taken.append(self.heater.position)
        return self.heater.position

    def plan(self):
        return execute(self.stxm, heated_scan(), axes={"temperature": self.heater})

    def check(self):
        rows = self.documents.rows().values()
        wanted = [(100.0 * (1 + frame // 2), frame) for frame in range(4) for _ in range(LINES)]
        assert [(row["transmission"][0], row["frame"]) for row in rows] == wanted
        assert self.stxm.scanner.dark == []
        assert self.documents.stop["exit_status"] == "success"


def heated_moments():
    bench = Heated()
    return moments(bench.engine, bench.plan())


@pytest.mark.parametrize("number", heated_moments())
def test_a_heated_stack_paused_after_any_message(number):
    bench = Heated()
    assert run_resuming(bench.engine, paused_after(bench.plan(), number), bench.paused) == 1
    bench.check()


@pytest.mark.parametrize("number", [0, 1])
def test_a_heater_that_a_pause_stopped_is_asked_again(number):
    bench = Heated()
    move, count = bench.heater.set, 0

    def move_and_pause(value):
        nonlocal count
        bench.heater.prompt = count != number
        if not bench.heater.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        count += 1
        return move(value)

    bench.heater.set = move_and_pause
    assert run_resuming(bench.engine, bench.plan(), bench.paused) == 1
    bench.check()


class Points:
    """A RIXS map: two passes through two energies."""

    def __init__(self):
        self.mono = FakeMono()
        self.tes = FakeSpectrometer(self.mono)
        self.engine, self.documents = make_engine()

    def plan(self):
        return rixs_map(self.tes, self.mono, energies=ENERGIES, dwell=1.0, passes=2)

    def paused(self):
        assert not self.tes.shutter.beam

    def check(self):
        self.documents.validate()
        rows = list(self.documents.rows().values())
        wanted = [*ENERGIES, *ENERGIES]
        assert [(row["point"], row["energy"]) for row in rows] == list(enumerate(wanted))
        # The window that an event names was taken there, and in the light.
        assert [self.tes.taken[row["tes_point"]] for row in rows] == [(e, True) for e in wanted]
        assert self.documents.stop["exit_status"] == "success"
        assert not self.tes.shutter.beam


def points_moments():
    bench = Points()
    return moments(bench.engine, bench.plan())


def test_a_map():
    bench = Points()
    bench.engine(bench.plan())
    bench.check()


@pytest.mark.parametrize("number", points_moments())
def test_a_map_paused_after_any_message(number):
    bench = Points()
    assert run_resuming(bench.engine, paused_after(bench.plan(), number), bench.paused) == 1
    bench.check()


@pytest.mark.parametrize("what", ["tes", "mono", "monitor"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_map_paused_in_the_middle_of_a_point(what, number):
    bench = Points()
    part = {"tes": bench.tes, "mono": bench.mono, "monitor": bench.tes.counters[0]}[what]
    name = "set" if what == "mono" else "trigger"
    act, asked = getattr(part, name), []

    def act_and_pause(*args):
        asked.append(args)
        part.prompt = len(asked) != number + 1
        if not part.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        return act(*args)

    setattr(part, name, act_and_pause)
    assert run_resuming(bench.engine, bench.plan(), bench.paused) == 1
    bench.check()


# -- work in a thread


def test_work_in_a_thread_is_done_once_whatever_pauses_come():
    engine, _ = make_engine()
    calls, found, go = [], [], threading.Event()

    def work():
        calls.append(threading.get_ident())
        threading.Thread(target=engine.request_pause).start()
        assert go.wait(60)  # until it is paused
        return 7

    def plan():
        yield Msg("checkpoint")
        found.append((yield from in_thread(work)))
        found.append(threading.get_ident())

    assert run_resuming(engine, plan(), go.set) == 1
    assert found[0] == 7 and len(calls) == 1 and calls[0] != found[1]


@pytest.mark.parametrize("error", [ValueError("odd"), StopIteration("odd")], ids=["any", "stop"])
def test_what_goes_wrong_in_a_thread_goes_wrong_in_the_plan(error):
    engine, _ = make_engine()

    def work():
        raise error

    with pytest.raises((ValueError, RuntimeError), match="odd"):
        engine(in_thread(work))
