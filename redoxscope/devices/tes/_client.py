"""Telling Dastard what to do, and seeing that it did."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from ...formats import encode_matrix
from ._errors import DastardError, RefusedError
from ._rpc import RPC_TIMEOUT, JsonRpc
from ._status import StatusFeed
from ._stream import PhotonStream, Summaries

__all__ = ["DastardClient", "Projectors", "RunFiles", "pixel_numbers"]

log = logging.getLogger("redoxscope.tes")

RPC, STATUS, SUMMARIES = 0, 1, 4
"""Ports, counted from the base."""
MICROWAVE_SOURCES = ("RESONATORSOURCE", "ABACOSOURCE")
"""The same source: it was renamed in Dastard 0.3.10."""
_CHANNEL = re.compile(r"chan(\d+)")


@dataclass(frozen=True)
class Projectors:
    """What turns a channel's records into coefficients.

    Attributes
    ----------
    projectors : numpy.ndarray [n, samples]
    basis : numpy.ndarray [samples, n]
    description : str
    """

    projectors: NDArray[np.float64]
    basis: NDArray[np.float64]
    description: str = ""


@dataclass(frozen=True)
class RunFiles:
    """What the server writes a run into.

    Attributes
    ----------
    directory : str
        On the server; empty where it writes none.
    label : str
        State label of the run.
    stamp_ns : int or None
        When the server began the run, on its clock.
    sent : float
        When it was told to (monotonic, s).
    """

    directory: str
    label: str
    stamp_ns: int | None
    sent: float


@dataclass
class Triggers:
    """How the server finds pulses: the state sent again whenever a source was started."""

    level: int = -100
    monotone: int = 6
    more: Mapping[str, Any] = field(default_factory=dict)

    def state(self, channels: list[int]) -> dict[str, Any]:
        return {
            "ChannelIndices": channels,
            "EdgeMulti": True,
            "EdgeMultiLevel": self.level,
            "EdgeMultiVerifyNMonotone": self.monotone,
            **self.more,
        }


def pixel_numbers(names: list[str]) -> NDArray[np.int32]:
    """Channel number of each channel index, from the server's names; -1 for error channels."""
    matches = [_CHANNEL.fullmatch(name) for name in names]
    return np.array([-1 if m is None else int(m[1]) for m in matches], np.int32)


class DastardClient:
    """A connection to a Dastard: commands, status and photons.

    Parameters
    ----------
    host : str
    port : int
        Base port; status and summaries are one and four above it.
    on_batch : callable
        As for `PhotonStream`.
    on_status, on_lost : callable, optional
        As for `StatusFeed`.
    timeout : float
        Longest time (s) that the server may take over one command, and to report its effect.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        on_batch: Callable[[list[Summaries], float, bool], None],
        on_status: Callable[[str, Any, float], None] | None = None,
        on_lost: Callable[[DastardError], None] | None = None,
        timeout: float = RPC_TIMEOUT,
    ):
        self.host, self.port, self.timeout = host, port, timeout
        self.source: str | None = None
        self.triggers = Triggers()
        self.projectors: Mapping[int, Projectors] = {}
        self._context: zmq.Context[Any] = zmq.Context()
        self._cancel = threading.Event()
        self.rpc = JsonRpc(host, port + RPC, timeout)
        self.status = StatusFeed(host, port + STATUS, self._context, on_status, on_lost)
        self.stream = PhotonStream(host, port + SUMMARIES, self._context, on_batch)
        self._started = False

    @property
    def address(self) -> str:
        return f"Dastard {self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether a source delivers data, as far as the server said."""
        return bool((self.status.last("STATUS") or {}).get("Running"))

    @property
    def writing(self) -> bool:
        """Whether it writes files, as far as the server said."""
        return bool((self.status.last("WRITING") or {}).get("Active"))

    def connect(self, timeout: float) -> None:
        """Follow status and photons, and learn the server's state.

        Raises
        ------
        DastardError
            It is not reachable, or does not answer.
        """
        if not self._started:
            self._started = True
            self.status.start()
            self.stream.start()
        self.status.wait_linked(timeout)
        self.refresh(timeout)

    def refresh(self, timeout: float | None = None) -> dict[str, Any]:
        """Have every status sent again; the content of ``STATUS``.

        The first messages after a connection may be lost, so it asks until one comes.

        Raises
        ------
        DastardError
            No answer in time.
        """
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        before = self.status.count
        while True:
            self.rpc.call("SendAllStatus", "all", timeout=limit)
            left = deadline - time.monotonic()
            try:
                return self.wait_for("STATUS", lambda _: True, "how it is", min(0.2, left), before)
            except DastardError:
                if left <= 0.2 or self._cancel.is_set():
                    raise

    def close(self) -> None:
        """Hang up."""
        self.cancel()
        self.rpc.close()
        if self._started:
            self.status.close()
            self.stream.close()
        self._context.term()

    def cancel(self) -> None:
        """Give up whatever a command is waiting for."""
        self._cancel.set()
        self.status.wake()

    def resume(self) -> None:
        """Wait for things again."""
        self._cancel.clear()

    # -- sources --------------------------------------------------------------------------

    def start_source(self, name: str | None = None) -> str:
        """Start a source, send triggers and projectors; the name that the server knew it by.

        Without a name it is the microwave readout's, by the new name or else by the old.

        Raises
        ------
        DastardError
            No source by that name, or it does not start.
        """
        names = MICROWAVE_SOURCES if name is None else (name,)
        reasons = []
        before = self.status.count
        for source in names:
            try:
                self.rpc.call("Start", source)
            except RefusedError as exc:
                if "already" in exc.reason:
                    raise
                reasons.append(f"{source}: {exc.reason}")
            else:
                break
        else:
            raise DastardError(f"{self.address} starts no source: {'; '.join(reasons)}")
        self.wait_for("STATUS", lambda s: bool(s["Running"]), f"{source} runs", after=before)
        self.rpc.call("SendAllStatus", "all")
        self.wait_for("CHANNELNAMES", lambda _: True, "how its channels are called", after=before)
        self.send_triggers()
        self.send_projectors()
        return source

    def stop_source(self) -> None:
        """Stop the source."""
        self.rpc.call("Stop", "")
        self.wait_for("STATUS", lambda s: not s["Running"], "the source has stopped")

    def pixels(self) -> NDArray[np.int32]:
        """Channel number of each channel index, -1 for error channels; none before a source ran."""
        return pixel_numbers(self.status.last("CHANNELNAMES") or [])

    def send_triggers(self) -> None:
        """Send the trigger state; the server forgets part of it when a source starts."""
        channels = np.flatnonzero(self.pixels() >= 0).tolist()
        self.rpc.call("ConfigureTriggers", self.triggers.state(channels))

    def send_projectors(self) -> None:
        """Send the projectors that were given, if any."""
        for index, one in self.projectors.items():
            argument = {
                "ChannelIndex": int(index),
                "ProjectorsBase64": encode_matrix(one.projectors),
                "BasisBase64": encode_matrix(one.basis),
                "ModelDescription": one.description,
            }
            self.rpc.call("ConfigureProjectorsBasis", argument)

    # -- runs -----------------------------------------------------------------------------

    def begin_run(
        self, label: str, *, path: str = "", off: bool = True, ljh: bool = False
    ) -> RunFiles:
        """Bring the server from whatever state it is in to writing a new run.

        A source that does not run is started; files that an earlier client left open are closed.

        Raises
        ------
        DastardError
            Any step failed; it says which.
        """
        self.resume()
        self.status.wait_linked(self.timeout)
        status = self.refresh()
        if not status["Running"]:
            log.warning("%s: no source was running; starting it", self.address)
            self.start_source(self.source)
            status = self.refresh()
        self.wait_for("CHANNELNAMES", lambda _: True, "how its channels are called")
        if not (status.get("ChannelsWithProjectors") or self.projectors):
            raise DastardError(
                f"{self.address} has no projectors, so its photons carry no pulse heights: take "
                "noise and pulses, make projectors and load them"
            )
        if not status.get("ChannelsWithProjectors"):
            self.send_projectors()
        if self.writing:
            log.warning("%s was still writing an earlier run; closing its files", self.address)
            self.end_run()
        if not (off or ljh):
            return RunFiles("", "", None, time.monotonic())
        request = {"Request": "Start", "Path": path, "WriteOFF": off, "WriteLJH22": ljh}
        before, sent = self.status.count, time.monotonic()
        try:
            self.rpc.call("WriteControl", request)
        except RefusedError as exc:
            if "already in progress" not in exc.reason:
                raise
            log.warning("%s was still writing and did not say so; closing its files", self.address)
            self.end_run()
            before, sent = self.status.count, time.monotonic()
            self.rpc.call("WriteControl", request)
        # The reply may overtake the status: only the latter says that the files are open. It
        # also has the time stamp of the label START, which Dastard sets by itself.
        writing = self.wait_for("WRITING", lambda w: w["Active"], "it is writing", after=before)
        stamp = writing.get("ExperimentStateLabelUnixNano") or None
        self.label(label)
        directory = str(writing.get("FilenamePattern", "")).rpartition("/")[0]
        return RunFiles(directory or str(writing.get("BasePath", "")), label, stamp, sent)

    def label(self, label: str) -> None:
        """Set the state label.

        Always with ``WaitForError``: without it an error ends the server, and with it the
        acquisition of everybody.

        Raises
        ------
        DastardError
            It was refused, as it is when no run is being written.
        """
        self.rpc.call("SetExperimentStateLabel", {"Label": label, "WaitForError": True})

    def end_run(self) -> None:
        """Stop writing; without effect where it does not write.

        Raises
        ------
        DastardError
            It did not.
        """
        self.rpc.call("WriteControl", {"Request": "Stop"})
        self.wait_for("WRITING", lambda w: not w["Active"], "it has closed its files")

    def wait_for(
        self,
        tag: str,
        accept: Callable[[Any], bool],
        what: str,
        timeout: float | None = None,
        after: int = 0,
    ) -> Any:
        """Wait for a status message (see `StatusFeed.wait_for`) unless cancelled."""
        return self.status.wait_for(
            tag,
            accept,
            self.timeout if timeout is None else timeout,
            what=what,
            after=after,
            cancelled=self._cancel.is_set,
        )
