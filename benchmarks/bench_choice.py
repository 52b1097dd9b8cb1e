"""What fewer measurements cost: rms of a map against that of the whole stack, by their number.

Of the measured stack of iron in ../shared/data, so there is nothing to print without it.
``python -m benchmarks.bench_choice`` prints it; `rows` returns it. ``--picture FILE`` draws the
curves instead, as in docs/images/fewer_measurements.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from redoxscope.analysis.oxidation import StackFit, informative_order, rows_that_matter
from redoxscope.scan import bit_reversed

Row = dict[str, object]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "toner_fe_l" / "71214078.h5"
ENERGIES = (8, 10, 15, 20, 30, 60)
SHARES = (0.05, 0.06, 0.08, 0.1, 0.15)
"""Of all lines of the stack."""
IMAGES = (5, 7, 9, 12, 15, 20, 30, 45, 60, 90)
PICTURE_SHARES = (*SHARES, 0.2, 0.3)
"""Of the picture: whole images, and shares with chosen rows."""
LEAST = 0.3
"""Thickness (of the references) from which on a pixel counts."""
DRAWS = 50
"""... of energies at random; of whole images, which take longer, fewer:"""
IMAGE_DRAWS = 9


class Stack:
    """The measured stack, with I0 as it was measured beside it."""

    def __init__(self, path: Path) -> None:
        import h5py

        with h5py.File(path) as file:
            self.counts = file["counts"][:].astype(float)
            self.energies = file["energy"][:]
            self.design = np.column_stack(
                [file["oxidized"][:, 1], file["reduced"][:, 1], np.ones(len(self.counts))]
            )
            i0 = file["i0"][:, 1] * file["dwell"][()]
        self.n, self.lines, _ = self.counts.shape
        self.od = (np.log(i0)[:, None, None] - np.log(self.counts)).reshape(self.n, -1)
        self.fraction, thickness = self._fit(np.arange(self.n))
        self.mask = thickness > LEAST

    def _fit(self, which: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.asarray(which)
        c = np.linalg.lstsq(self.design[chosen], self.od[chosen], rcond=None)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return c[0] / (c[0] + c[1]), c[0] + c[1]

    def rms(self, which: Sequence[int] | np.ndarray) -> float:
        """Of the map from some energies against that from all."""
        return _rms(self._fit(which)[0][self.mask] - self.fraction[self.mask])

    def empty_fit(self, order: np.ndarray) -> StackFit:
        """As a plan has it: I0 from the blank area of what was measured."""
        return StackFit(
            self.design[order], 2, self.counts.shape[1:], energies=self.energies[order],
            min_thickness=LEAST,
        )  # fmt: skip

    def flown(self, order: np.ndarray, share: float) -> tuple[StackFit, float]:
        """A fit of chosen rows, to a share of all lines; and the share that it has."""
        fit, taken = self.empty_fit(order), 0
        for i, k in enumerate(order):
            rows = None if i == 0 else rows_that_matter(fit, fit.solve(fit.refresh()))
            chosen = np.arange(self.lines) if rows is None else np.flatnonzero(rows)
            if not chosen.size or taken + chosen.size > share * self.lines * self.n:
                break
            taken += chosen.size
            for line in chosen:
                fit.set_line(i, int(line), self.counts[k, line])
        return fit, taken / (self.lines * self.n)

    def whole(self, order: np.ndarray, n: int) -> StackFit:
        """A fit of the first whole images."""
        fit = self.empty_fit(order)
        for i, k in enumerate(order[:n]):
            fit.set_image(i, self.counts[k])
        return fit


def _rms(off: np.ndarray) -> float:
    """Infinite where a pixel has no value."""
    return float(np.sqrt(np.mean(off**2))) if np.isfinite(off).all() else float("inf")


def _said(rms: float) -> str:
    return f"{rms:.3f}" if rms < 1 else "no map"


def _of_energies(stack: Stack) -> list[Row]:
    rng = np.random.default_rng(1)
    best = informative_order(stack.design, 2, stack.energies)
    spread = bit_reversed(stack.n)
    found: list[Row] = []
    for n in ENERGIES:
        draws = [stack.rms(rng.permutation(stack.n)[:n]) for _ in range(DRAWS)]
        found.append(
            {
                "what": f"map from {n} of {stack.n} energies, informative",
                "value": stack.rms(best[:n]), "unit": "rms", "target": 0.06 if n == 15 else None,
                "reference": f"bit-reversed {_said(stack.rms(spread[:n]))}, at random "
                f"{_said(float(np.median(draws)))} (median of {DRAWS}), sequential "
                f"{_said(stack.rms(range(n)))}",
            }
        )  # fmt: skip
    found.append(
        {
            "what": f"map from 30 of {stack.n} energies, bit-reversed",
            "value": stack.rms(spread[:30]), "unit": "rms", "target": 0.075,
            "reference": f"{int(stack.mask.sum())} pixels thicker than {LEAST:g} of the references",
        }
    )  # fmt: skip
    return found


def _of_rows(stack: Stack) -> list[Row]:
    rng = np.random.default_rng(1)
    order = np.array(informative_order(stack.design, 2, stack.energies))
    full = stack.whole(np.arange(stack.n), stack.n).solve()

    def rms(fit: StackFit) -> float:
        c = fit.solve().coefficients
        with np.errstate(divide="ignore", invalid="ignore"):
            return _rms((c[0] / (c[0] + c[1]) - full.fraction)[full.mask])

    found: list[Row] = []
    for share in SHARES:
        fit, taken = stack.flown(order, share)
        n = int(taken * stack.n)
        draws = [rms(stack.whole(rng.permutation(stack.n), n)) for _ in range(IMAGE_DRAWS)]
        found.append(
            {
                "what": f"map from {100 * taken:.1f} % of the lines, rows chosen",
                "value": rms(fit), "unit": "rms", "target": 0.06 if share == 0.1 else None,
                "reference": f"{n} whole images: informative {_said(rms(stack.whole(order, n)))}, "
                f"at random {_said(float(np.median(draws)))} (median of {IMAGE_DRAWS}), sequential "
                f"{_said(rms(stack.whole(np.arange(stack.n), n)))}",
            }
        )  # fmt: skip
    return found


def rows() -> list[Row]:
    """All figures; that the data are not here where they are not."""
    if not DATA.exists():
        return [
            {
                "what": "map from fewer measurements", "value": None, "unit": "rms",
                "target": None, "reference": "the measured stack is not here (../shared/data)",
            }
        ]  # fmt: skip
    stack = Stack(DATA)
    return [*_of_energies(stack), *_of_rows(stack)]


def draw(path: str | Path) -> None:
    """Draw rms against the share of lines measured, by how they are chosen; all with one fit."""
    from matplotlib.figure import Figure

    stack = Stack(DATA)
    rng = np.random.default_rng(1)
    best = np.array(informative_order(stack.design, 2, stack.energies))
    spread, risen = np.array(bit_reversed(stack.n)), np.arange(stack.n)
    full = stack.whole(risen, stack.n).solve()

    def rms(fit: StackFit) -> float:
        c = fit.solve().coefficients
        with np.errstate(divide="ignore", invalid="ignore"):
            return _rms((c[0] / (c[0] + c[1]) - full.fraction)[full.mask])

    share = 100.0 * np.array(IMAGES) / stack.n
    draws = [
        [rms(stack.whole(rng.permutation(stack.n), n)) for n in IMAGES] for _ in range(IMAGE_DRAWS)
    ]
    low, middle, high = np.percentile(draws, (16, 50, 84), axis=0, method="nearest")
    chosen = []
    for most in PICTURE_SHARES:
        fit, taken = stack.flown(best, most)
        chosen.append((100.0 * taken, rms(fit)))
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.add_subplot()
    ax.plot(*np.transpose(chosen), "o-", color="#440154", label="energies and rows informative")
    for order, label, style, colour in (
        (best, "energies informative", "s-", "#31688e"),
        (spread, "energies bit-reversed", "^-", "#35b779"),
        (risen, "energies sequential", "x-", "#999999"),
    ):
        ax.plot(
            share, [rms(stack.whole(order, n)) for n in IMAGES], style, color=colour, label=label,
            markersize=5,
        )  # fmt: skip
    known = np.isfinite(middle)
    ax.plot(share[known], middle[known], "-", color="#d1495b", label="energies at random, median")
    shown = known & np.isfinite(high)
    ax.fill_between(
        share[shown], low[shown], high[shown], color="#d1495b", alpha=0.2, linewidth=0,
        label=f"16 to 84 % of {IMAGE_DRAWS} draws",
    )  # fmt: skip
    ax.axhline(0.06, color="k", linewidth=0.8, linestyle=":")
    ax.text(99, 0.0615, "0.06", ha="right", fontsize=8)
    ax.set(
        xscale="log", yscale="log", xlim=(3.5, 105), ylim=(0.01, 1.0),
        xlabel="lines measured (% of all lines x energies)",
        ylabel="rms of the fraction against all",
        title=f"Fe L stack, {stack.n} energies, {int(full.mask.sum())} pixels",
    )  # fmt: skip
    for axis, ticks in ((ax.xaxis, (4, 6, 10, 20, 50, 100)), (ax.yaxis, (0.01, 0.03, 0.1, 0.3, 1))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    import argparse

    from .__main__ import show

    parser = argparse.ArgumentParser("python -m benchmarks.bench_choice")
    parser.add_argument("--picture", metavar="FILE", help="draw the curves into a PNG file")
    if file := parser.parse_args().picture:
        draw(file)
    else:
        show(rows())
