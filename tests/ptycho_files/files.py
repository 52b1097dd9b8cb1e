"""Frames of an object that looks different from each side, in files of others."""

from __future__ import annotations

import json

import h5py
import numpy as np
from scipy import ndimage

from redoxscope.analysis.ptychography import Geometry, initial_probe

GEOMETRY = Geometry(640.0, 80_000.0, 480.0, 64)
ZONE, STOP, DEFOCUS = 35.0, 0.4, 4.0
PHOTONS = 3e5


def places(side: int = 9, step: float = 0.045, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    at = (np.arange(side) - (side - 1) / 2) * step
    y, x = (grid.ravel() for grid in np.meshgrid(at, at, indexing="ij"))
    jitter = np.random.default_rng(seed).uniform(-step / 4, step / 4, (2, x.size))
    return x + jitter[0], y + jitter[1]


def letter(pixel: float, half: float = 0.45) -> np.ndarray:
    """An F: neither mirrored nor turned is it the same. Rows rise with y, columns with x."""
    n = int(2 * half / pixel)
    y, x = ((grid - n / 2) * pixel for grid in np.mgrid[:n, :n])
    bar = (abs(x + 0.08) < 0.025) & (abs(y) < 0.15)
    bar |= (abs(y - 0.125) < 0.025) & (abs(x) < 0.105)
    bar |= (abs(y) < 0.025) & (abs(x + 0.03) < 0.07)
    thick = ndimage.gaussian_filter(bar.astype(float), 0.6)
    return np.exp((-0.35 + 0.5j) * thick)


def frames(seed: int = 0) -> dict[str, np.ndarray]:
    """Photons of each place, with their noise; the beam; the object."""
    pixel = GEOMETRY.object_pixel_um
    probe = initial_probe(
        GEOMETRY, outer_zone_nm=ZONE, stop_fraction=STOP, defocus_um=DEFOCUS, photons=PHOTONS
    )
    sample, (x, y) = letter(pixel), places()
    n, m = GEOMETRY.size, sample.shape[0]
    # Places are on pixels: what is tested is which way they count.
    i, j = (np.rint(v / pixel).astype(int) + m // 2 - n // 2 for v in (y, x))
    rng = np.random.default_rng(seed)
    out = []
    for a, b in zip(i, j, strict=True):
        wave = np.fft.fft2(np.fft.ifftshift(probe * sample[a : a + n, b : b + n]), norm="ortho")
        out.append(rng.poisson(np.fft.fftshift(abs(wave) ** 2)))
    return {
        "counts": np.array(out, np.float32),
        "x": (j - m // 2 + n // 2) * pixel,
        "y": (i - m // 2 + n // 2) * pixel,
        "probe": probe,
        "object": sample,
    }


def seen(result, sample: np.ndarray) -> dict[str, float]:
    """Correlation of the picture with the object, and with the object turned and mirrored."""
    pixel = result.pixel_um
    x0, y0 = (np.argmin(abs(axis)) for axis in (result.x_um, result.y_um))
    half = int(0.2 / pixel)
    got = np.abs(result.object[y0 - half : y0 + half, x0 - half : x0 + half])
    middle = sample.shape[0] // 2
    true = np.abs(sample[middle - half : middle + half, middle - half : middle + half])
    turned = {
        "as it is": true,
        "turned": true[::-1, ::-1],
        "left-right": true[:, ::-1],
        "up-down": true[::-1],
        "transposed": true.T,
    }
    return {name: best(got, other) for name, other in turned.items()}


def best(a: np.ndarray, b: np.ndarray, most: int = 6) -> float:
    """Largest correlation, whatever small shift there is between the two."""
    a, b = ((v - v.mean()) / v.std() for v in (a, b))
    shifts = range(-most, most + 1)
    return max(float((a * np.roll(b, (i, j), (0, 1))).mean()) for i in shifts for j in shifts)


def write_stxm(path, data: dict[str, np.ndarray], *, double: bool = True, **said) -> None:
    """As pystxmcontrol writes it: short frame, long frame; dark frames; metadata in JSON."""
    short, long = 10.0, 100.0
    rng = np.random.default_rng(5)
    shape = data["counts"].shape[1:]
    with h5py.File(path, "w") as file:
        dark, exposed = (file.create_group(f"entry0/ccd0/{name}") for name in ("dark", "exp"))
        levels = (100.0, 130.0) if double else (130.0,)
        for k in range(5 * len(levels)):
            dark[str(k)] = np.round(rng.normal(levels[k % len(levels)], 2, shape)).astype("u2")
        for k, counts in enumerate(data["counts"]):
            for m, (level, time) in enumerate(
                zip(levels, (short, long)[-len(levels) :], strict=True)
            ):
                raw = np.minimum(counts * time / 100 * 5 + level, 60000)  # gain 5
                exposed[str(k * len(levels) + m)] = np.round(raw).astype("u2")
        meta = {
            "energy": GEOMETRY.energy_ev,
            "double_exposure": double,
            "dwell1": long,
            "dwell2": short,
            "dark_num_x": 5,
            "dark_num_y": 5,
            "translations": np.column_stack([data["y"], data["x"]]).tolist(),
            "geometry": {"psize": GEOMETRY.pixel_um, "distance": GEOMETRY.distance_um / 1e3},
        }
        file["metadata"] = json.dumps(meta | said)
