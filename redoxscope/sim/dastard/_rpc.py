"""JSON-RPC 1.0 over TCP as Go's net/rpc serves it, down to the texts of its errors."""

from __future__ import annotations

import codecs
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["LONGEST", "GoError", "RpcServer", "fill", "unfinished"]

log = logging.getLogger("redoxscope.sim.dastard")

LONGEST = 64 << 20
"""Characters of a request at most."""

_RANGES = {
    "int": (-(1 << 63), (1 << 63) - 1),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "uint16": (0, (1 << 16) - 1),
}
_ZEROS = {"bool": False, "string": "", "float64": 0.0}


_WORDS = ("true", "false", "null")
_CUT_NUMBER = re.compile(r"-|\.|[eE][+-]?")
_CUT_ESCAPE = re.compile(r"\\?u?[0-9a-fA-F]{0,4}(\\(u[0-9a-fA-F]{0,4})?)?")


class GoError(Exception):
    """What a call answers instead of a result; the text is what the client gets."""


def _kind(value: object) -> str:
    """What Go's decoder calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def convert(value: Any, kind: str, where: str = "Go value") -> Any:
    """A JSON value as Go would unmarshal it into a type; null is the type's zero.

    Raises
    ------
    GoError
        It does not fit.
    """
    if kind.startswith("[]"):
        if value is None:
            return []
        if not isinstance(value, list):
            raise GoError(f"json: cannot unmarshal {_kind(value)} into {where} of type {kind}")
        return [convert(item, kind[2:], where) for item in value]
    if value is None:
        return _ZEROS.get(kind, 0)
    got = _kind(value)
    fits = {"bool": "bool", "string": "string"}.get(kind, "number") == got
    if fits and kind in _RANGES:
        low, high = _RANGES[kind]
        fits = isinstance(value, int) and low <= value <= high
        got = f"number {value}"
    if not fits:
        raise GoError(f"json: cannot unmarshal {got} into {where} of type {kind}")
    return float(value) if kind == "float64" else value


def fill(arg: Any, struct: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """A JSON object as Go would unmarshal it into a struct.

    Names match whatever their case, unknown ones are left out, missing ones are zero.

    Parameters
    ----------
    arg : object
        The call's argument.
    struct : str
        Name of the Go type, for errors.
    fields : mapping of str to str
        Go type of each field: bool, string, float64, int, int32, uint16, or a slice of these.

    Raises
    ------
    GoError
        A value does not fit its field.
    """
    if not isinstance(arg, dict | None):
        raise GoError(f"json: cannot unmarshal {_kind(arg)} into Go value of type server.{struct}")
    names = {name.lower(): name for name in fields}
    filled = {name: convert(None, kind) for name, kind in fields.items()}
    for key, value in (arg or {}).items():
        name = names.get(key.lower())
        if name is not None:
            filled[name] = convert(value, fields[name], f"Go struct field {struct}.{name}")
    return filled


class RpcServer:
    """Answers calls: those of one connection in turn, of several side by side.

    Parameters
    ----------
    listener : socket.socket
        Bound and listening.
    call : callable
        Gets the method's name and its one argument; returns the result or raises `GoError`.
    """

    def __init__(self, listener: socket.socket, call: Callable[[str, Any], Any]):
        self._listener, self._call = listener, call

    def start(self) -> None:
        """Accept connections from now on."""
        threading.Thread(target=self._accept, daemon=True, name="rpc-accept").start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True, name="rpc"
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        decoder, text = json.JSONDecoder(parse_constant=_no_json), ""
        characters = codecs.getincrementaldecoder("utf-8")()
        with connection, suppress(OSError):  # the client is gone
            while data := connection.recv(1 << 18):
                try:
                    text += characters.decode(data)
                    if len(text) > LONGEST:
                        raise ValueError(f"a request of more than {LONGEST} characters")
                    while text := text.lstrip():
                        try:
                            request, end = decoder.raw_decode(text)
                        except json.JSONDecodeError as exc:
                            if not unfinished(exc):
                                raise
                            break
                        text = text[end:]
                        connection.sendall(self._answer(request))
                except (ValueError, RecursionError) as exc:
                    # Where the next request begins cannot be known.
                    connection.sendall(_reply(None, None, f"json: {exc}"))
                    return

    def _answer(self, request: Any) -> bytes:
        number = request.get("id") if isinstance(request, dict) else None
        try:
            return _reply(number, self._result(request), None)
        except GoError as exc:
            return _reply(number, None, str(exc))
        except Exception as exc:  # one request, whatever it is, must not end the server
            log.exception("a request failed")
            return _reply(number, None, f"internal error: {type(exc).__name__}: {exc}")

    def _result(self, request: Any) -> Any:
        if not isinstance(request, dict):
            raise GoError(
                f"json: cannot unmarshal {_kind(request)} into Go value of type "
                "jsonrpc.serverRequest"
            )
        method, params = request.get("method"), request.get("params")
        if not isinstance(method, str | None):
            raise GoError(
                f"json: cannot unmarshal {_kind(method)} into Go struct field "
                "serverRequest.method of type string"
            )
        method = method or ""
        if method.count(".") != 1:
            raise GoError(f"rpc: service/method request ill-formed: {method}")
        if params is None:
            raise GoError("jsonrpc: request body missing params")
        if not isinstance(params, list) or len(params) != 1:
            raise GoError("json: cannot unmarshal params into Go value of type [1]interface {}")
        return self._call(method, params[0])


def _reply(number: Any, result: Any, error: str | None) -> bytes:
    reply = {"id": number, "result": result, "error": error}
    return json.dumps(reply, separators=(",", ":")).encode() + b"\n"


def _no_json(text: str) -> Any:
    raise ValueError(f"invalid literal {text}")


def unfinished(error: json.JSONDecodeError) -> bool:
    """Whether more text could still make it valid."""
    rest = error.doc[error.pos :]
    if error.msg.startswith("Unterminated") or not rest:
        return True
    if "escape" in error.msg:  # reported where it begins
        return _CUT_ESCAPE.fullmatch(rest) is not None
    return any(word.startswith(rest) for word in _WORDS) or _CUT_NUMBER.fullmatch(rest) is not None
