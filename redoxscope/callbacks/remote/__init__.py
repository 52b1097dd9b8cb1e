"""Documents to other processes and machines and from there, over a 0MQ proxy of bluesky's."""

from ._apart import ApartHost
from ._listener import Listener
from ._process import HostProcess
from ._publisher import DocumentPublisher

__all__ = ["ApartHost", "DocumentPublisher", "HostProcess", "Listener"]
