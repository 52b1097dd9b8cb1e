"""Who measures: two clients must not have the beam at once."""

from __future__ import annotations

import getpass
import logging
import os
import re
import socket
import uuid

from ophyd import EpicsSignal

from ._base import DeviceError, put_now
from ._outage import survive_outage

__all__ = ["BeamlineBusyError", "Owner", "is_dead"]

log = logging.getLogger("redoxscope.shutter")

ANSWER = 3.0
"""Longest time (s) to wait for a PV that a beamline need not have, once."""

_HOST = socket.gethostname().split(".")[0][:12]


class BeamlineBusyError(DeviceError):
    """Somebody else is measuring; nothing was moved."""


def _user() -> str:
    try:
        return getpass.getuser()[:8]
    except (KeyError, OSError):  # a user without a name
        return str(os.getuid())


def is_dead(owner: str) -> bool:
    """Whether an owner was a process on this machine that is no more."""
    match = re.fullmatch(r".*@(\S+) (\d+) \S+", owner)
    if match is None or match[1] != _HOST:
        return False
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # somebody else's process: it is there
    return False


class Owner:
    """The entry of one client in a PV that names who measures.

    A beamline need not have that PV: then nobody is named, and nothing refused on its account.

    Parameters
    ----------
    pv : str or None
        Name of the PV, a text of up to 39 characters. Looked for when it is first needed.
    """

    def __init__(self, pv: str | None):
        self._pv = pv
        self._signal: EpicsSignal | None = None
        self.me = f"{_user()}@{_HOST} {os.getpid()} {uuid.uuid4().hex[:4]}"
        self.taken = False

    @property
    def signal(self) -> EpicsSignal | None:
        """The signal, or None where the PV does not answer."""
        if self._pv is None:
            return None
        if self._signal is None:
            self._signal = EpicsSignal(self._pv, name="owner", string=True, auto_monitor=True)
            try:
                self._signal.wait_for_connection(timeout=ANSWER)
            except TimeoutError:
                log.info("%s does not answer: nobody can be named", self._pv)
            survive_outage(self._signal)
        return self._signal if self._signal.connected else None

    def destroy(self) -> None:
        """Let others have it, and hang up."""
        self.release()
        if self._signal is not None:
            self._signal.destroy()
            self._pv = self._signal = None
            self.taken = False  # nobody is there any more who could do what is owed

    def other(self, *, ask: bool) -> str:
        """Who else measures, "" where nobody is known to.

        Parameters
        ----------
        ask : bool
            Ask the server; else what its last monitor said.
        """
        signal = self.signal
        if signal is None:
            return ""
        owner = str(signal.get(use_monitor=not ask) or "")
        if owner == self.me or is_dead(owner):
            return ""
        return owner

    def take(self) -> None:
        """Write who measures."""
        signal = self.signal
        if signal is not None:
            put_now(signal, self.me)
            self.taken = True

    def release(self) -> None:
        """Take the name away again, if it is this client's still.

        Where the server does not answer, the name stays, and this is owed: the next `release`
        tries again, at the latest when the session is closed.
        """
        if not self.taken:
            return
        try:
            self._clear()
        except Exception as exc:  # it must not hide what ended the plan
            log.warning(
                "%s names %s still, though it does not measure any more (%s); other clients are "
                "refused until its next run or the end of its session",
                self._pv, self.me, exc,
            )  # fmt: skip

    def _clear(self) -> None:
        signal = self.signal
        if signal is None:
            raise DeviceError("it does not answer")
        if signal.get(use_monitor=False) == self.me:
            put_now(signal, "")
        self.taken = False
