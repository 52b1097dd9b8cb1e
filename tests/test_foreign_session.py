"""The page on foreign sessions, run: in a Jupyter kernel, whose loop runs, and twice in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from redoxscope.sim import client_environment

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "foreign-session.md"
PATIENCE = 120.0


@pytest.fixture
def run_cell(
    simulation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], str]]:
    """Run code as a cell in a kernel that finds the simulated beamline; what it prints."""
    for name, value in client_environment([simulation.port]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DISPLAY", raising=False)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)

    def run(code: str) -> str:
        printed: list[str] = []

        def heard(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = client.execute_interactive(code, timeout=PATIENCE, output_hook=heard)["content"]
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
        return "".join(printed)

    yield run
    client.stop_channels()
    manager.shutdown_kernel()


@pytest.mark.timeout(600)  # two kernels' worth of imports, on a busy machine
def test_the_page_on_foreign_sessions_does_what_it_says(
    simulation: Any, run_cell: Callable[[str], str], tmp_path: Path
) -> None:
    text = PAGE.read_text("utf-8").replace('"BL:', f'"{simulation.prefix}')
    cells = re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)
    assert len(cells) == 5
    assert run_cell("import asyncio; print(asyncio.get_running_loop().is_running())") == "True\n"
    uids = []
    for _ in range(2):
        for cell in cells:
            run_cell(cell)
        uids.append(run_cell("print(uid, run.start['uid'], counts.shape)").split(maxsplit=2))
        assert run_cell("print(omap.error, omap.result.n_mask > 20)") == "None True\n"
        assert (tmp_path / "live" / "live.png").exists()
        assert (tmp_path / "oxidation_map.png").exists()
        (tmp_path / "live" / "live.png").unlink()
    assert uids[0][0] != uids[1][0]
    for taken, read, shape in uids:
        assert taken == read and shape.strip() == "(36, 12)"
    assert len(list((tmp_path / "data" / "documents" / "stored").glob("*.jsonl"))) == 2
