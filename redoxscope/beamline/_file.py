"""What a beamline file says, once it is known to be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from ..data import YamlText
from ..devices import suffixes
from ..devices.camera import used_pvs
from ._classes import OWN
from ._instruments import INSTRUMENTS, bound_devices
from ._options import AreaDetectorOptions, CatalogOptions, FlyCounterOptions, HeaterOptions
from ._outside import OutsidePV, outside_pvs

__all__ = ["BeamlineFile", "DeviceEntry", "InstrumentEntry"]


@dataclass(frozen=True)
class DeviceEntry:
    """A device of the file.

    Parameters
    ----------
    name : str
        Its key.
    word : str
        Its class, as the file has it.
    cls : type
        Its class.
    options : pydantic.BaseModel or mapping
        A model where the class is ours (`redoxscope.beamline`), else its keyword arguments.
    """

    name: str
    word: str
    cls: type
    options: Any

    @property
    def own(self) -> bool:
        """Whether the class is one of ours."""
        return isinstance(self.options, BaseModel)

    @property
    def prefix(self) -> str:
        """Start of its PV names, as the file has it; empty where it has none."""
        if self.own:
            return str(getattr(self.options, "prefix", ""))
        return str(self.options.get("prefix", ""))

    @property
    def pvs(self) -> Mapping[str, str]:
        """Whole PV names by suffix, as the file has them."""
        return getattr(self.options, "pvs", {}) if self.own else {}

    @property
    def suffixes(self) -> list[str]:
        """Suffixes of its PVs, of a class of ours that has a PV contract."""
        if isinstance(self.options, AreaDetectorOptions):
            return used_pvs()
        if not self.own or not hasattr(self.options, "pvs"):
            return []
        own = OWN[self.word]
        return [suffix for cls in own.parts or (own.cls,) for suffix in suffixes(cls)]

    def changed(self, **options: Any) -> DeviceEntry:
        """The same device with other options; they are taken as they are."""
        if self.own:
            return replace(self, options=self.options.model_copy(update=options))
        return replace(self, options={**self.options, **options})


@dataclass(frozen=True)
class InstrumentEntry:
    """An instrument of the file.

    Parameters
    ----------
    name : str
    roles : mapping of str to str or tuple of str
        Devices by role; a tuple where a role has several.
    options : pydantic.BaseModel
        What it says besides.
    """

    name: str
    roles: Mapping[str, Any]
    options: Any

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of all its devices."""
        return tuple(device for _, _, device in bound_devices(self.roles))


@dataclass(frozen=True)
class BeamlineFile:
    """A beamline: its devices, and the instruments that they make.

    Parameters
    ----------
    name : str
        Goes into every run as ``beamline_id``.
    simulated : bool
    prefix : str
        Put before every device's prefix.
    devices : mapping of str to DeviceEntry
    instruments : mapping of str to InstrumentEntry
    catalog : CatalogOptions
    publish : str
        0MQ proxy that a session publishes its documents to; empty for none.
    nxstxm : str
        Folder of the NXstxm files that a session writes while it measures, in its data folder
        where it is relative; empty for none.
    where : str
        Name of the file, for messages.
    """

    name: str
    simulated: bool
    prefix: str
    devices: Mapping[str, DeviceEntry]
    instruments: Mapping[str, InstrumentEntry]
    catalog: CatalogOptions = field(default_factory=CatalogOptions)
    publish: str = ""
    nxstxm: str = ""
    where: str = field(default="", compare=False)
    text: YamlText = field(default_factory=lambda: YamlText(None), compare=False, repr=False)

    def at(self, *path: Any) -> str:
        """File and line of a key, for messages."""
        return f"{self.where}:{self.text.line(path)}"

    def of_class(self, *words: str) -> list[str]:
        """Names of the devices of these classes (as the file calls them)."""
        return [name for name, entry in self.devices.items() if entry.word in words]

    @property
    def heaters(self) -> list[str]:
        """Names of the heating stages, whatever controls them."""
        entries = self.devices.items()
        return [name for name, entry in entries if isinstance(entry.options, HeaterOptions)]

    @property
    def has_shutter(self) -> bool:
        """Whether anything takes the beam from the sample."""
        roles = (role for one in self.instruments.values() for role in one.roles)
        return bool(self.of_class("shutter", "fly_shutter")) or "shutter" in roles

    @property
    def cosmic(self) -> str:
        """Where a session publishes frames of ptychography; empty for nowhere."""
        return str(self._of_ptycho("cosmic") or "")

    @property
    def gpu(self) -> bool:
        """Whether a session reconstructs frames of ptychography on a GPU."""
        return bool(self._of_ptycho("gpu"))

    def _of_ptycho(self, key: str) -> Any:
        entry = self.instruments.get("ptycho")
        return None if entry is None else getattr(entry.options, key)

    def role_of(self, device: str) -> tuple[str, str] | None:
        """First instrument and role that a device is bound to; None where it is bound to none."""
        return next(iter(self.roles_of(device)), None)

    def roles_of(self, device: str) -> Iterator[tuple[str, str]]:
        """Instruments and roles that a device is bound to."""
        for name, instrument in self.instruments.items():
            for _, role, bound in bound_devices(instrument.roles):
                if bound == device:
                    yield name, role

    def made_name(self, device: str) -> str:
        """Name that the device has in documents: as a part of an instrument, or its key."""
        for name, role in self.roles_of(device):
            parts = INSTRUMENTS[name].names
            if role in parts:
                return f"{name}_{parts[role] or device}"
        return device

    def pv_names(self, device: str) -> dict[str, str]:
        """Name of each PV of a device of ours, by its suffix."""
        entry = self.devices[device]
        named = {**self._of_group(entry), **entry.pvs}
        prefix = self.prefix + entry.prefix
        if isinstance(entry.options, AreaDetectorOptions):
            return {suffix: prefix + entry.options.pv(suffix) for suffix in entry.suffixes}
        return {suffix: named.get(suffix, prefix + suffix) for suffix in entry.suffixes}

    def pvs_of(self, device: str) -> dict[str, str]:
        """Whole PV names of a device of ours where they are not prefix and suffix."""
        entry = self.devices[device]
        return {**self._of_group(entry), **entry.pvs}

    def outside_pvs(self, device: str) -> tuple[list[OutsidePV], bool]:
        """PVs of a device of another class, and whether these are all that it has."""
        entry = self.devices[device]
        return outside_pvs(entry.cls, entry.options, self.prefix + entry.prefix)

    def _of_group(self, entry: DeviceEntry) -> dict[str, str]:
        """Counts of a FLY group's line are a PV of the group, not of the counter."""
        if not isinstance(entry.options, FlyCounterOptions):
            return {}
        groups = self.of_class("fly_scanner")
        if not groups:
            return {}
        start = self.prefix + self.devices[groups[0]].prefix
        return {"DATA": f"{start}DATA:{entry.options.key or entry.name}"}

    def changed(self, device: str, **options: Any) -> BeamlineFile:
        """The same beamline with other options of a device; they are taken as they are."""
        entry = self.devices[device].changed(**options)
        return replace(self, devices={**self.devices, device: entry})

    def with_instrument(self, instrument: str, **options: Any) -> BeamlineFile:
        """The same beamline with other options of an instrument; they are taken as they are."""
        entry = self.instruments[instrument]
        changed = replace(entry, options=entry.options.model_copy(update=options))
        return replace(self, instruments={**self.instruments, instrument: changed})

    def without(self, instrument: str) -> BeamlineFile:
        """The same beamline without an instrument, and without what only it has."""
        gone = self.instruments.get(instrument)
        if gone is None:
            return self
        left = {name: one for name, one in self.instruments.items() if name != instrument}
        kept = {device for one in left.values() for device in one.devices}
        only = set(gone.devices) - kept
        devices = {name: one for name, one in self.devices.items() if name not in only}
        return replace(self, devices=devices, instruments=left)

    def served_as(self, prefix: str) -> BeamlineFile:
        """A simulated beamline's file for an IOC with this prefix; whole names have it too."""
        devices = {
            name: entry.changed(pvs={suffix: prefix + pv for suffix, pv in entry.pvs.items()})
            if entry.pvs
            else entry
            for name, entry in self.devices.items()
        }
        return replace(self, prefix=prefix, devices=devices)
