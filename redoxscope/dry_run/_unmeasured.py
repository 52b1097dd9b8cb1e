"""What stands for a result that nobody measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["Unmeasured"]


class Unmeasured:
    """Map, catalog or number of a run that was only foretold.

    It can be asked for anything, counted with, printed and drawn, and stays unknown. Where the
    script decides by it, that is noted, and the answer is no.

    Parameters
    ----------
    decides : callable
        Called where the script decides by it.
    """

    def __init__(self, decides: Callable[[], None]):
        self._decides = decides

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
        self._decides()
        return False

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __contains__ = _no
    __hash__ = object.__hash__

    def _itself(self, *args: Any) -> Unmeasured:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _itself
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = __round__ = _itself
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __matmul__ = __rmatmul__ = _itself
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _itself
