"""Agglomerates in a map, as results and as a picture: the paper's Fig. 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.agglomerates import Agglomerates, Comparison, Mean, agglomerates, compare
from ...inputs import as_number, unless_unmeasured
from .._draw_style import letter, note, plain, printable
from .._results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MapAgglomerates", "agglomerates_of", "draw_agglomerates"]

Array = NDArray[np.float64]
RIM = 10.0
"""Depth of the exterior in pixels, where nobody says it."""


@dataclass(frozen=True, eq=False)
class MapAgglomerates:
    """Agglomerates of a map, and what is in and around them.

    Attributes
    ----------
    name : str
        Species whose share it is.
    share, sigma, thickness : numpy.ndarray [ny, nx]
    x, y : numpy.ndarray [nx], [ny]
        Positions (µm).
    found : Agglomerates
    comparison : Comparison
    unit : str
        Of the thickness.
    made_with : dict
        Parameters; JSON-able.
    part : str
        Region of the run; empty where it has one.
    """

    name: str
    share: Array
    sigma: Array
    thickness: Array
    x: Array
    y: Array
    found: Agglomerates
    comparison: Comparison
    unit: str
    made_with: Mapping[str, Any]
    part: str = ""

    def __repr__(self) -> str:
        c = self.comparison
        return (
            f"<MapAgglomerates: {len(self.found.found)}; share of {self.name or 'the species'} "
            f"inside less outside at fixed thickness {c.at_fixed_thickness}, exterior less "
            f"interior {c.ensemble}>"
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """As the catalog stores them: ``store_results(cat, uid, agglomerates(run).results)``."""
        c = self.comparison
        attrs = {
            "species": self.name,
            "parameters": dict(self.made_with),
            "comparison": c.as_dict(),
            "agglomerates": [
                {"label": one.label, "diameter_um": one.diameter, "cut": one.cut}
                for one in self.found.found
            ],
        }
        made: list[Result] = []

        def add(name: str, array: Any, dims: tuple[str, ...], **how: Any) -> None:
            made.append(
                Result("agglomerates", name, np.asarray(array), dims, self.part, attrs=attrs, **how)
            )

        add("thickness_edges", c.thickness, ("edge",), unit=self.unit)
        for name, dim in (
            ("inside", "bin"), ("outside", "bin"), ("exterior", "agglomerate"),
            ("interior", "agglomerate"),
        ):  # fmt: skip
            means: Sequence[Mean] = getattr(c, name)
            add(name, [m.value for m in means], (dim,))
            add(f"{name}_sigma", [m.sigma for m in means], (dim,), sigma_of=name)
            add(f"{name}_pixels", [m.pixels for m in means], (dim,))
        pairs = c.exterior_less_interior
        add("exterior_less_interior", [d.value for d in pairs], ("agglomerate",))
        add(
            "exterior_less_interior_sigma", [d.sigma for d in pairs], ("agglomerate",),
            sigma_of="exterior_less_interior",
        )  # fmt: skip
        labels = np.zeros(self.share.shape, np.int32)
        for one in self.found.found:
            labels[one.mask] = one.label
        place = {"coords": {"y": self.y, "x": self.x}, "units": {"y": "µm", "x": "µm"}}
        add("label", labels, ("y", "x"), **place)
        return tuple(one for one in made if one.array.size)


@unless_unmeasured()
def agglomerates_of(
    share: Any,
    sigma: Any,
    thickness: Any,
    x: Any,
    y: Any,
    *,
    rim: float | None = None,
    name: str = "",
    unit: str = "",
    part: str = "",
    gap: float | None = None,
    least_diameter: float | None = None,
    threshold: float | None = None,
    edges: Sequence[float] | None = None,
    block: float | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> MapAgglomerates:
    """Find the large agglomerates of a map, and compare what is in and around them.

    Parameters
    ----------
    share, sigma, thickness : array_like [ny, nx]
        Share of a species, its standard deviation, and how much there is; NaN where nothing is.
    x, y : array_like [nx], [ny]
        Positions of the pixels (µm), which are square.
    rim : float, optional
        How far the exterior reaches in from an outline (µm); 10 pixels where not given.
    name, unit, part : str
        Species, unit of the thickness, region of the run.
    gap, least_diameter, threshold
        As of `redoxscope.analysis.agglomerates.agglomerates`.
    edges, block
        As of `redoxscope.analysis.agglomerates.compare`.
    made_with : dict, optional
        What is to be stored of where the map comes from.

    Raises
    ------
    ValueError
        The pixels are not square, no pixel has a value, or a number is none.
    """
    xs, ys = (np.asarray(values, dtype=float) for values in (x, y))
    steps = [abs(v[-1] - v[0]) / max(len(v) - 1, 1) for v in (xs, ys)]
    pixel = as_number("pixel", steps[0], "µm", above=0)
    if abs(steps[1] - pixel) > 0.01 * pixel:
        raise ValueError(
            f"the pixels are {steps[0]:.4g} x {steps[1]:.4g} µm; for distances they must be square"
        )
    f, s, t = (np.asarray(values, dtype=float) for values in (share, sigma, thickness))
    found = agglomerates(
        t, pixel=pixel, gap=gap, least_diameter=least_diameter, threshold=threshold
    )
    depth = RIM * pixel if rim is None else rim
    comparison = compare(f, s, t, found, rim=depth, edges=edges, block=block)
    parameters = {
        "pixel_um": pixel, "rim_um": comparison.rim, "block_um": comparison.block,
        "gap_um": found.gap, "least_diameter_um": found.least_diameter,
        "threshold": found.threshold,
        **(made_with or {}),
    }  # fmt: skip
    return MapAgglomerates(name, f, s, t, xs, ys, found, comparison, unit, parameters, part)


@unless_unmeasured()
def draw_agglomerates(figure: Figure, made: MapAgglomerates) -> None:
    """Draw the map with its outlines, the share against thickness, and near the edge and deep.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 13 x 4.5 inches suit it.
    made : MapAgglomerates
    """
    from matplotlib import colormaps

    figure.clear()
    figure.set_layout_engine("constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.2, 1.0, 0.9])
    c, name = made.comparison, printable(made.name) or "species"
    half = abs(made.x[-1] - made.x[0]) / max(len(made.x) - 1, 1) / 2
    extent = (made.x[0] - half, made.x[-1] + half, made.y[0] - half, made.y[-1] + half)
    drawn = left.imshow(
        made.share, origin="lower", extent=extent, vmin=0, vmax=1,
        cmap=colormaps["viridis"].with_extremes(bad="0.78"), interpolation="none",
    )  # fmt: skip
    figure.colorbar(drawn, ax=left, location="top", shrink=0.9, label=f"share of {name}")
    for one in made.found.found:
        left.contour(made.x, made.y, one.mask, [0.5], colors="w", linewidths=1.4)
        row, column = np.unravel_index(int(one.depth.argmax()), one.depth.shape)
        left.text(
            made.x[column], made.y[row], f"{one.label}", color="w", ha="center", va="center",
            fontweight="bold",
        )  # fmt: skip
    left.set(xlabel="x (µm)", ylabel="y (µm)")
    at = (c.thickness[1:] + c.thickness[:-1]) / 2
    for means, colour, mark, label in (
        (c.inside, "#0072b2", "o", "inside"), (c.outside, "#d55e00", "s", "outside")
    ):  # fmt: skip
        values, sigmas = [m.value for m in means], [m.sigma for m in means]
        middle.errorbar(at, values, sigmas, fmt=mark, ms=4, lw=0.9, color=colour, label=label)
    unit = f" ({made.unit})" if made.unit else ""
    d = c.at_fixed_thickness
    middle.set(
        xlabel=f"thickness{unit}", ylabel=f"share of {name} ± standard error",
        title=f"inside less outside {d.value:+.3f} ± {d.sigma:.3f}",
    )  # fmt: skip
    middle.legend(fontsize=8, frameon=False)
    number = np.arange(1, len(c.exterior) + 1)
    for means, colour, mark, label in (
        (c.interior, "#0072b2", "o", "interior"),
        (c.exterior, "#b0457f", "^", f"exterior ({c.rim:.3g} µm)"),
    ):
        values, sigmas = [m.value for m in means], [m.sigma for m in means]
        right.errorbar(number, values, sigmas, fmt=mark, ms=4, lw=0.9, color=colour, label=label)
    if c.exterior:
        right.legend(fontsize=8, frameon=False)
    else:
        note(right, "no large agglomerate")
    d = c.ensemble
    right.set(
        xlabel="agglomerate", ylabel=f"share of {name} ± standard error", xticks=number,
        title=f"exterior less interior {d.value:+.3f} ± {d.sigma:.3f}",
    )  # fmt: skip
    for ax in (middle, right):
        plain(ax)
        ax.title.set_fontsize(9)
    letter(left, "a")
    letter(middle, "b", outside=True)
    letter(right, "c", outside=True)
