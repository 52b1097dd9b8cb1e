"""Bluesky's ``%mov``, ``%movr`` and ``%wa`` in the shell: an IPython extension."""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with the RunEngine that the shell has as ``RE``.

    ``%ct`` is left out: it says that its data are not saved, and this RunEngine saves every run.
    """
    from bluesky.magics import BlueskyMagics

    magics = BlueskyMagics(shell)
    magics.RE = shell.user_ns["RE"]
    del magics.magics["line"]["ct"]
    shell.register_magics(magics)
