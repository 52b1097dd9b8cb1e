"""Whatever ends a plan, what moves is halted and the shutter closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus, RunEngineControlException

from ._inputs import lacking
from ._protocols import Heater

__all__ = [
    "SafetyStep",
    "close",
    "cooled",
    "explained",
    "finished",
    "halt",
    "heaters",
    "kept_safe",
    "made_safe",
    "named",
    "shielded",
    "staged",
]

log = logging.getLogger("redoxscope.plans")

MsgGenerator = Generator[Msg, Any, Any]
SafetyStep = tuple[str, Callable[[], MsgGenerator]]
"""What a step does, in words, and the plan that does it."""


def halt(device: Any) -> SafetyStep:
    """Stop a device."""
    return f"halt {device.name}", lambda: bps.stop(device)


def close(shutter: Any) -> SafetyStep:
    """Close a shutter, and see it closed."""
    return f"close {shutter.name}", lambda: bps.abs_set(shutter, "closed", wait=True)


def cooled(heater: Any) -> SafetyStep:
    """Have a heater ramp down and switch itself off, and see that its controller took the order.

    It is not waited for until it is cold: that may take hours.
    """
    return f"make {heater.name} safe", partial(_cooled, heater)


def _cooled(heater: Any) -> MsgGenerator:
    async def order() -> Any:
        return heater.make_safe(success=True)  # what was under way is no failure of its own

    tasks = yield Msg("wait_for", None, [order])
    if not tasks:  # nobody carries the messages out
        return
    ordered = tasks[0].result().ordered
    while not ordered.done:
        yield Msg("wait_for", None, [partial(finished, ordered)])
    failed = ordered.exception(timeout=0)
    if failed is not None:
        raise failed


def made_safe(
    plan: MsgGenerator, steps: Sequence[SafetyStep], *, always: bool = True
) -> MsgGenerator:
    """Run a plan, then the steps, however it ended; not ``always``: only where it failed.

    To be used within the run, so that its stop document tells. One step that fails does not
    keep the next from being tried. Where the plan failed, its error is the one raised, those
    of the steps are logged and noted on it; else the first step's error is raised. After a
    ``halt`` nothing may be sent any more: the RunEngine then stops every device that it had
    set, the shutter among them.
    """
    try:
        result = yield from plan
    except GeneratorExit:
        raise
    except BaseException as exc:
        cause = named(exc)
        for error in (yield from _make_safe(steps)):
            cause.add_note(str(error))
        if cause is exc:
            raise
        raise cause from None
    errors = (yield from _make_safe(steps)) if always else []
    if errors:
        raise errors[0]
    return result


def shielded(heater: Any, plan: MsgGenerator) -> MsgGenerator:
    """Run a plan that heats; where it is halted, have the heater ramp down all the same.

    ``RE.halt()`` lets no plan send anything any more. A heater at 600 degC would be held there:
    so it is told directly, which takes no time. A plan that nobody carried out, a listed or a
    discarded one, tells it nothing.
    """
    answer: Any = None
    error: BaseException | None = None
    real = asked = False  # messages are carried out; the heater was asked for something
    while True:
        try:
            msg = plan.send(answer) if error is None else plan.throw(error)
        except StopIteration as end:
            return end.value
        answer, error = None, None
        # Before it is answered: a halt may come when it was carried out, and nothing after it.
        asked = asked or (real and msg.command == "set" and msg.obj is heater)
        try:
            answer = yield msg
        except GeneratorExit:
            try:
                plan.close()  # fails where a plan within it goes on all the same
            finally:
                if asked:
                    _safe_now(heater)
            raise
        except BaseException as exc:
            error = exc
        real = real or answer is not None


def heaters(devices: Iterable[Any]) -> list[Any]:
    """Those that would stay hot."""
    return [device for device in devices if not lacking(device, Heater)]


def kept_safe(hot: Iterable[Any], plan: MsgGenerator) -> MsgGenerator:
    """Run a plan, each of several heaters `shielded`."""
    for heater in hot:
        plan = shielded(heater, plan)
    return (yield from plan)


def _safe_now(heater: Any) -> None:
    try:
        heater.make_safe(success=True)
    except Exception as exc:
        log.error("halted, and %s is not made safe: %s. CHECK IT BY HAND.", heater.name, exc)
    else:
        log.warning("halted: %s ramps down and switches itself off", heater.name)


def explained(plan: MsgGenerator) -> MsgGenerator:
    """Run a plan; where a status fails it, raise what made the status fail."""
    try:
        return (yield from plan)
    except FailedStatus as exc:
        raise named(exc) from None


def staged(device: Any, plan: MsgGenerator) -> MsgGenerator:
    """Stage a device whose ``stage`` returns a status, run a plan, unstage it however it ended.

    The RunEngine stages nothing again after a pause, and forgets the wait that the pause broke
    off; so this waits until the status itself is done.
    """

    def inner() -> MsgGenerator:
        group = f"stage {device.name}"
        status = yield Msg("stage", device, group=group)
        yield Msg("wait", None, group=group)
        while status is not None and not status.done:
            yield Msg("wait_for", None, [partial(finished, status)])
        return (yield from plan)

    def unstage() -> MsgGenerator:  # a generator of our own: a halt leaves it, without a warning
        yield from bps.unstage_all(device)

    return (yield from bpp.finalize_wrapper(inner(), unstage))


async def finished(status: Any) -> None:
    """Wait for a status, however it ends."""
    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    status.add_callback(lambda _: loop.call_soon_threadsafe(finished.set))
    await finished.wait()


def named(exc: BaseException) -> BaseException:
    """What made a status fail: it names the device, bluesky's `FailedStatus` does not."""
    if isinstance(exc, FailedStatus) and exc.__cause__ is not None:
        return exc.__cause__
    return exc


def _make_safe(steps: Sequence[SafetyStep]) -> Generator[Msg, Any, list[BaseException]]:
    errors: list[BaseException] = []
    interrupted: RunEngineControlException | None = None
    for what, step in steps:
        try:
            try:
                yield from step()
            except RunEngineControlException as exc:  # an abort during the clean-up: it goes on
                interrupted = exc
                yield from step()
        except Exception as exc:
            error = named(exc)
            log.error("could not %s: %s. CHECK IT BY HAND.", what, error)
            errors.append(error)
    if interrupted is not None:
        raise interrupted
    return errors
