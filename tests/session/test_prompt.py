"""What is told at the prompt while a session is open, and what not."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from redoxscope.session._names import SHORT, namespace
from redoxscope.session._prompt import ERASE, shown_at_the_prompt

PLANS, SESSION = "redoxscope.plans", "redoxscope.session"
NAMES = ("", "redoxscope", PLANS, SESSION, "redoxscope.devices", "redoxscope.calibrations")
OTHERS = ("bluesky", "ophyd")


@contextmanager
def in_a_users_process() -> Iterator[None]:
    """Without the handlers that pytest has while a test is called."""
    loggers = [logging.getLogger(name) for name in (*NAMES, *OTHERS)]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = []
        logger.setLevel(logging.NOTSET if logger.parent else logging.WARNING)
    try:
        yield
    finally:
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)


def say_all() -> None:
    for name in NAMES[1:]:
        logging.getLogger(name).info("news of %s", name)
        logging.getLogger(name).warning("something wrong: %s", name)


WRONG = [f"something wrong: {name}" for name in NAMES[1:]]


@in_a_users_process()
def test_news_of_plans_and_session_is_shown_as_plain_lines_once(capsys):
    with shown_at_the_prompt(), shown_at_the_prompt():
        say_all()
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert not shown.out
    assert [line for line in lines if line.startswith("news")] == [
        f"news of {PLANS}",
        f"news of {SESSION}",
    ]
    assert [line for line in lines if line.startswith("some")] == WRONG


@in_a_users_process()
def test_errors_of_bluesky_and_ophyd_are_a_line_each(capsys, monkeypatch):
    def fail():
        for name in OTHERS:
            try:
                raise TimeoutError("PV RS:Shutter:Cmd is disconnected")
            except TimeoutError:
                logging.getLogger(f"{name}.part").exception("Failed to stop %r.", name)

    monkeypatch.delenv("REDOXSCOPE_DEBUG", raising=False)
    with shown_at_the_prompt():
        fail()
        assert capsys.readouterr().err.splitlines() == [
            f"Failed to stop {name!r}: TimeoutError: PV RS:Shutter:Cmd is disconnected"
            for name in OTHERS
        ]
        monkeypatch.setenv("REDOXSCOPE_DEBUG", "1")
        fail()
    assert capsys.readouterr().err.count("Traceback") == 2
    assert not any(logging.getLogger(name).handlers for name in OTHERS)


@in_a_users_process()
def test_the_last_session_takes_it_away_again(capsys):
    with shown_at_the_prompt():
        with shown_at_the_prompt():
            pass
        logging.getLogger(PLANS).info("still open")
    assert capsys.readouterr().err == "still open\n"
    say_all()
    assert capsys.readouterr().err.splitlines() == WRONG, "as Python does"
    assert not any(logging.getLogger(name).handlers for name in NAMES)
    assert logging.getLogger(PLANS).level == logging.NOTSET


@pytest.mark.parametrize("name", ["", "redoxscope"], ids=["root", "redoxscope"])
@in_a_users_process()
def test_who_has_configured_logging_gets_what_he_configured(name, capsys):
    logging.getLogger(name).addHandler(logging.StreamHandler(sys.stderr))
    with shown_at_the_prompt():
        say_all()
    assert capsys.readouterr().err.splitlines() == WRONG


@pytest.mark.parametrize("name", ["", "redoxscope", PLANS])
@in_a_users_process()
def test_no_line_comes_twice_where_it_is_configured_later(name, capsys):
    with shown_at_the_prompt():
        logging.getLogger(name).addHandler(logging.StreamHandler(sys.stderr))
        logging.getLogger(PLANS).warning("once")
        assert capsys.readouterr().err == "once\n"


@in_a_users_process()
def test_a_level_that_the_user_sets_stays(capsys):
    logging.getLogger(PLANS).setLevel(logging.ERROR)
    with shown_at_the_prompt():
        logging.getLogger(PLANS).info("not wanted")
        logging.getLogger(SESSION).setLevel(logging.DEBUG)
    assert not capsys.readouterr().err
    assert logging.getLogger(PLANS).level == logging.ERROR
    assert logging.getLogger(SESSION).level == logging.DEBUG


@in_a_users_process()
def test_a_line_takes_the_place_of_a_progress_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with shown_at_the_prompt():
        logging.getLogger(PLANS).info("until: 80 % of the pixels")
    assert capsys.readouterr().err == f"{ERASE}until: 80 % of the pixels\n"


def test_the_names_of_the_shell_are_those_of_the_reference():
    stored = SimpleNamespace(outage="no catalog is opened here")
    session = SimpleNamespace(
        devices={}, maps=dict.fromkeys(SHORT), extras=dict.fromkeys(["calibrations", "windows"]),
        stored=stored, RE=None, sd=None, cat=None,
    )  # fmt: skip
    text = (Path(__file__).parents[2] / "docs/reference/commands.md").read_text(encoding="utf-8")
    section = text.split("## `redoxscope shell`")[1].split("What it says at its begin")[0]
    told = set(re.findall(r"`(\w+)`", section)) - {"energy"}  # a device
    assert told == set(namespace(session))


IMPORTED = """\
import logging
import redoxscope, redoxscope.plans, redoxscope.session, redoxscope.calibrations
names = ["", "redoxscope", "redoxscope.plans", "redoxscope.session"]
print([(len(logging.getLogger(name).handlers), logging.getLogger(name).level) for name in names])
"""


def test_importing_changes_nothing_of_the_process():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[(0, 30), (0, 0), (0, 0), (0, 0)]"
