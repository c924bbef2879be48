"""Records that are deferred and joined: the log is the one that a recorder writes that adds each of them at its time."""

from __future__ import annotations

import asyncio
from itertools import count
from threading import get_ident
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.target_uri import TargetUri, read_target_uri
from mockrec.engine.recording import joined_records
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.recording.joined_records import JoinedRecords
from mockrec.engine.recording.recorder import Recorder
from mockrec.engine.recording.worker_recorder import WorkerRecorder
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, ResponseHead, header_table
from mockrec.formats.schema.events import EVENT_TYPES

DEFAULT = frozenset({"request-initiated", "request", "response", "abort", "rule-event"})
SECRET = "Authorization: Bearer abcdef-0123456789"
TURNS = ["head", "end", "rule", "start", "sent"]
"""What happens to an exchange, in this order."""
BETWEEN = ["flush", "tag", "event", "abort", "record"]
"""What may happen in between, to any exchange or to the log."""
EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "target": st.sampled_from(["/", "/a?q=%22", "http://other.test/x"]),
            "line": st.sampled_from(["Accept: */*", "Accept: */*", SECRET, "Content-Type: application/grpc"]),
            "request": st.sampled_from([b"", b"", b"", b"body"]),
            "response": st.sampled_from([b"", b"Hello", b"abcdef-0123456789", b"a" * 2000]),
            "cookie": st.sampled_from(["", "", "id=hunter2-hunter2"]),
            "rule": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=4)),
            "tags": st.sampled_from([(), (), ("socket-metadata:a",)]),
            "tls": st.sampled_from([None, {"sniHostname": "a"}]),
            "scope": st.sampled_from([None, "a"]),
        }
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([*["go"] * 3, *["whole"] * 4, *BETWEEN])), min_size=2, max_size=16
)
"""`go` lets one more thing happen to an exchange, `whole` everything that is left."""


class Played:
    """One exchange, to which one thing after the other happens."""

    def __init__(self, case: dict[str, Any], number: int, log: ExchangeLog) -> None:
        self.case = case
        self.log = log
        self.left = list(TURNS)
        client = ClientConnection(f"01890a5d-ac00-7000-8000-{number:012}", "127.0.0.1", 50000, 8000, tls=case["tls"])
        lines = [f"POST {case['target']} HTTP/1.1", "Host: a.test", f"Content-Length: {len(case['request'])}"]
        head = read_head("\r\n".join([*lines, case["line"], "", ""]).encode())
        assert isinstance(head, RequestHead)
        target = read_target_uri(head, 8000)
        assert isinstance(target, TargetUri)
        target.log_form = None  # equal heads are one object, also in another log
        self.make = lambda: Exchange(head, target, client, None, log, 1 << 20, 1 << 20)  # type: ignore[arg-type]
        self.id = f"01890a5d-ac00-7000-8000-1{number:011}"
        self.exchange: Exchange

    def go(self) -> None:
        turn, case = self.left.pop(0), self.case
        if turn == "head":
            self.exchange = self.make()
            self.exchange.id = self.id
            self.exchange.tags = case["tags"]
            self.exchange.scope = None if case["scope"] is None else SimpleNamespace(name=case["scope"])  # type: ignore[assignment]
            self.log.request_initiated(self.exchange)
        elif turn == "end":
            if case["request"]:
                self.exchange.take_data(case["request"])
            self.exchange.take_end(())
        elif turn == "rule":
            rule = None if case["rule"] is None else SimpleNamespace(rule=SimpleNamespace(id=case["rule"]))
            self.exchange.choose(rule)  # type: ignore[arg-type]
        elif turn == "start":
            raw = [["Content-Type", "text/plain"], ["Set-Cookie", case["cookie"]]][: 2 if case["cookie"] else 1]
            response = PreparedResponse(200, body=case["response"])
            self.exchange._start_response(response, ResponseHead(200, "OK", raw, header_table(raw)))
        else:
            self.exchange._end_response(case["response"])

    @property
    def is_open(self) -> bool:
        return 0 < len(self.left) < len(TURNS)

    def between(self, what: str) -> None:
        if what == "tag":
            self.exchange.tag("a")
        elif what == "event":
            self.log.rule_event(self.exchange, "it", {"a": 1}, rule_id="b")
        elif what == "abort":
            self.left = []
            self.exchange.abort({"code": "E"})


def lines_of(
    case: dict[str, Any], patch: pytest.MonkeyPatch, *, joins: bool, pack: Any = None
) -> tuple[bytes, dict[str, int]]:
    """The log, and the counts of its records. Some of them are passed on before the end."""
    ticks, thread = count(case["start"], case["tick"]), get_ident()
    patch.setattr(clock, "_perf_counter_ns", lambda: next(ticks) if get_ident() == thread else perf_counter_ns())

    async def play() -> tuple[bytes, dict[str, int]]:
        batches: list[bytes] = []
        more: Any = {"on_failure": lambda error: None}
        recorder = Recorder([], **more) if pack is None else WorkerRecorder([], pack=pack, **more)
        recorder.tap = batches.append
        redactor = Redactor.of("default", {}, key=b"k" * 32) if case["redact"] else None
        bodies = BodyEncoder("decoded", 1000, redactor)
        joined = JoinedRecords(recorder) if joins else None
        log = ExchangeLog(recorder, case["types"], bodies, redactor, joined=joined)
        played = [Played(one, number, log) for number, one in enumerate(case["exchanges"])]
        for which, step in [*case["steps"], *((number, "whole") for number in range(3))]:
            one = played[which % len(played)]
            if step == "flush":
                recorder.flush()
            elif step == "record":
                recorder.add({"seq": 0, "type": "gap", "timestamp": clock.timestamp(clock.now()), "counts": {}})
            elif step in ("go", "whole"):
                for _ in range(1 if step == "go" else len(TURNS)):
                    if one.left:
                        one.go()
            elif one.is_open:
                one.between(step)
        recorder.flush()
        return b"".join(batches), dict(recorder.counts)

    return asyncio.run(play())


CASES = st.fixed_dictionaries(
    {
        "exchanges": EXCHANGES,
        "steps": STEPS,
        "types": st.sampled_from(
            [DEFAULT, DEFAULT, DEFAULT - {"request"}, frozenset(EVENT_TYPES) - {"response-body-data"}]
        ),
        "redact": st.booleans(),
        "start": st.integers(0, 10**16),
        "tick": st.sampled_from([100, 1_000, 123_456_700]),
    }
)


@settings(max_examples=150, deadline=None)
@given(CASES, st.booleans())
def test_joined_records_are_those_that_are_added_one_by_one(case: dict[str, Any], is_worker: bool) -> None:
    pack = (lambda kinds, ids, lines: lines) if is_worker else None
    added: list[int] = []
    joined_lines = joined_records.exchange_lines

    def counted(*args: Any) -> bytes | None:
        lines = joined_lines(*args)
        added.append(lines is not None)
        return lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined_records, "exchange_lines", counted)
        found = lines_of(case, patch, joins=True, pack=pack)
        event(f"joined: {sum(added)}")
        assert found == lines_of(case, patch, joins=False, pack=pack)


def test_an_exchange_that_ends_at_once_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes | None] = []
    joined_lines = joined_records.exchange_lines

    def kept(*args: Any) -> bytes | None:
        made.append(joined_lines(*args))
        return made[-1]

    monkeypatch.setattr(joined_records, "exchange_lines", kept)
    one = {"target": "/", "line": "Accept: */*", "request": b"", "response": b"", "cookie": "", "rule": "a"}
    exchanges = [{**one, "tags": (), "tls": None, "scope": None}] * 2
    case = {"exchanges": exchanges, "types": DEFAULT, "redact": True, "start": 0, "tick": 100}
    lines, counts = lines_of({**case, "steps": [(0, "whole"), (1, "whole")]}, monkeypatch, joins=True)
    assert lines == b"".join(filter(None, made))
    assert len(made) == 2
    assert counts == {"request-initiated": 2, "request": 2, "response": 2}
    made.clear()
    lines, _ = lines_of({**case, "steps": [(0, "go"), (1, "go"), (0, "whole"), (1, "whole")]}, monkeypatch, joins=True)
    assert made == []
    assert lines.count(b"\n") == 6
