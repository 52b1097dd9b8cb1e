"""Snapshots, which are dataclasses, as a JSON header and arrays, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ._message import WireError

__all__ = ["pack", "unpack"]

T = TypeVar("T")
_ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_KINDS = ((np.bool_, "b"), (np.integer, "iu"), (np.floating, "fiu"), (np.complexfloating, "cfiu"))
"""Kinds of numpy types that may stand where one is declared: whole numbers for others, too."""


def pack(value: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a dataclass, in the form that `redoxscope.callbacks.wire` sends.

    Its fields may be numbers, text, bool, enumerations, arrays, dataclasses, and tuples, lists and
    mappings by name of these. What is not finite stands in the header as text, ``"NaN"``.

    Parameters
    ----------
    value : dataclass instance

    Raises
    ------
    TypeError
        A field is something else; names it.
    """
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is no dataclass")
    arrays: dict[str, NDArray[Any]] = {}
    return _packed(value, "", arrays), arrays


def unpack(kind: type[T], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> T:
    """Make a dataclass of what `pack` made of one.

    Only ``kind``, and what its fields are declared to be, is ever made.

    Parameters
    ----------
    kind : type
        The dataclass.
    header : dict
    arrays : dict of str to numpy.ndarray

    Raises
    ------
    WireError
        A field is missing, unknown or of another type; names it.
    """
    return cast(T, _unpacked(kind, header, kind.__name__, arrays))


def _packed(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return path
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (int, bool)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    inner = f"{path}." if path else ""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _packed(getattr(value, f.name), f"{inner}{f.name}", arrays)
            for f in fields(value)
            if f.init
        }
    if isinstance(value, (tuple, list)):
        return [_packed(item, f"{inner}{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _packed(item, f"{inner}{key}", arrays) for key, item in value.items()}
    raise TypeError(f"{path or 'it'} is {type(value).__name__}, which cannot be sent")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _unpacked(hint: Any, value: Any, path: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, path, arrays)
    if origin is np.ndarray or hint is np.ndarray:
        return _array(arguments, value, path, arrays)
    if origin is tuple:
        items = _checked(list, value, path)
        if arguments[1:] == (...,):
            arguments = arguments[:1] * len(items)
        if len(items) != len(arguments):
            raise WireError(f"{path} has {len(items)} items and not {len(arguments)}")
        return tuple(
            _unpacked(inner, item, f"{path}.{i}", arrays)
            for i, (inner, item) in enumerate(zip(arguments, items, strict=True))
        )
    if origin is list:
        items = _checked(list, value, path)
        return [_unpacked(arguments[0], x, f"{path}.{i}", arrays) for i, x in enumerate(items)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        items = _checked(dict, value, path)
        return {k: _unpacked(arguments[1], v, f"{path}.{k}", arrays) for k, v in items.items()}
    if not isinstance(hint, type):
        raise TypeError(f"{path} is declared as {hint}, which cannot be sent")
    if is_dataclass(hint):
        return _dataclass(hint, value, path, arrays)
    return _plain(hint, value, path)


def _one_of(
    hints: tuple[Any, ...], value: Any, path: str, arrays: Mapping[str, NDArray[Any]]
) -> Any:
    if value is None and NoneType in hints:
        return None
    others = [hint for hint in hints if hint is not NoneType]
    if len(others) != 1:
        raise TypeError(f"{path} is declared as one of several types, which cannot be sent")
    return _unpacked(others[0], value, path, arrays)


def _array(
    arguments: tuple[Any, ...], value: Any, path: str, arrays: Mapping[str, NDArray[Any]]
) -> NDArray[Any]:
    array = arrays.get(value) if isinstance(value, str) else None
    if array is None:
        raise WireError(f"{path} must be an array, and is {str(value)[:40]!r}")
    declared = get_args(arguments[1]) if len(arguments) > 1 else ()
    declared = declared if declared and isinstance(declared[0], type) else ()
    for wanted, kinds in _KINDS:
        if declared and issubclass(declared[0], wanted) and array.dtype.kind not in kinds:
            raise WireError(f"{path} is an array of {array.dtype}, not of {declared[0].__name__}")
    return array


def _dataclass(kind: type, value: Any, path: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    items = _checked(dict, value, path)
    names = [f.name for f in fields(kind) if f.init]
    wrong = [*(n for n in names if n not in items), *(n for n in items if n not in names)]
    if wrong:
        raise WireError(f"{path} lacks or does not know {', '.join(map(str, wrong))[:80]}")
    hints = _hints(kind)
    made = {n: _unpacked(hints[n], items[n], f"{path}.{n}", arrays) for n in names}
    try:
        return kind(**made)
    except (TypeError, ValueError) as exc:
        raise WireError(f"{path} is no {kind.__name__}: {exc}") from exc


def _plain(hint: type, value: Any, path: str) -> Any:
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError as exc:
            raise WireError(f"{path}: {exc}") from exc
    if hint is float:
        if isinstance(value, str) and value in _ODD:
            return _ODD[value]
        if type(value) in (int, float):
            return float(value)
    elif hint in (bool, int, str):
        return _checked(hint, value, path)
    else:
        raise TypeError(f"{path} is declared as {hint.__name__}, which cannot be sent")
    raise WireError(f"{path} must be a number, and is {str(value)[:40]!r}")


def _checked(kind: type, value: Any, path: str) -> Any:
    if type(value) is not kind:
        raise WireError(f"{path} must be a {kind.__name__}, and is a {type(value).__name__}")
    return value
