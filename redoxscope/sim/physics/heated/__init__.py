"""The model of an electrode that is heated: what becomes of it, and what one sees of that."""

from ._sample import GASES, ON_STAGE, HeatedSample

__all__ = ["GASES", "ON_STAGE", "HeatedSample"]
