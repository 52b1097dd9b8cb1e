"""What goes through the proxy: bluesky's messages, and beside them those of a session.

A document is ``b"PREFIX NAME JSON"``, as `bluesky.callbacks.zmq.Publisher` sends it, JSON in place
of its pickle. What only redoxscope reads has a prefix of its own and a body in the wire form, which
is neither JSON nor a pickle: a dispatcher of bluesky's that asks for ``prefix=b"redoxscope"`` never
sees it, another one drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...documents import from_json, json_bytes

__all__ = [
    "BEAT",
    "HELLO",
    "LIVE",
    "PHOTONS",
    "PREFIX",
    "documents_array",
    "documents_of",
    "problem",
]

PREFIX = b"redoxscope"
"""Of documents."""
LIVE = b"redoxscope-live"
"""Of what is no document."""
HELLO = b"hello"
"""From a session that is alive: the runs that are open, and what they began with."""
PHOTONS = b"photons"
"""Photons of the point under way."""

BEAT = 2.0
"""Time (s) from one hello to the next."""

_NEEDED = {
    "start": ("uid",),
    "descriptor": ("uid", "run_start", "name"),
    "event": ("descriptor",),
    "event_page": ("descriptor",),
    "stop": ("run_start",),
    "resource": ("uid",),
    "datum": ("resource",),
    "datum_page": ("resource",),
    "stream_resource": ("uid",),
    "stream_datum": ("stream_resource",),
}


def problem(name: str, doc: Any) -> str:
    """What is wrong with a document that somebody sent, in words; "" if nothing is."""
    if name not in _NEEDED:
        return f"{name[:40]!r} is the name of no document"
    if not isinstance(doc, Mapping):
        return f"a {name} document that is no mapping"
    for key in _NEEDED.get(name, ()):
        if not isinstance(doc.get(key), str):
            return f"a {name} document without {key}"
    return ""


def documents_array(pairs: list[tuple[str, Any]]) -> np.ndarray:
    """Documents as an array of bytes, to be sent in the wire form."""
    return np.frombuffer(json_bytes([list(pair) for pair in pairs]), np.uint8)


def documents_of(array: np.ndarray) -> list[tuple[str, dict[str, Any]]]:
    """What `documents_array` made an array of.

    Raises
    ------
    ValueError
        It is something else; says what.
    """
    pairs = from_json(array.tobytes())
    if not isinstance(pairs, list):
        raise ValueError("the documents of a run are no list")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ValueError("the documents of a run are no pairs of name and document")
        wrong = problem(*pair)
        if wrong:
            raise ValueError(wrong)
    return [(name, doc) for name, doc in pairs]
