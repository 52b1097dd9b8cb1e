"""The live oxidation map: documents in, maps out, nothing done on the RunEngine's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from numpy.typing import ArrayLike

from ...analysis.oxidation import I0Spectrum, OxidationResult, StackFit
from ...data import References
from .._analysis import Update
from .._live_map import LiveMap
from ._batch import as_i0
from ._options import MapOptions
from ._reader import StackReader
from ._resumed import Earlier
from ._snapshot import OxidationSnapshot
from .analysis import ANALYSIS

__all__ = ["OxidationMap"]


class OxidationMap(LiveMap[StackReader, OxidationSnapshot]):
    """Live map of the oxidised fraction, with its uncertainty: ``RE.subscribe(OxidationMap())``.

    Takes the documents of energy stacks and images (see ``docs/reference/documents.md``), those of
    the ALS too, one run after another; other runs are ignored. Each region has a map of its own;
    what is shown is that of the region whose lines came last. On the RunEngine's thread a
    document is only put into a queue, and nothing waits, not even at the stop document; who
    looks at `snapshot` after a run waits for the final one. A worker thread takes what has come
    since it last looked, solves the lines it touched and publishes a snapshot; at the end of a
    run all lines are solved together, which gives the same map as a batch fit, and what speaks
    against it is told. Where there are no references, or they do not suit, there is no map, but
    the images are there. An error there is logged, kept in `error` and shown in the snapshot's
    message; it never reaches the RunEngine.

    Parameters
    ----------
    references : References, optional
        Reference spectra; by default those of the run's edge.
    edge : str, optional
        Edge whose references are taken, where the run names none or another, e.g. ``"Mn L3"``.
    i0 : {"auto", "images", "blank", "monitor"}, I0Spectrum, tuple or run
        Where I0 comes from: ``images`` of the empty beam, which the scan holds (role ``i0``), a
        ``blank`` area, or the ``monitor`` alone; ``auto`` takes the first of these that there is
        (see ``redoxscope.analysis.oxidation.StackFit``). Or an I0 measured elsewhere:
        ``(energies, counts)`` or ``(energies, counts, sigma)`` in eV and counts per pixel at the
        stack's dwell (per monitor count where the stack has a monitor), or a run of the empty
        beam or with a blank area (see `i0_of_run`).
    min_thickness : float, optional
        Thinner pixels are masked, in µm (or end-member thicknesses); default: the references'.
    max_od : float, optional
        Mask pixels with a higher optical density at any energy. By default they are marked only.
    blank : array_like of bool [ny, nx], or mapping, optional
        The blank area, if it should not be found automatically; by region where there are several.
    area : array_like of bool [ny, nx], or mapping, optional
        Pixels whose spectrum is shown; by default a small square that is well measured.
    counts_per_unit : float, optional
        Counts that one unit of the transmission stands for, where it is not in counts: the dwell
        (s) for counts per second. Taken from the unit in the documents, where that is a rate.
    dead_time : float, optional
        Of the transmission's counter, s, where the documents do not say it or say it wrongly.
    drift : {"correct", "measure", "ignore"}
        Whether images are registered with each other, and moved back where the sample has moved
        by more than counting explains, and than 0.1 pixels.
    earlier : callable, optional
        ``earlier(uid)``: the documents of a run that has ended. With it the map of a run that
        continues another (``resumes``) begins with that one's lines; without it the live map
        has its own lines only, until it is read from the catalog.
    on_update : callable, optional
        Called with an `Update`, which has the `OxidationSnapshot`, from the worker thread, at most
        ``rate`` times a second and at the end. It should not block; what it raises is logged and
        it is not called again.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    timeout : float
        Longest time (s) that a look at the final map, and `close`, wait for it.

    Attributes
    ----------
    tell : callable
        Called with the words of each doubt at the end of a run (at its start where the stack
        is too large for the memory), from the worker thread; by default a warning in the log.
    """

    def __init__(
        self,
        references: References | None = None,
        *,
        edge: str | None = None,
        i0: Any = "auto",
        min_thickness: float | None = None,
        max_od: float | None = None,
        blank: ArrayLike | Mapping[str, ArrayLike] | None = None,
        area: ArrayLike | Mapping[str, ArrayLike] | None = None,
        counts_per_unit: float | None = None,
        dead_time: float | None = None,
        drift: Literal["correct", "measure", "ignore"] = "correct",
        earlier: Earlier | None = None,
        on_update: Callable[[Update], object] | None = None,
        rate: float = 2.0,
        timeout: float = 60.0,
    ) -> None:
        options = MapOptions(
            references, edge, as_i0(i0), min_thickness, max_od, blank, area, counts_per_unit,
            dead_time, drift, earlier,
        )  # fmt: skip
        super().__init__(ANALYSIS, options, on_update=on_update, rate=rate, timeout=timeout)

    @property
    def snapshots(self) -> dict[str, OxidationSnapshot]:
        """What was published last of each region, by its name; `snapshot` is one of them."""
        run, reader = self._run, self._reader
        if run is None or reader is None:
            return {}
        found = run.snapshots
        return {name: found[name] for name in reader.parts if name in found}

    @property
    def result(self) -> OxidationResult | None:
        """The maps published last, of the region measured last."""
        snapshot = self.snapshot
        return None if snapshot is None else snapshot.result

    def set_i0(self, i0: Any) -> None:
        """Take I0 from elsewhere, in the run that goes on or was last, and in those that follow.

        Parameters
        ----------
        i0 : I0Spectrum, tuple, run, or {"auto", "images", "blank", "monitor"}
            As for the class. A name holds from the next run on; the run at hand goes back to
            the I0 of its own.

        Raises
        ------
        ValueError
            It makes no sense, or does not cover the energies of the run at hand.
        """
        new = as_i0(i0)
        reader = self._reader
        if reader is not None and isinstance(new, I0Spectrum):
            reader.check_i0(new)
        self.options = replace(self.options, i0=new)
        self.send("i0", None if isinstance(new, str) else new, at_once=True)

    @property
    def fit(self) -> StackFit | None:
        """The fit of the region measured last. It belongs to the worker while a run goes on."""
        reader = self._reader
        return None if reader is None else reader.part.fit

    @property
    def lines(self) -> dict[str, int]:
        """Lines of the current or last stack by status."""
        reader = self._reader
        return {} if reader is None else reader.line_counts
