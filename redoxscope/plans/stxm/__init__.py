"""Images of the microscope: an energy stack, one image, or any scan of images."""

from ._energy_stack import energy_stack, execute, image
from ._grids import coarse_image, detector_image, osa_focus, osa_image
from ._resume import resume
from ._spectra import focus_scan, line_spectrum, point_spectrum, tiled_image
from ._start import stack_start
from ._zoom import map_then_zoom

__all__ = [
    "energy_stack",
    "execute",
    "focus_scan",
    "image",
    "line_spectrum",
    "map_then_zoom",
    "point_spectrum",
    "resume",
    "stack_start",
    "tiled_image",
    "coarse_image",
    "detector_image",
    "osa_focus",
    "osa_image",
]
