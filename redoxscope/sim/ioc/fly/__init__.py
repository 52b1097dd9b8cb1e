"""The FLY/DAQ contract of the ALS caproto IOCs, served by the simulated beamline.

A controller that flies one line at a time: the client moves the slow axis, asks for a line, waits
for it. Names, types, order of writes, state machine and errors are theirs; what the counters count
comes from the model that the rest of the simulated beamline serves too.
"""

from ._fleet import Fleet

__all__ = ["Fleet"]
