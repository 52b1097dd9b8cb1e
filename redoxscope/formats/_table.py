"""Tables with named columns, as instruments and spreadsheets leave them."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..inputs import printable, suggestion
from ._errors import FormatError

__all__ = ["Table", "read_table"]

Rows = list[tuple[int, list[str]]]
_BIOLOGIC = ("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")
_SIGNS = (("\t", "tabs"), (";", "semicolons"), (",", "commas"))


@dataclass(frozen=True)
class Table:
    """Columns of numbers, by name.

    Attributes
    ----------
    path : Path
        The file.
    columns : dict of str to numpy.ndarray of float64 [n]
        In the file's order; an empty cell is NaN. Units are in the names, if anywhere.
    text_columns : dict of str to str
        Columns that hold no numbers, and what the first such cell is and where.
    header : tuple of str
        Lines before the names.
    notes : tuple of str
        What was not whole.
    """

    path: Path
    columns: dict[str, NDArray[np.float64]]
    text_columns: dict[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str) -> NDArray[np.float64]:
        """A column by its name, capitals or not.

        Raises
        ------
        FormatError
            There is none of that name, or it holds text; says which there are.
        """
        if name in self.columns:
            return self.columns[name]
        if name in self.text_columns:
            raise FormatError(f"{self.path}, column {name!r}: {self.text_columns[name]}")
        same = [known for known in self.columns if known.casefold() == name.casefold()]
        if len(same) == 1:
            return self.columns[same[0]]
        meant = suggestion(name, self.columns) or f"; it has {', '.join(map(repr, self.columns))}"
        raise FormatError(f"{self.path} has no column {printable(name)!r}{meant}")


def read_table(path: str | os.PathLike[str]) -> Table:
    r"""Read a table of numbers with a row of names.

    Columns may be separated by tabs, semicolons, commas or blanks. Lines that begin with ``#`` are
    comments; where no row of names stands above the numbers, the last comment is it, as XDI and
    Athena have it. Where commas do not separate, they may be decimal commas. The text files of
    EC-Lab (``.mpt``) say themselves how long their header is. Text that is not UTF-8 is read as
    Windows writes it.

    Parameters
    ----------
    path : path

    Returns
    -------
    Table

    Raises
    ------
    FormatError
        It cannot be opened, is no text, has no names, or a row has another number of cells;
        names file and line. A last line that is cut off is left out, and noted.
    """
    path = Path(path)
    text = _text(path)
    lines = text.splitlines()
    header, names_at, numbers_at = _places(path, lines)
    names_line = lines[names_at].lstrip("#")
    sign = _sign(names_line)
    names = [cell.strip() for cell in _split([names_line], sign)[0]]
    rows = [
        (k, lines[k])
        for k in range(numbers_at, len(lines))
        if lines[k].strip() and not lines[k].lstrip().startswith("#")
    ]
    cells = _split([line for _, line in rows], sign)
    if len(cells) != len(rows):
        raise FormatError(
            f'{path}: a quotation mark (") opens a cell and is not closed in its line'
        )
    if len(names) > 1 and not names[-1] and all(len(r) < len(names) or not r[-1] for r in cells):
        names.pop()  # every line ends with a separator
        cells = [row[: len(names)] for row in cells]
    _check_names(path, names_at, names)
    notes: tuple[str, ...] = ()
    if cells and len(cells[-1]) < len(names) and not text.endswith(("\n", "\r")):
        notes = (f"the last line, {rows[-1][0] + 1}, is cut off and left out",)
        cells.pop()
    if not cells:
        raise FormatError(f"{path}: there are no numbers below the names of the columns")
    for (at, _), row in zip(rows, cells, strict=False):
        if len(row) != len(names):
            raise FormatError(
                f"{path}, line {at + 1}: {len(row)} values, but {len(names)} names of columns "
                f"({_listed(names)}){_comma(sign, row, names)}"
            )
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, str] = {}
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        found = _numbers(column, sign)
        if isinstance(found, int):
            cell = printable(column[found].strip())
            texts[name] = f"{cell!r:.60} in line {rows[found][0] + 1} is no number"
        else:
            numbers[name] = found
    if not numbers:
        name, why = next(iter(texts.items()))
        raise FormatError(f"{path} has no column of numbers; column {name!r}: {why}")
    return Table(path, numbers, texts, tuple(header), notes)


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise FormatError(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:  # a NUL in the name
        raise FormatError(f"{path}: {exc}") from exc
    if not raw.strip():
        raise FormatError(f"{path} is empty: it holds no table")
    try:
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return raw.decode("utf-16")
        if b"\0" in raw:
            raise FormatError(f"{path}: not a text file")
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            return raw.decode("cp1252", errors="replace")
    except UnicodeDecodeError as exc:
        raise FormatError(f"{path}: begins as UTF-16, but is not") from exc


def _places(path: Path, lines: Sequence[str]) -> tuple[list[str], int, int]:
    """Header, and where the names and the numbers begin, as indices of lines."""
    if lines[0].strip() in _BIOLOGIC:
        match = re.fullmatch(r"Nb header lines\s*:\s*(\d+)\s*", lines[1] if len(lines) > 1 else "")
        if match is None or not 3 <= int(match[1]) <= len(lines):
            raise FormatError(
                f"{path}, line 2: says not how many lines of header there are, and a file of "
                "EC-Lab must ('Nb header lines : 62')"
            )
        at = int(match[1]) - 1
        return list(lines[:at]), at, at + 1
    bare = [k for k, line in enumerate(lines) if line.strip()]
    first = next((k for k in bare if not lines[k].lstrip().startswith("#")), None)
    if first is None:
        raise FormatError(f"{path} holds no table: there are only comments in it")
    comments = [k for k in bare if k < first]
    if not _all_numbers(lines[first]):
        return [lines[k] for k in comments], first, first + 1
    if comments:
        names = lines[comments[-1]].lstrip("#")
        if names.strip() and not _all_numbers(names):
            return [lines[k] for k in comments[:-1]], comments[-1], first
    raise FormatError(
        f"{path}, line {first + 1}: numbers, and no row above them that names the columns, "
        "as in: time_s,voltage_V,current_A"
    )


def _sign(line: str) -> str:
    """What separates the columns; blanks where nothing else does."""
    return next((sign for sign, _ in _SIGNS if sign in line), "")


def _split(lines: Iterable[str], sign: str) -> list[list[str]]:
    if not sign:
        return [line.split() for line in lines]
    try:
        return list(csv.reader(lines, delimiter=sign, skipinitialspace=True))
    except csv.Error as exc:  # a cell of more than 131 072 characters
        raise FormatError(f"no table: {exc}") from exc


def _all_numbers(line: str) -> bool:
    cells = [cell for cell in _split([line], _sign(line))[0] if cell.strip()]
    return bool(cells) and not isinstance(_numbers(cells, _sign(line)), int)


def _numbers(cells: Sequence[str], sign: str) -> NDArray[np.float64] | int:
    """The cells as numbers, or the index of the first that is none."""
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    out = np.empty(len(cells))
    for k, cell in enumerate(cells):
        text = cell.strip()
        if sign != "," and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            out[k] = float(text) if text else np.nan
        except ValueError:
            return k
    return out


def _check_names(path: Path, at: int, names: Sequence[str]) -> None:
    for k, name in enumerate(names):
        if not name:
            raise FormatError(f"{path}, line {at + 1}: column {k + 1} has no name")
        if name in names[:k]:
            raise FormatError(f"{path}, line {at + 1}: column {name!r} is there twice")


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(map(printable, names))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _comma(sign: str, row: Sequence[str], names: Sequence[str]) -> str:
    if sign == "," and len(row) > len(names):
        return "; a decimal comma separates columns too, write 3.71 or separate by semicolons"
    return ""
