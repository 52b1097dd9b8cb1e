"""The camera as one piece: its PVs, its process, what it is told of the beam."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from caproto import SkipWrite

from ...camera import CameraFaults
from .._clock import Clock, InstantClock
from .._pvs import FIELDS
from ._link import CameraLink
from ._pvs import CamPVs, HDF5PVs, text

__all__ = ["Camera"]

log = logging.getLogger("redoxscope.sim")

_FRAME = ("size_x", "size_y", "min_x", "min_y")
_WRITE_OK, _WRITE_ERROR = 0, 1


class Camera:
    """Serves a camera with a file plugin.

    Parameters
    ----------
    prefix : str
        Start of its PV names: ``cam1:`` and ``HDF1:`` come after it.
    clock : Clock
        An acquisition lasts so long by this; with an `InstantClock` frames are counted only.
    beam : callable
        What falls on the sample: true energy (eV), photons/s, zone plate minus focus (um).
    place : callable
        Where on the sample it falls (um).
    options : mapping of str to object
        Of ``python -m redoxscope.sim.camera``.
    size : int
        Pixels of a side.
    data : path
        Folder that ``FilePath`` names at the start.
    """

    def __init__(
        self,
        *,
        prefix: str,
        clock: Clock,
        beam: Callable[[], tuple[float, float, float]],
        place: Callable[[], tuple[float, float]],
        options: Mapping[str, object],
        size: int,
        data: str | os.PathLike[str],
    ):
        self._clock, self._beam, self._place, self._size = clock, beam, place, size
        self._data = f"{Path(data).absolute()}/"
        instant = isinstance(clock, InstantClock)
        self._speed = np.inf if instant else clock.speed
        self.cam = CamPVs(prefix=f"{prefix}cam1:", camera=self)
        self.hdf = HDF5PVs(prefix=f"{prefix}HDF1:", camera=self)
        self._link = CameraLink(
            {**options, "size": size, "instant": instant}, heard=self._heard, ended=self._ended
        )
        self._faults = CameraFaults()
        self._asked: list[str] = []
        self._unheard: list[dict[str, Any]] = []
        self._telling = asyncio.Lock()  # news come out one after the other, as they came in
        self._acquired: asyncio.Future[None] | None = None
        self._captured: asyncio.Future[None] | None = None
        self._told_to_arm = self._told_to_open = False  # its process: it starts before
        self._flushing: deque[asyncio.Future[None]] = deque()
        self._train_over = asyncio.Event()
        self._train, self._gates_made = 0, 0
        self._goes_on: Callable[[], None] | None = None
        self._starting: asyncio.Task[None] | None = None

    @property
    def pvdb(self) -> dict[str, Any]:
        """Every PV by name."""
        return {**self.cam.pvdb, **self.hdf.pvdb}

    @property
    def silent(self) -> bool:
        """Whether it takes no orders."""
        return "silent" in self._faults

    async def begin(self) -> None:
        """Say what it is: frame size, and where files go."""
        for name in ("size_x", "size_y"):
            pair = getattr(self.cam, name)
            for channel in (pair.setpoint, pair.readback, getattr(self.cam, f"max_{name}")):
                await channel.write(self._size, **FIELDS)
        for channel in (self.hdf.file_path.setpoint, self.hdf.file_path.readback):
            await channel.write(self._data, **FIELDS)
        await self._show_sizes()
        await self._look_for_folder()

    # -- faults and the beam --------------------------------------------------------------------

    def request(self, command: str) -> None:
        """Take a fault.

        Raises
        ------
        ValueError
            As `CameraFaults.request`.
        """
        self._faults.request(command)  # here "silent" only counts
        if self._link.running:
            self._link.send("fault", command=command)
        elif command.split() == ["clear"]:
            self._asked.clear()
        else:
            self._asked.append(command)
        if not self.silent and self._unheard:
            self._task = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        async with self._telling:
            while self._unheard and not self.silent:
                await self._take(self._unheard.pop(0))

    def tell_beam(self) -> None:
        """Tell what falls on the sample from now on."""
        if self._link.running:
            energy, flux, defocus = self._beam()
            self._link.send(
                "beam", since=time.monotonic(), energy=energy, flux=flux, defocus=defocus
            )

    async def _start_early(self) -> None:
        try:
            await self._start()
        except Exception:
            log.exception("the camera does not start")
        finally:
            self._starting = None

    async def _start(self) -> None:
        if await self._link.start():
            asked, self._asked = self._asked, []
            for command in asked:
                self._link.send("fault", command=command)
            self._link.send(
                "count",
                acquired=int(self.cam.array_counter.readback.value),
                arrays=int(self.hdf.array_counter.readback.value),
                dropped=int(self.hdf.dropped.readback.value),
            )
            await self.cam.message.write("", **FIELDS)

    # -- orders ---------------------------------------------------------------------------------

    async def changed(self, name: str) -> None:
        """A setting has changed: somebody is going to use it, so have the process ready."""
        if not self._link.running and self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start_early())
        last = name.rpartition(":")[2]
        if last in ("SizeX", "SizeY", "MinX", "MinY"):
            await self._show_sizes()
        elif last in ("FilePath", "CreateDirectory"):
            await self._look_for_folder()
        counter = {
            self.cam.array_counter.setpoint.pvname: ("acquired", self.cam.array_counter),
            self.hdf.array_counter.setpoint.pvname: ("arrays", self.hdf.array_counter),
            self.hdf.dropped.setpoint.pvname: ("dropped", self.hdf.dropped),
        }.get(name)
        if counter is not None:
            self._link.send("count", **{counter[0]: int(counter[1].readback.value)})

    def _roi(self) -> tuple[int, int, int, int]:
        """First column and row, columns and rows: what is asked for, as far as it is there."""
        nx, ny, x0, y0 = (int(getattr(self.cam, name).readback.value) for name in _FRAME)
        x0, y0 = min(x0, self._size - 1), min(y0, self._size - 1)
        return x0, y0, min(nx, self._size - x0), min(ny, self._size - y0)

    async def _show_sizes(self) -> None:
        x0, y0, nx, ny = self._roi()
        for name, value in zip(_FRAME, (nx, ny, x0, y0), strict=True):
            await getattr(self.cam, name).readback.write(value, **FIELDS)
        for channel, value in (
            (self.cam.array_size_x, nx), (self.cam.array_size_y, ny),
            (self.hdf.array_size_0, nx), (self.hdf.array_size_1, ny),
        ):  # fmt: skip
            await channel.write(value, **FIELDS)

    async def _look_for_folder(self) -> None:
        folder = text(self.hdf.file_path.readback.value)
        if folder and int(self.hdf.create_directory.readback.value) and not os.path.isdir(folder):
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as exc:
                # A file that is open goes on: the folder is that of the next.
                await self._say_not_written(f"{folder}: {exc.strerror}")
        there = bool(folder) and os.path.isdir(folder)
        await self.hdf.file_path_exists.write(int(there), **FIELDS)

    async def acquire(self, on: bool) -> int:
        """Acquire, until it is over; or end it."""
        if not on:
            if self._told_to_arm:
                self._link.send("disarm")
            elif self._acquired is not None:  # its process starts yet, and must not arm then
                await self._end_acquisition("Idle")
            raise SkipWrite  # the PV falls when it is over
        if self._acquired is not None:
            raise SkipWrite  # it does already
        over = self._acquired = asyncio.get_running_loop().create_future()
        try:
            await self.cam.acquire.setpoint.write(1, **FIELDS)
            await self.cam.busy.write(1, **FIELDS)
            await self._start()
            if self._acquired is over:
                self._arm()
        except Exception as exc:
            log.exception("the camera cannot acquire")
            await self.cam.message.write(f"{exc}"[:255], **FIELDS)
            if self._acquired is over:
                await self._end_acquisition("Error")
        begun = self._told_to_arm
        await asyncio.shield(over)
        if self._acquired is not None:
            raise SkipWrite  # another has begun
        if not begun:
            await self.cam.busy.write(0, **FIELDS)
        return 0

    def _arm(self) -> None:
        self.tell_beam()
        cam = self.cam
        mode = str(cam.image_mode.readback.value)
        period = max(cam.acquire_time.readback.value, cam.acquire_period.readback.value)
        several = int(cam.num_images.readback.value)
        self._link.send(
            "arm",
            images={"Single": 1, "Continuous": None}.get(mode, several),
            external=str(cam.trigger_mode.readback.value) == "External",
            roi=self._roi(),
            time_s=float(cam.acquire_time.readback.value),
            period=float(period) / self._speed,
            begin=time.monotonic(),
            at=self._place(),
            handed_on=self._handed_on(),
        )
        self._told_to_arm = True

    def _handed_on(self) -> bool:
        """Whether the plugin gets the frames."""
        switches = (self.cam.array_callbacks, self.hdf.callbacks)
        return all(str(one.readback.value) == "Enable" for one in switches)

    async def _end_acquisition(self, state: str) -> None:
        over, self._acquired = self._acquired, None
        self._told_to_arm = False
        await self.cam.state.write(state, **FIELDS)
        await self.cam.acquire.readback.write(0, **FIELDS)
        await self.cam.acquire.setpoint.write(0, **FIELDS)
        if over is not None and not over.done():
            over.set_result(None)

    async def capture(self, on: bool) -> int:
        """Write what comes into a file, until it is closed; or close it."""
        over = self._captured
        if not on:
            if self._told_to_open:
                self._link.send("close")
            elif over is not None:  # its process starts yet, and must not open it then
                await self._end_capture()
            if over is not None:
                await asyncio.shield(over)
            return 0
        if over is not None:
            raise SkipWrite
        over = self._captured = asyncio.get_running_loop().create_future()
        try:
            path = self._next_file()
            await self._start()
            if self._captured is over:
                self._open(path)
        except Exception as exc:
            if not isinstance(exc, ValueError | OSError):  # those are a client's or a fault's
                log.exception("the camera cannot write")
            if self._captured is over:
                await self._write_failed(str(exc))
        await asyncio.shield(over)
        if self._captured is not None:
            raise SkipWrite  # another has begun
        return 0

    def _open(self, path: str) -> None:
        hdf = self.hdf
        _, _, nx, ny = self._roi()
        self._link.send(
            "open",
            path=path,
            shape=(ny, nx),
            frames=int(hdf.num_capture.readback.value) or None,
            swmr=str(hdf.swmr_mode.readback.value) == "On",
            flush=int(hdf.flush_frames.readback.value),
        )
        self._told_to_open = True

    def _next_file(self) -> str:
        hdf = self.hdf
        mode = str(hdf.write_mode.readback.value)
        if mode != "Stream":
            raise ValueError(f"FileWriteMode {mode}: this plugin streams only")
        folder = text(hdf.file_path.readback.value)
        if not os.path.isdir(folder):
            raise ValueError(f"FilePath {folder!r}: there is no such folder")
        template = text(hdf.file_template.readback.value)
        name = text(hdf.file_name.readback.value)
        try:
            return template % (folder, name, int(hdf.file_number.readback.value))
        except (TypeError, ValueError) as exc:
            raise ValueError(f"FileTemplate {template!r}: {exc}") from exc

    async def flush(self) -> None:
        """Let readers see what was written."""
        if self._captured is not None and self._link.running:
            flushed = asyncio.get_running_loop().create_future()
            self._flushing.append(flushed)
            self._link.send("flush")
            await flushed

    # -- the path -------------------------------------------------------------------------------

    async def gates(
        self, series: int, begin: float, *, x: list[float], y: list[float], gate: list[float],
        end: list[float],
    ) -> None:  # fmt: skip
        """Gates of a path to come.

        Parameters
        ----------
        series : int
        begin : float
            When it begins (s, monotonic).
        x, y : list of float
            Where on the sample each frame is taken (um).
        gate : list of float
            Its exposure (s).
        end : list of float
            When it is over, by the beamline's clock from the begin (s).
        """
        self._train, self._gates_made = series, 0
        self._train_over.clear()
        if not self._link.running:
            self._train_over.set()
            return
        self.tell_beam()
        self._link.send(
            "train", series=series, begin=begin, x=x, y=y, gate=gate,
            end=[float(value) / self._speed for value in end],
        )  # fmt: skip

    async def gates_over(self, goes_on: Callable[[], None]) -> None:
        """Wait until each gate's frame has been made: a slow computer is not to lose any.

        Parameters
        ----------
        goes_on : callable
            Called whenever more of them have been made.
        """
        self._goes_on = goes_on
        try:
            await self._train_over.wait()
        finally:
            self._goes_on = None

    def cut(self) -> None:
        """The path has been ended."""
        self._link.send("cut", when=time.monotonic())

    # -- what is heard --------------------------------------------------------------------------

    async def _heard(self, said: dict[str, Any]) -> None:
        event, counts = said["event"], said["counts"]
        if counts["series"] == self._train:
            if counts["index"] > self._gates_made and self._goes_on is not None:
                self._goes_on()
            self._gates_made = counts["index"]
            if event == "train_over":
                self._train_over.set()
        if self.silent and self._unheard and self._unheard[-1]["event"] == event == "progress":
            self._unheard.pop()
        self._unheard.append(said)
        await self._catch_up()

    async def _take(self, said: dict[str, Any]) -> None:
        """Show what it says."""
        event, counts = said["event"], said["counts"]
        for channel, name in (
            (self.cam.images_counter, "images"),
            (self.cam.array_counter.readback, "acquired"),
            (self.hdf.array_counter.readback, "arrays"),
            (self.hdf.dropped.readback, "dropped"),
            (self.hdf.unique_id, "unique_id"),
            (self.hdf.num_captured, "captured"),
        ):
            if channel.value != counts[name]:
                await channel.write(counts[name], **FIELDS)
        handler = getattr(self, f"_on_{event}", None)
        if handler is not None:
            await handler(said)
        waits = str(self.cam.wait_for_plugins.value) == "Yes" and said["queued"]
        if self._acquired is None and not waits and str(self.cam.busy.value) != "Done":
            await self.cam.busy.write(0, **FIELDS)

    async def _on_armed(self, said: dict[str, Any]) -> None:
        external = str(self.cam.trigger_mode.readback.value) == "External"
        await self.cam.state.write("Waiting" if external else "Acquire", **FIELDS)
        await self.cam.acquire.readback.write(1, **FIELDS)

    async def _on_failed(self, said: dict[str, Any]) -> None:
        log.error("the camera gives up: %s", said["text"])
        await self.cam.message.write(said["text"][:255], **FIELDS)
        await self._end_acquisition("Error")

    async def _on_done(self, said: dict[str, Any]) -> None:
        await self._end_acquisition("Idle")

    async def _on_opened(self, said: dict[str, Any]) -> None:
        hdf = self.hdf
        if self._captured is None:
            return
        await hdf.full_file_name.write(said["path"], **FIELDS)
        if str(hdf.auto_increment.readback.value) == "Yes":
            number = int(hdf.file_number.readback.value) + 1
            for channel in (hdf.file_number.setpoint, hdf.file_number.readback):
                await channel.write(number, **FIELDS)
        await hdf.write_status.write(_WRITE_OK, **FIELDS)
        await hdf.write_message.write("", **FIELDS)
        await hdf.num_captured.write(0, **FIELDS)
        swmr = str(hdf.swmr_mode.readback.value) == "On"
        await hdf.swmr_active.write(int(swmr), **FIELDS)
        await hdf.capture.setpoint.write(1, **FIELDS)
        await hdf.capture.readback.write(1, **FIELDS)

    async def _on_flushed(self, said: dict[str, Any]) -> None:
        if self._flushing:  # it answers each order, in turn
            flushed = self._flushing.popleft()
            if not flushed.done():
                flushed.set_result(None)

    async def _on_closed(self, said: dict[str, Any]) -> None:
        await self._end_capture()

    async def _on_write_error(self, said: dict[str, Any]) -> None:
        await self._write_failed(said["text"])

    async def _write_failed(self, why: str) -> None:
        await self._say_not_written(why)
        await self._end_capture()

    async def _say_not_written(self, why: str) -> None:
        await self.hdf.write_message.write(why[:255], **FIELDS)
        await self.hdf.write_status.write(_WRITE_ERROR, **FIELDS)

    async def _end_capture(self) -> None:
        over, self._captured = self._captured, None
        self._told_to_open = False
        await self.hdf.swmr_active.write(0, **FIELDS)
        await self.hdf.capture.readback.write(0, **FIELDS)
        await self.hdf.capture.setpoint.write(0, **FIELDS)
        if over is not None and not over.done():
            over.set_result(None)

    async def _ended(self, status: int) -> None:
        """The process has ended by itself: what a client sees when a camera's power goes."""
        why = f"the camera is disconnected (status {status})"
        self._train_over.set()
        await self.cam.message.write(why, **FIELDS)
        while self._flushing:
            await self._on_flushed({})
        if self._captured is not None:
            await self._write_failed(why)
        await self._end_acquisition("Disconnected")
        await self.cam.busy.write(0, **FIELDS)
