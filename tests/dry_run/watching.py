"""Starting the IOC that tells what clients ask of it."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent


class WatchingIOC:
    """A process; `seen` is what clients asked of it so far."""

    def __init__(self, port: int, layout, folder: Path):
        file = folder / f"layout-{port}.json"
        file.write_text(layout.to_json(), encoding="utf-8")
        self.port = port
        self.seen: list[tuple[str, str]] = []
        self._ready: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "watching_ioc.py"), str(port), str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self._ready.get(timeout=60)
        assert line == f"ready {port}", line

    def _read(self) -> None:
        for line in self._process.stdout:
            what, _, name = line.strip().partition(" ")
            if what == "ready":
                self._ready.put(line.strip())
            else:
                self.seen.append((what, name))
        self._ready.put("it ended")

    def close(self) -> None:
        """End it; everything that it told is in `seen` then."""
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._reader.join(timeout=60)
        self._process.stdout.close()
