"""The sample holder: several samples, one of them in the beam."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal
from ophyd.status import Status

from ._base import BeamlineDevice, DeviceError, Move, ask, pv
from ._numbers import positive
from ._positioner import FreshSignalRO
from ._setting import Setting

__all__ = ["SampleHolder"]


class SampleHolder(BeamlineDevice):
    """Holder whose positions have the names of the samples.

    PV contract: ``docs/reference/pvs.md``.
    """

    target = pv(
        EpicsSignal, "Sample", kind="omitted", string=True, put_complete=True, auto_monitor=True,
        doc="sample to put into the beam",
    )  # fmt: skip
    readback = pv(
        FreshSignalRO, "Sample:RBV", kind="hinted", string=True, auto_monitor=True,
        doc="sample in the beam",
    )  # fmt: skip
    time_limit = Cpt(
        Setting, value=60.0, check=positive, kind="config", unit="s",
        doc="longest time for a change",
    )  # fmt: skip

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.readback.name = self.name

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the positions, as the controller publishes them."""
        return tuple(self.target.enum_strs or ())

    @property
    def position(self) -> str:
        """Sample in the beam, as the server says now."""
        return str(self.readback.get(use_monitor=False))

    def check_value(self, sample: str) -> None:
        """Refuse a sample that the holder does not have.

        Raises
        ------
        ValueError
            Names those that it has.
        """
        if not isinstance(sample, str) or sample not in self.samples:
            raise ValueError(
                f"{self.name} ({self.target.pvname}) has no sample {sample!r}; it has "
                f"{', '.join(self.samples) or 'none'}"
            )

    def set(self, sample: str) -> Status:
        """Put a sample into the beam.

        Returns
        -------
        ophyd.status.Status
            Done when the controller says that it is there, else fails with `DeviceError`.

        Raises
        ------
        ValueError
            No such sample.
        """
        self.check_value(sample)
        sample = str(sample)
        move = Move(f"{self.name} ({self.target.pvname}) going to {sample}", self.time_limit.get())

        def arrived() -> None:
            here = ask(self.readback)
            if here != sample:
                raise DeviceError(f"{self.readback.pvname} says {here}")
            move.end()

        try:
            self.target.put(sample, use_complete=True, callback=lambda **_: move.attempt(arrived))
        except Exception as exc:
            move.end(DeviceError(f"{self.name} ({self.target.pvname}): {exc}"))
        return move
