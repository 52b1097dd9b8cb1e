"""Live maps in a window or a file, drawn by a process of its own."""

from ._view import MapView

__all__ = ["MapView"]
