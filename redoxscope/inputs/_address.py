"""Addresses of a 0MQ proxy, as users write them."""

from __future__ import annotations

import re

__all__ = ["proxy_address"]

_FORM = re.compile(r"(?:tcp://)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]{1,5})")


def proxy_address(name: str, text: object) -> str:
    """``tcp://HOST:PORT`` of what a user wrote.

    Parameters
    ----------
    name : str
        What it is called, for the message.
    text : str
        ``HOST:PORT``, the host by name or number.

    Raises
    ------
    ValueError
        It is no such address.
    """
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(
            f"{name} = {text!r} must be the address of a 0MQ proxy, HOST:PORT, as in 127.0.0.1:5578"
        )
    if match["host"] in ("0.0.0.0", "[::]"):
        raise ValueError(
            f"{name} = {text!r} names no machine: give the one on which the 0MQ proxy runs, "
            "as in 127.0.0.1:5578"
        )
    return f"tcp://{match['host']}:{match['port']}"
