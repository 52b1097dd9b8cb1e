"""A dry run of a user's script: on a simulated beamline made from a beamline file.

`layout_of` makes what the simulation serves, `take_snapshot` reads how the real one stands,
`dry_run` carries out a script.
"""

from ._account import Account, Run
from ._layout_of import layout_of, names_of
from ._script import dry_run
from ._snapshot import take_snapshot
from ._state import State, StateError, read_state

__all__ = [
    "Account",
    "Run",
    "State",
    "StateError",
    "dry_run",
    "layout_of",
    "names_of",
    "read_state",
    "take_snapshot",
]
