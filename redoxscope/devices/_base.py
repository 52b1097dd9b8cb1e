"""What every device shares: PV names that a beamline file can override, and statuses."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from epics.ca import CASeverityException, ChannelAccessException, ChannelAccessGetFailure
from ophyd import Component, Device, FormattedComponent, Signal
from ophyd.status import Status
from ophyd.utils import DisconnectedError, InvalidState, StatusTimeoutError

from ._channels import guard_channels
from ._numbers import positive, seconds, zero_or_more
from ._outage import survive_outages
from ._timers import call_later

__all__ = [
    "BeamlineDevice",
    "DeviceError",
    "Move",
    "NoAnswerError",
    "answering",
    "ask",
    "both",
    "done",
    "fail_when_lost",
    "logged",
    "published",
    "put_now",
    "pv",
    "settle",
    "suffixes",
    "then",
    "typed",
]

SETTLE_TIMEOUT = 5.0
"""Margin (s) on top of the time that physics asks for, before a move counts as failed."""


ANSWER_TIMEOUT = 10.0
"""Longest time (s) to wait for what a server is asked; ophyd's 2 s a busy one exceeds."""


OUTAGE = 60.0
"""Longest time (s) to wait for a server that does not answer."""


LOST = (ChannelAccessException, ChannelAccessGetFailure, CASeverityException)
"""What pyepics raises when a PV is lost while it is asked; no common class, no TimeoutError."""


class DeviceError(RuntimeError):
    """A device did not do what it was told; the message names the device and the PV."""


class NoAnswerError(DeviceError):
    """What was told a device, or asked, got no answer in time: there may be an outage."""


class PVNames(Mapping[str, str]):
    """PV name of each suffix: the device's prefix plus the suffix, or the override."""

    def __init__(self, prefix: str, overrides: Mapping[str, str] | None):
        self._prefix = prefix
        self._overrides = dict(overrides or {})

    def __getitem__(self, suffix: str) -> str:
        return self._overrides.get(suffix, self._prefix + suffix)

    def __iter__(self) -> Iterator[str]:
        return iter(self._overrides)

    def __len__(self) -> int:
        return len(self._overrides)


_FORMAT = ("{self.pvs[", "]}")


def pv(cls: type, suffix: str, **kwargs: Any) -> Component:
    """Component of a `BeamlineDevice` whose PV name a beamline file may override."""
    return FormattedComponent(cls, suffix.join(_FORMAT), **kwargs)


def suffixes(cls: type[Device]) -> list[str]:
    """PV suffixes of the contract that a device class has."""
    parts = (getattr(cls, name).suffix for name in cls.component_names)
    own = [part[len(_FORMAT[0]) : -len(_FORMAT[1])] for part in parts if part and "{" in part]
    return own + list(getattr(cls, "optional", ()))


class BeamlineDevice(Device):
    """Device whose PVs follow the contract below ``prefix`` unless overridden.

    Parameters
    ----------
    prefix : str
        Start of the PV names, with its trailing separator.
    pvs : mapping of str to str, optional
        Full PV name for a suffix of the contract (``docs/reference/pvs.md``), for
        beamlines whose names differ.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        guard_channels()
        self.pvs = PVNames(prefix, pvs)
        super().__init__(prefix, name=name, **kwargs)
        survive_outages(self)


def typed(device: Device) -> str:
    """What a user types for a device: ``stxm.shutter``, not the name in the documents."""
    root = device.root
    return str(root.name if root is device else f"{root.name}.{device.dotted_name}")


class Move(Status):
    """Something under way that must end: the first call of `end` counts, later ones do not.

    When nobody calls it in time it fails with a `DeviceError` that says what was to happen;
    ophyd's own time-out names neither device nor PV.

    Parameters
    ----------
    what : str
        What is to happen, naming the device and the PV.
    timeout : float
        Longest time (s).

    Raises
    ------
    ValueError
        A time limit that is no number, or NaN.
    """

    def __init__(self, what: str, timeout: float):
        limit = seconds(f"{what}: time limit", timeout)
        super().__init__()
        self.what = what
        self._timer = call_later(limit, lambda: self.end(self._late(limit)))

    def _late(self, limit: float) -> DeviceError:
        return NoAnswerError(f"{self.what}: not done within {limit:.3g} s")

    def end(self, error: BaseException | None = None) -> None:
        """Finish it, or fail it with ``error``."""
        self._timer.cancel()
        settle(self, error)

    def attempt(self, step: Callable[[], None]) -> None:
        """Run a step of it from a callback thread, where nobody would see it fail."""
        try:
            step()
        except Exception as exc:
            silent = isinstance(exc, TimeoutError | NoAnswerError)
            error = NoAnswerError if silent else DeviceError
            self.end(error(f"{self.what}: {exc}"))


def done() -> Status:
    """A status that is finished already."""
    status = Status()
    status.set_finished()
    return status


def then(first: Status, action: Callable[[], Status | None]) -> Status:
    """Status of ``first`` followed by the status that ``action`` returns, if it returns one.

    A failure of either, or of ``action`` itself, fails the returned status with its cause.
    Each of the two has its own time-out, so the returned one needs none (in ophyd a status
    with a time-out costs a thread).
    """
    whole = Status()

    def second_done(status: Status) -> None:
        settle(whole, status.exception(timeout=0))

    def first_done(status: Status) -> None:
        error = status.exception(timeout=0)
        if error is not None:
            settle(whole, error)
            return
        try:
            second = action()
        except Exception as exc:  # it runs in a callback thread: the status carries it
            settle(whole, exc)
            return
        if second is None:
            whole.set_finished()
        else:
            second.add_callback(second_done)

    first.add_callback(first_done)
    return whole


def both(*parts: Status) -> Status:
    """Status of several at once: the first failure fails it, with its cause.

    (The ``&`` of ophyd forgets the cause, which is what names the device.)
    """
    whole = Status()
    lock = threading.Lock()
    left = len(parts)

    def part_done(status: Status) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        error = status.exception(timeout=0)
        if error is not None or last:
            settle(whole, error)

    for part in parts:
        part.add_callback(part_done)
    return whole


def fail_when_lost(signals: Iterable[Signal], lost: Callable[[DeviceError], None]) -> None:
    """Call ``lost`` when one of the signals disconnects, with an error that names its PV."""

    def watch(signal: Signal) -> None:
        name = getattr(signal, "pvname", signal.name)

        def changed(*, connected: bool = True, **_: Any) -> None:
            if not connected:
                lost(NoAnswerError(f"{signal.name}: PV {name} disconnected"))

        signal.subscribe(changed, event_type=signal.SUB_META, run=False)

    for signal in signals:
        watch(signal)


def ask(signal: Any) -> Any:
    """The value that a signal's server has now, whatever the last monitor said.

    Raises
    ------
    TimeoutError
        The server does not answer within 10 s, or is lost meanwhile.
    """
    try:
        return signal.get(use_monitor=False, timeout=ANSWER_TIMEOUT)
    except LOST as exc:  # it was lost as it was asked
        raise TimeoutError(f"{signal.name}: PV {signal.pvname}: {exc}") from exc


def answering(
    name: str, signals: Sequence[Any], error: BaseException, patience: float = OUTAGE
) -> Move | None:
    """What to wait for after an error that may come of an outage; None where it does not.

    Parameters
    ----------
    name : str
        Whose signals, for messages.
    signals : sequence of EpicsSignalBase
    error : BaseException
        What was raised, or failed a status.
    patience : float
        Longest time (s) to wait.

    Returns
    -------
    Move or None
        Done when the server of each signal answers again; fails with `DeviceError`.
    """
    known = isinstance(error, TimeoutError | NoAnswerError)
    if not known and all(signal.connected for signal in signals):
        return None
    move = Move(f"{name}: waiting until its PVs answer again", patience)

    def answered(signal: Any) -> bool:
        move.what = f"{name}: {error}; waiting for {signal.pvname}, which did not come back"
        try:
            signal.get(use_monitor=False, timeout=1.0)
        except (TimeoutError, DisconnectedError, *LOST):
            return False
        return True

    def look() -> None:
        pause = threading.Event()
        while not move.done and not all(answered(signal) for signal in signals):
            pause.wait(0.1)
        move.end()

    threading.Thread(target=move.attempt, args=(look,), daemon=True, name="outage").start()
    return move


def put_now(signal: Any, value: Any) -> None:
    """Write without waiting, neither for the effect nor for a PV that is not there.

    Raises
    ------
    DeviceError
        The PV is disconnected.
    """
    if not signal.connected:
        raise NoAnswerError(f"{signal.name}: PV {signal.pvname} is disconnected")
    signal.put(value, wait=False)


def published(signal: Any, unit: str, *, zero: bool = False) -> float:
    """What a PV says that the hardware can do: a finite number above 0.

    Parameters
    ----------
    signal : ophyd.Signal
    unit : str
    zero : bool
        Whether 0 makes sense too.

    Raises
    ------
    DeviceError
        It says something else. Names the signal, its PV, the value and the unit.
    """
    value = signal.get()
    try:
        return zero_or_more(value) if zero else positive(value)
    except ValueError as exc:
        pv = getattr(signal, "pvname", None)
        where = signal.name if pv is None else f"{signal.name} (PV {pv})"
        raise DeviceError(f"{where} says {value!r} {unit}: {exc}") from exc


def logged(log: logging.Logger, name: str, action: Callable[[], None]) -> None:
    """Halt or close as part of a clean-up: what fails is logged, and hides no other error."""
    try:
        action()
    except Exception as exc:
        log.error("%s: not halted: %s. CHECK IT BY HAND.", name, exc)


def settle(status: Status, error: BaseException | None) -> None:
    """Finish a status, or fail it; without effect on one that is finished or failed."""
    if isinstance(error, StatusTimeoutError) or not isinstance(error, Exception | None):
        error = DeviceError(str(error))  # ophyd keeps the former type for itself
    try:
        if error is None:
            status.set_finished()
        else:
            status.set_exception(error)
    except InvalidState:
        pass
