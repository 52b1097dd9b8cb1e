"""Object and probe from frames as they come: a ptychographic iterative engine that never waits.

Each update brings one frame's exit wave to the measured amplitudes and moves the object, and from
time to time the probe, towards what that says: A. Maiden, J. Rodenburg, Ultramicroscopy 109 (2009)
1256 (ePIE); regularised, A. Maiden, D. Johnson, P. Li, Optica 4 (2017) 736 (rPIE).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number, as_whole
from ._arrays import array_module, to_numpy, transforms
from ._bank import Bank
from ._canvas import Canvas
from ._frames import FULL, Frames, as_stack
from ._geometry import Geometry
from ._modes import orthogonal
from ._places import Gradient
from ._result import PtychoResult

__all__ = ["Engine"]

MARGIN_UM = 0.1
"""Room around the places asked for: a stage is not exact."""


class Engine:
    """Reconstructs while frames arrive.

    Parameters
    ----------
    geometry : Geometry
    probe : array_like of complex [size, size] or [modes, size, size]
        Beam to start with (see `initial_probe`); its scale is found from the frames.
    field : (x0, x1, y0, y1)
        Range of the places that frames are taken at (µm).
    expected : int, optional
        Frames to come. The probe is held until a tenth of them is there (by default 20 frames).
    read_noise : float
        Of one pixel of a merged frame (photons, standard deviation).
    alpha : float
        Regularisation of the object's update: 1 is ePIE, less moves dim parts of the beam more.
    probe_step : float
        Step of the probe's update; 0 holds it for good.
    subpixel : int
        Places are kept to this part of a pixel.
    seed : int
        Of the order in which frames are used again.
    xp : str
        ``numpy``, or ``cupy`` on a GPU.

    Raises
    ------
    ValueError
        A shape or a value does not fit; a field without extent.

    Notes
    -----
    Nothing waits: `add` takes what there is, `sweep` makes as many updates as there is time for. A
    frame is used as soon as it is there, and again in random order with all others.
    """

    def __init__(
        self,
        geometry: Geometry,
        probe: ArrayLike,
        field: tuple[float, float, float, float],
        *,
        expected: int | None = None,
        read_noise: float = 0.0,
        alpha: float = 0.3,
        probe_step: float = 1.0,
        subpixel: int = 2,
        seed: int = 0,
        xp: str = "numpy",
    ) -> None:
        self.geometry, self.field, self.first_probe = geometry, field, np.array(probe)
        self.options = {
            "read_noise": read_noise, "alpha": alpha, "probe_step": probe_step,
            "subpixel": subpixel, "seed": seed, "xp": xp,
        }  # fmt: skip
        self._xp = array_module(xp)
        self._forward, self._inverse = transforms(self._xp)
        start = np.array(probe, dtype=np.complex64)
        if start.ndim == 2:
            start = start[None]
        size = geometry.size
        if start.ndim != 3 or start.shape[1:] != (size, size) or not np.isfinite(start).all():
            raise ValueError(f"probe must be finite, of shape ({size}, {size}) or (modes, ...)")
        if not np.any(start):
            raise ValueError("probe has no light anywhere")
        read = as_number("read_noise", read_noise, "photons", at_least=0.0)
        self._read = read**2
        self._alpha = as_number("alpha", alpha, above=0.0, at_most=1.0)
        self._probe_step = as_number("probe_step", probe_step, at_least=0.0)
        self._hold = 20
        if expected is not None:
            self._hold = max(1, math.ceil(as_whole("expected", expected, at_least=1) / 10))
        parts = as_whole("subpixel", subpixel, at_least=1, at_most=8)
        self._canvas = Canvas(geometry, field, MARGIN_UM, parts)
        self._object = self._xp.ones(self._canvas.shape, dtype=np.complex64)
        self._bank = Bank(self._xp, self._xp.asarray(start), parts, self._alpha)
        self.frames = Frames(self._xp, size)
        self._places: list[tuple[int, int, int]] = []
        self._fresh: deque[int] = deque()
        self._again: deque[int] = deque()
        self._rng = np.random.default_rng(seed)
        self._gradient: Gradient | None = None
        self._misfit: list[float] = []
        self._scaled = False
        self.updates = 0
        self.refused: dict[str, int] = {}
        shape = (start.shape[0], size, size)
        self._wave = self._xp.empty(shape, dtype=np.complex64)
        self._step = self._xp.empty(shape, dtype=np.complex64)
        self._root, self._factor = (self._xp.empty((size, size), np.float32) for _ in range(2))

    # -- frames ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.frames)

    def add(
        self,
        counts: ArrayLike,
        x: ArrayLike,
        y: ArrayLike,
        *,
        mask: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        scale: ArrayLike = 1.0,
    ) -> int:
        """Take frames.

        Parameters
        ----------
        counts : array_like [n, size, size] or [size, size]
            Photons, beam in the middle; NaN where a pixel has no value.
        x, y : array_like [n]
            Where the beam was on the sample (µm).
        mask : array_like of bool [n, size, size] or [size, size], optional
            True where a pixel is good.
        variance : array_like [n, size, size], optional
            Of the counts (photons²), as `merge_exposures` gives it; by default that of counting
            and of `read_noise`. A pixel where it is NaN is no good.
        scale : array_like [n]
            Photons that came in over those of a usual frame: counts are divided by it.

        Returns
        -------
        int
            Frames taken. One is skipped, and counted, where its place is not known or outside
            of the field, where fewer than half of its pixels are good, or where it has no light.

        Raises
        ------
        ValueError
            A shape does not fit.
        """
        stack = as_stack(counts, self.geometry.size)
        n = len(stack)
        xs, ys, scales = (np.broadcast_to(np.asarray(v, dtype=float), (n,)) for v in (x, y, scale))
        good = np.isfinite(stack)
        if mask is not None:
            given = np.asarray(mask, dtype=bool)
            if given.shape[-2:] != stack.shape[1:] or given.ndim > 3:
                raise ValueError(f"mask of shape {given.shape} is not that of the frames")
            good &= given
        spread = None if variance is None else as_stack(variance, self.geometry.size)
        if spread is not None and len(spread) != n:
            raise ValueError(f"variance has {len(spread)} frames, the counts have {n}")
        if spread is not None:
            good &= ~np.isnan(spread)  # infinite is an answer: such a pixel weighs nothing
        taken = 0
        for k in range(n):
            why = self._refused(xs[k], ys[k], scales[k], stack[k], good[k])
            if why:
                self.refused[why] = self.refused.get(why, 0) + 1
                continue
            one = np.float32(1 / scales[k])
            self.frames.append(
                stack[k] * one, good[k], xs[k], ys[k], self._read,
                None if spread is None else spread[k] * one**2, float(one),
            )  # fmt: skip
            self._places.append(self._canvas.place(xs[k], ys[k]))
            self._fresh.append(len(self.frames) - 1)
            taken += 1
        if taken and not self._scaled:
            self._scale_probe()
        return taken

    def _refused(self, x: float, y: float, scale: float, frame: NDArray, good: NDArray) -> str:
        if not (math.isfinite(x) and math.isfinite(y)):
            return "no place"
        if not self._canvas.holds(x, y):
            return "place outside of the field"
        if not (math.isfinite(scale) and scale > 0):
            return "incident photons not known"
        if 2 * np.count_nonzero(good) < good.size:
            return "too few good pixels"
        if not frame[good].sum(dtype=float) > 0:
            return "no light"
        return ""

    def _scale_probe(self) -> None:
        """Give the probe the photons of the brightest of the first frames."""
        k = int(np.argmax(self.frames.total))
        wave = self._forward(self._bank.probe.copy())
        expected = float((self._xp.abs(wave) ** 2 * self.frames.mask[k]).sum())
        if expected > 0:
            self._bank.replace(self._bank.probe * math.sqrt(self.frames.total[k] / expected))
        self._scaled = True

    # -- updates ---------------------------------------------------------------------------

    @property
    def probe_held(self) -> bool:
        """Whether the probe is as given still."""
        return self._probe_step == 0 or len(self.frames) < self._hold

    def sweep(self, updates: int | None = None) -> float:
        """Make updates, by default one for each frame.

        Returns
        -------
        float
            The residual (`PtychoResult.residual`) of these updates; NaN without frames.
        """
        if not len(self.frames):
            return math.nan
        count = len(self.frames) if updates is None else as_whole("updates", updates)
        before = len(self._misfit)
        for _ in range(count):
            if self._fresh:
                self._update(self._fresh.popleft())
                continue
            if not self._again:
                self._again.extend(self._rng.permutation(len(self.frames)).tolist())
            self._update(self._again.popleft())
        recent = self._misfit[before:] or self._misfit
        residual = float(np.mean(recent)) if recent else math.nan
        del self._misfit[: -max(64, len(self.frames) // CHECK)]
        return residual

    def _update(self, k: int) -> None:
        xp, bank, size = self._xp, self._bank, self.geometry.size
        row, column, part = self._places[k]
        view = self._object[row : row + size, column : column + size]
        wave = xp.multiply(bank.waves[part], view, out=self._wave)
        wave = self._forward(wave)
        root, factor = self._root, self._factor
        if len(wave) == 1:
            xp.abs(wave[0], out=root)
            xp.multiply(root, root, out=root)
        else:
            xp.sum(wave.real**2 + wave.imag**2, axis=0, out=root)
        root += self.frames.read[k]
        xp.sqrt(root, out=root)
        xp.divide(self.frames.amplitude[k], root, out=factor)
        if self.updates % CHECK == 0:
            self._note_misfit(root, factor, k)
        factor -= 1
        factor *= self.frames.mask[k]
        wave *= factor
        wave = self._inverse(wave)
        if not self.probe_held:
            bank.collect(part, wave, view, self._step)
        if self._gradient is not None:
            self._improve_place(k, wave, view, self._gradient)
        step = xp.multiply(wave, bank.steps[part], out=self._step)
        for mode in step:
            view += mode
        self.updates += 1
        if not self.probe_held and bank.due():
            # Where the frames that gave the beam its scale lay on sample, the object of the empty
            # area is above 1, and a whole step would shoot over.
            power = float((xp.abs(view) ** 2).sum()) / (size * size)
            bank.update(self._probe_step / max(1.0, power))

    def _note_misfit(self, root: Any, factor: Any, k: int) -> None:
        """Pearson's χ² per pixel where a photon or more is expected: (I − M)²/(M + σ²)."""
        floor, padding = self.frames.read[k], self.frames.padding[k]
        light = root * root
        bright = (light > 1 + floor) & (self.frames.mask[k] > 0)
        square = (light * (factor * factor - 1)) ** 2 / (light - padding)
        share = self.frames.share[k] * (1.0 / FULL)
        n = float(bright.sum())
        if n:
            self._misfit.append(float((square * share * bright).sum()) / n)

    def _improve_place(self, k: int, change: Any, view: Any, gradient: Gradient) -> None:
        dy, dx = gradient.shift(self._bank.probe, change, view)
        x, y = self.frames.place(k)
        x, y = gradient.limited(k, x + dx * self._canvas.pixel_um, y + dy * self._canvas.pixel_um)
        if self._canvas.holds(x, y):
            self.frames.move(k, x, y)
            self._places[k] = self._canvas.place(x, y)

    def resume(
        self,
        frames: Frames,
        *,
        object: Any = None,
        largest_um: float | None = None,
        updates: int = 0,
    ) -> None:
        """Take frames of another engine over, all at once.

        Parameters
        ----------
        frames : Frames
            Of an engine of the same geometry.
        object : array of complex64 [ny, nx], optional
            To go on from, on the same field; the probe then keeps its scale.
        largest_um : float, optional
            The places are improved as well, up to so far from where they are (µm).
        updates : int
            Made so far.
        """
        self.frames, self.updates = frames, updates
        self._places = [self._canvas.place(x, y) for x, y in frames.positions.tolist()]
        self._fresh.clear()
        self._again.extend(self._rng.permutation(len(frames)).tolist())
        if object is not None:
            self._object[...] = self._xp.asarray(object)
            self._scaled = True
        elif len(frames):
            self._scale_probe()
        if largest_um is not None:
            self._gradient = Gradient(self._xp, frames, largest_um)

    # -- what there is ---------------------------------------------------------------------

    @property
    def object(self) -> NDArray[np.complex64]:
        """The object as it is [ny, nx]."""
        return to_numpy(self._object)

    @property
    def probe(self) -> NDArray[np.complex64]:
        """The probe as it is [modes, size, size]: modes at right angles, the strongest first."""
        return orthogonal(to_numpy(self._bank.probe))

    @property
    def residual(self) -> float:
        """χ² per pixel of the last round of frames; NaN before the first update."""
        recent = self._misfit[-max(1, len(self.frames) // CHECK) :]
        return float(np.mean(recent)) if recent else math.nan

    @property
    def mean_frame(self) -> NDArray[np.float64]:
        """Mean of the frames [size, size], beam in the middle; NaN where no pixel is good."""
        return self.frames.mean

    def coverage(self) -> NDArray[np.float32]:
        """Incident photons per pixel of the object [ny, nx]."""
        light = (np.abs(self.probe) ** 2).sum(axis=0, dtype=np.float64)
        ny, nx = self._canvas.shape
        visits = np.zeros((ny, nx))
        places = np.array(self._places, dtype=int).reshape(-1, 3)
        np.add.at(visits, (places[:, 0], places[:, 1]), 1)
        # A convolution: ten thousand frames cost what ten do.
        shape = [scipy.fft.next_fast_len(n, real=True) for n in (ny, nx)]
        spectrum = scipy.fft.rfft2(visits, shape) * scipy.fft.rfft2(light, shape)
        total = scipy.fft.irfft2(spectrum, shape)[:ny, :nx]
        total[total < ROUNDING * total.max()] = 0
        return total.astype(np.float32)

    def result(self) -> PtychoResult:
        """A copy of what there is."""
        notes = tuple(f"{n} frames left out: {why}" for why, n in sorted(self.refused.items()))
        return PtychoResult(
            object=self.object, probe=self.probe, coverage=self.coverage(),
            x_um=self._canvas.x_um, y_um=self._canvas.y_um, pixel_um=self._canvas.pixel_um,
            energy_ev=self.geometry.energy_ev, residual=self.residual, frames=len(self.frames),
            skipped=sum(self.refused.values()), updates=self.updates,
            positions_um=self.frames.positions, notes=notes,
        )  # fmt: skip


CHECK = 8
"""Every so many updates the residual is looked at."""

ROUNDING = 1e-12
"""Coverage over the largest below which it is what rounding left."""
