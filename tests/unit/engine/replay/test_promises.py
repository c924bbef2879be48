"""What docs/replay.md promises of matching and of noise: each promise is a row, with what is recorded, asked and given."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.cassette import Cassette
from mockrec.engine.replay.facts import Match
from mockrec.engine.replay.latency import Latency
from mockrec.engine.replay.selectors import parse_selector
from mockrec.engine.replay.serving import GUESSED, MISSED, replay_act

pytestmark = pytest.mark.anyio

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
TEXT = ("Content-Type", "text/plain")
WHOLE = b"AAAABBBBCCCC"
MARK = "redacted-0123abcd"


@dataclass(frozen=True, slots=True)
class Taped:
    """A recorded exchange. `answer` is its body; the fields of the answer follow."""

    start: str
    answer: bytes | str
    fields: tuple[tuple[str, str], ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what it is to get: a body (of the recorded status), a status, or both."""

    start: str
    gets: bytes | str | int | tuple[int, bytes]
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    head: tuple[str, str] | None = None
    """A field that the answer has."""
    says: str = ""
    """What a miss says."""
    is_guess: bool = False


DEFAULT = Match()


@dataclass(frozen=True, slots=True)
class Row:
    promise: str
    tape: tuple[Taped, ...]
    asks: tuple[Ask, ...]
    match: Match = DEFAULT


def ignoring(*selectors: str) -> Match:
    return Match(ignore=tuple(parse_selector(text) for text in selectors))


def part(first: int, last: int, total: int | str = 12, **more: Any) -> Taped:
    fields = (("Content-Range", f"bytes {first}-{last}/{total}"), *more.pop("fields", ()))
    return Taped("GET /f", WHOLE[first : last + 1], fields, (("Range", f"bytes={first}-{last}"),), status=206, **more)


def ranged(text: str, gets: Any, **more: Any) -> Ask:
    return Ask("GET /f", gets, (("Range", text), *more.pop("fields", ())), **more)


WHOLE_FILE = Taped("GET /f", WHOLE, (("ETag", '"v1"'), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")))
FRESH = Taped("GET /a", "first", (("ETag", '"1"'),))
SEEN = Taped("GET /a", b"", (("ETag", '"1"'),), (("If-None-Match", '"1"'),), status=304)
IN_JSON = Taped("GET /n", "{}", (JSON,), (("Accept", "application/json"),))
IN_XML = Taped("GET /n", "<x/>", (("Content-Type", "application/xml"),), (("Accept", "application/xml"),))


def varied(field: str, value: str, answer: str, **more: Any) -> Taped:
    return Taped("GET /v", answer, (("Vary", field), *more.get("fields", ())), ((field, value),))


def posted(answer: str, body: bytes | str, *fields: tuple[str, str], start: str = "POST /p") -> Taped:
    return Taped(start, answer, (), fields, body.encode() if isinstance(body, str) else body)


def post(gets: Any, body: bytes | str, *fields: tuple[str, str], start: str = "POST /p", **more: Any) -> Ask:
    return Ask(start, gets, fields, body.encode() if isinstance(body, str) else body, **more)


def parts(boundary: str, *contents: tuple[str, str]) -> bytes:
    text = "".join(f"--{boundary}\r\n{head}\r\n\r\n{content}\r\n" for head, content in contents)
    return f"{text}--{boundary}--\r\n".encode()


def multipart(kind: str, boundary: str) -> tuple[str, str]:
    return "Content-Type", f'multipart/{kind}; boundary="{boundary}"'


def batch(outer: str, inner: str, name: str = "x") -> bytes:
    change = parts(inner, ("Content-Type: application/http\r\nContent-ID: <1>", f"POST /{name} HTTP/1.1")).decode()
    return parts(
        outer,
        (f"Content-Type: application/http\r\nContent-ID: <{outer}+1>", "GET /a HTTP/1.1"),
        (f"Content-Type: multipart/mixed; boundary={inner}", change),
    )


SIGNED = {
    "AWS 4": (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA{0}%2F2026&X-Amz-Date={0}&X-Amz-Expires=90&X-Amz-Security-Token={0}"
        "&X-Amz-SignedHeaders=host&X-Amz-Signature={0}"
    ),
    "AWS 2": "AWSAccessKeyId=AK{0}&Expires={0}&Signature={0}",
    "Google 4": "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a{0}&X-Goog-Date={0}&X-Goog-Expires={0}&X-Goog-Signature={0}",
    "Google 2": "GoogleAccessId=a&Expires={0}&Signature={0}",
    "Azure": "sv=2026-01-01&se={0}&st={0}&sr=b&sp=r&sig={0}",
    "CloudFront": "Expires={0}&Signature={0}&Key-Pair-Id=K",
    "CloudFront, with a policy": "Policy={0}&Signature={0}&Key-Pair-Id=K",
    "Alibaba": "OSSAccessKeyId=a{0}&Expires={0}&Signature={0}",
    "OAuth 1": "oauth_consumer_key=k&oauth_nonce={0}&oauth_timestamp={0}&oauth_signature={0}",
}


def signed() -> list[Row]:
    rows = []
    for name, query in SIGNED.items():
        one, other, third = query.format("1111"), query.format("2222"), f"{query.format('3333')}&page=2"
        taped = Taped(f"GET /s?{one}", "one")
        asks = (
            Ask(f"GET /s?{other}", "one"),
            Ask(f"GET /s?{third}", 503, says="query:page: recorded nothing, asked for"),
        )
        asks = (asks[0], Ask(f"GET /s?{third}", 503, says="query:page"))
        rows.append(Row(f"signatures and dates of signed URLs: {name}", (taped,), asks))
    return rows


ROWS = [
    Row(
        "parameters of a query may come in any order, and count",
        (Taped("GET /q?a=1&b=2", "x"),),
        (Ask("GET /q?b=2&a=1", "x"), Ask("GET /q?b=2&a=3", 503, says='query:a: recorded "1", asked for "3"')),
    ),
    Row(
        "fields of a form and members of JSON may come in any order",
        (posted("form", "a=1&b=2", FORM), posted("json", '{"a": 1, "b": [1]}', JSON, start="POST /j")),
        (post("form", "b=2&a=1", FORM), post("json", '{"b":[1],"a":1}', JSON, start="POST /j")),
    ),
    Row(
        "a redaction mark stands for any value",
        (posted("in", f'{{"user": "ann", "pin": "{MARK}"}}', JSON), Taped(f"GET /u/{MARK}/x?t={MARK}", "mine")),
        (
            post("in", '{"pin": 1234, "user": "ann"}', JSON),
            post(503, '{"pin": 1, "user": "bob"}', JSON, says='json:$.user: recorded "ann", asked for "bob"'),
            Ask("GET /u/17/x?t=9", "mine"),
        ),
    ),
    Row(
        "repeated requests get the answers in order, then the last one again",
        (Taped("GET /r", "1"), Taped("GET /r", "2")),
        (Ask("GET /r", "1"), Ask("GET /r", "2"), Ask("GET /r", "2")),
    ),
    Row(
        "what does not count can be chosen",
        (Taped("GET /q?cb=1", "x"),),
        (Ask("GET /q?cb=2", "x"),),
        ignoring("query:cb"),
    ),
    # ── Range ──
    Row(
        "Range: the recorded part",
        (part(0, 3), part(4, 7), part(8, 11)),
        (
            ranged("bytes=8-11", b"CCCC", head=("Content-Range", "bytes 8-11/12")),
            ranged("bytes=0-3", b"AAAA", head=("Content-Range", "bytes 0-3/12")),
            ranged("bytes=9-10", b"CC", head=("Content-Range", "bytes 9-10/12")),
            ranged("bytes=-2", b"CC", head=("Content-Range", "bytes 10-11/12")),
            ranged("bytes=9-", b"CCC", head=("Content-Range", "bytes 9-11/12")),
            ranged("bytes=2-5", 503, says='asked for "bytes=2-5"'),
            Ask("GET /f", 503, says="header:range: recorded"),
        ),
    ),
    Row(
        "Range: the part cut from a recorded whole",
        (WHOLE_FILE,),
        (
            ranged("bytes=0-3", (206, b"AAAA"), head=("Content-Range", "bytes 0-3/12")),
            ranged("bytes=4-7", (206, b"BBBB"), head=("Content-Length", "4")),
            ranged("BYTES = 8-", (206, b"CCCC"), head=("ETag", '"v1"')),
            ranged("bytes=-4", (206, b"CCCC"), head=("Content-Range", "bytes 8-11/12")),
            ranged("bytes=-99", (206, WHOLE), head=("Content-Range", "bytes 0-11/12")),
            ranged("bytes=10-99", (206, b"CC"), head=("Content-Range", "bytes 10-11/12")),
            ranged("bytes=12-", (416, b""), head=("Content-Range", "bytes */12")),
            ranged("bytes=-0", (416, b"")),
            ranged("bytes=0-0,-1", (200, WHOLE)),
            ranged("bytes=5-2", (200, WHOLE)),
            ranged("items=0-3", (200, WHOLE)),
            Ask("GET /f", (200, WHOLE)),
        ),
    ),
    Row(
        "Range with If-Range: the part of what the client knows, the whole of anything else",
        (WHOLE_FILE,),
        (
            ranged("bytes=0-3", (206, b"AAAA"), fields=(("If-Range", '"v1"'),)),
            ranged("bytes=0-3", (206, b"AAAA"), fields=(("If-Range", "Thu, 01 Jan 2026 00:00:00 GMT"),)),
            ranged("bytes=0-3", (200, WHOLE), fields=(("If-Range", '"v0"'),)),
            ranged("bytes=0-3", (200, WHOLE), fields=(("If-Range", 'W/"v1"'),)),
        ),
    ),
    Row(
        "Range with If-Range: no part of something else",
        (part(0, 3, fields=(("ETag", '"v1"'),)),),
        (
            ranged("bytes=0-3", b"AAAA", fields=(("If-Range", '"v1"'),)),
            ranged("bytes=0-3", 503, fields=(("If-Range", '"v0"'),), says="header:if-range"),
        ),
    ),
    Row(
        "Range: a part that holds everything is the whole",
        (part(0, 11),),
        (Ask("GET /f", (200, WHOLE)), ranged("bytes=4-7", (206, b"BBBB")), ranged("bytes=0-11", (206, WHOLE))),
    ),
    Row(
        "Range: a server that sends everything does so again",
        (Taped("GET /f", WHOLE, asked=(("Range", "bytes=0-3"),)),),
        (ranged("bytes=0-3", (200, WHOLE)), ranged("bytes=4-7", (200, WHOLE)), Ask("GET /f", (200, WHOLE))),
    ),
    Row(
        "Range: no ranges where the server says that it has none",
        (Taped("GET /f", WHOLE, (("Accept-Ranges", "none"),)),),
        (ranged("bytes=0-3", (200, WHOLE)),),
    ),
    Row(
        "Range: pages in other units are told apart",
        (
            Taped("GET /f", "ab", (("Content-Range", "0-1/9"),), (("Range", "0-1"),), status=206),
            Taped("GET /f", "cd", (("Content-Range", "2-3/9"),), (("Range", "2-3"),), status=206),
        ),
        (ranged("2-3", "cd"), ranged("0-1", "ab"), ranged("4-5", 503, says="header:range")),
    ),
    Row(
        "Range: 416 as recorded, and errors whatever the range",
        (
            Taped("GET /f", "", (("Content-Range", "bytes */12"),), (("Range", "bytes=50-"),), status=416),
            part(0, 3),
            Taped("GET /gone", "no", asked=(("Range", "bytes=0-"),), status=404),
        ),
        (ranged("bytes=50-", 416), ranged("bytes=0-3", b"AAAA"), Ask("GET /gone", (404, b"no"))),
    ),
    Row(
        "Range: counts for GET alone",
        (Taped("POST /f", WHOLE),),
        (Ask("POST /f", (200, WHOLE), (("Range", "bytes=0-3"),)),),
    ),
    # ── conditions ──
    Row(
        "a 304 is for a client that has that state, and never for one that has nothing",
        (FRESH, SEEN),
        (
            Ask("GET /a", (200, b"first")),
            Ask("GET /a", (200, b"first")),
            Ask("GET /a", 304, (("If-None-Match", '"1"'),)),
            Ask("GET /a", 304, (("If-None-Match", 'W/"1", "7"'),)),
            Ask("GET /a", 304, (("If-None-Match", "*"),)),
            Ask("GET /a", (200, b"first"), (("If-None-Match", '"0"'),)),
        ),
    ),
    Row(
        "a 304 alone is a miss for a client that has nothing, or something else",
        (SEEN,),
        (
            Ask("GET /a", 503, says='header:if-none-match: recorded "\\"1\\"", asked for nothing'),
            Ask("GET /a", 503, (("If-None-Match", '"2"'),), says="header:if-none-match"),
            Ask("GET /a", 304, (("If-None-Match", '"1"'),)),
        ),
    ),
    Row(
        "If-Modified-Since: a 304 for what is not older",
        (
            Taped(
                "GET /a",
                "",
                (("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),),
                (("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"),),
                status=304,
            ),
        ),
        (
            Ask("GET /a", 304, (("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"),)),
            Ask("GET /a", 304, (("If-Modified-Since", "Fri, 02 Jan 2026 00:00:00 GMT"),)),
            Ask("GET /a", 503, (("If-Modified-Since", "Wed, 31 Dec 2025 00:00:00 GMT"),), says="if-modified-since"),
            Ask("GET /a", 503, (("If-Modified-Since", "nonsense"),), says="if-modified-since"),
            Ask("GET /a", 503, says="if-none-match"),
        ),
    ),
    Row(
        "a recorded whole for a conditional request, in the order of the recording",
        (FRESH, SEEN, Taped("GET /a", "second", (("ETag", '"2"'),), (("If-None-Match", '"1"'),))),
        (
            Ask("GET /a", b"first"),
            Ask("GET /a", 304, (("If-None-Match", '"1"'),)),
            Ask("GET /a", b"second", (("If-None-Match", '"1"'),)),
        ),
    ),
    Row("a recorded whole for any condition", (FRESH,), (Ask("GET /a", b"first", (("If-None-Match", '"9"'),)),)),
    # ── Accept, Accept-Language, Vary ──
    Row(
        "Accept: the answer for an equal value, otherwise of the type that the client prefers",
        (IN_JSON, IN_XML),
        (
            Ask("GET /n", "<x/>", (("Accept", "application/xml"),)),
            Ask("GET /n", "{}", (("Accept", "application/json"),)),
            Ask("GET /n", "<x/>", (("Accept", "application/json;q=0.5, application/*"),)),
            Ask("GET /n", "<x/>", (("Accept", "text/csv"),), is_guess=True),
            Ask("GET /n", "<x/>", is_guess=True),
        ),
    ),
    Row(
        "Accept: one answer is the answer, whatever else the client takes",
        (IN_JSON,),
        (
            Ask("GET /n", "{}"),
            Ask("GET /n", "{}", (("Accept", "*/*"),)),
            Ask("GET /n", "{}", (("Accept", "application/json, text/plain, */*"),)),
            Ask("GET /n", "{}", (("Accept", "image/png"),), is_guess=True),
        ),
    ),
    Row(
        "Accept: named by Vary, a type that the client does not take is a miss",
        (Taped("GET /n", "{}", (JSON, ("Vary", "Accept")), (("Accept", "application/json"),)),),
        (
            Ask("GET /n", "{}", (("Accept", "application/*"),)),
            Ask("GET /n", 503, (("Accept", "text/html"),), says='header:accept: recorded "application/json"'),
        ),
    ),
    Row(
        "Accept: versions in parameters are told apart",
        (
            Taped("GET /n", "1", (JSON,), (("Accept", "application/json;version=1"),)),
            Taped("GET /n", "2", (JSON,), (("Accept", "application/json;version=2"),)),
        ),
        (
            Ask("GET /n", "2", (("Accept", "application/json; version=2"),)),
            Ask("GET /n", "1", (("Accept", "application/json;version=1"),)),
        ),
    ),
    Row(
        "Accept-Language: the answer for an equal value, otherwise in the language that the client prefers",
        (
            Taped("GET /l", "hallo", (("Content-Language", "de"),), (("Accept-Language", "de"),)),
            Taped("GET /l", "hello", (("Content-Language", "en"),), (("Accept-Language", "en"),)),
        ),
        (
            Ask("GET /l", "hello", (("Accept-Language", "en"),)),
            Ask("GET /l", "hallo", (("Accept-Language", "de-AT,de;q=0.9,en;q=0.1"),)),
            Ask("GET /l", "hello", (("Accept-Language", "en-GB"),)),
        ),
    ),
    Row(
        "Accept-Language: named by Vary, another language is a miss",
        (varied("Accept-Language", "de", "hallo"),),
        (
            Ask("GET /v", "hallo", (("Accept-Language", "de-CH, fr;q=0.1"),)),
            Ask("GET /v", 503, (("Accept-Language", "en"),), says='header:accept-language: recorded "de"'),
        ),
    ),
    Row(
        "a field that Vary names decides",
        (varied("X-Tenant", "a", "for a"), varied("X-Tenant", "b", "for b")),
        (
            Ask("GET /v", "for b", (("X-Tenant", "b"),)),
            Ask("GET /v", "for a", (("X-Tenant", "a"),)),
            Ask("GET /v", 503, (("X-Tenant", "c"),), says='header:x-tenant: recorded "a", asked for "c"'),
            Ask("GET /v", 503, says="asked for nothing"),
        ),
    ),
    Row(
        "a field is left out with --ignore",
        (varied("X-Tenant", "a", "for a"),),
        (Ask("GET /v", "for a", (("X-Tenant", "c"),)),),
        ignoring("header:x-tenant"),
    ),
    Row(
        "fields that say who asks only choose between several",
        (varied("User-Agent", "old", "1"), varied("User-Agent", "new", "2")),
        (
            Ask("GET /v", "2", (("User-Agent", "new"),)),
            Ask("GET /v", "1", (("User-Agent", "other"),), is_guess=True),
        ),
    ),
    Row(
        "a cookie or credentials that are there are not those that are missing",
        (varied("Cookie", "s=1", "mine"), Taped("GET /v", "anyone's", (("Vary", "Cookie"),))),
        (Ask("GET /v", "anyone's"), Ask("GET /v", "mine", (("Cookie", "s=2"),))),
    ),
    Row(
        "an encoding that the client asks for is none that decides",
        (Taped("GET /v", "x", (("Vary", "Accept-Encoding, *"),), (("Accept-Encoding", "gzip"),)),),
        (Ask("GET /v", "x"),),
    ),
    Row(
        "ids of requests decide nothing, where Vary names them too",
        (varied("X-Request-Id", "1", "x"),),
        (Ask("GET /v", "x", (("X-Request-Id", "2"),)),),
    ),
    # ── volatile by nature ──
    *signed(),
    Row(
        "OAuth: code and code_verifier of a token request",
        (posted("ok", "grant_type=authorization_code&code=one&code_verifier=two&client_id=c", FORM),),
        (
            post("ok", "grant_type=authorization_code&code=three&code_verifier=four&client_id=c", FORM),
            post(
                503, "grant_type=authorization_code&code=three&code_verifier=four&client_id=d", FORM, says="client_id"
            ),
        ),
    ),
    Row(
        "OAuth: state, nonce and code_challenge of an authorization request",
        (Taped("GET /authorize?response_type=code&client_id=c&state=a&nonce=b&code_challenge=d", "x"),),
        (Ask("GET /authorize?response_type=code&client_id=c&state=1&nonce=2&code_challenge=3", "x"),),
    ),
    Row(
        "OAuth: code and state of a callback; an equal one comes first",
        (Taped("GET /cb?code=one&state=1", "first"), Taped("GET /cb?code=two&state=2", "second")),
        (
            Ask("GET /cb?code=two&state=2", "second"),
            Ask("GET /cb?code=new&state=9", "first"),
            Ask("GET /cb?code=new&state=9", "second"),
        ),
    ),
    Row(
        "OAuth: in JSON, too",
        (posted("ok", '{"grant_type": "authorization_code", "code": "one", "n": 1}', JSON),),
        (
            post("ok", '{"grant_type": "authorization_code", "code": "two", "n": 1.0}', JSON),
            post(503, '{"grant_type": "authorization_code", "code": "two", "n": 2}', JSON, says="json:$.n"),
        ),
    ),
    Row(
        "code and state of something else count",
        (Taped("GET /zip?code=90210&state=CA", "x"), Taped("GET /orders?client_id=5&state=open", "y")),
        (
            Ask("GET /zip?code=10001&state=NY", 503, says="query:code"),
            Ask("GET /orders?client_id=5&state=closed", 503, says="query:state"),
        ),
    ),
    Row(
        "idempotency keys in bodies",
        (
            posted("j", '{"amount": 5, "idempotency_key": "1"}', JSON),
            posted("f", "Action=Run&ClientToken=1", FORM, start="POST /f"),
            posted("r", '{"requestId": "00000000-0000-4000-8000-000000000001"}', JSON, start="POST /r"),
        ),
        (
            post("j", '{"amount": 5, "idempotency_key": "2"}', JSON),
            post(503, '{"amount": 6, "idempotency_key": "2"}', JSON, says="json:$.amount: recorded 5, asked for 6"),
            post("f", "Action=Run&ClientToken=2", FORM, start="POST /f"),
            post("r", '{"requestId": "00000000-0000-4000-8000-000000000002"}', JSON, start="POST /r"),
            post(503, '{"requestId": "42"}', JSON, start="POST /r", says="json:$.requestId"),
        ),
    ),
    Row(
        "signatures in forms for uploads",
        (
            posted(
                "ok",
                parts(
                    "b",
                    ('Content-Disposition: form-data; name="x-amz-signature"', "1"),
                    ('Content-Disposition: form-data; name="key"', "k"),
                ),
                multipart("form-data", "b"),
            ),
        ),
        (
            post(
                "ok",
                parts(
                    "c",
                    ('Content-Disposition: form-data; name="x-amz-signature"', "2"),
                    ('Content-Disposition: form-data; name="key"', "k"),
                ),
                multipart("form-data", "c"),
            ),
            post(
                503,
                parts(
                    "c",
                    ('Content-Disposition: form-data; name="x-amz-signature"', "2"),
                    ('Content-Disposition: form-data; name="key"', "l"),
                ),
                multipart("form-data", "c"),
                says='form:key: recorded "k", asked for "l"',
            ),
        ),
    ),
    *[
        Row(
            f"boundaries of multipart/{kind}",
            (
                posted(
                    "ok",
                    parts("b1", ("content-type: application/json", '{"n":1}'), ("content-type: text/plain", "data")),
                    multipart(kind, "b1"),
                ),
            ),
            (
                post(
                    "ok",
                    parts(
                        "b2", ("content-type: application/json", '{ "n": 1.0 }'), ("content-type: text/plain", "data")
                    ),
                    multipart(kind, "b2"),
                ),
                post(
                    503,
                    parts("b2", ("content-type: application/json", '{"n":1}'), ("content-type: text/plain", "else")),
                    multipart(kind, "b2"),
                    says="parts[1].content",
                ),
            ),
        )
        for kind in ("related", "mixed", "alternative", "x-anything")
    ],
    Row(
        "boundaries of multipart inside multipart, and Content-ID",
        (posted("ok", batch("batch_1", "changeset_1"), multipart("mixed", "batch_1")),),
        (
            post("ok", batch("batch_2", "changeset_2"), multipart("mixed", "batch_2")),
            post(503, batch("batch_2", "changeset_2", "y"), multipart("mixed", "batch_2"), says="parts[1]"),
        ),
    ),
    Row(
        "how a number is written",
        (posted("ok", '{"a": 1.0, "b": [100, 0.1]}', JSON),),
        (
            post("ok", '{"a": 1, "b": [1e2, 0.1]}', JSON),
            post(503, '{"a": 1.5, "b": [100, 0.1]}', JSON, says="json:$.a"),
            post(503, '{"a": true, "b": [100, 0.1]}', JSON, says="json:$.a"),
        ),
    ),
    Row(
        "how a letter of a path is written, and what a URL may not hold as it is",
        (Taped("GET /%7Eann/{id}", "x"),),
        (
            Ask("GET /~ann/%7Bid%7D", "x"),
            Ask("GET /~ann/{id}", "x"),
            Ask("GET /ann/%7Bid%7D", 503, says="path: recorded"),
        ),
    ),
    Row(
        "--strict-match compares all of it",
        (
            Taped("GET /cb?code=one&state=1", "x"),
            posted("n", '{"a": 1.0}', JSON),
            posted("m", parts("b1", ("content-type: text/plain", "data")), multipart("related", "b1"), start="POST /m"),
        ),
        (
            Ask("GET /cb?code=two&state=1", 503, says='query:code: recorded "one", asked for "two"'),
            post(503, '{"a": 1}', JSON, says="json:$.a: recorded 1.0, asked for 1"),
            post("m", parts("b2", ("content-type: text/plain", "data")), multipart("related", "b2"), start="POST /m"),
        ),
        Match(strict=True),
    ),
    # ── what is missing in the recording ──
    Row(
        "a redirect is given without the body that was not kept",
        (Taped("GET /re", b"\x00missing", (("Location", "/x"), ("Content-Encoding", "gzip")), status=302),),
        (Ask("GET /re", (302, b""), head=("Location", "/x")),),
    ),
    Row(
        "a body whose content-encoding nobody knows is given without it",
        (Taped("GET /x", '{"a":1}', (JSON, ("Content-Encoding", "dcb"))),),
        (Ask("GET /x", (200, b'{"a":1}'), head=("Content-Type", "application/json")),),
    ),
]


def write(recorded: Any, row: Row) -> None:
    for number, taped in enumerate(row.tape):
        method, _, path = taped.start.partition(" ")
        fields = [[*pair] for pair in (("Host", "shop.test"), *taped.asked)]
        head = {"method": method, "url": f"http://shop.test{path}", "path": path, "httpVersion": "1.1"}
        text = taped.body.decode()
        asked = {"size": len(text), "text": text}
        recorded.add("request", f"id-{number}", **head, rawHeaders=fields, body=asked)
        body: dict[str, Any] = {
            "size": len(taped.answer),
            "text": taped.answer if isinstance(taped.answer, str) else taped.answer.decode(),
        }
        if taped.answer == b"\x00missing":
            body = {"size": 120, "text": "", "truncated": True}
        coding = dict(taped.fields).get("Content-Encoding")
        if coding:
            body["contentEncoding"] = coding
        recorded.add(
            "response", f"id-{number}", statusCode=taped.status, rawHeaders=[[*pair] for pair in taped.fields], body=body
        )  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.promise for row in ROWS])
async def test_promise(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    write(recorded, row)
    tape = cassette(row.match)
    act = replay_act(tape, Latency(), SocketSettings())
    for ask in row.asks:
        stage.channel.done.clear()
        exchange = await stage.act(act, ask.start, *ask.fields, body=ask.body)
        (_, status, fields, body, _), *_ = stage.channel.done
        told = f"{ask.start} {ask.fields}: {status} {body!r}"
        wanted = ask.gets.encode() if isinstance(ask.gets, str) else ask.gets
        if isinstance(wanted, tuple):
            assert (status, body) == wanted, told
        elif isinstance(wanted, int):
            assert status == wanted, told
        else:
            assert body == wanted, told
        assert (MISSED in exchange.tags) == (status == 503), told
        assert (GUESSED in exchange.tags) == ask.is_guess, (told, tape.guesses)
        if ask.head is not None:
            assert ask.head in fields, told
        if status == 503:
            assert "Nearest is " in body.decode()
            assert ask.says and ask.says in body.decode(), told
        if status in (206, 416):
            assert dict(fields)["Content-Length"] == str(len(body)), told
        assert not [name for name, _ in fields if name == "Content-Encoding"], told


async def test_ranges_are_of_the_encoded_body(stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    """A client that puts the parts together has to get what it can decode (RFC 9110, 14.1)."""
    recorded.add("request", "1", method="GET", url="http://shop.test/f", path="/f", rawHeaders=[])
    body = {"size": 5, "text": "hello", "contentEncoding": "gzip"}
    recorded.add("response", "1", statusCode=200, rawHeaders=[["Content-Encoding", "gzip"]], body=body)
    act = replay_act(cassette(), Latency(), SocketSettings())
    got = b""
    for text in ("bytes=0-9", "bytes=10-"):
        stage.channel.done.clear()
        await stage.act(act, "GET /f", ("Range", text))
        got += stage.channel.done[0][3]
    assert gzip.decompress(got) == b"hello"


def test_every_row_of_the_guide_has_a_promise() -> None:
    """The tables of docs/replay.md and this one are to grow together."""
    guide = (Path(__file__).parents[4] / "docs" / "replay.md").read_text(encoding="utf-8")
    section = guide[guide.index("### Several recordings of one request") : guide.index("### Misses")]
    promises = " ".join(row.promise for row in ROWS)
    for word in re.findall(
        r"`(Range|If-Range|If-None-Match|If-Modified-Since|Accept|Accept-Language|Vary|304)`", section
    ):
        assert word in promises or word in repr(ROWS), word
    for name in ("AWS", "Google", "Azure", "CloudFront", "Alibaba", "Idempotency-Key", "Content-ID"):
        assert name in section, name
