"""Files of other microscopes: into the catalog, and as the sample of the simulated beamline."""

from ._import import import_stxm, stack_documents
from ._sample import write_sample

__all__ = ["import_stxm", "stack_documents", "write_sample"]
