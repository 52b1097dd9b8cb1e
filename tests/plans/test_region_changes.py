"""What comes between two regions: pauses, other clients, outages, a stage that is stuck."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky import Msg
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineInterrupted
from ophyd.status import Status

from redoxscope.devices import DeviceError
from redoxscope.plans import energy_stack, execute
from redoxscope.scan import Frame, Outer, Region, Scan
from redoxscope.testing import (
    FakeAxis,
    FakeMicroscope,
    make_engine,
    paused_after,
    run_resuming,
    validate_run,
)

A = Region((0.0, 0.0), (2.0, 3.0), (4, 3), "A")
B = Region((60.0, -40.0), (1.0, 2.0), (6, 2), "B")
NEAR = Region((9.0, 1.0), (1.0, 2.0), (6, 2), "near")
ENERGIES = [640.0, 641.0]


class Bench:
    """A stack of regions that are far apart, in no time."""

    def __init__(self, regions=(A, B), **scanner):
        self.regions = regions
        self.stxm = FakeMicroscope(**scanner)
        self.engine, self.documents = make_engine()

    def plan(self):
        return energy_stack(self.stxm, energies=ENERGIES, regions=self.regions)

    def messages(self):
        seen = []
        self.engine.msg_hook = seen.append
        self.engine(self.plan())
        return seen

    def lines(self, stream):
        """Frame and line of each event of a region."""
        return [(r["frame"], r["line"]) for r in self.documents.rows(stream).values()]

    def check_places(self):
        """Every line that there is was taken where it belongs."""
        for region in self.regions:
            (x0, x1), (y0, y1) = region.extents
            nx, ny = region.pixels
            for row in self.documents.rows(region.name).values():
                np.testing.assert_allclose(row["sample_x"], np.linspace(x0, x1, nx))
                y = np.linspace(y0, y1, ny)[row["line"]]
                np.testing.assert_allclose(row["sample_y"], y)

    def check(self):
        self.documents.validate()
        validate_run(self.documents)
        for i, region in enumerate(self.regions):
            frames = [i + len(self.regions) * k for k in range(len(ENERGIES))]
            wanted = [(frame, line) for frame in frames for line in range(region.pixels[1])]
            assert self.lines(region.name) == wanted
        self.check_places()
        assert self.stxm.scanner.dark == []
        assert self.documents.stop["exit_status"] == "success"
        assert not self.stxm.shutter.beam


def numbers(command=None, last="close_run"):
    """Numbers of a run's messages (of one command)."""
    commands = [msg.command for msg in Bench().messages()]
    span = range(commands.index("checkpoint"), commands.index(last))
    return [n for n in span if command in (None, commands[n])]


@pytest.mark.parametrize("number", numbers())
def test_paused_after_any_message(number):
    bench = Bench()
    assert run_resuming(bench.engine, paused_after(bench.plan(), number)) == 1
    bench.check()


@pytest.mark.parametrize("pauses", [range(8, 120, 2), range(9, 120, 3), (11, 12, 13, 14, 15)])
def test_paused_again_and_again(pauses):
    bench = Bench()
    assert run_resuming(bench.engine, paused_after(bench.plan(), pauses)) > 4
    bench.check()


@pytest.mark.parametrize("number", range(3))
def test_paused_while_the_coarse_stage_moves(number):
    """It stands anywhere then, and its move has ended well."""
    bench = Bench()
    axis, asked = bench.stxm.sample_stage.x, []
    move = axis.set

    def move_and_pause(target):
        asked.append(target)
        axis.prompt = len(asked) != number + 1
        if not axis.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        return move(target)

    axis.set = move_and_pause
    assert run_resuming(bench.engine, bench.plan()) == 1
    bench.check()
    assert len(asked) > 3  # to B, back to A, to B; one of them again


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("number", numbers("prepare"))
def test_who_moves_the_stage_in_a_pause_moves_no_region(number, before):
    """The raster was, or is just being, told to the scanner; it was meant for another place."""
    bench = Bench()

    def jogged():
        bench.stxm.sample_stage.x.position += 3.0
        bench.stxm.sample_stage.y.position -= 1.0

    assert run_resuming(bench.engine, paused_after(bench.plan(), number - before), jogged) == 1
    bench.check()


@pytest.mark.parametrize("regions", [(A, NEAR), (A, B)], ids=["near", "far"])
def test_who_moves_the_stage_between_two_regions_moves_no_region(regions):
    bench = Bench(regions)

    def jog(msg):
        if msg.command == "complete":
            bench.stxm.sample_stage.x.position += 3.0

    bench.engine.msg_hook = jog
    bench.engine(bench.plan())
    bench.check()


def test_a_stage_that_is_stuck_ends_the_run_and_lines_of_the_first_region_are_kept():
    bench = Bench()

    def stuck(position):
        status = Status()
        status.set_exception(DeviceError(f"coarse_y stopped at 1 um, not at {position:g} um"))
        return status

    bench.stxm.sample_stage.y.set = stuck
    with pytest.raises(DeviceError, match="coarse_y stopped at 1 um, not at -40 um"):
        bench.engine(bench.plan())
    assert bench.lines("A") == [(0, 0), (0, 1), (0, 2)]
    assert list(bench.documents.rows("B")) == []
    assert bench.documents.stop["exit_status"] == "fail"
    assert "coarse_y stopped at 1 um" in bench.documents.stop["reason"]
    assert not bench.stxm.shutter.beam and not bench.stxm.scanner._open


def test_aborted_in_the_second_region_its_lines_are_kept():
    """One was collected; the other one had been flown when the abort came."""
    bench = Bench()
    triggered = []

    def pause(msg):
        if msg.command == "wait" and msg.kwargs["group"] == "lines" and "B" in streams:
            triggered.append(msg)
            if len(triggered) == 2:
                return None, bpp.single_gen(Msg("pause"))
        return None, None

    streams = set()
    bench.engine.subscribe(lambda _, doc: streams.add(doc["name"]), "descriptor")
    with pytest.raises(RunEngineInterrupted):
        bench.engine(bpp.plan_mutator(bench.plan(), pause))
    bench.engine.abort("enough")
    assert bench.lines("A") == [(0, 0), (0, 1), (0, 2)]
    assert bench.lines("B") == [(1, 0), (1, 1)]
    bench.check_places()
    stop = bench.documents.stop
    assert (stop["exit_status"], stop["reason"]) == ("abort", "enough")
    assert not bench.stxm.shutter.beam


@pytest.mark.parametrize("region", [1, 2])
def test_an_outage_while_a_stream_is_declared_is_outlasted(region):
    """The optics are asked for the descriptor of each region."""
    bench = Bench()
    part, asked, errors = FakeAxis("osa"), [], []
    part.read_configuration = part.describe_configuration = dict
    read = part.read

    def silent_once():
        asked.append(1)
        if len(asked) == region:
            raise TimeoutError("osa does not answer")
        return read()

    def back_after(error):
        errors.append(str(error))
        status = Status()
        status.set_finished()
        status.name = "osa"
        return status

    part.read, bench.stxm.fixed_parts = silent_once, [part]
    bench.stxm.back_after = back_after
    bench.engine(bench.plan())
    bench.check()
    assert errors == ["osa does not answer"]
    assert [d["name"] for d in bench.documents.named("descriptor")] == ["A", "B"]


def test_what_an_outer_loop_set_is_asked_for_again_after_a_pause():
    """A pause stops all that was set, a heater that has long arrived among it."""
    frames = [Frame(energy, 0.01, outer=(300.0,)) for energy in ENERGIES]
    region = Region((0, 0), (2, 2), (4, 3))
    scan = Scan(regions=(region,), frames=frames, outer=(Outer("temperature", "degC"),))
    bench, heater = Bench(), FakeAxis("heater", 20.0, unit="degC")
    engine, triggered = bench.engine, []
    plan = execute(bench.stxm, scan, axes={"temperature": heater})

    def pause(msg):
        if msg.command == "trigger":
            triggered.append(msg)
            if len(triggered) == 2:
                return None, bpp.single_gen(Msg("pause"))
        return None, None

    assert run_resuming(engine, bpp.plan_mutator(plan, pause)) == 1
    assert heater.targets == [300.0, 300.0]
    assert len(bench.documents.rows()) == 6
