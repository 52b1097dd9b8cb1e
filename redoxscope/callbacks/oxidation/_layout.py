"""Where the rows of a stack's run belong, and how its keys are called: our runs, and the ALS's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...documents import FLOWN_SCANS, FOLLOWED, IMAGE, STACK
from ...inputs import as_name, as_number, as_numbers, as_pair, as_whole
from ...scan import Frame, Region, Role, Scan
from .._documents import Doc, check_version

__all__ = ["Group", "Layout", "groups_of", "is_stack", "layout_of"]

Array = NDArray[np.float64]
STXM_VERSION = 1
"""Version of the ALS's block ``stxm`` that is read."""
KINDS = ("lines", "points", "exposures")
"""What a scan can be of."""


@dataclass(frozen=True)
class Layout:
    """What a start document says of the rows to come.

    Attributes
    ----------
    scan : Scan
        What was measured.
    axes : tuple of (numpy.ndarray [nx], numpy.ndarray [ny])
        Pixel positions asked for, µm, by region.
    counts, x, y : str
        Data keys of the transmission and of the positions.
    monitored : bool
        Whether the run may have a monitor, ``i0``.
    numbered : bool
        Whether a row's place follows from its ``seq_num``, as in runs of the ALS; else the row
        says it.
    """

    scan: Scan
    axes: tuple[tuple[Array, Array], ...]
    counts: str = "transmission"
    x: str = "sample_x"
    y: str = "sample_y"
    monitored: bool = True
    numbered: bool = False

    @property
    def arrays(self) -> tuple[str, ...]:
        """Columns with a value for each pixel; the first must be there."""
        return (self.counts, "i0", self.x) if self.numbered else (self.counts, "i0", self.x, self.y)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to be read."""
        more = (self.y,) if self.numbered else ("frame", "line", "line_status", "energy", *FOLLOWED)
        return (*self.arrays, *more)

    def place(self, region: int, seq_num: int, data: Doc) -> tuple[int, int]:
        """Frame and line of a row of a region's stream.

        Raises
        ------
        ValueError
            The row says neither, or one that the scan has not.
        """
        frames, ny = self.scan.frames, self.scan.regions[region].pixels[1]
        if self.numbered:
            frame, line = divmod(int(seq_num) - 1, ny)
            if not 0 <= frame < len(frames):
                raise ValueError(
                    f"seq_num {seq_num} is outside a stack of {len(frames)} images of {ny} lines"
                )
            return frame, line
        for key in ("frame", "line"):
            if key not in data:
                raise ValueError(f"event {seq_num} has no {key!r}: its place is not known")
        frame, line = (as_whole(f"event {seq_num}: {key}", data[key]) for key in ("frame", "line"))
        if frame >= len(frames) or frames[frame].region != region:
            name = self.scan.regions[region].name
            raise ValueError(
                f"event {seq_num} says frame {frame}, which is none of region {name!r} in a scan "
                f"of {len(frames)} frames"
            )
        if line >= ny:
            raise ValueError(f"event {seq_num} says line {line} of an image of {ny} lines")
        return frame, line


def is_stack(start: Doc) -> bool:
    """Whether a start document announces images line by line: a scan of lines, or an ALS stack.

    Spectra of lines and points, focus scans and tiles have a picture of their own.
    Where its scan does not say what it is of (damaged, or of another version), its plan does.
    """
    if start.get("plan_name") in FLOWN_SCANS:
        return False
    scan = start.get("scan")
    kind = scan.get("kind") if isinstance(scan, Mapping) else None
    if kind in KINDS:
        return bool(kind == "lines")
    return start.get("plan_name") in (STACK, IMAGE)


def layout_of(start: Doc) -> Layout:
    """Layout of a run.

    Raises
    ------
    ValueError
        It carries neither a scan nor a block ``stxm`` that can be read, or is of a newer contract;
        says what is wrong.
    """
    if start.get("scan") is None:
        return _of_stxm(start)
    check_version(start)
    scan = Scan.from_start(start)
    axes = []
    for region in scan.regions:
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        axes.append((np.linspace(x0, x1, nx), np.linspace(y0, y1, ny)))
    return Layout(scan, tuple(axes), monitored="i0" in (start.get("detectors") or ("i0",)))


def _of_stxm(start: Doc) -> Layout:
    run = f"run {str(start.get('uid', ''))[:8]!r}"
    block = start.get("stxm")
    if not isinstance(block, Mapping):
        raise ValueError(f"{run} is a stack with neither 'scan' nor 'stxm' in its start document")
    try:
        return _of_block(block)
    except KeyError as exc:
        raise ValueError(f"{run} cannot be read: its block 'stxm' has no {exc}") from None
    except ValueError as exc:
        raise ValueError(f"{run} cannot be read: {exc}") from exc


def _of_block(block: Doc) -> Layout:
    version = block["contract_version"]
    if version != STXM_VERSION or isinstance(version, bool):
        raise ValueError(
            f"stxm contract_version = {version!r}; this redoxscope reads {STXM_VERSION}"
        )
    shape = block["shape"]
    if not isinstance(shape, (list, tuple)) or len(shape) != 3:
        raise ValueError(f"stxm shape = {shape!r:.60} must be [energies, lines, pixels]")
    n, ny, nx = (as_whole(f"stxm shape[{i}]", v, at_least=1) for i, v in enumerate(shape))
    energies = as_numbers("stxm energies", block["energies"], "eV")
    if len(energies) != n:
        raise ValueError(f"stxm lists {len(energies)} energies, but its shape has {n}")
    dwell = as_number("stxm dwell_ms", block["dwell_ms"], "ms", above=0) / 1e3
    axes, middles, steps = [], [], []
    for axis, count in (("x", nx), ("y", ny)):
        ends = [
            as_number(f"stxm {axis}_extent", value, "µm")
            for value in as_pair(f"stxm {axis}_extent", block[f"{axis}_extent"], "µm")
        ]
        axes.append(np.linspace(ends[0], ends[1], count))
        middles.append((ends[0] + ends[1]) / 2)
        steps.append(abs(ends[1] - ends[0]) / (count - 1) if count > 1 else 0.0)
    # From the centres of the pixels to their edges; a single one is as wide as it is high.
    steps = [one or other or 1.0 for one, other in zip(steps, steps[::-1], strict=True)]
    region = Region((middles[0], middles[1]), (nx * steps[0], ny * steps[1]), (nx, ny))
    seen: set[float] = set()
    frames = []
    for energy in energies:  # their contract allows an energy to come again
        frames.append(Frame(energy, dwell, 0, Role.DOSE_CHECK if energy in seen else Role.SAMPLE))
        seen.add(energy)
    return Layout(
        Scan(regions=(region,), frames=tuple(frames)),
        ((axes[0], axes[1]),),
        counts=as_name("stxm data_field", block["data_field"], "transmission"),
        x="SampleX",
        y="SampleY",
        monitored=False,
        numbered=True,
    )


@dataclass(frozen=True)
class Group:
    """Images that make one map: of one region, with the same values of all outer loops.

    Attributes
    ----------
    name : str
        The region's, with the values of the outer loops where there are any.
    region : int
        Index in the scan.
    outer : tuple of float
    sample, checks : tuple of int
        Indices of its frames: those of the map, in the order taken, and dose checks.
    """

    name: str
    region: int
    outer: tuple[float, ...]
    sample: tuple[int, ...]
    checks: tuple[int, ...]


def _telling(values: set[float]) -> Callable[[float], str]:
    """How to say the values of an outer loop so that no two are the same in words."""
    short = len({f"{value:g}" for value in values}) == len(values)
    return "{:g}".format if short else repr


def groups_of(scan: Scan) -> Iterator[Group]:
    """The maps of a scan, in the order in which they begin."""
    found: dict[tuple[int, tuple[float, ...]], dict[Role, list[int]]] = {}
    for i, frame in enumerate(scan.frames):
        roles = found.setdefault((frame.region, frame.outer), {})
        roles.setdefault(frame.role, []).append(i)
    words = [_telling({frame.outer[i] for frame in scan.frames}) for i in range(len(scan.outer))]
    for (region, outer), roles in found.items():
        if Role.SAMPLE not in roles:
            continue
        values = [
            f"{say(v)} {o.unit}".strip() for say, v, o in zip(words, outer, scan.outer, strict=True)
        ]
        name = ", ".join([scan.regions[region].name, *values])
        checks = tuple(roles.get(Role.DOSE_CHECK, ()))
        yield Group(name, region, outer, tuple(roles[Role.SAMPLE]), checks)
