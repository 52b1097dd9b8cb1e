"""Documents to other processes and machines and from there, over a 0MQ proxy of bluesky's."""

from ._address import proxy_address
from ._listener import Listener
from ._publisher import DocumentPublisher

__all__ = ["DocumentPublisher", "Listener", "proxy_address"]
