"""A point of a step scan is counted with light, or said to be dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._base import DeviceError, ask, typed
from ._shutter import Shutter, ShutterMode

__all__ = ["check_light", "watch_light"]


def check_light(device: Any, shutter: Shutter | None, dwell: float) -> None:
    """Refuse to count zeros for a spectrum, or light for the dark.

    Parameters
    ----------
    device : ophyd.Device
        What is to count; its ``dark`` says whether a closed shutter is wanted.
    shutter : Shutter or None
        What lets its light in; None where nothing takes it away.
    dwell : float
        s

    Raises
    ------
    DeviceError
        The shutter is closed (with ``dark``: open).
    ValueError
        The shutter's dead man would close it during the dwell.
    """
    if shutter is None:
        return
    is_open = shutter.is_open
    where = f"{shutter.name} ({shutter.status.pvname})"
    if device.dark.get():
        if is_open:
            raise DeviceError(
                f"{device.name}: a dark count is asked for, but {where} is open: close it, or "
                f"set {typed(device)}.dark to False"
            )
    elif not is_open:
        raise DeviceError(
            f"{device.name}: {where} is closed, so it would count no light. Open it for the "
            f"plan, RE(with_beam(plan, {typed(shutter)})), or set {typed(device)}.dark to True "
            "for a dark count"
        )
    elif int(ask(shutter.mode)) == ShutterMode.HOLD:
        shutter.check_open_time(dwell, f"a point of {device.name}")


def watch_light(device: Any, shutter: Shutter | None) -> tuple[Callable[[], None], Callable]:
    """Watch a shutter from now on, while a point is counted.

    Returns
    -------
    check : callable
        Raises `DeviceError` where the shutter has moved since; not where a pause moved it, for
        then the point is measured again.
    end : callable
        Ends the watching.
    """
    if shutter is None:
        return lambda: None, lambda *_: None
    wanted = int(not device.dark.get())
    moved = False

    def look(*, value: Any, **_: Any) -> None:
        nonlocal moved
        moved = moved or int(value) != wanted

    def check() -> None:
        if (moved or shutter.is_open != bool(wanted)) and not shutter.interrupted:
            raise DeviceError(f"{shutter.name} ({shutter.status.pvname}) moved as it counted")

    shutter.status.subscribe(look, run=False)
    return check, lambda *_: shutter.status.clear_sub(look)
