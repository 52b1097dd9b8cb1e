"""The engine computes with the array module that it is given, and mixes it with no other."""

import sys
import types

import numpy as np
import pytest

from redoxscope.analysis.ptychography import Engine, halves, refined
from redoxscope.analysis.ptychography import _engine as engine_module

from .toy import toy


class OnDevice(np.ndarray):
    """An array that refuses, as one on a GPU does, to meet one of the host."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        def host(value):
            if isinstance(value, OnDevice):
                return value.view(np.ndarray)
            if isinstance(value, np.ndarray) and value.ndim:
                raise TypeError("an array of the host meets one of the device")
            return value

        if out is not None:
            options["out"] = tuple(host(value) for value in out)
        found = getattr(ufunc, method)(*(host(value) for value in inputs), **options)
        return out[0] if out is not None else on_device(found)

    def __array_function__(self, function, kinds, arguments, options):
        raise TypeError(f"numpy.{function.__name__} does not take arrays of the device")

    def get(self):
        return np.array(self.view(np.ndarray))


def on_device(found):
    return found.view(OnDevice) if isinstance(found, np.ndarray) else found


def through(function):
    def call(*arguments, **options):
        def host(value):
            return value.view(np.ndarray) if isinstance(value, OnDevice) else value

        out = options.get("out")
        found = function(
            *(host(value) for value in arguments), **{k: host(v) for k, v in options.items()}
        )
        return out if out is not None else on_device(found)

    return call


DEVICE = types.SimpleNamespace(
    fft=types.SimpleNamespace(fft2=through(np.fft.fft2), ifft2=through(np.fft.ifft2)),
    **{
        name: through(getattr(np, name))
        for name in (
            "abs", "asarray", "conj", "divide", "empty", "multiply", "ones", "roll", "sqrt",
            "sum", "vdot", "zeros", "zeros_like",
        )
    },
)  # fmt: skip


def test_nothing_of_the_host_gets_between(monkeypatch):
    t = toy(size=32, side=5, photons=1e5, defocus=1.0)
    results = []
    for module in (np, DEVICE):
        monkeypatch.setattr(engine_module, "array_module", lambda name, m=module: m)
        engine = Engine(t.geometry, t.probe, t.field)
        engine.add(t.photons(), t.x, t.y)
        for _ in range(4):
            engine.sweep()
        free = refined(engine, modes=2)
        free.sweep()
        halves(engine)[0].sweep()
        results.append(free.result())
        assert type(results[-1].object) is np.ndarray and type(results[-1].probe) is np.ndarray
    np.testing.assert_allclose(results[1].object, results[0].object, atol=2e-3)


def test_a_module_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # some computers have it
    with pytest.raises(ValueError, match="array module 'cupy' cannot be used here"):
        engine_module.array_module("cupy")
