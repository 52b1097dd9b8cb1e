"""What can go wrong between us and the server."""

from __future__ import annotations

from .._base import DeviceError

__all__ = ["DastardError", "RefusedError"]


class DastardError(DeviceError):
    """The server did not do what it was told, or is gone; the message names host and port."""


class RefusedError(DastardError):
    """The server answered, with an error; ``reason`` is its own text."""

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason
