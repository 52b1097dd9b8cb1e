"""What frames mean: where the camera stands, what its counts are, which pixels are bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ophyd import Component as Cpt
from ophyd import Device

from ...optics import ZonePlateGeometry, wavelength_nm
from .._numbers import finite, positive, zero_or_more
from .._setting import Setting

__all__ = ["FrameNumbers", "FrameSettings", "object_pixel", "probe_diameter"]


@dataclass(frozen=True)
class FrameNumbers:
    """What no PV says of a camera and where it stands.

    Parameters
    ----------
    distance : float
        From the sample (µm).
    pixel : float
        Width of a pixel (µm).
    defocus : float
        Zone plate's place less that in focus (µm, positive downstream).
    saturation : float
        Counts from which a pixel means nothing.
    read_noise : float
        Standard deviation of a pixel without light (counts).
    gain : float
        Counts of a photon.
    pedestal : float
        Counts of a pixel without light.
    mask : str
        File of the pixels that mean nothing (1); empty: none.
    """

    distance: float = 1.0
    pixel: float = 1.0
    defocus: float = 0.0
    saturation: float = 65535.0
    read_noise: float = 0.0
    gain: float = 1.0
    pedestal: float = 0.0
    mask: str = ""


def object_pixel(energy: float, distance: float, pixels: int, width: float) -> float:
    """Width (µm) of a reconstructed pixel: λ z / (N p).

    Parameters
    ----------
    energy : float
        eV
    distance : float
        From the sample to the detector (µm).
    pixels : int
        Of a frame, in that direction.
    width : float
        Of a detector's pixel (µm).
    """
    return wavelength_nm(energy) * 1e-3 * distance / (pixels * width)


def probe_diameter(geometry: ZonePlateGeometry, energy: float, defocus: float) -> float:
    """Diameter (µm) of the illuminated spot: the focus's first dark ring, 2.44 Δr, plus the cone.

    Parameters
    ----------
    geometry : ZonePlateGeometry
    energy : float
        eV
    defocus : float
        µm, of either sign.
    """
    cone = geometry.diameter_um * abs(defocus) / (geometry.a1 * energy)
    return 2.44e-3 * geometry.outer_zone_nm + cone


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _setting(value: Any, check: Callable[[Any], Any], unit: str, doc: str) -> Any:
    return Cpt(Setting, value=value, check=check, unit=unit, kind="config", doc=doc)


class FrameSettings(Device):
    """What no PV says of frames, as settings; of a device with ``camera`` and ``zone_plate``."""

    camera: Any
    zone_plate: Any

    distance = _setting(1.0, positive, "um", "from the sample to the camera")
    pixel = _setting(1.0, positive, "um", "width of a pixel of the camera")
    defocus = _setting(0.0, finite, "um", "zone plate less where it focuses; > 0: downstream")
    saturation = _setting(65535.0, positive, "counts", "from which a pixel means nothing")
    read_noise = _setting(0.0, zero_or_more, "counts", "of a pixel without light")
    gain = _setting(1.0, positive, "counts/photon", "counts of a photon")
    pedestal = _setting(0.0, finite, "counts", "of a pixel without light")
    mask = Cpt(Setting, value="", check=_text, kind="config", doc="file of bad pixels; empty: none")
    flux = _setting(0.0, zero_or_more, "photons/s", "on the sample, for doses; 0: not known")

    def set_numbers(self, numbers: FrameNumbers) -> None:
        """Take what a beamline file says."""
        for key, value in asdict(numbers).items():
            getattr(self, key).put(value)

    def info(self, energies: Sequence[float]) -> dict[str, Any]:
        """What the start document says of the frames: `redoxscope.documents.PtychoInfo`'s fields.

        Parameters
        ----------
        energies : sequence of float
            True energies (eV).

        Raises
        ------
        ValueError
            The mask is not of the shape of a frame, or cannot be read.
        redoxscope.optics.InterlockError
            The zone plate's geometry is not set.
        """
        shape, mask = self.camera.shape, self.mask.get()
        if mask:
            check_mask(f"{self.name}.mask", Path(mask), shape)
        geometry: ZonePlateGeometry = self.zone_plate.geometry
        distance, width, defocus = (
            float(one.get()) for one in (self.distance, self.pixel, self.defocus)
        )
        rows = [
            (e, *(object_pixel(e, distance, side, width) for side in shape))
            for e in map(float, dict.fromkeys(energies))
        ]
        return {
            "image": self.camera.images.name,
            "shape": shape,
            "pixel_um": width,
            "distance_um": distance,
            "defocus_um": defocus,
            "object_pixel_um": tuple(rows),
            "probe_um": probe_diameter(geometry, min(energies), defocus),
            "saturation": float(self.saturation.get()),
            "read_noise": float(self.read_noise.get()),
            "gain": float(self.gain.get()),
            "pedestal": float(self.pedestal.get()),
            "mask": str(Path(mask).absolute()) if mask else None,
            "zone_plate": {key: float(value) for key, value in asdict(geometry).items()},
        }


def check_mask(name: str, path: Path, shape: tuple[int, int]) -> None:
    """Refuse a file of bad pixels that cannot be read, is of another region, or leaves none.

    Raises
    ------
    ValueError
    """
    try:
        if path.suffix == ".npy":
            found = np.load(path, allow_pickle=False)
        else:
            with h5py.File(path, "r") as file:
                data = [part for part in file.values() if isinstance(part, h5py.Dataset)]
                if len(data) != 1:
                    raise ValueError(f"it has {len(data)} data sets at its top, and one is needed")
                found = data[0][()]
    except (OSError, ValueError, EOFError) as exc:  # the last is of an empty file
        raise ValueError(f"{name} = {str(path)!r} cannot be read: {exc}") from exc
    if tuple(found.shape) != tuple(shape):
        size = " x ".join(map(str, found.shape))
        raise ValueError(
            f"{name} = {str(path)!r} has {size} pixels, and frames have "
            f"{shape[0]} x {shape[1]}: it is of another region of the camera"
        )
    if not np.isin(found, (0, 1)).all():
        raise ValueError(f"{name} = {str(path)!r} must hold 0 (good) and 1 (bad) only")
    if found.all():
        raise ValueError(f"{name} = {str(path)!r} says that all pixels are bad (1); good is 0")
