"""What measures absorption spectra: an energy, channels that count, and what has to hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device

from ...documents import XasMode, sigma_key
from ...inputs import suggestion
from .._base import OUTAGE, DeviceError, answering
from .._numbers import positive
from .._setting import Setting
from ._conditions import XASConditions
from ._flown import Flown
from ._modes import modes_of

__all__ = ["XASStation"]

DWELLS = ("dwell", "averaging_time", "preset_time")
"""What sets the time of a point (s): of our devices, of ophyd's QuadEM, of its EpicsScaler."""


class XASStation(Device):
    """Binds what an absorption spectrum needs; it has no PV of its own.

    Parameters
    ----------
    name : str
    mono : Monochromator
        Photon energy (eV).
    detectors : mapping of str to device
        Whatever is triggered at a point: `QuadEM`, counters, or any device of ophyd's with
        ``trigger`` and ``read``. A device that has ``channels`` says itself which it has.
    channels : mapping of str to str, optional
        Data key of further channels, by name: ``{"tey": "em_current1_mean_value"}``.
    modes : mapping of str to mapping, optional
        Spectra besides the usual ones, see `redoxscope.devices.xas`: from ``i0`` and ``tey``,
        ``tfy``, ``i1`` come TEY, TFY and transmission, from ``i1`` and ``i2`` the reference.
    shutter, ring, holder : device, optional
    sweep : EnergySweep, optional
        What flies lines; its channels have the names of the station's.

    Attributes
    ----------
    channels : dict of str to str
        Data key of each channel, by name.
    modes : dict of str to XasMode
    conditions : XASConditions

    Raises
    ------
    ValueError
        Two detectors with a channel of the same name, no channel of which a spectrum can be made,
        a detector whose dwell nobody knows how to set.
    """

    outage = Cpt(
        Setting, value=OUTAGE, check=positive, unit="s", kind="config",
        doc="longest time to wait for PVs that do not answer",
    )  # fmt: skip

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        mono: Any,
        detectors: Mapping[str, Any],
        channels: Mapping[str, str] | None = None,
        modes: Mapping[str, Any] | None = None,
        shutter: Any = None,
        ring: Any = None,
        holder: Any = None,
        sweep: Any = None,
        **kwargs: Any,
    ):
        self.channels = _channels(name, detectors, channels or {})
        self.modes: dict[str, XasMode] = modes_of(name, self.channels, modes)
        self._dwells = {one: _dwell_of(name, one) for one in detectors.values()}
        super().__init__(prefix, name=name, **kwargs)
        self.mono, self.detectors = mono, tuple(detectors.values())
        self.shutter, self.ring, self.holder = shutter, ring, holder
        self.sweep = sweep
        self.conditions = XASConditions(self)
        self.flown = Flown(self)
        strange = [one for one in getattr(sweep, "numbers", ()) if one not in self.channels]
        if strange:
            raise ValueError(
                f"{name}: the sweep {sweep.name} has a channel {strange[0]!r}; the station's are "
                f"{', '.join(self.channels)}"
            )
        for detector in self.detectors:
            if shutter is not None and hasattr(detector, "upstream"):
                detector.attach(shutter, self._watching)

    def _watching(self) -> bool:
        return self.conditions.watching

    @property
    def source(self) -> str:
        """For documents."""
        return "station"

    # -- parts ------------------------------------------------------------------------------

    @property
    def dwells(self) -> tuple[Any, ...]:
        """What sets the dwell (s) of each detector."""
        return tuple(self._dwells.values())

    @property
    def counters(self) -> tuple[Any, ...]:
        """Detectors whose dwell others could change: name and ``dwell``.

        Of ours only: what other devices read back may be rounded by their hardware.
        """
        ours = [(one, dwell) for one, dwell in self._dwells.items() if hasattr(one, "channels")]
        return tuple(_Dwelling(one, dwell) for one, dwell in ours)

    @property
    def i0(self) -> str | None:
        """Data key of the incoming beam; None where nothing measures it."""
        return self.channels.get("i0")

    @property
    def flown_channels(self) -> dict[str, str]:
        """Data key of each channel that a line has, by name."""
        lines = getattr(self.sweep, "numbers", ())
        return {channel: key for channel, key in self.channels.items() if channel in lines}

    @property
    def flown_modes(self) -> dict[str, XasMode]:
        """Spectra that can be flown."""
        keys = set(self.flown_channels.values())
        return {name: mode for name, mode in self.modes.items() if keys >= set(mode.keys)}

    @property
    def darkened(self) -> tuple[Any, ...]:
        """Settings that are True while a point is measured behind the closed shutter."""
        return tuple(one.dark for one in self.detectors if hasattr(one, "dark"))

    @property
    def parts(self) -> list[Any]:
        """What is read into each event."""
        ring = [] if self.ring is None else [self.ring]
        return [*self.detectors, self.mono, *ring, self.conditions]

    def monitor(self, dwell: float) -> tuple[float, float, float | None]:
        """The beam monitor at the point that was measured last.

        Returns
        -------
        value : float
            Current (A), or counts.
        per : float
            s that it is over: 1 for a current, the dwell for counts.
        sigma : float or None
            Of the value; None where it is that of counts.
        """
        key = self.channels["i0"]
        for detector in self.detectors:
            reading = detector.read()
            if key in reading:
                value = float(reading[key]["value"])
                if sigma_key(key) not in reading:
                    return value, dwell, None
                sigma = float(reading[sigma_key(key)]["value"])
                return value, 1.0, sigma if math.isfinite(sigma) else 0.0
        raise DeviceError(f"{self.name}: no detector gives {key}, the channel 'i0'")

    # -- checks -----------------------------------------------------------------------------

    def check_scan(self, *, dwell: float) -> None:
        """Refuse a time of a point (s) that a detector cannot have; nothing moves.

        Raises
        ------
        ValueError
        """
        for detector in self.detectors:
            if hasattr(detector, "check_dwell"):
                detector.check_dwell(dwell)

    def point_time(self, dwell: float) -> float:
        """Time (s) of a point of so much dwell (s)."""
        times = [one.point_time(dwell) for one in self.detectors if hasattr(one, "point_time")]
        return max(times, default=dwell)

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of what plans are given, by the parameter: energies (eV)."""
        known: dict[str, tuple[float, float]] = self.mono.parameter_limits()
        return {name: pair for name, pair in known.items() if name == "energies"}

    def back_after(self, error: BaseException) -> Any:
        """What to wait for where a point failed for lack of an answer; else None."""
        signals = [signal for signal in self.dwells if hasattr(signal, "pvname")]
        if self.shutter is not None:
            signals += [self.shutter.status, self.shutter.mode]
        if self.holder is not None:
            signals.append(self.holder.readback)
        if self.ring is not None:
            signals.append(self.ring.current)
        return answering(self.name, signals, error, self.outage.get())

    # -- a run ------------------------------------------------------------------------------

    def stage(self) -> list[object]:
        """Have the detectors ready to be triggered; a new run's beam is another's."""
        self.conditions.begin_run()
        staged = super().stage()
        for detector in self.detectors:
            staged += detector.stage()
        return staged

    def unstage(self) -> list[object]:
        """Give the detectors back as they were."""
        self.conditions.release()
        back = super().unstage()
        for detector in reversed(self.detectors):
            back += detector.unstage()
        return back

    def stop(self, *, success: bool = False) -> None:
        """Abandon the point that is measured."""
        for detector in (*self.detectors, *([] if self.sweep is None else [self.sweep])):
            if hasattr(detector, "stop"):
                detector.stop(success=success)

    def destroy(self) -> None:
        """Nothing must hold any more; its parts are destroyed by whom they belong to."""
        self.conditions.release()
        super().destroy()


class _Dwelling:
    """A detector, and what its dwell (s) is set by."""

    def __init__(self, detector: Any, dwell: Any):
        self.name, self.dwell = detector.name, dwell
        self._detector = detector

    def point_time(self, dwell: float) -> float:
        """Time (s) of a point of so much dwell (s)."""
        return float(self._detector.point_time(dwell))


def _channels(
    name: str, detectors: Mapping[str, Any], further: Mapping[str, str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for detector in detectors.values():
        for channel, key in getattr(detector, "channels", {}).items():
            if channel in found:
                raise ValueError(
                    f"{name}: two of its detectors have a channel {channel!r} ({found[channel]} "
                    f"and {key}); name one of them otherwise"
                )
            found[channel] = key
    for channel, key in further.items():
        if channel in found:
            raise ValueError(f"{name}.channels has {channel!r}, which is {found[channel]} already")
        found[channel] = key
    return found


def _dwell_of(name: str, detector: Any) -> Any:
    for word in DWELLS:
        if hasattr(detector, word):
            return getattr(detector, word)
    known = suggestion("dwell", dir(detector))
    raise ValueError(
        f"{name}: nothing says how the dwell of {getattr(detector, 'name', detector)} "
        f"({type(detector).__name__}) is set: it has none of {', '.join(DWELLS)}{known}"
    )
