"""What a dry run found: the runs, their times and doses, what would have failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Account", "Run", "told"]


def told(error: BaseException) -> str:
    """An error in one line, with its kind where that says something."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind in ("ValueError", "ConfigError", "DeviceError"):
        return text
    return f"{kind}: {text}" if text else kind


@dataclass
class Run:
    """A run, or a plan that was refused before it had one.

    Attributes
    ----------
    plan : str
    start_s, duration_s : float
        Since the script began (s).
    live_s : float
        Time with the detectors counting (s).
    photons : float or None
        On the pixel that has most; None where the flux is not known.
    dose_gy : float or None
        Largest dose on a pixel (Gy); None where nothing says what is absorbed.
    ok : bool
    error : str or None
    line : str or None
        Of the script, as ``night.py:12``.
    """

    plan: str
    start_s: float
    duration_s: float = 0.0
    live_s: float = 0.0
    photons: float | None = None
    dose_gy: float | None = None
    ok: bool = True
    error: str | None = None
    line: str | None = None


@dataclass
class Account:
    """All that a dry run found.

    Attributes
    ----------
    runs : list of Run
    notes : list of str
        What the dry run could not foretell, or took otherwise than the script says.
    total_s : float
        From the begin of the script to its end (s).
    more_s : float
        What may come in addition, at most (s), of what depends on what is measured.
    ended_early : str or None
        Line at which an error ended the script: what comes after it was not looked at.
    """

    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total_s: float = 0.0
    more_s: float = 0.0
    ended_early: str | None = None
    _unknown: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing would have failed."""
        return self.ended_early is None and all(run.ok for run in self.runs)

    def note(self, text: str, line: str | None = None) -> None:
        """Note something once."""
        text = text if line is None else f"{line}: {text}"
        if text not in self.notes:
            self.notes.append(text)

    def unknown(self, text: str, plan: str = "") -> None:
        """Note what is not known, once, with the plans of which it is not."""
        plans = self._unknown.setdefault(text, [])
        before = _unknown(text, plans)
        if plan and plan not in plans:
            plans.append(plan)
        if before in self.notes:
            self.notes[self.notes.index(before)] = _unknown(text, plans)
        else:
            self.note(_unknown(text, plans))

    def to_json(self) -> str:
        """For programs."""
        content: dict[str, Any] = {
            "runs": [asdict(run) for run in self.runs],
            "total_s": self.total_s,
            "more_s": self.more_s,
            "notes": self.notes,
            "ended_early": self.ended_early,
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def table(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        row = "{:>9}  {:>9}  {:<22}  {:>9}  {:>9}  {:>9}  {}"
        yield row.format("start", "duration", "plan", "live", "photons", "dose", "")
        for run in self.runs:
            state = "ok" if run.ok else "FAILS"
            where = "" if run.line is None else f"  {run.line}"
            yield row.format(
                _clock(run.start_s),
                _clock(run.duration_s),
                run.plan,
                _clock(run.live_s),
                "-" if run.photons is None else f"{run.photons:.3g}",
                _dose(run.dose_gy),
                state + where,
            ).rstrip()
            if run.error is not None:
                yield f"{'':11}{run.error}"
        failed = sum(not run.ok for run in self.runs)
        live = sum(run.live_s for run in self.runs)
        more = f" and up to {_clock(self.more_s)} more" if self.more_s else ""
        yield (
            f"total {_clock(self.total_s)}{more}, of which {_clock(live)} live; {len(self.runs)} "
            + ("run" if len(self.runs) == 1 else "runs")
            + (f", {failed} would fail" if failed else ", none would fail")
        )
        if self.ended_early is not None:
            yield f"{self.ended_early} ends the script: what comes after it was not looked at."
        for note in self.notes:
            yield f"note: {note}"


def _unknown(text: str, plans: list[str]) -> str:
    return f"{', '.join(plans)}: {text}" if plans else text


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _dose(gray: float | None) -> str:
    if gray is None:
        return "-"
    for unit, size in (("GGy", 1e9), ("MGy", 1e6), ("kGy", 1e3)):
        if gray >= size:
            return f"{gray / size:.3g} {unit}"
    return f"{gray:.3g} Gy"
