"""The simulated beamline: one physical model, pure numpy.

It has no clock of its own (every call is told the time) and no source of chance but the
generator made from its seed. It knows the truth, so that a test can compare.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....data import ENERGY_RANGE, References
from ....optics import ZonePlateGeometry, focus_z
from .._checks import finite
from ._aperture import Passing, passing
from ._beam import Beam
from ._detector import CountingDetector
from ._image import Image, spot_sigma
from ._sample import PhaseSample
from ._stage import Positions, Stage
from ._truth import Truth, fit_truth

__all__ = ["BeamlineModel", "Line"]

Array = NDArray[np.float64]
Line = dict[str, Array]

_PLANES = 4  # images kept; an image of an energy is in use while the next is prepared


def _rounded(energy_ev: float, sigma_um: float) -> tuple[float, float]:
    """Energy to 1 meV and spot to 1 %: the noise of a motor must not cost a new image."""
    return round(energy_ev, 3), float(np.exp(round(np.log(sigma_um) * 100) / 100))


@dataclass(frozen=True)
class _Plane:
    first: Image
    second: Image | None  # second-order light, twice the energy


GEOMETRY = ZonePlateGeometry(
    diameter_um=240.0,
    outer_zone_nm=45.0,
    central_stop_um=95.0,
    osa_diameter_um=50.0,
    a0_um=400.0,
)
"""Zone plate, aperture and A0 of the simulated microscope."""

STRAIGHT_AT = 640.0
"""Energy (eV) in whose focus a zone plate is on the axis that does not travel along it."""


class BeamlineModel:
    """Sample, beam, optics, detectors and stage.

    Parameters
    ----------
    sample : PhaseSample
    geometry : ZonePlateGeometry, optional
        The zone plate as it is. Its A0 is where the sample really stands.
    a1_true : float, optional
        True focal length over energy (µm/eV); by default the geometry's. A plan that uses
        another sees a blurred sample.
    seed : int
    beam : Beam, optional
    transmission, i0 : CountingDetector, optional
        The counter behind the sample, and the monitor before it (by default of the same kind).
    stage : Stage, optional
    osa_centre, detector_centre : (float, float)
        Where the motors of aperture and detector have to stand to be on the axis (µm).
    runout : (float, float)
        How far the zone plate goes aside along x and y over its travel (µm/mm), and the focus with
        it: images of a stack are shifted, by the same at the same energy.

    Raises
    ------
    ValueError
        A value is NaN or out of range.
    """

    has_monitor = True

    def __init__(
        self,
        sample: PhaseSample,
        *,
        geometry: ZonePlateGeometry | None = None,
        a1_true: float | None = None,
        seed: int = 0,
        beam: Beam | None = None,
        transmission: CountingDetector | None = None,
        i0: CountingDetector | None = None,
        stage: Stage | None = None,
        osa_centre: tuple[float, float] = (0.0, 0.0),
        detector_centre: tuple[float, float] = (0.0, 0.0),
        runout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.sample = sample
        self.geometry = geometry or GEOMETRY
        self.a1_true = self.geometry.a1 if a1_true is None else a1_true
        finite("zone_plate.a1_true", self.a1_true, "µm/eV", 0, 1000, open_low=True)
        self.beam = beam or Beam()
        self.transmission = transmission or CountingDetector()
        self.i0 = i0 or self.transmission
        self.stage = stage or Stage()
        for name, centre in (("osa.centre", osa_centre), ("detector.centre", detector_centre)):
            for value in centre:
                finite(name, value, "µm", -1e4, 1e4)
        self.osa_centre, self.detector_centre = osa_centre, detector_centre
        for axis, value in zip("xy", runout, strict=True):
            finite(f"zone_plate.runout_{axis}", value, "µm/mm", -100, 100)
        self.runout = runout
        self._rng = np.random.default_rng(seed)
        self._planes: OrderedDict[tuple[float, float], _Plane] = OrderedDict()
        self._lock = threading.Lock()

    # -- optics

    def focus_z(self, energy_ev: float) -> float:
        """Zone plate position (µm, zero at the OSA plane) truly in focus at an energy (eV)."""
        return -(self.a1_true * energy_ev - self.geometry.a0_um)

    def aside(self, zp_z_um: float | None) -> tuple[float, float]:
        """How far aside (µm) the zone plate is where it stands (µm); None: straight."""
        travel = 0.0 if zp_z_um is None else (zp_z_um - self.focus_z(STRAIGHT_AT)) / 1000
        return self.runout[0] * travel, self.runout[1] * travel

    def spot_sigma(self, energy_ev: float, zp_z_um: float | None) -> float:
        """Standard deviation of the spot (µm); None for the position means in focus."""
        defocus = 0.0 if zp_z_um is None else zp_z_um - self.focus_z(energy_ev)
        return spot_sigma(self.geometry, energy_ev, defocus)

    def passing(
        self,
        energy_ev: float,
        zp_z_um: float | None = None,
        osa_um: tuple[float, float, float] | None = None,
        detector_um: tuple[float, float] | None = None,
    ) -> Passing:
        """What aperture and detector let through; None: in alignment.

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV).
        zp_z_um : float, optional
            Zone plate position (µm, zero at the OSA plane); None: in focus on the sample.
        osa_um : (float, float, float), optional
            x, y, z of the aperture (µm).
        detector_um : (float, float), optional
            x, y of the detector (µm).
        """
        z = self.focus_z(energy_ev) if zp_z_um is None else zp_z_um
        osa_z = 0.0 if osa_um is None else osa_um[2]
        aside = self.aside(zp_z_um)

        def off(at: Sequence[float] | None, centre: tuple[float, float]) -> float:
            return 0.0 if at is None else float(np.hypot(*np.subtract(at, centre) - aside))

        return passing(
            self.geometry,
            energy_ev,
            self.a1_true,
            z + self.a1_true * energy_ev - osa_z,
            off(None if osa_um is None else osa_um[:2], self.osa_centre),
            off(detector_um, self.detector_centre),
        )

    def osa_clearance(self, energy_ev: float) -> float:
        """Share of the first-order cone that the order-sorting aperture lets through, 0..1."""
        return self.passing(energy_ev).first

    def prepare(self, energy_ev: float, zp_z_um: float | None = None) -> None:
        """Compute the image of an energy and focus ahead of its lines; may run in a thread.

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV), not what the monochromator reads.
        zp_z_um : float, optional
            Zone plate position (µm, zero at the OSA plane); None: in focus.

        Raises
        ------
        ValueError
            The energy or the position is NaN, or the energy is outside 400..1100 eV.
        """
        self._plane(energy_ev, zp_z_um)

    def _plane(self, energy_ev: float, zp_z_um: float | None) -> _Plane:
        finite("energy", energy_ev, "eV", *ENERGY_RANGE)
        if zp_z_um is not None:
            finite("zone_plate.z", zp_z_um, "µm", -1e6, 1e6)
        key = _rounded(energy_ev, self.spot_sigma(energy_ev, zp_z_um))
        with self._lock:
            if key in self._planes:
                self._planes.move_to_end(key)
                return self._planes[key]
        first = Image(self.sample, *key)
        second = None
        if self.beam.harmonic > 0 and 2 * energy_ev <= ENERGY_RANGE[1]:
            second = Image(self.sample, 2 * key[0], key[1])
        plane = _Plane(first, second)
        with self._lock:
            self._planes[key] = plane
            while len(self._planes) > _PLANES:
                self._planes.popitem(last=False)
        return plane

    # -- what the beamline measures

    def positions(
        self, x_um: ArrayLike, y_um: ArrayLike, t_s: float, zp_z_um: float | None = None
    ) -> Positions:
        """Measured and actual positions (µm) of a line driven to nominal positions (µm).

        Parameters
        ----------
        x_um, y_um : array_like
            Where the stage is driven to (µm).
        t_s : float
            Time after the start (s).
        zp_z_um : float, optional
            Zone plate position (µm, zero at the OSA plane); None: on the axis.
        """
        with self._lock:
            at = self.stage.positions(x_um, y_um, t_s, self._rng)
        dx, dy = self.aside(zp_z_um)
        return at._replace(actual_x=at.actual_x + dx, actual_y=at.actual_y + dy)

    def ring_current(
        self, t_s: float, energy_ev: float | None = None, beam_on: bool = True
    ) -> float:
        """Ring current (mA) at a time after the start (s); `energy_ev` plays no part."""
        return self.beam.ring_current(t_s) if beam_on else 0.0

    def line(
        self,
        energy_ev: float,
        zp_z_um: float | None,
        x_um: ArrayLike,
        y_um: ArrayLike,
        dwell_s: float,
        t_s: float,
        shutter_open: bool = True,
        beam_on: bool = True,
        flux_scale: float = 1.0,
        through: Passing | None = None,
    ) -> Line:
        """Counts along a line.

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV).
        zp_z_um : float or None
            Zone plate position (µm, zero at the OSA plane); None: in focus.
        x_um, y_um : array_like
            Where on the sample the beam is (µm): `actual_x` and `actual_y` of
            :meth:`positions`. A scalar `y_um` serves the whole line.
        dwell_s : float
            s per pixel.
        t_s : float
            Time after the start (s), for the ring current.
        shutter_open : bool
            A closed shutter gives true zeros behind the sample; the monitor stands before it.
        beam_on : bool
            False after a beam dump: true zeros everywhere.
        flux_scale : float
            Share of the full flux: less than 1 when the undulator is not at this energy.
        through : Passing, optional
            What aperture and detector let through; by default in alignment.

        Returns
        -------
        dict
            ``transmission`` and ``i0``, each [nx] counts (float, whole numbers).

        Raises
        ------
        ValueError
            Dwell, energy or a position is NaN or out of range.
        """
        finite("dwell", dwell_s, "s", 0, 3600, open_low=True)
        finite("flux_scale", flux_scale, "(relative)", 0, 10)
        x = np.atleast_1d(np.asarray(x_um, dtype=float))
        y = np.broadcast_to(np.asarray(y_um, dtype=float), x.shape)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError("sample position holds NaN or infinite values (µm)")
        plane = self._plane(energy_ev, zp_z_um)
        photons = self.beam.rate(energy_ev, t_s) * dwell_s * (flux_scale if beam_on else 0.0)
        light = self.passing(energy_ev) if through is None else through
        # what was not focused is spread over so much of the sample that it is all but transparent
        share = plane.first.at(x, y) * light.first + light.direct
        if self.beam.harmonic > 0:
            # above the model's range the sample is all but transparent
            more = plane.second.at(x, y) if plane.second is not None else 1.0
            share = share + self.beam.harmonic * more
        with self._lock:
            rng = self._rng
            flicker = np.maximum(1 + self.beam.noise * rng.standard_normal(x.size), 0.0)
            monitor = photons * self.beam.monitor_efficiency(energy_ev) * flicker
            i0 = self.i0.count(monitor, dwell_s, rng)
            if not shutter_open:
                return {"transmission": np.zeros(x.size), "i0": i0}
            counts = self.transmission.count(photons * share * flicker, dwell_s, rng)
        return {"transmission": counts, "i0": i0}

    def monitor(
        self, energy_ev: float, dwell_s: float, t_s: float, flux_scale: float = 1.0
    ) -> float:
        """Counts of the monitor in one dwell; it stands before the sample and needs no image.

        Parameters
        ----------
        energy_ev : float
            True photon energy (eV).
        dwell_s : float
            s.
        t_s : float
            Time after the start (s), for the ring current.
        flux_scale : float
            Share of the full flux.
        """
        photons = self.beam.rate(energy_ev, t_s) * dwell_s * flux_scale
        with self._lock:
            flicker = max(1 + self.beam.noise * self._rng.standard_normal(), 0.0)
            expected = photons * self.beam.monitor_efficiency(energy_ev) * flicker
            return float(self.i0.count(np.array([expected]), dwell_s, self._rng)[0])

    def point(
        self,
        energy_ev: float,
        zp_z_um: float | None,
        x_um: float,
        y_um: float,
        dwell_s: float,
        t_s: float,
        shutter_open: bool = True,
        beam_on: bool = True,
        flux_scale: float = 1.0,
    ) -> dict[str, float]:
        """Counts at one position: :meth:`line` with one pixel, as plain numbers."""
        got = self.line(
            energy_ev, zp_z_um, x_um, y_um, dwell_s, t_s, shutter_open, beam_on, flux_scale
        )
        return {key: float(values[0]) for key, values in got.items()}

    # -- what is true

    def expected_transmission(self, energies: ArrayLike, x_um: ArrayLike, y_um: ArrayLike) -> Array:
        """I/I0 without noise, in focus, at nominal positions: [nE, ny, nx].

        Parameters
        ----------
        energies : array_like [nE]
            True photon energies (eV).
        x_um, y_um : array_like [nx], [ny]
            Pixel centres (µm).
        """
        x, y = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (x_um, y_um))
        gx, gy = np.meshgrid(x, y)
        out = []
        for energy in np.atleast_1d(np.asarray(energies, dtype=float)).tolist():
            finite("energy", energy, "eV", *ENERGY_RANGE)
            # not through the cache: that one holds what the running scan needs next
            image = Image(self.sample, *_rounded(energy, self.spot_sigma(energy, None)))
            out.append(image.at(gx.ravel(), gy.ravel()).reshape(gx.shape))
        return np.stack(out)

    def truth(
        self, energies: ArrayLike, x_um: ArrayLike, y_um: ArrayLike, references: References
    ) -> Truth:
        """Maps that perfect counting at the nominal positions would give.

        Parameters
        ----------
        energies, x_um, y_um
            As :meth:`expected_transmission`.
        references : References

        Returns
        -------
        dict
            ``fraction`` and ``thickness``, each [ny, nx], and ``coefficients`` [K+1, ny, nx].

        Raises
        ------
        ValueError
            As :meth:`References.design`.
        """
        return fit_truth(self.expected_transmission(energies, x_um, y_um), energies, references)

    def nominal_z(self, energy_ev: float) -> float:
        """Position (µm) at which the geometry, right or wrong, puts the zone plate."""
        return focus_z(self.geometry, energy_ev)
