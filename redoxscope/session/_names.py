"""Names of a session: devices, instruments, maps; and those of an interactive one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..beamline import Beamline
from ..devices import NoShutter
from ..inputs import suggestion

__all__ = ["SHORT", "Named", "devices_of", "known_by_name", "namespace", "ready_catalog"]

log = logging.getLogger("redoxscope.session")

SHORT = {"oxidation_map": "omap", "rixs_map": "rmap", "ptychography": "pmap"}
"""What the shell calls maps that are typed often."""


class Named:
    """Has what a session has by name as attributes.

    Attributes
    ----------
    beamline : Beamline
    devices, maps, extras : dict of str to object
    """

    beamline: Beamline
    devices: Mapping[str, Any]
    maps: Mapping[str, Any]
    extras: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("devices", "maps", "extras"):
            raise AttributeError(name)  # not there yet, or nothing that has a name
        known: dict[str, Any] = {}
        for group in ("devices", "maps", "extras"):
            known |= vars(self).get(group, {})
        if name in known:
            return known[name]
        hint = suggestion(name, list(known)) or f"; it has {', '.join(known)}"
        raise AttributeError(f"this session has no {name!r}{hint}")

    def __repr__(self) -> str:
        maps = ", ".join(self.maps) or "none"
        return f"<session on {self.beamline.file.name}: {', '.join(self.devices)}; maps: {maps}>"

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self.devices, *self.maps, *self.extras]

    @property
    def beam_shutter(self) -> Any:
        """What lets the beam onto the sample of the instruments; None where nothing does."""
        shutters = (getattr(one, "shutter", None) for one in self.beamline.instruments.values())
        there = (one for one in shutters if one is not None and not isinstance(one, NoShutter))
        return next(there, None)

    def namespace(self) -> dict[str, Any]:
        """Names that an interactive session starts with."""
        return namespace(self)


def devices_of(beamline: Beamline) -> dict[str, Any]:
    """Instruments and devices of a beamline by name, and the energy that a microscope moves."""
    found = dict(beamline.instruments)
    for instrument in beamline.instruments.values():
        energy = getattr(instrument, "energy", None)
        if callable(getattr(energy, "set", None)):  # with the focus, which no device alone moves
            found.setdefault("energy", energy)
    return {**found, **beamline.devices}


def namespace(session: Any) -> dict[str, Any]:
    """What the shell has by name: devices, plans, maps, and what bluesky's users expect."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    import bluesky.preprocessors as bpp

    from .. import calibrations, callbacks, data, plans, scan, storage

    names = {name: getattr(plans, name) for name in plans.__all__ if name[0].islower()}
    helpers = {
        "Region": scan.Region,
        **{name: getattr(plans, name) for name in plans.__all__ if name.endswith("Suspender")},
        "Scan": scan.Scan,
        "Zone": scan.Zone,
        "points_scan": scan.points_scan,
        "ptychography_scan": scan.ptychography_scan,
        "rotation_scan": scan.rotation_scan,
        "stack_scan": scan.stack_scan,
        "OxidationMap": callbacks.OxidationMap,
        "MapView": callbacks.MapView,
        "oxidation_map": callbacks.oxidation_map,
        "oxidation_maps": callbacks.oxidation_maps,
        "RixsMap": callbacks.RixsMap,
        "rixs_from_run": callbacks.rixs_from_run,
        "agglomerates": storage.agglomerates,
        "dose_so_far": storage.dose_so_far,
        "draw_agglomerates": callbacks.draw_agglomerates,
        "draw_scan": callbacks.draw_scan,
        "export_run": storage.export_run,
        "profiles": storage.profiles,
        "ptychography_from_run": callbacks.ptychography_from_run,
        "scans_from_run": callbacks.scans_from_run,
        **{n: getattr(calibrations, n) for n in calibrations.__all__ if n.startswith("calibrate_")},
        "load_references": data.load_references,
        "references_from_csv": data.references_from_csv,
    }
    maps = {SHORT[name]: live for name, live in session.maps.items() if name in SHORT}
    own = {
        "s": session,
        "RE": session.RE,
        "sd": session.sd,
        "cat": ready_catalog(session),
        "bp": bp,
        "bps": bps,
        "bpp": bpp,
    }
    return {**session.devices, **names, **helpers, **maps, **session.extras, **own}


def known_by_name(session: Any, logs: Path) -> Any:
    """What plans may ask of a session: devices and plans by name, the shutter, earlier runs.

    Those are looked up in a folder of document logs.
    """
    from .. import plans
    from ..storage import linked_runs

    return plans.Lookup(
        devices=session.devices,
        plans={name: getattr(plans, name) for name in plans.__all__ if name[0].islower()},
        shutter=session.beam_shutter,
        runs=partial(linked_runs, logs),
        documents=partial(session.logged, logs),
    )


def ready_catalog(session: Any) -> Any:
    """The catalog, open; one that does not answer is told, and keeps nobody from measuring."""
    from ..storage import CatalogError

    if not session.stored.outage:
        try:
            session.stored.open()
        except (CatalogError, ValueError) as exc:
            session.stored.doubt(str(exc))
            log.warning("%s", exc)
    return session.cat
