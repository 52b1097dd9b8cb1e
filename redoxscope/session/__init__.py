"""A session: RunEngine, devices, live maps, document log and catalog, put together.

`start_session` is the way in. `redoxscope.session.support` has what the shell, the queue server,
the demonstrations and dry runs need besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._signals import SIGNALS
from ._start import opened_by, start_session

if TYPE_CHECKING:
    from ._session import Session

__all__ = ["SIGNALS", "Session", "opened_by", "start_session"]


def __getattr__(name: str) -> Any:
    # Lazily: it takes seconds to import, in which the simulated beamline starts.
    if name == "Session":
        from ._session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
