"""The path scanner's PVs without a network."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace

import numpy as np
import pytest

from redoxscope.sim.ioc._clock import InstantClock
from redoxscope.sim.ioc._faults import Faults
from redoxscope.sim.ioc._path import MAX_FRAMES, Path, gate_ends


class Shutter:
    def __init__(self):
        self.told, self.wound = [], 0

    async def follow(self, is_open):
        self.told.append(is_open)

    def expect_line(self, flying):
        self.wound += 1


class Camera:
    def __init__(self):
        self.trains = []

    async def gates(self, series, begin, **arrays):
        self.trains.append((series, arrays))

    async def gates_over(self, goes_on):
        pass

    def cut(self):
        self.trains.append("cut")


def stage(x, y, when):
    """The interferometer reads 0.1 um more than is true."""
    return SimpleNamespace(measured_x=x + 0.1, measured_y=y, actual_x=x, actual_y=y)


def bench():
    """What the path asks of the beamline; the coarse stage stands at 5, 7 um."""
    motor = SimpleNamespace(motor=SimpleNamespace(lower_ctrl_limit=-15.0, upper_ctrl_limit=15.0))
    return SimpleNamespace(
        scanner=SimpleNamespace(flies=False),
        motors={"Sample:FineX": motor, "Sample:FineY": motor},
        shutter=Shutter(),
        coarse=lambda: (5.0, 7.0),
        positions=stage,
    )


class World:
    def __init__(self):
        self.bench, self.camera, self.faults = bench(), Camera(), Faults()
        self.path = Path(
            prefix="", bench=self.bench, camera=self.camera, clock=InstantClock(),
            faults=self.faults, seed=1,
        )  # fmt: skip
        self.pvs = self.path.pvdb

    def get(self, name):
        return self.pvs[name].value

    async def put(self, **values):
        for name, value in values.items():
            await self.pvs[name].write(value)

    async def fly(self, **values):
        good = {"X": [0.0, 1.0, 2.0], "Y": [0.0, 0.0, 1.0], "N": 3, "Times": [0.01, 0.1],
                "NTimes": 2, "Settle": 0.005, "Series": 4}  # fmt: skip
        await self.put(**{**good, **values})
        await self.put(Start=1)
        if self.path._task is not None:
            await asyncio.wait([self.path._task])


def test_gates_come_place_by_place_and_what_was_measured_is_there_before_the_end():
    world = World()
    asyncio.run(world.fly())
    ((series, train),) = world.camera.trains
    assert series == world.get("Series_RBV") == world.get("Done_RBV") == 4
    assert train["x"] == [5, 5, 6, 6, 7, 7] and train["y"] == [7, 7, 7, 7, 8, 8]
    np.testing.assert_allclose(train["gate"], [0.01, 0.1] * 3, rtol=0.01)
    np.testing.assert_allclose(world.get("XMeasured"), [5.1, 5.1, 6.1, 6.1, 7.1, 7.1])
    np.testing.assert_allclose(world.get("Gate"), train["gate"])
    assert world.get("Index_RBV") == 6 and world.get("State_RBV") == "Idle"
    assert world.bench.shutter.told == [True, False]


def test_a_place_takes_its_settling_and_no_gate_comes_faster_than_the_camera():
    ends = gate_ends(2, np.array([0.001, 0.1]), 0.02, rate=100.0)
    np.testing.assert_allclose(ends, [0.021, 0.13, 0.151, 0.26])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"N": 0}, "N = 0 is outside 1 to"),
        ({"N": 4}, "X has 3 values, and 4 are asked for"),
        ({"NTimes": 5}, "NTimes = 5 is outside 1 to 4"),
        ({"Times": [0.01, np.nan]}, r"Times\[1\] = nan s is outside"),
        ({"X": [0.0, 15.5, 0.0]}, r"X\[1\] = 15.5 um is outside -15 to 15 um"),
        ({"Settle": -1.0}, "Settle = -1 s"),
        ({"N": MAX_FRAMES, "X": [0.0] * MAX_FRAMES, "Y": [0.0] * MAX_FRAMES}, "more than"),
    ],
)
def test_what_it_cannot_drive_is_named_and_no_gate_comes(wrong, words):

    world = World()
    asyncio.run(world.fly(**wrong))
    assert world.get("State_RBV") == "Error" and world.get("Done_RBV") == 0
    assert re.search(words, "".join(world.get("Message")))
    assert world.camera.trains == [] and True not in world.bench.shutter.told


def test_the_raster_scanner_has_the_stage_or_the_path():
    world = World()
    world.bench.scanner.flies = True
    asyncio.run(world.fly())
    assert world.get("State_RBV") == "Error" and "raster" in "".join(world.get("Message"))


def test_an_abort_takes_the_gates_back_and_closes_the_shutter():
    world = World()
    world.faults.request("path_hang")

    async def flown():
        await world.put(X=[0.0, 1.0], Y=[0.0, 0.0], N=2, Times=[0.01], NTimes=1, Series=3)
        await world.put(Start=1)
        while not world.camera.trains:
            await asyncio.sleep(0)
        assert world.path.runs
        await world.put(Abort=1)

    asyncio.run(flown())
    assert world.camera.trains[-1] == "cut" and world.get("State_RBV") == "Idle"
    assert world.bench.shutter.told[-1] is False and world.get("Done_RBV") == 0


def test_a_path_that_ends_with_an_error_says_so():
    world = World()
    world.faults.request("path_error")
    asyncio.run(world.fly())
    assert world.get("State_RBV") == "Error" and "following error" in "".join(world.get("Message"))
    assert world.bench.shutter.told[-1] is False


def test_the_dead_man_is_wound_up_as_long_as_frames_are_still_being_made():
    """A slow computer makes them long after the last gate."""
    world = World()
    wound = []

    async def slowly(goes_on):
        for _ in range(3):
            wound.append(world.bench.shutter.wound)
            goes_on()

    world.camera.gates_over = slowly
    asyncio.run(world.fly())
    assert wound == [wound[0], wound[0] + 1, wound[0] + 2]
    assert world.get("State_RBV") == "Idle" and world.bench.shutter.told == [True, False]
