"""Bluesky's ``%mov``, ``%movr``, ``%wa`` and ``%ct`` in the shell: an IPython extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..documents import STREAM

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with the RunEngine that the shell has as ``RE``.

    Bluesky's own, but for its ``%ct``, whose counts would have no beam.
    """
    from bluesky.magics import BlueskyMagics

    magics: Any = BlueskyMagics(shell)
    magics.RE = shell.user_ns["RE"]

    def keeping_bars(magic: Callable[[str], None]) -> Callable[[str], None]:
        """Bluesky's magics take away the progress bars that the session has set up."""

        def move(line: str) -> None:
            hook = magics.RE.waiting_hook
            try:
                magic(line)
            finally:
                magics.RE.waiting_hook = hook

        move.__doc__ = f"Move, and wait: ``%{magic.__name__} energy 645 sample_stage.x 2``."
        return move

    def ct(line: str) -> None:
        """Count once, with beam on the sample: ``%ct``, or ``%ct LABEL …`` as ``%wa`` has them.

        The run is stored as every run is.
        """
        _count(shell.user_ns, magics, line)

    for name, function in (
        ("wa", magics.wa),
        ("mov", keeping_bars(magics.mov)),
        ("movr", keeping_bars(magics.movr)),
        ("ct", ct),
    ):
        shell.register_magic_function(function, magic_kind="line", magic_name=name)


def _count(names: Mapping[str, Any], magics: Any, line: str) -> None:
    from bluesky import plans as bp
    from bluesky.magics import get_labeled_devices
    from bluesky.utils import RunEngineInterrupted

    from ..plans import with_beam

    labelled = get_labeled_devices(user_ns=names)
    found = {  # one device may have several names
        id(device): device
        for label in line.split() or ["detectors"]
        for _, device in labelled.get(label, ())
    }
    if not found:
        known = ", ".join(sorted(labelled)) or "none"
        print(f"nothing is labelled {line.strip() or 'detectors'!r}; labels are {known}")
        return
    plan, shutter = bp.count(list(found.values())), names["s"].beam_shutter
    try:
        magics.RE(plan if shutter is None else with_beam(plan, shutter), _shown())
    except RunEngineInterrupted:
        magics._ensure_idle()  # noqa: SLF001  as bluesky's own


def _shown() -> Callable[[str, Mapping[str, Any]], None]:
    """Prints what is counted, and not what else belongs to the run."""
    streams: dict[str, str] = {}

    def show(name: str, doc: Mapping[str, Any]) -> None:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event" and streams[doc["descriptor"]] == STREAM:
            for key, value in doc["data"].items():
                print(f"{key:30} {f'{len(value)} values' if isinstance(value, list) else value}")

    return show
