"""Images of an area detector as intensity over scattering vector, integrated by pyFAI."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd.status import Status

from ..inputs import as_number, as_whole
from ._base import DeviceError, Move, then

__all__ = ["AzimuthalProfile"]

LIMIT = 60.0
"""Longest time (s) for one integration."""
METHOD = ("bbox", "csr", "cython")


class AzimuthalProfile:
    """A camera that is read as I(q): its image is integrated by pyFAI after each trigger.

    It is a detector for any plan: ``measure_during_ramp(…, detectors=[profile])``. An event has
    ``<name>_intensity`` and ``<name>_sigma`` (Poisson statistics), [bins]; what belongs to them,
    q among it, is in the descriptor's configuration.

    Parameters
    ----------
    camera : device
        What is triggered.
    image : callable
        ``image()`` gives the last image, numpy [rows, columns], in counts; e.g.
        ``lambda: camera.image1.image`` with ophyd's ``ImagePlugin``.
    poni : path
        Geometry and wavelength, as pyFAI writes them.
    name : str
    bins : int
    q_max : float
        Largest scattering vector (1/nm); the bins go from 0 to there.
    mask : array_like of bool [rows, columns], optional
        True where a pixel does not count.

    Raises
    ------
    ImportError
        pyFAI is not installed.
    ValueError
        The file cannot be read or has no wavelength; a number of bins, or q, that makes no sense.
    """

    parent = None
    connected = True

    def __init__(
        self,
        camera: Any,
        image: Callable[[], Any],
        poni: str | Path,
        *,
        name: str,
        bins: int = 1000,
        q_max: float = 50.0,
        mask: Any = None,
    ) -> None:
        try:
            import pyFAI
        except ImportError as exc:
            raise ImportError(
                "azimuthal integration needs pyFAI: pip install 'redoxscope[diffraction]'"
            ) from exc
        self.name, self.camera, self._image = name, camera, image
        self.bins = as_whole("bins", bins, at_least=1)
        self.q_max = as_number("q_max", q_max, "1/nm", above=0)
        self._mask = None if mask is None else np.asarray(mask, bool)
        try:
            self._geometry = pyFAI.load(str(poni))
        except (OSError, ValueError, RuntimeError) as exc:
            raise ValueError(f"poni = {str(poni)!r}: {exc}") from exc
        if not self._geometry.wavelength:
            raise ValueError(f"poni = {str(poni)!r}: it has no wavelength, so there is no q")
        self._text = Path(poni).read_text(encoding="utf-8")
        self._version = str(pyFAI.version)
        self._result: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None

    def __repr__(self) -> str:
        return f"AzimuthalProfile({self.name!r})"

    @property
    def q(self) -> NDArray[np.float64]:
        """Centres of the bins (1/nm)."""
        edges = np.linspace(0.0, self.q_max, self.bins + 1)
        return (edges[1:] + edges[:-1]) / 2

    def stage(self) -> list[Any]:
        """As the camera."""
        return [self, *self.camera.stage()] if hasattr(self.camera, "stage") else [self]

    def unstage(self) -> list[Any]:
        """As the camera."""
        return [self, *self.camera.unstage()] if hasattr(self.camera, "unstage") else [self]

    def trigger(self) -> Status:
        """Take an image and integrate it, in a thread of its own.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` where the image is none, or cannot be integrated.
        """
        self._result = None
        return then(self.camera.trigger(), self._integrated)

    def _integrated(self) -> Status:
        move = Move(f"{self.name}: integrating the image of {self.camera.name}", LIMIT)

        def work() -> None:
            result = self._integrate(np.asarray(self._image(), float))
            self._result = (time.time(), *result)
            move.end()

        threading.Thread(target=move.attempt, args=(work,), daemon=True, name=self.name).start()
        return move

    def _integrate(self, image: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        if image.ndim != 2 or not image.size:
            raise DeviceError(f"the image has the shape {image.shape}, rows and columns are needed")
        if self._mask is not None and self._mask.shape != image.shape:
            raise DeviceError(f"the image has {image.shape} pixels, the mask {self._mask.shape}")
        found = self._geometry.integrate1d(
            image,
            self.bins,
            unit="q_nm^-1",
            radial_range=(0.0, self.q_max),
            error_model="poisson",
            mask=self._mask,
            method=METHOD,
        )
        none = np.asarray(found.count) <= 0  # no pixel there: pyFAI says 0
        values = (np.array(values, float) for values in (found.intensity, found.sigma))
        intensity, sigma = (np.where(none, np.nan, each) for each in values)
        return intensity, sigma

    def read(self) -> dict[str, Any]:
        """Intensity and its σ; NaN in bins that no pixel falls into.

        Raises
        ------
        DeviceError
            No image was integrated.
        """
        if self._result is None:
            raise DeviceError(f"{self.name}: no image was integrated")
        at, intensity, sigma = self._result
        values = {"intensity": intensity.tolist(), "sigma": sigma.tolist()}
        return {f"{self.name}_{k}": {"value": v, "timestamp": at} for k, v in values.items()}

    def describe(self) -> dict[str, Any]:
        """Two arrays [bins]."""
        key = {"source": f"pyFAI:{self.camera.name}", "dtype": "array", "dtype_numpy": "<f8"}
        names = (f"{self.name}_intensity", f"{self.name}_sigma")
        return {name: {**key, "shape": [self.bins], "units": "counts"} for name in names}

    def read_configuration(self) -> dict[str, Any]:
        """Q (1/nm), the geometry's file as text, pyFAI's version."""
        values = {"q": self.q.tolist(), "poni": self._text, "pyfai": self._version}
        now = time.time()
        return {f"{self.name}_{k}": {"value": v, "timestamp": now} for k, v in values.items()}

    def describe_configuration(self) -> dict[str, Any]:
        """Their data keys."""
        text = {"source": "pyFAI", "dtype": "string", "shape": []}
        q = {
            "source": "pyFAI", "dtype": "array", "dtype_numpy": "<f8", "shape": [self.bins],
            "units": "1/nm",
        }  # fmt: skip
        return {
            f"{self.name}_q": q,
            f"{self.name}_poni": dict(text),
            f"{self.name}_pyfai": dict(text),
        }

    @property
    def hints(self) -> dict[str, Any]:
        """Nothing that a best-effort plot could draw over a scan."""
        return {"fields": []}

    def pause(self) -> None:
        """As the camera; the plan triggers again."""
        if hasattr(self.camera, "pause"):
            self.camera.pause()

    def resume(self) -> None:
        """As the camera."""
        if hasattr(self.camera, "resume"):
            self.camera.resume()
