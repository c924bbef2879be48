"""Recorded requests: what is read of them, where they hold marks, and what fills those."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.session.editable import EditableRequest, draft_of, fill, marked_places, set_header
from mockrec.engine.replay.session.selectors import parse_setting
from mockrec.formats.schema.errors import SessionError

MARK = "redacted-0123abcd"


def filled(draft: EditableRequest, *settings: str) -> EditableRequest:
    fill(draft, [parse_setting(text) for text in settings])
    return draft


def test_of_a_record(recorded: Any) -> None:
    draft = draft_of(recorded.request(method="POST", body="hi"), None)
    assert (draft.method, draft.target, draft.raw_headers, draft.body) == (
        "POST",
        "/a?b=c",
        [["Host", "shop.test"]],
        b"hi",
    )


def test_a_session_without_raw_headers_has_a_table(recorded: Any) -> None:
    record = recorded.request(rawHeaders=None, headers={"host": "a", "accept": ["b", "c"]})
    assert draft_of(record, None).raw_headers == [["host", "a"], ["accept", "b"], ["accept", "c"]]


def test_encoded_bodies_know_their_encoding_and_their_bytes_where_both_were_kept(recorded: Any) -> None:
    wire = gzip.compress(b"hi", mtime=0)
    body = {"size": 2, "text": "hi", "contentEncoding": "gzip", "encodedSize": len(wire)}
    draft = draft_of(recorded.request(body=body), None)
    assert (draft.body, draft.encoding, draft.wire) == (b"hi", "gzip", None)
    both = {**body, "raw": base64.b64encode(wire).decode()}
    assert draft_of(recorded.request(body=both), None).wire == wire
    assert filled(draft_of(recorded.request(body=both), None), "text:hi=ho").wire is None


def test_a_body_that_was_cut_cannot_be_sent(recorded: Any) -> None:
    assert "cut" in draft_of(recorded.request(body={"size": 9, "text": "hi", "truncated": True}), None).problem


def test_a_body_beside_the_session_that_is_missing(recorded: Any, tmp_path: Path) -> None:
    with pytest.raises(SessionError):
        draft_of(recorded.request(body={"size": 9, "file": f"aa/{'a' * 64}"}), tmp_path)


def test_marks_are_found_and_named() -> None:
    draft = EditableRequest(
        "POST",
        f"/u/{MARK}?key={MARK}&a=b",
        [["Authorization", f"Bearer {MARK}"], ["Cookie", f"a=1; sid={MARK}"], ["X", "redacted-nothex"]],
        b'{"a": [{"odd key": "%s"}]}' % MARK.encode(),
    )
    assert marked_places(draft) == ["url", "query:key", "header:authorization", "cookie:sid", 'json:$.a[0]["odd key"]']


@pytest.mark.parametrize(
    ("kind", "body", "places"),
    [
        ("application/x-www-form-urlencoded", f"a=b&pin={MARK}", ["form:pin"]),
        ("text/plain", f"my {MARK}", ["body"]),
        ("application/json", f'{{"{MARK}": 1}}', ["body"]),
        ("text/plain", f"{MARK}0", []),
    ],
)
def test_marks_in_bodies(kind: str, body: str, places: list[str]) -> None:
    assert marked_places(EditableRequest("POST", "/", [["Content-Type", kind]], body.encode())) == places


def test_headers_are_set_added_and_removed() -> None:
    draft = EditableRequest("GET", "/", [["X", "1"], ["x", "2"], ["Y", "3"]], b"")
    set_header(draft, "X", "new")
    set_header(draft, "Z", "4")
    set_header(draft, "y", "")
    assert draft.raw_headers == [["X", "new"], ["Z", "4"]]


def test_every_kind_of_selector_fills_what_is_there_and_nothing_else() -> None:
    draft = EditableRequest("GET", f"/{MARK}?k=1&K=2&k=%20", [["Cookie", "sid=1; b=2"], ["X-T", "1"]], b"")
    filled(draft, "query:k=a&b", "cookie:sid=new", "header:x-t=2", "header:nowhere=1", f"text:{MARK}=me")
    assert draft.target == "/me?k=a%26b&K=2&k=a%26b"
    assert draft.raw_headers == [["Cookie", "sid=new; b=2"], ["X-T", "2"]]


def test_json_is_filled_in_the_way_it_was_written() -> None:
    draft = EditableRequest("POST", "/", [], f'{{"t": "{MARK}", "n": 1, "l": [{{"t": "x"}}]}}'.encode())
    filled(draft, "json:$.t=ä", "json:$.n=2", "response.json:$.l=no")
    assert draft.body.decode() == '{"t": "ä", "n": 2, "l": [{"t": "x"}]}'
    filled(draft, "name:t=same")
    assert draft.body.decode() == '{"t": "same", "n": 2, "l": [{"t": "same"}]}'
    compact = EditableRequest("POST", "/", [], b'"a"')
    assert filled(compact, "json:$=b").body == b'"b"'


def test_what_is_no_json_stays() -> None:
    for body in (b"plain", b"{broken", b""):
        assert filled(EditableRequest("POST", "/", [], body), "json:$.a=1").body == body


def test_forms_are_filled() -> None:
    form = [["Content-Type", "application/x-www-form-urlencoded"]]
    assert filled(EditableRequest("POST", "/", form, b"a=1&b=2"), "form:b=x y").body == b"a=1&b=x%20y"
    assert filled(EditableRequest("POST", "/", [], b"a=1&b=2"), "form:b=x").body == b"a=1&b=2"
