"""What ptychography looks like in documents: one event per block of frames, frames in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..inputs import as_name, as_number, as_numbers, as_pair, as_whole
from ._frame_status import FrameStatus

__all__ = [
    "FRAMES_STREAM",
    "PTYCHO",
    "PTYCHO_ARRAYS",
    "PTYCHO_KEYS",
    "PTYCHO_RESERVED",
    "BlockFrames",
    "PtychoInfo",
]

PTYCHO = "ptychography"
"""``plan_name`` of ptychography, and the key of the start document with a `PtychoInfo`."""

FRAMES_STREAM = "frames"
"""Stream of a camera's frames; its rows are named by the events of the stream ``primary``."""

PTYCHO_ARRAYS = {"row": None, "x": "um", "y": "um", "gate": "s", "frame_status": None}
"""Unit of each array of a block [n]; n is the same in all events of a run.

Frame k of a block is of the place ``first + k // m`` and of the exposure time ``k % m`` of its
part of the scan, which has m times. ``row`` is its row in the stream `FRAMES_STREAM` (-1: none),
``x``, ``y`` where the sample was (sample coordinates), ``gate`` how long it was exposed; NaN where
that was not measured. ``frame_status`` is a `FrameStatus`. The frames of a shorter block are
followed by padding.
"""

PTYCHO_KEYS = {
    "exposure": None, "first": None, "places": None, "block_tries": None, **PTYCHO_ARRAYS,
    "energy": "eV", "zone_plate_z": "um",
}  # fmt: skip
"""Unit of each data key of a block: ``exposure`` is the index of the part in the exposures of the
scan that the start document carries, ``first`` of the block's first place in it, ``places`` how
many it has. A reader overwrites by both indices, since an event comes again after a pause;
``block_tries`` says how often the block was taken. ``energy`` is the true one that was read back.
Beside them ``i0`` and ``ring_current`` where the beamline has them, each with its unit in the
descriptor."""

PTYCHO_RESERVED = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "scan", "edge", PTYCHO,
)  # fmt: skip
"""Keys of the start document of ptychography that only the plan may write."""


@dataclass(frozen=True)
class BlockFrames:
    """The frames of a block, without padding; arrays [n].

    Parameters
    ----------
    exposure : int
        Index of the part in the scan's exposures.
    place, time : int64
        Index of each frame's position in that part, and of its exposure time.
    row : int64
        Row in the stream of frames, -1 where there is none.
    x, y : float64
        Where the sample was (µm), NaN where that is not known.
    gate : float64
        Exposure time (s), NaN where that is not known.
    status : int64
        `FrameStatus`.
    """

    exposure: int
    place: NDArray[np.int64]
    time: NDArray[np.int64]
    row: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gate: NDArray[np.float64]
    status: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Those of some frames (a mask [n])."""
        arrays = ("place", "time", "row", "x", "y", "gate", "status")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})

    @classmethod
    def from_data(cls, data: Mapping[str, Any], times: int) -> Self:
        """Of the ``data`` of an event; ``times`` is the number of exposure times of its part."""
        status = np.asarray(data["frame_status"], dtype=np.int64)
        kept = (status & FrameStatus.PADDING) == 0
        k = np.arange(len(status))[kept]

        def floats(key: str) -> NDArray[np.float64]:
            return np.asarray(data[key], dtype=np.float64)[kept]

        return cls(
            exposure=int(data["exposure"]),
            place=int(data["first"]) + k // times,
            time=k % times,
            row=np.asarray(data["row"], dtype=np.int64)[kept],
            x=floats("x"),
            y=floats("y"),
            gate=floats("gate"),
            status=status[kept],
        )


@dataclass(frozen=True)
class PtychoInfo:
    """What a start document says about its frames, under the key ``ptychography``.

    Parameters
    ----------
    image : str
        Data key of the frames in the stream `FRAMES_STREAM`.
    shape : (int, int)
        Rows and columns of a frame.
    pixel_um : float
        Width of a detector's pixel (µm); pixels are square.
    distance_um : float
        From the sample to the detector (µm).
    defocus_um : float
        Zone plate's position less that in focus (µm, positive downstream): above 0 the focus lies
        downstream of the sample.
    object_pixel_um : tuple of (float, float, float)
        For each energy of the scan: energy (eV), then the width of a reconstructed pixel along y
        and x (µm): λ distance / (pixels of a frame × their width).
    probe_um : float
        Diameter of the illuminated spot at the lowest energy (µm), from zone plate and defocus.
    saturation : float
        Counts from which on a pixel means nothing.
    read_noise : float
        Standard deviation of a pixel without light (counts).
    gain : float
        Counts of a photon.
    pedestal : float
        Counts of a pixel without light, where no dark frames say it.
    mask : str or None
        Path of a ``.npy`` or HDF5 file of the pixels that mean nothing (1) on the machine that
        took them, of the shape of a frame.
    zone_plate : mapping of str to float
        Fields of `redoxscope.optics.ZonePlateGeometry`.
    """

    image: str
    shape: tuple[int, int]
    pixel_um: float
    distance_um: float
    defocus_um: float
    object_pixel_um: tuple[tuple[float, float, float], ...]
    probe_um: float
    saturation: float
    read_noise: float
    gain: float
    pedestal: float
    mask: str | None
    zone_plate: Mapping[str, float]

    def __post_init__(self) -> None:
        sides = as_pair("shape", self.shape)
        checked: dict[str, Any] = {
            "image": as_name("image", self.image, "camera_image"),
            "shape": tuple(as_whole("shape", side, at_least=1) for side in sides),
            "defocus_um": as_number("defocus_um", self.defocus_um, "µm"),
            "pedestal": as_number("pedestal", self.pedestal, "counts"),
            "read_noise": as_number("read_noise", self.read_noise, "counts", at_least=0),
            "object_pixel_um": tuple(
                self._pixel(i, row) for i, row in enumerate(self.object_pixel_um)
            ),
            "zone_plate": {
                str(key): as_number(f"zone_plate {key}", value)
                for key, value in dict(self.zone_plate).items()
            },
        }
        for name, unit in (
            ("pixel_um", "µm"), ("distance_um", "µm"), ("probe_um", "µm"), ("saturation", "counts"),
            ("gain", "counts/photon"),
        ):  # fmt: skip
            checked[name] = as_number(name, getattr(self, name), unit, above=0)
        if self.mask is not None:
            checked["mask"] = as_name("mask", self.mask, "mask.npy")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def _pixel(i: int, row: Any) -> tuple[float, ...]:
        name = f"object_pixel_um[{i}]"
        values = as_numbers(name, row, "eV and µm", above=0)
        if len(values) != 3:
            raise ValueError(f"{name} = {values} must be energy (eV), y and x (µm)")
        return tuple(values)

    def object_pixel(self, energy: float) -> tuple[float, float]:
        """Width of a reconstructed pixel along y and x (µm) at an energy of the scan (eV).

        Raises
        ------
        ValueError
            The energy is none of them.
        """
        for known, y, x in self.object_pixel_um:
            if abs(known - energy) < 1e-6:
                return y, x
        raise ValueError(f"energy = {energy:g} eV is none of those of object_pixel_um")

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        content = asdict(self)
        content["shape"] = list(self.shape)
        content["object_pixel_um"] = [list(row) for row in self.object_pixel_um]
        return content

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> Self:
        """What a run's frames are, from its start document.

        Raises
        ------
        ValueError
            It says nothing of ptychography, or what makes no sense; names run and key.
        """
        run = f"run {str(start.get('uid', ''))[:8]!r}"
        content = start.get(PTYCHO)
        if not isinstance(content, Mapping):
            raise ValueError(
                f"the start document of {run} says nothing of ptychography (key {PTYCHO!r})"
            )
        try:
            return cls(**content)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{PTYCHO} of {run}: {exc}") from exc
