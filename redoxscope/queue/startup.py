"""Startup code of a queue server's worker: ``startup_module: redoxscope.queue.startup``.

Importing it connects to the beamline; it moves nothing.
"""

from ._worker import open_session as _open_session

globals().update(_open_session())
