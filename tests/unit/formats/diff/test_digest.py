"""Records → digests: one for each exchange, tunnel and client error, in any order."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mockrec.formats.diff.digest import DigestBuilder
from mockrec.formats.diff.model.exchange import Digest
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session


@pytest.fixture
def spool() -> Iterator[ContentSpool]:
    with closing(ContentSpool()) as opened:
        yield opened


def fold(spool: ContentSpool, records: list[Any], **options: Any) -> list[Digest]:
    return list(DigestBuilder(spool, DiffOptions(**options)).digests(enumerate(records)))


def test_an_exchange(spool: ContentSpool, make: Any) -> None:
    (digest,) = fold(spool, make.exchange("POST", status=201, body={"a": 1}, sent="x"))
    assert (digest.kind, digest.method, digest.status, digest.duration) == ("response", "POST", 201, 3.0)
    assert (digest.host, digest.first_byte, digest.request) == ("api.test", 1.0, -1)
    assert digest.request_body != 0
    assert spool.get(digest.response)["b"]["text"] == '{"a": 1}'


def test_an_answer_before_its_request_is_complete(spool: ContentSpool, make: Any) -> None:
    first, request, response = make.exchange("POST", sent="x")
    other = make.exchange()
    digests = fold(spool, [first, response, *other, request])
    assert [digest.id for digest in digests] == [other[0]["id"], first["id"]]
    assert all(digest.request_body == (digest.method == "POST") * digest.request_body for digest in digests)


def test_open_exchanges_come_last(spool: ContentSpool, make: Any) -> None:
    opened = make.exchange()[0]
    digests = fold(spool, [opened, *make.exchange()])
    assert [digest.kind for digest in digests] == ["response", "open"]


def test_only_ends(spool: ContentSpool, make: Any) -> None:
    """A session that was recorded with `--events response`."""
    digests = fold(spool, [make.exchange()[-1], make.exchange()[-1]])
    assert [digest.status for digest in digests] == [200, 200]


def test_conversations_tunnels_and_faults(spool: ContentSpool, make: Any) -> None:
    tunnel = {"id": "t", "destination": {"hostname": "db.test", "port": 5432}}
    digests = fold(
        spool,
        [
            *make.websocket([("sent", "a"), ("received", "b"), ("sent", "a")]),
            {"type": "raw-passthrough-opened", **tunnel},
            {"type": "raw-passthrough-data", "id": "t", "content": {"size": 0, "text": ""}},
            {"type": "raw-passthrough-closed", **tunnel},
            {"type": "client-error", "id": "c", "errorCode": "HPE", "request": {"url": "http://x.test/"}},
            {"type": "tls-client-error", "failureCause": "reset", "tlsMetadata": {"sniHostname": "x.test"}},
            {"type": "rule-event", "id": "t", "eventType": "note", "eventData": {}},
            {"type": "websocket-message-sent", "id": "nobody", "content": {"size": 0, "text": ""}},
        ],
    )
    assert [(digest.method, digest.url) for digest in digests] == [
        ("GET", "ws://api.test/chat"),
        ("(client error)", "http://x.test/"),
        ("(TLS error)", "x.test"),
        ("(tunnel)", "db.test:5432"),
    ]
    first, second, third = digests[0].messages or ()
    assert first == third >= 0 > second


def test_aborted_conversations_keep_their_head(spool: ContentSpool, make: Any) -> None:
    *opened, close = make.websocket([("sent", "a")])
    (digest,) = fold(spool, [*opened, {**close, "type": "abort", "error": {"code": "ECONNRESET"}}])
    content = spool.get(digest.response)
    assert (content["k"], content["s"], content["e"]) == ("abort", 101, "ECONNRESET")


def test_equal_contents_are_kept_once(spool: ContentSpool, make: Any) -> None:
    dates = ("Mon, 05 Jan 2026 09:00:00 GMT", "Mon, 05 Jan 2026 09:00:01 GMT")
    records = [record for date in dates for record in make.exchange(body="same", headers={"date": date})]
    one, other = fold(spool, records)
    assert one.response == other.response
    one, other = fold(spool, records, strict=True)
    assert one.response != other.response


def test_requests_are_kept_when_they_are_compared(spool: ContentSpool, make: Any) -> None:
    (digest,) = fold(spool, make.exchange(sent={"a": 1}, sent_headers={"x": "y"}), requests=True)
    assert spool.get(digest.request)["h"]["x"] == "y"


def test_values_of_wrong_types_are_no_reason_to_fail(spool: ContentSpool) -> None:
    records = [{"type": "response", "id": 7, "statusCode": "200", "duration": "long", "headers": {}, "method": None}]
    (digest,) = fold(spool, records)
    assert (digest.id, digest.status, digest.duration, digest.method) == ("7", None, None, "?")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("key", ["trailers", "error", "rawTrailers"])
def test_nesting_counts_only_where_it_is_compared(spool: ContentSpool, make: Any, key: str, *, alone: bool) -> None:
    """A line gives the same digest whether it is read in a block or alone, as a line with an incomplete body is."""
    request, response = make.exchange(**{key: json.loads("[" * 300 + "]" * 300)})[1:]
    if alone:
        response["body"]["truncated"] = True
    started = {"type": "session-started", "schemaVersion": 1}
    data = b"\n".join(json.dumps(record).encode() for record in (started, request, response))
    session = Session(Source("s.jsonl", io.BytesIO(data)))
    if key == "rawTrailers":
        assert [digest.status for digest in DigestBuilder(spool, DiffOptions()).of_session(session)] == [200]
    else:
        with pytest.raises(SessionError, match=r"^s\.jsonl:3: nested more than 254 levels deep"):
            DigestBuilder(spool, DiffOptions()).of_session(session)
