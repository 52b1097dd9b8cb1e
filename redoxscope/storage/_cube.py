"""An energy stack as arrays [nE, ny, nx]: counts, I0 and optical density."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..inputs import unless_unmeasured
from .log import DocumentLog, read_log

if TYPE_CHECKING:
    import xarray

    from redoxscope.data import References

__all__ = ["stack_cube"]


@unless_unmeasured()
def stack_cube(
    source: Any,
    references: References | None = None,
    *,
    region: str | None = None,
    **options: Any,
) -> xarray.Dataset:
    """Counts, I0 and optical density of an energy stack, with their coordinates.

    Images are as they were taken. ``oxidation_map(source)`` is fitted to this optical density,
    after it has moved each image by ``shift_y`` and ``shift_x``.

    Parameters
    ----------
    source : run, iterable of (name, document), path or DocumentLog
        A run of a catalog (``cat[-1]``), complete or not; documents; the file of a document log, of
        a run that is under way as well; or the log itself (``s.log``), for the run in progress.
    references : References, optional
        Of the map; they do not change the cube.
    region : str, optional
        Name of one of several regions; needed where the run has several.
    **options
        As for `redoxscope.callbacks.oxidation_map`: ``i0, blank, dead_time, ...``.

    Returns
    -------
    xarray.Dataset
        ``counts`` [energy, y, x]: as measured, per pixel. ``i0`` [energy, y, x]: counts that the
        pixel would have without a sample; of the light alone (dead time corrected, no dark counts),
        so with counts to which the same is done ``od = -ln(counts / i0)``. ``od`` [energy, y, x]:
        optical density. NaN where nothing was measured, or I0 is not known. ``line_status``
        [energy, y]: `redoxscope.documents.LineStatus`, -1 where no line has come. ``left_out``
        [energy, y]: lines whose beam was not that of their image. The map does not use them: they
        have counts, but neither I0 nor optical density.
        ``shift_y``, ``shift_x`` [energy]: by how many pixels the map moves each image; 0 where
        drift is not undone. Coordinates: ``energy`` (eV, rising), ``y`` and ``x`` (µm, measured;
        of the first image where drift is undone), ``dwell`` [energy] (s), ``order`` [energy]
        (which came first). Attributes: ``uid``, ``region``, ``edge``,
        ``sample``, ``lines_done`` and ``lines_total``, ``monitored``,
        and ``doubts`` (kind, value, text).

    Raises
    ------
    ValueError
        There is no energy stack in it; an I0 or a blank does not fit its images; it has several
        regions and none is named; it does not fit into memory; no run is in progress.
    FileNotFoundError
        There is no such file.
    """
    import xarray

    from redoxscope.callbacks.oxidation import part_of, read_stack, room_for

    reader = read_stack(_documents(source), references, **options)
    part = part_of(reader, region)
    snapshot, fit, start = reader.snapshot(final=True)[part.name], part.fit, reader.start
    if part.wrong is not None:
        raise part.wrong
    order = np.argsort(part.energies)
    shape = (len(order), *fit.shape)
    room_for(f"the cube of run {str(start.get('uid'))[:8]}", 3 * 4 * int(np.prod(shape)))
    counts, i0, od = (np.empty(shape, dtype=np.float32) for _ in range(3))
    for i, k in enumerate(order):
        counts[i], od[i] = fit.image(int(k))
        i0[i] = fit.i0_image(int(k))
    shifts = np.zeros((len(order), 2)) if fit.shifts is None else fit.shifts[order]
    images, lines = ("energy", "y", "x"), ("energy", "y")
    pixel = "counts per pixel"
    return xarray.Dataset(
        {
            "counts": (images, counts, {"units": pixel}),
            "i0": (images, i0, {"units": pixel}),
            "od": (images, od, {"units": "", "long_name": "optical density"}),
            "line_status": (lines, part.images.fit_status[order]),
            "left_out": (lines, fit.left_out[order]),
            "shift_y": ("energy", shifts[:, 0], {"units": "pixels"}),
            "shift_x": ("energy", shifts[:, 1], {"units": "pixels"}),
        },
        {
            "energy": ("energy", part.energies[order], {"units": "eV"}),
            "y": ("y", snapshot.y, {"units": "µm"}),
            "x": ("x", snapshot.x, {"units": "µm"}),
            "dwell": ("energy", part.images.dwell[order], {"units": "s"}),
            "order": ("energy", order),
        },
        {
            "uid": str(start.get("uid", "")),
            "region": part.name,
            "edge": start.get("edge") or "",
            "sample": start.get("sample") or "",
            "lines_done": snapshot.lines_done,
            "lines_total": part.images.status.size,
            "monitored": fit.monitored,
            "doubts": [
                {"kind": d.kind, "value": float(d.value), "text": d.text} for d in snapshot.doubts
            ],
        },
    )


def _documents(source: Any) -> Any:
    if isinstance(source, DocumentLog):
        if not source.open_runs:
            raise ValueError(
                f"no run is in progress in {source.directory}: give a run of the catalog, or the "
                "file of a run"
            )
        return _written(source.path(source.open_runs[-1]))
    if isinstance(source, (str, os.PathLike)):
        return _written(Path(source))
    return source


def _written(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a log holds so far; of a run under way the last line may be half written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such document log; to give a run of the catalog: stack_cube(cat[uid])"
        )
    return read_log(path, on_truncated=lambda message: None)
