"""Names of an interactive session."""

from __future__ import annotations

from typing import Any

__all__ = ["namespace"]


def namespace(session: Any) -> dict[str, Any]:
    """What the shell has by name: devices, plans, maps, and what bluesky's users expect."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    import bluesky.preprocessors as bpp

    from . import callbacks, data, plans

    names = {name: getattr(plans, name) for name in plans.__all__ if name[0].islower()}
    helpers = {
        "OxidationMap": callbacks.OxidationMap,
        "MapView": callbacks.MapView,
        "oxidation_map": callbacks.oxidation_map,
        "RixsMap": callbacks.RixsMap,
        "rixs_from_run": callbacks.rixs_from_run,
        "load_references": data.load_references,
        "references_from_csv": data.references_from_csv,
    }
    maps = {"omap": session.map, "rmap": session.rixs, "windows": session.windows}
    own = {"s": session, "RE": session.RE, "cat": session.cat, "bp": bp, "bps": bps, "bpp": bpp}
    return {**session.devices, **names, **helpers, **maps, **own}
