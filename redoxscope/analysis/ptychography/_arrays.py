"""The array module: numpy, or one with its functions on a GPU (CuPy)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import scipy.fft

__all__ = ["array_module", "to_numpy", "transforms"]


def array_module(name: str) -> Any:
    """The module of that name: ``numpy`` or ``cupy``.

    Raises
    ------
    ValueError
        Another name, or CuPy without the package or a GPU.
    """
    if name == "numpy":
        return np
    if name != "cupy":
        raise ValueError(f"array module = {name!r} must be 'numpy' or 'cupy'")
    try:
        # its package is another for each version of CUDA, so no extra of ours can name it
        cupy = import_module("cupy")
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # no package, no driver, no card: CuPy has an error for each
        raise ValueError(f"array module 'cupy' cannot be used here: {error}") from error
    return cupy


def transforms(xp: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Unitary forward and inverse transform over the last two axes, which may overwrite."""
    if xp is np:

        def forward(a: Any) -> Any:
            return scipy.fft.fft2(a, norm="ortho", overwrite_x=True, workers=1)

        def inverse(a: Any) -> Any:
            return scipy.fft.ifft2(a, norm="ortho", overwrite_x=True, workers=1)

        return forward, inverse
    return (lambda a: xp.fft.fft2(a, norm="ortho")), (lambda a: xp.fft.ifft2(a, norm="ortho"))


def to_numpy(a: Any) -> np.ndarray:
    """A copy in the memory of the host."""
    return a.get() if hasattr(a, "get") else np.array(a)
