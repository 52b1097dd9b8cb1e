"""Named windows on the excitation x emission map, in the form users and documents write."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..inputs import as_number, suggestion
from ._rixs import Bins

__all__ = ["WINDOW_KINDS", "Window"]

WINDOW_KINDS = ("TFY", "PFY", "sPFY", "iPFY", "XES")
_TEXT = re.compile(r"(?:(?P<name>[^=]*)=)?\s*(?P<kind>\w+)\s*(?:\[(?P<range>[^\]]*)\])?\s*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Window:
    """A range of the map and what is made of it; ``str()`` and `parse` are each other's inverse.

    Parameters
    ----------
    kind : {"TFY", "PFY", "sPFY", "iPFY", "XES"}
        Total, partial, super-partial (around one feature) and inverse partial fluorescence
        yield: a spectrum over the excitation. ``"XES"``: an emission spectrum.
    low, high : float
        Range (eV) of the *excitation* for XES, else of the emission. TFY may be without one,
        then it takes the detector's whole band.
    name : str, optional
        Letters, digits and underscores, a letter first. Without one the window is called by its
        kind, an XES also by its range (``"XES_530_532"``), since several of them are usual.

    Raises
    ------
    ValueError
        Unknown kind, range that does not rise or is not finite, or a name that is not one.

    Examples
    --------
    >>> Window.parse("oxo=sPFY[522.3:525.1]")
    Window(kind='sPFY', low=522.3, high=525.1, name='oxo')
    >>> Window.parse("PFY[765:785]").name
    'PFY'
    """

    kind: str
    low: float = -math.inf
    high: float = math.inf
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in WINDOW_KINDS:
            raise ValueError(
                f"window kind {self.kind!r} is not known"
                f"{suggestion(self.kind, WINDOW_KINDS)}; known: {', '.join(WINDOW_KINDS)}"
            )
        for limit in ("low", "high"):
            value = as_number(
                f"window {self.kind} {limit}", getattr(self, limit), "eV", finite=False
            )
            object.__setattr__(self, limit, value)
        if not self.low < self.high:
            raise ValueError(
                f"window {self.kind}[{self.low:g}:{self.high:g}]: "
                f"{self.high:g} eV must lie above {self.low:g} eV"
            )
        if math.isinf(self.low) != math.isinf(self.high) or (
            math.isinf(self.low) and self.kind != "TFY"
        ):
            raise ValueError(f"window {self.kind} needs a range in eV, as in {self.kind}[505:535]")
        if not isinstance(self.name, str):
            raise ValueError(f"window name {self.name!r} must be text")
        if not self.name:
            object.__setattr__(self, "name", self._default_name)
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"window name {self.name!r} must be letters, digits and _, a letter first"
            )

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read a window as users write it, for instance ``"PFY[765:785]"`` or ``"TFY"``.

        Raises
        ------
        ValueError
            The text is no window; the message says what is wrong with it.
        """
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"window {text!r} is not of the form KIND[low:high] or name=KIND[…]")
        name = match["name"]
        if name is not None and not name.strip():
            raise ValueError(f"window {text!r} has an empty name")
        name = (name or "").strip()
        if match["range"] is None:
            return cls(match["kind"], name=name)
        limits = match["range"].split(":")
        try:
            low, high = (float(limit) for limit in limits)
        except ValueError:
            raise ValueError(
                f"window {text!r}: [{match['range']}] is not a range low:high in eV"
            ) from None
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"window {text!r}: its limits must be finite, eV")
        return cls(match["kind"], low, high, name)

    def __str__(self) -> str:
        limits = "" if math.isinf(self.low) else f"[{_number(self.low)}:{_number(self.high)}]"
        name = "" if self.name == self._default_name else f"{self.name}="
        return f"{name}{self.kind}{limits}"

    @property
    def _default_name(self) -> str:
        if self.kind != "XES":
            return self.kind
        text = f"{self.kind}_{_number(self.low)}_{_number(self.high)}"
        return text.replace(".", "p").replace("-", "m").replace("+", "")

    @property
    def in_excitation(self) -> bool:
        """Whether the range is in excitation energy (XES), not in emission energy."""
        return self.kind == "XES"

    def slice(self, bins: Bins) -> slice:
        """Emission bins of the window: its limits moved to the nearest edges of bins.

        A part of a bin's counts has no Poisson statistics, so bins are taken whole.

        Raises
        ------
        ValueError
            The window is in excitation energy, reaches beyond the bins, or is narrower than
            half a bin.
        """
        if self.in_excitation:
            raise ValueError(f"window {self} is a range of excitation, not of emission energy")
        if math.isinf(self.low):
            return slice(0, len(bins))
        first = round((self.low - bins.low) / bins.step)
        stop = round((self.high - bins.low) / bins.step)
        if first < 0 or stop > len(bins):
            raise ValueError(
                f"window {self} reaches beyond the spectrum of {bins.low:g} to {bins.high:g} eV"
            )
        if stop <= first:
            raise ValueError(f"window {self} is narrower than the bins of {bins.step:g} eV")
        return slice(first, stop)

    def snapped(self, bins: Bins) -> Window:
        """The window that `slice` takes: limits on edges of bins.

        Raises
        ------
        ValueError
            As `slice`.
        """
        part = self.slice(bins)
        edges = bins.edges.round(9)
        return Window(self.kind, float(edges[part.start]), float(edges[part.stop]), self.name)


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)
