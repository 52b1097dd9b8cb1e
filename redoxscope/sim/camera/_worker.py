"""The camera: gates become frames, frames become rows of a file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._faults import CameraFaults
from ._file import FrameFile
from ._source import Beam, BeamHistory, FrameSource

__all__ = ["Worker"]

REPORT_S = 0.1
"""Longest time (s) that something new is kept back, and shortest between two reports."""


@dataclass
class _Gate:
    """An exposure that is to come: when it is over (s, monotonic), where and how long."""

    end: float
    x: float
    y: float
    time_s: float
    series: int = 0
    number: int = 0


@dataclass
class _Acquisition:
    """What the camera is armed for."""

    left: int | None
    external: bool
    roi: tuple[slice, slice]
    handed_on: bool
    gate: _Gate | None = None
    period: float = 0.0


@dataclass
class _Written:
    """A frame on its way into the file."""

    due: float
    frame: NDArray[np.uint16] | None
    number: int
    time_s: float


class Worker:
    """Computes and writes what it is told to, never before it is due.

    A computer that is slower than the gates makes the frames late; none gets lost for it.

    Parameters
    ----------
    source : FrameSource
    tell : callable
        Gets what there is to say, as keywords.
    seed : int
        Of the noise.
    instant : bool
        Frames are counted and not computed: rows of the file hold zeros.
    now : callable
        Monotonic time (s), the same as that of who gives the orders.

    Attributes
    ----------
    faults : CameraFaults
    """

    def __init__(
        self,
        source: FrameSource,
        tell: Callable[..., None],
        *,
        seed: int = 1,
        instant: bool = False,
        now: Callable[[], float] = time.monotonic,
    ):
        self._source, self._tell, self._now, self._instant = source, tell, now, instant
        self._rng = np.random.default_rng(seed)
        self.faults = CameraFaults()
        self._beam = BeamHistory()
        self._gates: deque[_Gate] = deque()
        self._writing: deque[_Written] = deque()
        self._acquisition: _Acquisition | None = None
        self._file: FrameFile | None = None
        self._capture_left: int | None = None
        self._closing = False
        self._offset = time.time() - now()
        self._counts = dict.fromkeys(
            ("acquired", "images", "arrays", "captured", "dropped", "unique_id", "series", "index"),
            0,
        )
        self._told_at = -np.inf
        self._dirty = False

    # -- orders ---------------------------------------------------------------------------------

    def handle(self, message: Mapping[str, Any]) -> None:
        """Carry out an order: ``do`` names it, the rest are its arguments."""
        arguments = dict(message)
        getattr(self, f"_do_{arguments.pop('do')}")(**arguments)

    def _do_beam(self, since: float, energy: float, flux: float, defocus: float) -> None:
        self._beam.tell(since, Beam(energy, flux, defocus))

    def _do_count(self, **counts: int) -> None:
        """Counters that a client has set."""
        self._counts.update(counts)

    def _do_fault(self, command: str) -> None:
        self.faults.request(command)

    def _do_arm(
        self,
        *,
        images: int | None,
        external: bool,
        roi: tuple[int, int, int, int],
        time_s: float,
        period: float,
        begin: float,
        at: tuple[float, float],
        handed_on: bool,
    ) -> None:
        """Take ``images`` frames (None: until disarmed): at gates, or of ``time_s`` every
        ``period`` (real s), where the stage stands; ``handed_on``: to the file.
        """
        x0, y0, nx, ny = roi
        area = slice(y0, y0 + ny), slice(x0, x0 + nx)
        acquisition = _Acquisition(images, external, area, handed_on, period=period)
        if not external:
            acquisition.gate = _Gate(begin + period, *at, time_s)
        if self._prepare(begin):
            self._acquisition = acquisition
            self._counts["images"] = 0
            self._say("armed")

    def _do_disarm(self) -> None:
        if self._acquisition is not None:
            self._end_acquisition()

    def _do_train(
        self, *, series: int, begin: float, x: list[float], y: list[float], gate: list[float],
        end: list[float],
    ) -> None:  # fmt: skip
        """Gates of a path: where, how long (s), and when each is over (real s from the begin)."""
        for i, over in enumerate(end):
            self._gates.append(_Gate(begin + over, x[i], y[i], gate[i], series, i + 1))
        self._counts |= {"series": series, "index": 0}

    def _prepare(self, when: float) -> bool:
        """Compute what takes long before the first frame is due; False where there is none."""
        beam = self._beam.at(when)
        try:
            if not self._instant:
                self._source.prepare(beam.energy, beam.defocus)
        except ValueError as exc:
            self._give_up(exc)
            return False
        return True

    def _give_up(self, why: ValueError) -> None:
        """The model does not know such a beam: a frame of zeros would be a measurement."""
        self._acquisition = None
        self._say("failed", text=str(why))

    def _do_cut(self, when: float) -> None:
        """A path has been ended: gates that were not over by then do not come."""
        self._gates = deque(gate for gate in self._gates if gate.end <= when)

    def _do_open(
        self, *, path: str, shape: tuple[int, int], frames: int | None, swmr: bool, flush: int
    ) -> None:
        """Write what comes into a new file, at most ``frames`` frames."""
        self._close()
        try:
            if "disk_full" in self.faults:
                raise OSError(28, "No space left on device", path)
            self._file = FrameFile(path, shape, swmr=swmr, flush_every=flush)
        except OSError as exc:
            self._say("write_error", text=_said(exc))
            return
        self._capture_left = frames
        self._counts["captured"] = 0
        self._say("opened", path=path)

    def _do_flush(self) -> None:
        if self._file is not None:
            self._file.flush()
        self._say("flushed")

    def _do_close(self) -> None:
        """Close the file, when what is on its way is in it."""
        if self._file is not None and self._writing and "stall" not in self.faults:
            self._closing = True
        else:
            self._close()
            self._say("closed")

    # -- time -----------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When there is something to do without an order (s, monotonic); None: never."""
        due = [queue[0].end for queue in (self._gates,) if queue]
        if self._acquisition is not None and self._acquisition.gate is not None:
            due.append(self._acquisition.gate.end)
        if self._writing:
            due.append(self._writing[0].due)
        if self._dirty:
            due.append(self._told_at + REPORT_S)
        return min(due, default=None)

    def step(self) -> None:
        """Do what is due first."""
        now = self._now()
        acquisition = self._acquisition
        if self._writing and self._writing[0].due <= now:
            self._write(self._writing.popleft())
        elif self._gates and self._gates[0].end <= now:
            gate = self._gates.popleft()
            self._expose(gate)
            self._counts["index"] = gate.number
            if not self._gates:
                self._say("train_over")
        elif acquisition is not None and acquisition.gate is not None:
            gate = acquisition.gate
            if gate.end <= now:
                acquisition.gate = _Gate(gate.end + acquisition.period, gate.x, gate.y, gate.time_s)
                self._take(acquisition, gate)
        if self._dirty and now >= self._told_at + REPORT_S:
            self._say("progress")

    # -- frames ---------------------------------------------------------------------------------

    def _expose(self, gate: _Gate) -> None:
        acquisition = self._acquisition
        self._dirty = True
        if acquisition is None or not acquisition.external or self.faults.take("miss"):
            return
        self._take(acquisition, gate)
        if self._acquisition is not None and self.faults.take("extra"):
            self._take(acquisition, gate)

    def _take(self, acquisition: _Acquisition, gate: _Gate) -> None:
        """Make a frame; the acquisition is over after the last one."""
        if "stall" in self.faults:
            return
        frame = None
        if not self._instant and acquisition.handed_on:
            beam = self._beam.at(gate.end)
            try:
                frame = self._source.frame(
                    beam.energy, gate.x, gate.y, gate.time_s, beam.flux, self._rng, beam.defocus
                )[acquisition.roi]
            except ValueError as exc:
                self._give_up(exc)
                return
        self._dirty = True
        counts = self._counts
        counts["acquired"] += 1
        counts["images"] += 1
        if acquisition.left is not None:
            acquisition.left -= 1
        if not acquisition.handed_on:
            pass
        elif self.faults.take("drop"):
            counts["dropped"] += 1
        else:
            self._hand_on(frame, gate)
        if acquisition.left == 0:
            self._end_acquisition()

    def _end_acquisition(self) -> None:
        self._acquisition = None
        self._say("done")

    def _hand_on(self, frame: NDArray[np.uint16] | None, gate: _Gate) -> None:
        """Give a frame to the file."""
        self._counts["arrays"] += 1
        number = self._counts["acquired"]
        self._counts["unique_id"] = number
        written = _Written(self._now() + self.faults.late_s, frame, number, gate.end + self._offset)
        if self.faults.late_s or self._writing:
            self._writing.append(written)
        else:
            self._write(written)

    # -- the file -------------------------------------------------------------------------------

    def _write(self, written: _Written) -> None:
        if self._file is not None:
            try:
                if "disk_full" in self.faults:
                    raise OSError(28, "No space left on device", str(self._file.path))
                if not self.faults.take("unwritten"):
                    torn = self.faults.take("torn")
                    self._file.add(written.frame, written.number, written.time_s, torn=torn)
            except OSError as exc:
                self._counts["dropped"] += 1
                self._close()
                self._say("write_error", text=_said(exc))
            else:
                self._counts["captured"] += 1
                if self._capture_left is not None:
                    self._capture_left -= 1
                    if self._capture_left == 0:
                        self._close()
                        self._say("closed")
        self._dirty = True
        if self._closing and not self._writing:
            self._close()
            self._say("closed")

    def _close(self) -> None:
        self._closing = False
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as exc:
                self._say("write_error", text=_said(exc))

    def end(self) -> None:
        """Leave: whoever gave the orders is gone, and the file shall be whole."""
        while self._file is not None and self._writing:
            self._write(self._writing.popleft())
        self._close()

    # -- what is said ---------------------------------------------------------------------------

    def _say(self, event: str, **more: Any) -> None:
        self._told_at, self._dirty = self._now(), False
        self._tell(event=event, counts=self._counts, queued=len(self._writing), **more)


def _said(exc: OSError) -> str:
    return str(exc.strerror or exc)
