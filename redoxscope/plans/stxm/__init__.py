"""Images of the microscope: an energy stack, one image, or any scan of images."""

from ._energy_stack import energy_stack, execute, image

__all__ = ["energy_stack", "execute", "image"]
