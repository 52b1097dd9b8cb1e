"""One map of a run: of one region, from its lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import (
    AreaSpectrum,
    Detector,
    DoseChange,
    I0Error,
    I0Spectrum,
    OxidationResult,
    StackFit,
    change_of_od,
    checked_mask,
    default_area,
    leave_unsteady_out,
)
from ...data import References, get_edge
from .._documents import Doc
from .._doubt import Doubt
from .._room import gigabytes
from ._asked import asked
from ._doubts import dose_doubt, doubts_of
from ._doubts_beam import left_out_doubt
from ._doubts_model import model_doubts
from ._drift import UNPLACED, Break, ImageDrift
from ._images import Images, Row
from ._layout import Group, Layout
from ._made_with import borrowed_doubt, digest_of, made_with
from ._options import MapOptions, assumed_edge, references_for
from ._snapshot import Frame, OxidationSnapshot
from ._title import title_of
from ._until import Until

__all__ = ["MapPart", "Room", "design_for"]

NO_I0 = I0Spectrum(
    np.array([0.0]), np.array([1.0]), np.array([1.0]), source="no image of the empty beam",
    partial=True,
)  # fmt: skip
"""An I0 that is known nowhere."""
MASKS: tuple[Literal["blank"], Literal["area"]] = ("blank", "area")


class Room(NamedTuple):
    """Pixels a side to take together, and why: memory needed and available (bytes)."""

    factor: int
    needed: float
    available: float


class Design(NamedTuple):
    """References at a map's energies, or why there are none."""

    references: References | None
    matrix: NDArray[np.float64]
    refusal: ValueError | None
    assumed: str = ""
    wrong_mask: ValueError | None = None


def design_for(
    start: Doc, layout: Layout, group: Group, maps: Sequence[str], options: MapOptions
) -> Design:
    """References and design matrix of a map; no columns without references, or with wrong masks."""
    energies = [layout.scan.frames[i].energy for i in group.sample]
    nx, ny = layout.scan.regions[group.region].pixels
    try:
        for what in MASKS:
            given = options.mask(what, group.name, maps)
            if given is not None:
                checked_mask(given, (ny, nx), what)
    except ValueError as exc:
        return Design(None, np.empty((len(energies), 0)), exc, wrong_mask=exc)
    try:
        references = references_for(start, energies, options, layout)
    except ValueError as exc:
        return Design(None, np.empty((len(energies), 0)), exc)
    matrix = np.empty((len(energies), 0)) if references is None else references.design(energies)
    return Design(references, matrix, None, assumed_edge(start, energies, options, layout))


class MapPart:
    """The map of one region, from its lines; with it the dose checks of the same region.

    Parameters
    ----------
    start : dict
        Start document.
    layout : Layout
    group : Group
        Which images.
    maps : sequence of str
        Names of all maps of the run.
    options : MapOptions
    design : Design
    room : Room
    """

    def __init__(
        self,
        start: Doc,
        layout: Layout,
        group: Group,
        maps: Sequence[str],
        options: MapOptions,
        design: Design,
        room: Room,
    ) -> None:
        self.start, self.name, self.outer, self.maps = start, group.name, group.outer, tuple(maps)
        self.options, self.references = options, design.references
        self._refusal = design.refusal
        self._wrong = design.wrong_mask
        self._digest = digest_of(design.references, options, start)
        self._room = room
        self._foreign, self._assumed = layout.numbered, design.assumed
        self.names = () if self.references is None else tuple(self.references.names)
        nx, ny = layout.scan.regions[group.region].pixels
        axes = layout.axes[group.region]
        width, height = layout.scan.regions[group.region].size
        self._step, self._factor = (height / ny, width / nx), room.factor
        self.x, self.y = np.sort(axes[0]), axes[1].copy()  # backward lines are turned round

        def images(frames: tuple[int, ...], **more: Any) -> Images:
            own = [layout.scan.frames[i] for i in frames]
            energies, dwell = (np.array([getattr(f, n) for f in own]) for n in ("energy", "dwell"))
            return Images((ny, nx), energies, dwell, room.factor, layout.monitored, **more)

        self.images = images(group.sample, design=design.matrix, species=len(self.names))
        self.checks = images(group.checks) if group.checks else None
        self.energies = self.images.energies
        self._drift = ImageDrift(self.images, options.drift)
        masks = [
            None if self._wrong is not None else options.mask(what, self.name, self.maps)
            for what in MASKS
        ]
        self._blank, self._area = (
            None if given is None else self.images.mask(given, what)
            for given, what in zip(masks, MASKS, strict=True)
        )
        self._i0_images: I0Spectrum | None = None
        self._dead_time = 0.0
        self.configure({})
        self._newest = 0
        self._until = Until.of(start) if self.names else None
        self._spectrum: tuple[NDArray[np.bool_] | None, AreaSpectrum | None] = (None, None)
        self._doubts: tuple[Doubt, ...] = ()
        self._dose: tuple[DoseChange, ...] = ()
        self.i0_changes: dict[int, tuple[float, float]] = {}
        """Of each dose check: change of ln I0 since the first image, and its variance."""

    @property
    def fit(self) -> StackFit:
        """The fit."""
        return self.images.fit

    @property
    def refusal(self) -> ValueError | None:
        """Why there is no map, where one was asked for: the images are shown all the same."""
        said = self.fit.i0_refusal
        return ValueError(said) if said and self._refusal is None else self._refusal

    @property
    def wrong(self) -> ValueError | None:
        """What was asked of the images themselves, a blank or an I0, and cannot be."""
        return self._wrong

    # -- before its lines ----------------------------------------------------------------------

    def configure(self, detectors: Mapping[str, Detector]) -> None:
        """Take dead times and saturations; of no effect once lines have come."""
        if self.images.begun:
            return
        self._dead_time = detectors.get("transmission", Detector()).dead_time
        i0 = self.options.i0
        least = self.options.min_thickness
        if least is None:
            least = 0.0 if self.references is None else self.references.min_thickness or 0.0
        mode = i0 if isinstance(i0, str) and i0 != "images" else "auto"
        options = {
            "mode": mode, "min_thickness": least, "max_od": self.options.max_od,
            "blank": self._blank,
        }  # fmt: skip
        given = None if isinstance(i0, str) else self._scaled(i0)
        try:
            self.images.build(detectors, **options, i0=given)
        except I0Error as exc:
            self._wrong = self._wrong or exc
            self._refusal = self._refusal or exc
            self.options = replace(self.options, i0="auto")
            self.images.build(detectors, **options)
        if self.checks is not None:
            self.checks.build(detectors, mode=mode)

    # -- lines ---------------------------------------------------------------------------------

    def take(self, k: int, line: int, row: Row) -> None:
        """Take a line of the image of an energy."""
        if row.taken:
            if row.x is not None:
                self.x = row.x - row.followed[0]
            if row.y is not None:
                self.y[line] = row.y - row.followed[1]
            self._drift.followed[k] = row.followed[::-1]
        self.images.take(k, line, row)
        self._drift.line(k)
        self._newest = k

    def stamped(self, time: float) -> None:
        """Take the time of the line that came last (s)."""
        if self._until is not None:
            self._until.stamped(self._newest, time)

    def take_check(self, j: int, line: int, row: Row) -> None:
        """Take a line of a dose check."""
        assert self.checks is not None
        self.checks.take(j, line, row)
        self._drift.check_line(j)

    # -- what comes from other images ----------------------------------------------------------

    def resumed(self, k: int, line: int, start: Doc) -> None:
        """Lines from line ``line`` of image ``k`` on are of another run, which continues this."""
        self.start = start
        self._until = Until.of(start) if self.names else None
        if 0 < k + (line > 0):
            self._drift.breaks.append(Break(k, line, str(start.get("uid", ""))))

    def set_dark(self, rate: float, monitor_rate: float) -> None:
        """Take dark counts off, per s and pixel."""
        for images in (self.images, self.checks):
            if images is not None:
                images.fit.set_dark(rate, monitor_rate)

    def set_i0(self, i0: I0Spectrum | None) -> None:
        """Take I0 from a spectrum; None: as the run itself has it.

        Raises
        ------
        I0Error
            It does not cover the energies.
        """
        self.options = replace(self.options, i0="auto" if i0 is None else i0)
        self._i0_images = None
        self.fit.set_i0(None if i0 is None else self._scaled(i0))

    def check_i0(self, i0: I0Spectrum) -> None:
        """Raise `I0Error` where a spectrum does not cover the energies."""
        i0.at(self.energies, self.images.dwell)

    def offer_i0(self, i0: I0Spectrum | None, *, final: bool) -> None:
        """Use I0 from images of the empty beam, where it gives half of the energies or more.

        With fewer, what the images of the sample themselves give is better.
        """
        wanted = self.options.i0
        if wanted not in ("auto", "images"):
            return
        measured = self.fit.lines_present.any(axis=1)
        use = i0 is not None and (
            wanted == "images" or 2 * (measured & i0.covers(self.energies)).sum() >= measured.sum()
        )
        chosen = i0 if use else NO_I0 if wanted == "images" else None
        if not _alike(chosen, self._i0_images):
            self._i0_images = chosen
            self.fit.set_i0(chosen)
        if final and wanted == "images" and i0 is None:
            self._wrong = self._wrong or I0Error(
                "i0 is 'images', but the run has no image of the empty beam (role 'i0')"
            )
            self._refusal = self._refusal or self._wrong

    def _scaled(self, i0: I0Spectrum) -> I0Spectrum:
        """The same for pixels that are taken together, where its dwell does not say it."""
        monitored = "i0" in self.start.get("detectors", ())
        n = self.images.together
        if n == 1 or i0.dwell is not None or i0.ratio or (i0.ratio is None and monitored):
            return i0
        sigma = None if i0.sigma is None else n * i0.sigma
        return replace(i0, values=n * i0.values, sigma=sigma)

    # -- out -----------------------------------------------------------------------------------

    def snapshot(
        self,
        *,
        final: bool,
        full: bool,
        message: str,
        doubts: Sequence[Doubt],
        lines: dict[str, int],
        succeeded: bool = True,
    ) -> OxidationSnapshot:
        """Solve what has changed (all, if final) and return it; in full with the spectrum.

        ``doubts`` are those that concern all maps of the run, ``lines`` the lines of all images.
        Of a run that ``succeeded`` the plan may have left lines out; of another they are lacking.
        """
        self._drift.update(final=final)
        beam: list[Doubt] = []
        if final:
            result, off, by = leave_unsteady_out(self.fit)
            beam = [left_out_doubt(off, by, self.energies)] if off.any() else []
        else:
            result = self.fit.solve(self.fit.refresh())
        if full:
            self._spectrum = self._shown(result)
            if self._until is not None:
                self._until.look(
                    self.fit, result, self.name if self.several else "",
                    whole=int(self.images.whole().sum()), final=final,
                )  # fmt: skip
            self._dose = tuple(self._dose_changes(result.mask, final=final))
            self._doubts = (
                *self.remarks(),
                *doubts,
                *beam,
                *asked("drift", self._drift.doubts(self._pixel)),
                *asked("the fit", doubts_of(
                    self.fit, result, self._spectrum[1], self.images.fit_status, self.energies,
                    self.images.read, self.names, final=final,
                    chosen=succeeded and ("until" in self.start or "rows" in self.start),
                    until="" if self._until is None else self._until.words,
                )),
                *(asked("the references", self._model_doubts(result)) if final else ()),
                *asked("dose", (dose_doubt(change) for change in self._dose)),
            )  # fmt: skip
        return OxidationSnapshot(
            uid=str(self.start.get("uid", "")),
            result=result,
            energies=self.energies,
            names=self.names,
            unit="" if self.references is None else self.references.unit,
            x=self.images.axis(self.x),
            y=self.images.axis(self.y),
            region=self.name,
            regions=self.maps,
            area=self._spectrum[0],
            spectrum=self._spectrum[1],
            dose=self._dose,
            lines_done=self.images.lines_done,
            lines_total=self.images.status.size,
            lines=lines,
            message=" ".join(filter(None, [message, *(d.text for d in self._doubts)])),
            doubts=self._doubts,
            finished=final,
            title=title_of(self.start, len(self.energies), self.name if self.several else ""),
            frame=self._frame(),
            drift=self._drift.aligned(self._pixel),
            until=None if self._until is None else self._until.found,
            made_with=made_with(
                self.references, self._digest, self.options, self.fit, self._dead_time
            ),
        )

    @property
    def _pixel(self) -> tuple[float, float]:
        """Height and width of a pixel of the map, µm."""
        return self._step[0] * self._factor, self._step[1] * self._factor

    @property
    def several(self) -> bool:
        """Whether the run has other maps besides."""
        return len(self.maps) > 1

    def remarks(self) -> list[Doubt]:
        """Why there is no map, or another one than was asked for."""
        said = []
        if self.images.binning is not None:
            b, (ny, nx) = self._room.factor, self.images.size
            said.append(
                Doubt(
                    "binned",
                    b,
                    f"{b} × {b} pixels are taken together: at full size ({ny} × {nx} × "
                    f"{len(self.energies)}) {'all maps need' if self.several else 'the map needs'} "
                    f"{gigabytes(self._room.needed)}, and {gigabytes(self._room.available)} are "
                    f"available, of which {'they' if self.several else 'it'} may take half.",
                )
            )
        if self.refusal is not None:
            kind = "references" if self._refusal is not None else "i0"
            said.append(Doubt(kind, self.fit.brightest_od, f"No map: {self.refusal}."))
            return said
        if self.references is None:
            n, edge = len(self.energies), self.start.get("edge")
            why = (
                f"{n} {'energy cannot' if n == 1 else 'energies cannot'} tell the species of "
                f"{edge} apart"
                if edge and get_edge(edge).species
                else "the run names no reference spectra"
            )
            said.append(Doubt("references", n, f"Images only, no map: {why}."))
        elif self.references.shipped and not self.start.get("simulated"):
            said.append(borrowed_doubt(self.references))
        if self._assumed:
            text = (
                f"The run names no edge: by its energies it is taken for {self._assumed}; if it is "
                "another, give edge= or references=."
            )
            said.append(Doubt("references", len(self.energies), text))
        if self.names and self._foreign and self.options.dead_time is None and not self._dead_time:
            said.append(
                Doubt(
                    "dead_time",
                    0,
                    "The run says no dead time, and none is corrected for: if the counter has one, "
                    "give dead_time= (s).",
                )
            )
        return said

    def _model_doubts(self, result: OxidationResult) -> Iterator[Doubt]:
        if self.references is not None and self.refusal is None:
            yield from model_doubts(self.fit, result, self.references)

    def _dose_changes(self, sample: NDArray[np.bool_], *, final: bool) -> list[DoseChange]:
        """Each dose check that is whole against the image of its energy."""
        if self.checks is None:
            return []
        placed = self._drift.place_checks(self.checks, final=final)
        whole = self.checks.whole(final=final)
        taken = np.asarray(self.fit.lines_present.any(axis=1))
        found = []
        for j, energy in enumerate(self.checks.energies.tolist()):
            k = int(np.flatnonzero(self.energies == energy)[0])
            if whole[j] and placed[j]:
                change = change_of_od(
                    self.fit, k, self.checks.fit, j, sample, self._i0_change(j)
                )  # fmt: skip
            elif whole[j]:
                change = DoseChange(energy, np.nan, np.nan, 0, UNPLACED)
            elif final:
                reason = "it was not taken" if taken[k] else "its energy was not measured before"
                change = DoseChange(energy, np.nan, np.nan, 0, reason)
            else:
                continue
            found.append(change)
        return found

    def _i0_change(self, j: int) -> tuple[float, float]:
        """By how much ln I0 has changed until a dose check, and its variance."""
        unknown = 0.0, 0.0
        return unknown if self._i0_images is None else self.i0_changes.get(j, unknown)

    def _frame(self) -> Frame:
        """The image that the last line belongs to."""
        k = self._newest
        counts, od = self.fit.image(k)
        relative = not np.isfinite(od).any()
        if relative:
            with np.errstate(divide="ignore", invalid="ignore"):
                od = -np.log(counts)
            od[~np.isfinite(od)] = np.nan
            if np.isfinite(od).any():
                od -= np.nanpercentile(od, 1)
        return Frame(k, float(self.energies[k]), counts, od, relative)

    def _shown(self, result: Any) -> tuple[NDArray[np.bool_] | None, AreaSpectrum | None]:
        area = default_area(result) if self._area is None else self._area
        if area is None or not np.isfinite(result.thickness[area]).any():
            return area, None
        try:
            return area, self.fit.area_spectrum(area)
        except ValueError:  # its lines have no common set of energies yet
            return area, None


def _alike(one: I0Spectrum | None, other: I0Spectrum | None) -> bool:
    """Whether two spectra say the same."""
    if one is None or other is None:
        return one is other
    if one.sigma is None or other.sigma is None or one.ratio != other.ratio:
        return False
    return all(
        np.array_equal(a, b)
        for a, b in (
            (one.energies, other.energies), (one.values, other.values), (one.sigma, other.sigma)
        )
    )  # fmt: skip
