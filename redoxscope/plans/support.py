"""What the queue, a dry run and the session use of plans, and a user at the prompt does not."""

from ._carried import carried
from ._foretold import Foreseen
from ._inputs import lacking
from ._public import description, device_parameters
from .estimates import largest, move_time, without_verdict
from .stxm import stack_start

__all__ = [
    "Foreseen",
    "carried",
    "description",
    "device_parameters",
    "lacking",
    "largest",
    "move_time",
    "stack_start",
    "without_verdict",
]
