"""Documents of one absorption run, in; spectra, out. No threads here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.xas import Spectrum, align, edge_positions, merge, normalise
from ...data import xas_edges, xas_preset
from ...documents import STREAM, XAS, XAS_REFERENCE, XasInfo
from ...inputs import as_number
from ...scan import Scan
from .._analysis import Reader
from .._documents import Doc, check_version, rows_of
from .._room import room_for
from ._channels import Channels
from ._snapshot import ModeSpectrum, XasSnapshot

__all__ = ["XasOptions", "XasReader", "is_xas"]

POINT_BYTES = 200
"""Memory of a point, with copies of it."""
LEAST_PART = 0.9
"""Part that a repeat must have of the points that the fullest one has, to count as one."""
SURE = 3.0
"""A reference has to have moved by so many standard deviations for a repeat to be moved back."""


@dataclass(frozen=True)
class XasOptions:
    """Choices a user makes.

    Parameters
    ----------
    pre, post : (float, float), optional
        Ranges (eV) of the background and of the level behind the edge; by default the edge's.
    to : str, optional
        ``"step"``, ``"maximum"``, ``"area"``: see `redoxscope.analysis.xas.normalise`.
    outlier_limit : float
        Standard deviations from which on a repeat is left out.

    Raises
    ------
    ValueError
        The limit is none.
    """

    pre: tuple[float, float] | None = None
    post: tuple[float, float] | None = None
    to: str | None = None
    outlier_limit: float = 5.0

    def __post_init__(self) -> None:
        as_number("outlier_limit", self.outlier_limit, above=0)


def is_xas(start: Doc) -> bool:
    """Whether a start document announces absorption spectra."""
    return isinstance(start.get(XAS), Mapping) and isinstance(start.get("scan"), Mapping)


class XasReader(Reader[XasSnapshot]):
    """Collects the points of one run.

    Parameters
    ----------
    start : dict
        Start document of absorption spectra.
    options : XasOptions

    Raises
    ------
    ValueError
        The start document is not one of them.
    """

    def __init__(self, start: Doc, options: XasOptions | None = None) -> None:
        check_version(start)
        self.start = start
        self.options = options or XasOptions()
        self.info = XasInfo.from_start(start)
        scan = Scan.from_start(start)
        room_for(f"spectra of {len(scan.points)} points", len(scan.points) * POINT_BYTES)
        self.channels = Channels(scan, self.info)
        self._ended: tuple[bool, str] = False, ""

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are wanted."""
        if descriptor.get("name") != STREAM:
            return False
        self.channels.describe(descriptor.get("data_keys", {}))
        return True

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its points (s)."""
        stamps = []
        for _, data, stamp in rows_of(name, doc, "point"):
            self.channels.take(data)
            stamps.append(stamp)
        return stamps

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, XasSnapshot]:
        """Spectra of what has come; ``full`` with positions and normalised."""
        if final:
            self._ended = True, message
        channels = self.channels
        used, told = self._used()
        shifts, moved = self._shifts(used)
        modes = {
            name: found
            for name, mode in self.info.modes.items()
            if (found := self._mode(name, used, shifts, full)) is not None
        }
        finished, ending = self._ended
        words = [ending or message, *told, moved]
        if channels.doubtful:
            words.append(f"{channels.doubtful} doubtful points are left out.")
        if channels.lacking:
            words.append(f"{channels.lacking} points lack a value of a channel.")
        if channels.again:
            words.append(f"{channels.again} points were measured again.")
        for name, found in modes.items():
            words += [f"{name}: {who} is left out, {why}." for who, why in found.outliers.items()]
        edge, sample = self.info.edge or "", str(self.start.get("holder") or "")
        return {
            "": XasSnapshot(
                modes=modes,
                repeats_done=len(channels.whole),
                repeats_total=channels.repeats,
                points_done=channels.done,
                points_total=channels.total,
                doubtful=channels.doubtful,
                missing=channels.lacking,
                again=channels.again,
                edge=edge,
                sample=sample,
                title=" ".join(x for x in (edge, sample and f"of {sample}") if x) or "absorption",
                uid=str(self.start.get("uid", "")),
                message=" ".join(word for word in words if word),
                finished=finished,
            )
        }

    def _used(self) -> tuple[list[int], list[str]]:
        """Repeats that count: whole ones; before there is one, the one under way."""
        begun, whole = self.channels.begun, self.channels.whole
        part = self.channels.parts(begun)
        done = [k for k in begun if k in whole]
        least = LEAST_PART * max((part[k] for k in done), default=0.0)
        usable = [k for k in done if part[k] >= least] or begun[:1]
        if not self._ended[0]:
            return usable, []
        left = [k for k in begun if k not in usable]
        told = [
            f"{_name(k)} has {100 * part[k]:.0f} % of its points and is left out." for k in left
        ]
        return usable, told

    def _spectra(self, name: str, repeats: list[int], shifts: NDArray[Any]) -> list[Spectrum]:
        mode = self.info.modes[name]
        values, sigmas = self.channels.ratio(mode, repeats)
        edge = self.info.edge or ""
        return [
            Spectrum(
                self.channels.energies(k) + shifts[i], values[i], sigmas[i], _name(k), name, edge
            )
            for i, k in enumerate(repeats)
        ]

    def _shifts(self, used: list[int]) -> tuple[NDArray[np.float64], str]:
        """By how much each repeat has to be moved, from the reference channel."""
        none = np.zeros(len(used))
        if XAS_REFERENCE not in self.info.modes or len(used) < 2:
            return none, ""
        try:
            found = align(self._spectra(XAS_REFERENCE, used, none))
        except ValueError as error:
            return none, f"The repeats are not aligned: {error}."
        if not (np.abs(found.shifts) > SURE * found.sigma).any():
            return none, ""
        span = float(np.ptp(found.shifts))
        return found.shifts, f"The repeats drifted by {span:.2f} eV and were aligned."

    def _mode(
        self, name: str, used: list[int], shifts: NDArray[np.float64], full: bool
    ) -> ModeSpectrum | None:
        spectra = self._spectra(name, used, shifts)
        if not any(each.known.any() for each in spectra):
            return None
        merged = merge(spectra, limit=self.options.outlier_limit)
        mean = merged.spectrum.changed(name=str(self.start.get("holder") or ""))
        repeats, _ = self.channels.ratio(self.info.modes[name], range(self.channels.repeats))
        warnings = list(merged.warnings)
        normalised, to, step, step_sigma, positions = mean, "", 1.0, 0.0, {}
        if full:
            try:
                made = normalise(mean, **self._ranges(mean))
                normalised, to = made.spectrum, made.to
                step, step_sigma = made.step, made.step_sigma
                positions = edge_positions(made) if to in ("step", "maximum") else {}
                warnings += made.warnings
            except ValueError as error:  # too little of the spectrum is there yet, or no edge in it
                warnings.append(f"Not normalised: {error}.")
        return ModeSpectrum(
            mean, normalised, to, step, step_sigma, positions, repeats, merged.reasons, shifts,
            tuple(dict.fromkeys(warnings)),
        )  # fmt: skip

    def _ranges(self, mean: Spectrum) -> dict[str, Any]:
        """Ranges of the user, else of the edge as far as it was measured."""
        options = self.options
        chosen: dict[str, Any] = {"pre": options.pre, "post": options.post, "to": options.to}
        edge = self.info.edge
        if edge not in xas_edges():
            return chosen
        preset = xas_preset(edge)
        energy = mean.energy[mean.known]
        for key, (low, high) in (("pre", preset.pre_edge), ("post", preset.post_edge)):
            if chosen[key] is None and ((energy >= low) & (energy <= high)).sum() >= 3:
                chosen[key] = low, high
        if chosen["to"] is None and (preset.normalise != "step" or chosen["post"] is not None):
            chosen["to"] = preset.normalise
        return chosen


def _name(repeat: int) -> str:
    """Name of a repeat, as people count."""
    return f"repeat {repeat + 1}"
