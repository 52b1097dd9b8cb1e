"""The simulated beamline as one piece: the physical model behind the PVs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...data import ENERGY_RANGE
from ...optics import focus_z
from .._layout import KEPT, KEPT_OF_COUNTERS, KEPT_OF_GUARDS, SERVED_COUNTERS, Layout
from ..physics.heated import ON_STAGE, HeatedSample
from ..physics.stxm import GEOMETRY, BeamlineModel, MeasuredStack, Passing, Positions
from ._clock import Clock
from ._dastard_link import DastardLink
from ._diffraction import beam_on_camera
from ._energy import EnergyAxis
from ._faults import Faults
from ._holder import Holder
from ._motor_axis import RAMP, motor_axis
from ._path import Path
from ._plain import plain_pv
from ._pvs import FIELDS, Counter, Ring, Scanner, ShutterBlade, SimControl
from ._xas import Electrometer, Sweep, XASBeam
from .camera import Camera
from .fly import Fleet
from .heat import HeatWorld

__all__ = ["Bench"]

log = logging.getLogger("redoxscope.sim")

START_ENERGY = 640.0
"""Where the monochromator stands at the start (eV)."""

EPU_WIDTH = 6.0
"""Standard deviation (eV) of the undulator harmonic that the monochromator looks at."""

FAR = 1e4
_UNKNOWN = {"VELO": 1000.0, "ACCL": RAMP}
"""Limits, speed and ramp of a motor of which the file knows the name only, in its own units."""

TELL_S = 0.02
"""Real time (s) between messages to the detector while the energy moves."""

MOTORS = {
    "ZP:Z": (-20000.0, -100.0, 4000.0, -5000.0),
    "OSA:X": (-500.0, 500.0, 500.0, 0.0),
    "OSA:Y": (-500.0, 500.0, 500.0, 0.0),
    "OSA:Z": (-1000.0, 1000.0, 500.0, 0.0),
    "Detector:X": (-5000.0, 5000.0, 2000.0, 0.0),
    "Detector:Y": (-5000.0, 5000.0, 2000.0, 0.0),
    "Sample:X": (-10000.0, 10000.0, 2000.0, 0.0),
    "Sample:Y": (-10000.0, 10000.0, 2000.0, 0.0),
    "Sample:Z": (-2000.0, 2000.0, 500.0, 0.0),
    "Sample:FineX": (-15.0, 15.0, 500.0, 0.0),
    "Sample:FineY": (-15.0, 15.0, 500.0, 0.0),
}
"""Suffix: lower limit (µm), upper limit (µm), velocity (µm/s), position at the start (µm)."""

_OPTICS = ("ZP:Z", "OSA:X", "OSA:Y", "OSA:Z", "Detector:X", "Detector:Y")


class Bench:
    """Joins model and PVs: what the detectors count follows from where everything stands.

    Parameters
    ----------
    model : BeamlineModel or MeasuredStack
    prefix : str
        Start of every PV name.
    clock : Clock
    energy_offset : float
        True minus monochromator energy (eV): the error that an edge offset corrects.
    dastard : DastardLink, optional
        The server whose array looks at the sample.
    fly : mapping, optional
        Serve the FLY contract too, on the same axes and counters; keywords of `Fleet`.
    layout : Layout, optional
        The beamline that is simulated: its PV names, zone plate and state.
    shutter : bool
        Without one the sample has beam all the time.
    heat_clock : Clock, optional
        Time of the heating stages and of what is around them; by default ``clock``.
    seed : int
        Of their noise.
    camera : mapping, optional
        Keywords of `Camera`: its ``options``, ``size`` and ``data``.

    Attributes
    ----------
    sample : HeatedSample
        What stands on the heating stage: absorption and emission come from it.
    """

    def __init__(
        self,
        model: BeamlineModel | MeasuredStack,
        *,
        prefix: str,
        clock: Clock,
        energy_offset: float = 0.0,
        dastard: DastardLink | None = None,
        fly: Mapping[str, Any] | None = None,
        layout: Layout | None = None,
        shutter: bool = True,
        heat_clock: Clock | None = None,
        seed: int = 1,
        camera: Mapping[str, Any] | None = None,
    ):
        self._dastard, self._prefix, self._layout = dastard, prefix, layout
        self.model, self.clock, self.faults = model, clock, Faults()
        self.sample = HeatedSample()
        self.energy_offset = energy_offset
        self.energy_velocity = (layout or Layout("", {})).value("Mono:Velocity", 10.0)
        self._preparing: asyncio.Task[None] | None = None
        self._ring_changed = asyncio.Event()
        self._image_due = True
        known = layout or Layout("", {})
        energy = float(model.energies[0]) if isinstance(model, MeasuredStack) else START_ENERGY
        energy = known.value("Mono:Energy:RBV", energy - energy_offset) + energy_offset
        geometry = known.zone_plate() or GEOMETRY
        self.motors = {}
        for suffix, (low, high, velocity, start) in MOTORS.items():
            if suffix == "ZP:Z":
                start = focus_z(geometry, energy + known.offset_at(energy))
            low, high = known.limits(f"{suffix}.VAL", (low, high))
            velocity = known.value(f"{suffix}.VELO", velocity)
            start = known.value(f"{suffix}.RBV", start)
            ramp = known.value(f"{suffix}.ACCL", RAMP)
            self.motors[suffix] = motor_axis(low, high, velocity, start, ramp)(
                prefix=prefix + suffix,
                clock=clock,
                moved=self._optics_moved if suffix in ("ZP:Z", "Sample:Z") else None,
                stuck=(lambda: self.faults.take("focus_stuck")) if suffix == "ZP:Z" else None,
            )
        for name in known.motors:
            record = f"Motors.{name}"
            low, high = known.limits(f"{record}.VAL", (-FAR, FAR))
            velocity, ramp = (known.value(f"{record}.{f}", v) for f, v in _UNKNOWN.items())
            start = known.value(f"{record}.RBV", 0.0)
            self.motors[record] = motor_axis(low, high, velocity, start, ramp)(
                prefix=prefix + record, clock=clock
            )
        self.mono = EnergyAxis(
            prefix=prefix + "Mono:",
            clock=clock,
            faults=self.faults,
            moved=self._energy_moved,
            start=energy - energy_offset,
            changed=self._tell,
            # A plan beyond what can be computed must fail before its first move.
            limits=None if isinstance(model, MeasuredStack) else ENERGY_RANGE,
            known=known,
        )
        self.shutter = ShutterBlade(
            prefix=prefix + "Shutter:", faults=self.faults, changed=self._tell, there=shutter
        )
        self.holder = Holder(prefix=prefix + "Holder:", clock=clock, changed=self._tell)
        self._behind = {"transmission": True, "i0": False, **known.counters}
        names = {field: start for start, field in SERVED_COUNTERS.items()}
        names |= {field: f"Counters.{field}:" for field in known.counters}
        self.counters = {
            field: Counter(prefix=prefix + start, count_point=self._count_point)
            for field, start in names.items()
        }
        self.ring = Ring(prefix=prefix + "Ring:")
        beam = XASBeam(self)
        self.electrometer = Electrometer(prefix=prefix + "EM:", beam=beam, clock=clock)
        self.sweep = Sweep(
            prefix=prefix + "Sweep:", beam=beam, mono=self.mono, clock=clock, true=self._true
        )
        self.scanner = Scanner(prefix=prefix + "Scan:", bench=self, clock=clock, faults=self.faults)
        self.camera = Camera(
            prefix=prefix + "Cam:",
            clock=clock,
            beam=lambda: beam_on_camera(self),
            place=self._place,
            **{"options": {}, "size": 256, "data": ".", **(camera or {})},
        )
        self.path = Path(
            prefix=prefix + "Path:",
            bench=self,
            camera=self.camera,
            clock=clock,
            faults=self.faults,
            seed=seed,
        )
        self.shutter.on_dead_man = self._dead_man
        self.heat_clock = heat_clock or clock
        self.heat = HeatWorld(prefix=prefix, clock=self.heat_clock, sample=self.sample, seed=seed)
        self.control = SimControl(
            prefix=prefix + "Sim:", request=self.request_fault, tell=self.heat.tell
        )
        self.fleet = None if fly is None else Fleet(self, **fly)
        self._target = energy - energy_offset

    @property
    def pvdb(self) -> dict[str, Any]:
        """Every PV by name."""
        groups = [*self.motors.values(), self.mono, self.shutter, *self.counters.values()]
        db: dict[str, Any] = {}
        groups += [self.ring, self.holder, self.scanner, self.electrometer, self.sweep]
        for group in [*groups, self.camera, self.path]:
            db.update(group.pvdb)
        db.update(self.heat.pvdb)
        if self.fleet is not None:
            db.update(self.fleet.pvdb)
        if self._layout is not None:
            mine = {name.removeprefix(self._prefix): channel for name, channel in db.items()}
            names = self._layout.with_companions(mine)
            db = {names[name]: channel for name, channel in mine.items() if name in names}
        plain = {} if self._layout is None else self._layout.plain
        return {
            **db,
            **{name: plain_pv(value) for name, value in plain.items()},
            **self.control.pvdb,
        }

    def velocity(self, suffix: str) -> float:
        """Velocity of a motor (µm/s)."""
        own = MOTORS[suffix][2]
        return own if self._layout is None else self._layout.value(f"{suffix}.VELO", own)

    async def start(self) -> None:
        """Set what the model knows, then keep the ring current up to date."""
        await self.control.speed.write(self.clock.speed)
        await self.control.heat_speed.write(self.heat_clock.speed)
        await self.mono.place()
        for field, counter in self.counters.items():
            detector = getattr(self.model, field, None)  # a measured stack has none
            if detector is not None:
                await counter.dead_time.write(detector.dead_time_s)
                await counter.saturation.write(detector.saturation)
        if self._layout is not None:
            await self._stand_as(self._layout)
        self._prepare()
        await self.camera.begin()
        await self.heat.start()
        loop = asyncio.get_running_loop()
        loop.create_task(self._watch_ring())
        if self._dastard is not None:
            loop.create_task(self._keep_telling())

    async def _stand_as(self, layout: Layout) -> None:
        """Take over what the real beamline's PVs said."""
        samples = layout.values.get("Holder:Sample", {}).get("enum")
        if samples:
            await self.holder.rename(samples, layout.value("Holder:Sample:RBV", samples[0]))
        groups: list[Any] = [self.mono, self.shutter, *self.counters.values(), self.scanner]
        channels = {name: channel for group in groups for name, channel in group.pvdb.items()}
        for pv, said in layout.values.items():
            if pv in KEPT_OF_GUARDS and said.get("value") is not None:
                await self.heat.pvdb[self._prefix + pv].write(said["value"])
                continue
            channel = channels.get(self._prefix + pv)
            first, _, last = pv.rpartition(":")
            of_counter = f"{first}:" in SERVED_COUNTERS or first.startswith("Counters.")
            kept = pv in KEPT or (of_counter and last in KEPT_OF_COUNTERS)
            if channel is not None and kept and said.get("value") is not None:
                await channel.write(said["value"], **FIELDS)

    async def _watch_ring(self) -> None:
        while True:
            current = self.model.ring_current(
                self.clock.now(), self._energy, beam_on=self.faults.beam_on
            )
            await self.ring.current.write(current)
            self.camera.tell_beam()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ring_changed.wait(), 1.0)
            self._ring_changed.clear()

    # -- what the array sees ----------------------------------------------------------------

    def request_fault(self, command: str) -> None:
        """Take a fault; "dastard ...", "fly ...", "heat ..." and "camera ..." are passed on."""
        first, _, rest = command.partition(" ")
        if first == "camera":
            self.camera.request(rest)
            return
        if first == "heat":
            self.heat.request(rest)
            return
        if first == "fly":
            if self.fleet is None:
                raise ValueError(f"fault {command!r}: the FLY contract is not served here")
            self.fleet.faults.request(rest)
        elif first != "dastard":
            self.faults.request(command)
            self._ring_changed.set()  # a client that compares counts with it is not to see the old
            if command.split() == ["clear"]:
                self.heat.request("clear")
                self.camera.request("clear")
                if self.fleet is not None:
                    self.fleet.faults.request("clear")
            self._tell()
        elif self._dastard is None:
            raise ValueError(f"fault {command!r}: there is no simulated Dastard here")
        else:
            self._dastard.fault(rest)

    async def _keep_telling(self) -> None:
        """Tell where the energy is on its way, and all of it once a second anyway."""
        assert self._dastard is not None
        quiet = 1.0
        while True:
            if self.mono.moving or quiet >= 1.0:
                self._tell()
                quiet = 0.0
            self._dastard.go_on()
            await asyncio.sleep(TELL_S)
            quiet += TELL_S

    def _tell(self) -> None:
        self.camera.tell_beam()
        if self._dastard is None:
            return
        mono, epu = self.mono.position("mono"), self.mono.position("epu")
        energy, sample = self._true(mono), self.holder.modelled
        flux = self._harmonic(mono, epu) if sample and self.faults.beam_on else 0.0
        beam = getattr(self.model, "beam", None)  # a measured stack has none
        if beam is not None:
            flux *= beam.rate(energy, self.clock.now()) / beam.flux
        state: dict[str, Any] = {"energy": energy, "flux": flux, "open": self.shutter.is_open}
        if sample:
            parts = self.sample.parts() if sample == ON_STAGE else {}
            state |= {"sample": sample, "parts": parts}
        self._dastard.tell(**state)

    # -- the beam and the focus -------------------------------------------------------------

    def _energy_moved(self, target: float) -> None:
        self._target = target
        self._prepare()

    def _optics_moved(self) -> None:
        self._prepare()

    def _prepare(self) -> None:
        """Compute the image that the next energy will see, while the motors still move.

        Only for a scan: without one nobody may ever look at the image, and it is work.
        """
        self._image_due = True
        if self.shutter.follows or (self.fleet is not None and self.fleet.fly.expects_lines):
            self._begin_image()

    def _begin_image(self) -> None:
        self._image_due = False
        previous = self._preparing

        async def prepare() -> None:
            if previous is not None:
                await asyncio.wait([previous])
            energy = self._seen(self._true(self._target))
            z = self.motors["ZP:Z"].target - self.motors["Sample:Z"].target
            await asyncio.to_thread(self.model.prepare, energy, z)

        self._preparing = asyncio.get_running_loop().create_task(prepare())

    async def ready(self) -> None:
        """Wait for the image at the present energy."""
        if self._image_due:
            self._begin_image()
        if self._preparing is not None:
            # Who is halted while he waits must not take the image with him.
            await asyncio.shield(self._preparing)

    @property
    def _energy(self) -> float:
        """True photon energy (eV)."""
        return self._true(float(self.mono.readback.value))

    def _true(self, mono: float) -> float:
        """True energy (eV) where the monochromator says an energy (eV)."""
        near = 0.0 if self._layout is None else self._layout.offset_at(mono)
        return mono + self.energy_offset + near

    def _seen(self, energy: float) -> float:
        """Energy (eV) at which the model is asked: in a dry run, the nearest that it covers."""
        return energy if self._layout is None else self._layout.clipped(energy)

    @property
    def _flux(self) -> float:
        """Share of the full flux: none without stored beam, less when the EPU is elsewhere."""
        share = self._harmonic(self.mono.readback.value, self.mono.epu_readback.value)
        return share if self.faults.beam_on else 0.0

    @property
    def beam_now(self) -> tuple[float, float]:
        """True energy (eV), and what falls on a sample behind the shutter, of the full beam."""
        share = self._flux if self.shutter.is_open else 0.0
        beam = getattr(self.model, "beam", None)  # a measured stack has none
        if beam is not None:
            share *= beam.rate(self._energy, self.clock.now()) / beam.flux
        return self._energy, share

    @staticmethod
    def _harmonic(mono: float, epu: float) -> float:
        """Share of the undulator's light at one energy (eV) that passes at another."""
        return float(np.exp(-(((epu - mono) / EPU_WIDTH) ** 2) / 2))

    async def _dead_man(self) -> None:
        """Whatever has the stage stops, and with it the shutter closes."""
        await (self.path if self.path.runs else self.scanner).dead_man()

    def _place(self) -> tuple[float, float]:
        """Where on the sample the beam is while the stage stands (um)."""
        x0, y0 = self.coarse()
        fine = (self.motors[f"Sample:Fine{axis}"].position for axis in "XY")
        x, y = (np.array([a + b]) for a, b in zip((x0, y0), fine, strict=True))
        at = self.positions(x, y, self.clock.now())
        return float(at.actual_x[0]), float(at.actual_y[0])

    def coarse(self) -> tuple[float, float]:
        """Position of the coarse stage (um)."""
        return self.motors["Sample:X"].position, self.motors["Sample:Y"].position

    def positions(self, x: np.ndarray, y: np.ndarray, when: float) -> Positions:
        """Measured and actual positions (µm) of a line at a time (s), by where the optics stand."""
        return self.model.positions(x, y, when, self.motors["ZP:Z"].position)

    def _count(
        self,
        x: np.ndarray,
        y: np.ndarray,
        dwell: float,
        when: float,
        lit: bool | None = None,
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        at = self.positions(x, y, when)
        energy = self._seen(self._energy)
        through: dict[str, Any] = (
            {} if isinstance(self.model, MeasuredStack) else {"through": self._through(energy)}
        )
        counts = self.model.line(
            energy,
            # The model's sample stands at A0; what counts is the distance to it.
            self.motors["ZP:Z"].position - self.motors["Sample:Z"].position,
            at.actual_x,
            at.actual_y,
            dwell,
            when,
            shutter_open=self.shutter.is_open if lit is None else lit,
            flux_scale=self._flux,
            **through,
        )
        return at.measured_x, at.measured_y, counts

    def _through(self, energy: float) -> Passing:
        """What aperture and detector let through where they stand."""
        at = {name: self.motors[name].position for name in _OPTICS}
        assert isinstance(self.model, BeamlineModel)
        return self.model.passing(
            energy,
            at["ZP:Z"],
            (at["OSA:X"], at["OSA:Y"], at["OSA:Z"]),
            (at["Detector:X"], at["Detector:Y"]),
        )

    def line(
        self, columns: np.ndarray, row: float, dwell: float, begin: float
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Measured x, y (µm) and counts of a line in fine coordinates (µm)."""
        x0, y0 = self.coarse()
        return self._count(columns + x0, np.full(columns.size, row + y0), dwell, begin)

    def line_along(
        self, axis: str, points: np.ndarray, dwell: float, begin: float, lit: bool
    ) -> dict[str, np.ndarray]:
        """Counts along one fine axis (µm), the other where its motor stands."""
        fine = {
            name: np.full(points.size, self.motors[f"Sample:Fine{name.upper()}"].position)
            for name in "xy"
        }
        fine[axis] = points
        x0, y0 = self.coarse()
        return self._count(x0 + fine["x"], y0 + fine["y"], dwell, begin, lit)[2]

    async def _count_point(self, counter: Counter) -> float:
        field = next(name for name, other in self.counters.items() if other is counter)
        return await self.count_point(field, float(counter.dwell.value))

    async def count_point(self, field: str, dwell: float) -> float:
        """Counts of one detector where the stage stands, after the dwell (s)."""
        if not self._behind[field]:
            begin = self.clock.now()
            await self.clock.sleep_until(begin + dwell)
            return self.model.monitor(self._seen(self._energy), dwell, begin, self._flux)
        await self.ready()
        x0, y0 = self.coarse()
        x = x0 + self.motors["Sample:FineX"].position
        y = y0 + self.motors["Sample:FineY"].position
        begin = self.clock.now()
        _, _, counts = self._count(np.array([x]), np.array([y]), dwell, begin)
        await self.clock.sleep_until(begin + dwell)
        return float(counts[field if field in counts else "transmission"][0])

    async def publish(
        self, counts: dict[str, np.ndarray], timestamp: float, *, lost: bool = False
    ) -> None:
        """Let every counter publish its line."""
        for field, counter in self.counters.items():
            like = field if field in counts else "transmission" if self._behind[field] else "i0"
            await counter.publish(counts[like], timestamp, lost=lost)
