"""Rotation series: projections of a sample over an angle, also while it is hot."""

from ._rotation import rotation_series

__all__ = ["rotation_series"]
