"""Documents of a session, and photons of its spectrometers, to who watches elsewhere."""

from __future__ import annotations

from contextlib import ExitStack

from bluesky import RunEngine

from ..beamline import Beamline
from ..callbacks import CosmicPublisher, DocumentPublisher

__all__ = ["publish_documents", "publish_frames"]


def publish_documents(
    address: str, beamline: Beamline, engine: RunEngine, steps: ExitStack
) -> DocumentPublisher | None:
    """Publish what an engine emits over a 0MQ proxy, where one is wanted.

    Parameters
    ----------
    address : str
        Where the proxy takes documents in; empty for none.
    beamline : Beamline
        Whose name watchers hear; photons of the point under way are published of its devices that
        give them.
    engine : bluesky.RunEngine
    steps : contextlib.ExitStack
        Undoes it.
    """
    if not address:
        return None
    publisher = steps.enter_context(DocumentPublisher(address, name=beamline.file.name))
    engine.subscribe(publisher)
    for device in beamline.devices.values():
        if hasattr(device, "subscribe_batches"):
            device.subscribe_batches(publisher.photons)
    return publisher


def publish_frames(address: str, engine: RunEngine, steps: ExitStack) -> CosmicPublisher | None:
    """Publish frames of ptychography as COSMIC's preprocessor does, where that is wanted.

    Parameters
    ----------
    address : str
        Where subscribers find them; empty for nowhere.
    engine : bluesky.RunEngine
    steps : contextlib.ExitStack
        Undoes it.

    Raises
    ------
    ValueError
        Somebody else has the address.
    """
    if not address:
        return None
    publisher = steps.enter_context(CosmicPublisher(address.removeprefix("tcp://")))
    engine.subscribe(publisher)
    return publisher
