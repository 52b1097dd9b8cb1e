"""The Channel Access server: what it does about a client that is gone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import caproto as ca
from caproto.server.common import DisconnectedCircuit

from redoxscope.sim.ioc._server import _PromptCircuit, _PromptContext


class Monitor(bytes):
    """A message that waits to be sent."""

    subscriptionid = 1


def test_the_task_that_sends_lets_go_of_a_client_that_is_gone():
    """It may find it before the task that reads, where monitors go out as the client is killed."""

    async def send(*_):
        raise DisconnectedCircuit("Connection reset by peer")

    async def gone():
        context = _PromptContext({}, ["127.0.0.1"])
        address = ("127.0.0.1", 1)
        client = SimpleNamespace(close=lambda: None, getsockname=lambda: address)
        circuit = _PromptCircuit(ca.VirtualCircuit(ca.SERVER, address, None), client, context)
        circuit.send = send
        context.circuits.add(circuit)
        await circuit.run()
        sends, monitor = circuit._sub_task, Monitor(16)
        await circuit.subscription_queue.put(lambda: monitor)
        await asyncio.wait_for(sends, 60)
        assert circuit not in context.circuits
        await circuit._on_disconnect()  # the task that reads finds it, too
        await circuit.tasks.cancel_all(wait=True)

    asyncio.run(gone())
