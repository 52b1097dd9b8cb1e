"""One call for files of frames: read, merge, reconstruct, draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.ptychography import (
    GAIN_BITS_FULL,
    Engine,
    Geometry,
    PtychoResult,
    array_module,
    check_ptychi,
    gain_bits,
    initial_probe,
    merge_exposures,
    refined_by_ptychi,
    remove_gauge,
)
from ..callbacks.ptychography import PtychoSnapshot, draw_ptychography
from ..formats import FrameScan, read_cosmic, read_cxi, replaced, writable_folder, write_json
from ..inputs import as_number, as_whole

__all__ = ["Options", "process", "reconstruct"]

RAW_FULL = 57343.0
"""Full scale of COSMIC's converter in its lowest gain, gain bits included."""


@dataclass(frozen=True)
class Options:
    """What files do not say of camera and zone plate.

    Attributes
    ----------
    updates : int
        Of each frame.
    outer_zone_nm : float or None
        Width of the zone plate's outermost zone, for the first probe; needed where the file has
        no illumination.
    stop_fraction : float
        Diameter of its central stop over its own.
    defocus_um : float
        Above 0 the focus lies downstream of the sample.
    gain, read_noise : float
        Of raw frames: counts per photon, counts.
    saturation : float, optional
        Of raw frames (counts): by default full scale, 57343, with gain bits 65528.
    gain_bits : bool
        Whether the upper bits of raw frames are not counts but say how a pixel was read (see
        `redoxscope.analysis.ptychography.gain_bits`). Clean frames have none.
    gpu : bool
        Whether a GPU reconstructs, by CuPy.
    ptychi : int
        Rounds of pty-chi after that, with two modes of the beam and places that may move; 0 for
        none.
    """

    updates: int = 40
    outer_zone_nm: float | None = None
    stop_fraction: float = 0.0
    defocus_um: float = 0.0
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float | None = None
    gain_bits: bool = False
    gpu: bool = False
    ptychi: int = 0

    def __post_init__(self) -> None:
        given = {
            "updates": as_whole("updates", self.updates, at_least=1),
            "ptychi": as_whole("ptychi", self.ptychi, at_least=0),
            "stop_fraction": as_number("stop_fraction", self.stop_fraction, at_least=0),
            "defocus_um": as_number("defocus_um", self.defocus_um, "um"),
            "gain": as_number("gain", self.gain, "counts/photon", above=0),
            "read_noise": as_number("read_noise", self.read_noise, "counts", at_least=0),
        }
        for name in ("gain_bits", "gpu"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} = {getattr(self, name)!r:.40} must be True or False")
        try:
            array_module(self.xp)
        except ValueError as exc:
            raise ValueError(f"gpu = True: {exc}") from exc
        if given["ptychi"]:
            check_ptychi()
        if self.saturation is not None:
            given["saturation"] = as_number("saturation", self.saturation, "counts", above=0)
        if self.outer_zone_nm is not None:
            given["outer_zone_nm"] = as_number("outer_zone_nm", self.outer_zone_nm, "nm", above=0)
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def xp(self) -> str:
        """Array module of the engine."""
        return "cupy" if self.gpu else "numpy"

    @property
    def full(self) -> float:
        """Counts from which on a pixel is full."""
        if self.saturation is not None:
            return self.saturation
        return GAIN_BITS_FULL if self.gain_bits else RAW_FULL


READERS: dict[str, Callable[[Path, Options], FrameScan]] = {
    ".cxi": lambda path, asked: read_cxi(path),
    ".stxm": lambda path, asked: read_cosmic(path, gain_bits if asked.gain_bits else None),
}
"""What reads a file, by the end of its name."""


def process(files: Sequence[Path], out: Path, **options: Any) -> dict[str, Any]:
    """Reconstruct each file; write images, a picture of each and ``summary.json``.

    Parameters
    ----------
    files : sequence of Path
        CXI (``.cxi``) or pystxmcontrol (``.stxm``).
    out : Path
        Folder for ``<name>_object.h5``, ``<name>.png`` and the summary.
    options
        Fields of `Options`.

    Returns
    -------
    dict
        The summary.

    Raises
    ------
    ValueError
        A file is of no known kind, or not what its kind asks for; an option is out of its range.
    OSError
        A file or the folder cannot be read or written.
    """
    asked = Options(**options)
    names = [path.stem for path in files]
    if not names:
        raise ValueError("files is empty: give at least one .cxi or .stxm")
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two files are called {double}: their images would be one file")
    scans = [_read(path, asked) for path in files]  # all, before the first is reconstructed
    folder = writable_folder(out, "the images")
    found = {}
    for scan in scans:
        begun = time.monotonic()
        result = reconstruct(scan, asked)
        seconds = time.monotonic() - begun
        _write(folder / f"{scan.path.stem}_object.h5", scan, result)
        picture = f"{scan.path.stem}.png"
        _draw(folder / picture, scan, result)
        found[scan.path.stem] = {
            "file": str(scan.path),
            "energy_ev": scan.energy_ev,
            "pixel_nm": 1e3 * result.pixel_um,
            "frames": result.frames,
            "skipped": result.skipped,
            "residual": result.residual if np.isfinite(result.residual) else None,
            "ms_per_update": 1e3 * seconds / max(1, result.updates),
            "picture": picture,
            "object": f"{scan.path.stem}_object.h5",
            "notes": [*scan.notes, *result.notes],
        }
    summary = {"files": found, "options": asdict(asked)}
    write_json(folder / "summary.json", summary)
    return summary


def reconstruct(scan: FrameScan, options: Options | None = None) -> PtychoResult:
    """Object and beam of the frames of a file.

    Frames that are not square are cut to a square around their middle.

    Raises
    ------
    ValueError
        There is no first probe, or no frame that can be used.
    """
    options = options or Options()
    if not len(scan.x_um):
        raise ValueError(f"{scan.path} has no frames")
    size = min(scan.shape)
    top, left = ((side - size) // 2 for side in scan.shape)
    cut = (..., slice(top, top + size), slice(left, left + size))
    geometry = Geometry(scan.energy_ev, scan.distance_um, scan.pixel_um, size)
    x, y = scan.x_um, scan.y_um
    spread = geometry.object_pixel_um
    field = (
        float(x.min()), float(max(x.max(), x.min() + spread)),
        float(y.min()), float(max(y.max(), y.min() + spread)),
    )  # fmt: skip
    engine: Engine | None = None
    for places, frames in scan.blocks():
        counts, mask, variance = _merged(scan, frames, options)
        if engine is None:
            probe = _probe(scan, geometry, options, cut, counts[cut].mean(axis=0))
            noise = 0.0 if scan.clean else options.read_noise / options.gain
            engine = Engine(
                geometry, probe, field, expected=len(x), read_noise=noise, xp=options.xp
            )
        of_counts = None if variance is None else variance[cut]
        engine.add(counts[cut], x[places], y[places], mask=mask[cut], variance=of_counts)
    assert engine is not None
    if not len(engine):
        raise ValueError(f"{scan.path}: none of its {len(x)} frames can be used: no light in them")
    engine.sweep(options.updates * len(engine))
    if not options.ptychi:
        return remove_gauge(engine.result())
    return remove_gauge(refined_by_ptychi(engine, epochs=options.ptychi, gpu=options.gpu))


def _read(path: Path, asked: Options) -> FrameScan:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} ends with {path.suffix!r}, not with {' or '.join(READERS)}")
    return reader(path, asked)


def _merged(
    scan: FrameScan, frames: NDArray[np.float32], options: Options
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32] | None]:
    """Photons, where they mean something, and their variance; None for that of counting."""
    if scan.clean:
        counts = frames[:, 0]
        return counts, np.isfinite(counts) & scan.mask, None
    assert scan.darks is not None
    merged = merge_exposures(
        frames, np.array(scan.times), scan.darks, gain=options.gain,
        read_noise=options.read_noise, saturation=options.full, mask=scan.mask,
        total_time=sum(scan.times),
    )  # fmt: skip
    return merged.counts, merged.mask, merged.variance


def _probe(
    scan: FrameScan, geometry: Geometry, options: Options, cut: Any, mean: NDArray[Any]
) -> NDArray[np.complex64]:
    if scan.illumination is not None and scan.shape == (geometry.size, geometry.size):
        return scan.illumination
    if options.outer_zone_nm is None:
        raise ValueError(
            f"{scan.path} has no illumination: give the zone plate's outermost zone "
            "(outer_zone_nm, --outer-zone), its central stop and the defocus"
        )
    return initial_probe(
        geometry, outer_zone_nm=options.outer_zone_nm, stop_fraction=options.stop_fraction,
        defocus_um=options.defocus_um, pattern=np.where(scan.mask[cut], mean, np.nan),
    )  # fmt: skip


def _write(path: Path, scan: FrameScan, result: PtychoResult) -> None:
    import h5py

    with replaced(path) as part, h5py.File(part, "w") as file:
        file.attrs.update(
            {"source": str(scan.path), "energy_ev": result.energy_ev, "residual": result.residual}
        )
        for name, values, unit in (
            ("object", result.object, ""),
            ("probe", result.probe, "sqrt(photons)"),
            ("coverage", result.coverage, "photons"),
            ("x", result.x_um, "um"),
            ("y", result.y_um, "um"),
        ):
            file[name] = values
            file[name].attrs["units"] = unit


def _draw(path: Path, scan: FrameScan, result: PtychoResult) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2))
    draw_ptychography(
        figure,
        PtychoSnapshot(
            images=(result,),
            energies=(scan.energy_ev,),
            done=1,
            title=scan.path.name,
            finished=True,
        ),
    )
    with replaced(path) as part:
        figure.savefig(part, format="png", dpi=150)
