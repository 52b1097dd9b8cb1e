"""One region of a run: its energies, what they look like, the map that they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...analysis.ptychography import PtychoResult, RingCorrelation
from ...data import References
from .._doubt import Doubt
from ._map import map_of
from ._snapshot import Pace, PtychoMap, PtychoSnapshot
from ._task import Task

__all__ = ["PartOfRun"]

HIGH_RESIDUAL = 3.0
"""χ² per pixel from which on a reconstruction is doubted."""


class PartOfRun:
    """The energies of a region, and the snapshot of them.

    Parameters
    ----------
    tasks : dict of int to Task
        By the index of their part of the scan, in the order of the scan.
    references : References or None
    why : str
        Why there are none.
    frame : PtychoSnapshot
        With what does not change in its snapshots: region, title, uid, energies.
    """

    def __init__(
        self,
        tasks: Mapping[int, Task],
        references: References | None,
        why: str,
        frame: PtychoSnapshot,
    ) -> None:
        self.name, self.tasks = frame.region, dict(tasks)
        self._references, self._why = references, why
        self._frame = frame
        self.changed = False
        self.resolution: RingCorrelation | None = None
        self.resolution_ev = math.nan
        self._map: PtychoMap | None = None
        self._mapped: tuple[int, ...] = ()
        self._wrong = ""
        self.last_behind = math.nan
        self.seconds_fed = self.seconds_swept = 0.0
        self.places = self.updates = 0

    @property
    def begun(self) -> list[Task]:
        """Energies that have an image or frames, in order."""
        return [t for t in self.tasks.values() if t.in_memory or t.finished or t.places_fed]

    def images(self) -> list[PtychoResult]:
        """What there is of each energy, in the order of the scan."""
        found = (task.result for task in self.tasks.values())
        return [image for image in found if image is not None]

    def pace(self, now: float) -> Pace:
        """How far it has come; ``now`` s since 1970."""
        tasks = self.tasks.values()
        oldest = [task.oldest for task in tasks if task.waiting and not task.shelved]
        return Pace(
            frames=sum(task.places_fed for task in tasks),
            total=sum(len(task.part.positions) for task in tasks),
            behind=sum(task.waiting for task in tasks if not task.shelved),
            seconds_behind=max(now - min(oldest), 0.0) if oldest else 0.0,
            seconds_behind_last=self.last_behind,
            ms_per_frame=1e3 * self.seconds_fed / self.places if self.places else math.nan,
            ms_per_update=1e3 * self.seconds_swept / self.updates if self.updates else math.nan,
            left_out=sum(task.left_out for task in tasks),
        )

    def update_map(self) -> None:
        """Make the map anew, where an energy has been finished since.

        One that was broken off would cut the map to what it has: it is left out where others were
        taken whole.
        """
        there = {
            k: task for k, task in self.tasks.items() if task.finished and task.result is not None
        }
        finished = tuple(k for k, task in there.items() if task.complete) or tuple(there)
        if finished == self._mapped or not finished:
            return
        images = [self.tasks[k].result for k in finished]
        self._mapped = finished
        try:
            self._map = map_of([image for image in images if image is not None], self._references)
            self._wrong = ""
        except ValueError as exc:  # too few energies yet, no empty area: said, and images are shown
            self._wrong = str(exc)

    def snapshot(
        self, now: float, message: str, doubts: list[Doubt], final: bool
    ) -> PtychoSnapshot:
        """What there is; ``doubts`` are those of the run."""
        images = self.images()
        own = self._doubts(images, final)
        said = [*doubts, *own]
        tasks = self.tasks.values()
        return replace(
            self._frame,
            images=tuple(images),
            done=sum(t.finished and t.complete and t.result is not None for t in tasks),
            pace=self.pace(now),
            resolution=self.resolution,
            resolution_ev=self.resolution_ev,
            map=self._map,
            doubts=tuple(said),
            message=" ".join(text for text in (message, *(d.text for d in said)) if text),
            finished=final,
        )

    def _doubts(self, images: list[PtychoResult], final: bool) -> list[Doubt]:
        found = []
        pace = self.pace(0.0)
        if pace.left_out:
            found.append(
                Doubt(
                    "frames", pace.left_out,
                    f"{pace.left_out} frames are left out: missing, doubtful or not in the file.",
                )
            )  # fmt: skip
        bad = [image for image in images if image.residual > HIGH_RESIDUAL]
        if bad and final:
            worst = max(bad, key=lambda image: image.residual)
            found.append(
                Doubt(
                    "residual", worst.residual,
                    f"The frames at {worst.energy_ev:g} eV are not explained by the image: "
                    f"χ² per pixel is {worst.residual:.1f} instead of 1. Its σ is too small.",
                )
            )  # fmt: skip
        lacking = pace.total - pace.frames
        if final and lacking:
            found.append(
                Doubt("incomplete", lacking, f"{lacking} of {pace.total} places were not taken.")
            )
        lacking_in_map = [
            f"{task.part.energy:g} eV"
            for k, task in self.tasks.items()
            if task.result is not None and k not in self._mapped
        ]
        if final and self._map is not None and lacking_in_map:
            listed = ", ".join(lacking_in_map)
            found.append(
                Doubt(
                    "energies", len(lacking_in_map),
                    f"The map is without {listed}, which was not taken whole.",
                )
            )  # fmt: skip
        if final and self._map is None:
            why = self._wrong or self._why or "no energy has an image"
            found.append(Doubt("map", len(images), f"No map: {why}."))
        elif final and self._map is not None and self._map.result is None:
            why = self._why or "too few energies to tell the species apart"
            found.append(Doubt("references", len(images), f"Images only, no map: {why}."))
        elif final and self._map is not None and self._map.result is not None:
            if not self._map.result.n_mask:
                found.append(
                    Doubt(
                        "map", 0,
                        "No pixel of the map has enough sample, over what was taken for empty, to "
                        "tell a fraction: are there empty surroundings in the image?",
                    )
                )  # fmt: skip
        notes = sorted({note for image in images for note in image.notes})
        notes += self._map.notes if self._map is not None else ()
        found += [Doubt("notes", len(notes), f"{note}.") for note in notes if final]
        return found

    @property
    def brightest(self) -> Task | None:
        """The energy with most light."""
        done = [task for task in self.tasks.values() if task.result is not None]

        def light(task: Task) -> float:
            image = task.result
            return 0.0 if image is None else float((np.abs(image.probe) ** 2).sum())

        return max(done, key=light, default=None)
