"""What can be set on the TES, and what a run writes beside its data."""

from __future__ import annotations

from functools import partial
from typing import Any

from ophyd import Component, Device

from ...documents import Bins
from .._base import OUTAGE
from .._numbers import finite, flag, positive, zero_or_more
from .._setting import Setting

__all__ = ["TESSettings"]

Cpt = partial(Component, Setting, kind="config")


def _count(value: Any) -> int:
    if not zero_or_more(value).is_integer():
        raise ValueError("must be a whole number >= 0")
    return int(value)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        raise ValueError("must be a list")
    return [str(item) for item in value]


class TESSettings(Device):
    """Settings of a `TES`; all go into the configuration of its data, as ``tes_<setting>``."""

    dwell = Cpt(value=1.0, check=positive, unit="s", doc="window of a point, server's clock")
    spectrum_low = Cpt(value=200.0, check=finite, unit="eV", doc="lower edge of the spectrum")
    spectrum_high = Cpt(value=1200.0, check=finite, unit="eV", doc="upper edge of the spectrum")
    spectrum_step = Cpt(value=0.5, check=positive, unit="eV", doc="width of a bin")
    lateness = Cpt(
        value=0.1, check=zero_or_more, unit="s",
        doc="how far behind the newest photon another may come, server's clock",
    )  # fmt: skip
    pixel_limit = Cpt(value=0, check=_count, doc="use so many pixels, the best; 0: all")
    windows = Cpt(value=[], check=_texts, doc="windows counted per point, e.g. PFY[765:785]")
    dark = Cpt(value=False, check=flag, doc="count points behind a closed shutter")
    calibrating = Cpt(value=False, check=flag, doc="keep photons, to calibrate; needs no energies")
    time_scale = Cpt(
        value=1.0, check=positive,
        doc="seconds of the server's clock per second here: 1, but for a simulated server",
    )  # fmt: skip
    time_limit = Cpt(
        value=10.0, check=positive, unit="s",
        doc="longest time for an answer of the server, on top of what it needs",
    )  # fmt: skip
    outage = Cpt(
        value=OUTAGE, check=positive, unit="s",
        doc="longest time to wait for PVs beside it that do not answer",
    )  # fmt: skip
    write_off = Cpt(value=True, check=flag, doc="have the server write OFF files")
    write_ljh = Cpt(value=False, check=flag, doc="have the server write LJH files")
    write_path = Cpt(value="", check=str, doc="base folder on the server; empty: its own choice")
    photon_directory = Cpt(value="", check=str, doc="where photon lists go")
    calibration_uid = Cpt(value="", check=str, doc="calibration in force")
    line_table = Cpt(value="", check=str, doc="hash of the calibration's line table")
    projector_uid = Cpt(value="", check=str, doc="projectors loaded in the server")
    noise_uid = Cpt(value="", check=str, doc="noise from which the projectors were made")
    run_directory = Cpt(value="", check=str, doc="folder of the run on the server")
    state_label = Cpt(value="", check=str, doc="state label of the run on the server")
    photon_list = Cpt(value="", check=str, doc="file of the run's photons")
    pixel_channel = Cpt(value=[], check=list, doc="channel numbers of the array")
    pixel_ok = Cpt(value=[], check=list, doc="1: the pixel counts in this run")
    pixel_reason = Cpt(value=[], check=_texts, doc="why it does not; empty where it does")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        kwargs.setdefault("labels", {"spectrometers"})
        super().__init__(prefix, name=name, **kwargs)
        for attribute in TESSettings.component_names:
            getattr(self, attribute).name = f"tes_{attribute}"  # the contract's, whatever our name

    @property
    def bins(self) -> Bins:
        """Bins of the spectrum as they are set.

        Raises
        ------
        ValueError
            They make no bins.
        """
        return Bins(self.spectrum_low.get(), self.spectrum_high.get(), self.spectrum_step.get())
