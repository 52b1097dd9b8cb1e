"""A ready-made bluesky-queueserver: its Redis, its manager, and the startup code of its worker."""

from ._manager import QueueError, QueueServer

__all__ = ["QueueError", "QueueServer"]
