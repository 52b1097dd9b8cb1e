"""Another engine for after the scan: pty-chi's least squares, with the frames of ours.

pty-chi (AdvancedPhotonSource/pty-chi) needs torch, and is an extra: ``redoxscope[ptychi]``.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...inputs import as_whole
from ._arrays import to_numpy
from ._engine import Engine
from ._modes import with_modes
from ._result import PtychoResult

__all__ = ["check_ptychi", "refined_by_ptychi"]

BATCH = 64
"""Frames of a batch: the object is moved by all of them together."""
LOST = 0.1
"""Largest share of the light in pixels that lack a value in some frame."""


def check_ptychi() -> None:
    """Refuse where pty-chi is not installed.

    Raises
    ------
    ValueError
        It is not.
    """
    if find_spec("ptychi") is None:
        raise ValueError("pty-chi is not installed: pip install 'redoxscope[ptychi]'")


def refined_by_ptychi(
    engine: Engine,
    *,
    epochs: int = 40,
    modes: int = 2,
    positions: bool = True,
    gpu: bool = False,
    seed: int = 0,
) -> PtychoResult:
    """Go on with pty-chi's LSQML from where an engine has come.

    Parameters
    ----------
    engine : Engine
        It stays as it is.
    epochs : int
        Rounds over all frames.
    modes : int
        Of the beam.
    positions : bool
        Whether the places of the frames are improved as well.
    gpu : bool
        Whether torch uses a GPU.
    seed : int
        Of the order of the frames.

    Returns
    -------
    PtychoResult
        On the grid of the engine, with its scale. ``residual`` is NaN: pty-chi's is another figure.

    Raises
    ------
    ValueError
        pty-chi is not installed, the engine has no frames, a number is out of its range, or there
        is no GPU.

    Notes
    -----
    pty-chi has one mask for all frames: a pixel without value in one of them is left out of all.
    Places are centres of patches there (a pixel's middle is at n/2 − 1/2), here they are the pixel
    ``[n // 2, n // 2]``, which is half a pixel further.
    """
    rounds = as_whole("epochs", epochs, at_least=1)
    wanted = as_whole("modes", modes, at_least=1, at_most=8)
    if not len(engine):
        raise ValueError("the engine has no frames that pty-chi could use")
    check_ptychi()
    api, torch = import_module("ptychi.api"), import_module("torch")
    begun = import_module("ptychi.api.task").PtychographyTask
    if gpu and not torch.cuda.is_available():
        raise ValueError("gpu = True: torch finds no GPU")
    before = engine.result()
    pixel, size = before.pixel_um, engine.geometry.size
    counts, good = _frames(engine)
    y = (before.positions_um[:, 1] - before.y_um[0]) / pixel
    x = (before.positions_um[:, 0] - before.x_um[0]) / pixel
    middle = np.array(before.object.shape) / 2

    options = api.LSQMLOptions()
    data = options.data_options
    data.data, data.valid_pixel_mask = counts, good
    data.wavelength_m = 1e-6 * engine.geometry.wavelength_um
    data.save_data_on_device = gpu
    todo = options.reconstructor_options
    todo.num_epochs, todo.batch_size, todo.random_seed = rounds, min(BATCH, len(engine)), seed
    todo.default_device = api.Devices.GPU if gpu else api.Devices.CPU
    sample = options.object_options
    sample.initial_guess = before.object[None].astype(np.complex64)
    sample.pixel_size_m = 1e-6 * pixel
    sample.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    sample.position_origin_coords = tuple(middle - 0.5)
    options.probe_options.initial_guess = with_modes(before.probe, wanted)[None]
    places = options.probe_position_options
    places.position_y_px, places.position_x_px = y - middle[0], x - middle[1]
    places.optimizable = positions
    with begun(options) as task:
        task.run()
        found = task.get_data_to_cpu("object", as_numpy=True)[0]
        probe = task.get_data_to_cpu("probe", as_numpy=True)[0]
        rows = np.asarray(task.get_probe_positions_y(as_numpy=True)) + middle[0]
        columns = np.asarray(task.get_probe_positions_x(as_numpy=True)) + middle[1]
    where = np.column_stack([columns * pixel + before.x_um[0], rows * pixel + before.y_um[0]])
    assert found.shape == before.object.shape and probe.shape[-1] == size
    return replace(
        before, object=_scaled(found, before), probe=_bright(probe, before.probe),
        positions_um=where, residual=float("nan"), updates=before.updates + rounds * len(engine),
        sigma=None, ring=None, notes=(*before.notes, f"refined by pty-chi, {rounds} rounds"),
    )  # fmt: skip


def _frames(engine: Engine) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Photons of each frame [n, size, size], beam in the middle, and the pixels good in all.

    Raises
    ------
    ValueError
        So few are good in all that the light of the beam is not in them.
    """
    size = engine.geometry.size
    counts = np.empty((len(engine), size, size), np.float32)
    good = np.ones((size, size), dtype=bool)
    frames = engine.frames
    for k in range(len(engine)):
        root = to_numpy(frames.amplitude[k]).astype(np.float32)
        counts[k] = np.fft.fftshift(np.maximum(root**2 - frames.read[k], 0))
        good &= np.fft.fftshift(to_numpy(frames.mask[k])) > 0
    light = counts.sum(axis=0)
    lost = 1 - float(light[good].sum()) / max(float(light.sum()), 1e-30)
    if lost > LOST:
        raise ValueError(
            f"pixels that lack a value in one frame or another hold {lost:.0%} of the light, more "
            f"than {LOST:.0%}; pty-chi has one mask for all frames and would do without them"
        )
    return counts, good


def _scaled(found: NDArray[Any], before: PtychoResult) -> NDArray[np.complex64]:
    """The object with the factor that it had, which frames do not tell."""
    area = before.covered
    factor = np.vdot(found[area], before.object[area]) / np.vdot(found[area], found[area]).real
    return (found * factor).astype(np.complex64)


def _bright(probe: NDArray[Any], before: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The beam with the photons that it had."""
    light, had = (float((np.abs(p) ** 2).sum()) for p in (probe, before))
    return (probe * np.sqrt(had / light)).astype(np.complex64)
