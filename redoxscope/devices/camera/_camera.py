"""An area detector: frames by the number, written by its own IOC, and found again."""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd.status import Status

from ...scan import Exposures
from .._base import BeamlineDevice, DeviceError, Move, answering, ask, logged, put_now
from .._numbers import positive, zero_or_more
from .._setting import Setting
from .._waiting import AbandonedError, differing, wait_until, write
from .._watched import Way, watchable
from ._folders import Folders, text
from ._images import FrameRows
from ._pairing import CountedFrames, paired
from ._plugins import CameraDriver, FrameWriter
from ._rows import FrameFile

__all__ = ["AreaDetectorCamera", "camera_class"]

log = logging.getLogger("redoxscope.devices")

MULTIPLE, STREAM = 1, 2
PATIENCE = 5.0
"""Time (s) in which a further frame, or a further row on disk, has to come."""
LOOK_EVERY = 0.02
"""Time (s) between two looks at the file."""
TEMPLATE = "%s%s_%6.6d.h5"
MADE = 5
"""Most folders, one in the other, that the plugin makes."""


class AreaDetectorCamera(BeamlineDevice):
    """EPICS areaDetector camera with its HDF5 plugin: frames detector of plans.

    Frames are armed by the number (`arm`), and each begins with a gate from outside or follows the
    one before. Its IOC writes them to one HDF5 file for a run, which is read while it grows
    (SWMR). `count` says which row is which frame, by the number that the camera gives each, after
    what is on disk was looked at: that a camera is done does not mean that its frames are written.

    Connecting changes nothing. `stage` writes how frames are taken and written, and `unstage`
    writes back what was there, but for folder, name and template of files.

    Parameters
    ----------
    path : str
        Folder for files, as the camera's computer sees it; empty: that which its plugin has.
    read_path : str
        The same folder as this computer sees it; empty: the same name.
    external, internal : str
        What its driver calls a trigger mode with a gate for each frame, and one without.
    readout : float
        Longest time (s) from the end of a gate until the camera has counted its frame.
    time_limit : float
        Longest time (s) for an order to be taken, and for the file to be there.
    """

    cam = Cpt(CameraDriver, "cam1:", kind="omitted", doc="what takes frames")
    hdf1 = Cpt(FrameWriter, "HDF1:", kind="omitted", doc="what writes them")
    dwell = Cpt(
        Setting, value=0.1, check=positive, unit="s", kind="config",
        doc="exposure of a frame that is triggered by itself",
    )  # fmt: skip
    write_path = Cpt(Setting, value="", check=text, kind="config", doc="folder, as its IOC sees it")
    read_path = Cpt(Setting, value="", check=text, kind="config", doc="the same, as seen from here")
    readout = Cpt(
        Setting, value=0.05, check=zero_or_more, unit="s", kind="config",
        doc="longest time from the end of a gate until its frame is counted",
    )  # fmt: skip
    time_limit = Cpt(
        Setting, value=30.0, check=positive, unit="s", kind="config",
        doc="longest time for an order to be taken, and for the file to be there",
    )  # fmt: skip

    keeps = True
    """Whether its frames stay on a disk, and have to fit; those of a dry run do not."""

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        path: str = "",
        read_path: str = "",
        external: str = "External",
        internal: str = "Internal",
        readout: float = 0.05,
        time_limit: float = 30.0,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"detectors"})
        super().__init__(prefix, name=name, **kwargs)
        self.write_path.put(path)
        self.read_path.put(read_path)
        self.readout.put(readout)
        self.time_limit.put(time_limit)
        self._modes = {"external": external, "internal": internal}
        self._orders = threading.RLock()
        self._found: dict[Any, Any] = {}
        self._armed = (0, 0, 0)
        self._gated = False
        self._handled = 0
        self._told_to_acquire = False
        self._files = threading.Lock()  # one opens its file, or closes it
        self._last = threading.Lock()  # never held while anything is waited for
        self._opening: Move | None = None
        self._arming: Move | None = None
        self._taking: Move | None = None
        self.images = FrameRows(f"{name}_image")
        self._news = threading.Event()
        hdf = self.hdf1
        for signal in (
            self.cam.array_counter, hdf.num_captured, hdf.dropped_arrays, hdf.write_status,
        ):  # fmt: skip
            signal.subscribe(lambda **_: self._news.set(), run=False)

    # -- what it is ------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame, as the driver says."""
        return int(self.cam.rows.get()), int(self.cam.columns.get())

    @property
    def frames(self) -> int:
        """Frames that are in the file of this run."""
        return self.images.get_index()

    @property
    def acquired(self) -> int:
        """Frames that the camera has counted since it was armed."""
        return int(self.cam.array_counter.get()) - self._armed[1]

    @property
    def written(self) -> int:
        """Frames that the plugin has written to the file of this run."""
        return int(self.hdf1.num_captured.get())

    def signals(self) -> Sequence[Any]:
        """What it cannot do without."""
        cam, hdf = self.cam, self.hdf1
        return [cam.acquire, cam.array_counter, cam.num_images, hdf.capture, hdf.num_captured]

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where frames failed for lack of an answer; else None."""
        return answering(self.name, self.signals(), error)

    # -- checks ----------------------------------------------------------------------------

    def check_exposures(self, exposures: Sequence[Exposures]) -> None:
        """Refuse what it cannot do; nothing is written.

        Raises
        ------
        DeviceError
            Its plugin is not one that writes HDF5, gets its frames from elsewhere, or was never
            given a frame.
        ValueError
            The disk is too small for the frames.
        """
        self.check_ready(sum(len(part.positions) * len(part.times) for part in exposures))

    def check_ready(self, frames: int) -> None:
        """Refuse so many frames where they could not be written; as `check_exposures`."""
        cam, hdf = self.cam, self.hdf1
        kind = str(hdf.plugin_type.get())
        if not kind.startswith("NDFileHDF5"):
            raise DeviceError(
                f"{self.name}: {hdf.plugin_type.pvname} is {kind!r}; a plugin NDFileHDF5 is needed"
            )
        if str(hdf.nd_array_port.get()) != str(cam.port_name.get()):
            raise DeviceError(
                f"{self.name}: {hdf.nd_array_port.pvname} is {hdf.nd_array_port.get()!r}, not the "
                f"camera's port {cam.port_name.get()!r}: it would write other frames"
            )
        seen = int(hdf.height.get()), int(hdf.width.get())
        if seen != self.shape:
            raise DeviceError(
                f"{self.name}: its plugin has seen frames of {seen[0]} x {seen[1]} pixels and the "
                f"camera's are {self.shape[0]} x {self.shape[1]}: take one frame by hand, with the "
                "plugin enabled, so that it knows them"
            )
        if not self.keeps:
            return
        here = self._folders().here
        # Folders that the plugin makes are on the disk of the one in which it makes them.
        # A root is there also where what is mounted below it is not.
        around = (one for one in (here, *here.parents[:MADE]) if one.is_absolute())
        known = (one for one in around if one != one.parent and one.is_dir())
        folder = next(known, None)
        if folder is None:
            return  # whether it can be read from here is seen when the file is there
        rows, columns = self.shape
        size = pixel_bytes(str(cam.data_type.get()))
        needed, free = frames * rows * columns * size, shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"{self.name}: {frames} frames are {needed / 1e9:.3g} GB, more than the "
                f"{free / 1e9:.3g} GB that are free in {folder}"
            )

    def _folders(self) -> Folders:
        there = self.write_path.get() or str(self.hdf1.file_path.get())
        return Folders.of(self.name, there, self.read_path.get())

    # -- a run -----------------------------------------------------------------------------

    def stage(self) -> Status:
        """Open a file.

        Returns
        -------
        ophyd.status.Status
            Done when the file is there and can be read from here; fails with `DeviceError`.
        """
        super().stage()
        what = f"{self.name} ({self.hdf1.capture.pvname}) opening a file"
        self._opening = opening = Move(what, 4 * self.time_limit.get())
        return self._begun(opening, self._open)

    def unstage(self) -> Status:
        """Disarm it, close the file, and write back what `stage` found.

        Returns
        -------
        ophyd.status.Status
            Done when the file is closed; what fails is logged, for it must not hide what ended
            the plan.
        """
        self.pause()
        super().unstage()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.end()  # what is not wanted any more is no failure of its own

        what = f"{self.name} ({self.hdf1.capture.pvname}) closing its file"
        return self._in_thread(what, 20 * self.time_limit.get(), lambda _: self._close())

    def _in_thread(self, what: str, limit: float, work: Callable[[Move], None]) -> Move:
        """Do what waits for servers; the RunEngine's thread must not."""
        return self._begun(Move(what, limit), work)

    def _begun(self, move: Move, work: Callable[[Move], None]) -> Move:
        def step() -> None:
            try:
                work(move)
            except AbandonedError:
                pass
            move.end()

        threading.Thread(target=move.attempt, args=(step,), daemon=True, name=self.name).start()
        return move

    def _open(self, move: Move) -> None:
        with self._files:
            self._open_file(move)

    def _open_file(self, move: Move) -> None:
        cam, hdf, limit = self.cam, self.hdf1, self.time_limit.get()
        self._check_wanted(move)
        for signal in (cam.acquire, hdf.capture):
            if int(ask(signal)):
                log.warning(
                    "%s: %s was on, left by somebody; it is ended", self.name, signal.pvname
                )
                self._off(signal)
        self.check_ready(0)
        folders = self._folders()
        self._write(
            {
                hdf.create_directory: -MADE,
                cam.image_mode: MULTIPLE,
                cam.num_exposures: 1,
                cam.num_images: int(ask(cam.num_images)),
                cam.trigger_mode: self._modes["external"],
                cam.array_callbacks: 1,
                hdf.enable: 1,
                hdf.blocking_callbacks: 0,
                hdf.file_write_mode: STREAM,
                hdf.auto_increment: 1,
                hdf.num_capture: 0,
                hdf.lazy_open: 0,
                hdf.swmr_mode: 1,
                hdf.num_frames_flush: 1,
            },
            f"{self.name} taking how frames are written",
            lambda: move.done,
        )
        hdf.file_path.put(folders.there, wait=False)  # also where it is that: so the folder is made
        named = {
            hdf.file_path: folders.there,
            hdf.file_template: TEMPLATE,
            hdf.file_name: f"{self.name}-{uuid.uuid4().hex[:12]}",
        }
        what = f"{self.name} taking the name of its file"
        write(named, what, limit, lambda: move.done)
        if not int(ask(hdf.file_path_exists)):
            raise DeviceError(
                f"{self.name} ({hdf.file_path_exists.pvname}): the folder {folders.there!r} is not "
                "there, and could not be made, on the camera's computer"
            )
        self._begin_file(move, limit)
        path = folders.seen_from_here(str(ask(hdf.full_file_name)))
        file = self._read(path, limit, lambda: move.done)
        if move.done:
            file.close()
        self._check_wanted(move)
        if file.shape != self.shape:
            file.close()
            raise DeviceError(
                f"{self.name}: {path} has frames of {file.shape[0]} x {file.shape[1]} pixels, not "
                f"{self.shape[0]} x {self.shape[1]}"
            )
        self.images.begin(file)

    def _write(self, wanted: Mapping[Any, Any], what: str, over: Callable[[], bool]) -> None:
        """Write settings; what they were is remembered first, for one may not be taken."""
        for signal, value in differing(wanted).items():
            self._found.setdefault(signal, value)
        write(wanted, what, self.time_limit.get(), over)

    def _check_wanted(self, move: Move) -> None:
        if move.done:
            raise AbandonedError(move.what)

    def _begin_file(self, move: Move, limit: float) -> None:
        hdf, failed = self.hdf1, threading.Event()

        def look(*, value: Any, **_: Any) -> None:
            if int(value):
                failed.set()

        hdf.write_status.subscribe(look, run=False)
        try:
            self._check_wanted(move)
            put_now(hdf.capture, 1)
            what = f"{self.name} opening a file"
            wait_until(hdf.capture, bool, what, limit, lambda: move.done or failed.is_set())
        except Exception:
            logged(log, self.name, lambda: put_now(hdf.capture, 0))  # it may open it yet
            self._check_written()  # it says why
            raise
        finally:
            hdf.write_status.clear_sub(look)

    def _read(self, path: Path, limit: float, over: Callable[[], bool]) -> FrameFile:
        """Open the file here; a file server may show it a moment later."""
        end, pause = time.monotonic() + limit, threading.Event()
        while True:
            try:
                return FrameFile(path, self.name)
            except DeviceError:
                if time.monotonic() > end or over():
                    raise
            pause.wait(LOOK_EVERY)

    def _close(self) -> None:
        with self._files, self._orders:  # after what still opens it, or arms
            self._close_file()

    def _close_file(self) -> None:
        found, self._found = self._found, {}
        steps: list[Callable[[], Any]] = [
            partial(self._off, self.cam.acquire),
            partial(self._off, self.hdf1.capture),
            self._judge_file,
            partial(write, found, f"{self.name} given back as it was", self.time_limit.get()),
            self.images.end,
        ]
        for step in steps:  # one that fails keeps none from what comes after it
            logged(log, self.name, step)

    def _judge_file(self) -> None:
        """Say where the file has fewer frames than its writer counted."""
        hdf = self.hdf1
        if not self.images.is_open:
            return
        rows, path = self.images.get_index(), self.images.file.path
        counted = int(ask(hdf.num_captured))
        if rows < counted:
            log.error(
                "%s: %s counted %d frames and %s has %d; what is missing is flagged in the run",
                self.name, hdf.num_captured.pvname, counted, path, rows,
            )  # fmt: skip

    def _off(self, signal: Any) -> None:
        if not int(ask(signal)):
            return
        put_now(signal, 0)
        wait_until(signal, lambda value: not value, f"{self.name} ending", self.time_limit.get())

    def _check_written(self) -> None:
        hdf = self.hdf1
        if int(ask(hdf.write_status)):
            raise DeviceError(
                f"{self.name} ({hdf.write_status.pvname}) cannot write its file: "
                f"{ask(hdf.write_message)}"
            )

    # -- frames ----------------------------------------------------------------------------

    def arm(self, n: int, gate: str = "external", *, time_s: float | None = None) -> Status:
        """Have it take the next frames.

        Parameters
        ----------
        n : int
            Frames that are wanted. It is armed for one more, so that one too many is seen.
        gate : {"external", "internal"}
            Whether a gate begins and ends each frame, or each takes ``time_s``.
        time_s : float, optional
            s, for ``"internal"``; by default `dwell`.

        Returns
        -------
        ophyd.status.Status
            Done when the driver says that it acquires; fails with `DeviceError` where it does not.

        Raises
        ------
        DeviceError
            No file is open.
        """
        mode, exposure = self._modes[gate], self.dwell.get() if time_s is None else time_s
        file, cam = self.images.file, self.cam
        what = f"{self.name} ({cam.acquire.pvname}) arming for {n} frames"

        def order(move: Move) -> None:
            limit, spare = self.time_limit.get(), 1 if gate == "external" else 0
            with self._orders:
                if self._arming is not move:  # it was stopped: nothing is written any more
                    raise AbandonedError(what)
                if int(ask(cam.acquire)):
                    self._off(cam.acquire)
                wanted = {cam.num_images: n + spare, cam.trigger_mode: mode}
                if gate == "internal":
                    wanted[cam.acquire_time] = exposure
                self._write(wanted, what, lambda: move.done)
                last = int(ask(cam.array_counter))
                self._armed, self._gated = (n, last, file.rows), gate == "external"
                self._handled = sum(int(ask(signal)) for signal in self._counters)
                with self._last:
                    if self._arming is not move:  # it was stopped
                        raise AbandonedError(what)
                    self._told_to_acquire = True
                    put_now(cam.acquire, 1)
            wait_until(
                cam.acquire,
                lambda value: bool(value) or int(ask(cam.array_counter)) > last,
                what,
                limit,
                lambda: move.done,
            )

        self._arming = armed = Move(what, 4 * self.time_limit.get())
        return self._begun(armed, order)

    def count(
        self, over: Callable[[], bool] = lambda: False, patience: float = PATIENCE
    ) -> CountedFrames:
        """Wait for the frames it was armed for, and pair them. Not for the RunEngine's thread.

        A frame is missed when the writer has written or dropped all others, not before: one that
        it still holds is late. Where a gate begins each, the last of them may still be read out
        although as many as are wanted have been counted: then one among them was too many.

        Parameters
        ----------
        over : callable
            Whether nobody wants them any more.
        patience : float
            Longest time (s) in which nothing further comes.

        Raises
        ------
        AbandonedError
            Nobody wants them.
        DeviceError
            The file cannot be written or read.
        """
        n, last, first = self._armed
        file, counter = self.images.file, self.cam.array_counter
        so_far, since, late = (-1, -1, -1), time.monotonic(), False
        read_out = since + (float(self.readout.get()) if self._gated else 0.0)
        while True:
            self._news.clear()
            rows = file.rows
            handled = sum(int(signal.get()) for signal in self._counters) - self._handled
            now = self.acquired, rows - first, handled
            none_in_flight = handled >= n and rows >= int(self.hdf1.num_captured.get())
            all_there = now[0] >= n and (now[1] >= n or none_in_flight)
            if all_there and (now[0] > n or time.monotonic() >= read_out):
                break
            if now != so_far:
                so_far, since = now, time.monotonic()
            if over():
                raise AbandonedError(self.name)
            self._check_written()
            if time.monotonic() - since > patience:
                late = True
                break
            self._news.wait(LOOK_EVERY)
        with self._orders:
            if over():  # it may be armed for other frames
                raise AbandonedError(self.name)
            if int(ask(self.cam.acquire)):
                self._off(self.cam.acquire)
        self._check_written()
        acquired = int(ask(counter)) - last
        if acquired > n and not late:
            self._settled(file, first, acquired, over)
        return paired(self.name, n, last, acquired, file.numbers(first), first)

    @property
    def _counters(self) -> tuple[Any, Any]:
        """What counts the frames that the writer is done with: written, or dropped."""
        return self.hdf1.num_captured, self.hdf1.dropped_arrays

    def _settled(self, file: FrameFile, first: int, wanted: int, over: Callable[[], bool]) -> None:
        """Wait for rows of frames too many, so that the next block begins after them."""
        end = time.monotonic() + PATIENCE
        while file.rows - first < wanted and time.monotonic() < end and not over():
            self._news.wait(LOOK_EVERY)
            self._news.clear()

    def disarm(self) -> Status:
        """End what it takes; done when it rests."""
        what = f"{self.name} ({self.cam.acquire.pvname}) disarming"
        return self._in_thread(
            what, 2 * self.time_limit.get(), lambda _: self._off(self.cam.acquire)
        )

    def trigger(self) -> Status:
        """Take one frame of ``dwell`` by itself; done when the file has it.

        Raises
        ------
        DeviceError
            It is not staged.
        """
        self.images.file  # noqa: B018  raises where none is open
        seconds = float(self.dwell.get())
        what = f"{self.name} ({self.cam.acquire.pvname}) taking a frame of {seconds:g} s"

        def take(move: Move) -> None:
            self.arm(1, "internal", time_s=seconds).wait()
            if self._taking is not move:
                self.stop(success=True)
                return
            counted = self.count(lambda: self._taking is not move, seconds + PATIENCE)
            if counted.reasons:
                raise DeviceError("; ".join(counted.reasons))

        self._taking = move = Move(what, seconds + 8 * self.time_limit.get())
        self._begun(move, take)
        return watchable(move, Way(self.name, "s", 0.0, seconds, seconds))

    def stop(self, *, success: bool = False) -> None:
        """Disarm it without waiting; with ``success``, as in a pause, that is no failure."""
        with self._last:
            moves = [move for move in (self._arming, self._taking) if move is not None]
            self._arming = self._taking = None
            # What a monitor said last may be older than the order.
            told, self._told_to_acquire = self._told_to_acquire, False
        for move in moves:
            move.end(None if success else DeviceError(f"{self.name} was stopped"))
        if told or (self.cam.acquire.connected and int(self.cam.acquire.get())):
            put_now(self.cam.acquire, 0)

    def pause(self) -> None:
        """Break off what it takes; the plan asks again."""
        logged(log, self.name, lambda: self.stop(success=True))

    def resume(self) -> None:
        """Nothing: the plan asks again."""

    # -- readings --------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Row of the last frame in the file."""
        return {f"{self.name}_frame": {"value": self.frames - 1, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        """Data key of the row."""
        source = f"PV:{self.hdf1.num_captured.pvname}"
        key = {"source": source, "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {f"{self.name}_frame": key}

    def _configured(self) -> list[Any]:
        cam = self.cam
        own = [cam.manufacturer, cam.model, cam.data_type, cam.rows, cam.columns, self.dwell]
        return [*own, self.hdf1.full_file_name]

    def read_configuration(self) -> dict[str, Any]:
        """What it is, and where its file is; of all that its PVs say, what a reader needs."""
        return {key: value for one in self._configured() for key, value in one.read().items()}

    def describe_configuration(self) -> dict[str, Any]:
        """Data keys of the same."""
        return {key: value for one in self._configured() for key, value in one.describe().items()}


def pixel_bytes(kind: str) -> int:
    """Bytes of a pixel of a type as areaDetector names it, `UInt16`; 2 where it is none of them."""
    try:
        return np.dtype(kind.lower()).itemsize
    except TypeError:
        return 2


def camera_class(cam: str = "cam1:", hdf: str = "HDF1:") -> type[AreaDetectorCamera]:
    """The camera's class for one whose driver and plugin have other names in PVs.

    Parameters
    ----------
    cam, hdf : str
        Start of their PVs, after the camera's prefix.
    """
    if (cam, hdf) == ("cam1:", "HDF1:"):
        return AreaDetectorCamera
    own = {
        "cam": Cpt(CameraDriver, cam, kind="omitted", doc="what takes frames"),
        "hdf1": Cpt(FrameWriter, hdf, kind="omitted", doc="what writes them"),
    }
    return type("AreaDetectorCamera", (AreaDetectorCamera,), own)
