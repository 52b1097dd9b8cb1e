"""What was asked of monochromator, optics and stage, and must hold while lines are flown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from ophyd.status import Status

from ..scan import Raster
from ._monochromator import Monochromator
from ._motor import Motor
from ._watch import Held

__all__ = ["Asked", "energy_held", "misplaced", "wrong_lengths"]

ENCODER_NOISE = 0.05
"""Distance (µm) by which an axis at rest may seem to move."""


class Asked:
    """Knows where everything has to stand while an image is flown.

    Energy and focus are where this client sent them last; the scan asks for them again when
    somebody else moved them. The stage and the aperture stay where they were when the raster was
    prepared; a scan never moves them back, for who moved them may have had a reason.

    Parameters
    ----------
    monochromator : Monochromator
    focus : Motor
        Zone plate along the beam.
    stage_x, stage_y : Motor
        Coarse axes; a raster is measured from where they stand.
    others : sequence of Motor
        Whatever else must not move.
    """

    def __init__(
        self,
        monochromator: Monochromator,
        focus: Motor,
        stage_x: Motor,
        stage_y: Motor,
        others: Sequence[Motor],
    ):
        self._mono, self._focus = monochromator, focus
        self._stage = (stage_x, stage_y)
        self._others = tuple(others)
        self._pinned: dict[Motor, tuple[float, float]] = {}
        self._energy = self._z = 0.0

    def begin(self) -> None:
        """Another run: what this client was last sent to before it does not count."""
        self._mono.sent_to = self._focus.sent_to = None

    def pin(self, raster: Raster) -> tuple[float, float]:
        """Take where all stands now as where it has to stay; the stage's x and y (µm)."""
        return self.pin_within(min((p for p in _pitch(raster) if p), default=0.0) / 2)

    def pin_within(self, distance: float) -> tuple[float, float]:
        """As `pin`; the stage may be off by so much (µm), or by an encoder's noise."""
        near = max(distance, ENCODER_NOISE)
        self._pinned = {
            motor: (float(motor.position), min(near, _tolerance(motor))) for motor in self._stage
        }
        for motor in self._others:
            self._pinned[motor] = (float(motor.position), _tolerance(motor))
        self._energy, self._z = self._mono.position, float(self._focus.position)
        return self._pinned[self._stage[0]][0], self._pinned[self._stage[1]][0]

    def held(self) -> list[Held]:
        """What has to hold in the image that begins now."""
        mono, focus = self._mono, self._focus
        energy = self._energy if mono.sent_to is None else mono.sent_to
        again = None if mono.sent_to is None else partial(mono.set, energy)
        held = energy_held(mono, energy, again, partial(mono.stop, success=True))
        z = self._z if focus.sent_to is None else focus.sent_to
        again = None if focus.sent_to is None else partial(focus.set, z)
        held += _axis(focus, z, _tolerance(focus), again)
        for motor, (position, tolerance) in self._pinned.items():
            held += _axis(motor, position, tolerance, None)
        return held


def energy_held(
    mono: Monochromator,
    energy: float,
    again: Callable[[], Status] | None = None,
    stop: Callable[[], None] | None = None,
) -> list[Held]:
    """Monochromator and undulator stand at ``energy`` (true, eV), and its offset stays.

    Of each the readback and the set point: a move that was just begun shows there first.
    """
    target = energy - float(mono.offset.get())
    return [
        Held(mono.name, mono.edge, str(mono.edge.get())),
        Held(mono.name, mono.user_offset, float(mono.user_offset.get()), 0.0, "eV"),
        *(
            Held(mono.name, signal, target, tolerance, "eV", again, stop)
            for _, setpoint, readback, tolerance in mono.axes
            for signal in (readback, setpoint)
        ),
    ]


def _tolerance(motor: Motor) -> float:
    """Distance (µm) that a motor's readback may be off; one that cannot be moved has none."""
    return ENCODER_NOISE if motor.tolerance is None else motor.tolerance


def _axis(
    motor: Motor, target: float, tolerance: float, again: Callable[[], Status] | None
) -> list[Held]:
    """The readback, and the set point: a move that was just begun shows there first."""
    stop = partial(motor.stop, success=True)
    goal = float(motor.user_setpoint.get())
    # A set point that is elsewhere already belongs to a stage that was jogged by hand. Where this
    # client sent it, it is that of somebody else who has just begun to move it.
    goal = target if again or abs(goal - target) <= _tolerance(motor) else goal
    return [
        Held(motor.name, motor.user_readback, target, tolerance, motor.unit, again, stop),
        Held(motor.name, motor.user_setpoint, goal, tolerance, motor.unit, again, stop),
    ]


def _pitch(raster: Raster) -> tuple[float, float]:
    """Distance (µm) of two pixels of a line, and of two lines; 0 where there is one only."""
    x, y = (raster.x_start, raster.x_stop, raster.nx), (raster.y_start, raster.y_stop, raster.ny)
    dx, dy = (abs(last - first) / (n - 1) if n > 1 else 0.0 for first, last, n in (x, y))
    return dx, dy


def wrong_lengths(arrays: Mapping[str, Any], nx: int) -> list[str]:
    """What is wrong with arrays that should have a value for each of ``nx`` pixels."""
    return [
        f"{name} has {len(values)} pixels where {nx} were asked for"
        for name, values in arrays.items()
        if len(values) != nx
    ]


def misplaced(
    measured: Mapping[str, Any],
    raster: Raster,
    line: int,
    origin: tuple[float, float],
    tolerance: float,
) -> list[str]:
    """What is wrong with the measured positions of a line; those that are NaN are not judged.

    Parameters
    ----------
    measured : mapping of str to array
        x, then y of each pixel (µm, sample coordinates), by their name in messages.
    raster : Raster
    line : int
    origin : tuple of float
        Where the raster's zero is (µm, sample coordinates).
    tolerance : float
        Largest distance (µm), beyond half a pixel of that direction.
    """
    x = np.linspace(raster.x_start, raster.x_stop, raster.nx) + origin[0]
    y = np.linspace(raster.y_start, raster.y_stop, raster.ny)[line] + origin[1]
    wrong = []
    for (name, got), asked, pitch in zip(measured.items(), (x, y), _pitch(raster), strict=True):
        allowed = tolerance + pitch / 2
        off = np.abs(np.asarray(got, dtype=float) - asked)
        farthest = max(off[np.isfinite(off)], default=0.0)
        if farthest > allowed:
            wrong.append(
                f"{name} is {farthest:.4g} µm from where it was asked for "
                f"(tolerance {allowed:.3g} µm)"
            )
    return wrong
