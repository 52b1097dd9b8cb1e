"""Names of an interactive session."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["namespace", "ready_catalog"]

log = logging.getLogger("redoxscope.session")


def namespace(session: Any) -> dict[str, Any]:
    """What the shell has by name: devices, plans, maps, and what bluesky's users expect."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    import bluesky.preprocessors as bpp

    from . import callbacks, data, plans, scan

    names = {name: getattr(plans, name) for name in plans.__all__ if name[0].islower()}
    helpers = {
        "Region": scan.Region,
        "RingSuspender": plans.RingSuspender,
        "Scan": scan.Scan,
        "Zone": scan.Zone,
        "points_scan": scan.points_scan,
        "stack_scan": scan.stack_scan,
        "OxidationMap": callbacks.OxidationMap,
        "MapView": callbacks.MapView,
        "oxidation_map": callbacks.oxidation_map,
        "oxidation_maps": callbacks.oxidation_maps,
        "RixsMap": callbacks.RixsMap,
        "rixs_from_run": callbacks.rixs_from_run,
        "load_references": data.load_references,
        "references_from_csv": data.references_from_csv,
    }
    maps = {"omap": session.map, "rmap": session.rixs, "windows": session.windows}
    own = {
        "s": session,
        "RE": session.RE,
        "sd": session.sd,
        "cat": ready_catalog(session),
        "bp": bp,
        "bps": bps,
        "bpp": bpp,
    }
    return {**session.devices, **names, **helpers, **maps, **own}


def ready_catalog(session: Any) -> Any:
    """The catalog, open; one that does not answer is told, and keeps nobody from measuring."""
    from .storage import CatalogError

    if not session.stored.outage:
        try:
            session.stored.open()
        except (CatalogError, ValueError) as exc:
            session.stored.doubt(str(exc))
            log.warning("%s", exc)
    return session.cat
