"""Functions of the worker that a client of the queue calls: calibrations of the optics."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any

from ..calibrations import (
    CalibrationError,
    Proposal,
    calibrate_aperture,
    calibrate_energy,
    calibrate_focus,
    states,
)

__all__ = ["functions"]

KEPT = 100
"""Proposals that a worker remembers."""


def functions(session: Any) -> dict[str, Callable[..., dict[str, Any]]]:
    """What ``qserver function execute`` may call, by name; each gives what JSON can say.

    Runs are named as in a catalog: by uid, its beginning, or a number, -1 for the last one.
    Proposals are kept in the worker until its environment is closed.

    Parameters
    ----------
    session : redoxscope.session.Session
    """
    proposed: dict[str, Proposal] = {}

    def shown(proposal: Proposal) -> dict[str, Any]:
        while len(proposed) >= KEPT:
            del proposed[next(iter(proposed))]
        name = uuid.uuid4().hex[:8]
        proposed[name] = proposal
        return {
            "proposal": name, "text": repr(proposal), "kind": proposal.kind, "of": proposal.of,
            "device": proposal.device, "values": dict(proposal.values),
            "sigma": dict(proposal.sigma), "units": dict(proposal.units),
            "was": dict(proposal.was), "doubts": list(proposal.doubts),
            "source": dict(proposal.source),
        }  # fmt: skip

    def energy(run: str | int = -1, references: Any = None, **options: Any) -> dict[str, Any]:
        return shown(calibrate_energy(session.cat[run], references, **options))

    def focus(*runs: str | int, aperture: str | int | None = None) -> dict[str, Any]:
        of_aperture = None if aperture is None else session.cat[aperture]
        found = [session.cat[run] for run in runs or (-1,)]
        return shown(calibrate_focus(*found, aperture=of_aperture))

    def place(run: str | int = -1) -> dict[str, Any]:
        return shown(calibrate_aperture(session.cat[run]))

    def apply_calibration(proposal: str) -> dict[str, Any]:
        """Put what was proposed under this name in force; an aperture moves."""
        _alone()
        if proposal not in proposed:
            raise CalibrationError(
                f"no proposal {proposal!r} is known here; there is "
                f"{', '.join(proposed) or 'none: calibrate first'}"
            )
        return states([session.calibrations.apply(proposed[proposal])])[0]

    def revert_calibration(which: str) -> dict[str, Any]:
        """Take the newest of an edge or a device back, or the one of this uid."""
        _alone()
        return states([session.calibrations.revert(which)])[0]

    def list_calibrations() -> dict[str, Any]:
        """What the devices follow now, and all that were applied."""
        return {
            "in_force": [one.told() for one in session.calibrations.in_force],
            "history": states(session.calibrations.history),
        }

    return {
        "calibrate_energy": _named(energy, calibrate_energy),
        "calibrate_focus": _named(focus, calibrate_focus),
        "calibrate_aperture": _named(place, calibrate_aperture),
        "apply_calibration": apply_calibration,
        "revert_calibration": revert_calibration,
        "list_calibrations": list_calibrations,
    }


def _named(function: Callable[..., Any], of: Callable[..., Any]) -> Callable[..., Any]:
    """The function under the name and with the words of what it calls."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    called.__name__, called.__doc__ = of.__name__, of.__doc__
    return called


def _alone() -> None:
    """Refuse to change devices from the background, where a plan can start meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        raise CalibrationError(
            "a calibration is not changed in the background, where a plan may start meanwhile: "
            "execute it while nothing runs"
        )
