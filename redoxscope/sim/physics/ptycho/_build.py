"""From what a user names to the model that serves the camera."""

from __future__ import annotations

from ....optics import ZonePlateGeometry
from ..stxm import MeasuredStack, open_sample
from ._camera import CameraModel
from ._model import PtychoModel

__all__ = ["build_ptycho"]


def build_ptycho(
    sample: str = "diffusion",
    *,
    size: int = 256,
    seed: int = 1,
    geometry: ZonePlateGeometry | None = None,
) -> PtychoModel:
    """Build the model of a sample behind a camera of a size.

    Parameters
    ----------
    sample : str
        ``"diffusion"``, ``"core-shell"`` or ``"lmr"`` (whose grid of 20 nm shows in the frames).
    size : {256, 128, 64}
        Rows and columns: the same camera, read as it is or binned. The object's pixel is 5 nm at
        640 eV in all, the window 1.29, 0.64 and 0.32 µm.
    seed : int
        Of the sample.
    geometry : ZonePlateGeometry, optional

    Raises
    ------
    ValueError
        No such sample or size, or a measured stack, which has no phase.
    """
    camera = CameraModel()
    by, rest = divmod(camera.shape[0], size) if size > 0 else (0, 1)
    if rest or by not in (1, 2, 4):
        raise ValueError(f"camera size = {size} is none of 256, 128, 64")
    found = open_sample(sample, seed=seed)
    if isinstance(found, MeasuredStack):
        raise ValueError(f"sample = {sample!r} is a measured stack: it has no phase to diffract")
    return PtychoModel(found, geometry=geometry, camera=camera.binned(by))
