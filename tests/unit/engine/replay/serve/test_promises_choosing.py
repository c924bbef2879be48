"""What docs/replay.md promises of conditions, `Accept`, `Accept-Language` and `Vary`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from promises import FRESH, IN_JSON, IN_XML, JSON, SEEN, Ask, Row, Taped, assert_kept, ignoring, varied

from mockrec.engine.replay.serve.cassette import Cassette

pytestmark = pytest.mark.anyio

ROWS = [
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
    Row(
        "a field that was not sent in the recording, or not asked for now, is nothing",
        (Taped("GET /v", "x", (("Vary", "X-A"),)), Taped("GET /w", "x", (("Vary", "X-A"),), (("X-A", "1"),))),
        (
            Ask("GET /v", 503, (("X-A", "1"),), says='header:x-a: recorded nothing, asked for "1"'),
            Ask("GET /w", 503, says='header:x-a: recorded "1", asked for nothing'),
        ),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.promise for row in ROWS])
async def test_promise(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    await assert_kept(row, stage, recorded, cassette)
