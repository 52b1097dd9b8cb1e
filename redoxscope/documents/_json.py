"""Documents as JSON text, in files and on the network."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

import numpy as np
import orjson

__all__ = ["from_json", "json_bytes"]


def json_bytes(value: Any) -> bytes:
    """JSON text; NaN and infinities as Python's json writes them, numpy's arrays as lists.

    orjson is several times faster but writes NaN as null and refuses what json lets pass (keys
    that are numbers, long integers). So json has the word where there may be a NaN, and only
    there: a column at a time.

    Raises
    ------
    TypeError, ValueError
        It holds what JSON cannot say; names it.
    """
    with contextlib.suppress(orjson.JSONEncodeError):
        fast = orjson.dumps(value, default=_plain)
        if b"null" not in fast:
            return fast
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        items = (orjson.dumps(key) + b":" + json_bytes(item) for key, item in value.items())
        return b"{" + b",".join(items) + b"}"
    return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def from_json(text: bytes) -> Any:
    """What `json_bytes` wrote.

    Raises
    ------
    ValueError
        It is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # NaN or an infinity, or not JSON at all
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"it is not JSON: {exc}") from exc


def _plain(value: Any) -> Any:
    """What JSON can carry of a value it does not know."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} {value!r:.80} is not JSON serializable")
