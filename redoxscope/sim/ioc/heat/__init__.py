"""The heated sample's surroundings as PVs: stages with their controllers, guards, vacuum."""

from ._world import STAGES, HeatWorld

__all__ = ["STAGES", "HeatWorld"]
