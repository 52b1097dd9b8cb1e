"""What stands for a result that nobody measured."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

__all__ = ["Unmeasured", "known_or", "unless_unmeasured"]

P = ParamSpec("P")
R = TypeVar("R")


class Unmeasured:
    """Map, catalog or number of a run that was only foretold.

    It can be asked for anything, counted with, printed and drawn, and stays unknown. Where the
    script decides by it, that is noted, and the answer is no.

    Parameters
    ----------
    note : callable
        ``note(text)`` tells the user what is taken otherwise than it would be.
    """

    def __init__(self, note: Callable[[str], None]):
        self._note = note

    def __getattr__(self, name: str) -> Unmeasured:
        if name.startswith("__"):
            raise AttributeError(name)  # numpy, pickle and copy look for their own
        return self

    def __getitem__(self, key: Any) -> Unmeasured:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Unmeasured:
        return self

    def __enter__(self) -> Unmeasured:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "(not measured)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __float__(self) -> float:
        return math.nan

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(math.nan, dtype=dtype)

    def _no(self, *args: Any) -> bool:
        self._note(
            "the script decides by what was measured; taken as: no. --full measures it, on the "
            "simulated sample"
        )
        return False

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __contains__ = _no
    __hash__ = object.__hash__

    def _itself(self, *args: Any) -> Unmeasured:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _itself
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = __round__ = _itself
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __matmul__ = __rmatmul__ = _itself
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _itself


def known_or(value: Any, otherwise: Any, note: str) -> Any:
    """The value; of what nobody measured what is taken instead, and the user is told (`note`)."""
    if not isinstance(value, Unmeasured):
        return value
    value._note(note)  # noqa: SLF001
    return otherwise


def unless_unmeasured(note: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: of what nobody measured, the answer is what stands for it, and nothing is done.

    Parameters
    ----------
    note : str
        What the user is told then.
    """

    def of_measured(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def answered(*args: P.args, **kwargs: P.kwargs) -> R:
            for one in (*args, *kwargs.values()):
                if isinstance(one, Unmeasured):
                    if note:
                        one._note(note)  # noqa: SLF001
                    return cast(R, one)
            return function(*args, **kwargs)

        return answered

    return of_measured
