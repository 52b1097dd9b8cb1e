"""Good enough: how many pixels are as sure as was asked for, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...inputs import as_number, check_keys, is_number
from ._result import OxidationResult

__all__ = ["FREEDOM", "Forecast", "Target", "as_target"]

FREEDOM = 2
"""Energies more than coefficients that a target needs: without them chi-square says nothing."""
NARROW = 0.15
"""Part of themselves by which the energies needed may turn out fewer or more and still be told as
one number, as far as its range says."""


@dataclass(frozen=True)
class Target:
    """What a map is to reach.

    Parameters
    ----------
    sigma : float
        Standard deviation of the fraction, above 0 and below 1.
    share : float
        Share of the pixels of the mask that are to reach it, above 0 and at most 1.

    Raises
    ------
    ValueError
        Outside of these.
    """

    sigma: float
    share: float = 0.9

    def __post_init__(self) -> None:
        sigma = as_number("until sigma", self.sigma, above=0, at_most=1)
        share = as_number("until share", self.share, above=0, at_most=1)
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "share", share)

    def __str__(self) -> str:
        return f"σ ≤ {self.sigma:g} in {100 * self.share:g} % of the pixels"

    def as_dict(self) -> dict[str, float]:
        """As JSON has it."""
        return asdict(self)

    def reached(self, result: OxidationResult) -> float:
        """Share of the pixels of the mask that have reached it; 0 without any."""
        if not result.n_mask:
            return 0.0
        return float((result.sigma[result.mask] <= self.sigma).mean())


def as_target(value: Any) -> Target:
    """A target from what a user gives: `Target`, a number (σ) or ``{"sigma": 0.05, "share": 0.9}``.

    Raises
    ------
    ValueError
        It is none of these, or a value makes no sense.
    """
    if isinstance(value, Target):
        return value
    if isinstance(value, Mapping):
        check_keys("until", value, ("sigma", "share"), needed=1)
        return Target(**value)
    if is_number(value):
        return Target(value)
    raise ValueError(
        f"until = {value!r:.80} must be a σ of the fraction, as 0.05, or "
        "{'sigma': 0.05, 'share': 0.9}"
    )


@dataclass(frozen=True)
class Forecast:
    """How far a stack is from its target.

    Attributes
    ----------
    share : float
        Share of the pixels that have reached it.
    pixels : int
        In the mask.
    done, total : int
        Energies measured, and of the scan.
    needed : int or None
        Energies after which it will most likely be reached; None where the scan will not reach it.
    final_share : float
        Share that will have reached it at the end of the scan; NaN where nothing can be said.
    earliest, latest : int or None
        The same as ``needed`` if all turns out well, or badly: where the share rises slowly, many
        energies lie between.
    """

    share: float
    pixels: int
    done: int
    total: int
    needed: int | None
    final_share: float
    earliest: int | None = None
    latest: int | None = None

    @property
    def enough(self) -> bool:
        """Whether it is reached."""
        return self.needed is not None and self.needed <= self.done

    @property
    def foretold(self) -> bool:
        """Whether ``needed`` is worth a number: by its range it may turn out 15 % smaller or
        larger at most, or one energy.
        """
        if self.needed is None or self.earliest is None or self.latest is None:
            return False
        off = max(self.needed - self.earliest, self.latest - self.needed)
        return off <= max(1.0, NARROW * self.needed)

    def in_words(self, target: Target, *, of: str = "", left: str = "", over: bool = False) -> str:
        """How far it is, in one line: ``62 % of 412 pixels have σ ≤ 0.05 after 9 of 59 energies,
        wished 90 %: about 14 more, 6 min left``.

        Where one number would promise too much, it is two: ``between 12 and 31 more``.

        Parameters
        ----------
        target : Target
        of : str
            Whose pixels, e.g. the region's name.
        left : str
            How long it will take.
        over : bool
            Whether no more will come.
        """
        said = (
            f"{100 * self.share:.0f} % of {self.pixels} pixels{of and f' of {of}'} have σ ≤ "
            f"{target.sigma:g} after {self.done} of {self.total} energies, wished "
            f"{100 * target.share:g} %"
        )
        if over or self.enough or self.done == self.total:
            return said
        if np.isnan(self.final_share):
            return f"{said}: it is too early to say more"
        if self.needed is None:
            end = f"{said}: {100 * self.final_share:.0f} % at the end"
            if self.earliest is None:
                return f"{end}, so it will not be reached"
            return f"{end}, so it may just be missed (or {self.earliest - self.done} more)"
        left = left and f", {left} left"
        more = self.needed - self.done
        if self.foretold:
            return f"{said}: about {more} more{left}"
        first = min(more, (self.earliest or self.needed) - self.done)
        if self.latest is None:
            return f"{said}: {first} more at the earliest, at the latest never{left}"
        last = max(more, self.latest - self.done)
        return f"{said}: between {first} and {last} more{left}"
