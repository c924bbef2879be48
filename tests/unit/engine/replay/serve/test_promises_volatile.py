"""What docs/replay.md promises of values that are volatile by nature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from promises import FORM, JSON, Ask, Row, Taped, assert_kept, batch, multipart, parts, post, posted

from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.session.fingerprint import MatchOptions

pytestmark = pytest.mark.anyio

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
        MatchOptions(strict=True),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.promise for row in ROWS])
async def test_promise(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    await assert_kept(row, stage, recorded, cassette)
