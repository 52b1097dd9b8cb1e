"""What is made of the messages of a proxy, without one."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from redoxscope.callbacks.remote._form import LIVE, documents_array
from redoxscope.callbacks.remote._hearing import SILENT, Hearing
from redoxscope.callbacks.wire import encode, pack
from redoxscope.documents import json_bytes

from .conftest import make
from .rixs_runs import RixsRun

STACK, _ = make()
DOCUMENTS = list(STACK.documents())


class Heard:
    def __init__(self, take=None):
        self.documents, self.batches, self.said = [], [], []
        self.hearing = Hearing(
            take or (lambda *pair: self.documents.append(pair)),
            lambda *pair: self.batches.append(pair),
            self.said.append,
        )
        self.now = 0.0

    def __call__(self, *messages: bytes) -> Heard:
        for message in messages:
            self.hearing.message(message, self.now)
        return self

    def later(self, seconds: float) -> Heard:
        self.now += seconds
        self.hearing.tick(self.now)
        return self

    @property
    def words(self) -> str:
        return "\n".join(self.said)


def sent(name: str, doc: dict, prefix: bytes = b"redoxscope") -> bytes:
    return b" ".join((prefix, name.encode(), json_bytes(doc)))


def hello(opening=(), count=0, *, session="s1", name="bl1", lost=0, ending=False) -> bytes:
    runs = [{"uid": opening[0][1]["uid"], "sent": count}] if opening else []
    header = {"session": session, "name": name, "lost": lost, "runs": runs, "ending": ending}
    arrays = {"0": documents_array(list(opening))} if opening else {}
    return LIVE + b" hello " + encode(header, arrays)


def photons(batch, run: str = "rixs") -> bytes:
    header, arrays = pack(batch)
    return LIVE + b" photons " + encode({"run": run, "photons": header}, arrays)


def plain(documents) -> list:
    return json.loads(json_bytes([list(pair) for pair in documents]))


@pytest.mark.parametrize("prefix", [b"redoxscope", b"", b"another"])
def test_documents_of_anyone_are_handed_on_as_they_were(prefix):
    heard = Heard()(*(sent(*pair, prefix) for pair in DOCUMENTS))
    assert plain(heard.documents) == plain(DOCUMENTS)
    assert heard.said == []


def test_missing_numbers_are_no_zeros():
    start, descriptor, *_ = DOCUMENTS
    heard = Heard()(sent(*start), sent(*descriptor), sent(*STACK.line(0, 0, missed=True)))
    data = heard.documents[-1][1]["data"]
    assert np.isnan(data["transmission"]).all() and len(data["transmission"][0]) == 30


@pytest.mark.parametrize("first", [2, 100])
def test_who_comes_late_gets_the_beginning_and_hears_what_is_missing(first):
    """Also the events that came before the hello are not lost."""
    heard = Heard()
    heard(*(sent(*pair) for pair in DOCUMENTS[first : first + 5]))
    assert heard.documents == []
    heard(hello(DOCUMENTS[:2], first + 5))
    assert plain(heard.documents) == plain(DOCUMENTS[:2] + DOCUMENTS[first : first + 5])
    if first > 2:
        assert "98 of its 105 documents are not here" in heard.words
        assert "stxm_energy_stack" in heard.words
    else:
        assert "not here" not in heard.words
    told = len(heard.said)
    heard(*(sent(*pair) for pair in DOCUMENTS[first + 5 :]), hello(DOCUMENTS[:2], len(DOCUMENTS)))
    assert plain(heard.documents[-1:]) == plain(DOCUMENTS[-1:])
    assert len(heard.said) == told


def test_what_is_lost_on_the_way_is_counted():
    heard = Heard()(*(sent(*pair) for pair in DOCUMENTS[:10]), hello(DOCUMENTS[:2], 10))
    assert "lost" not in heard.words
    heard(*(sent(*pair) for pair in DOCUMENTS[13:20]), hello(DOCUMENTS[:2], 20))
    assert "3 documents were lost on the way" in heard.words
    heard(hello(DOCUMENTS[:2], 20))
    assert heard.words.count("lost on the way") == 1
    # The last ones and the stop document: the hellos after the end tell.
    heard(hello([*DOCUMENTS[:2], DOCUMENTS[-1]], 22))
    assert plain(heard.documents[-1:]) == plain(DOCUMENTS[-1:])
    assert "1 documents were lost on the way" in heard.words
    heard(hello([*DOCUMENTS[:2], DOCUMENTS[-1]], 22), sent(*DOCUMENTS[-1]))
    assert [name for name, _ in heard.documents].count("stop") == 1


def test_what_is_lost_before_the_first_hello_is_lost_on_the_way():
    heard = Heard()(sent(*DOCUMENTS[0]), hello(DOCUMENTS[:2], 5))
    assert "3 documents were lost on the way" in heard.words


def test_what_the_session_could_not_publish_is_told():
    heard = Heard()(hello(lost=0), hello(lost=7), hello(lost=7))
    assert heard.words.count("could not publish 7 documents") == 1


def test_a_run_that_was_over_before_is_not_shown():
    heard = Heard()(hello([*DOCUMENTS[:2], DOCUMENTS[-1]], len(DOCUMENTS)))
    assert heard.documents == []


def test_several_runs_at_once():
    other = replace(STACK, uid="other")
    pairs = zip(DOCUMENTS, other.documents(), strict=True)
    heard = Heard()(*(sent(*pair) for both in pairs for pair in both))
    assert len(heard.documents) == 2 * len(DOCUMENTS)
    ended = [doc["run_start"] for name, doc in heard.documents if name == "stop"]
    assert ended == ["run", "other"]


def test_a_session_falls_silent_and_comes_back():
    heard = Heard()(hello())
    heard.later(SILENT - 0.1)
    assert heard.said == ["session bl1 is there"]
    heard.later(0.2).later(5)
    assert "session bl1: nothing heard for 10 s" in heard.said[-1] and len(heard.said) == 2
    heard(hello())
    assert heard.said[-1] == "session bl1 is heard again"
    heard.later(SILENT + 1)(hello(session="s2"))
    assert heard.said[-1] == "session bl1 is back, started anew"


def test_a_session_that_ends_says_so():
    heard = Heard()(hello(), hello(ending=True)).later(SILENT + 1)
    assert heard.said == ["session bl1 is there", "session bl1 has ended"]
    assert heard(hello(session="s2")).said[-1] == "session bl1 is back, started anew"


def test_events_of_an_unknown_run_are_told_of_once():
    heard = Heard()(sent(*DOCUMENTS[5]), sent(*DOCUMENTS[6]))
    heard.later(SILENT + 1).later(1)
    assert heard.said == [
        "events come of a run whose start was not heard: nothing can be shown of it. "
        "The next run can"
    ]


def test_documents_of_a_newer_contract_are_refused_in_words():
    start = dict(DOCUMENTS[0][1], contract_version=3)
    heard = Heard()(sent("start", start), *(sent(*pair) for pair in DOCUMENTS[1:]))
    assert heard.documents == []
    assert "is of version 3 of the documents; this redoxscope reads up to 2" in heard.words
    heard(*(sent(*pair) for pair in replace(STACK, uid="next").documents()))
    assert len(heard.documents) == len(DOCUMENTS)


def test_photons_of_the_point_under_way():
    run = RixsRun("O K")
    batch = run.batch(3, 20)
    heard = Heard()(photons(batch), sent(*run.start()), photons(batch))
    ((uid, found),) = heard.batches  # none before the run is known
    assert uid == "rixs" and found.point_start_ns == batch.point_start_ns
    for name in ("pixel", "energy", "local_time"):
        np.testing.assert_array_equal(getattr(found, name), getattr(batch, name), strict=True)
    heard(photons(replace(batch, energy=batch.energy[:3])), photons(replace(batch, point="x")))
    assert len(heard.batches) == 1
    assert "different shapes" in heard.words and "LiveBatch.point must be a int" in heard.words
    for odd in (-1, 1 << 16, 10**9):  # a table of all pixels is made as long as the highest says
        heard(photons(replace(batch, pixel=batch.pixel.astype(np.int64) * 0 + odd)))
    assert len(heard.batches) == 1 and "not numbers up to 65535" in heard.words


BAD = {
    b"": "it is no document",
    b"nonsense": "it is no document",
    b"redoxscope start": "it is no document",
    b"redoxscope start {": "JSON",
    b"redoxscope start " + b"[" * 200_000: "JSON",
    b"redoxscope start []": "a start document that is no mapping",
    b"redoxscope start {}": "a start document without uid",
    b'redoxscope start {"uid": 5}': "a start document without uid",
    b'redoxscope event {"uid": "a"}': "a event document without descriptor",
    b'redoxscope descriptor {"uid": "a", "run_start": "b"}': "a descriptor document without name",
    b'redoxscope bulk_events {"uid": "a"}': "'bulk_events' is the name of no document",
    b'redoxscope \xff\xfe {"uid": "a"}': "is the name of no document",
    b" start " + pickle.dumps({"uid": "a"}): "it is a pickle, which is never opened",
    b"redoxscope-live hello {}": "no message of redoxscope",
    b"redoxscope-live hello " + encode({}, {}): "a hello that does not say",
    b"redoxscope-live photons " + encode({}, {}): "photons of no run",
    b"redoxscope-live hello "
    + encode({"session": "a", "name": "", "runs": [5]}, {}): "whose runs are not",
    b"redoxscope-live hello "
    + encode(
        {"session": "a", "name": "", "runs": [{"sent": 1}]}, {"0": np.zeros(3, np.uint8)}
    ): "JSON",
    b"redoxscope-live hello "
    + encode(
        {"session": "a", "name": "", "runs": [{"sent": 1}]},
        {"0": documents_array([("stop", {"run_start": "x"})])},
    ): "without a start document",
}


@pytest.mark.parametrize("message", BAD, ids=range(len(BAD)))
def test_a_bad_message_is_told_of_and_the_next_is_read(message):
    heard = Heard()(message, message, *(sent(*pair) for pair in DOCUMENTS))
    dropped = [text for text in heard.said if text.startswith("a message is dropped")]
    assert len(dropped) == 1 and BAD[message].lower() in dropped[0].lower()
    assert heard.hearing.dropped == 2
    assert len(heard.documents) == len(DOCUMENTS)


def test_rubbish_of_a_thousand_kinds_is_not_told_of_a_thousand_times():
    heard = Heard()(*(f'x start {{"{i}": '.encode() + b"[" * i for i in range(300)))
    heard(*(f"x start {i} {i}".encode() for i in range(300)))
    heard(*(f'x name{i} {{"uid": "a"}}'.encode() for i in range(300)))
    assert heard.hearing.dropped == 900
    assert len(heard.said) <= 21


def test_no_damaged_byte_ends_it():
    rng = np.random.default_rng(3)
    run = RixsRun("O K")
    messages = [*(sent(*pair) for pair in DOCUMENTS[:4]), hello(DOCUMENTS[:2], 4)]
    messages += [sent(*run.start()), photons(run.batch(0, 5))]
    heard = Heard()
    for _ in range(2000):
        damaged = bytearray(messages[rng.integers(len(messages))])
        for at in rng.integers(0, len(damaged), rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        heard(bytes(damaged))
    count = len(heard.documents)
    heard(*(sent(*pair) for pair in replace(STACK, uid="next").documents()))
    assert len(heard.documents) == count + len(DOCUMENTS)


def test_what_cannot_be_taken_does_not_end_it():
    taken = []

    def take(name, doc):
        taken.append(name)
        if name == "descriptor":
            raise KeyError("configuration")

    heard = Heard(take)(*(sent(*pair) for pair in DOCUMENTS[:4]))
    assert taken == ["start", "descriptor", "event_page", "event_page"]
    assert "a descriptor document cannot be taken: 'configuration'" in heard.words
