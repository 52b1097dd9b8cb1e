"""The TES as far as its calibration goes: which is in force, and what can be measured with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...analysis.tes import Calibration
from .._base import published
from ._connected import ConnectedTES
from ._result import yield_windows

__all__ = ["CalibratedTES"]


class CalibratedTES(ConnectedTES):
    """Calibration of a `TES`."""

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._calibration: Calibration | None = None

    @property
    def calibration(self) -> Calibration | None:
        """Calibration in force, of all pixels."""
        return self._calibration

    def set_calibration(self, calibration: Calibration | None) -> None:
        """Put a calibration in force, from the next run on."""
        self._calibration = calibration
        self.calibration_uid.put("" if calibration is None else calibration.uid)
        self.line_table.put("" if calibration is None else calibration.line_table)

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of what plans are given, by the parameter: ``dwell`` (s), by the dead man.

        Raises
        ------
        DeviceError
            The shutter does not say after how long it closes by itself.
        """
        if self.shutter is None:
            return {}
        return {"dwell": (0.0, published(self.shutter.dead_man, "s"))}

    def check_scan(
        self,
        *,
        dwell: float | None = None,
        windows: Sequence[str] | None = None,
        pixels: int | None = None,
        calibrating: bool | None = None,
    ) -> None:
        """Refuse what a run could not be measured with; nothing is changed.

        Parameters
        ----------
        dwell, windows, pixels, calibrating
            As the settings; those not given are taken as they are set.

        Raises
        ------
        ValueError
            Names the setting, the value and the limit.
        """
        if dwell is not None:
            self.dwell.check_value(dwell)
        bins = self.bins
        yield_windows(self.windows.get() if windows is None else list(windows), bins)
        limit = self.pixel_limit.get() if pixels is None else pixels
        self.pixel_limit.check_value(limit)
        if self.calibrating.get() if calibrating is None else calibrating:
            return
        if self._calibration is None:
            raise ValueError(
                f"{self.name} is not calibrated, so it can measure no spectra: calibrate it first, "
                "RE(tes_calibrate(tes, mono))"
            )
        usable = len(self._calibration.usable)
        if limit > usable:
            raise ValueError(
                f"{self.name}: {limit} pixels asked for, only {usable} are usable in calibration "
                f"{self._calibration.uid}"
            )
        if not usable:
            raise ValueError(
                f"{self.name}: calibration {self._calibration.uid} has no usable pixel"
            )
