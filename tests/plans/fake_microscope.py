"""A microscope that does nothing: what a plan asks of it can be read message by message."""

from __future__ import annotations

from types import SimpleNamespace

from redoxscope.devices import DeviceError, Placement
from redoxscope.plans import energy_stack
from redoxscope.scan import Raster


class Part(SimpleNamespace):
    """Something with a name; two parts are equal only if they are the same."""

    parent = None
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __repr__(self):
        return self.name

    def stage(self):
        return [self]

    def unstage(self):
        return [self]


class FakeScanner(Part):
    """``flown`` after so many lines of each image."""

    lines = 3
    asked = 0

    @property
    def flown(self):
        self.asked += 1
        return self.asked % self.lines == 0


class FakeEnergy(Part):
    arrived = True

    def at(self, energy):
        return self.arrived


class FakeMicroscope(Part):
    """Coarse targets by call of ``place``; ``refuse`` is raised by the check."""

    coarse = (None, None)
    refuse = None
    places = 0

    def back_after(self, error):
        """What `answering` would say; here the server is back at once, or never."""
        if not isinstance(error, TimeoutError):
            return None
        lost = DeviceError("it did not come back") if "gone" in str(error) else None
        return Part(name="back", done=True, exception=lambda timeout: lost)

    def check_scan(self, scan):
        self.checked = scan
        if self.refuse:
            raise self.refuse

    def checks(self, scan):
        yield lambda: self.check_scan(scan)

    def place(self, region, dwell, *, retries=1, at=None):
        self.places += 1
        ny = region.pixels[1]
        # The fine coordinates differ: the stage stands elsewhere after the coarse move.
        raster = Raster(self.places, self.places + 1.0, region.pixels[0], 0, 1, ny, dwell, retries)
        return Placement(*self.coarse, raster)


def fake_microscope(lines=3):
    """A microscope whose images have so many lines."""
    edge = Part(name="edge", get=lambda: "")
    return FakeMicroscope(
        name="stxm",
        energy=FakeEnergy(name="energy"),
        monochromator=Part(name="mono", edge=edge),
        sample_stage=Part(name="stage", x=Part(name="coarse_x"), y=Part(name="coarse_y")),
        scanner=FakeScanner(name="scanner", lines=lines),
        shutter=Part(name="shutter"),
        fixed_parts=[],
        line_detectors=[
            Part(name="transmission", field="transmission"),
            Part(name="i0", field="i0"),
        ],
    )


def stack_plan(stxm, *, energies=(639.0, 640.0), lines=3, **options):
    """A plan of that many lines."""
    options = {"pixels": (4, lines), "size": (2.0, 3.0), "dwell": 0.05} | options
    return energy_stack(stxm, energies=list(energies), **options)


def told(messages):
    """Command, device and first argument of each message."""
    return [
        (m.command, getattr(m.obj, "name", None), *(m.args[:1] if m.args else ())) for m in messages
    ]


def labels(lines=3):
    """Every message of a stack of two energies, for the names of tests: "7 set energy"."""
    messages = told(stack_plan(fake_microscope(lines), lines=lines))
    return [f"{i} {m[0]} {m[1] or ''}".strip() for i, m in enumerate(messages)]
