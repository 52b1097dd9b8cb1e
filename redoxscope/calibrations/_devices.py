"""How each kind of calibration is read from its device, and written to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..optics import check_focus

__all__ = ["KINDS", "Kind", "Values"]

Values = Mapping[str, float | None]


class Kind(NamedTuple):
    """A kind of calibration.

    Attributes
    ----------
    has : str
        Attribute by which a device of it is known.
    read : callable
        ``read(device, of)``: what holds now, by name.
    check : callable
        ``check(device, of, values, energies)`` raises what speaks against writing.
    write : callable
        ``write(device, of, values)``.
    moves : bool
        Whether writing moves something.
    """

    has: str
    read: Callable[[Any, str], Values]
    check: Callable[[Any, str, Values, tuple[float, ...]], None]
    write: Callable[[Any, str, Values], None]
    moves: bool = False


def _read_offset(mono: Any, edge: str) -> Values:
    return {"offset": mono.edge_offsets.get(edge)}


def _check_offset(mono: Any, edge: str, values: Values, energies: tuple[float, ...]) -> None:
    del edge
    offset = float(mono.user_offset.get()) + float(values["offset"] or 0.0)
    for energy in energies:  # as reached with it: a scan of these must stay possible
        mono.check_value(energy, offset=offset)


def _write_offset(mono: Any, edge: str, values: Values) -> None:
    mono.set_edge_offset(edge, values["offset"])


def _read_focus(plate: Any, of: str) -> Values:
    del of
    return {"a0": float(plate.a0.get()), "a1": float(plate.a1.get())}


def _check_focus(plate: Any, of: str, values: Values, energies: tuple[float, ...]) -> None:
    del of
    geometry = plate.refocused(values["a0"], values["a1"])
    if energies:
        check_focus(geometry, energies, z_limits=plate.z.limits)


def _write_focus(plate: Any, of: str, values: Values) -> None:
    del of
    plate.set_geometry(plate.refocused(values["a0"], values["a1"]))


def _read_place(aperture: Any, of: str) -> Values:
    del of
    return {axis: float(getattr(aperture, axis).position) for axis in "xy"}


def _check_place(aperture: Any, of: str, values: Values, energies: tuple[float, ...]) -> None:
    del of, energies
    for axis, value in values.items():
        getattr(aperture, axis).check_value(value)


def _write_place(aperture: Any, of: str, values: Values) -> None:
    del of
    moves = [getattr(aperture, axis).set(value) for axis, value in values.items()]
    for move in moves:
        move.wait()


KINDS: Mapping[str, Kind] = {
    "energy": Kind("edge_offsets", _read_offset, _check_offset, _write_offset),
    "focus": Kind("a1", _read_focus, _check_focus, _write_focus),
    "aperture": Kind("x", _read_place, _check_place, _write_place, moves=True),
}
