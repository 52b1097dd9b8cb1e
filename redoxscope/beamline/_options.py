"""Options of the devices that a beamline file calls by a short name: keys, types, limits."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ..optics import ZonePlateGeometry
from ._values import PV, Micrometres, Prefix, Text, Truth, port_below, quantity, text

__all__ = [
    "AreaDetectorOptions",
    "CatalogOptions",
    "CounterOptions",
    "DeviceOptions",
    "EnergySweepOptions",
    "FlyCounterOptions",
    "FlyScannerOptions",
    "HeaterOptions",
    "LakeshoreOptions",
    "MonochromatorOptions",
    "MotorMonochromatorOptions",
    "MotorOptions",
    "RGAOptions",
    "QuadEMOptions",
    "Strict",
    "TESOptions",
    "ZonePlateOptions",
]

Seconds = Annotated[float, quantity("s", at_least=0)]
Folder = Annotated[str, BeforeValidator(partial(text, empty=True))]
Dwell = Annotated[float, quantity("s", above=0)]


class Strict(BaseModel):
    """Keys that are known, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceOptions(Strict):
    """PV names of a device: its prefix, and full names for suffixes that differ."""

    prefix: Prefix
    pvs: dict[str, PV] = Field(default_factory=dict)

    def keywords(self) -> dict[str, Any]:
        """Arguments of the device's class, besides prefix and ``pvs``."""
        own = [key for key in type(self).model_fields if key not in DeviceOptions.model_fields]
        return {key: getattr(self, key) for key in own}


class MotorOptions(Strict):
    """Motor record; what its unit is, the record says."""

    prefix: Prefix
    tolerance: Annotated[float, quantity("", above=0)] = Field(
        description="largest distance from the target at the end of a move, motor units"
    )

    def keywords(self) -> dict[str, Any]:
        """Arguments of the device's class, besides the prefix."""
        return {"tolerance": self.tolerance}


class CounterOptions(DeviceOptions):
    """Counter gated by the scanner."""

    behind_shutter: Truth = Field(True, description="without light when the shutter is closed")


class EnergySweepOptions(DeviceOptions):
    """Controller that flies spectra: what is connected to it."""

    channels: dict[Annotated[int, port_below(4)], Text] = Field(
        description="name of each channel, 1 to 4: {1: i0, 2: tey, 3: tfy}"
    )


class QuadEMOptions(EnergySweepOptions):
    """Electrometer: what is connected to it."""

    upstream: list[Text] = Field(
        default_factory=list, description="channels with light also behind the closed shutter"
    )


class FlyCounterOptions(CounterOptions):
    """Counter of the FLY contract."""

    key: Text | None = Field(None, description="what the FLY group calls it, DATA:{key}")
    dead_time: Seconds = Field(0.0, description="s per count")
    saturation: Annotated[float, quantity("counts/s", at_least=0)] = Field(
        0.0, description="counts/s; 0 = unknown"
    )

    def keywords(self) -> dict[str, Any]:
        """As `DeviceOptions.keywords`; the key is in a PV name."""
        found = super().keywords()
        del found["key"]
        return found


class FlyScannerOptions(DeviceOptions):
    """Scanner of the FLY contract."""

    axis: Text = Field("x", description="what AXIS calls the fast axis")
    run_up: Annotated[float, quantity("µm", at_least=0)] = Field(0.0, description="µm")
    min_dwell: Dwell = Field(1e-4, description="s")
    max_dwell: Dwell = Field(10.0, description="s")
    overhead: Seconds = Field(0.05, description="s per line")


class MonochromatorOptions(DeviceOptions):
    """Energy axis."""

    edge_offsets: dict[str, Annotated[float, quantity("eV")]] = Field(
        default_factory=dict, description="eV by edge"
    )
    backlash: Annotated[float, quantity("eV")] = Field(0.0, description="eV; 0 = none")
    tolerance: Annotated[float, quantity("eV", above=0)] = Field(0.02, description="eV")


class MotorMonochromatorOptions(MonochromatorOptions):
    """Energy axis that is one motor record."""

    settle: Seconds = Field(0.0, description="s after a move")


class AreaDetectorOptions(Strict):
    """Camera of EPICS areaDetector: where its driver and its HDF5 plugin are, and its files."""

    prefix: Prefix
    cam: Prefix = Field("cam1:", description="start of the driver's PVs, after the prefix")
    hdf: Prefix = Field("HDF1:", description="start of the HDF5 plugin's PVs")
    path: Folder = Field("", description="folder for files as its computer sees it")
    read_path: Folder = Field("", description="the same folder as this computer sees it")
    external: Text = Field("External", description="trigger mode with a gate for each frame")
    internal: Text = Field("Internal", description="trigger mode without")
    readout: Seconds = Field(0.05, description="s from the end of a gate to its frame's count")
    time_limit: Annotated[float, quantity("s", above=0)] = Field(
        30.0, description="s for an order to be taken, and for a file to be there"
    )

    def pv(self, suffix: str) -> str:
        """What follows the prefix for a suffix of the contract, as ``cam1:Acquire``."""
        plugin, colon, rest = suffix.partition(":")
        return {"cam1": self.cam, "HDF1": self.hdf}.get(plugin, plugin + colon) + rest


class RGAOptions(DeviceOptions):
    """Residual gas analyser."""

    gases: Annotated[list[Text], Field(min_length=1, max_length=9)] | None = Field(
        None, description="names of the masses of its list, in order; default: mid1 to mid9"
    )


class ZonePlateOptions(DeviceOptions):
    """Zone plate, with the OSA's pinhole; A0 has no default, it is this microscope's."""

    diameter: Micrometres = Field(description="D, µm")
    outer_zone: Annotated[float, quantity("nm", above=0)] = Field(description="Δr, nm")
    central_stop: Micrometres = Field(description="µm")
    osa_diameter: Micrometres = Field(description="µm")
    a0: Micrometres = Field(description="OSA to sample, µm")
    a1: Annotated[float, quantity("µm/eV", above=0)] | None = Field(
        None, description="µm/eV; default D·Δr/hc"
    )

    def geometry(self) -> ZonePlateGeometry:
        """The geometry of `redoxscope.optics`.

        Raises
        ------
        ValueError
            No such zone plate can be; starts with the key.
        """
        a1 = {} if self.a1 is None else {"a1_um_per_ev": self.a1}
        return ZonePlateGeometry(
            diameter_um=self.diameter,
            outer_zone_nm=self.outer_zone,
            central_stop_um=self.central_stop,
            osa_diameter_um=self.osa_diameter,
            a0_um=self.a0,
            **a1,
        )

    def keywords(self) -> dict[str, Any]:
        """The geometry."""
        return {"geometry": self.geometry()}


DegC = Annotated[float, quantity("degC", at_least=-273.15)]
Rate = Annotated[float, quantity("degC/min", above=0)]


class HeaterOptions(DeviceOptions):
    """Heating stage; its limits have no default, they are this stage's."""

    low: DegC = Field(description="lowest temperature that may be set, degC")
    high: DegC = Field(description="highest, degC")
    rate: Rate = Field(2.0, description="of ramps, until it is set, degC/min")
    max_rate: Rate = Field(10.0, description="highest that may be set, degC/min")
    tolerance: Annotated[float, quantity("degC", above=0)] = Field(
        1.0, description="half of the band, degC"
    )
    settle: Annotated[float, quantity("s", above=0)] = Field(
        60.0, description="in band until it is reached, s"
    )
    slope_limit: Rate = Field(0.5, description="largest slope then, degC/min")
    safe_temperature: DegC = Field(25.0, description="from where it is switched off, degC")
    margin: Seconds = Field(600.0, description="that a ramp may be late, s")
    guard: Truth = Field(True, description="whether an IOC has the guard's records")
    time_scale: Annotated[float, quantity("s per s", above=0)] = Field(
        1.0, description="controller's s per s; 1 but in a simulation"
    )

    def keywords(self) -> dict[str, Any]:
        """As `DeviceOptions.keywords`; whether it is guarded makes another class."""
        found = super().keywords()
        del found["guard"]
        return found


class LakeshoreOptions(HeaterOptions):
    """Heating stage with a Lakeshore; its range has no default: it limits the power."""

    range: Literal["low", "medium", "high"] = Field(description="it is switched on with")

    def keywords(self) -> dict[str, Any]:
        """Arguments of the stage; the range is the controller's."""
        found = super().keywords()
        del found["range"]
        return found


class TESOptions(Strict):
    """Microcalorimeter array: where its server answers."""

    host: Text = "127.0.0.1"
    port: Annotated[int, port_below(65531)] = Field(
        5500, description="first of Dastard's five ports"
    )
    backend: Literal["dastard", "scan_server"] = "dastard"
    scan_server_port: Annotated[int, port_below(65535)] = 4000
    source: Text | None = Field(None, description="Dastard's source; default: the resonators")
    path: Folder = Field(
        "", description="folder on the server for its files; empty: its own choice"
    )
    time_scale: Annotated[float, quantity("s per s", above=0)] = Field(
        1.0, description="server's s per s; 1 but in a simulation"
    )
    lateness: Annotated[float, quantity("s", above=0)] = Field(
        0.1, description="s after which a point's photons are in"
    )


class CatalogOptions(Strict):
    """Where runs are kept: a Tiled profile by name."""

    profile: Text = "redoxscope"
