"""Instruments that a beamline file can bind: their roles, and what is made of the devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from ..devices import STXM, PtychoStation, XASStation
from ..devices.ptycho import FrameNumbers
from ..devices.roles import (
    CounterRole,
    DetectorRole,
    EnergyRole,
    HolderRole,
    PointRole,
    RingRole,
    SweepRole,
    TimedShutterRole,
)
from ._options import Strict
from ._values import ProxyAddress, Text, Truth, quantity

__all__ = ["INSTRUMENTS", "InstrumentKind", "Role", "contract_of"]


@dataclass(frozen=True)
class Role:
    """A part that a device can play.

    Parameters
    ----------
    needs : type
        Protocol of what the device can do.
    required : bool
    several : bool
        A list of devices.
    key : str, optional
        Data key under which it is recorded; with ``several``, each under its own name.
    """

    needs: type
    required: bool = False
    several: bool = False
    key: str | None = None


@dataclass(frozen=True)
class InstrumentKind:
    """What can be made of devices.

    Parameters
    ----------
    roles : mapping of str to Role
    make : callable
        ``make(name, parts, options)``: the instrument, of the devices by role.
    options : type
        Keys besides the roles.
    names : mapping of str to str, optional
        Roles whose devices become parts of the instrument, and the name that each has there.
        Those of a role with several have their own.
    one_contract : tuple of str
        Roles whose devices must be of the same contract as the scanner.
    called : str, optional
        Its name in the session, where that of the file is a plan's.
    """

    roles: Mapping[str, Role]
    make: Callable[[str, Mapping[str, Any], Any], Any]
    options: type[Strict] = Strict
    names: Mapping[str, str | None] = field(default_factory=dict)
    one_contract: tuple[str, ...] = ()
    called: str | None = None


def contract_of(cls: type) -> str | None:
    """Contract of a scanner, counter or shutter, where its class names one."""
    source = getattr(getattr(cls, "source", None), "cls", cls)
    return getattr(source, "contract", None)


class STXMOptions(Strict):
    """What no device of the microscope says."""

    flux: Annotated[float, quantity("photons/s", above=0)] | None = Field(
        None, description="photons/s on the sample, for doses"
    )


def _stxm(name: str, parts: Mapping[str, Any], options: STXMOptions) -> STXM:
    bound = {STXM_NAMES[role]: part for role, part in parts.items() if role != "counters"}
    return STXM(
        name=name,
        **bound,
        counters=parts.get("counters", {}),
        flux=options.flux or 0.0,
    )


def _tes(name: str, parts: Mapping[str, Any], options: Strict) -> Any:
    tes, i0, shutter = parts["detector"], parts.get("i0"), parts.get("shutter")
    if i0 is not None:
        i0.record_as("i0")
        if shutter is not None:
            i0.attach(shutter)
    tes.attach(
        mono=parts.get("energy"),
        shutter=shutter,
        i0=i0,
        ring=parts.get("ring"),
        holder=parts.get("holder"),
    )
    return tes


class ModeOptions(Strict):
    """A spectrum that the file defines."""

    signal: Text = Field(description="name of a channel")
    i0: Text = Field("i0", description="name of the channel of the incoming beam")
    kind: Literal["yield", "transmission"] = Field(
        "yield", description="signal/i0, or -ln(signal/i0)"
    )


class XASOptions(Strict):
    """What the detectors of an absorption station do not say themselves."""

    channels: dict[str, Text] = Field(
        default_factory=dict, description="data keys of further channels, by name"
    )
    modes: dict[str, ModeOptions] = Field(
        default_factory=dict, description="spectra besides the usual ones, by name"
    )


def _xas(name: str, parts: Mapping[str, Any], options: XASOptions) -> XASStation:
    for called, detector in parts["detectors"].items():
        if hasattr(detector, "record_as"):
            detector.record_as(called)
    return XASStation(
        name=name,
        mono=parts["energy"],
        detectors=parts["detectors"],
        channels=options.channels,
        modes={mode: one.model_dump() for mode, one in options.modes.items()},
        shutter=parts.get("shutter"),
        ring=parts.get("ring"),
        holder=parts.get("holder"),
        sweep=parts.get("sweep"),
    )


class PtychoOptions(Strict):
    """What no PV says of the camera and where it stands."""

    distance: Annotated[float, quantity("µm", above=0)] = Field(
        description="from the sample to the camera, µm"
    )
    pixel: Annotated[float, quantity("µm", above=0)] = Field(description="width of a pixel, µm")
    saturation: Annotated[float, quantity("counts", above=0)] = Field(
        description="counts from which a pixel means nothing"
    )
    read_noise: Annotated[float, quantity("counts", at_least=0)] = Field(
        description="of a pixel without light, counts"
    )
    gain: Annotated[float, quantity("counts/photon", above=0)] = Field(
        description="counts of a photon"
    )
    defocus: Annotated[float, quantity("µm")] = Field(
        0.0, description="zone plate less where it focuses, µm; above 0: downstream"
    )
    pedestal: Annotated[float, quantity("counts")] = Field(
        0.0, description="of a pixel without light, counts; where no dark frames say it"
    )
    mask: Text | None = Field(None, description="file of bad pixels, .npy or HDF5")
    flux: Annotated[float, quantity("photons/s", above=0)] | None = Field(
        None, description="photons/s on the sample, for doses"
    )
    cosmic: ProxyAddress = Field("", description="where frames are published as COSMIC does")
    gpu: Truth = Field(False, description="reconstruct on a GPU, by CuPy")


def _ptycho(name: str, parts: Mapping[str, Any], options: PtychoOptions) -> PtychoStation:
    bound = {("monochromator" if role == "energy" else role): part for role, part in parts.items()}
    i0 = parts.get("i0")
    if i0 is not None:
        i0.record_as("i0")
    numbers = options.model_dump(exclude={"flux", "mask", "cosmic", "gpu"})
    return PtychoStation(
        name=name,
        **bound,
        numbers=FrameNumbers(**numbers, mask=options.mask or ""),
        flux=options.flux or 0.0,
    )


STXM_NAMES = {"energy": "monochromator", **{name: name for name in STXM.ROLES}}
STXM_NAMES.pop("monochromator")

INSTRUMENTS: Mapping[str, InstrumentKind] = {
    "stxm": InstrumentKind(
        roles={
            **{
                role: Role(
                    STXM.ROLES[name],
                    required=name not in ("i0", "shutter", "detector_stage"),
                    key=name if name in ("transmission", "i0") else None,
                )
                for role, name in STXM_NAMES.items()
            },
            "counters": Role(CounterRole, several=True),
        },
        make=_stxm,
        options=STXMOptions,
        names={**STXM_NAMES, "counters": None},
        one_contract=("transmission", "i0", "counters", "shutter"),
    ),
    "tes": InstrumentKind(
        roles={
            "detector": Role(DetectorRole, required=True),
            "energy": Role(EnergyRole),
            "holder": Role(HolderRole),
            "shutter": Role(TimedShutterRole),
            "i0": Role(CounterRole, key="i0"),
            "ring": Role(RingRole),
        },
        make=_tes,
    ),
    "xas": InstrumentKind(
        roles={
            "energy": Role(EnergyRole, required=True),
            "detectors": Role(PointRole, required=True, several=True),
            "shutter": Role(TimedShutterRole),
            "ring": Role(RingRole),
            "holder": Role(HolderRole),
            "sweep": Role(SweepRole),
        },
        make=_xas,
        options=XASOptions,
        called="xas_station",
    ),
    "ptycho": InstrumentKind(
        roles={
            role: Role(
                needs,
                required=role not in ("shutter", "i0", "ring"),
                key="i0" if role == "i0" else None,
            )
            for role, needs in PtychoStation.ROLES.items()
        },
        make=_ptycho,
        options=PtychoOptions,
    ),
}
"""Instruments by the name that they have in the file."""


def bound_devices(roles: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """Path, role and device of every binding of an instrument."""
    for role, device in roles.items():
        if isinstance(device, tuple):
            for i, one in enumerate(device):
                yield (role, i), role, one
        else:
            yield (role,), role, device
