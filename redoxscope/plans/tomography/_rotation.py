"""Projections over an angle, with flats and darks, also while the sample is hot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ...documents import IN_BAND, TOMOGRAPHY
from ...inputs import as_number
from ...scan import rotation_scan
from .._detectors import FramesDetector
from .._expose import exposed
from .._inputs import check_device, check_settable
from .._outage import outlasting
from .._pauses import Pauses, uninterrupted
from .._protocols import Heater
from .._public import Bounds, OneOf, plan
from .._safety import SafetyStep, cooled, explained, made_safe, shielded
from ..thermal import THEN, monitored

__all__ = ["rotation_series"]


@plan
def rotation_series(
    detector: FramesDetector,
    rotation: Movable,
    x: Movable,
    y: Movable,
    energy: Movable,
    *,
    photon_energy: Annotated[float, Bounds("eV", above=0)],
    dwell: Annotated[float, Bounds("s", above=0)],
    start: Annotated[float, Bounds("deg")] = -90.0,
    stop: Annotated[float, Bounds("deg")] = 90.0,
    step: Annotated[float, Bounds("deg", above=0)] = 0.5,
    sample: Sequence[float] = (0.0, 0.0),
    blank: Sequence[float] | None = None,
    flats: Annotated[int, Bounds(at_least=0)] = 10,
    flats_every: Annotated[int | None, Bounds(at_least=1)] = None,
    darks: Annotated[int, Bounds(at_least=0)] = 10,
    pixel_size: Annotated[float | None, Bounds("µm", above=0)] = None,
    shutter: Movable | None = None,
    heater: Heater | None = None,
    temperature: Annotated[float | None, Bounds("degC")] = None,
    rate: Annotated[float | None, Bounds("degC/min", above=0)] = None,
    then: Annotated[str, OneOf(THEN)] = "cool",
    edge: str | None = None,
    also: Sequence[Readable] = (),
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take projections of a sample over an angle, for tomography; also in a soak.

    Darks behind the closed shutter, flats where nothing is in the beam, projections at equal steps
    of the angle, flats again. Frames are named by events as those of `expose`. The run can be
    exported as NXtomo and as Data Exchange.

    Parameters
    ----------
    detector : FramesDetector
        Area detector that writes its frames to a file.
    rotation : Movable
        Axis of the sample (deg).
    x, y : Movable
        Stages that bring sample or empty beam into the field (µm).
    energy : Movable
        What sets the photon energy (eV).
    photon_energy : float
        Energy of all frames (eV).
    dwell : float
        Time of a frame (s).
    start, stop, step : float
        Angles (deg), both ends included.
    sample, blank : (x, y)
        Where the sample is, and where the beam is empty (µm); without flats no ``blank`` is needed.
    flats : int
        Frames of the empty beam before the first projection and after the last.
    flats_every : int, optional
        Also after so many projections each.
    darks : int
        Frames behind the closed shutter, before all; they need the shutter.
    pixel_size : float, optional
        Of a pixel at the sample (µm), for the exported files.
    shutter : Movable, optional
        Open for the frames, closed for darks and at the end.
    heater : redoxscope.devices.HeatingStage, optional
        Its temperature is recorded as a stream and with each frame, and whether it was in band.
    temperature : float, optional
        Brought to this (degC) before the first frame and held. Without it the heater is left as
        it is.
    rate : float, optional
        Of the ramp (degC/min); by default as the stage is set.
    then : str
        ``"cool"``: at the end it ramps down to its safe temperature and switches off. ``"hold"``:
        it is left hot for what follows; whatever else ends the plan cools it all the same.
    edge : str, optional
        Absorption edge whose energy offset applies.
    also : sequence of Readable, optional
        What is read with each frame, e.g. the ring current.
    md : mapping, optional
        Further metadata for the start document.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, ophyd.utils.LimitError
        Angles that a step does not divide, flats without a place, darks without a shutter, a
        temperature without a heater or beyond it, an angle, place or energy that a device refuses.
        When the plan is called, or before its first message.
    redoxscope.devices.DeviceError
        The stage did not reach its temperature.
    RuntimeError
        The detector gave no frame although it was triggered.
    """
    scan = rotation_scan(
        energy=photon_energy, dwell=dwell, start=start, stop=stop, step=step, sample=sample,
        blank=blank, flats=flats, flats_every=flats_every, darks=darks, edge=edge,
    )  # fmt: skip
    check_device("detector", detector, FramesDetector, "FramesDetector")
    check_settable("rotation", rotation)
    if heater is not None:
        check_device("heater", heater, Heater, "HeatingStage")
    _check_heat(heater, temperature, rate, then)
    meant = {
        TOMOGRAPHY: {
            "rotation": _name(rotation),
            "energy": _name(energy),
            "frame": f"{detector.name}_frame",
            "images": detector.images.name,
            "heater": None if heater is None else heater.name,
            "temperature_c": None if temperature is None else float(temperature),
            "pixel_size_um": None if pixel_size is None else float(pixel_size),
        }
    }
    heat = None if heater is None else _Heat(heater, temperature, rate, then, shutter)
    made = exposed(
        detector, scan, x, y, energy, shutter=shutter, axes={"rotation": rotation},
        also=[*also, *([] if heat is None else [heater, heat])], md=md, plan_name="rotation_series",
        meant=meant, around=None if heat is None else heat.around,
    )  # fmt: skip
    return explained(made if heat is None or temperature is None else shielded(heater, made))


def _name(device: Any) -> str:
    return str(getattr(device, "name", device))


def _check_heat(heater: Any, temperature: Any, rate: Any, then: Any) -> None:
    """What can be refused before anything moves.

    Raises
    ------
    ValueError, ophyd.utils.LimitError
    """
    if then not in THEN:
        raise ValueError(f"then = {then!r} must be one of {', '.join(map(repr, THEN))}")
    for name, value, unit in (("temperature", temperature, "degC"), ("rate", rate, "degC/min")):
        if value is None:
            continue
        as_number(name, value, unit)
        if heater is None:
            raise ValueError(f"{name} = {value:g} {unit} needs heater=, the stage that has it")
    if temperature is not None:
        heater.check_value(temperature)
        if rate is not None:
            heater.check_rate(rate)
    elif rate is not None:
        raise ValueError(f"rate = {rate:g} degC/min needs temperature=, where the ramp goes")


class _Heat:
    """The heater's part of a run, and whether it was in band at each frame."""

    parent = None

    def __init__(
        self, heater: Any, target: float | None, rate: float | None, then: str, shutter: Any
    ):
        self.name = IN_BAND.format(heater=heater.name)
        self._heater, self._target, self._rate, self._then = heater, target, rate, then
        self._shutter = shutter

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": bool(self._heater.in_band), "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        key = {"dtype": "boolean", "dtype_numpy": "|b1", "shape": [], "source": "heater"}
        return {self.name: key}

    def around(self, exposures: MsgGenerator[None]) -> MsgGenerator[None]:
        """The exposures, when the sample is hot."""
        if self._target is None:
            yield from monitored(self._heater)
            return (yield from exposures)
        steps: list[SafetyStep] = [cooled(self._heater)]
        whole = self._hot(exposures)
        return (yield from made_safe(whole, steps, always=self._then == "cool"))

    def _hot(self, exposures: MsgGenerator[None]) -> MsgGenerator[None]:
        pauses = Pauses()
        yield Msg("checkpoint")
        yield from pauses.watch()
        if self._shutter is not None:  # a ramp takes hours
            yield from uninterrupted(
                lambda: bps.abs_set(self._shutter, "closed", wait=True), pauses
            )
        yield from monitored(self._heater)
        if self._rate is not None:
            yield from uninterrupted(
                lambda: bps.abs_set(self._heater.rate, self._rate, wait=True), pauses
            )
        there: Callable[[], Any] = lambda: bps.abs_set(self._heater, self._target, wait=True)  # noqa: E731
        yield from outlasting(lambda: uninterrupted(there, pauses), self._heater)
        return (yield from exposures)
