"""Documents of one energy stack, in; a fit of it, out. No threads here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..analysis import (
    Detector,
    I0Error,
    I0Spectrum,
    RegionSpectrum,
    StackFit,
    checked_mask,
    default_region,
)
from ..contract import IMAGE, STACK, LineStatus, as_number
from ..data import References, UndeterminedError, get_edge, load_references
from ..scan import Role, Scan
from ._documents import Doc, configured, rows_of
from ._doubts import TAKEN, doubts_of
from ._memory import Binning, available_bytes, binning_for, gigabytes, map_bytes
from ._snapshot import Doubt, Frame, Snapshot
from ._stack_start import nominal_positions, title_of

__all__ = ["MapOptions", "StackReader", "is_stack"]


RATES = ("hz", "1/s", "s^-1", "counts/s", "cps")
"""Units in which a counter gives a rate, so that the counts are this times the dwell."""


@dataclass(frozen=True)
class MapOptions:
    """Choices a user makes for a map; see `OxidationMap`."""

    references: References | None = None
    i0: Literal["auto", "blank", "monitor"] | I0Spectrum = "auto"
    min_thickness: float | None = None
    max_od: float | None = None
    blank: ArrayLike | None = None
    region: ArrayLike | None = None
    counts_per_unit: float | None = None

    def __post_init__(self) -> None:
        if self.references is not None and not isinstance(self.references, References):
            raise ValueError(
                f"references = {self.references!r:.80} must be References: see load_references, "
                "references_from_csv"
            )
        if self.min_thickness is not None:
            least = as_number("min_thickness", self.min_thickness, at_least=0)
            object.__setattr__(self, "min_thickness", least)
        if self.max_od is not None:
            object.__setattr__(self, "max_od", as_number("max_od", self.max_od, above=0))
        if isinstance(self.i0, str) and self.i0 not in ("auto", "blank", "monitor"):
            raise ValueError(
                f"i0 is {self.i0!r}, but must be 'auto', 'blank', 'monitor', a spectrum "
                "(energies, counts[, sigma]) or a run"
            )
        if self.counts_per_unit is not None:
            value = as_number("counts_per_unit", self.counts_per_unit, above=0)
            object.__setattr__(self, "counts_per_unit", value)


def is_stack(start: Doc) -> bool:
    """Whether a start document announces images of one region."""
    return start.get("plan_name") in (STACK, IMAGE) and "scan" in start


def references_for(start: Doc, energies: Any, options: MapOptions) -> References | None:
    """References for a run: the user's, those it carries, those of its edge; None if none.

    Raises
    ------
    ValueError
        They do not suit the energies. Only the edge's own may be too many for few energies:
        then there are none (`UndeterminedError`).
    """
    if options.references is not None:
        found = options.references
    elif start.get("references"):
        try:
            found = References.from_document(start["references"])
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(
                f"the references that the run carries cannot be read ({type(exc).__name__}: "
                f"{exc}); give others with references="
            ) from exc
    else:
        edge = start.get("edge")
        if not edge or not get_edge(edge).species:
            return None
        found = load_references(edge)
        try:
            found.design(energies)
        except UndeterminedError:
            return None
    found.design(energies)
    return found


class StackReader:
    """Feeds the lines of one run to a `StackFit`.

    Parameters
    ----------
    start : dict
        Start document of a stack.
    options : MapOptions
        Choices of the user.

    Raises
    ------
    ValueError, KeyError
        If the start document is not one of an energy stack, or a mask does not suit its shape.
    """

    def __init__(self, start: Doc, options: MapOptions) -> None:
        self.start = start
        self.options = options
        self.scan = Scan.from_start(start)
        if self.scan.kind != "lines" or len(self.scan.regions) != 1:
            raise ValueError("the run is none of images of one region")
        listed = self.scan.energies
        self.energies = np.asarray(listed, dtype=np.float64)
        # Which energy a frame's lines belong to; those of another role belong to none.
        self._index = [
            listed.index(frame.energy) if frame.role is Role.SAMPLE else None
            for frame in self.scan.frames
        ]
        self.dwell = self.scan.frames[0].dwell
        n_energies, (nx, ny) = len(listed), self.scan.regions[0].pixels
        self.size = (ny, nx)
        self._refusal: ValueError | None = None
        self.references: References | None = None
        try:
            for name in ("blank", "region"):
                if getattr(options, name) is not None:
                    checked_mask(getattr(options, name), self.size, name)
            self.references = references_for(start, self.energies, options)
        except ValueError as exc:
            self._refusal = exc
            self.options = options = replace(options, blank=None, region=None)
        self.names = () if self.references is None else tuple(self.references.names)
        self._design = (
            np.empty((n_energies, 0))
            if self.references is None
            else self.references.design(self.energies)
        )
        self._fit_into_memory((n_energies, ny, nx))
        given = options.region
        self._shown = None if given is None else self._mask(given, "region")
        self._per_unit = options.counts_per_unit or 1.0
        try:
            self.fit = self._new_fit({})
        except I0Error as exc:
            self._refusal = self._refusal or exc
            self.options = options = replace(options, i0="auto")
            self.fit = self._new_fit({})
        self.status = np.full((n_energies, ny), -1, dtype=np.int8)
        self._newest = 0
        self.x, self.y = nominal_positions(self.scan.regions[0])
        self._spectrum: tuple[NDArray[np.bool_] | None, RegionSpectrum | None] = (None, None)
        self._doubts: tuple[Doubt, ...] = ()

    def _fit_into_memory(self, shape: tuple[int, int, int]) -> None:
        """Choose how many pixels are taken together, before anything is allocated."""
        monitored = "i0" in self.start.get("detectors", ("i0",)) and self.options.i0 != "blank"
        columns, available = self._design.shape[1], available_bytes()
        factor = binning_for(shape, columns, monitored, available)
        self._binning = Binning(factor, shape, monitored) if factor > 1 else None
        self.shape = self.size if self._binning is None else self._binning.shape
        self._room = (map_bytes(shape, columns, monitored), available)

    def _mask(self, mask: ArrayLike, name: str) -> NDArray[np.bool_]:
        found = checked_mask(mask, self.size, name)
        return found if self._binning is None else self._binning.mask(found)

    @property
    def refusal(self) -> ValueError | None:
        """Why there is no map, where one was asked for: the images are shown all the same."""
        said = self.fit.i0_refusal
        return ValueError(said) if said and self._refusal is None else self._refusal

    def _new_fit(self, configuration: Any) -> StackFit:
        def detector(name: str) -> Detector:
            return Detector(
                dead_time=configured(configuration, f"{name}_dead_time") or 0.0,
                saturation=configured(configuration, f"{name}_saturation") or 0.0,
            )

        i0 = self.options.i0
        dwell, pixels = self.dwell, 1
        found = (detector("transmission"), detector("i0"))
        if self._binning is not None:
            pixels = self._binning.factor**2
            self._binning.limits = (found[0].limit(dwell), found[1].limit(dwell))
        blank = self.options.blank
        least = self.options.min_thickness
        if least is None:
            least = 0.0 if self.references is None else self.references.min_thickness or 0.0
        return StackFit(
            self._design,
            len(self.names),
            self.shape,
            mode=i0 if isinstance(i0, str) else "auto",
            i0=None if isinstance(i0, str) else self._scaled(i0),
            dwell=pixels * dwell,
            transmission=found[0],
            monitor=found[1],
            min_thickness=least,
            max_od=self.options.max_od,
            blank=None if blank is None else self._mask(blank, "blank"),
            energies=self.energies,
        )

    def configure(self, configuration: Any, data_keys: Any) -> None:
        """Take dead times, saturations and units from a descriptor."""
        if (self.status >= 0).any():
            return  # a second descriptor of the same stream: the counters have not changed
        unit = str(dict(data_keys.get("transmission") or {}).get("units") or "").lower()
        if unit in RATES and self.options.counts_per_unit is None:
            self._per_unit = self.dwell
        self.fit = self._new_fit(configuration)

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are lines."""
        if self.scan.region_in(str(descriptor.get("name"))) is None:
            return False
        self.configure(descriptor.get("configuration", {}), descriptor.get("data_keys", {}))
        return True

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its lines (s)."""
        stamps = []
        for _, data, stamp in rows_of(name, doc, "transmission"):
            self.line(data)
            stamps.append(stamp)
        return stamps

    def line(self, data: Doc) -> None:
        """Take one line; one that was there before is replaced."""
        frame, line = int(data["frame"]), int(data["line"])
        if not (0 <= frame < len(self._index) and 0 <= line < self.size[0]):
            raise ValueError(
                f"an event names line {line} of frame {frame}; the scan has {len(self._index)} "
                f"frames of {self.size[0]} lines"
            )
        k = self._index[frame]
        if k is None:
            return
        counts = np.asarray(data["transmission"], dtype=np.float64) * self._per_unit
        monitor = data.get("i0")
        i0 = None if monitor is None else np.asarray(monitor, dtype=np.float64)
        x = np.asarray(data.get("sample_x", self.x), dtype=np.float64)
        y = np.asarray(data.get("sample_y", self.y[line]), dtype=np.float64)
        status = int(data.get("line_status", LineStatus.OK))
        taken = status in TAKEN
        if not taken:  # whatever the scanner says of it: it is not to be believed
            counts = np.full(self.size[1], np.nan)
            i0 = None if i0 is None else counts
        elif x.shape == self.x.shape and np.isfinite(x).all():
            if x[0] > x[-1]:  # a line flown backwards
                counts, x = counts[::-1], x[::-1]
                i0 = None if i0 is None else i0[::-1]
            self.x = x
        if taken and np.isfinite(y).any():
            self.y[line] = np.nanmean(y)
        if self._binning is None:
            self.fit.set_line(k, line, counts, i0)
        else:
            whole = self._binning.line(k, line, counts, i0)
            if whole is not None:
                self.fit.set_line(k, *whole)
        self.status[k, line] = min(max(status, 0), 127)
        self._newest = k

    def set_i0(self, i0: I0Spectrum | None) -> None:
        """Take I0 from a spectrum; None: from the stack itself.

        Raises
        ------
        ValueError
            It does not cover the energies.
        """
        self.fit.set_i0(None if i0 is None else self._scaled(i0))

    def _scaled(self, i0: I0Spectrum) -> I0Spectrum:
        """The same for pixels that are taken together, where its dwell does not say it."""
        per_monitor = i0.ratio or (i0.ratio is None and "i0" in self.start.get("detectors", ()))
        if self._binning is None or i0.dwell is not None or per_monitor:
            return i0
        n = self._binning.factor**2
        sigma = None if i0.sigma is None else n * i0.sigma
        return replace(i0, values=n * i0.values, sigma=sigma)

    @property
    def line_counts(self) -> dict[str, int]:
        """Lines by status."""
        return {s.name: int((self.status == s).sum()) for s in LineStatus}

    def snapshot(self, *, final: bool = False, full: bool = True, message: str = "") -> Snapshot:
        """Solve what has changed (all, if final) and return it; in full with the spectrum."""
        result = self.fit.solve(None if final else self.fit.refresh())
        together = self._binning
        if full:
            self._spectrum = self._region(result)
            self._doubts = (
                *self.remarks(),
                *doubts_of(
                    self.fit, result, self._spectrum[1],
                    self.status if together is None else together.status(self.status),
                    self.energies, self.names, final=final,
                ),
            )  # fmt: skip
        done = np.isin(self.status, TAKEN)
        if self._binning is None:
            done &= self.fit.lines_present
        return Snapshot(
            uid=str(self.start.get("uid", "")),
            result=result,
            energies=self.energies,
            names=self.names,
            unit="" if self.references is None else self.references.unit,
            x=self.x.copy() if together is None else together.axis(self.x),
            y=self.y.copy() if together is None else together.axis(self.y),
            region=self._spectrum[0],
            spectrum=self._spectrum[1],
            lines_done=int(done.sum()),
            lines_total=self.status.size,
            lines=self.line_counts,
            message=" ".join(filter(None, [message, *(d.text for d in self._doubts)])),
            doubts=self._doubts,
            finished=final,
            title=title_of(self.start),
            frame=self._frame(),
        )

    def remarks(self) -> list[Doubt]:
        """Why there is no map, or another one than was asked for."""
        said = []
        if self._binning is not None:
            b, (needed, available) = self._binning.factor, self._room
            said.append(
                Doubt(
                    "binned",
                    b,
                    f"{b} × {b} pixels are taken together: at full size ({self.size[0]} × "
                    f"{self.size[1]} × {len(self.energies)}) the map needs {gigabytes(needed)}, "
                    f"and {gigabytes(available)} are available, of which it may take half.",
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
        return said

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

    def _region(self, result: Any) -> tuple[NDArray[np.bool_] | None, RegionSpectrum | None]:
        region = default_region(result) if self._shown is None else self._shown
        if region is None or not np.isfinite(result.thickness[region]).any():
            return region, None
        try:
            return region, self.fit.region_spectrum(region)
        except ValueError:  # its lines have no common set of energies yet
            return region, None
