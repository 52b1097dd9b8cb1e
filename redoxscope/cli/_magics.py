"""Bluesky's ``%mov``, ``%movr``, ``%wa`` and ``%ct`` in the shell: an IPython extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bluesky.magics import BlueskyMagics, get_labeled_devices
from bluesky.utils import RunEngineInterrupted
from IPython.core.magic import line_magic, magics_class

from ..contract import STREAM

__all__ = ["load_ipython_extension"]


@magics_class
class Magics(BlueskyMagics):
    """Bluesky's own, with a count that has beam and is stored like every run."""

    @line_magic
    def ct(self, line: str) -> None:
        """Count once, with beam on the sample: ``%ct``, or ``%ct LABEL …`` as ``%wa`` shows them.

        The run is stored as every run is.
        """
        from bluesky import plans as bp

        from ..plans import with_beam

        labelled = get_labeled_devices(user_ns=self.shell.user_ns)
        found = {  # one device may have several names
            id(device): device
            for label in line.split() or ["detectors"]
            for _, device in labelled.get(label, ())
        }
        if not found:
            known = ", ".join(sorted(labelled)) or "none"
            print(f"nothing is labelled {line.strip() or 'detectors'!r}; labels are {known}")
            return
        plan = bp.count(list(found.values()))
        shutter = self.shell.user_ns.get("shutter")
        try:
            self.RE(plan if shutter is None else with_beam(plan, shutter), _shown())
        except RunEngineInterrupted:
            self._ensure_idle()

    @line_magic
    def wa(self, line: str) -> None:
        """Where all is: ``%wa``, or ``%wa motors``."""
        super().wa(line)

    @line_magic
    def mov(self, line: str) -> None:
        """Move, and wait: ``%mov energy 645 sample_stage.x 2``."""
        self._with_hook(super().mov, line)

    @line_magic
    def movr(self, line: str) -> None:
        """Move by so much, and wait: ``%movr energy 0.5``."""
        self._with_hook(super().movr, line)

    def _with_hook(self, magic: Any, line: str) -> None:
        """Bluesky's magics take away the progress bars that the session has set up."""
        hook = self.RE.waiting_hook
        try:
            magic(line)
        finally:
            self.RE.waiting_hook = hook


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


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with the RunEngine that the shell has as ``RE``."""
    magics = Magics(shell)
    magics.RE = shell.user_ns["RE"]
    shell.register_magics(magics)
