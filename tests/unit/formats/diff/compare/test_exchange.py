"""Pairs of exchanges: status, interim responses, errors, trailers, conversations, requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.formats.diff.result import Result

Compare = Callable[..., Result]
Differences = Callable[[Result], list[tuple[str, str, str]]]


def test_nothing_differs_from_itself(make: Any, compare: Compare, differences: Differences) -> None:
    exchanges = [
        make.exchange(body={"a": 1}),
        make.exchange("POST", sent={"x": 1}, status=500, body="no"),
        make.websocket([("sent", "a"), ("received", b"\xff")]),
        [{"type": "tls-client-error", "failureCause": "reset", "destination": {"hostname": "x", "port": 443}}],
        [{"type": "client-error", "id": "c", "errorCode": "HPE", "response": {"statusCode": 400}}],
    ]
    for options in ({}, {"strict": True}, {"requests": True}, {"timing": True}):
        result = compare(exchanges, exchanges, **options)
        assert result.same
        assert differences(result) == []
        assert result.a.exchanges == result.b.exchanges == 5


def test_status(make: Any, compare: Compare, differences: Differences) -> None:
    assert differences(compare([make.exchange()], [make.exchange(status=404)])) == [("status", "breaking", "status")]


def test_a_reason_is_only_info(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.exchange(statusMessage="OK"), make.exchange(statusMessage="Fine")
    assert differences(compare([a], [b])) == [("value", "info", "reason")]


def test_interim_responses(make: Any, compare: Compare, differences: Differences) -> None:
    def hinted(*links: str) -> Any:
        first, request, response = make.exchange()
        hints = [
            {"type": "response-information", "id": first["id"], "statusCode": 103, "headers": {"link": link}}
            for link in links
        ]
        return [first, request, *hints, response]

    assert differences(compare([hinted("a")], [hinted("a")])) == []
    assert differences(compare([hinted("a")], [hinted("b")])) == [
        ("header", "changed", "interim[0].response.header:link")
    ]
    assert differences(compare([hinted("a")], [hinted()])) == [("status", "changed", "interim")]


def test_errors(make: Any, compare: Compare, differences: Differences) -> None:
    def aborted(code: str) -> Any:
        first, request, _ = make.exchange()
        abort = {**first, "type": "abort", "duration": 1.0, "error": {"code": code}}
        return [first, request, abort]

    assert differences(compare([aborted("ECONNRESET")], [aborted("ECONNRESET")])) == []
    assert differences(compare([aborted("ECONNRESET")], [aborted("ETIMEDOUT")])) == [("value", "breaking", "error")]
    assert ("value", "breaking", "error") in differences(compare([make.exchange()], [aborted("ECONNRESET")]))


def test_trailers(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.exchange(trailers={"x-sum": "1"}), make.exchange(trailers={"x-sum": "2"})
    assert differences(compare([a], [b])) == [("header", "changed", "response.trailer:x-sum")]


def test_conversations(make: Any, compare: Compare, differences: Differences) -> None:
    a = make.websocket([("received", "hi"), ("sent", '{"n":1}'), ("sent", b"\xff")])
    b = make.websocket([("received", "ho"), ("sent", '{"n":2}'), ("sent", b"\xfe"), ("sent", "more")], close=1001)
    assert differences(compare([a], [b])) == [
        ("value", "changed", "close"),
        ("value", "changed", "response.message[0].json:$.n"),
        ("value", "changed", "response.message[1]"),
        ("added", "changed", "response.message[2]"),
    ]
    assert differences(compare([a], [b], requests=True))[-1] == ("value", "changed", "request.message[0].text (line 1)")
    assert differences(compare([b], [make.websocket([("received", "ho"), ("sent", b"\x00")], close=1001)])) == [
        ("type", "breaking", "response.message[0]"),
        ("removed", "breaking", "response.message[1]"),
        ("removed", "breaking", "response.message[2]"),
    ]


def test_requests_only_when_asked(make: Any, compare: Compare, differences: Differences) -> None:
    a = make.exchange("POST", "http://api.test/x/1?a=1", sent={"n": 1}, sent_headers={"x-who": "ada"})
    b = make.exchange("POST", "http://api.test/x/2?a=2", sent={"n": 2}, sent_headers={"x-who": "bob"})
    assert differences(compare([a], [b])) == []
    assert [path for _, _, path in differences(compare([a], [b], requests=True))] == [
        "request.path",
        "request.query:a",
        "request.header:x-who",
        "request.json:$.n",
    ]


def test_volatile_values_are_compared_by_type(make: Any, compare: Compare, differences: Differences) -> None:
    body = {"id": "550e8400-e29b-41d4-a716-446655440000", "at": "2026-01-05T09:00:00Z", "ts": 1767600001, "n": 1}
    other = {"id": "650e8400-e29b-41d4-a716-446655440000", "at": "2026-01-06T10:00:00Z", "ts": 1767690001, "n": 1}
    assert differences(compare([make.exchange(body=body)], [make.exchange(body=other)])) == []
    assert len(differences(compare([make.exchange(body=body)], [make.exchange(body=other)], strict=True))) == 3
    changed = differences(compare([make.exchange(body=body)], [make.exchange(body={**other, "n": 2, "id": None})]))
    assert [path for _, _, path in changed] == ["response.json:$.id", "response.json:$.n"]


def test_redaction_marks(make: Any, compare: Compare, differences: Differences) -> None:
    a, b = make.exchange(body={"token": "redacted-00000001"}), make.exchange(body={"token": "redacted-00000002"})
    same_key = {"redaction": {"keyId": "k"}}
    assert differences(compare([a], [b])) == []
    assert differences(compare([a], [b], header_a=same_key)) == []
    found = differences(compare([a], [b], header_a=same_key, header_b=same_key))
    assert found == [("value", "changed", "response.json:$.token")]


def test_the_recorder_itself_and_servers_of_tests_on_other_ports(
    make: Any, compare: Compare, differences: Differences
) -> None:
    def session(own: int, server: int) -> tuple[Any, Any]:
        listen = {"listen": {"host": "127.0.0.1", "port": own}}
        return [
            make.exchange(url=f"http://127.0.0.1:{own}/a", headers={"location": f"http://127.0.0.1:{own}/b"}),
            make.exchange(url=f"http://localhost:{server}/b", body={"next": f"http://localhost:{server}/c"}),
        ], listen

    (a, header_a), (b, header_b) = session(40001, 40002), session(50001, 50002)
    result = compare(a, b, header_a=header_a, header_b=header_b)
    assert differences(result) == []
    assert [str(endpoint) for endpoint in result.endpoints] == ["GET /a", "GET localhost/b"]


def test_mapped_hosts(make: Any, compare: Compare, differences: Differences) -> None:
    a = make.exchange(url="https://staging.test/a", body={"self": "https://staging.test/a"})
    b = make.exchange(url="https://prod.test/a", body={"self": "https://prod.test/a"})
    assert not compare([a], [b]).paired
    result = compare([a], [b], map_host={"staging.test": "prod.test"})
    assert (differences(result), result.paired) == ([], {"exact": 1})
