"""Calibrations in force: applied, kept, told in every run, taken back."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bluesky import Msg
from bluesky.utils import MsgGenerator, ensure_generator

from ..inputs import as_number, unless_unmeasured
from ..plans.support import carried
from ._devices import KINDS, Values
from ._history import newest_of, read_calibration
from ._proposal import Proposal, now, said
from ._record import Calibration

__all__ = ["CalibrationError", "Calibrations"]

log = logging.getLogger("redoxscope.calibrations")

SAME = 1e-9
"""Largest relative difference of values that are the same."""
PLACE = 1.0
"""Largest distance (µm) of an aperture that stands where it was put."""
SCALE = 0.05
"""Largest difference (eV) of the energy offsets of a focus: it moves by half a µm with that."""

UNKNOWN = "the calibration is not known; what follows is counted with what is in force"


class CalibrationError(ValueError):
    """A calibration that cannot be applied or taken back now."""


class Calibrations:
    """What was applied on a beamline, in a folder; a JSON file for each.

    Parameters
    ----------
    folder : path
        Made when the first is applied.
    devices : iterable of device
        Monochromators, zone plates, apertures; others are passed over.
    beamline : str
        Calibrations of others in the folder are passed over.
    busy : callable, optional
        Whether a run is going on: then nothing is applied.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        devices: Iterable[Any],
        *,
        beamline: str = "",
        busy: Callable[[], bool] = lambda: False,
    ):
        self.folder, self.beamline, self._busy = Path(folder), beamline, busy
        self._devices = {device.name: device for device in devices}
        self._file: dict[tuple[str, str, str], Values] = {}
        self._read_so_far: dict[Path, tuple[Any, Calibration | None]] = {}

    def __repr__(self) -> str:
        lines = [str(one) for one in self.in_force]
        return "\n".join(["calibrations in force:", *(f"  {line}" for line in lines or ["none"])])

    @property
    def history(self) -> list[Calibration]:
        """All that were applied on this beamline, the last one last."""
        files = sorted(self.folder.glob("*.json"))
        found = [one for one in map(self._read, files) if one is not None]
        return sorted(found, key=lambda one: (one.applied, one.uid))

    @property
    def in_force(self) -> list[Calibration]:
        """Those that the devices follow now; not what was taken back, or changed by hand since."""
        # Of those that it has here: another session may have applied a newer one since.
        held = [one for one in self.history if self._holds(one)]
        return list(newest_of(held).values())

    @unless_unmeasured(UNKNOWN)
    def apply(self, proposal: Proposal) -> Calibration:
        """Put what was proposed in force, and keep it.

        Offsets and focus apply to the next move; an aperture is moved at once.

        Parameters
        ----------
        proposal : Proposal

        Returns
        -------
        Calibration
            `revert` takes it back.

        Raises
        ------
        CalibrationError
            A run is going on; it was measured at another beamline, or the device is not here; or
            what must hold on it as in the run that was measured does not, of a focus the energy
            offset.
        ValueError, redoxscope.optics.InterlockError, ophyd.utils.LimitError
            A value is no finite number, or the device refuses it. Nothing has changed.
        """
        if not isinstance(proposal, Proposal):
            raise CalibrationError(f"{proposal!r:.80} is no proposal of a calibration")
        self._idle()
        if proposal.beamline and self.beamline and proposal.beamline != self.beamline:
            raise CalibrationError(
                f"it was measured at beamline {proposal.beamline!r}, and this is {self.beamline!r}"
            )
        device = self._device(proposal.kind, proposal.device)
        values = {
            name: as_number(f"{device.name}.{name}", value, proposal.units[name])
            for name, value in proposal.values.items()
        }
        for name, value in proposal.conditions.items():
            here = float(getattr(device, name).get())
            if not _same(here, value):
                raise CalibrationError(
                    f"{device.name}.{name} is {here:g} eV, and was {value:g} eV in the run that "
                    "was measured: set it as it was, or measure again"
                )
        for text in self._off_scale(proposal.source):
            raise CalibrationError(f"{text}: set it as it was, or measure again")
        kind, key = KINDS[proposal.kind], (proposal.kind, proposal.of, device.name)
        before = dict(kind.read(device, proposal.of))
        kind.check(device, proposal.of, values, proposal.energies)
        kept = Calibration(
            uid=str(uuid.uuid4()), kind=proposal.kind, of=proposal.of, device=device.name,
            beamline=self.beamline, values=values, sigma=dict(proposal.sigma),
            units=dict(proposal.units), before=before, file=dict(self._file.get(key, before)),
            source=dict(proposal.source), made=proposal.made, applied=now(),
        )  # fmt: skip
        self._put(kept, values, before)
        log.info("applied: %s", kept)
        self._tell_focus(proposal.kind)
        return kept

    @unless_unmeasured(UNKNOWN)
    def revert(self, which: str | Calibration) -> Calibration:
        """Take a calibration back: what it replaced is in force again.

        Parameters
        ----------
        which : str or Calibration
            The edge or device, of which the newest is meant, or the start of its uid.

        Raises
        ------
        CalibrationError
            There is none; a run is going on; a newer one is on top of it; or what it set was
            changed by hand since.
        """
        self._idle()
        one = self._named(which)
        device = self._device(one.kind, one.device)
        kind = KINDS[one.kind]
        if not self._holds(one):
            here = ", ".join(
                f"{name} {said(value, one.units[name])}"
                for name, value in kind.read(device, one.of).items()
            )
            raise CalibrationError(
                f"{one.device} has {here} at {one.of}, which is not what calibration "
                f"{one.uid[:8]} set: it was changed since, and stays"
            )
        kind.check(device, one.of, one.before, ())
        gone = replace(one, reverted=now())
        self._put(gone, one.before, one.values)
        log.info("taken back: %s", gone)
        self._tell_focus(one.kind)
        return gone

    def restore(self) -> list[Calibration]:
        """Put what was in force when the last session ended in force again; moves nothing.

        To be called once, before anything is applied. A calibration is left out, with a warning,
        where the beamline file says something else than when it was applied: then the file is
        newer.
        """
        restored = []
        for one in newest_of(self.history).values():
            key = one.kind, one.of, one.device
            device, kind = self._devices.get(one.device), KINDS[one.kind]
            if device is None or kind.moves or not hasattr(device, kind.has):
                continue
            here = dict(kind.read(device, one.of))
            self._file[key] = here
            if not _all_same(here, one.file):
                log.warning(
                    "calibration %s is not in force again: the beamline file has %s at %s, and had "
                    "%s when it was applied", one.uid[:8], here, one.of, dict(one.file),
                )  # fmt: skip
                continue
            try:
                kind.check(device, one.of, one.values, ())
            except ValueError as exc:
                log.warning("calibration %s is not in force again: %s", one.uid[:8], exc)
                continue
            kind.write(device, one.of, one.values)
            log.info("in force: %s", one)
            restored.append(one)
        return restored

    def told(self, plan: MsgGenerator) -> MsgGenerator:
        """Preprocessor: every run says, as ``calibrations``, which it used.

        Of energies, that of the edge at which it measures; else all that are in force.
        """
        return (yield from carried(ensure_generator(plan), self._tell))

    def _tell(self, msg: Msg) -> MsgGenerator:
        if msg.command == "open_run":
            used = [one.told() for one in self.in_force if self._used(one)]
            if used:
                msg = msg._replace(kwargs={**msg.kwargs, "calibrations": used})
        return (yield msg)

    def _used(self, one: Calibration) -> bool:
        if one.kind != "energy":
            return True
        edge = self._devices[one.device].edge.get()
        return bool(edge) and one.of in (edge, f"{edge}3")

    def _off_scale(self, source: Mapping[str, Any]) -> Iterator[str]:
        """Energy offsets that are not what they were in the runs that a focus was measured in."""
        for scale in source.get("energy_scale", ()):
            mono, edge, was = (scale[key] for key in ("device", "edge", "offset"))
            if mono in self._devices:
                here = float(self._devices[mono].offset_at(edge or None))
                if not abs(here - was) <= SCALE:
                    yield (
                        f"{mono} has an offset of {here:g} eV at {edge or 'no edge'}, and had "
                        f"{was:g} eV in the run that was measured"
                    )

    def _tell_focus(self, changed: str) -> None:
        """Say it where a change of the energy takes the ground from under a focus."""
        if changed != "energy":
            return
        for one in self.in_force:
            for text in self._off_scale(one.source):
                log.warning("measure the focus again (%s): %s", one, text)

    def _idle(self) -> None:
        if self._busy():
            raise CalibrationError("a run is going on: what it measures with must not change")

    def _device(self, kind: str, name: str) -> Any:
        known = [key for key, one in self._devices.items() if hasattr(one, KINDS[kind].has)]
        device = self._devices.get(known[0] if not name and len(known) == 1 else name)
        if device is None or device.name not in known:
            raise CalibrationError(
                f"there is no {name!r} to be calibrated in {kind} here; there is "
                f"{', '.join(known) or 'none at all'}"
            )
        return device

    def _holds(self, one: Calibration) -> bool:
        device = self._devices.get(one.device)
        if device is None or not hasattr(device, KINDS[one.kind].has):
            return False
        near = PLACE if KINDS[one.kind].moves else 0.0
        return _all_same(KINDS[one.kind].read(device, one.of), one.values, near)

    def _named(self, which: str | Calibration) -> Calibration:
        name = which.uid if isinstance(which, Calibration) else which
        there = [one for one in self.history if not one.reverted]
        found = [one for one in there if isinstance(name, str) and name
                 and (name in (one.of, one.device) or one.uid.startswith(name))]  # fmt: skip
        if not found:
            listed = ", ".join(dict.fromkeys(one.of for one in there)) or "none"
            raise CalibrationError(f"no calibration {name!r} is applied; applied: {listed}")
        one = found[-1]
        same = [each for each in there
                if (each.kind, each.of, each.device) == (one.kind, one.of, one.device)]  # fmt: skip
        if same[-1].uid != one.uid:
            raise CalibrationError(
                f"calibration {same[-1].uid[:8]} was applied after {one.uid[:8]}: take that back "
                "first"
            )
        return one

    def _put(self, one: Calibration, values: Values, before: Values) -> None:
        """Write values to a device and keep what they are of: both, or neither.

        Whatever comes between, as Ctrl-C: what is not kept must not be in force.
        """
        kind, device = KINDS[one.kind], self._devices[one.device]
        path = self.folder / f"{one.uid}.json"
        part = path.with_suffix(f".{os.getpid()}")
        try:
            self._keep(one, part)
            kind.write(device, one.of, values)
            part.replace(path)
        except BaseException:
            if part.exists() and not kind.moves:
                kind.write(device, one.of, before)
            part.unlink(missing_ok=True)
            raise

    def _keep(self, one: Calibration, part: Path) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(part, "w", encoding="utf-8") as file:
                json.dump(one.as_dict(), file, indent=2, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:  # one of writing (a full disk) does not name its file
            raise OSError(exc.errno, exc.strerror, str(part.with_suffix(".json"))) from exc

    def _read(self, path: Path) -> Calibration | None:
        """What a file says, read again where it is another: every run asks for all of them.

        What is wrong with one is told once, and costs no run.
        """
        try:
            there = path.stat()
        except FileNotFoundError:
            return None
        except OSError as exc:
            seen: Any = type(exc), exc.errno
        else:
            seen = there.st_ino, there.st_mtime_ns, there.st_size
        known = self._read_so_far.get(path)
        if known is None or known[0] != seen:
            known = self._read_so_far[path] = seen, self._read_now(path)
        return known[1]

    def _read_now(self, path: Path) -> Calibration | None:
        one = read_calibration(path)
        known = one is not None and one.beamline == self.beamline and one.kind in KINDS
        return one if known else None


def _same(a: float | None, b: float | None, near: float = 0.0) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= max(near, SAME * max(abs(a), abs(b), 1.0))


def _all_same(a: Values, b: Values, near: float = 0.0) -> bool:
    return set(a) == set(b) and all(_same(value, b[name], near) for name, value in a.items())
