"""The heating stage: one behaviour over several temperature controllers."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from ophyd import Component as Cpt
from ophyd.status import Status

from ...inputs import as_number
from .._base import DeviceError, done, put_now
from .._watched import watchable
from ._controller import Controller
from ._cooling import Cooling
from ._guard import HeaterGuard
from ._jobs import Job, Ramping, Soaking
from ._limited import LimitedStage
from ._progress import LeftWay
from ._soak import Soaked
from ._soak_time import SoakTime

__all__ = ["HeatingStage", "heated_by"]

log = logging.getLogger("redoxscope.heater")


class HeatingStage(LimitedStage):
    """Positioner of a temperature (degC), in a ramp; *done* means in band, and no longer changing.

    Made by `heated_by` for a controller. Nothing is written on connecting.

    Parameters
    ----------
    low, high : float
        Lowest and highest temperature that may be asked for (degC); without them none may.
    rate, max_rate : float
        Of ramps: at first, and the highest that may be set (degC/min).
    tolerance : float
        Half of the band (degC).
    settle : float
        Time in band until a temperature counts as reached (s).
    slope_limit : float
        Largest slope in that time (degC/min).
    safe_temperature : float
        Where it is ramped down to before the output is switched off (degC).
    margin : float
        Time that a ramp, or a soak, may take longer than it should (s), besides half as long.
    time_scale : float
        Seconds of the beamline in a second here; 1 but in a simulation.
    """

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        self.ordering = threading.RLock()  # what is written, and by whom
        self.switched_off = False  # by this client, as the last thing that it did
        self.instant = False  # a dry run: its simulation stands at a set point at once
        self._job: Job | None = None
        self._reached: tuple[float, float, float] | None = None  # target, sign, overshoot
        self._soaked: Soaked | None = None
        self._paused = False  # by the RunEngine
        self.soaking = SoakTime(self)
        super().__init__(prefix, name=name, **kwargs)

    @property
    def heats(self) -> bool:
        """Whether its output is on, by the last monitor, whoever switched it on."""
        return bool(self.controller.is_on) and not self.switched_off

    @property
    def in_band(self) -> bool:
        """Whether it is within tolerance of what this client asked for, by the last monitor."""
        return self.target is not None and self.band(self.target).has(self.position)

    @property
    def target(self) -> float | None:
        """What this client goes to, or is at (degC); None where it is neither."""
        job = self._job
        if isinstance(job, (Ramping, Soaking)) and job.running:
            return job.target
        return None if self._reached is None else self._reached[0]

    @property
    def soak_status(self) -> tuple[float, Status] | None:
        """Time in band that is being soaked (s), and its status; None where nothing is."""
        job = self._job
        if not (isinstance(job, Soaking) and job.running):
            return None
        return job.seconds, job.status

    @property
    def soaked(self) -> Soaked | None:
        """What the last soak was so far; None where there was none."""
        job = self._job
        return job.soak.record if isinstance(job, Soaking) else self._soaked

    def set(self, temperature: Any, *, unit: str | None = None) -> Status:
        """Ramp to a temperature, at the rate that is set.

        Parameters
        ----------
        temperature : float
            degC, or in ``unit``.
        unit : str, optional
            ``"degC"`` or ``"K"``.

        Returns
        -------
        ophyd.status.Status
            Done when it was in band for the settling time, its slope within the limit. Fails with
            `DeviceError` when it takes too long, the sensor fails or is stuck, the guard trips, or
            somebody else sets it; the message says which.

        Raises
        ------
        ophyd.utils.LimitError, ValueError, DeviceError
            As `check_value`.
        """
        target = self._in_celsius(temperature, unit)
        self.check_value(target)
        with self.ordering:
            former = self._job
            if isinstance(former, Ramping) and former.goes_to(target, self.rate.get()):
                self._paused = False
                former.go_on()
                return former.status
            here = self.position
            on = self.controller.is_on and not self.switched_off
            job = Ramping(self, target, here, on)
            self.switched_off, self._reached = False, None
            former = self._replace(job)
            self._paused, paused = False, self._paused
        error = DeviceError(f"{self.label} was sent to {target:.6g} degC instead")
        self._end(former, None if paused else error)
        if self.guard is not None:
            self.guard.begin()
        job.start()
        way = LeftWay(
            self.name,
            "degC",
            here,
            target,
            self.time_to(target, here),
            partial(getattr, self, "position"),
            left=lambda: job.left_s,
        )
        return watchable(job.status, way, self.clock.now)

    def arrived(self, job: Ramping) -> None:
        """Called by a ramp that is there: it may be soaked."""
        with self.ordering:
            if self._job is job:
                self._reached = (job.target, job.sign, job.overshoot_c)

    def soak(self, seconds: Any, timeout: Any = None) -> Status:
        """Stay at the temperature that was set until it was in band for so long.

        Only time in band counts; ``soaked`` says what was left out. A pause of the RunEngine does
        not end it, for the sample stays hot.

        Parameters
        ----------
        seconds : float
            Time in band (s).
        timeout : float, optional
            Longest time (s); by default half as long again, and the margin.

        Returns
        -------
        ophyd.status.Status
            Fails as that of `set`.

        Raises
        ------
        ValueError
            No time, or one longer than its time-out.
        DeviceError
            No temperature was reached that it could stay at.
        """
        name = f"{self.name}.soak"
        seconds = as_number(f"{name}: seconds", seconds, "s", above=0)
        limit = 1.5 * seconds + self.margin_s
        if timeout is not None:
            limit = as_number(f"{name}: timeout", timeout, "s", above=0)
        if limit < seconds:
            raise ValueError(
                f"{name}: seconds = {seconds:g} s is longer than its time-out, {limit:g} s"
            )
        with self.ordering:
            reached = self._reached
            if reached is None:
                raise DeviceError(
                    f"{self.label} has no temperature to stay at: set one, and wait until it is "
                    "reached"
                )
            target, sign, overshoot = reached
            if self.instant:
                here = self.position
                self._soaked = Soaked(
                    target, float(self.tolerance.get()), seconds, 0.0, 0.0, here, here, overshoot
                )
                return done()
            job = Soaking(self, target, seconds, limit, sign, overshoot)
            former = self._replace(job)
            self._paused, paused = False, self._paused
        error = DeviceError(f"{self.label} was asked to soak {seconds:.6g} s instead")
        self._end(former, None if paused else error)
        job.status.add_callback(lambda _: self._keep(job))
        job.start()
        way = LeftWay(
            f"{self.name} soaks",
            "s",
            0.0,
            seconds,
            seconds,
            lambda: job.soak.record.in_band_s,
            left=lambda: job.left_s,
        )
        return watchable(job.status, way, self.clock.now)

    def _keep(self, job: Soaking) -> None:
        self._soaked = job.soak.record

    def stop(self, *, success: bool = False) -> None:
        """Hold where it is: no more heat than that, and no less; what is off stays off.

        What makes it safe goes on. With ``success`` (the RunEngine, in a pause and at the end of
        every plan) a ramp waits for `resume` or until something else is asked for, and a soak goes
        on: it holds already. What cannot be written is logged, and raised where not ``success``.
        """
        here, failed = math.nan, None
        with self.ordering:
            job, self._paused = self._job, False
            if isinstance(job, Cooling) and job.running:
                return
            ramping = isinstance(job, Ramping) and job.running and not job.held
            waits = success and job is not None and job.running
            if waits and isinstance(job, Soaking):
                return
            if waits and isinstance(job, Ramping):
                job.hold()
            else:
                self._replace(None)
                self._reached = self._reached if success else None
            try:
                here = self.position
                self._hold(here, ramping)
            except Exception as exc:  # whoever waits for the job is told first
                failed = exc
        if not waits:
            self._end(job, DeviceError(f"{self.label} was stopped at {here:.5g} degC"))
        if failed is not None:
            log.error("%s: may not hold: %s. CHECK IT BY HAND.", self.label, failed)
            if not success:
                raise failed

    def _hold(self, here: float, ramping: bool) -> None:
        """Write what holds it, where it does not hold already; under the lock.

        What a ramp has ordered may not be read back yet: neither its switch nor its set point.
        """
        controller = self.controller
        if self.switched_off or not (ramping or controller.is_on):
            return
        if not math.isfinite(here):
            log.error("%s: its sensor gives no temperature to hold: it is switched off", self.label)
            self._off_now()
            return
        if ramping or not abs(self.setpoint.get() - here) <= self.tolerance.get():
            for signal, value in controller.orders_to_hold(here):
                put_now(signal, value)

    def pause(self) -> None:
        """Hold, for the RunEngine; the ramp waits. What cannot be written is logged."""
        with self.ordering:
            self.stop(success=True)
            self._paused = True

    def resume(self) -> None:
        """Go on with a ramp that waits."""
        with self.ordering:
            self._paused = False
            if isinstance(self._job, Ramping):
                self._job.go_on()

    def make_safe(self, *, success: bool = False) -> Status:
        """Ramp down to the safe temperature, then switch the output off; returns at once.

        Where the sensor gives no temperature, or it is not hot, the output is switched off now.
        Asked again, it goes on with what it does.

        Parameters
        ----------
        success : bool
            What was under way does not count as failed: for a clean-up, in which the RunEngine
            must not be told of it. So it is while the RunEngine pauses, too: what the plan asked
            for, it asks for again.

        Returns
        -------
        ophyd.status.Status
            Done when the output is off; failed where the controller does not take the order. It
            need not be waited for: what does not answer is told when it answers again, and the
            guard does it meanwhile. Its ``ordered`` is a status
            too: done when the controller has taken the order, failed where it does not in time.
        """
        with self.ordering:
            job = self._job
            if isinstance(job, Cooling) and job.running:
                return job.status
            cooling, error = self._cool()
            former = self._replace(cooling)
            self._reached, quiet = None, success or self._paused
        self._end(former, None if quiet else DeviceError(f"{self.label} was made safe"))
        if error is not None:
            log.error("%s: not made safe yet: %s", self.label, error)
        cooling.start()
        return cooling.status

    def _cool(self) -> tuple[Cooling, Exception | None]:
        """Write what makes it safe, as far as that can be without waiting; under the lock."""
        safe, controller = self.safe_temperature, self.controller
        try:
            here, on = self.position, controller.is_on and not self.switched_off
            down = on and self.guarded() and here > safe + self.tolerance.get()  # NaN: off now
            orders = (
                controller.orders_to_cool(here, safe, float(self.rate.get()))
                if down
                else controller.orders_to_switch_off()
            )
            for signal, value in orders:
                put_now(signal, value)
        except Exception as exc:  # it is tried again in the thread
            return Cooling(self, math.nan, False), exc
        return Cooling(self, here, down), None

    def _off_now(self) -> None:
        for signal, value in self.controller.orders_to_switch_off():
            put_now(signal, value)

    def sensor_failed(self, job: Job) -> None:
        """Called by what follows it: without a temperature there is no more heat."""
        with self.ordering:
            if self._job is job:
                self._off_now()
                self.switched_off, self._reached = True, None

    def forsake(self) -> None:
        """Tell the guard no more that this client is there: it cannot make it safe."""
        if self.guard is not None:
            self.guard.end()

    def released(self) -> None:
        """The output is off: nobody heats any more."""
        if self.guard is None:
            return
        try:
            self.guard.release()
        except Exception as exc:  # it trips, which heats nothing
            log.warning("%s: its guard was not told that it is off: %s", self.label, exc)

    def _replace(self, job: Job | None) -> Job | None:
        """Put another job in the place of the present one, which orders no more; the old one."""
        former, self._job = self._job, job
        if former is not None:
            former.replace()
        return former

    def _end(self, job: Job | None, error: DeviceError | None) -> None:
        """Finish the status of a job that was replaced, outside the lock."""
        if job is not None:
            job.status.end(error)

    def destroy(self) -> None:
        """Hang up. What cools down is switched off; what is hot, the guard does not hear of."""
        former = None
        try:
            with self.ordering:
                cools = isinstance(self._job, Cooling) and self._job.running
                former = self._replace(None)
                if cools and self.controller.connected:
                    self._off_now()
                    self.released()
        finally:
            self.forsake()  # ophyd hangs up signals only, and the heartbeat is a thread
            self._end(former, DeviceError(f"{self.label} was hung up"))
            super().destroy()


def heated_by(
    controller: type[Controller],
    *,
    guarded: bool = True,
    pvs: Mapping[str, str] | None = None,
    **options: Any,
) -> type[HeatingStage]:
    """Class of a heating stage with this controller.

    Parameters
    ----------
    controller : type
        Device class that maps its PVs, `Lakeshore336`, `LinkamT96`, `Eurotherm2216e` or your own.
    guarded : bool
        Whether an IOC has the guard's records. Without them nothing switches the heater off where
        the client is dead, but the controller's own limits.
    pvs : mapping of str to str, optional
        PV names that differ, of controller and guard.
    **options
        For the controller, e.g. ``range``.

    Examples
    --------
    >>> heated_by(LinkamT96)
    <class 'redoxscope.devices.thermal._stage.HeatingStage'>
    """
    parts: dict[str, Any] = {
        "controller": Cpt(controller, "", pvs=pvs, kind="config", doc="its PVs", **options),
        "guard": None,
    }
    if guarded:
        parts["guard"] = Cpt(HeaterGuard, "", pvs=pvs, kind="config", doc="outside this client")
    return type("HeatingStage", (HeatingStage,), {**parts, "__module__": __name__})
