"""Whatever ends a plan, the scanner is halted and the shutter closed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky.utils import FailedStatus

from ._protocols import Microscope

__all__ = ["made_safe"]

log = logging.getLogger("redoxscope.plans")

MsgGenerator = Generator[Msg, Any, Any]


def made_safe(plan: MsgGenerator, stxm: Microscope) -> MsgGenerator:
    """Run a plan, then halt the scanner and close the shutter, however it ended.

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
        for error in (yield from _make_safe(stxm)):
            cause.add_note(str(error))
        if cause is exc:
            raise
        raise cause from None
    errors = yield from _make_safe(stxm)
    if errors:
        raise errors[0]
    return result


def named(exc: BaseException) -> BaseException:
    """What made a status fail: it names the device, bluesky's `FailedStatus` does not."""
    if isinstance(exc, FailedStatus) and exc.__cause__ is not None:
        return exc.__cause__
    return exc


def _make_safe(stxm: Microscope) -> Generator[Msg, Any, list[BaseException]]:
    errors: list[BaseException] = []
    steps = (
        ("halt the scanner", lambda: bps.stop(stxm.scanner)),
        ("close the shutter", lambda: bps.abs_set(stxm.shutter, "closed", wait=True)),
    )
    for what, step in steps:
        try:
            yield from step()
        except Exception as exc:
            error = named(exc)
            log.error("%s: could not %s: %s. CHECK IT BY HAND.", stxm.name, what, error)
            errors.append(error)
    return errors
