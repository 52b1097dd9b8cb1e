"""What the queue, a dry run and the session use of plans, and a user at the prompt does not."""

from ._carried import carried
from ._inputs import lacking
from ._public import description, device_parameters
from .estimates import without_verdict

__all__ = ["carried", "description", "device_parameters", "lacking", "without_verdict"]
