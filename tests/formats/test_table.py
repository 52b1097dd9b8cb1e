"""Tables with named columns: the kinds that instruments write, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from redoxscope.formats import FormatError, read_table, write_json

MPT = (
    "EC-Lab ASCII FILE\r\nNb header lines : 4\r\nfilm of 3 \xb5m\r\n"
    "time/s\tEwe/V\t<I>/mA\tx \xb5\t\r\n0,5\t3,71\t-1,0E+000\t1\t\r\n1,5\t3,72\t0\t2\t\r\n"
).encode("cp1252")


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "table.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2.5\n3,-4e1\n",
        "a;b\r\n1;2,5\r\n3;-4e1\r\n",
        "a\tb\n1\t2,5\n3\t-40\n",
        "a b\n1  2.5\n 3 -40\n",
        "# of a beamline\n# a b\n1 2.5\n3 -40",
        "# of a beamline\na, b\n1, 2.5\n# a word between\n3, -40\n\n",
        '"a","b"\n"1","2.5"\n3,-40\n',
        "a,b,\n1,2.5,\n3,-40,\n",
        "\ufeffa,b\n1,2.5\n3,-40\n",
        "a,b\n1,2.5\n3,-40\n".encode("utf-16"),
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path, content):
    table = read_table(written(tmp_path, content))
    assert list(table.columns) == ["a", "b"] and len(table) == 2
    np.testing.assert_array_equal(table.column("A"), [1, 3])
    np.testing.assert_array_equal(table.column("b"), [2.5, -40])


def test_a_text_file_of_ec_lab_says_how_long_its_header_is(tmp_path):
    table = read_table(written(tmp_path, MPT))
    assert list(table.columns) == ["time/s", "Ewe/V", "<I>/mA", "x µ"]
    np.testing.assert_array_equal(table.column("<I>/mA"), [-1, 0])
    assert table.header[2] == "film of 3 µm"


def test_an_empty_cell_is_no_number_and_text_is_named(tmp_path):
    table = read_table(written(tmp_path, "t,state,v\n0,rest,3.7\n1,charge,\n"))
    np.testing.assert_array_equal(table.column("v"), [3.7, np.nan])
    with pytest.raises(FormatError, match=r"'state': 'rest' in line 2 is no number"):
        table.column("state")
    with pytest.raises(FormatError, match=r"no column 'stat'; did you|no column 'stat'; it has"):
        table.column("stat")


def test_a_last_line_that_is_cut_off_is_noted(tmp_path):
    table = read_table(written(tmp_path, "a,b\n1,2\n3"))
    assert len(table) == 1 and table.notes == ("the last line, 3, is cut off and left out",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        (b"\x00\x01binary\x00", "not a text file"),
        ("1,2\n3,4\n", "line 1: numbers, and no row above them that names the columns"),
        ("# only\n# comments\n", "only comments"),
        ("a,b\n", "no numbers below"),
        ("a,b\n1,2\n3\n", "line 3: 1 values, but 2 names"),
        ("a,b\n1,2,5\n", "decimal comma separates columns too"),
        ("a,a\n1,2\n", "line 1: column 'a' is there twice"),
        ("a,,b\n1,2,3\n", "line 1: column 2 has no name"),
        ('a,b\n1,"2\n3,4\n', "quotation mark"),
        ("a,b\nx,y\n", "no column of numbers; column 'a': 'x' in line 2 is no number"),
        ("EC-Lab ASCII FILE\ntime/s\tEwe/V\n0\t1\n", "line 2: says not how many lines"),
        ("EC-Lab ASCII FILE\nNb header lines : 99\n0\t1\n", "line 2: says not how many lines"),
        (b"\xff\xfea", "UTF-16"),
    ],
)
def test_what_is_no_table_is_said_by_file_and_line(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(FormatError) as error:
        read_table(path)
    assert says in str(error.value) and str(path) in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(FormatError, match="No such file"):
        read_table(tmp_path / "none.csv")


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
