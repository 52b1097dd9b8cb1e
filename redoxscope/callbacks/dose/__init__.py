"""Dose: what the beam has left in each pixel, live, stored, and summed over runs."""

from ._batch import dose_of_run
from ._draw import draw_dose
from ._reader import DoseReader, is_exposed
from ._snapshot import DoseSnapshot

__all__ = ["DoseReader", "DoseSnapshot", "dose_of_run", "draw_dose", "is_exposed"]
