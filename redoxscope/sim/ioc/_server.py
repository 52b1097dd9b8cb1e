"""The Channel Access server of the simulated beamline: caproto, tuned for low latency."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from caproto.asyncio.server import Context, VirtualCircuit

__all__ = ["serve"]


class _PromptCircuit(VirtualCircuit):
    """Sends monitors at once, and lets go of a client that is gone, whoever notices.

    caproto waits 10 ms for more before it sends, doubling up under load; lines that come
    every few ms would then arrive in batches, 100 ms late.
    """

    _sub_task: asyncio.Task[None] | None

    async def get_from_sub_queue(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return await self.subscription_queue.get()
        if self.subscription_queue.empty():
            await asyncio.sleep(0)  # the rest of the line may be on its way
        return None if self.subscription_queue.empty() else self.subscription_queue.get_nowait()

    async def _on_disconnect(self) -> None:
        if asyncio.current_task() is self._sub_task:
            self._sub_task = None  # found by the task that sends; caproto has it wait for itself
        await super()._on_disconnect()


class _PromptContext(Context):
    CircuitClass = _PromptCircuit

    async def server_accept_loop(self, sock: socket.socket) -> None:
        # Small replies would wait for the client's delayed acknowledgement (40 ms).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await super().server_accept_loop(sock)


def serve(pvdb: Mapping[str, Any], *, interface: str, ready: Callable[[], Awaitable[None]]) -> None:
    """Serve PVs on one interface until interrupted.

    Parameters
    ----------
    pvdb : mapping of str to caproto channel
    interface : str
        Address to listen on, e.g. ``"127.0.0.1"``.
    ready : coroutine function
        Called when the server answers.
    """

    async def hook(async_lib: Any) -> None:
        await ready()

    async def main() -> None:
        await _PromptContext(pvdb, [interface]).run(startup_hook=hook)

    asyncio.run(main())
