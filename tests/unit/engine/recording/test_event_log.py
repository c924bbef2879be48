"""The way of a record into the log: which records are redacted as a whole, and which are not searched again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.event_log import EventLog
from mockrec.engine.recording.owner import NoExchange
from mockrec.engine.recording.record_cache import LogForm, RecordCache
from mockrec.engine.redaction.redactor import Redactor

SECRET = "abcdef-0123456789"


class Spy:
    """A redactor that notes which of its methods are called."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("record", "replace_known"):
            self.calls.append(name)
        return getattr(self.redactor, name)


class TaggedOwner(NoExchange):
    """An owner whose tags can be set."""


class Setup:
    def __init__(self, setting: Any = "default") -> None:
        redactor = Redactor.of(setting, {}, key=b"k" * 32)
        assert redactor is not None
        self.spy: Any = Spy(redactor)
        self.added: list[dict[str, Any]] = []
        log: Any = SimpleNamespace(add=self.added.append, add_line=None, flush=lambda: None)
        self.events = EventLog(log, BodyEncoder("decoded", 1024, redactor), self.spy, None)
        self.head = RecordCache(redactor).part({"rawHeaders": [["Authorization", f"Bearer {SECRET}"]]}, "request")
        self.owner = TaggedOwner()

    def record(self, **more: Any) -> dict[str, Any]:
        return {"seq": 0, "type": "request", **self.head.fields, **more}


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_a_record_whose_secrets_are_those_of_its_head_is_not_searched(setup: Setup) -> None:
    for _ in range(2):
        setup.events.add(setup.record(), setup.owner, head=setup.head, redacted=True)
    assert setup.spy.calls == []
    assert setup.owner.known is setup.head.secrets
    assert setup.spy.count == 2


def test_secrets_of_earlier_records_are_replaced(setup: Setup) -> None:
    setup.events.add(setup.record(), setup.owner, head=setup.head, redacted=True)
    setup.events.add({"seq": 0, "type": "response", "url": SECRET}, setup.owner, redacted=True)
    assert setup.spy.calls == ["replace_known"]
    assert SECRET not in str(setup.added)


def test_a_record_with_parts_is_searched_for_known_secrets(setup: Setup) -> None:
    record = setup.record(body={})
    setup.events.add(
        record, setup.owner, ((record, "body", lambda _: {"text": SECRET}),), head=setup.head, redacted=True
    )
    assert setup.spy.calls == ["replace_known"]
    assert SECRET not in str(setup.added)


def test_other_fields_are_redacted_as_a_whole(setup: Setup) -> None:
    setup.events.add({"seq": 0, "type": "rule-event", "eventData": {"token": SECRET}}, setup.owner)
    assert setup.spy.calls == ["record"]
    assert SECRET not in str(setup.added)


def test_tags_may_hold_secrets(setup: Setup) -> None:
    setup.owner.tags = ("socket-metadata:x",)
    setup.events.add(setup.record(), setup.owner, redacted=True)
    assert setup.spy.calls == ["record"]


def test_an_expression_may_match_any_field() -> None:
    setup = Setup({"add": ["text:sess-[0-9]+"]})
    setup.events.add({"seq": 0, "type": "response", "path": "/sess-12345678"}, setup.owner, redacted=True)
    assert setup.spy.calls == ["record"]
    assert "sess-" not in str(setup.added)


def test_without_a_redactor_records_are_added_as_they_are() -> None:
    added: list[dict[str, Any]] = []
    log: Any = SimpleNamespace(add=added.append, add_line=None, flush=lambda: None)
    owner: Any = SimpleNamespace(known=None, waiting=0, tags=("a",))
    record = {"seq": 0, "type": "response", "password": SECRET}
    EventLog(log, BodyEncoder("decoded", 1024), None, None).add(record, owner, head=LogForm({}, None))
    assert added == [record]


def test_tags_are_searched_once_for_all_records(setup: Setup) -> None:
    setup.owner.tags = ("replay-of:01890a5d-ac00-7000-8000-000000000002",)
    assert not setup.events.is_plain(setup.owner)
    setup.events.search_tags(setup.owner)
    assert setup.events.is_plain(setup.owner)
    setup.events.add({"seq": 0, "type": "request"}, setup.owner, redacted=True)
    assert setup.spy.calls == []
    setup.owner.tags = (*setup.owner.tags, "more")
    assert not setup.events.is_plain(setup.owner)


@pytest.mark.parametrize("tag", [f"password={SECRET}", "a\\u0070assword", "tab\t"])
def test_tags_that_may_hold_a_secret_are_searched_in_each_record(setup: Setup, tag: str) -> None:
    setup.owner.tags = (tag,)
    setup.events.search_tags(setup.owner)
    assert not setup.events.is_plain(setup.owner)


def test_a_secret_of_a_head_is_searched_in_plain_tags(setup: Setup) -> None:
    setup.owner.tags = (f"replay-of:{SECRET}",)
    setup.events.search_tags(setup.owner)
    assert setup.events.is_plain(setup.owner, setup.head)
    assert not setup.events.add_plain("request", "", b'"tags":%b' % setup.owner.line_tags, setup.head)
    for head in (setup.head, None):
        setup.events.add(setup.record(tags=setup.owner.tags), setup.owner, head=head, redacted=True)
        assert setup.added.pop()["tags"][0].startswith("replay-of:redacted-")
