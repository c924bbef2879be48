"""Random sessions for tests that compare a fast way with the exact one: mostly plain exchanges, and all that is odd."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson

from mockrec.formats.schema.lifecycle import EVENT_TYPES

Record = dict[str, Any]

_PLAIN = ("request-initiated", "request", "response")
_LIVES: tuple[tuple[str, ...], ...] = (
    *((_PLAIN,) * 4),
    ("request-initiated", "response"),
    ("request-initiated", "response", "request"),
    ("request-initiated", "request", "rule-event", "rule-event", "response"),
    ("request-initiated", "request", "response", "rule-event"),
    ("rule-event", *_PLAIN),
    ("request-initiated", "request", "response-initiated", "response-body-data", "response"),
    ("request-initiated", "response-information", "request", "response"),
    ("request-initiated", "request", "abort"),
    ("request-initiated", "request"),
    ("request", "response"),
    ("response",),
    ("response", *_PLAIN),
    (*_PLAIN, "response"),
    (*_PLAIN, *_PLAIN),
    ("websocket-request", "websocket-accepted", "websocket-message-sent", "websocket-message-sent", "websocket-close"),
    ("websocket-request", "websocket-accepted", "websocket-message-received", "websocket-close"),
    ("request-initiated", "websocket-request", "websocket-accepted", "websocket-close"),
    ("raw-passthrough-opened", "raw-passthrough-data", "raw-passthrough-closed"),
    ("tls-passthrough-opened", "tls-passthrough-closed"),
    ("client-error",),
    ("tls-client-error",),
    ("gap",),
    ("rules-reloaded",),
    ("callback-error",),
    ("some-later-type",),
)
_IDS = tuple(f"019ab3f0-0000-7000-8000-00000000000{digit}" for digit in range(9))
_URLS = (
    "http://x.test/orders/7?q=a",
    "https://x.test:8443/",
    "http://x.test/users/0f8fad5b-d9cb-469f-a165-70867728950e",
    "ws://[::1]:9/x",
    "x",
    "",
    "https://u:p@X.test/a#f",
    "http://x.test/2024-01-01/é",
)
_WORDS = ("GET", "POST", "x.test", "7", "", "é", "a\x00b", "rule-1")
_NUMBERS = (0, 7, 200, 204, 404, 500, 599, 4.5, -1, 1e300, 2**53 + 1, 2**63 - 1, -0.0)
_ODD: tuple[Any, ...] = (*_WORDS, *_NUMBERS, True, False, None, [], {}, {"a": [1]})
_STAMPS = ("2026-11-18T11:00:00.000000Z", "2026-11-18T11:20:59.999999Z", "2026-11-18T11:20:58.000000Z")
_SIZES = (0, 5, 12, 100_000)
_PAIRS: tuple[list[list[str]], ...] = (
    [["Content-Type", "text/plain"], ["User-Agent", "curl/8"]],
    [["X", "1"], ["X", "2"], ["Content-Type", "a/b"]],
    [],
)
_KEYS: dict[str, tuple[Any, ...]] = {
    "method": ("GET", "GET", "POST"),
    "url": _URLS,
    "rawHeaders": _PAIRS,
    "connectionId": _IDS,
    "matchedRuleId": ("rule-1", "rule-2"),
    "path": ("/orders/7?q=a", "/"),
    "host": _WORDS,
    "tags": ([], ["a"], ["a", "b"]),
    "destination": ({"hostname": "x.test", "port": 443}, {"hostname": "y", "port": 80}, {}),
    "error": ({"code": "ECONNRESET"}, {"name": "Boom", "message": "x"}, {}, "x"),
    "errorCode": _WORDS,
    "failureCause": _WORDS,
    "later": _ODD,
    "scope": ("tests/one", "tests/two"),
    "remotePort": (1, 65535),
    "statusCode": (200, 200, 201, 404, 500, 503),
    "statusMessage": _WORDS,
    "duration": (1, 3.25, 3.25, 4.75, 120.0, 0.001),
    "closeCode": (1000, 1006),
    "bytesReceived": _SIZES,
    "bytesSent": _SIZES,
    "rules": ([{"id": "rule-2"}, {"id": 7}, "x"],),
}
_HEAD = ("method", "url", "rawHeaders")
_OPTIONAL = (
    *("connectionId", "matchedRuleId", "path", "host", "tags", "destination", "error", "errorCode", "failureCause"),
    *("later", "remotePort", "scope"),
)
_LATER = ("later", "error", "errorCode", "failureCause", "destination")
"""Keys that no column of some types holds exactly."""
_VERSIONS: tuple[Any, ...] = (*((1,) * 8), 0, -1, 1.5, "1", "2", True, None, [], {})
"""Values of `schemaVersion` that no mockrec refuses: only a later integer is that of a newer one."""
_PLAIN_URLS = tuple(url for url in _URLS if "://" in url)
_JSON = "application/json"
_CALLS: tuple[tuple[str, str, Record], ...] = (
    ("http://x.test/graphql", _JSON, {"text": '{"query":"query Orders { orders { id } }"}'}),
    ("http://x.test/graphql", _JSON, {"text": '{"query":"mutation Pay { pay }","operationName":"Pay"}'}),
    ("http://x.test/rpc", _JSON, {"text": '{"jsonrpc":"2.0","id":1,"method":"add","params":[1]}'}),
    ("http://x.test/v1/chat/completions", _JSON, {"text": '{"model":"m-1","messages":[]}'}),
    ("http://x.test/shop.Orders/Get", "application/grpc", {"base64": "AAAAAAIIBw=="}),
    ("http://x.test/graphql?query=%7Borders%7D", _JSON, {"text": "not a query"}),
)
"""Requests of protocols that name their calls in the body: URL, media type and body."""
_MESSAGES = (
    '{"type":"subscribe","id":"1","payload":{"query":"subscription News { news }"}}',
    '{"jsonrpc":"2.0","id":1,"method":"add"}',
    "hello",
)
_ENDS = ("statusCode", "statusMessage", "duration")
_OF_TYPE: dict[str, tuple[str, ...]] = {
    "response": (*_ENDS, "method", "url"),
    "response-initiated": ("statusCode",),
    "websocket-accepted": ("statusCode",),
    "websocket-close": ("closeCode", "duration", "method", "url"),
    "abort": ("duration",),
    "raw-passthrough-closed": ("bytesReceived", "bytesSent"),
    "tls-passthrough-closed": ("bytesReceived", "bytesSent"),
    "rules-reloaded": ("rules",),
}


class _Maker:
    """Makes records; `odd` is the share of values that no recorder writes."""

    def __init__(self, dice: Random, odd: float, *, calls: bool, plain: bool) -> None:
        """`plain`: every URL is one, and no key is unknown, so that even long batches are read by columns."""
        self.dice = dice
        self.calls = calls
        self._odd = odd
        self._optional = tuple(key for key in _OPTIONAL if not (plain and key in _LATER))
        self._keys = {**_KEYS, "url": _PLAIN_URLS} if plain else _KEYS

    def value(self, usual: Any) -> Any:
        return self.dice.choice(_ODD) if self.dice.random() < self._odd else usual

    def _one(self, key: str) -> Any:
        return self.value(self.dice.choice(self._keys[key]))

    def _call(self) -> Record:
        url, media_type, body = self.dice.choice(_CALLS)
        method = self.dice.choice(("POST", "POST", "GET"))
        pairs = [["Content-Type", media_type]]
        body = {"size": len(body.get("text", "1234567")), **body}
        return {"method": method, "url": url, "rawHeaders": pairs, "headers": _table(pairs), "body": body}

    def _body(self) -> Any:
        return self.value({"size": self.value(self.dice.choice(_SIZES)), "text": ""})

    def _inner(self) -> Any:
        made = {key: self._one(key) for key in ("statusCode", "url", "method") if self.dice.random() < 0.7}
        return self.value({**made, "body": self._body()})

    def _timing(self) -> Any:
        timing: Record = {
            "startTime": 1763978400000.5,
            "startTimestamp": self.value(self.dice.choice((5000.25, 7, 0.0))),
        }
        if self.dice.random() < 0.6:
            timing["headersSentTimestamp"] = self.dice.choice((5001.5, 6000))
        if self.dice.random() < 0.2:
            timing["wsAcceptedTimestamp"] = 5002.0
        return self.value(timing)

    def record(self, kind: str, identity: Any) -> Record:
        """A record of a type, with most of its keys."""
        dice = self.dice
        record: Record = {"type": kind, "timestamp": self.value(dice.choice(_STAMPS))}
        if identity is not None:
            record["id"] = identity
        keys = [*(_HEAD if kind not in ("rule-event", "gap") else ()), *_OF_TYPE.get(kind, ())]
        keys += dice.sample(self._optional, dice.randint(0, 3))
        record.update({key: self._one(key) for key in keys if dice.random() > 0.05})
        if kind not in ("rule-event", "gap") and dice.random() < 0.9:
            record["timingEvents"] = self._timing()
        if kind in ("request", "response", "websocket-request", "websocket-accepted"):
            record["body"] = self._body()
        if kind == "abort":
            record |= {"requestBody": self._body(), "response": self._inner()}
        if kind == "client-error":
            record |= {"request": self._inner(), "response": self._inner()}
        if type(record.get("rawHeaders")) is list and record["rawHeaders"] and dice.random() < 0.9:
            record["headers"] = _table(record["rawHeaders"])
        if kind in ("request", "websocket-request") and self.calls and dice.random() < 0.5:
            record |= self._call()
        if kind == "websocket-message-received":
            text = dice.choice(_MESSAGES)
            record |= {"content": {"size": len(text), "text": text}, "isBinary": False}
        return record


def _table(pairs: list[list[str]]) -> Record:
    table: Record = {}
    for name, value in pairs:
        key = name.lower()
        table[key] = f"{table[key]}, {value}" if key in table else value
    return table


def random_session(seed: int) -> list[Record]:
    """The records of a session: lives of exchanges, tunnels and others, some of one id, interleaved at random.

    One session in two has only values that a recorder writes, so that the fast ways are taken, most of these only URLs
    that are some, so that they are taken for long batches, too. One in two has requests
    of protocols that name their calls in the body.
    """
    dice = Random(seed)
    odd = dice.choice((0.0, 0.0, 0.02, 0.2))
    maker = _Maker(dice, odd, calls=dice.random() < 0.5, plain=not odd and dice.random() < 0.6)
    lives = dice.choices(_LIVES, k=dice.randint(0, 12))
    queues = []
    for life in lives:
        identity = maker.value(dice.choice(_IDS))
        queues.append([maker.record(kind, identity) for kind in life])
    version = 1 if not odd else Random(f"version {seed}").choice(_VERSIONS)
    started = {"type": "session-started", "timestamp": _STAMPS[0], "schemaVersion": version}
    records: list[Record] = [{**started, "rules": [{"id": "rule-1"}]}]
    in_turn = dice.random() < 0.4
    while queues:
        queue = queues[0 if in_turn else dice.randrange(len(queues))]
        records.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    if dice.random() < 0.5:
        records.append({"type": "session-ended", "timestamp": "2026-11-18T11:30:00.000000Z", "reason": "finished"})
    return [{"seq": seq, **record} for seq, record in enumerate(records)]


def lines(records: list[Record]) -> bytes:
    """The session as JSON Lines."""
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


assert set(_OF_TYPE) <= set(EVENT_TYPES)
