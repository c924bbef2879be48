"""The language by its examples: every expression of the reference, on a session in which each matches something."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.query import Plan, parse
from mockrec.formats.query.arrow import BatchAnswerer, compile_arrow
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import compile_typed

Record = dict[str, Any]

FULL_ID = "be4c5ce6-66c1-494e-7691-b06f6555abfe"


def exchange(
    name: str,
    *,
    status: int = 200,
    method: str = "GET",
    url: str = "https://api.example.com/v1/users/7",
    duration: float = 20.0,
    request: str = "",
    response: str = "{}",
    request_headers: dict[str, Any] | None = None,
    response_headers: dict[str, Any] | None = None,
    time: str = "2026-11-18T11:00:00.000000Z",
    **more: Any,
) -> list[Record]:
    head = {
        "id": name,
        "connectionId": f"c-{name}",
        "protocol": url.partition(":")[0],
        "httpVersion": more.pop("version", "1.1"),
        "method": method,
        "url": url,
        "remoteIpAddress": more.pop("ip", "127.0.0.1"),
        "headers": request_headers or {"host": "api.example.com"},
        "tags": more.pop("tags", []),
    }
    body = {"size": len(request.encode()), "text": request}
    answer = {"size": len(response.encode()), "text": response}
    records = [
        {"type": "request-initiated", "timestamp": time, **head},
        {"type": "request", "timestamp": time, **head, "matchedRuleId": more.get("rule", "greet"), "body": body},
        {
            "type": "response",
            "timestamp": time,
            "id": name,
            "connectionId": f"c-{name}",
            "method": method,
            "url": url,
            "matchedRuleId": more.get("rule", "greet"),
            "statusCode": status,
            "duration": duration,
            "headers": response_headers or {"content-type": "application/json"},
            "tags": [],
            "body": answer,
        },
    ]
    for record in records:
        pairs = record["headers"].items()
        record["rawHeaders"] = [
            [key, value] for key, values in pairs for value in ([values] if type(values) is str else values)
        ]
    return records


def single(name: str, kind: str, **keys: Any) -> Record:
    return {"type": kind, "timestamp": "2026-11-18T11:00:00.000000Z", "id": name, **keys}


SESSION: list[Record] = [
    *exchange("plain"),
    *exchange("fault", status=503, method="POST", url="https://api.svc1.example.com/orders/9?page=2", duration=612.5),
    *exchange("missing", status=404, method="POST", url="https://api.svc1.example.com/v1/users/12", version="2.0"),
    *exchange("slow", duration=250, url="http://localhost:8000/orders/1", request_headers={"user-agent": "Curl/8.1"}),
    *exchange("search", status=201, url="https://x.test/v2/search?q=a%20b", tags=["http2", "replay"], method="PUT"),
    *exchange("big", response="x" * 30_000, url="https://x.test/big", response_headers={"content-type": "image/png"}),
    *exchange(
        "late", time="2026-11-18T11:20:30.500000Z", request_headers={"authorization": "Bearer x", "cookie": "a=1; b=2"}
    ),
    *exchange(
        "user",
        response='{"user":{"id":7},"items":[{"n":1},{"n":2}],"ok":true,"none":null,"big":12345678901234567890}',
        ip="10.3.5.174",
    ),
    *exchange(
        "price", response='{"product":1,"price":499.9}', response_headers={"set-cookie": ["sid=q; Path=/", "z=1"]}
    ),
    *exchange("limited", status=429, rule="7f15", request='{"order":"A-1"}', version="2.0"),
    *exchange(FULL_ID, status=503, version="2.0"),
    single(
        "gone",
        "abort",
        method="GET",
        url="https://x.test/gone",
        error={"code": "ECONNRESET", "message": "connection lost"},
        response={
            "statusCode": 502,
            "headers": {"server": "nginx"},
            "body": {"size": 4, "base64": base64.b64encode(b"\xffabc").decode()},
        },
    ),
    single("odd", "rule-event", eventType="passthrough-abort", ruleId="r9", requestId="odd", eventData={"try": 3}),
    single(
        "tls",
        "tls-client-error",
        failureCause="reset",
        tlsMetadata={"sniHostname": "db.internal", "ja4Fingerprint": "t13d"},
        destination={"hostname": "db.internal", "port": 5432},
    ),
    single(
        "broken",
        "client-error",
        errorCode="HPE_INVALID",
        request={"method": "BREW", "url": "http://x.test/pot"},
        response={"statusCode": 400},
    ),
    single("ws", "websocket-request", method="GET", url="ws://chat.test/", protocol="ws"),
    single("ws", "websocket-accepted", statusCode=101),
    single("ws", "websocket-message-received", direction="received", content={"size": 2, "text": "hi"}, isBinary=False),
    single("ws", "websocket-message-sent", direction="sent", content={"size": 2, "text": "ho"}, isBinary=True),
    single("ws", "websocket-close", closeCode=1001, closeReason="bye", duration=90_000.0, url="ws://chat.test/"),
    single("interim", "response-information", statusCode=103),
]
TABLE = TableMaker().table(b"".join(orjson.dumps({"seq": seq, **record}) + b"\n" for seq, record in enumerate(SESSION)))
EVERY = list(dict.fromkeys(record["id"] for record in SESSION))
FAULTS = ["fault", FULL_ID, "gone"]


def matching(plan: Plan, bits: dict[str, int], records: list[Record]) -> list[str]:
    """Ids of the exchanges that match, by the answers for their records."""
    for number, kinds in plan.counted.items():
        holds = compile_any(plan.tests[number].checks)
        for name in bits:
            count = sum(record["type"] in kinds for record in records if record["id"] == name)
            if count and holds(count):
                bits[name] |= 1 << number
    return [name for name, answers in bits.items() if plan.decide(answers)]


def found_by(expression: str) -> list[str]:
    """What is found, after all back ends have said the same."""
    plan = parse(expression)
    predicate, typed = compile_predicate(plan, Context()), compile_typed(plan, Context())
    made = compile_arrow(plan)
    columns = BatchAnswerer(made, Context()).answer(TABLE.select(made.columns))
    plain: dict[str, int] = {}
    for row, record in enumerate(SESSION):
        answers = predicate(record)
        assert typed.bits(typed.decode(orjson.dumps(record))) == answers
        assert columns.get(row, 0) == answers
        plain[record["id"]] = plain.get(record["id"], 0) | answers
    return matching(plan, plain, SESSION)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("status >= 500", FAULTS),
        ("status == 5xx and method == POST", ["fault"]),
        ("method=POST host=api.svc1.example.com status=4xx", ["missing"]),
        ("type == response and dur > 500ms", ["fault"]),
        ("type == response and duration > 200 and url contains /orders/", ["fault", "slow"]),
        ('url ~ "/v1/users/[0-9]+$" and status in (401, 403, 404)', ["missing"]),
        ("path startswith /v2/search and not status == 200", ["search"]),
        ("status in 200..299 and size > 20kB", ["big"]),
        ("type == request and not header[authorization] and method == PUT", ["search"]),
        ('header[user-agent] ~* "curl|okhttp" and type == request', ["slow"]),
        ("header[content-type] startswith image/", ["big"]),
        ("type == abort and error == ECONNRESET", ["gone"]),
        ("tag == http2 and method != GET and type==request", ["search"]),
        ("type startswith websocket- and direction == received", ["ws"]),
        ("sni endswith .internal or type == client-error", ["tls", "broken"]),
        ("time >= 2026-11-18T11:20 and time < 2026-11-18T11:21", ["late"]),
        (f"id == {FULL_ID}", [FULL_ID]),
        ("ip == 10.3.5.174 || port != 443 and not type == tls-client-error", ["slow", "user", "broken", "ws"]),
        (r'body contains "\"price\":499.9"', ["price"]),
        ("rule == 7f15 and status == 429", ["limited"]),
        ("type == rule-event and eventType ~ abort", ["odd"]),
        ("version == 2.0 and protocol == https and status == 503", [FULL_ID]),
    ],
)
def test_the_expressions_of_the_study(expression: str, found: list[str]) -> None:
    assert found_by(expression) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("id == be4c", [FULL_ID]),
        ("json[$.user.id] == 7 and not tag == replay", ["user"]),
        ("json[user.id] == 7", ["user"]),
        ('json[$.user.id] == "7"', []),
        ("json[big] == 12345678901234567890", ["user"]),
        ("json[big] == 12345678901234567891", []),
        ("json[big] > 12345678901234567889", ["user"]),
        ("json[big] in 12345678901234567889..12345678901234567890", ["user"]),
        ("json[big] < 99999999999999999999999", ["user"]),
        ("json[items[1].n] == 2", ["user"]),
        ("json[items[-1].n] > 1", ["user"]),
        ("json[items[*].n] == 1", ["user"]),
        ("json[items.*.n] == 1", ["user"]),
        ("json[$['ok']] == true", ["user"]),
        ("json[none] == null", ["user"]),
        ("json[none]", ["user"]),
        ("request.json[order] == A-1", ["limited"]),
        ("request.body contains order", ["limited"]),
        ("request.body", ["limited"]),
        ("query[page] == 2", ["fault"]),
        ("query[q] == 'a b'", ["search"]),
        ("query contains page", ["fault"]),
        ("cookie[b] == 2", ["late"]),
        ("cookie[sid] == q", ["price"]),
        ("header[SET-COOKIE] contains sid=", ["price"]),
        ("request.header[authorization]", ["late"]),
        ("response.header[server] == nginx", ["gone"]),
        ("ws.count == 2", ["ws"]),
        ("ws.count > 2", []),
        ("close_code == 1001 and closeReason == bye", ["ws"]),
        ("isBinary == true", ["ws"]),
        ("duration > 1m", ["ws"]),
        ("duration in 0.2s..0.3s", ["slow"]),
        ("size >= 29KiB", ["big"]),
        ("hostname == localhost and port == 8000 and host == localhost:8000", ["slow"]),
        ("host == db.internal:5432", ["tls"]),
        ("ja4 == T13D", ["tls"]),
        ("error ~ 'lost|reset'", ["gone", "tls"]),
        ("error and status == 502", ["gone"]),
        ("body contains abc", ["gone"]),
        ("status == 103", []),
        ("statusCode == 103", ["interim"]),
        ("eventData.try == 3", ["odd"]),
        ("method == brew", ["broken"]),
        ("request.method == BREW", ["broken"]),
        ("version == 2 and status == 429", ["limited"]),
        ("time == 2026-11-18T11:20", ["late"]),
        ("time > 2026-11-18T11", []),
        ("request.size > 10B", ["limited"]),
        ("time > 2026-11-18T11:19", ["late"]),
        ("time in 2026-11-18T11:20..2026-11-18T11:20", ["late"]),
        ("time == 2026-11-18T13:20:30.5+02:00", ["late"]),
        ("status != 200 and type == response and not status >= 400", ["search"]),
        ("status in (4xx, 502, 201..201)", ["missing", "search", "limited", "gone", "broken"]),
        ("NOT (status OR type startswith websocket) AND error", ["tls"]),
        ("!error && !status && !(type == websocket-request)", ["odd", "interim"]),
        ("tag !~ http and tag", []),
        ("tag", ["search"]),
        ("url ~ '^ws:'", ["ws"]),
    ],
)
def test_more_of_the_language(expression: str, found: list[str]) -> None:
    assert found_by(expression) == found


def test_a_negation_finds_what_the_test_does_not() -> None:
    found = found_by("status >= 500")
    assert found_by("not status >= 500") == [name for name in EVERY if name not in found]


def test_with_records_a_body_is_that_of_the_record() -> None:
    plan = parse("body contains hi", records=True)
    answers = compile_predicate(plan, Context())
    assert [record["type"] for record in SESSION if answers(record)] == ["websocket-message-received"]


def test_bodies_beside_the_log_are_read(tmp_path: Any) -> None:
    import hashlib

    data = b'{"a": 5}'
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / digest[:2]).mkdir()
    (tmp_path / digest[:2] / digest).write_bytes(data)
    record = {"type": "response", "id": "x", "body": {"size": 8, "file": f"{digest[:2]}/{digest}", "sha256": digest}}
    plan = parse("json[a] == 5")
    assert compile_predicate(plan, Context(tmp_path))(record) == 1
    assert (
        compile_typed(plan, Context(tmp_path)).bits(
            compile_typed(plan, Context(tmp_path)).decode(json.dumps(record).encode())
        )
        == 1
    )
    assert compile_predicate(plan, Context(None))(record) == 0


@pytest.mark.parametrize(
    "record",
    [
        {"type": "response", "statusCode": "500"},
        {"type": "response", "statusCode": True},
        {"type": "response", "statusCode": None},
        {"type": "response", "statusCode": [500]},
        {"type": "response", "body": "text", "url": 5, "headers": {"a": 7}},
        {"type": "response", "url": "no url", "body": {"text": 3}, "tags": "x"},
    ],
)
def test_values_of_a_wrong_type_match_nothing_and_break_nothing(record: Record) -> None:
    for expression in (
        "status == 1",
        "host == a",
        "body contains a",
        "json[a] == 1",
        "header[a] == 7",
        "query[a] == 1",
    ):
        plan = parse(expression)
        assert compile_predicate(plan, Context())(record) == 0


@pytest.mark.parametrize(
    ("expression", "found"),
    [("host == a.test", True), ("path == /x", False), ("header[a\x01] == b", True), ("header[\x02] == b", False)],
)
def test_no_record_and_no_name_is_too_odd(expression: str, found: bool) -> None:
    record = {"type": "request", "url": f"http://a.test:{'9' * 5000}/x", "headers": {"a\x01": "b"}}
    plan = parse(expression)
    typed = compile_typed(plan, Context())
    assert bool(compile_predicate(plan, Context())(record)) is found
    assert bool(typed.bits(typed.decode(orjson.dumps(record)))) is found
