"""Recorded values put back into new answers before a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.chain.put_back import Renamed
from mockrec.engine.replay.chain.slots import slots_of
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.formats.schema.body import encode_body

OLD = "vMxrlDTtCXKUWhhG1a8co280a1"
NEW = "svyje32Q07CByjnkB1r4Sa0a1zz"


def renamed(draft: EditableRequest, recorded: str, value: str, *, link: bool = False) -> Renamed:
    """As after a request whose recorded value was sent as another one."""
    found = Renamed()
    slot = next(slot for slot in slots_of(draft) if slot.text == recorded and slot.is_link == link)
    found.note(slot, slot.keys[0], value)
    return found


def answered(body: Any, url: str = "http://h/items/4000", head: Any = ()) -> dict[str, Any]:
    """The record of a new answer; `body` as a text, or as the log has it."""
    told = encode_body(body.encode()) if isinstance(body, str) else body
    return {"type": "response", "url": url, "rawHeaders": [*head], "body": told}


ITEM = EditableRequest("GET", "/items/1", [], b"")


@pytest.mark.parametrize(
    ("body", "put_back"),
    [
        ('{"id": 4000, "count": 4000}', '{"id": 1, "count": 4000}'),
        ('{"item": {"id": 4000}, "order": {"id": 4000}}', '{"item": {"id": 1}, "order": {"id": 4000}}'),
        ('{"item_id": "4000"}', '{"item_id": "1"}'),
        ('{"self": "https://h/items/4000?x=4000"}', '{"self": "https://h/items/1?x=4000"}'),
        ('{"id": 4001}', '{"id": 4001}'),
        ("4000", "4000"),
    ],
)
def test_an_id_is_put_back_under_its_name_alone(body: str, put_back: str) -> None:
    record = answered(body, head=[["Content-Type", "application/json"]])
    assert renamed(ITEM, "1", "4000").put_back(record, None)["body"]["text"] == put_back


@pytest.mark.parametrize("body", [f'{{"any": "{NEW}"}}', f'<p class="{NEW}">', f"say {NEW} again", f"<a>{NEW}</a>"])
def test_a_token_is_put_back_wherever_it_stands(body: str) -> None:
    draft = EditableRequest("GET", "/", [["Authorization", f"Bearer {OLD}"]], b"")
    told = renamed(draft, OLD, NEW).put_back(answered(body), None)
    assert told["body"]["text"] == body.replace(NEW, OLD)


def test_links_are_put_back_by_their_parts() -> None:
    draft = EditableRequest("GET", f"/cb?code={OLD}&n=1", [], b"")
    found = renamed(draft, draft.target, f"/cb?code={NEW}&n=2", link=True)
    told = found.put_back(answered("", head=[["Location", f"https://h/cb?code={NEW}&n=2"]]), None)
    assert told["headers"] == {"location": f"https://h/cb?code={OLD}&n=2"}


def test_cookies_are_put_back_by_name() -> None:
    found = renamed(EditableRequest("GET", "/", [["Cookie", "s=abc; t=abc"]], b""), "abc", "xyz")
    head = [["Set-Cookie", "s=xyz; Path=/xyz"], ["set-cookie", "t=xyz"]]
    told = found.put_back(answered("", head=head), None)
    assert told["rawHeaders"] == [["Set-Cookie", "s=abc; Path=/xyz"], ["set-cookie", "t=xyz"]]


def test_messages_of_websockets() -> None:
    record = {"type": "websocket-message-sent", "content": encode_body(b'{"item_id": 4000}')}
    assert renamed(ITEM, "1", "4000").put_back(record, None)["content"]["text"] == '{"item_id": 1}'


@pytest.mark.parametrize(
    "record",
    [
        {"type": "request", "url": "http://h/items/4000"},
        answered('{"n": 4000}'),
        answered({"size": 12, "text": '{"id"', "truncated": True}),
        answered({"size": 12, "file": "aa/" + "a" * 64}),
        answered({"size": "12", "text": "x"}),
        answered('{"id": 4000}', head=[["Content-Type", "image/png"]]),
        {"type": "response"},
    ],
)
def test_what_holds_no_new_value_stays_itself(record: dict[str, Any], tmp_path: Path) -> None:
    before = json.dumps(record)
    assert renamed(ITEM, "1", "4000").put_back(record, tmp_path) is record
    assert json.dumps(record) == before


def test_values_that_are_exchanged_are_put_back_at_once() -> None:
    found = renamed(ITEM, "1", "2")
    slot = next(slot for slot in slots_of(EditableRequest("GET", "/items/2", [], b"")) if slot.text == "2")
    found.note(slot, slot.keys[0], "1")
    told = found.put_back(answered('[{"id": 1}, {"id": 2}]', "http://h/items"), None)
    assert told["body"]["text"] == '[{"id": 2}, {"id": 1}]'
