"""The documentation says what is: links resolve, code compiles, tables are complete."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from bluesky import Msg
from bluesky.utils import RunEngineInterrupted
from ophyd.sim import NullStatus

from redoxscope.beamline import make_beamline, simulated_beamline
from redoxscope.cli import app
from redoxscope.cli._shell import banner
from redoxscope.data import EDGES, rixs_edges
from redoxscope.documents import RIXS_RESERVED, STACK_RESERVED, LineStatus
from redoxscope.scan import Outer, Scan, stack_scan
from redoxscope.sim.camera import CAMERA_FAULTS
from redoxscope.sim.dastard import SERVER_FAULTS
from redoxscope.sim.ioc import FAULTS, FLY_FAULTS
from redoxscope.testing import FakeAxis, FakeMicroscope, make_engine

from .callbacks.conftest import make as make_stack
from .callbacks.mean_spectrum import ANALYSIS as MEAN

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def outside_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def anchors(page):
    """Anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ +(.*)$", outside_code(page.read_text("utf-8")), flags=re.M)
    heads += re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_resolve(page):
    text = outside_code(page.read_text("utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text("utf-8")
    pages = [p for p in DOCS.rglob("*.md") if p.parent.name != "decisions" and p.name != "index.md"]
    assert len(pages) > 10
    missing = [str(p.relative_to(DOCS)) for p in pages if str(p.relative_to(DOCS)) not in index]
    assert missing == []


def test_decisions_are_numbered_once():
    numbers = [path.name[:3] for path in (DOCS / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers)) > 10


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_compiles(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), flags=re.S | re.M):
        lines = block.splitlines()
        if block.startswith("In ["):
            lines = [
                re.sub(r"^In \[\d+\]: ", "", line) for line in lines if line.startswith("In [")
            ]
        elif block.startswith(">>>"):
            lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
        assert lines
        ast.parse("\n".join(lines))


def test_names_that_the_code_imports_exist():
    wanted = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        wanted |= set(re.findall(r"^(?:>>> )?(from redoxscope[\w.]* import [\w, ]+)$", text, re.M))
    assert len(wanted) > 8
    for line in sorted(wanted):
        exec(line, {})


def found(dotted):
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    with contextlib.suppress(ModuleNotFoundError):  # a module: it need not be imported
        if importlib.util.find_spec(dotted) is not None:
            return True
    for depth in range(len(parts), 0, -1):
        try:
            there = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for name in parts[depth:]:
            there = getattr(there, name, None)
        return there is not None
    return False


NOT_OURS = {"redoxscope.analyses", "redoxscope.devices", "redoxscope.yml"}
"""Entry point groups and files that are written so."""


def test_names_and_paths_that_the_text_says_exist():
    wrong = []
    for page in PAGES:
        if page.parent.name == "decisions":  # they say what was
            continue
        text = page.read_text("utf-8")
        for name in set(re.findall(r"\bredoxscope(?:\.[A-Za-z]\w*)+", text)) - NOT_OURS:
            if not found(name):
                wrong.append(f"{page.name}: {name}")
        for path in set(re.findall(r"(?<![\w/])(?:redoxscope|tests|benchmarks)/[\w./]*\w", text)):
            if not (ROOT / path.removesuffix("NAME")).exists():
                wrong.append(f"{page.name}: {path}")
    assert wrong == []


PRINTED = {"redoxscope on simulated"}
"""What is printed and begins as a command does."""


def test_command_lines_of_the_text_are_possible():
    known = dict(commands())
    wrong = []
    for page in PAGES:
        if page.parent.name == "decisions":
            continue
        text = page.read_text("utf-8").replace("\\\n", " ")
        blocks = "".join(re.findall(r"^```.*?^```", text, re.S | re.M))
        lines = re.findall(r"^(?:\$ )?(redoxscope [a-z].*)$", blocks, re.M)
        lines += re.findall(r"`(redoxscope [a-z][^`]*)`", text)
        for line in set(lines) - PRINTED:
            words = re.split(" -- |#", line)[0].split()[1:]
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in known), None)
            if name is None:
                groups = {n.partition(" ")[0] for n in known}
                if words[0] not in groups or len(words) > 1:
                    wrong.append(f"{page.name}: {line}")
                continue
            options = {opt for parameter in known[name].params for opt in parameter.opts}
            options |= {opt for parameter in known[name].params for opt in parameter.secondary_opts}
            for word in words:
                if word.startswith("--") and word.partition("=")[0] not in {*options, "--help"}:
                    wrong.append(f"{page.name}: {line}")
    assert wrong == []


ON_FAKES = {"stxm.scanner.dark", "stxm.shutter.beam"}


def test_attributes_of_devices_in_the_text_exist():
    """What the pages write after a dot of a device; nothing is asked of a server."""
    beamline = make_beamline(simulated_beamline("NOWHERE:"))
    devices = {**beamline.devices, **beamline.instruments}
    devices |= {"energy": devices["stxm"].energy, **devices["stxm"].bound}
    wrong = set()
    try:
        for page in PAGES:
            if page.parent.name == "decisions":
                continue
            text = page.read_text("utf-8")
            codes = re.findall(r"^```.*?^```|`[^`\n]+`", text, re.S | re.M)
            pattern = rf"(?<![\w./\"'-])((?:s\.)?(?:{'|'.join(devices)})(?:\.[a-z]\w*)+)"
            for name in set(re.findall(pattern, "\n".join(codes))) - ON_FAKES:
                first, *rest = name.removeprefix("s.").split(".")
                there = devices[first]
                for part in rest:
                    if part not in dir(there):
                        wrong.add(f"{page.name}: {name}")
                    if part not in (*getattr(there, "component_names", ()), *vars(there)):
                        break  # a property may ask the server
                    there = getattr(there, part)
    finally:
        beamline.destroy()
    assert (
        wrong - {"own-beamline.md: scanner.contract", "own-controller.md: scanner.contract"}
        == set()
    )


def commands(group=None, path=()):
    group = typer.main.get_command(app) if group is None else group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_option_is_in_the_reference():
    text = (DOCS / "reference" / "commands.md").read_text("utf-8")
    sections = re.split(r"^## ", text, flags=re.M)
    found = dict(commands())
    assert len(found) >= 7
    missing = []
    for name, command in found.items():
        section = [s for s in sections if s.startswith(f"`redoxscope {name}")]
        assert section, f"no section on redoxscope {name}"
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help" and option not in section[0]:
                    missing.append(f"{name} {option}")
        assert command.help, name
    assert missing == []


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text("utf-8")
    for name, _ in commands():
        assert f"`redoxscope {name}" in text


def test_the_banner_is_the_tutorials():
    file = simulated_beamline("")
    session = SimpleNamespace(
        file=file,
        devices=dict.fromkeys(["stxm", "xas_station", "tes", "ptycho", "energy", *file.devices]),
        maps=dict.fromkeys(["oxidation_map", "rixs_map"]),
        extras={"windows": None},
        RE=SimpleNamespace(md={}),
    )
    text = (DOCS / "tutorial" / "first-map.md").read_text("utf-8")
    assert banner(session).strip() in text


def test_every_fault_is_in_the_table():
    text = (DOCS / "how-to" / "faults.md").read_text("utf-8")
    for name in FAULTS:
        assert re.search(rf"\| .*`(dastard )?{name}[ `]", text), name
    for name in SERVER_FAULTS:
        assert re.search(rf"^\| `dastard {name}[ `]", text, re.M), name
    for name in FLY_FAULTS:
        assert re.search(rf"^\| `fly {name}[ `]", text, re.M), name
    for name in CAMERA_FAULTS:
        assert re.search(rf"^\| `camera {name}[ `]", text, re.M), name


def code(page, number=0):
    text = (DOCS / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)[number]


def coarser(text):
    """A tenth of the pixels along each side: what is made of them is not what is looked at."""
    numbers = partial(re.sub, r"\d+", lambda found: str(max(1, int(found[0]) // 10)))
    return re.sub(r"(?<=pixels)(\W+)([\d, ]+)", lambda m: m[1] + numbers(m[2]), text)


def test_scans_of_the_page_are_measured():
    """With fakes: made, measured, and measured again from the run's own start document."""
    stxm, names = FakeMicroscope(), {}
    engine, documents = make_engine()

    class Catalog:
        def __getitem__(self, number):
            return SimpleNamespace(metadata={"start": documents.start})

    exec(coarser(code("explanation/scans.md", 0)), names)
    made = names["scan"]
    assert [region.name for region in made.regions] == ["fresh", "cycled", "i0"]
    assert [region.pixels for region in made.regions] == [(4, 4), (6, 3), (1, 1)]
    heating = stack_scan(
        energies=[640], regions=made.regions[:1], outer=[(Outer("temperature", "degC"), [25, 80])]
    )
    heater = FakeAxis("heater")
    names |= {
        "RE": engine, "stxm": stxm, "cat": Catalog(), "regions": list(made.regions),
        "heating": heating, "heater": heater,
    }  # fmt: skip
    exec(coarser(code("explanation/scans.md", 1)), names)
    starts = documents.named("start")
    assert [start["plan_name"] for start in starts] == [
        "stxm_energy_stack", "image", *["stxm_energy_stack"] * 3,
    ]  # fmt: skip
    assert Scan.from_start(starts[2]) == Scan.from_start(starts[3]) == made
    assert heater.targets == [25.0, 80.0]
    assert all(stop["exit_status"] == "success" for stop in documents.named("stop"))


class Blade:
    """A shutter that remembers, and can be stuck."""

    name, parent = "shutter", None

    def __init__(self):
        self.told, self.stuck = [], False

    def set(self, value):
        self.told.append(value)
        if self.stuck:
            raise RuntimeError("shutter is not confirmed closed. CHECK IT BY HAND")
        return NullStatus()

    def stop(self, *, success=False):
        pass


@pytest.fixture
def night():
    """What the page on night scripts says, with scans that are noted down."""
    names = {}
    exec(code("how-to/night-script.md"), names)
    blade, done, failed = Blade(), [], {}

    def scan(name, error=None, pauses=False):
        yield Msg("null")
        if pauses:
            yield Msg("pause")
        if error is not None:
            raise error
        done.append(name)

    def make(**scans):
        made = {name: scan(name, **how) for name, how in scans.items()}
        return names["night"](made, blade, failed)

    return SimpleNamespace(make=make, blade=blade, done=done, failed=failed)


def test_a_night_goes_on_after_an_error(RE, night):
    RE(night.make(a={}, b={"error": ValueError("no beam")}, c={}))
    assert night.done == ["a", "c"] and list(night.failed) == ["b"]
    assert night.blade.told == ["closed"]


def test_a_night_ends_with_a_shutter_that_is_stuck(RE, night):
    night.blade.stuck = True
    with pytest.raises(RuntimeError, match="CHECK IT BY HAND"):
        RE(night.make(a={"error": ValueError("no beam")}, b={}))
    assert night.done == []


@pytest.mark.parametrize("end", ["abort", "stop", "halt"])
def test_a_night_ends_where_somebody_wants_it(RE, night, end):
    with pytest.raises(RunEngineInterrupted):
        RE(night.make(a={"pauses": True}, b={}))
    getattr(RE, end)()
    assert night.done == [] and night.failed == {}


def test_the_page_on_own_analyses_is_what_is_tested(monkeypatch):
    page = (DOCS / "how-to/own-analysis.md").read_text("utf-8")
    module, used, looked = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)
    tested = (ROOT / "tests/callbacks/mean_spectrum.py").read_text("utf-8")
    assert tested.endswith(f'"""\n\n{module}')
    shown = []
    monkeypatch.setattr("redoxscope.callbacks.MapView", lambda folder: shown.append)
    documents, _ = make_stack()
    names = {"ANALYSIS": MEAN, "RE": SimpleNamespace(subscribe=lambda host: None)}
    exec(used, names)
    for name, doc in documents.documents():
        names["host"](name, doc)
    exec(looked, names)
    assert [r.name for r in names["host"].results(names["uid"])] == ["counts"]
    assert shown[-1].final and names["host"].errors == {}
    names["host"].close()


def test_edges_reserved_keys_and_statuses_are_in_the_documents():
    readme = (ROOT / "README.md").read_text("utf-8")
    for edge in (*EDGES, *rixs_edges()):
        assert edge in readme
    stack = (DOCS / "reference" / "documents.md").read_text("utf-8")
    rixs = (DOCS / "reference" / "rixs-documents.md").read_text("utf-8")
    for key in {*STACK_RESERVED, *RIXS_RESERVED} - {"uid", "time"}:
        assert f"`{key}`" in (stack if key in STACK_RESERVED else rixs), key
    for status in LineStatus:
        assert re.search(rf"`line_status`.*\b{status.value}\b", stack), status.name
