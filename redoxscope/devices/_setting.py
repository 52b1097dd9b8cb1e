"""What a user sets: a signal that refuses nonsense and is done at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ophyd import Signal
from ophyd.status import Status

from ._base import done

__all__ = ["Setting"]


class Setting(Signal):
    """Value kept in this process.

    Parameters
    ----------
    check : callable, optional
        Raises `ValueError` for a value that cannot be, else returns the value to keep.
    unit : str, optional
    doc : str
        What it is.
    """

    def __init__(
        self,
        *args: Any,
        check: Callable[[Any], Any] | None = None,
        unit: str | None = None,
        doc: str = "",
        **kwargs: Any,
    ):
        self._check, self.unit, self.doc = check, unit, doc
        super().__init__(*args, **kwargs)

    def check_value(self, value: Any) -> None:
        """Refuse a value that cannot be.

        Raises
        ------
        ValueError
            Names the setting, the value and the unit.
        """
        self._checked(value)

    def put(self, value: Any, **kwargs: Any) -> None:
        super().put(self._checked(value), **kwargs)

    def set(self, value: Any, **kwargs: Any) -> Status:
        """Take over a value at once."""
        self.put(value)
        return done()

    def describe(self) -> dict[str, Any]:
        keys = super().describe()
        if self.unit:
            keys[self.name]["units"] = self.unit
        return keys

    def _checked(self, value: Any) -> Any:
        if self._check is None:
            return value
        try:
            return self._check(value)
        except (TypeError, ValueError) as exc:
            unit = f" {self.unit}" if self.unit else ""
            raise ValueError(f"{self.name} = {value!r}{unit} {exc}") from exc
