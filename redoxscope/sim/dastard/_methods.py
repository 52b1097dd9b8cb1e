"""Calls that the simulated server answers."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any, Protocol

from ...formats import FormatError, decode_matrix
from ._clock import ServerClock
from ._rpc import GoError, convert, fill
from ._source import TRIGGER_FIELDS, Source
from ._status import StatusPublisher
from ._writing import Writing, go_os_error

__all__ = ["Methods"]

LARGEST_MAP = 1 << 20
"""Bytes."""

_KNOWN = ("SIMPULSE", "TRIANGLE", "LANCERO", "ROACH", "ERRORING")
"""Sources of every version, besides the one that was renamed."""

_CONFIGURED = {
    "ConfigureSimPulseSource": "SIMPULSE",
    "ConfigureTriangleSource": "TRIANGLE",
    "ConfigureLanceroSource": "LANCERO",
    "ConfigureRoachSource": "ROACH",
}

_WRITE_FIELDS = {
    "Request": "string",
    "Path": "string",
    "WriteLJH22": "bool",
    "WriteOFF": "bool",
    "WriteLJH3": "bool",
    "FlushAlsoSyncs": "bool",
    "Intention": "string",
    "Users": "string",
    "Sample": "string",
    "Purpose": "string",
}


class Served(Protocol):
    """What the calls ask of the server, see `DastardServer`."""

    source_kind: str
    clock: ServerClock
    status: StatusPublisher
    writing: Writing
    lock: threading.RLock
    source: Source | None

    def start_source(self) -> Source: ...

    def stop_source(self) -> None: ...

    def set_lengths(self, source: Source, nsamp: int, npre: int) -> None: ...

    def send_status(self) -> None: ...

    def send_writing(self) -> None: ...


class Methods:
    """The services SourceControl and MapServer.

    Parameters
    ----------
    server : Served
        What they act on; they hold its lock.
    """

    def __init__(self, server: Served):
        self._server = server
        renamed = "ABACO" if server.source_kind == "ABACO" else "RESONATOR"
        self._names = {f"{name}SOURCE" for name in (*_KNOWN, renamed)}
        self._configured = _CONFIGURED | {f"Configure{renamed.title()}Source": renamed}
        self._saved_triggers: list[dict[str, Any]] = []
        self._map: str | None = None

    def __call__(self, method: str, arg: Any) -> Any:
        """Answer a call.

        Raises
        ------
        GoError
            With the text that the client gets.
        """
        service, name = method.split(".")
        if service == "MapServer" and name in ("Load", "Unload"):
            return self._load_map(arg if name == "Load" else None)
        if service != "SourceControl":
            raise GoError(f"rpc: can't find service {method}")
        if name in self._configured:
            return self._configure_source(self._configured[name], arg)
        call = getattr(self, "_do_" + name, None)
        if call is None:
            raise GoError(f"rpc: can't find method {method}")
        received = self._server.clock.now_ns()
        if name == "SetExperimentStateLabel":  # time-stamped on receipt
            return call(arg, received)
        with self._server.lock:
            return call(arg)

    def _source(self) -> Source:
        if self._server.source is None:
            raise GoError("no source is active")
        return self._server.source

    def _load_map(self, filename: Any) -> bool:
        with self._server.lock:
            self._map = None
            if filename is not None:
                self._map = _read_map(convert(filename, "string"))
            self._server.status.send("TESMAPFILE", filename or "no map file")
            return True

    def _configure_source(self, tag: str, arg: Any) -> bool:
        with self._server.lock:
            if self._server.source is not None and tag in self._server.source.name.upper():
                raise GoError(f"cannot configure a {self._server.source.name} source, it's Active")
            self._server.status.send(tag, arg)
            return True

    # -- the source ---------------------------------------------------------------------------

    def _do_Start(self, arg: Any) -> bool:  # noqa: N802
        server, given = self._server, convert(arg, "string")
        if server.source is not None:
            raise GoError("already have active source, do not start")
        name = given.upper()
        if name not in self._names:
            raise GoError(f'Data Source "{given}" is not recognized')
        if name != f"{server.source_kind}SOURCE":
            raise GoError("PrepareRun could not run with 0 channels (expect > 0)")
        source = server.start_source()
        source.restore_triggers(self._saved_triggers)
        server.send_status()
        server.status.send("TRIGGER", source.trigger_state())
        server.status.send("CHANNELNAMES", source.names)
        return True

    def _do_Stop(self, arg: Any) -> bool:  # noqa: N802
        source = self._source()
        self._saved_triggers = source.triggers
        self._server.stop_source()
        self._server.send_status()
        return True

    def _do_ConfigureTriggers(self, arg: Any) -> bool:  # noqa: N802
        fields = {"ChannelIndices": "[]int", **TRIGGER_FIELDS}
        state = fill(arg, "FullTriggerState", fields)
        source = self._source()
        try:
            source.set_triggers(state.pop("ChannelIndices"), state)
        finally:
            self._server.status.send("TRIGGER", source.trigger_state())
        return True

    def _do_ConfigurePulseLengths(self, arg: Any) -> bool:  # noqa: N802
        sizes = fill(arg, "SizeObject", {"Nsamp": "int", "Npre": "int"})
        source = self._source()
        if (source.nsamp, source.npre) == (sizes["Nsamp"], sizes["Npre"]):
            return False  # nothing to change: Dastard leaves its reply as it was
        if self._server.writing.active:
            raise GoError("stop writing before changing record lengths")
        self._server.set_lengths(source, sizes["Nsamp"], sizes["Npre"])
        self._server.send_status()
        return True

    def _do_ConfigureProjectorsBasis(self, arg: Any) -> bool:  # noqa: N802
        fields = {
            "ChannelIndex": "int",
            "ProjectorsBase64": "string",
            "BasisBase64": "string",
            "ModelDescription": "string",
        }
        given = fill(arg, "ProjectorsBasisObject", fields)
        try:
            matrices = [decode_matrix(given[k]) for k in ("ProjectorsBase64", "BasisBase64")]
        except FormatError as exc:
            raise GoError(f"cannot decode the matrix: {exc}") from exc
        source = self._source()
        source.set_projectors(
            given["ChannelIndex"], matrices[0], matrices[1], given["ModelDescription"]
        )
        self._server.send_status()
        return True

    def _do_ConfigureMixFraction(self, arg: Any) -> bool:  # noqa: N802
        given = fill(
            arg, "MixFractionObject", {"ChannelIndices": "[]int", "MixFractions": "[]float64"}
        )
        if self._source().name != "Lancero":
            raise GoError(f"source type {self._source().name} does not support Mix")
        self._server.status.send("MIX", given["MixFractions"])
        return True

    def _couple(self, arg: Any, state: int) -> bool:
        on = convert(arg, "bool")
        if self._source().name != "Lancero":
            raise GoError("Generic data sources do not support FB/error coupling")
        self._server.status.send("TRIGCOUPLING", state if on else 1)
        return True

    def _do_CoupleErrToFB(self, arg: Any) -> bool:  # noqa: N802
        return self._couple(arg, 3)

    def _do_CoupleFBToErr(self, arg: Any) -> bool:  # noqa: N802
        return self._couple(arg, 2)

    def _do_StopTriggerCoupling(self, arg: Any) -> bool:  # noqa: N802
        return self._couple(False, 1)

    # -- writing ------------------------------------------------------------------------------

    def _do_WriteControl(self, arg: Any) -> bool:  # noqa: N802
        config = fill(arg, "WriteControlConfig", _WRITE_FIELDS)
        source, writing = self._source(), self._server.writing
        request = config["Request"].upper()
        try:
            if request.startswith("UNPAUSE"):
                label = config["Request"][7:]
                if label and (label[0] != " " or len(label) == 1):
                    raise GoError(f"request format invalid. got::\n{config['Request']}")
                if label:
                    writing.set_label(self._server.clock.now_ns(), label[1:])
                writing.paused = False
            elif request.startswith("PAUSE"):
                writing.paused = True
            elif request.startswith("STOP"):
                writing.stop(self._server.clock.now_ns())
            elif request.startswith("START"):
                writing.start(config, source, self._server.clock.now_ns())
            else:
                raise GoError(
                    f'WriteControl config.Request="{config["Request"]}", must be one of '
                    "(START,STOP,PAUSE,UNPAUSE). Not case sensitive. "
                    '"UNPAUSE label" is also ok'
                )
        except OSError as exc:
            raise GoError(f"write {exc.filename}: {go_os_error(exc)}") from exc
        self._server.send_writing()
        return True

    def _do_SetExperimentStateLabel(self, arg: Any, received: int) -> bool:  # noqa: N802
        given = fill(arg, "StateLabelConfig", {"Label": "string", "WaitForError": "bool"})
        if not given["Label"]:
            raise GoError("the state label was an empty string, pass a non-empty string")
        try:
            with self._server.lock:
                self._source()
                self._server.writing.set_label(received, given["Label"])
                self._server.status.send("STATELABEL", given["Label"])
        except (GoError, OSError) as exc:
            if isinstance(exc, OSError):
                exc = GoError(f"write {exc.filename}: {go_os_error(exc)}")
            if given["WaitForError"]:
                raise exc from None
            print(
                "panic: error with WaitForError==false in SetExperimentStateLabel. "
                f"{exc}\n\ngoroutine 1 [running]:",
                file=sys.stderr,
                flush=True,
            )
            os._exit(2)
        return given["WaitForError"]

    def _do_WriteComment(self, arg: Any) -> bool:  # noqa: N802
        comment = convert(arg, "string")
        active = self._server.source is not None
        if not comment:
            raise GoError(
                f"can't write zero-length comment, sourceActive {str(active).lower()}, "
                "len(*comment) 0"
            )
        self._source()
        try:
            self._server.writing.write_comment(comment)
        except OSError as exc:
            raise GoError(f"open {exc.filename}: {go_os_error(exc)}") from exc
        return True

    def _do_ReadComment(self, arg: Any) -> str:  # noqa: N802
        if self._server.source is None:
            raise GoError("cannot read comment with no active source")
        try:
            return self._server.writing.read_comment()
        except OSError as exc:
            raise GoError(f"open {exc.filename}: {go_os_error(exc)}") from exc

    # -- the rest -----------------------------------------------------------------------------

    def _do_SendAllStatus(self, arg: Any) -> bool:  # noqa: N802
        self._server.send_status()
        self._server.status.send_all()
        return True

    def _do_Multiply(self, arg: Any) -> int:  # noqa: N802
        factors = fill(arg, "FactorArgs", {"A": "int", "B": "int"})
        return int(factors["A"] * factors["B"])


def _read_map(name: str) -> str:
    """A map of pixels; whatever cannot be one is refused, a device or pipe among them."""
    try:
        path = Path(name)
        if not path.is_file() or path.stat().st_size > LARGEST_MAP:
            raise GoError(f"open {name}: no such file, or none that is a map")
        return path.read_text()
    except OSError as exc:
        raise GoError(f"open {name}: {go_os_error(exc)}") from exc
    except ValueError as exc:
        raise GoError(f"open {name!a}: {exc}") from exc
