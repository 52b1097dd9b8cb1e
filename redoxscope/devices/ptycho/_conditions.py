"""What has to hold while a block of frames is taken, and whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...documents import FrameStatus
from ...scan import Block
from .._asked import Asked
from .._base import NoAnswerError
from .._beam_memory import BeamMemory
from .._watch import Expected, Held, Watch

__all__ = ["BlockConditions"]

NEAR = 0.05
"""Distance (µm) that the coarse stage may be off within a block."""

Doubts = Mapping[FrameStatus, Sequence[str]]


class BlockConditions:
    """Watches what others may change: energy, optics, coarse stage, shutter, stored beam.

    Energy and zone plate have to stand where this client sent them last, stage and aperture where
    they stood when the block began.

    Parameters
    ----------
    asked : Asked
    shutter : device
    ring : device or None
    """

    def __init__(self, asked: Asked, shutter: Any, ring: Any):
        self._asked, self._shutter, self._ring = asked, shutter, ring
        self._watch = Watch()
        self._wanted: list[tuple[FrameStatus, Held]] = []
        self._expected: Expected = {}
        self._dark = False
        self.beam = BeamMemory()

    def begin_run(self) -> None:
        """Forget the beam, and what was asked, of the run before."""
        self.beam = BeamMemory()
        self._asked.begin()

    def release(self) -> None:
        """Nothing must hold any more."""
        self._watch.rest()

    def hold(self, block: Block) -> tuple[float, float]:
        """Watch from now on.

        Returns
        -------
        x, y : float
            Where the coarse stage stands (µm).
        """
        x, y = self._asked.pin_within(NEAR)
        self._dark = block.dark
        self._wanted = list(self._all())
        self._expected = self._watch.hold([held for _, held in self._wanted])
        return x, y

    def _all(self) -> Iterator[tuple[FrameStatus, Held]]:
        for held in self._asked.held():
            yield FrameStatus.MOVED, held
        shutter = self._shutter
        if shutter.told_to_follow:
            for held in shutter.following():
                yield FrameStatus.SHUTTER, held
        if shutter.blade is not None:
            if self._dark:
                words = "closed for the dark"
                held = Held(shutter.name, shutter.blade, 0, meaning=words)
            else:
                held = Held(shutter.name, shutter.blade, None)
            yield FrameStatus.SHUTTER, held
        if self._ring is not None:
            yield FrameStatus.BEAM, Held(self._ring.name, self._ring.current, None)

    def judged(self) -> Doubts:
        """What did not hold, in words. Not for the RunEngine's thread.

        Raises
        ------
        NoAnswerError
            What cannot be asked: an outage is nobody's meddling.
        DeviceError
            Somebody else took the shutter out of following.
        """
        seen = self._watch.ask(self._expected)
        if silent := self._watch.silent:
            raise NoAnswerError("; ".join(silent))
        found: dict[FrameStatus, list[str]] = {}
        for flag, held in self._wanted:
            words = seen.get(held.signal, "") or self._of_all_that_came(flag, held)
            if words:
                found.setdefault(flag, []).append(words)
        self._watch.rest()
        if not self._dark:
            _ = self._shutter.follows  # it raises where somebody took it: no retake opens it again
        return found

    def _of_all_that_came(self, flag: FrameStatus, held: Held) -> str:
        """What is wrong with the values of one that has no target; "" where nothing is."""
        if held.target is not None:
            return ""
        came = self._watch.came(held.signal)
        if flag is FrameStatus.BEAM:
            return self.beam.current([float(value) for value in came])
        states = [int(value) for value in came]
        first = next((i for i, state in enumerate(states) if state), None)
        if first is None:
            return f"{held.where} was not open"
        last = len(states) - next(i for i, state in enumerate(reversed(states)) if state)
        closed = not all(states[first:last])
        return f"{held.where} was closed, and opened again, meanwhile" if closed else ""
