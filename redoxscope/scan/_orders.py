"""In which order a stack visits its energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..inputs import as_whole, suggestion

__all__ = ["ORDERS", "as_order", "bit_reversed"]

ORDERS = ("sequential", "bit-reversed", "informative")
"""What a user may say of the order of energies."""


def bit_reversed(n: int) -> list[int]:
    """Indices 0 to ``n - 1``, coarse to fine: each prefix is spread evenly over all of them.

    The binary digits of each place read backwards (van der Corput's sequence), places beyond the
    last left out. Of a stack that ends early, what was measured covers the whole edge.

    Parameters
    ----------
    n : int
        At least 1.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        Not a whole number of at least 1.
    """
    n = as_whole("n", n, at_least=1)
    digits = (n - 1).bit_length()
    places = (
        sum((i >> d & 1) << (digits - 1 - d) for d in range(digits)) for i in range(1 << digits)
    )
    return [place for place in places if place < n]


def as_order(order: Any, energies: Sequence[float]) -> list[int]:
    """Indices into energies, in the order in which they are visited.

    Parameters
    ----------
    order : {"sequential", "bit-reversed"} or sequence of int
        As they are given; coarse to fine, in the order of their values; or the indices themselves,
        each once.
    energies : sequence of float
        eV.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        Another word, or indices that are not each of those of the energies once.
    """
    n = len(energies)
    if not isinstance(order, str):
        return _listed(order, n)
    if order == "sequential":
        return list(range(n))
    if order == "bit-reversed":
        rising = sorted(range(n), key=lambda i: energies[i])
        return [rising[i] for i in bit_reversed(n)]
    if order == "informative":
        raise ValueError(
            "order = 'informative' needs reference spectra: give the plan references=…, or an edge "
            "that has some"
        )
    raise ValueError(
        f"order = {order!r} is unknown, it must be one of {', '.join(ORDERS)}"
        f"{suggestion(order, ORDERS)}"
    )


def _listed(order: Any, n: int) -> list[int]:
    if not isinstance(order, (Sequence, np.ndarray)):
        raise ValueError(f"order = {order!r:.80} must be one of {', '.join(ORDERS)}")
    found = [as_whole(f"order[{i}]", k, at_most=n - 1) for i, k in enumerate(order)]
    if len(found) != n or len(set(found)) != n:
        raise ValueError(f"order has {len(found)} places; it must name each of {n} energies once")
    return found
