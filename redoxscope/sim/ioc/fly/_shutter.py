"""Shutter of the fleet: the blade of the beamline, as its lines write it."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
from typing import Any

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from .._pvs import FIELDS, ShutterBlade

__all__ = ["FleetShutter"]

POLL = 0.5
"""Time (s) between two looks at the blade."""


class FleetShutter(PVGroup):
    """MODE opens and closes; STATE follows, up to half a second later."""

    mode = pvproperty(
        name="MODE",
        value="AUTO",
        dtype=ChannelType.ENUM,
        enum_strings=("OPEN", "CLOSED", "AUTO"),
    )
    state = pvproperty(
        name="STATE",
        value="CLOSED",
        dtype=ChannelType.ENUM,
        enum_strings=("CLOSED", "OPEN"),
        read_only=True,
    )

    def __init__(self, *args: Any, blade: ShutterBlade, **kw: Any):
        super().__init__(*args, **kw)
        self._blade = blade

    @property
    def is_open(self) -> bool:
        return self._blade.is_open

    async def drive(self, is_open: bool) -> None:
        """Open or close with a line."""
        await self.mode.write("OPEN" if is_open else "CLOSED", **FIELDS)
        await self._blade.override(is_open)

    @mode.putter
    async def mode(self, instance: Any, value: Any) -> Any:
        await self._blade.override(value in ("OPEN", 0))
        return value

    @state.startup
    async def state(self, instance: Any, async_lib: Any) -> None:
        async def watch() -> None:
            while True:
                await asyncio.sleep(POLL)
                seen = "OPEN" if self.is_open else "CLOSED"
                if instance.value != seen:
                    await instance.write(seen, **FIELDS)

        asyncio.get_running_loop().create_task(watch())
