"""The TES as far as it talks to its server."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd import Component, Signal

from ...photons import LiveBatch
from .._base import DeviceError
from ._backend import Backend, DastardBackend
from ._client import DastardClient
from ._receiver import Receiver
from ._scan_server import ScanServerBackend
from ._settings import TESSettings

__all__ = ["ConnectedTES"]

ALIVE_PERIOD = 2.0
"""Server's interval (s) between two signs of life."""
CLOSING = 0.03
"""What closing a window takes (s) beyond its lateness: photons come in batches (measured, see
``docs/reference/figures.md``)."""
BACKENDS = ("dastard", "scan_server")


class ConnectedTES(TESSettings):
    """Connection of a `TES`, and what stands beside it."""

    count_rate = Component(
        Signal,
        value=math.nan,
        kind="omitted",
        doc="counts/s of the array, server's clock, of the point that is open; else NaN",
    )

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 5500,
        backend: str = "dastard",
        scan_server_port: int = 4000,
        source: str | None = None,
        photon_directory: str | Path = "",
        **kwargs: Any,
    ):
        if backend not in BACKENDS:
            raise ValueError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
        super().__init__(prefix, name=name, **kwargs)
        self.photon_directory.put(str(photon_directory))
        self.host, self.port = host, port
        self._backend_name, self._scan_server_port = backend, scan_server_port
        self._source_name = source
        self.count_rate.name = f"{name}_count_rate"
        self._receiver = Receiver(name, self.where, self.count_rate.put)
        self._client: DastardClient | None = None
        self._backend: Backend | None = None
        self._worker: ThreadPoolExecutor | None = None
        self.mono: Any = None
        self.shutter: Any = None
        self.i0: Any = None
        self.ring: Any = None
        self.holder: Any = None

    def attach(
        self,
        *,
        mono: Any = None,
        shutter: Any = None,
        i0: Any = None,
        ring: Any = None,
        holder: Any = None,
    ) -> None:
        """Name what is used beside it.

        Monochromator, shutter, beam monitor, ring current, sample holder.
        """
        self.mono = mono
        self.shutter, self.i0, self.ring, self.holder = shutter, i0, ring, holder

    # -- connection -----------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The server, for messages."""
        return f"{self.name} (Dastard {self.host}:{self.port})"

    @property
    def source(self) -> str:
        """The server, for documents."""
        return f"dastard://{self.host}:{self.port}"

    @property
    def counters(self) -> tuple[Any, ...]:
        """Detectors that count beside it during a point."""
        return () if self.i0 is None else (self.i0,)

    @property
    def connected(self) -> bool:
        """Whether the server is there."""
        return self._client is not None and self._client.status.linked

    @property
    def client(self) -> DastardClient:
        """What talks to Dastard.

        Raises
        ------
        DeviceError
            `connect` was not called.
        """
        if self._client is None:
            raise DeviceError(f"{self.where} is not connected; call {self.name}.connect()")
        return self._client

    @property
    def pixels(self) -> NDArray[np.int32]:
        """Channel numbers of the array, rising; none before a source ran."""
        numbers = self.client.pixels()
        return np.unique(numbers[numbers >= 0])

    def connect(self, timeout: float = 10.0) -> None:
        """Connect to the server; changes nothing there.

        Raises
        ------
        DastardError
            It is not reachable, or does not answer within ``timeout`` (s).
        """
        if self._client is None:
            receiver = self._receiver
            self._client = DastardClient(
                self.host,
                self.port,
                on_batch=receiver.batch,
                on_status=receiver.status,
                on_lost=receiver.lost,
                timeout=self.time_limit.get(),
            )
            self._client.source = self._source_name
            self._backend = self._make_backend(self._client)
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="tes-control")
        self._apply_settings()
        self._client.connect(timeout)

    def wait_for_connection(self, all_signals: bool = False, timeout: float = 2.0) -> None:
        """As `connect`."""
        self.connect(timeout)

    def destroy(self) -> None:
        """Hang up; what the server writes it goes on writing."""
        if self._backend is not None:
            self._backend.cancel()
        self._end_run()
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        self._end_run()  # one that a stage under way had begun meanwhile
        if self._backend is not None:
            self._backend.close()
        if self._client is not None:
            self._client.close()
        super().destroy()

    def _end_run(self) -> None:
        """End what photons are being taken for."""
        self._receiver.hand_to(None)

    def point_time(self, dwell: float | None = None) -> float:
        """Time (s of the server's clock) of a point, until the last photons of it have come.

        Parameters
        ----------
        dwell : float, optional
            Window (s), by default the one that is set.
        """
        window = self.dwell.get() if dwell is None else dwell
        return float(window) + float(self.lateness.get()) + CLOSING

    def _make_backend(self, client: DastardClient) -> Backend:
        if self._backend_name == "dastard":
            return DastardBackend(client)
        return ScanServerBackend(client, self.host, self._scan_server_port)

    def _apply_settings(self) -> None:
        scale, client = self.time_scale.get(), self.client
        self._receiver.clock.scale = scale
        client.timeout = client.rpc.timeout = self.time_limit.get()
        client.status.silence = 3 * ALIVE_PERIOD / scale + self.time_limit.get() / 2

    def subscribe_batches(self, function: Callable[[LiveBatch], None]) -> Callable[[], None]:
        """Have ``function(batch)`` called with the photons of the open point, as they come.

        It is called in the thread that takes the photons, so it must be quick; if it fails it is
        called no more.

        Returns
        -------
        callable
            Ends it.
        """
        return self._receiver.subscribe(function)

    def patience(self, seconds: float) -> float:
        """Longest time (s, here) for what takes so many seconds of the server's clock."""
        return self._receiver.clock.seconds_here(seconds) + self.time_limit.get()
