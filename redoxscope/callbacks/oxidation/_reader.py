"""Documents of one run of images, in; a map of each region, out. No threads here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import Detector, I0Spectrum
from ...documents import FOLLOWED, I0_SPECTRUM, RESUMES, LineStatus
from ...inputs import as_whole, plain_number
from ...scan import Frame, Role
from .._analysis import Reader
from .._documents import Doc, configured, rows_of
from .._doubt import Doubt
from .._room import available_bytes
from ._images import Row
from ._layout import groups_of, is_stack, layout_of
from ._memory import binning_for, factor_within, maps_bytes
from ._options import MapOptions
from ._part import MapPart, Room, design_for
from ._roles import DarkImages, I0Images
from ._snapshot import OxidationSnapshot
from ._words import several

__all__ = ["MapOptions", "StackReader", "is_stack"]

RATES = ("hz", "1/s", "s^-1", "counts/s", "cps")
"""Units in which a counter gives a rate, so that the counts are this times the dwell."""
UNKNOWN = 127
"""Stands for greater numbers, which are no `LineStatus` either."""


class StackReader(Reader[OxidationSnapshot]):
    """Feeds the lines of one run to the maps of its regions.

    Parameters
    ----------
    start : dict
        Start document of a stack.
    options : MapOptions
        Choices of the user.

    Raises
    ------
    ValueError
        The start document is none of images, or cannot be read; the maps do not fit into memory.

    Attributes
    ----------
    parts : dict of str to MapPart
        The maps, by region; the values of outer loops are part of the name. Empty where no image
        is of a sample.
    succeeded : bool
        Whether the run ended well; what its plan left out on purpose is not lacking then.
    """

    def __init__(self, start: Doc, options: MapOptions) -> None:
        given = start.get(I0_SPECTRUM)
        if given is not None and isinstance(options.i0, str) and options.i0 == "auto":
            options = replace(options, i0=I0Spectrum(**given))
        self.start, self.options = start, options
        self.layout = layout = layout_of(start)
        self.scan = scan = layout.scan
        groups = list(groups_of(scan))
        names = [group.name for group in groups]
        designs = [design_for(start, layout, group, names, options) for group in groups]
        roles: dict[Role, list[int]] = {}
        for i, frame in enumerate(scan.frames):
            roles.setdefault(frame.role, []).append(i)

        def shape(region: int, n: int) -> tuple[int, int, int]:
            nx, ny = scan.regions[region].pixels
            return n, ny, nx

        shapes = [shape(g.region, len(g.sample) + len(g.checks)) for g in groups]
        empty = roles.get(Role.I0, [])
        beams = Counter(scan.frames[i].region for i in empty)
        shapes += [shape(region, n) for region, n in beams.items()]
        columns = max((design.matrix.shape[1] for design in designs), default=0)
        monitored, available = layout.monitored and options.i0 != "blank", available_bytes()
        factor = binning_for(shapes, columns, monitored, available)
        needed = maps_bytes(shapes, columns, monitored, 1)
        self.parts = {
            group.name: MapPart(
                start, layout, group, names, options, design,
                Room(factor_within(shape(group.region, 1), factor), needed, available),
            )
            for group, design in zip(groups, designs, strict=True)
        }  # fmt: skip
        factors = {region: factor_within(shape(region, 1), factor) for region in beams}
        self.i0_images = I0Images(layout, empty, factors) if empty else None
        dark = roles.get(Role.DARK, [])
        self.dark_images = DarkImages(layout, dark) if dark else None
        # Where a frame's lines go; what is of another role is passed over, and said.
        self._of_sample: dict[int, tuple[MapPart, int]] = {}
        self._of_checks: dict[int, tuple[MapPart, int]] = {}
        for group in groups:
            part = self.parts[group.name]
            self._of_sample |= {i: (part, k) for k, i in enumerate(group.sample)}
            self._of_checks |= {i: (part, j) for j, i in enumerate(group.checks)}
        images = {_place(scan.frames[i]): i for i in self._of_sample}
        self._first_of = {i: images[_place(scan.frames[i])] for i in self._of_checks}
        self._of_i0, self._of_dark = frozenset(empty), frozenset(dark)
        known = {*self._of_sample, *self._of_checks, *empty, *dark}
        self._passed = Counter(
            str(frame.role) for i, frame in enumerate(scan.frames) if i not in known
        )
        self._dark = 0.0, 0.0
        self._regions: dict[str, int] = {}
        self._rates: dict[int, bool] = {}
        self._detectors: dict[str, Detector] = {}
        self._newest = next(iter(self.parts.values()), None)
        self._touched: dict[str, MapPart] = {}
        self._solved = False
        self.succeeded = True

    @property
    def part(self) -> MapPart:
        """The map whose lines came last.

        Raises
        ------
        ValueError
            The run has no image of a sample.
        """
        if self._newest is None:
            roles = sorted({str(frame.role) for frame in self.scan.frames})
            raise ValueError(f"the run has no image of a sample, only of {', '.join(roles)}")
        return self._newest

    # -- documents -----------------------------------------------------------------------------

    def resumed(self, start: Doc) -> None:
        """Take the start document of a run that continues this one; its lines come next."""
        self.start = start
        begin = start[RESUMES]["frame"], start[RESUMES]["line"]
        for part in self.parts.values():
            own = [(i, k) for i, (of, k) in self._of_sample.items() if of is part and i >= begin[0]]
            if own:
                i, k = min(own)
                part.resumed(k, begin[1] if i == begin[0] else 0, start)
            else:
                part.start = start

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are lines.

        Raises
        ------
        ValueError
            It is of a stream of lines, but has no counts.
        """
        region = self.scan.region_in(str(descriptor.get("name")))
        if region is None:
            return False
        keys = descriptor.get("data_keys") or {}
        self.configure(region, descriptor.get("configuration") or {}, keys)
        self._regions[str(descriptor["uid"])] = region
        return True

    def configure(self, region: int, configuration: Any, data_keys: Mapping[str, Any]) -> None:
        """Take dead times, saturations and units from a descriptor of a region's stream.

        Raises
        ------
        ValueError
            There are data keys, but not that of the counts.
        """
        counts = self.layout.counts
        if data_keys and counts not in data_keys:
            raise ValueError(
                f"run {str(self.start.get('uid', ''))[:8]!r} has no counts: its lines have no "
                f"{counts!r}, only {', '.join(data_keys)}"
            )
        unit = str(dict(data_keys.get(counts) or {}).get("units") or "").lower()
        self._rates[region] = unit in RATES and self.options.counts_per_unit is None

        def detector(name: str) -> Detector:
            dead_time = configured(configuration, f"{name}_dead_time") or 0.0
            if name == counts and self.options.dead_time is not None:
                dead_time = self.options.dead_time
            return Detector(dead_time, configured(configuration, f"{name}_saturation") or 0.0)

        detectors = {"transmission": detector(counts), "i0": detector("i0")}
        if detectors == self._detectors:  # with many regions there are many descriptors
            return
        self._detectors = detectors
        for part in self.parts.values():
            part.configure(detectors)
        if self.i0_images is not None:
            mode = "blank" if self.options.i0 == "blank" else "auto"
            self.i0_images.configure(detectors, mode)
        if self.dark_images is not None:
            self.dark_images.configure(detectors)

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its lines (s)."""
        region = self._regions[str(doc["descriptor"])]
        stamps = []
        for seq_num, data, stamp in rows_of(name, doc, self.layout.counts):
            self.line(region, seq_num, data)
            stamps.append(stamp)
            if self._newest is not None:
                self._newest.stamped(stamp)
        return stamps

    def line(self, region: int, seq_num: int, data: Doc) -> None:
        """Take one line of a region; one that came before is replaced."""
        frame, line = self.layout.place(region, seq_num, data)
        try:
            row = self._row(region, frame, data)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"event {seq_num} (frame {frame}, line {line}): {exc}") from exc
        if frame in self._of_sample:
            part, k = self._of_sample[frame]
            part.take(k, line, row)
            self._newest = self._touched[part.name] = part
        elif frame in self._of_checks:
            part, j = self._of_checks[frame]
            part.take_check(j, line, row)
            self._newest = self._touched[part.name] = part
        elif frame in self._of_i0 and self.i0_images is not None:
            self.i0_images.take(frame, line, row)
        elif frame in self._of_dark and self.dark_images is not None:
            self.dark_images.take(frame, line, row)

    def _row(self, region: int, frame: int, data: Doc) -> Row:
        layout = self.layout
        if layout.counts not in data:
            raise ValueError(f"a line has no {layout.counts!r}, only {', '.join(data)}")
        per_unit = self.options.counts_per_unit or 1.0
        if self._rates.get(region):
            per_unit = self.scan.frames[frame].dwell
        asked, _ = layout.axes[region]
        counts = _line(layout.counts, data[layout.counts], len(asked)) * per_unit
        monitor = data.get("i0") if layout.monitored else None
        i0 = None if monitor is None else _line("i0", monitor, len(asked))
        x = np.asarray(data.get(layout.x, asked), dtype=np.float64)
        y = np.asarray(data.get(layout.y, np.nan), dtype=np.float64)
        # Some controllers fill in zeros where they have no positions.
        known = x.shape == asked.shape and bool(np.isfinite(x).all())
        if known and x.size > 1 and not np.ptp(x):
            known = False
        along = x if known else asked
        if along[0] > along[-1]:  # a line flown backwards
            counts, along = counts[::-1], along[::-1]
            i0 = None if i0 is None else i0[::-1]
        return Row(
            counts,
            i0,
            min(as_whole("line_status", data.get("line_status", LineStatus.OK)), UNKNOWN),
            along if known else None,
            float(np.nanmean(y)) if np.isfinite(y).any() else None,
            np.nan if layout.numbered else _energy(data.get("energy")),
            (float(data.get(FOLLOWED[0], 0.0)), float(data.get(FOLLOWED[1], 0.0))),
        )

    # -- I0 ------------------------------------------------------------------------------------

    def check_i0(self, i0: I0Spectrum) -> None:
        """Raise `I0Error` where a spectrum does not cover the energies of a map."""
        for part in self.parts.values():
            part.check_i0(i0)

    def set_i0(self, i0: I0Spectrum | None) -> None:
        """Take I0 from a spectrum; None: from the run itself.

        Raises
        ------
        I0Error
            It does not cover the energies.
        """
        for part in self.parts.values():
            part.set_i0(i0)
            self._touched[part.name] = part

    def settle(self, *, final: bool) -> list[Doubt]:
        """Let what other images say be known to the maps; what is to be said of it."""
        said: list[Doubt] = []
        fits = [part.fit for part in self.parts.values()]
        if self.dark_images is not None:
            light = float(np.nanmean([np.nan, *(fit.light for fit in fits)])) if _any(fits) else 0.0
            rate, _, monitor = self.dark_images.rates(final=final)
            bright = light > 0 and self.dark_images.is_light(light, final=final)
            dark = (0.0, 0.0)
            if np.isfinite(rate) and not bright:
                dark = rate, monitor if np.isfinite(monitor) else 0.0
            if dark != self._dark:
                self._dark = dark
                for part in self.parts.values():
                    part.set_dark(*dark)
                for images in self.i0_images.regions.values() if self.i0_images else ():
                    images.fit.set_dark(*dark)
            said += self.dark_images.doubts(light, final=final)
        if self.i0_images is not None:
            for part in self.parts.values():
                part.offer_i0(self.i0_images.spectrum(part.outer, final=final), final=final)
            for check, (part, j) in self._of_checks.items():
                first = self._first_of[check]
                part.i0_changes[j] = self.i0_images.change(first, check, final=final)
            if final:
                said += self.i0_images.doubts()
        else:
            for part in self.parts.values():
                part.offer_i0(None, final=final)
        for role, n in self._passed.items():
            said.append(
                Doubt(
                    "roles",
                    n,
                    f"{several(n, 'image')} of the role {role!r}, not known here: left out.",
                )
            )
        return said

    # -- out -----------------------------------------------------------------------------------

    @property
    def refusal(self) -> ValueError | None:
        """Why a map is lacking, where one was asked for."""
        found = [part.refusal for part in self.parts.values() if part.refusal is not None]
        return found[0] if found else None

    @property
    def line_counts(self) -> dict[str, int]:
        """Lines by status, of all images."""
        statuses = [
            images.status
            for part in self.parts.values()
            for images in (part.images, part.checks)
            if images is not None
        ]
        if self.i0_images is not None:
            statuses += [images.status for images in self.i0_images.regions.values()]
        if self.dark_images is not None:
            statuses += self.dark_images.statuses
        return {s.name: sum(int((one == s).sum()) for one in statuses) for s in LineStatus}

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the maps."""
        return tuple(self.parts)

    def remarks(self) -> list[Doubt]:
        """That images are made smaller: there is still time to take less."""
        return [d for part in self.parts.values() for d in part.remarks() if d.kind == "binned"]

    def told(self, kind: str, content: Any) -> tuple[()] | None:
        """Take ``"i0"``, an `I0Spectrum`, or None for the run's own."""
        if kind != "i0":
            return None
        self.set_i0(content)
        return () if self._solved else None

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, OxidationSnapshot]:
        """Solve what has changed (all, if final); last the map whose lines came last.

        Raises
        ------
        ValueError
            The run has no image of a sample.
        """
        newest = self.part
        if final and message:  # nothing is said of a run that ended well
            self.succeeded = False
        said = self.settle(final=final)
        chosen = dict(self.parts if final else self._touched)
        chosen.pop(newest.name, None)
        lines = self.line_counts
        self._touched, self._solved = {}, True
        return {
            name: part.snapshot(
                final=final, full=full, message=message, doubts=said, lines=lines,
                succeeded=self.succeeded,
            )
            for name, part in (chosen | {newest.name: newest}).items()
        }  # fmt: skip


def _energy(value: Any) -> float:
    """What a line says of its energy, eV; NaN where it says nothing."""
    if value is None:
        return float("nan")
    number = plain_number(value)
    if number is None:
        raise ValueError(f"energy = {value!r:.60} is not a number")
    return number


def _line(key: str, values: Any, nx: int) -> NDArray[np.float64]:
    """Values of a line, one for each pixel.

    Raises
    ------
    ValueError
        They are not numbers, or not as many.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{key} = {values!r:.60} are not numbers") from None
    if found.shape != (nx,):
        raise ValueError(f"{key} has shape {found.shape}, but a line has {nx} pixels")
    return found


def _place(frame: Frame) -> tuple[Any, ...]:
    """What a dose check has in common with the image that it repeats."""
    return frame.energy, frame.region, frame.outer


def _any(fits: list[Any]) -> bool:
    """Whether any image of a sample was taken."""
    return any(fit.lines_present.any() for fit in fits)
