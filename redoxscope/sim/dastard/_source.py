"""An active data source of the simulated server: channels, triggers, projectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._rpc import GoError

__all__ = ["SOURCES", "TRIGGER_FIELDS", "Source", "default_trigger"]

SOURCES = {"RESONATOR": "Resonator", "ABACO": "Abaco", "LANCERO": "Lancero"}
"""Hardware that a server can have: name in calls (before SOURCE) and in its status."""

LONGEST_RECORD = 1 << 17
"""Samples."""

TRIGGER_FIELDS = {
    "AutoTrigger": "bool",
    "AutoDelay": "int",
    "AutoVetoRange": "uint16",
    "LevelTrigger": "bool",
    "LevelRising": "bool",
    "LevelLevel": "uint16",
    "EdgeTrigger": "bool",
    "EdgeRising": "bool",
    "EdgeFalling": "bool",
    "EdgeLevel": "int32",
    "EdgeMulti": "bool",
    "EdgeMultiNoise": "bool",
    "EdgeMultiMakeShortRecords": "bool",
    "EdgeMultiMakeContaminatedRecords": "bool",
    "EdgeMultiMakeSingleRecords": "bool",
    "EdgeMultiDisableZeroThreshold": "bool",
    "EdgeMultiLevel": "int32",
    "EdgeMultiVerifyNMonotone": "int",
}
"""Go type of each field of a trigger state."""

_PULSE_TRIGGERS = ("EdgeMulti", "EdgeTrigger", "LevelTrigger")


def default_trigger() -> dict[str, Any]:
    """Trigger state of a channel that nobody configured: every trigger off."""
    state: dict[str, Any] = {k: False if t == "bool" else 0 for k, t in TRIGGER_FIELDS.items()}
    defaults = {"AutoDelay": 250_000_000, "EdgeLevel": 100, "EdgeRising": True, "LevelLevel": 4000}
    return state | defaults


class Source:
    """Channels of a running source.

    With Lancero hardware every pixel has two: its error signal at an even index, and at the odd
    one after it the feedback, where the pulses are. Elsewhere index and pixel are the same.

    Parameters
    ----------
    kind : str
        Of `SOURCES`.
    n_pixels : int
    nsamp, npre : int
        Samples of a record, and those before the trigger.

    Attributes
    ----------
    nchan : int
    names : list of str
        Of the channels.
    divisions : int
        Subframes of a frame.
    triggers : list of dict
        Trigger state of each channel.
    projectors : dict
        By channel index: projectors [n, nsamp], basis [nsamp, n], description.
    """

    def __init__(self, kind: str, n_pixels: int, nsamp: int, npre: int):
        self.name = SOURCES[kind]
        self.nsamp, self.npre = nsamp, npre
        self._stride = 2 if kind == "LANCERO" else 1
        self.n_pixels, self.nchan = n_pixels, n_pixels * self._stride
        self._rows = 30 if kind == "LANCERO" else 1  # of each column of the readout
        self.divisions = self._rows if kind == "LANCERO" else 64
        numbers = range(1, n_pixels + 1)
        prefixes = ("err", "chan") if self._stride == 2 else ("chan",)
        self.names = [f"{prefix}{number}" for number in numbers for prefix in prefixes]
        self.groups = [{"Firstchan": 1, "Nchan": n_pixels}]
        self.triggers = [default_trigger() for _ in range(self.nchan)]
        self.projectors: dict[int, tuple[NDArray, NDArray, str]] = {}
        self._triggering = np.zeros(n_pixels, bool)
        self._n_coefs = np.zeros(self.nchan, np.int64)

    def index(self, pixel: Any) -> Any:
        """Channel index of pixels (from 0): where their pulses are."""
        return pixel * self._stride + (self._stride - 1)

    def number(self, index: int) -> int:
        """Channel number (from 1) of a channel index."""
        return index // self._stride + 1

    def row(self, index: int) -> tuple[int, int]:
        """Row of a channel index in its column of the readout, and rows of a column."""
        return index // self._stride % self._rows, self._rows

    @property
    def triggering(self) -> NDArray[np.bool_]:
        """Whether the pulses of each pixel are triggered on, [n_pixels]."""
        return self._triggering

    @property
    def n_coefs(self) -> NDArray[np.int64]:
        """Coefficients that each channel index gives, [nchan]; 0 without projectors."""
        return self._n_coefs

    def set_triggers(self, indices: list[int], state: Mapping[str, Any]) -> None:
        """Replace the trigger state of channels.

        Raises
        ------
        GoError
            No channels, or a channel that does not exist.
        """
        if not indices:
            raise GoError("got ConfigureTriggers with no valid ChannelIndices")
        for index in indices:
            if not 0 <= index < self.nchan:
                raise GoError(f"channelIndex {index} is >= ds.nchan {self.nchan}")
        for index in indices:
            self.triggers[index] = dict(state)
        pulses = [any(state[key] for key in _PULSE_TRIGGERS) for state in self.triggers]
        self._triggering = np.array(pulses)[self.index(np.arange(self.n_pixels))]

    def restore_triggers(self, saved: list[dict[str, Any]]) -> None:
        """Take over the states of the run before, but no EdgeMulti: so does Dastard."""
        for index, state in enumerate(saved[: self.nchan]):
            self.set_triggers([index], state | {"EdgeMulti": False})

    def trigger_state(self) -> list[dict[str, Any]]:
        """The content of the TRIGGER message: channels grouped by identical state."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, state in enumerate(self.triggers):
            groups.setdefault(tuple(state.values()), []).append(index)
        return [
            {"ChannelIndices": indices, **dict(zip(TRIGGER_FIELDS, values, strict=True))}
            for values, indices in groups.items()
        ]

    def set_projectors(
        self, index: int, projectors: NDArray, basis: NDArray, description: str
    ) -> None:
        """Load the projectors and basis of a channel.

        Raises
        ------
        GoError
            No such channel, or matrices that do not fit the records.
        """
        if not 0 <= index < self.nchan:
            raise GoError(
                f"channelIndex out of range, channelIndex={index}, len(ds.processors)={self.nchan}"
            )
        bases, samples = projectors.shape
        if samples != self.nsamp:
            raise GoError(
                "projectors has wrong size, has cols = "
                f"{samples}, should have cols = nsamp = {self.nsamp}"
            )
        if basis.shape != (samples, bases):
            raise GoError(
                f"basis has wrong size, has (rows, cols) = {basis.shape}, "
                f"should be {(samples, bases)}"
            )
        self.projectors[index] = projectors, basis, description
        self._n_coefs[index] = bases

    @staticmethod
    def check_lengths(nsamp: int, npre: int) -> None:
        """Raise GoError for lengths that make no record."""
        if npre < 3 or nsamp < npre + 1 or nsamp > LONGEST_RECORD:
            raise GoError(f"ConfigurePulseLengths nsamp {nsamp}, npre {npre} are invalid")

    def set_lengths(self, nsamp: int, npre: int) -> None:
        """Change the records; the projectors fit them no more."""
        self.nsamp, self.npre = nsamp, npre
        self.projectors.clear()
        self._n_coefs[:] = 0
