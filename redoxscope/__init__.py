"""Soft X-ray spectromicroscopy and RIXS with Bluesky.

``from redoxscope import start_session`` is the way in; see the README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session, start_session

__all__ = ["Session", "start_session"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazily: the EPICS client reads its environment when it is first loaded, and a session
    # with a simulated beamline has to set it before.
    if name in __all__:
        from . import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
