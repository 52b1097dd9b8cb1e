"""For tests of a beamline's own: its session on a simulation, that reaches nothing real."""

from ._session import check_simulated, on_the_simulation

__all__ = ["check_simulated", "on_the_simulation"]
