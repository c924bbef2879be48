"""A body in pieces has the same secrets as a whole one, wherever it is cut."""

from __future__ import annotations

import json

import pytest

from mockrec.engine.record.redact import Redactor
from mockrec.engine.record.redact_hold import MOST_HELD
from mockrec.engine.record.redact_marks import Marks
from mockrec.engine.record.redact_selectors import Policy

BODIES = [
    json.dumps(
        {"a": [{"password": 'se,cr"et}\n value', "x": 1}] * 3, "token": ["aaaaaaaa", "bb,bb}bb"], "z": "q" * 50}
    ),
    json.dumps({"token": ["aaaa,aaa", "bbbb}bbb", "c"], "a": "b"}, indent=2),
    json.dumps({"inner": json.dumps({"pwd": 'abc,}d"efgh'}), "n": 1}),
    "a=1&password=hunter2hunter&b=2&token=zzzzzzzz",
    'data: {"token":"abcdefgh"}\n\ndata: {"x":1}\n\n' * 3,
    "x -----BEGIN PRIVATE KEY-----\nMII\nabc,d&\n-----END PRIVATE KEY----- y\n",
    "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl, ok",
    "http://me:hunter22@host/, x",
    '--B\r\nContent-Disposition: form-data; name="otp"\r\nX: y\r\n\r\na,b&c\nd\r\n--B\r\nX: y\r\n\r\nz\r\n--B--\r\n',
    "Cookie: a=b; c=d\r\nX-Api-Key: e f, g\r\n\r\n",
]


@pytest.mark.parametrize("text", BODIES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_cut_anywhere(text: str, size: int) -> None:
    redactor, body = Redactor(Policy(), Marks(b"k")), text.encode()
    hold = redactor.hold()
    pieces = [hold.feed(body[start : start + size]) for start in range(0, len(body), size)] + [hold.end()]
    assert b"".join(pieces) == body
    whole = redactor.body(body, "", "", None)
    assert whole != body
    assert b"".join(redactor.body(piece, "", "", None) for piece in pieces) == whole


def test_what_holds_no_secret_goes_on() -> None:
    hold = Redactor(Policy(), Marks(b"k")).hold()
    assert hold.feed(b"one line\nand ") == b"one line\n"
    assert hold.feed(b"another\n") == b"and another\n"
    assert len(hold.feed(bytes(100_000))) > 90_000


def test_not_too_much_is_held() -> None:
    hold = Redactor(Policy(), Marks(b"k")).hold()
    assert hold.feed(b'{"password": "') == b""
    given = 0
    for _ in range(40):
        given += len(hold.feed(b"x" * 65536))
    assert given > MOST_HELD
