"""The camera's PVs without its process: what it says is told by hand."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from redoxscope.sim.ioc._clock import InstantClock
from redoxscope.sim.ioc.camera import Camera

COUNTS = (
    "acquired", "images", "arrays", "captured", "dropped", "unique_id", "series", "index",
)  # fmt: skip


class World:
    def __init__(self, tmp_path):
        self.sent = []
        self.camera = Camera(
            prefix="Cam:", clock=InstantClock(), beam=lambda: (640.0, 1e6, 0.0),
            place=lambda: (0.0, 0.0), options={}, size=64, data=tmp_path,
        )  # fmt: skip

        async def start():
            return False

        self.camera._link = SimpleNamespace(
            running=True, send=lambda do, **order: self.sent.append(do), start=start
        )

    def get(self, name):
        pv = self.camera.pvdb[f"Cam:{name}"]
        words = getattr(pv, "enum_strings", ())
        return words[pv.value] if words and not isinstance(pv.value, str) else pv.value

    async def put(self, name, value):
        await self.camera.pvdb[f"Cam:{name}"].write(value)

    async def hear(self, event, *, path="", **counts):
        said = {"event": event, "queued": 0, "counts": {**dict.fromkeys(COUNTS, 0), **counts}}
        said |= {"path": path} if path else {}
        await self.camera._heard(said)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_what_was_kept_back_comes_before_what_is_said_after_the_silence(world):
    async def told():
        world.camera.request("silent")
        await world.hear("armed")
        await world.hear("progress", acquired=1)
        await world.hear("progress", acquired=2)
        assert world.get("cam1:ArrayCounter_RBV") == 0
        world.camera.request("clear")
        await world.hear("done", acquired=5)
        await world.camera._task
        assert world.get("cam1:ArrayCounter_RBV") == 5
        assert world.get("cam1:Acquire_RBV") == "Done"
        assert world.get("cam1:DetectorState_RBV") == "Idle"

    asyncio.run(told())


def test_a_folder_that_cannot_be_made_does_not_end_the_file_that_is_open(world, tmp_path):
    async def told():
        await world.camera.hdf.capture.readback.write(
            "Capture", verify_value=False, update_fields=False
        )
        world.camera._captured = asyncio.get_running_loop().create_future()
        (tmp_path / "file").write_text("no folder")
        await world.put("HDF1:CreateDirectory", -1)
        await world.put("HDF1:FilePath", f"{tmp_path}/file/below")
        assert world.get("HDF1:WriteStatus") == "Write error"
        assert world.get("HDF1:Capture_RBV") == "Capture"
        assert not world.camera._captured.done()

    asyncio.run(told())


def test_each_order_to_flush_is_answered(world):
    async def told():
        world.camera._captured = asyncio.get_running_loop().create_future()
        orders = [asyncio.create_task(world.put("HDF1:FlushNow", 1)) for _ in range(2)]
        while world.sent != ["flush", "flush"]:
            await asyncio.sleep(0)
        await world.hear("flushed")
        await world.hear("flushed")
        await asyncio.wait_for(asyncio.gather(*orders), 30)

    asyncio.run(told())


def test_whoever_waits_for_the_frames_of_a_path_hears_that_they_go_on(world):
    async def told():
        heard = []
        train = {"x": [0.0] * 3, "y": [0.0] * 3, "gate": [0.01] * 3, "end": [0.1, 0.2, 0.3]}
        await world.camera.gates(7, 0.0, **train)
        over = asyncio.create_task(world.camera.gates_over(lambda: heard.append(1)))
        await asyncio.sleep(0)
        await world.hear("progress", series=6, index=3)  # of the path before
        assert not heard
        await world.hear("progress", series=7, index=1)
        await world.hear("progress", series=7, index=1)
        assert len(heard) == 1 and not over.done()
        await world.hear("train_over", series=7, index=3)
        await asyncio.wait_for(over, 30)

    asyncio.run(told())


class SlowLink:
    """A process that starts when it is told to."""

    def __init__(self):
        self.running, self.starts, self.started = False, asyncio.Event(), asyncio.Event()
        self.sent = []

    async def start(self):
        self.starts.set()
        await self.started.wait()
        first, self.running = not self.running, True
        return first

    def send(self, do, **order):
        if self.running:
            self.sent.append(do)


@pytest.mark.parametrize(
    ("name", "order"), [("cam1:Acquire", "arm"), ("HDF1:Capture", "open")], ids=["arm", "open"]
)
def test_what_is_ended_while_the_process_starts_is_not_begun_then(world, name, order):
    async def told():
        link, camera = SlowLink(), world.camera
        camera._link = link
        await camera.begin()
        await world.put("HDF1:FileWriteMode", "Stream")
        begun = asyncio.create_task(world.put(name, 1))
        await link.starts.wait()
        while camera._acquired is None and camera._captured is None:
            await asyncio.sleep(0)
        await asyncio.wait_for(world.put(name, 0), 30)
        link.started.set()
        await asyncio.wait_for(begun, 30)
        assert order not in link.sent
        assert world.get(name) == world.get(f"{name}_RBV") == "Done"
        assert world.get("cam1:AcquireBusy") == "Done"
        again = asyncio.create_task(world.put(name, 1))
        while order not in link.sent:
            await asyncio.sleep(0)
        await world.hear("armed" if order == "arm" else "opened", path="/tmp/a.h5")
        assert world.get(f"{name}_RBV") != "Done"
        ending = asyncio.create_task(world.put(name, 0))
        await asyncio.sleep(0)
        await world.hear("done" if order == "arm" else "closed")
        await asyncio.wait_for(asyncio.gather(again, ending), 30)
        assert world.get(name) == world.get(f"{name}_RBV") == "Done"

    asyncio.run(asyncio.wait_for(told(), 60))


def test_a_file_that_is_closed_as_it_opens_does_not_seem_open(world):
    async def told():
        await world.camera.begin()
        await world.put("HDF1:FileWriteMode", "Stream")
        begun = asyncio.create_task(world.put("HDF1:Capture", 1))
        while "open" not in world.sent:
            await asyncio.sleep(0)
        ending = asyncio.create_task(world.put("HDF1:Capture", 0))
        while "close" not in world.sent:
            await asyncio.sleep(0)
        await world.hear("opened", path="/tmp/a.h5")
        await world.hear("closed")
        await asyncio.wait_for(asyncio.gather(begun, ending), 30)
        assert world.get("HDF1:Capture") == world.get("HDF1:Capture_RBV") == "Done"

    asyncio.run(told())
