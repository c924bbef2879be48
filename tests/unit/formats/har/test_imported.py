"""HAR files of other tools: real files of Chrome, mitmproxy and Playwright, and forms that other tools write."""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from audited import audited

from mockrec.formats.schema.body import Body
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session, open_session

Record = dict[str, Any]

SAMPLES = Path(__file__).parents[3] / "data" / "har"
LEFT_OUT = {"safari.har": ["entries[1] is left out: request.url is no HTTP URL: 'data:image/png;base64,AAAA'"]}


def sample(name: str) -> list[Record]:
    with open_session(SAMPLES / name) as session:
        return audited(session)


def imported(*entries: Any, **log: Any) -> tuple[list[Record], list[str]]:
    """Return the records of these entries, and the problems."""
    data = json.dumps({"log": {"version": "1.2", "entries": list(entries), **log}}).encode()
    session = Session(Source("s.har", io.BytesIO(data)))
    return audited(session), session.problems


def entry(**changes: Any) -> Record:
    """Make an entry with the members that every tool writes."""
    made: Record = {
        "startedDateTime": "2026-11-20T09:15:30.500Z",
        "time": 30,
        "request": {"method": "GET", "url": "http://a.test/x?y=1#z", "httpVersion": "HTTP/1.1", "headers": []},
        "response": {"status": 200, "statusText": "OK", "headers": [], "content": {"size": 2, "text": "ok"}},
        "timings": {"blocked": 1, "dns": 2, "connect": 3, "ssl": 2, "send": 4, "wait": 10, "receive": 10},
    }
    for key, value in changes.items():
        made[key] = {**made[key], **value} if isinstance(value, dict) and key in made else value
    return made


def one(records: list[Record], kind: str) -> Record:
    (found,) = [record for record in records if record["type"] == kind]
    return found


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.har")), ids=lambda path: path.stem)
def test_every_sample_is_a_session(path: Path) -> None:
    with open_session(path) as session:
        records = audited(session)
        assert session.problems == LEFT_OUT.get(path.name, [])
        assert session.complete
    assert records[0]["importedFrom"] == " ".join(
        json.loads(path.read_text("utf-8"))["log"]["creator"][key] for key in ("name", "version")
    )
    assert records[-1]["reason"] == "imported"
    assert sample(path.name) == records, "ids are the same whenever it is read"


def kinds(records: list[Record]) -> list[str]:
    return [record["type"] for record in records]


def test_chrome() -> None:
    records = sample("chrome.har")
    sent = [(r["direction"], r["content"].get("text")) for r in records if r["type"].startswith("websocket-message")]
    assert sent[:2] == [("received", "text é"), ("sent", "text é")]
    assert {record["httpVersion"] for record in records if record["type"] == "request"} == {"1.1", "2.0"}
    (form,) = [r for r in records if r["type"] == "request" and r["path"] == "/form"]
    assert form["body"] == {"size": 9, "text": "a=1&b=x+y"}
    two = next(r for r in records if r["type"] == "request" and r["path"] == "/two")
    assert two["rawHeaders"][0] == [":method", "GET"]
    assert ":method" not in two["headers"]


def test_mitmproxy() -> None:
    records = sample("mitmproxy.har")
    binary = next(r for r in records if r["type"] == "response" and r["url"].endswith("/binary"))
    assert binary["body"] == {"size": 3, "base64": "AP+A"}
    assert "websocket-accepted" in kinds(records)


def test_playwright() -> None:
    records = sample("playwright.har")
    assert one(records, "abort")["error"] == {"message": "net::ERR_EMPTY_RESPONSE"}
    assert 0 < one(records, "websocket-close")["duration"] < 1000, "it writes the time of messages in milliseconds"


def test_firefox() -> None:
    records = sample("firefox.har")
    login = one(records, "abort")
    request = next(record for record in records if record.get("id") == login["id"] and record["type"] == "request")
    assert request["body"] == {"size": 14, "text": "a=1+2&b=%C3%BC"}, "made of the parameters"
    first = records[1]
    assert (first["url"], first["path"], first["httpVersion"]) == ("https://shop.test/a?b=1", "/a?b=1", "3.0")
    assert first["timestamp"] == "2026-11-20T09:15:30.120000Z"
    assert one(records, "response")["body"]["text"] == "<p>grüß</p>"


def test_charles() -> None:
    records = sample("charles.har")
    assert one(records, "response")["body"] == {"size": 3, "text": "GIF"}
    assert one(records, "abort")["method"] == "CONNECT"


def test_http_toolkit() -> None:
    records = sample("http-toolkit.har")
    raw = one(records, "request")
    assert raw["body"] == {"size": 3, "base64": "AP+A"}
    assert raw["rawTrailers"] == [["x-sum", "1"]]
    close = one(records, "websocket-close")
    assert (close["closeCode"], close["closeReason"], close["duration"]) == (4000, "done", pytest.approx(100))
    assert one(records, "tls-client-error")["tlsMetadata"] == {"sniHostname": "pinned.test"}


def test_a_body_that_is_not_in_the_file_is_known_to_be_missing() -> None:
    assert one(sample("safari.har"), "response")["body"] == {"size": 5000, "text": "", "truncated": True}


# ── records of an entry ───────────────────────────────────────────────────────────────────────


def test_an_exchange() -> None:
    records, problems = imported(entry())
    assert problems == []
    assert kinds(records) == ["session-started", "request-initiated", "request", "response", "session-ended"]
    assert [record["seq"] for record in records] == [0, 1, 2, 3, 4]
    response = records[3]
    assert (response["method"], response["url"], response["host"]) == ("GET", "http://a.test/x?y=1", "a.test")
    assert response["duration"] == 30
    assert [record["timestamp"][17:] for record in records[1:4]] == ["30.500000Z", "30.510000Z", "30.530000Z"]


def test_exchanges_come_in_the_order_of_time() -> None:
    later = entry(startedDateTime="2026-11-20T10:15:30.510+01:00", request={"url": "http://b.test/"})
    records, _ = imported(later, entry())
    assert [record["url"] for record in records if "url" in record and record["type"] != "request"] == [
        "http://a.test/x?y=1", "http://b.test/", "http://a.test/x?y=1", "http://b.test/",
    ]  # fmt: skip
    assert records[0]["startTime"] == 1795166130500.0


def test_connections_have_their_name_where_there_is_one() -> None:
    records, _ = imported(entry(), entry(_connectionId="7"), entry(_connectionId="7"))
    assert len({record["connectionId"] for record in records if "connectionId" in record}) == 2
    assert len({record["id"] for record in records if "id" in record}) == 3


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (7, "it is no object"),
        ({}, "request is missing"),
        (entry(request=None), "request is no object"),
        (entry(request={"url": ""}), "request.method or request.url is missing"),
        (entry(request={"method": 5}), "request.method or request.url is missing"),
        (entry(request={"url": "data:,x"}), "request.url is no HTTP URL: 'data:,x'"),
        (entry(request={"url": "/relative"}), "request.url is no HTTP URL: '/relative'"),
        (entry(request={"url": "http://[x/"}), "request.url is no HTTP URL: 'http://[x/'"),
        (entry(startedDateTime="yesterday"), "startedDateTime is no date: 'yesterday'"),
        (entry(startedDateTime=[]), "startedDateTime is no date: []"),
    ],
)
def test_a_damaged_entry_is_reported_and_left_out(damaged: Any, reason: str) -> None:
    records, problems = imported(entry(), damaged, entry())
    assert problems == [f"entries[1] is left out: {reason}"]
    assert kinds(records).count("response") == 2


def test_an_entry_that_is_no_json_is_reported_and_left_out() -> None:
    data = json.dumps({"log": {"entries": [entry(), "HERE", entry()]}}).replace('"HERE"', '{"a": tru, "b": [NaN]}')
    session = Session(Source("s.har", io.BytesIO(data.encode())))
    assert kinds(audited(session)).count("response") == 2
    (problem,) = session.problems
    assert problem.startswith("entries[1] is left out: it is no JSON")


@pytest.mark.parametrize(("gone", "left"), [(40, 1), (300, 1), (600, 0)])
def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(gone: int, left: int) -> None:
    data = json.dumps({"log": {"entries": [entry(), entry()]}}).encode()
    session = Session(Source("s.har", io.BytesIO(data[:-gone])))
    assert kinds(audited(session)).count("response") == left
    assert session.cut_off.startswith("the file ends in entries[")


@pytest.mark.parametrize(
    ("version", "known"),
    [("HTTP/1.0", "1.0"), ("HTTP/1.1", "1.1"), ("http/2.0", "2.0"), ("h2", "2.0"), ("HTTP/3", "3.0"), ("h3", "3.0"), ("unknown", "1.1"), (None, "1.1")],
)  # fmt: skip
def test_versions(version: str | None, known: str) -> None:
    records, _ = imported(entry(request={"httpVersion": version}))
    assert one(records, "request")["httpVersion"] == known


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (None, {"message": "the HAR has no answer"}),
        ({"status": 0, "_error": "net::ERR_FAILED"}, {"message": "net::ERR_FAILED"}),
        ({"status": -1, "_failureText": "gone"}, {"message": "gone"}),
        ({"status": "0"}, {"message": "the HAR has no answer"}),
    ],
)
def test_what_has_no_answer_is_an_abort(response: Any, error: Record) -> None:
    assert one(imported(entry(response=response))[0], "abort")["error"] == error


def test_halves_of_surrogate_pairs_do_no_harm() -> None:
    """Browsers write them as escapes, which JSON allows."""
    records, problems = imported(entry(response={"content": {"size": 3, "text": "a\ud800"}}))
    assert problems == []
    assert one(records, "response")["body"]["text"].startswith("a")


def response_of(content: Record, **headers: str) -> Record:
    """Return the body of a response with this content and these headers."""
    fields = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
    records, _ = imported(entry(response={"content": content, "headers": fields}))
    return one(records, "response")["body"]  # type: ignore[no-any-return]


def test_bodies_keep_the_encoding_that_the_tool_has_undone() -> None:
    assert response_of({"size": 2, "text": "ok"}, Content_Encoding="br") == {
        "size": 2,
        "text": "ok",
        "contentEncoding": "br",
    }
    assert "contentEncoding" not in response_of({"size": 2, "text": "ok"}, Content_Encoding="identity")
    assert "contentEncoding" not in response_of({"size": 0, "text": ""}, Content_Encoding="br")
    still = base64.b64encode(gzip.compress(b"ok")).decode()
    assert "contentEncoding" not in response_of(
        {"size": 2, "text": still, "encoding": "base64"}, Content_Encoding="gzip"
    )


def test_text_has_the_charset_that_its_type_names() -> None:
    latin = response_of({"size": 3, "text": "für"}, Content_Type='text/html; charset="ISO-8859-1"')
    assert latin == {"size": 3, "text": "für", "charset": "iso-8859-1"}
    assert Body.from_record(latin).bytes == "für".encode("latin-1")
    for charset in ("utf-8", "no-such-charset", "ascii"):
        kept = response_of({"size": 3, "text": "für"}, Content_Type=f"text/html; charset={charset}")
        assert kept == {"size": 4, "text": "für"}


def test_requests_keep_their_encoding_too() -> None:
    request = {"headers": [{"name": "content-encoding", "value": "gzip"}], "postData": {"text": "ok"}}
    records, _ = imported(entry(request={"method": "POST", **request}))
    assert one(records, "request")["body"] == {"size": 2, "text": "ok", "contentEncoding": "gzip"}
