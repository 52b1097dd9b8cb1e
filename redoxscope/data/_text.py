"""Text and YAML files that people write: what is wrong with one is said by line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["FileError", "YamlText", "parse_yaml", "read_text"]

Path_ = tuple[Any, ...]
MAX_NODES = 10_000
"""Most values of a YAML file; aliases of aliases could make it larger than the memory."""


class FileError(ValueError):
    """A file that cannot be read; the text starts behind the file's name, with a line if known."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises
    ------
    FileError
        It cannot be opened, is no text, or is written in another encoding; names file and line.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as exc:
        raise FileError(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:  # a NUL in the name
        raise FileError(f"{path!r}: {exc}") from exc
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(f"{path}: is written in UTF-16; save it as UTF-8")
    if b"\0" in raw:
        raise FileError(f"{path}: not a text file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        byte = exc.object[exc.start]
        line = exc.object[: exc.start].count(b"\n") + 1
        sign = bytes([byte]).decode("cp1252", errors="replace")
        raise FileError(
            f"{path}:{line}: byte 0x{byte:02x} is not UTF-8 ({sign!r} in the encoding of Windows); "
            "save the file as UTF-8"
        ) from exc


@dataclass(frozen=True)
class YamlText:
    """What a YAML text says, and where.

    Attributes
    ----------
    content : object
        As ``yaml.safe_load`` gives it.
    lines : dict of tuple to int
        Line (from 1) of each value by its path, e.g. ``("zone_plate", "a0")``.
    """

    content: Any
    lines: dict[Path_, int] = field(default_factory=dict)

    def line(self, path: Path_) -> int:
        """Line of a value, else of the innermost part of its path that is there."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.lines:
                return self.lines[path[:n]]
        return 1


def parse_yaml(text: str, where: str) -> YamlText:
    """Read a YAML text, with two things that ``yaml.safe_load`` lacks: lines, no key twice.

    Raises
    ------
    FileError
        Not YAML, a key that is there twice, or too large; names line and key.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as exc:
        raise FileError(f"{where}: not a YAML file: {_short(exc)}") from exc
    try:
        node = loader.get_single_node()
        lines: dict[Path_, int] = {}
        if node is not None:
            _walk(node, (), lines, set(), where)
        content = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        at = f"{where}:{mark.line + 1}" if mark else where
        tab = "; indent with blanks, not with tabs" if "\\t" in str(exc.problem) else ""
        raise FileError(f"{at}: not a YAML file: {exc.problem or exc.context}{tab}") from exc
    except (yaml.YAMLError, ValueError) as exc:  # a date that does not exist is a ValueError
        if isinstance(exc, FileError):
            raise
        raise FileError(f"{where}: not a YAML file: {_short(exc)}") from exc
    except RecursionError:
        raise FileError(f"{where}: not a YAML file: nested too deeply") from None
    finally:
        loader.dispose()
    return YamlText(content, lines)


def _walk(
    node: yaml.Node, path: Path_, lines: dict[Path_, int], above: set[int], where: str
) -> None:
    if len(lines) >= MAX_NODES:
        raise FileError(f"{where}: more than {MAX_NODES} values")
    if id(node) in above:
        raise FileError(f"{where}:{node.start_mark.line + 1}: a part that holds itself")
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise FileError(f"{where}:{key.start_mark.line + 1}: a key must be text")
            line = key.start_mark.line + 1
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                whole = ".".join(str(part) for part in (*path, key.value))
                raise FileError(
                    f"{where}:{line}: key {whole!r} is there twice, in lines {seen[key.value]} "
                    f"and {line}"
                )
            seen[key.value] = line
            lines[(*path, key.value)] = line
            _walk(value, (*path, key.value), lines, above, where)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            lines[(*path, i)] = value.start_mark.line + 1
            _walk(value, (*path, i), lines, above, where)


def _short(exc: Exception) -> str:
    return " ".join(str(exc).split())
