"""A camera and a path whose records are a real EPICS IOC's; what a driver does, a thread does."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from ophyd import EpicsSignal

from redoxscope.beamline import connect
from redoxscope.devices.camera import DATASET, NUMBERS, camera_class
from redoxscope.devices.path import PathScanner

from ..epics_ioc import epics_ioc

LONG = 60.0
DB = Path(__file__).parent / "ioc" / "camera.db"

WRITTEN = (
    "Cam:cam1:Acquire", "Cam:cam1:ArrayCounter_RBV", "Cam:HDF1:NumCaptured_RBV",
    "Cam:HDF1:DroppedArrays", "Cam:HDF1:Capture_RBV", "Cam:HDF1:WriteStatus", "Path:State_RBV",
    "Path:Series_RBV", "Path:Index_RBV", "Path:Done_RBV", "Path:XMeasured", "Path:YMeasured",
    "Path:Gate", "Cam:HDF1:PluginType_RBV", "Cam:HDF1:ArraySize0_RBV",
)  # fmt: skip
TEXTS = ("Cam:HDF1:FullFileName_RBV", "Cam:HDF1:WriteMessage", "Path:Message")
READ_TEXTS = ("Cam:HDF1:FilePath", "Cam:HDF1:FileName")
WATCHED = ("Cam:HDF1:Capture", "Cam:cam1:Acquire", "Path:Start", "Path:Abort")


class Driver:
    """Opens and closes files, takes frames where ``internal``, and is told of paths."""

    def __init__(self, prefix):
        names = {*WRITTEN, *WATCHED, "Path:Series", "Cam:cam1:TriggerMode"}
        self.pv = {name: EpicsSignal(prefix + name, name=name) for name in names}
        for name in (*TEXTS, *READ_TEXTS):
            self.pv[name] = EpicsSignal(prefix + name, name=name, string=True)
        for signal in self.pv.values():
            signal.wait_for_connection(timeout=LONG)
        self.file = None
        self.starts = threading.Semaphore(0)
        self.error = None
        self.refuses = False
        self._late = 0
        self._orders = queue.Queue()
        for name in WATCHED:
            self.put(name, 0)  # what the test before has left is no order
        for name in WATCHED:
            self.pv[name].subscribe(self._told(name), run=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _told(self, name):
        return lambda *, value, **_: self._orders.put((name, int(value)))

    def put(self, name, value):
        self.pv[name].put(value, wait=True, timeout=LONG)

    def _run(self):
        while True:
            name, value = self._orders.get()
            if name == "end":
                return
            try:
                self._do(name, value)
            except Exception as exc:  # the test fails with it at its end
                self.error = exc

    def _do(self, name, value):
        if name == "Cam:HDF1:Capture" and value and self.file is None:
            if self.refuses:
                self.put("Cam:HDF1:WriteMessage", "there is no such folder")
                self.put("Cam:HDF1:WriteStatus", 1)
                return
            folder, stem = (self.pv[text].get(use_monitor=False) for text in READ_TEXTS)
            path = f"{folder}{stem}_000000.h5"
            self.file = h5py.File(path, "w", libver="latest")
            shape = (4, 6)
            self.file.create_dataset(
                DATASET, (0, *shape), "<u2", maxshape=(None, *shape), chunks=(1, *shape)
            )
            self.file.create_dataset(NUMBERS, (0,), "<i4", maxshape=(None,), chunks=(16,))
            self.file.swmr_mode = True
            self.put("Cam:HDF1:FullFileName_RBV", path)
            self.put("Cam:HDF1:NumCaptured_RBV", 0)
            self.put("Cam:HDF1:Capture_RBV", 1)
        elif name == "Cam:HDF1:Capture" and not value and self.file is not None:
            self.file.close()
            self.file = None
            self.put("Cam:HDF1:Capture_RBV", 0)
        elif name == "Cam:cam1:Acquire" and value:
            if int(self.pv["Cam:cam1:TriggerMode"].get(use_monitor=False)) == 0:
                self.frames(1)
                self.put("Cam:cam1:Acquire", 0)
        elif name == "Path:Start" and value:
            self.starts.release()
        elif name == "Path:Abort" and value:
            self.put("Path:State_RBV", 0)

    def frames(self, n, lost=(), late=False):
        """Take frames: those of indices ``lost`` are dropped, one ``late`` waits for `written`."""
        counter = int(self.pv["Cam:cam1:ArrayCounter_RBV"].get(use_monitor=False))
        captured = int(self.pv["Cam:HDF1:NumCaptured_RBV"].get(use_monitor=False))
        dropped = int(self.pv["Cam:HDF1:DroppedArrays"].get(use_monitor=False))
        for k in range(n):
            counter += 1
            if k in lost:
                dropped += 1
            elif late and k == n - 1:
                self._late = counter
            else:
                captured += 1
                self._row(counter)
        self.put("Cam:HDF1:NumCaptured_RBV", captured)
        self.put("Cam:HDF1:DroppedArrays", dropped)
        self.put("Cam:cam1:ArrayCounter_RBV", counter)

    def written(self):
        """Write the frame that is late."""
        self._row(self._late)
        captured = int(self.pv["Cam:HDF1:NumCaptured_RBV"].get(use_monitor=False))
        self.put("Cam:HDF1:NumCaptured_RBV", captured + 1)

    def _row(self, counter):
        for where, value in ((DATASET, counter), (NUMBERS, counter)):
            data = self.file[where]
            data.resize(data.shape[0] + 1, axis=0)
            data[-1] = value
            data.flush()

    def path_over(self, x, y, gate):
        """Say that a path is over, with what was measured."""
        series = int(self.pv["Path:Series"].get(use_monitor=False))
        for name, values in (("XMeasured", x), ("YMeasured", y), ("Gate", gate)):
            self.put(f"Path:{name}", np.asarray(values, dtype=float))
        self.put("Path:Index_RBV", len(gate))
        self.put("Path:Done_RBV", series)

    def end(self):
        self._orders.put(("end", 0))
        self._thread.join(LONG)
        if self.file is not None:
            self.file.close()
        for signal in self.pv.values():
            signal.destroy()
        if self.error is not None:
            raise self.error


@pytest.fixture(scope="package")
def records():
    """Prefix of the records."""
    with epics_ioc(lambda prefix: [(f"P={prefix}", DB)]) as prefix:
        yield prefix


@pytest.fixture
def driver(records):
    made = Driver(records)
    yield made
    made.end()


@pytest.fixture
def camera(records, driver, tmp_path):
    made = camera_class()(
        f"{records}Cam:", name="camera", path=str(tmp_path), external="Ext. Gate", time_limit=LONG
    )
    connect(made)
    yield made
    made.unstage().wait(LONG)
    made.destroy()


@pytest.fixture
def path(records, driver):
    made = PathScanner(f"{records}Path:", name="path")
    connect(made)
    yield made
    made.destroy()
