"""A body in pieces has the same secrets as a whole one, wherever it is cut."""

from __future__ import annotations

import json
import re

import pytest

from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.redaction.holdback import MOST_HELD
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor, SecretScope

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
    redactor, body = Redactor(Policy(), Placeholders(b"k")), text.encode()
    hold = redactor.hold()
    pieces = [hold.feed(body[start : start + size]) for start in range(0, len(body), size)] + [hold.end()]
    assert b"".join(pieces) == body
    whole = redactor.body(body, "", "", None)
    assert whole != body
    assert b"".join(redactor.body(piece, "", "", None) for piece in pieces) == whole


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_wide_characters_are_not_cut(coding: str, size: int) -> None:
    redactor, text = Redactor(Policy(), Placeholders(b"k")), "first\n" + "\u4e2d\U0001f600 password=hunter2hunter\n" * 9
    hold, body = redactor.hold(), text.encode(coding) + b"\0"
    told = b""
    for start in range(0, len(body), size):
        piece = hold.feed(body[start : start + size])
        told += redactor.body(piece, "", "", None, hold.coding)
    told += redactor.body(hold.end(), "", "", None, hold.coding)
    assert told == redactor.body(text.encode(coding), "", "", None) + b"\0"
    assert "hunter2".encode(coding) not in told


def test_what_is_no_text_any_more_stays_what_it_is() -> None:
    for coding in ("utf-16-le", "utf-32-le"):
        hold = Redactor(Policy(), Placeholders(b"k")).hold()
        body = "abcd\n".encode(coding) * 9 + bytes(range(256)) * 3 + b"\xff\xd8" * 5
        given = b"".join([*(hold.feed(body[start : start + 9]) for start in range(0, len(body), 9)), hold.end()])
        assert given == body


def test_what_holds_no_secret_goes_on() -> None:
    hold = Redactor(Policy(), Placeholders(b"k")).hold()
    assert hold.feed(b"one line\nand ") == b"one line\n"
    assert hold.feed(b"another\n") == b"and another\n"
    assert len(hold.feed(bytes(100_000))) > 90_000


def test_not_too_much_is_held() -> None:
    hold = Redactor(Policy(), Placeholders(b"k")).hold()
    assert hold.feed(b'{"password": "') == b""
    given = 0
    for _ in range(40):
        given += len(hold.feed(b"x" * 65536))
    assert given > MOST_HELD


SECRETS = [
    'cr"et',
    "aaaaaaaa",
    "bb,bb}bb",
    "hunter2",
    "zzzzzzzz",
    "abcdefgh",
    "hbGci",
    "c2lnb",
    "hunte",
    "a,b&c",
    "e f",
    "bc,}",
]
SECRETS += ["MII"]


@pytest.mark.parametrize("text", BODIES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_nothing_secret_goes_out_early(text: str, size: int) -> None:
    redactor, body = Redactor(Policy(), Placeholders(b"k")), text.encode()
    logger, owner, hold = BodyEncoder("decoded", 1 << 20, redactor), SecretScope(), redactor.hold()
    given, told = b"", ""

    def write(data: bytes) -> None:
        nonlocal given, told
        given += data
        if data:
            told += logger.chunk(data, "request", owner, before=hold.before)["text"]

    for start in range(0, len(body), size):
        write(hold.feed(body[start : start + size]))
        write(hold.release(owner.known.marks if owner.known is not None else ()))
    write(hold.end())
    assert given == body
    whole = redactor.body(body, "", "", None).decode()
    assert [secret for secret in SECRETS if secret in told and secret not in whole] == []
    assert set(re.findall(r"redacted-[0-9a-f]{8}", told)) == set(re.findall(r"redacted-[0-9a-f]{8}", whole))


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("first piece", "first piece"),
        ("tick 12", "tick 12"),
        ('{"tick":1, "n', '{"tick":1, "n'),
        ("m\u00fcnchen", "m\u00fcnchen"),
        ("the key ghp_abc", "the key "),
        ("see http://me:pass", "see "),
        ("x password=hunter", "x "),
        ("a secret-value", "a "),
    ],
)
def test_what_goes_out_when_nothing_comes(text: str, given: str) -> None:
    hold = Redactor(Policy(), Placeholders(b"k")).hold()
    fed = hold.feed(text.encode())
    assert (fed + hold.release()).decode() == given
    assert (fed + hold.end()).decode() in text


def test_the_beginning_of_a_known_secret_and_half_a_character_stay() -> None:
    hold = Redactor(Policy(), Placeholders(b"k")).hold()
    hold.feed(b"say hunt")
    assert hold.release(["hunter"]) == b"say "
    hold.feed(b"ing")
    assert hold.release(["hunter"]) == b"hunting"
    hold.feed("\u6771".encode()[:2])
    assert hold.release() == b""
    hold.feed("\u6771".encode()[2:])
    assert hold.release() == "\u6771".encode()
