"""The scan-server protocol beside the simulated Dastard, as beamlines speak it."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..physics.rixs import FWHM
from ._rpc import LONGEST, GoError, unfinished
from ._scans import ScanLog, ScanState, TransitionError
from ._server import DastardServer

__all__ = ["ScanServer"]

log = logging.getLogger("redoxscope.sim.dastard")

RESOLUTION_EV = 1.4
COUNT_TIMEOUT_S = 10.0
"""Real time (s) that counts of a point are waited for."""

_ATTRIBUTES = ("state", "filename", "scan_num", "scan_str", "cal_number")
_KEPT = 2_000_000
"""Photons that are kept at most for counting."""


class ScanServer:
    """One client at a time: JSON requests, one answer each.

    Its own calls make files and labels on Dastard; points are nothing but times.

    Parameters
    ----------
    server : DastardServer
        Whose source it starts and whose photons it counts.
    listener : socket.socket
        Bound and listening.
    seed : int
        Of the energies' noise.
    """

    def __init__(self, server: DastardServer, listener: socket.socket, seed: int):
        self._server, self._listener = server, listener
        self._state = ScanState()
        self._log: ScanLog | None = None
        self._roi: dict[str, tuple[float, float]] = {}
        self._saved_counts: list[dict[str, int]] = []
        self._random = np.random.default_rng([seed, 4000])
        self._photons: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        self._scan_num = self._cal_number = -1
        server.on_photons = self._keep

    def start(self) -> None:
        """Serve from now on."""
        threading.Thread(target=self._serve, daemon=True, name="scan-server").start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):  # the client is gone
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        """Answer a client until it hangs up, or sends what is no JSON."""
        decoder, text = json.JSONDecoder(), ""
        while data := connection.recv(1 << 12):
            text += data.decode(errors="replace")
            while text := text.lstrip():
                try:
                    request, end = decoder.raw_decode(text)
                except json.JSONDecodeError as exc:
                    if unfinished(exc) and len(text) < LONGEST:
                        break  # the rest is on its way
                    connection.sendall(_refusal(exc))
                    return
                except (ValueError, RecursionError) as exc:
                    connection.sendall(_refusal(exc))
                    return
                text = text[end:]
                connection.sendall(self._answer(request))

    def _answer(self, request: Any) -> bytes:
        try:
            return json.dumps({"response": self._response(request), "success": True}).encode()
        except (TransitionError, GoError, OSError, TypeError, KeyError, ValueError) as exc:
            return _refusal(exc)
        except Exception as exc:  # one request, whatever it is, must not end the server
            log.exception("a request failed")
            return _refusal(exc)

    def _response(self, request: Any) -> Any:
        if not isinstance(request, dict):
            raise TypeError(f"a request is an object, not {str(request)[:60]!r}")
        name = request["method"]
        if name in _ATTRIBUTES:
            return self._attribute(name)
        method: Callable[..., Any] | None = getattr(self, f"_do_{name}", None)
        if method is None:
            raise TransitionError(f"AttributeError: no method {name}")
        return method(*request.get("params", []), **request.get("kwargs", {}))

    def _attribute(self, name: str) -> Any:
        return {
            "state": self._state.name,
            "filename": self._server.writing.state()["FilenamePattern"],
            "scan_num": self._scan_num,
            "scan_str": self._log.label if self._log else "",
            "cal_number": self._cal_number,
        }[name]

    # -- photons ------------------------------------------------------------------------------

    def _keep(self, t_ns: NDArray[np.int64], energies: NDArray[np.float64]) -> None:
        """Keep the photons of the point under way; called for every stretch that is drawn."""
        if self._state.name in ("scan", "scan_point") and len(t_ns):
            seen = energies + RESOLUTION_EV / FWHM * self._random.standard_normal(len(t_ns))
            self._photons.append((t_ns, seen))
            while sum(len(t) for t, _ in self._photons) > _KEPT:
                self._photons.pop(0)

    def _now(self) -> float:
        return self._server.clock.now_ns() / 1e9

    def _counts(self) -> dict[str, int]:
        if self._log is None:
            raise TransitionError("no scan was open")
        try:
            start, end = self._log.last_point
        except IndexError:
            raise TransitionError("no point has ended") from None
        waited = threading.Event()
        for _ in range(round(COUNT_TIMEOUT_S / 0.01)):
            if self._server.drawn_ns > end * 1e9:
                break
            waited.wait(0.01)
        with self._server.lock:
            parts = [e[(t >= start * 1e9) & (t < end * 1e9)] for t, e in self._photons]
        energies = np.concatenate(parts) if parts else np.zeros(0)
        return {
            name: int(((energies >= low) & (energies < high)).sum())
            for name, (low, high) in self._roi.items()
        }

    # -- calls --------------------------------------------------------------------------------

    def _call(self, method: str, arg: Any) -> Any:
        return self._server.call(f"SourceControl.{method}", arg)

    def _do_file_start(
        self,
        path: str | None = None,
        write_ljh: bool = False,
        write_off: bool = True,
        setFilenamePattern: str | None = None,
    ) -> None:
        self._state.check("file_start")
        request = {"Request": "Start", "Path": path or "", "WriteLJH22": write_ljh}
        self._call("WriteControl", request | {"WriteOFF": write_off})
        self._state.go("file_start")

    def _do_file_end(self, _try_rsync_data: bool = False) -> None:
        self._state.check("file_end")
        self._call("WriteControl", {"Request": "Stop"})
        self._state.go("file_end")

    def _begin(self, call: str, routine: str | None, number: int, header: dict[str, Any]) -> None:
        log = ScanLog(number, routine, header | self._places())
        self._call("SetExperimentStateLabel", {"Label": log.label, "WaitForError": True})
        with self._server.lock:
            self._photons.clear()
        self._log = log
        self._state.go(call)

    def _do_scan_start(
        self,
        var_name: str,
        var_unit: str,
        sample_id: Any,
        sample_desc: str,
        extra: Any = None,
        drift_correction_plan: str = "none",
    ) -> None:
        self._state.check("scan_start")
        header = _header(var_name, var_unit, sample_id, sample_desc, extra)
        header |= {"drift_correction_plan": drift_correction_plan}
        self._begin(
            "scan_start", None, self._scan_num + 1, header | {"scan_num": self._scan_num + 1}
        )
        self._scan_num += 1

    def _do_calibration_start(
        self,
        var_name: str,
        var_unit: str,
        sample_id: Any,
        sample_desc: str,
        routine: str = "",
        extra: Any = None,
    ) -> None:
        self._state.check("calibration_start")
        header = _header(var_name, var_unit, sample_id, sample_desc, extra)
        self._begin("calibration_start", routine, self._cal_number + 1, header)
        self._cal_number += 1

    def _do_scan_point_start(
        self, value: Any, _epoch: float | None = None, extra: Any = None
    ) -> None:
        self._state.check("scan_point_start")
        if self._log is not None:
            self._log.start(value, self._now() if _epoch is None else _epoch, extra)
        self._state.go("scan_point_start")

    def _do_scan_point_end(self, _epoch: float | None = None) -> None:
        self._state.check("scan_point_end")
        if self._log is not None:
            self._log.end(self._now() if _epoch is None else _epoch)
        self._state.go("scan_point_end")

    def _do_scan_end(
        self, _try_post_processing: bool = False, _try_rsync_data: bool = False
    ) -> None:
        self._state.check("scan_end")
        if self._log is not None:
            folders = [Path(folder) for folder in self._places().values()]
            roi = {name: list(limits) for name, limits in self._roi.items()}
            self._log.write([folders[0] / "logs", folders[1]], roi)
        self._call("SetExperimentStateLabel", {"Label": "PAUSE", "WaitForError": True})
        self._state.go("scan_end")

    def _places(self) -> dict[str, str]:
        writing = self._server.writing.state()
        return {
            "data_path": str(Path(writing["FilenamePattern"]).parent),
            "user_output_dir": str(Path(writing["BasePath"]) / "user"),
        }

    def _do_calibration_learn_from_last_data(self) -> None:
        if self._cal_number < 0:
            raise TransitionError("there is no calibration to learn from")

    def _do_calibration_load_from_disk(self) -> None:
        self._cal_number = max(self._cal_number, 0)

    def _do_roi_set(self, rois: dict[str, list[float]]) -> None:
        self._roi = {name: (float(low), float(high)) for name, (low, high) in rois.items()}

    def _do_roi_get(self) -> dict[str, list[float]]:
        return {name: list(limits) for name, limits in self._roi.items()}

    def _do_roi_get_counts(self, fast: bool = True) -> dict[str, int]:
        return self._counts()

    def _do_roi_save_counts(self) -> None:
        self._saved_counts.append(self._counts())

    def _do_start_lancero(self) -> None:
        if self._server.source is None:
            self._call("Start", f"{self._server.source_kind}SOURCE")

    def _set_triggers(self, **state: Any) -> None:
        source = self._server.source
        if source is None:
            raise GoError("no source is active")
        pixels = [source.index(pixel) for pixel in range(source.n_pixels)]
        self._call("ConfigureTriggers", {"ChannelIndices": pixels, **state})

    def _do_set_noise_triggers(self) -> None:
        self._set_triggers(AutoTrigger=True)

    def _do_set_pulse_triggers(self) -> None:
        self._set_triggers(EdgeMulti=True, EdgeMultiLevel=-100, EdgeMultiVerifyNMonotone=6)

    def _do_make_projectors(self, noise: Any = None, pulse: Any = None) -> None:
        """Nothing to do: the simulated ones are loaded from the start."""

    def _do_set_projectors(self, file: Any = None) -> None:
        """Nothing to do: the simulated ones are loaded from the start."""

    def _do_quick_post_process(self) -> None:
        raise TransitionError("post processing is not simulated")

    def _do_start_post_processing(self) -> None:
        """Nothing to do."""

    def _do_rsync_data(self, dest: Any = None) -> None:
        """Nothing to do: there is nowhere to copy to."""


def _header(
    var_name: str, var_unit: str, sample_id: Any, sample_desc: str, extra: Any
) -> dict[str, Any]:
    return {
        "var_name": var_name,
        "var_unit": var_unit,
        "sample_id": sample_id,
        "sample_desc": sample_desc,
        "extra": extra or {},
        "beamtime_id": "simulated",
    }


def _refusal(error: Exception) -> bytes:
    return json.dumps({"response": f"Exception: {error}", "success": False}).encode()
