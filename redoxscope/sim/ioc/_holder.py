"""PVs of the sample holder; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from ..physics.rixs import RIXS_SAMPLES
from ._clock import Clock
from ._pvs import FIELDS

__all__ = ["Holder"]

CHANGE_S = 2.0
"""How long (s) a change from one sample to another takes."""

_START = "lmr_charged"


class Holder(PVGroup):
    """Holder of the samples that the spectrometer looks at."""

    sample = pvproperty(
        name="Sample", value=_START, dtype=ChannelType.ENUM, enum_strings=RIXS_SAMPLES
    )
    readback = pvproperty(
        name="Sample:RBV",
        value=_START,
        dtype=ChannelType.ENUM,
        enum_strings=RIXS_SAMPLES,
        read_only=True,
    )

    def __init__(self, *args: Any, clock: Clock, changed: Callable[[], None], **kw: Any):
        super().__init__(*args, **kw)
        self._clock, self._changed = clock, changed
        self._going: object | None = None

    @property
    def in_beam(self) -> str | None:
        """Sample in the beam; None on the way to another."""
        return None if self._going else str(self.readback.value)

    @property
    def modelled(self) -> str | None:
        """What the array sees: a sample of another beamline looks like the one at the start."""
        name = self.in_beam
        return name if name is None or name in RIXS_SAMPLES else _START

    async def rename(self, samples: list[str], here: str) -> None:
        """Have the samples of a real beamline, and one of them in the beam."""
        for prop in (self.sample, self.readback):
            await prop.write_metadata(enum_strings=samples)
            await prop.write(here, **FIELDS)

    @sample.putter
    async def sample(self, instance: Any, value: Any) -> Any:
        name = value if isinstance(value, str) else self.sample.enum_strings[int(value)]
        await instance.write(name, **FIELDS)  # at once, as a record does; caproto would wait
        if name != self.in_beam:
            going = self._going = object()
            self._changed()
            await self._clock.sleep(CHANGE_S)
            if self._going is going:  # else it was sent elsewhere meanwhile
                await self.readback.write(name, **FIELDS)
                self._going = None
                self._changed()
        return value
