"""Where values stand in a request, and other values in their place."""

from __future__ import annotations

import base64

import pytest

from mockrec.engine.replay.chain.slot import put
from mockrec.engine.replay.chain.slots import message_slots, slots_of
from mockrec.engine.replay.session.editable import EditableRequest

OLD, NEW = "a8f3k2m9x7", "n3/w é+1"
BASIC = base64.b64encode


def draft(target: str = "/", body: str = "", media: str = "", *fields: list[str]) -> EditableRequest:
    return EditableRequest("POST", target, [["Content-Type", media], *fields], body.encode())


def changed(one: EditableRequest, old: str, new: str) -> list[str]:
    """Put `new` wherever `old` is looked for; the places."""
    values = [(slot, new) for slot in slots_of(one) if slot.text == old and slot.keys and not slot.is_link]
    put(one, values)
    return [slot.place for slot, _ in values]


@pytest.mark.parametrize(
    ("target", "place", "expected"),
    [
        (f"/users/{OLD}/x", "url", "/users/n3%2Fw%20%C3%A9%2B1/x"),
        (f"/u?a=1&b={OLD}&c", "query:b", "/u?a=1&b=n3%2Fw%20%C3%A9%2B1&c"),
        (
            f"/u?back=%2Fcb%3Fcode%3D{OLD}%26s%3D1",
            "query:back",
            "/u?back=%2Fcb%3Fcode%3Dn3%252Fw%2520%25C3%25A9%252B1%26s%3D1",
        ),
        (f"/static/app.{OLD}.js", "url", "/static/app.n3%2Fw%20%C3%A9%2B1.js"),
    ],
)
def test_targets(target: str, place: str, expected: str) -> None:
    one = draft(target)
    assert changed(one, OLD, NEW) == [place]
    assert one.target == expected


@pytest.mark.parametrize(
    ("field", "place", "expected"),
    [
        (["Authorization", f"Bearer {OLD}"], "header:authorization", "Bearer n3x"),
        (["Authorization", OLD], "header:authorization", "n3x"),
        (["Authorization", "Basic " + BASIC(f"{OLD}:pw".encode()).decode()], "header:authorization",
         "Basic " + BASIC(b"n3x:pw").decode()),
        (["Authorization", "Basic " + BASIC(f"ann:{OLD}".encode()).decode()], "header:authorization",
         "Basic " + BASIC(b"ann:n3x").decode()),
        (["Cookie", f"a=1; sid={OLD}; b=2"], "cookie:sid", "a=1; sid=n3x; b=2"),
        (["Cookie", f"{OLD}={OLD}"], f"cookie:{OLD}", f"{OLD}=n3x"),
        (["X-Request-Token", f"  {OLD}"], "header:x-request-token", "  n3x"),
        (["Referer", f"http://a.test/users/{OLD}?x=1"], "header:referer", "http://a.test/users/n3x?x=1"),
        (["If-Match", f'"x", W/"{OLD}"'], "header:if-match", None),
    ],
)  # fmt: skip
def test_headers(field: list[str], place: str, expected: str | None) -> None:
    one = draft("/u", "", "", field)
    if expected is None:
        found = [slot for slot in slots_of(one) if slot.place == place]
        put(one, [(slot, '"n"') for slot in found if OLD in slot.text])
        assert one.raw_headers[1][1] == '"x", "n"'
    else:
        assert changed(one, OLD, "n3x") == [place]
        assert one.raw_headers[1][1] == expected


PART = '--XX\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
FILE = '--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n{}\r\n--XX--\r\n'


@pytest.mark.parametrize(
    ("body", "media", "places", "expected"),
    [
        (f'{{"n": 1.0,  "t": "{OLD}"}}', "application/json", ["json:$.t"], '{"n": 1.0,  "t": "n\\"3"}'),
        (f'{{"{OLD}": 1}}', "application/json", [f"json:$.{OLD}"], '{"n\\"3": 1}'),
        (f"a=1&t={OLD}&b", "application/x-www-form-urlencoded", ["form:t"], "a=1&t=n%223&b"),
        (PART.format("t", OLD) + FILE.format(OLD), "multipart/form-data; boundary=XX", ["part:t"],
         PART.format("t", 'n"3') + FILE.format(OLD)),
        (f"<t>{OLD}</t>", "text/xml", ["body"], '<t>n"3</t>'),
        (f"x {OLD} y", "text/plain", ["body"], 'x n"3 y'),
    ],
)  # fmt: skip
def test_bodies_keep_everything_else(body: str, media: str, places: list[str], expected: str) -> None:
    one = draft("/u", body, media)
    assert changed(one, OLD, 'n"3') == places
    assert one.body.decode() == expected
    assert one.wire is None


@pytest.mark.parametrize(
    ("new", "expected"), [("8", '{"user_id":8}'), ("u8", '{"user_id":"u8"}'), ("08", '{"user_id":"08"}')]
)
def test_a_number_stays_one_if_it_can(new: str, expected: str) -> None:
    one = draft("/u", '{"user_id":7}', "application/json")
    changed(one, "7", new)
    assert one.body.decode() == expected


def test_both_halves_of_credentials() -> None:
    one = draft("/u", "", "", ["Authorization", "Basic " + BASIC(f"{OLD}:{OLD}z1".encode()).decode()])
    put(one, [(slot, slot.text.upper()) for slot in slots_of(one) if slot.place == "header:authorization"])
    assert base64.b64decode(one.raw_headers[1][1][6:]).decode() == f"{OLD}:{OLD}z1".upper()


def test_what_belongs_to_a_message_is_not_looked_at() -> None:
    fields = [["Host", f"{OLD}.test"], ["User-Agent", OLD], ["Content-Length", OLD], ["Sec-WebSocket-Key", OLD]]
    assert [slot for slot in slots_of(draft("/u", "", "", *fields)) if slot.text == OLD] == []


def test_no_line_break_gets_into_a_header() -> None:
    one = draft("/u", "", "", ["X-Token", OLD])
    changed(one, OLD, "a\r\nEvil: 1")
    assert one.raw_headers[1][1] == "aEvil: 1"


def test_messages_of_websockets() -> None:
    assert [slot.place for slot in message_slots(f'{{"auth": "{OLD}"}}'.encode()) if slot.text == OLD] == [
        "json:$.auth"
    ]
    assert [slot.place for slot in message_slots(f"AUTH {OLD}".encode()) if slot.text == OLD] == ["body"]
