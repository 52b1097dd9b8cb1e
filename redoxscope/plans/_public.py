"""What makes a plan public: any tool that reads signatures can list, check and run it.

A queue server runs in another process, which knows neither our classes nor our devices: all it
has is a description of the plan, made here from the plan's own signature.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, cast

from bluesky.utils import MsgGenerator
from bluesky.utils import plan as bluesky_plan

from ..inputs import as_number, as_whole, suggestion

__all__ = ["Bounds", "OneOf", "description", "device_parameters", "plan"]

P = ParamSpec("P")

DEVICE = "__DEVICE__"
"""A queue server's word for a device, which it is given by name."""

_PLAIN = {str: "str", int: "int", float: "float", bool: "bool", type(None): "None"}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)
_DICTS = (dict, collections.abc.Mapping)


@dataclass(frozen=True, repr=False)
class Bounds:
    """Limits and unit of a parameter, written once: ``Annotated[float, Bounds("s", above=0)]``.

    `plan` refuses what lies outside where the parameter is one number (or None), and a queue
    server is told.

    Parameters
    ----------
    unit : str
        Of value and limits; "" where it has none.
    above, at_least, at_most : float, optional
        Limits.
    step : float, optional
        What an input field steps by.
    """

    unit: str = ""
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    step: float | None = None

    def __repr__(self) -> str:
        """What is given only, since help shows it in each signature."""
        given = [repr(self.unit)] if self.unit else []
        given += [
            f"{key}={value:g}"
            for key, value in vars(self).items()
            if key != "unit" and value is not None
        ]
        return f"Bounds({', '.join(given)})"

    def number(self, name: str, value: Any) -> float:
        """The value as a float within the limits.

        Raises
        ------
        ValueError
            Names the parameter, what was given, limit and unit.
        """
        return as_number(
            name, value, self.unit, above=self.above, at_least=self.at_least, at_most=self.at_most
        )

    def whole(self, name: str, value: Any) -> int:
        """The value as an int within the limits.

        Raises
        ------
        ValueError
            As `number`.
        """
        least = 0 if self.at_least is None else int(self.at_least)
        most = None if self.at_most is None else int(self.at_most)
        return as_whole(name, value, at_least=least, at_most=most)

    def listed(self) -> dict[str, float]:
        """Limits as a queue server writes them: both included, so 0 passes ``above=0`` there."""
        low = self.above if self.at_least is None else self.at_least
        limits = {"min": low, "max": self.at_most, "step": self.step}
        return {key: value for key, value in limits.items() if value is not None}


@dataclass(frozen=True)
class OneOf:
    """The texts that a parameter may be: ``Annotated[str | None, OneOf(names)]``.

    A queue server lists them and takes no other; the plan itself refuses, with what may be meant.

    Parameters
    ----------
    names : tuple of str
    """

    names: tuple[str, ...]


def plan(function: Callable[P, MsgGenerator[Any]]) -> Callable[P, MsgGenerator[Any]]:
    """Mark a function as a plan that any tool may run. Outermost, on every plan we export.

    The function may check what it is given and return a generator: it is called at once, so
    what is wrong is said at the call. Parameters that are one number with `Bounds` are checked
    here. What comes out is bluesky's ``Plan``, which warns when nobody runs it.

    Parameters
    ----------
    function : callable
        Every parameter has a type that JSON can say (next to others): numbers, text, lists,
        mappings, and devices, by a protocol. Its docstring describes each.

    Raises
    ------
    TypeError
        A parameter could not be handed over by name and value; says which.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    own = inspect.signature(function)
    checks = {
        name: check
        for name in own.parameters
        if (check := _check_of(hints.get(name, Any))) is not None
    }

    # In two steps: bluesky's mark alone leaves a half-made object behind where a call is refused.
    @bluesky_plan
    @functools.wraps(function)
    def handed_out(made: Any) -> Any:
        return made

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> MsgGenerator[Any]:
        try:
            bound = own.bind(*args, **kwargs)
        except TypeError as exc:
            raise TypeError(f"{function.__name__}() {_not_bound(own, args, kwargs, exc)}") from None
        for name, check in checks.items():
            if bound.arguments.get(name) is not None:
                bound.arguments[name] = check(name, bound.arguments[name])
        made = function(*bound.args, **bound.kwargs)
        if inspect.isgenerator(made):  # what an engine, and a dry run's table, call the plan
            made.__name__ = function.__name__
        return cast("MsgGenerator[Any]", handed_out(made))

    resolved = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in own.parameters.items()
    ]
    public = cast(Any, checked)
    public.__signature__ = own.replace(
        parameters=resolved, return_annotation=hints.get("return", own.return_annotation)
    )
    public.__annotations__ = hints
    public._is_plan_ = True
    public._custom_parameter_annotation_ = description(public)
    return checked


def _not_bound(
    own: inspect.Signature, args: Sequence[Any], given: Mapping[str, Any], error: TypeError
) -> str:
    """Why arguments do not fit, with what may be meant."""
    positional: list[str] = []
    by_name: list[str] = []
    for name, parameter in own.parameters.items():
        (by_name if parameter.kind is parameter.KEYWORD_ONLY else positional).append(name)
    if len(args) > len(positional):
        return (
            f"takes {', '.join(positional)} without a name, and {len(args)} are given; the rest "
            f"by name: {', '.join(f'{name}=' for name in by_name)}"
        )
    unknown = [name for name in given if name not in own.parameters]
    if unknown:
        meant = suggestion(unknown[0], own.parameters)
        meant = meant or f"; known are {', '.join(own.parameters)}"
        return f"has no parameter {unknown[0]!r}{meant}"
    return str(error)


def description(
    function: Callable[..., Any],
    devices: Mapping[str, Sequence[str]] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """What a queue server is told of a plan beyond its docstring.

    Parameters
    ----------
    function : callable
        A plan with resolved annotations.
    devices : mapping of str to sequence of str, optional
        Names of the devices that are there for each parameter that takes some; without, the
        server takes any name, and the plan refuses.
    limits : mapping of str to tuple of float, optional
        Narrower limits of parameters, as the devices publish them.

    Returns
    -------
    dict
        As ``bluesky_queueserver.parameter_annotation_decorator`` takes it.
    """
    parameters: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = parameter.annotation
        names = (devices or {}).get(name)
        kind = DEVICE if names is None else f"Device_{name}"
        said = None if hint is parameter.empty else _said(hint, kind)
        if said is None:
            raise TypeError(
                f"plan {function.__name__}: {name} has the type {hint!r}, of which JSON can say no "
                "part; let it also be text, a mapping or a list"
            )
        told: dict[str, Any] = {"annotation": said}
        if names is not None:
            told["devices"] = {kind: list(names)}
        for part in _metadata(hint):
            told |= part.listed()
        if name in (limits or {}):
            told["min"], told["max"] = cast(Any, limits)[name]
        parameters[name] = told
    return {"parameters": parameters}


def device_parameters(function: Callable[..., Any]) -> dict[str, type]:
    """Parameters of a plan that take devices, with the protocol of each."""
    found: dict[str, type] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        protocols = list(_protocols(parameter.annotation))
        if protocols:
            found[name] = protocols[0]
    return found


def _metadata(hint: Any) -> list[Bounds]:
    extras = getattr(hint, "__metadata__", ())
    return [part for part in extras if isinstance(part, Bounds)]


def _check_of(hint: Any) -> Callable[[str, Any], float] | None:
    """How to check a parameter that is one number, or None; None where there are no bounds."""
    for bounds in _metadata(hint):
        kinds = set(_members(typing.get_args(hint)[0])) - {type(None)}
        if kinds == {float}:
            return bounds.number
        if kinds == {int}:
            return bounds.whole
    return None


def _is_protocol(hint: Any) -> bool:
    return isinstance(hint, type) and getattr(hint, "_is_protocol", False)


def _members(hint: Any) -> Sequence[Any]:
    """The types of a union; of anything else, itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _protocols(hint: Any) -> typing.Iterator[type]:
    bare = typing.get_origin(hint) or hint
    if _is_protocol(bare):
        yield bare
        return
    for part in typing.get_args(hint):
        yield from _protocols(part)


def _said(hint: Any, device: str) -> str | None:
    """A type as text that JSON can fill, without what only Python has; None: no part of it."""
    if hasattr(hint, "__metadata__"):
        said = _said(typing.get_args(hint)[0], device)
        names = [
            name for part in hint.__metadata__ if isinstance(part, OneOf) for name in part.names
        ]
        if names and said is not None:
            said = re.sub(r"\bstr\b", f"typing.Literal[{', '.join(map(repr, names))}]", said)
        return said
    if hint is Any:
        return "typing.Any"
    if hint in _PLAIN:
        return _PLAIN[hint]
    members = _members(hint)
    if len(members) > 1:
        parts = dict.fromkeys(_said(member, device) for member in members)
        known = [part for part in parts if part is not None]
        if not known or known == ["None"]:
            return None
        return f"typing.Union[{', '.join(known)}]" if len(known) > 1 else known[0]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    bare = origin or hint
    if bare in _LISTS:
        inner = _said(args[0], device) if args else "typing.Any"
        return None if inner is None else f"list[{inner}]"
    if bare in _DICTS:
        inner = _said(args[1], device) if args else "typing.Any"
        return None if inner is None else f"dict[str, {inner}]"
    if bare is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            inner = _said(args[0], device)
            return None if inner is None else f"list[{inner}]"
        inners = [_said(arg, device) for arg in args]
        return None if None in inners or not inners else f"tuple[{', '.join(map(str, inners))}]"
    if bare is typing.Literal:
        return f"typing.Literal[{', '.join(map(repr, args))}]"
    return device if _is_protocol(bare) else None
