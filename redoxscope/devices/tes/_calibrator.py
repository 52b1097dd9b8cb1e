"""Calibrating the TES from the photons of a run."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from ...analysis.tes import Calibration, calibrate
from ...data import load_lines
from .._base import DeviceError, Move
from .._setting import Setting
from ._run import Whole

__all__ = ["Calibrator"]

LONGEST = 600.0
"""Longest time (s) for computing a calibration."""
NAN = float("nan")


class Calibrator(Device):
    """Makes a calibration of the photons taken since the TES was staged, and puts it in force.

    The TES must have been staged with ``calibrating`` set, else the photons were not kept.
    """

    lines = Cpt(Setting, value=[], kind="config", doc="names of the lines; none: all of the table")
    elastic = Cpt(Setting, value=0.0, kind="config", unit="eV", doc="elastic line; 0: none")

    def __init__(self, prefix: str = "", *, name: str, tes: Whole, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._tes = tes
        self.lines.name = "tes_calibration_lines"
        self.elastic.name = "tes_calibration_elastic"
        self._made: Calibration | None = None
        self._made_at = 0.0

    def trigger(self) -> Status:
        """Compute it, in a thread of its own.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` where the photons do not make a calibration.
        """
        run = self._tes.staged_run("calibrate")
        if not run.acquisition.setup.keep:
            raise DeviceError(
                f"{self._tes.name} was not staged for calibrating, its photons were not kept: set "
                f"{self._tes.name}.calibrating before it is staged"
            )
        move = Move(f"{self.name}: calibrating", LONGEST)

        def work() -> None:
            self._make()
            move.end()

        threading.Thread(
            target=move.attempt, args=(work,), daemon=True, name="tes-calibration"
        ).start()
        return move

    def _make(self) -> None:
        run = self._tes.staged_run("calibrate")
        photons = run.acquisition.kept
        if not len(photons):
            raise DeviceError("no photons were taken since the TES was staged")
        energy = float(self.elastic.get())
        made = calibrate(
            photons,
            load_lines(list(self.lines.get()) or None),
            elastic_ev=energy if energy > 0 and math.isfinite(energy) else None,
            pixels=self._tes.pixels.tolist(),
            previous=self._tes.calibration,
        )
        if self._tes.staged_run("be calibrated") is not run:
            raise DeviceError("the run whose photons were taken is over")
        if not len(made.usable):
            reasons = "; ".join(sorted({p.reason for p in made.pixels})[:5])
            raise DeviceError(f"not one pixel is usable: {reasons}")
        self._made, self._made_at = made, time.time()
        self._tes.set_calibration(made)

    def read(self) -> dict[str, Any]:
        """Verdict on each pixel: channel, whether it is usable, its elastic line (eV)."""
        made = self._made
        if made is None:
            raise DeviceError(f"{self.name}: nothing was calibrated yet")
        channels = self._tes.pixels.tolist()
        known = {pixel.channel: pixel for pixel in made.pixels}
        pixels = [known.get(channel) for channel in channels]
        values = {
            "tes_calibration_uid": made.uid,
            "tes_pixels_ok": len(made.usable),
            "tes_pixel_channel": channels,
            "tes_pixel_ok": [int(p is not None and p.ok) for p in pixels],
            "tes_pixel_elastic": [NAN if p is None else float(p.elastic_ev) for p in pixels],
        }
        return {k: {"value": v, "timestamp": self._made_at} for k, v in values.items()}

    def describe(self) -> dict[str, Any]:
        n = len(self._tes.pixels)
        whole = {"dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        column = {"dtype": "array", "dtype_numpy": "<i8", "shape": [n]}
        keys: dict[str, dict[str, Any]] = {
            "tes_calibration_uid": {"dtype": "string", "shape": []},
            "tes_pixels_ok": whole,
            "tes_pixel_channel": column,
            "tes_pixel_ok": column,
            "tes_pixel_elastic": {**column, "dtype_numpy": "<f8", "units": "eV"},
        }
        return {name: {"source": self._tes.source, **key} for name, key in keys.items()}
