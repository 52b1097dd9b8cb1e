"""A server in a process of its own: started, awaited, ended with its parent; its ports."""

from ._child import Child, SimulationError, end_with_parent
from ._ports import check_free, free_port
from ._repeater import answer_repeater_requests

__all__ = [
    "Child",
    "SimulationError",
    "answer_repeater_requests",
    "check_free",
    "end_with_parent",
    "free_port",
]
