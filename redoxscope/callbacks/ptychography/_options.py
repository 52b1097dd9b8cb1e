"""Choices of who reconstructs."""

from __future__ import annotations

from dataclasses import dataclass

from ...analysis.ptychography import array_module
from ...data import References, UndeterminedError, get_edge, load_references
from ...inputs import as_whole
from .._documents import Doc

__all__ = ["PtychoOptions", "references_for"]


@dataclass(frozen=True)
class PtychoOptions:
    """Choices a user makes.

    Parameters
    ----------
    live_updates : int
        Updates that each frame gets while others come.
    updates : int
        Updates of each frame after which an energy is done.
    modes : int
        Modes of the beam. With more than one, an energy whose updates are made goes on for half as
        many more with that many modes, and with places that may move by 10 nm.
    resolution : bool
        Whether the energy with most light is reconstructed from halves of its frames, too.
    references : References, optional
        Spectra of the pure phases; by default those of the run's edge.
    gpu : bool
        Whether a GPU reconstructs, by CuPy.

    Raises
    ------
    ValueError
        A number is none, or the references are none; there is no CuPy, or no GPU.
    """

    live_updates: int = 3
    updates: int = 30
    modes: int = 2
    resolution: bool = True
    references: References | None = None
    gpu: bool = False

    def __post_init__(self) -> None:
        as_whole("live_updates", self.live_updates, at_least=1)
        as_whole("updates", self.updates, at_least=1)
        as_whole("modes", self.modes, at_least=1, at_most=8)
        if type(self.resolution) is not bool:
            raise ValueError(f"resolution = {self.resolution!r:.40} must be True or False")
        if type(self.gpu) is not bool:
            raise ValueError(f"gpu = {self.gpu!r:.40} must be True or False")
        try:
            array_module(self.xp)
        except ValueError as exc:
            raise ValueError(f"gpu = True: {exc}") from exc
        if self.references is not None and not isinstance(self.references, References):
            raise ValueError(
                f"references = {self.references!r:.80} must be References: see load_references, "
                "references_from_csv"
            )

    @property
    def xp(self) -> str:
        """Array module of the engine."""
        return "cupy" if self.gpu else "numpy"


def references_for(
    start: Doc, energies: list[float], options: PtychoOptions
) -> tuple[References | None, str]:
    """References of a run, and why there are none, in words.

    Raises
    ------
    ValueError
        Those that a user gave do not suit the energies.
    """
    if options.references is not None:
        options.references.design(energies)
        return options.references, ""
    edge = start.get("edge")
    if not edge:
        return None, "the run names no edge"
    try:
        if not get_edge(str(edge)).species:
            return None, f"there are no references of {edge}"
        found = load_references(str(edge))
        found.design(energies)
    except UndeterminedError as exc:
        return None, str(exc)
    except ValueError as exc:
        return None, str(exc)
    return found, ""
