"""Importing redoxscope changes nothing in a process that is somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys

# Libraries first, whose own habits are not ours; then every module of the package.
_SCRIPT = """
import importlib, json, logging, os, pkgutil, signal, sys, threading, warnings
import bluesky.plans, bluesky.run_engine, epics, h5py, httpx, matplotlib, numpy, ophyd, pydantic
import scipy.sparse, scipy.special, yaml
import ophyd._pyepics_shim as shim

def state():
    loggers = {name: log for name, log in logging.root.manager.loggerDict.items()
               if isinstance(log, logging.Logger) and log.name.split(".")[0] in
               ("redoxscope", "bluesky", "ophyd", "matplotlib", "tiled")}
    loggers["root"] = logging.root
    return {
        "environment": dict(os.environ),
        "signal handlers": {int(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
        "switch interval": sys.getswitchinterval(),
        "hooks": [str(h) for h in (sys.excepthook, sys.displayhook, threading.excepthook)],
        "warnings": [str(f) for f in warnings.filters],
        "loggers": {
            name: [log.level, log.propagate, [str(h) for h in log.handlers + log.filters]]
            for name, log in loggers.items()
            if log.level or log.handlers or log.filters or not log.propagate
        },
        "threads": sorted(t.name for t in threading.enumerate()),
        "numpy": [numpy.geterr(), str(numpy.get_printoptions())],
        "matplotlib": {k: str(matplotlib.rcParams._get(k)) for k in matplotlib.rcParams},
        "ophyd": [
            {k: str(v) for k, v in vars(ophyd.cl).items()},
            {k: str(v) for k, v in vars(shim.PyepicsShimPV).items()},
            {k: str(v) for k, v in vars(ophyd.signal.EpicsSignalBase).items()},
        ],
        "epics": [epics.ca.libca is None, sorted(map(str, epics.ca._cache))],
        "yaml": [sorted(map(str, yaml.SafeLoader.yaml_constructors)),
                 sorted(map(str, yaml.SafeDumper.yaml_representers))],
        "path": sys.path,
    }

before = state()
import redoxscope
for module in pkgutil.walk_packages(redoxscope.__path__, "redoxscope."):
    # What is run and not imported: the entry of processes, the start of a queue's worker. And what
    # is imported when a run is stored: tiled has habits.
    late = ("__main__", "main", "_view_main", "startup", "_tiled_writer")
    if module.name.rpartition(".")[2] not in late:
        importlib.import_module(module.name)
after = state()
def changed(old, new):
    if not isinstance(old, dict):
        return [str(old), str(new)]
    return {str(k): [str(old.get(k)), str(new.get(k))]
            for k in {*old, *new} if old.get(k) != new.get(k)}

print(json.dumps({k: changed(before[k], after[k]) for k in before if before[k] != after[k]}))
"""


def test_importing_changes_nothing_of_the_process():
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
