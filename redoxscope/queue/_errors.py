"""What can go wrong with a queue server, in words."""

from __future__ import annotations

__all__ = ["QueueError"]


class QueueError(RuntimeError):
    """Redis, the manager or its environment did not start, or something it needs is missing."""
