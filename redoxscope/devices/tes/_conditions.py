"""What has to hold while a point of the spectrometer is measured."""

from __future__ import annotations

from .._conditions import PointConditions
from ._run import Whole

__all__ = ["TESConditions"]


class TESConditions(PointConditions):
    """Also keeps photons of a point that is doubtful out of the calibration.

    Parameters
    ----------
    tes : redoxscope.devices.TES
    """

    def __init__(self, tes: Whole):
        super().__init__(tes)
        self._tes = tes

    def _disown(self) -> None:
        run = self._tes.run
        result = None if run is None else run.acquisition.result
        if run is not None and result is not None:
            run.acquisition.disown(result.point)
