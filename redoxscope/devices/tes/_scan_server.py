"""The scan server that runs Dastard at some beamlines: the second backend."""

from __future__ import annotations

import logging
import time
from typing import Any

from ._client import DastardClient, RunFiles
from ._errors import DastardError, RefusedError
from ._rpc import JsonConnection

__all__ = ["ScanServerBackend"]

log = logging.getLogger("redoxscope.tes")

# What leads from each state one step back to no_file.
_BACK = {"scan_point": "scan_point_end", "scan": "scan_end", "file_open": "file_end"}


class ScanServerBackend:
    """Files and scans through the scan server; status and photons from Dastard itself.

    Its states follow each other strictly, and what is not ended stands in the way of the next
    run, so a run begins by going back to the first state from wherever it is.

    Parameters
    ----------
    client : DastardClient
        Follows the Dastard that the server runs; its RPC is used for nothing but asking for
        the status.
    host : str
    port : int
        4000, usually. The server takes one client at a time.
    """

    tells_points = True

    def __init__(self, client: DastardClient, host: str, port: int):
        self._client = client
        self._connection = JsonConnection("scan server", host, port, client.timeout)
        self._in_scan = False

    def call(self, method: str, *params: Any, **kwargs: Any) -> Any:
        """Response to a call.

        Raises
        ------
        RefusedError
            The server says that it did not work.
        DastardError
            No answer.
        """
        self._connection.timeout = self._client.timeout
        request = {"method": method, "params": list(params), "kwargs": kwargs}
        answer = self._connection.ask(request, method)
        if not answer.get("success"):
            reason = str(answer.get("response"))
            raise RefusedError(f"{self._connection.address} refused {method}: {reason}", reason)
        return answer.get("response")

    def begin_run(
        self, label: str, *, path: str, off: bool, ljh: bool, calibrating: bool
    ) -> RunFiles:
        """Files and a scan of their own for the run; ``label`` is only described by it.

        Raises
        ------
        DastardError
            Any step failed; it says which.
        """
        client = self._client
        client.resume()
        client.status.wait_linked(client.timeout)
        self._go_back()
        if not client.refresh()["Running"]:
            log.warning("%s: no source was running; starting it", self._connection.address)
            self.call("start_lancero")
            client.wait_for("STATUS", lambda s: bool(s["Running"]), "a source runs")
            self.call("set_pulse_triggers")
            client.refresh()
        client.wait_for("CHANNELNAMES", lambda _: True, "how its channels are called")
        before, sent = client.status.count, time.monotonic()
        self.call("file_start", path or None, write_ljh=ljh, write_off=off)
        writing = client.wait_for("WRITING", lambda w: w["Active"], "it is writing", after=before)
        stamp = writing.get("ExperimentStateLabelUnixNano") or None
        what = ("tes_point", "", label, label)
        if calibrating:
            self.call("calibration_start", *what, routine="redoxscope")
        else:
            self.call("scan_start", *what)
        self._in_scan = True
        directory = str(writing.get("FilenamePattern", "")).rpartition("/")[0]
        return RunFiles(directory, str(self.call("scan_str")), stamp, sent)

    def end_run(self) -> None:
        self._in_scan = False
        self._go_back()

    def point_begun(self, point: int, start_ns: int) -> None:
        if self._in_scan:
            if self.call("state") == "scan_point":  # the one before was abandoned
                self.call("scan_point_end")
            self.call("scan_point_start", point, _epoch=start_ns * 1e-9)

    def point_ended(self) -> None:
        if self._in_scan and self.call("state") == "scan_point":
            self.call("scan_point_end")

    def cancel(self) -> None:
        self._client.cancel()

    def close(self) -> None:
        self._connection.close()

    def _go_back(self) -> None:
        for _ in range(len(_BACK) + 1):
            state = str(self.call("state"))
            if state not in _BACK:
                return
            self.call(_BACK[state])
        raise DastardError(
            f"{self._connection.address} stays in state {state!r}: end its scan and file by hand"
        )
