"""What ``redoxscope demo ptycho`` says while it goes on and at the end."""

from __future__ import annotations

from typing import Any

from ..documents import PTYCHO
from ._common import echo

__all__ = ["PtychoProgress", "report_ptycho"]


class PtychoProgress:
    """Shows what the experiment is at."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task
        self._energy: float | None = None
        self.live: Any = None

    def run(self, start: Any) -> None:
        echo("Ptychography …" if start["plan_name"] == PTYCHO else "STXM …")
        self._energy = None
        self._progress.reset(self._task, total=start.get("num_points"))

    def event(self, data: Any) -> None:
        if "exposure" not in data and "line" not in data:
            return  # of a baseline
        energy, done = data["energy"], 1
        if isinstance(energy, list):  # of an event page
            energy, done = energy[-1], len(energy)
        text = f"{energy:8.2f} eV"
        snapshot = self.live.snapshot if "exposure" in data else None
        if snapshot is not None:
            pace = snapshot.pace
            text += f"  {pace.frames} of {pace.total} places reconstructed"
            if pace.behind:
                text += f", {pace.seconds_behind:.1f} s behind"
        self._progress.update(self._task, advance=done, description=text)
        near = round(energy, 1)
        if not self._progress.console.is_terminal and near != self._energy:
            self._energy = near
            echo(text)

    def rest(self) -> None:
        echo("All frames are taken. Reconstructing to the end, then the map and the profiles …")


def report_ptycho(summary: Any) -> None:
    """Say what was found, from the demonstration's summary."""
    if summary.get("pixel_nm") is None:
        return
    echo(f"\npixel {summary['pixel_nm']:.2f} nm")
    for key, what in (
        ("half_pitch_nm", "two halves of the frames agree to a half-pitch of {:.1f} nm"),
        ("half_pitch_truth_nm", "with the simulated object to {:.1f} nm"),
        ("ms_per_frame", "{:.1f} ms per place to read, merge and update once"),
        ("seconds_behind_last", "{:.1f} s behind at the last frame"),
        ("recognised_at", "first recognisable at {:.0%} of the first energy's frames"),
    ):
        if summary[key] is not None:
            echo(f"  {what.format(summary[key])}")
    for key, what in (("stxm", "STXM"), ("ptychography", "ptychography")):
        found = summary[key]
        if found and found["pixels"]:
            echo(
                f"Mn3+ by {what}: rms {found['rms_error']:.3f} from the truth over "
                f"{found['pixels']} pixels, median σ {found['sigma_median']:.3f}, "
                f"pull {found['pull_std']:.2f} (1 = the σ is right)"
            )
    fits = summary["fits"]
    if fits and not fits["refused"]:
        true = summary["d_true_cm2_s"]
        echo(
            f"{fits['model']} preferred (ΔAIC {fits['delta_aic']:.1f}); D = "
            f"{fits['d_cm2_s']:.2g} cm²/s, 68 % within {fits['d_low_cm2_s']:.2g} to "
            f"{fits['d_high_cm2_s']:.2g}" + ("" if true is None else f"; simulated {true:.2g}")
        )
    elif fits:
        echo(f"{fits['model'] or 'no model'} preferred; no D: {fits['refused']}")
    elif summary["no_profiles"]:
        echo(f"no profiles: {summary['no_profiles']}")
    for doubt in summary["doubts"]:
        echo(f"doubt: {doubt['text']}")
    echo(f"it took {summary['wall_s']:.0f} s")
