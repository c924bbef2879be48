"""The promises of docs/replay.md as rows: recorded exchanges, requests, and the expected responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.serve.step import GUESSED, replay_handler
from mockrec.engine.replay.serve.tags import MISSED
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.replay.session.selectors import parse_selector

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
TEXT = ("Content-Type", "text/plain")
WHOLE = b"AAAABBBBCCCC"
MARK = "redacted-0123abcd"


@dataclass(frozen=True, slots=True)
class Taped:
    """A recorded exchange: `answer` and `fields` of the response, `asked` and `body` of the request."""

    start: str
    answer: bytes | str
    fields: tuple[tuple[str, str], ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and its expected response: a body (with the recorded status), a status, or both."""

    start: str
    gets: bytes | str | int | tuple[int, bytes]
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    head: tuple[str, str] | None = None
    """A field that the response must have."""
    says: str = ""
    """A text that the 503 of a miss must contain."""
    is_guess: bool = False


DEFAULT = MatchOptions()


@dataclass(frozen=True, slots=True)
class Row:
    """One promise: the recorded exchanges and the requests that show it."""

    promise: str
    tape: tuple[Taped, ...]
    asks: tuple[Ask, ...]
    match: MatchOptions = DEFAULT


def ignoring(*selectors: str) -> MatchOptions:
    return MatchOptions(ignore=tuple(parse_selector(text) for text in selectors))


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


async def assert_kept(row: Row, stage: Any, recorded: Any, cassette: Callable[..., Cassette]) -> None:
    """Record the exchanges of a row, send its requests, and check the responses."""
    write(recorded, row)
    tape = cassette(row.match)
    act = replay_handler(tape, Latency(), SocketSettings())
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
