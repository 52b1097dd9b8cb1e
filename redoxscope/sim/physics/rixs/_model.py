"""The samples of the spectrometer: emission at an excitation, and the RIXS matrix expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....documents import Bins
from .._checks import finite
from ._absorption import Shells
from ._electrode import Electrode
from ._emission import GRID, Emission, broadened, rebinned
from ._reference import ReferenceMixture

__all__ = ["PHASES", "RIXS_SAMPLES", "RixsModel", "RixsSample"]

Array = NDArray[np.float64]

EXCITATION_RANGE = (250.0, 1250.0)
"""Energies of the light on the sample that the model covers (eV)."""


@dataclass(frozen=True)
class RixsSample:
    """A sample on the holder.

    Attributes
    ----------
    name : str
    title : str
        What it is.
    material : Electrode or ReferenceMixture
    """

    name: str
    title: str
    material: Electrode | ReferenceMixture


def _lmr(mn: float, co: float, ni: float, o: float) -> tuple[tuple[str, float], ...]:
    return (("O K", o), ("Mn L3", mn), ("Co L3", co), ("Ni L3", ni))


# feature 0 without oxidised oxygen; heating changes nothing at the metal edges of the bulk
_ELECTRODES = (
    RixsSample("lmr_pristine", "pristine electrode", Electrode(_lmr(0.95, 0.95, 0.10, 0.0), 0.0)),
    RixsSample(
        "lmr_charged", "electrode charged to 4.8 V", Electrode(_lmr(0.97, 1.0, 0.85, 0.5), 0.35)
    ),
    RixsSample(
        "lmr_heated",
        "charged electrode after 5 h at 100 °C",
        Electrode(_lmr(0.97, 1.0, 0.85, 0.5), 0.48),
    ),
)
# what heating beyond 200 °C makes of the charged electrode; on the stage, never on the holder
_TRANSFORMED = (
    RixsSample("lmr_spinel", "spinel", Electrode(_lmr(0.50, 0.50, 0.20, 0.15), 0.05)),
    RixsSample("lmr_rock_salt", "rock salt", Electrode(_lmr(0.0, 0.0, 0.0, 0.0), 0.0)),
)


def _reference(mixture: ReferenceMixture) -> RixsSample:
    return RixsSample("reference", "mixture of C, N, O, Mn, Fe, Co, Ni and Cu", mixture)


RIXS_SAMPLES = (*(s.name for s in _ELECTRODES), "reference")
"""Names of the samples."""

PHASES: dict[str, Electrode] = {
    s.name: s.material
    for s in (*_ELECTRODES[1:], *_TRANSFORMED)
    if isinstance(s.material, Electrode)
}
"""What a charged electrode that is heated consists of, in the order in which it comes."""

_LMR_RATE = 3.0e5
_REFERENCE_RATE = 25.0


def _transmission() -> Array:
    """Share of the photons that the windows in front of the pixels let through, [m]."""
    return np.asarray(np.exp(-((420.0 / GRID.centers) ** 2)))


class RixsModel:
    """What samples emit towards the spectrometer.

    Parameters
    ----------
    seed : int
        Of what `line_error` draws.
    second_order : float
        Second-order light over first-order light at 530 eV; falls with the fourth power of energy.
    line_error : float
        Distance of the reference's true lines from the table, in its standard uncertainties;
        they are drawn with `seed`.
    damage_dose : float or None
        Dose (relative flux times s) that weakens the oxidised-oxygen feature to 1/e;
        None: no damage.

    Raises
    ------
    ValueError
        A value is NaN or out of range.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        second_order: float = 0.01,
        line_error: float = 0.0,
        damage_dose: float | None = None,
    ):
        finite("rixs.second_order", second_order, "(relative)", 0, 0.5)
        if damage_dose is not None:
            finite("rixs.damage_dose", damage_dose, "s", 0, 1e9, open_low=True)
        finite("rixs.line_error", line_error, "uncertainties", 0, 10)
        self.second_order = second_order
        self.damage_dose = damage_dose
        self.reference = ReferenceMixture.shifted(line_error, np.random.default_rng(seed))
        known = (*_ELECTRODES, *_TRANSFORMED, _reference(self.reference))
        self._samples = {s.name: s for s in known}

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples on the holder."""
        return RIXS_SAMPLES

    def _sample(self, name: str) -> RixsSample:
        if name not in self._samples:
            raise ValueError(
                f"sample = {name!r} is not known; known samples: {', '.join(RIXS_SAMPLES)}"
            )
        return self._samples[name]

    def emission(self, sample: str, omega_ev: float, dose: float = 0.0) -> Emission:
        """Emission of a sample at an excitation.

        Parameters
        ----------
        sample : str
        omega_ev : float
            Energy of the light on the sample (eV), 400..1100.
        dose : float
            Relative flux times s that the spot has had.

        Raises
        ------
        ValueError
            Unknown sample, or a value out of range.
        """
        found = self._sample(sample)
        finite("rixs.energy", omega_ev, "eV", *EXCITATION_RANGE)
        finite("rixs.dose", dose, "s", 0, 1e12)
        damage = 1.0 if self.damage_dose is None else float(np.exp(-dose / self.damage_dose))
        return Emission(self._rate(found, float(omega_ev), damage), float(omega_ev))

    def mixture(self, parts: Mapping[str, float], omega_ev: float, dose: float = 0.0) -> Emission:
        """Emission of a sample whose grains are of several kinds, each larger than light goes deep.

        Parameters
        ----------
        parts : mapping of str to float
            Share of each kind.
        omega_ev, dose
            As for `emission`.

        Raises
        ------
        ValueError
            As `emission`.
        """
        rates = [share * self.emission(name, omega_ev, dose).rate for name, share in parts.items()]
        return Emission(np.sum(rates, axis=0), float(omega_ev))

    def _rate(self, sample: RixsSample, omega: float, damage: float) -> Array:
        second = self.second_order * (530.0 / omega) ** 4
        out = sample.material.emitted(omega, damage)
        if second > 0:
            out = out + second * sample.material.emitted(2 * omega, damage)
        if isinstance(sample.material, Electrode):
            return np.asarray(_LMR_RATE * out * _transmission())
        return np.asarray(_REFERENCE_RATE * out)

    def shells(self, sample: str) -> Shells:
        """Absorption of an electrode and of each of its shells.

        Raises
        ------
        ValueError
            Unknown sample, or one that is not an electrode.
        """
        material = self._sample(sample).material
        if not isinstance(material, Electrode):
            raise ValueError(f"sample = {sample!r} has no absorption model, it is a mixture")
        return material.shells

    def absorption(self, sample: str, omegas: ArrayLike) -> Array:
        """Absorption coefficient of an electrode (1/µm), [n].

        Raises
        ------
        ValueError
            Unknown sample, one that is not an electrode, or an energy out of range.
        """
        shells = self.shells(sample)
        omegas = np.atleast_1d(np.asarray(omegas, float))
        for omega in omegas:
            finite("rixs.energy", float(omega), "eV", *EXCITATION_RANGE)
        return shells.absorption(omegas)

    def expected(
        self,
        sample: str,
        omegas: ArrayLike,
        bins: Bins,
        resolution: float = 1.4,
        *,
        dose: float = 0.0,
    ) -> Array:
        """RIXS matrix of an ideal array (photons/s at relative flux 1), [nE, nb].

        Parameters
        ----------
        sample : str
        omegas : array_like [nE]
            Excitation energies (eV).
        bins : Bins
            Of emission energy.
        resolution : float
            Detector's full width at half maximum (eV).
        dose : float
            As in `emission`, the same for all energies.
        """
        omegas = np.atleast_1d(np.asarray(omegas, float))
        rate = np.stack([self.emission(sample, float(w), dose).rate for w in omegas])
        return rebinned(broadened(rate, resolution), bins)

    def inverse_yield(
        self, sample: str, omegas: ArrayLike, low: float = 500.0, high: float = 540.0
    ) -> Array:
        """Inverse of the photons between two emission energies (s at relative flux 1), [nE].

        Notes
        -----
        For a line of energy E and a shell whose own part of the absorption is ``mu_s``, it is
        proportional to ``(mu(omega) + mu(E)) / mu_s(omega)``: linear in the total absorption as
        far as ``mu_s`` is constant over the scan.
        """
        bins = Bins(low, high, high - low)
        return np.asarray(1.0 / self.expected(sample, omegas, bins)[:, 0])
