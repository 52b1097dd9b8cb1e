"""An IOC that tells what clients ask of it: ``python watching_ioc.py PORT LAYOUT.json``.

A line for each: ``search PV``, ``create PV``, ``write PV``. It ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    port, layout_file = sys.argv[1:]
    os.environ.update(
        EPICS_CA_SERVER_PORT=port,
        EPICS_CAS_SERVER_PORT=port,
        EPICS_CAS_INTF_ADDR_LIST="127.0.0.1",
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_ADDR_LIST="",
    )
    import caproto as ca

    from redoxscope.sim import Layout, build_model
    from redoxscope.sim.ioc import _server
    from redoxscope.sim.ioc._bench import Bench
    from redoxscope.sim.ioc._clock import Clock
    from redoxscope.sim.process import end_with_parent

    def tell(what: str, name: str) -> None:
        print(what, name, flush=True)

    class Circuit(_server._PromptCircuit):
        async def _process_command(self, command):
            if isinstance(command, ca.CreateChanRequest):
                tell("create", command.name)
            elif isinstance(command, ca.WriteRequest | ca.WriteNotifyRequest):
                tell("write", self._get_db_entry_from_command(command)[0].name)
            return await super()._process_command(command)

    class Context(_server._PromptContext):
        CircuitClass = Circuit

        async def _broadcaster_queue_iteration(self, addr, commands):
            for command in commands:
                if isinstance(command, ca.SearchRequest):
                    tell("search", command.name)
            await super()._broadcaster_queue_iteration(addr, commands)

    _server._PromptContext = Context
    layout = Layout.from_json(Path(layout_file).read_text(encoding="utf-8"))
    bench = Bench(
        build_model("lmr", layout=layout), prefix="WATCH:", clock=Clock(50), layout=layout
    )
    end_with_parent()

    async def ready() -> None:
        await bench.start()
        print("ready", port, flush=True)

    _server.serve(bench.pvdb, interface="127.0.0.1", ready=ready)


if __name__ == "__main__":
    main()
