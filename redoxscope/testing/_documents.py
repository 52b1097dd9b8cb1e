"""A RunEngine for tests, and the documents that it emits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import event_model
from bluesky import RunEngine

__all__ = ["Documents", "make_engine"]


def make_engine(**options: Any) -> tuple[RunEngine, Documents]:
    """Make a RunEngine without signal handlers, and what keeps its documents.

    As fixtures::

        @pytest.fixture
        def engine():
            return make_engine()

    Parameters
    ----------
    **options
        For the RunEngine.

    Returns
    -------
    engine : bluesky.RunEngine
    documents : Documents
        Subscribed.
    """
    engine, documents = RunEngine({}, context_managers=[], **options), Documents()
    engine.subscribe(documents)
    return engine, documents


class Documents:
    """Callback that keeps the documents of one run or several, in order.

    Iterating gives (name, document), as the validators of this package want them.
    """

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Keep a document."""
        self.all.append((name, dict(doc)))

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def named(self, name: str) -> list[dict[str, Any]]:
        """Documents of one name, e.g. ``"stop"``."""
        return [doc for kind, doc in self.all if kind == name]

    @property
    def start(self) -> dict[str, Any]:
        """The last run's start document."""
        return self.named("start")[-1]

    @property
    def stop(self) -> dict[str, Any]:
        """The last run's stop document."""
        return self.named("stop")[-1]

    def rows(self, stream: str = "primary") -> dict[int, dict[str, Any]]:
        """Data of a stream's events and event pages by ``seq_num``; what came last counts."""
        of = {doc["uid"] for doc in self.named("descriptor") if doc["name"] == stream}
        found: dict[int, dict[str, Any]] = {}
        for name, doc in self.all:
            if doc.get("descriptor") not in of:
                continue
            if name == "event":
                found[doc["seq_num"]] = dict(doc["data"])
            elif name == "event_page":
                for i, number in enumerate(doc["seq_num"]):
                    found[number] = {key: values[i] for key, values in doc["data"].items()}
        return dict(sorted(found.items()))

    def validate(self) -> None:
        """Check every document against bluesky's schema, and that JSON can say it.

        Raises
        ------
        jsonschema.ValidationError, TypeError
        """
        for name, doc in self.all:
            event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
            json.dumps(doc)
