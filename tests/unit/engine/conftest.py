"""Builders for tests of the engine: rule files from text, and exchanges without a connection."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Sequence
from textwrap import indent
from typing import Any

import anyio
import orjson
import pytest

from mockrec.engine.errors import RuleFileError
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import read_target_uri
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.rules.language.load import Loaded, load_rules
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.model import Rule, Step, When
from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, ResponseHead, header_table
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.events import EVENT_TYPES, check_record


class RuleFiles:
    """A folder that holds `rules.yaml` and `files`, and an environment."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.env: dict[str, str] = {}
        self.read: list[str] = []

    def load(self, text: str | bytes) -> Loaded:
        data = text.encode() if isinstance(text, str) else text
        return load_rules(data, path="rules.yaml", folder="/rules", read_file=self._read, env=self.env)

    def problems(self, text: str | bytes) -> list[str]:
        """What is wrong with a file, each without the file's name."""
        with pytest.raises(RuleFileError) as caught:
            self.load(text)
        return [str(problem).removeprefix("rules.yaml:") for problem in caught.value.problems]

    def problem(self, text: str | bytes) -> str:
        """The only thing that is wrong."""
        (problem,) = self.problems(text)
        return problem

    def rule(self, text: str) -> Rule:
        """The only rule of a file, given as the rule's keys."""
        (rule,) = self.load(_file(text)).rule_file.rules
        return rule

    def when(self, text: str) -> When:
        return self.rule(f"when:\n{indent(text, '  ')}\nthen: close").when

    def when_problem(self, text: str) -> str:
        """The only problem of a `when`, from its place inside the `when` on."""
        problem = self.problem(_file(f"when:\n{indent(text, '  ')}\nthen: close"))
        return problem.partition(": ")[2].removeprefix("rules[0].when").removeprefix(".")

    def step(self, text: str) -> Step:
        """A single step that answers."""
        (step,) = self.rule(f"then:\n{indent(text, '  ')}").steps
        return step

    def first_step(self, text: str) -> Step:
        """A step that does not answer."""
        step, _ = self.rule(f"then:\n{indent(text, '  - ', lambda line: line is not None)}\n  - close").steps
        return step

    def step_problem(self, text: str) -> str:
        """The only problem of a step, from its place inside the `then` on."""
        problem = self.problem(_file(f"then:\n{indent(text, '  ')}"))
        return problem.partition(": ")[2].removeprefix("rules[0].then").removeprefix(".")

    def _read(self, path: str) -> bytes:
        self.read.append(path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.files[path]


def _file(rule: str) -> str:
    first, *rest = rule.splitlines()
    return "\n".join(["version: 1", "rules:", f"  - {first}", *(f"    {line}" for line in rest)])


@pytest.fixture
def rule_files() -> RuleFiles:
    return RuleFiles()


# ── exchanges ──────────────────────────────────────────────────────────────────────────────────────


class ListLog:
    """A log in memory that is never behind. Each record is encoded when it is added: no code may change it later."""

    behind = False

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._added: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        record["seq"] = len(self._added)
        self._added.append(record)
        self._lines.append(encode_lines((record,)))

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        line = b'{"seq":%d%b' % (len(self._added), rest)
        record = orjson.loads(line)
        assert (record["type"], record["id"]) == (kind, record_id)
        self._added.append(record)
        self._lines.append(line)

    def flush(self) -> None:
        """Do nothing: no record waits for a batch."""

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records, which have to be as the schema says and unchanged since they were added."""
        assert [encode_lines((record,)) for record in self._added] == self._lines
        records = [orjson.loads(line) for line in self._lines]
        for record in records:
            assert check_record(record) == [], record
        return records

    @property
    def types(self) -> list[str]:
        return [record["type"] for record in self.records]

    def only(self, kind: str) -> dict[str, Any]:
        """The one record of a type."""
        (record,) = [record for record in self.records if record["type"] == kind]
        return record


class ChannelLog:
    """A channel that remembers what it is told, in order."""

    def __init__(self, *, bodiless: bool = False, gone_after: int | None = None) -> None:
        self.framing_key = "fake"
        self.bodiless = bodiless
        self.done: list[tuple[Any, ...]] = []
        self._gone_after = gone_after
        """Sends after which the client has gone."""

    def trailers(self, head: ResponseHead, fields: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        return fields if "transfer-encoding" in head.headers else ()

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        if any("\n" in value for _, value in headers):
            raise ValueError("no head can hold that")
        raw = [[name, value] for name, value in headers]
        raw.append(["Transfer-Encoding", "chunked"] if length is None else ["Content-Length", str(length)])
        return ResponseHead(status, reason, raw, header_table(raw))

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        self._send("interim", status, reason, [tuple(pair) for pair in headers])

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        self._send("whole", head.status, _pairs(head), body, tuple(trailers))

    async def send_head(self, head: ResponseHead) -> None:
        self._send("head", head.status, _pairs(head))

    async def send_data(self, data: bytes) -> None:
        self._send("data", data)

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        self._send("end", tuple(trailers))

    async def send_cut(self, data: bytes) -> None:
        self._send("cut", data)

    async def send_raw(self, data: bytes) -> None:
        self._send("raw", data)

    def close(self) -> None:
        self.done.append(("close",))

    def reset(self) -> None:
        self.done.append(("reset",))

    def _send(self, *what: Any) -> None:
        if self._gone_after is not None and len(self.done) >= self._gone_after:
            raise anyio.BrokenResourceError
        self.done.append(what)


def _pairs(head: ResponseHead) -> list[tuple[str, str]]:
    return [(name, value) for name, value in head.raw_headers]


class Stage:
    """Exchanges with a channel and a log that only remember."""

    def __init__(self) -> None:
        self.log = ListLog()
        self.bodies = BodyEncoder("decoded", 1024)
        self.exchange_log = ExchangeLog(self.log, frozenset(EVENT_TYPES), self.bodies)
        self.channel = ChannelLog()
        self.limit = 1024

    def record(self, *types: str, mode: str = "decoded", limit: int = 1024) -> None:
        """Record only these types (none given: all), and bodies in this way."""
        self.bodies = BodyEncoder(mode, limit)
        self.limit = limit
        self.exchange_log = ExchangeLog(self.log, frozenset(types or EVENT_TYPES), self.bodies)

    def exchange(
        self,
        start: str = "GET /",
        *headers: tuple[str, str],
        body: bytes = b"",
        complete: bool = True,
        version: str = "1.1",
        rule: CompiledRule | None = None,
    ) -> Exchange:
        """A request that has come, with its body unless it is not `complete`."""
        fields = (("Host", "example.test"), *headers)
        lines = [f"{start} HTTP/{version}", *(f"{name}: {value}" for name, value in fields), "", ""]
        head = read_head("\r\n".join(lines).encode("latin-1"))
        assert isinstance(head, RequestHead), head
        address = read_target_uri(head, 8000)
        assert not isinstance(address, str), address
        self.channel.bodiless = head.method == "HEAD"
        peer = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 50000, 8000)
        exchange = Exchange(head, address, peer, self.channel, self.exchange_log, 1 << 20, self.limit)
        self.exchange_log.request_initiated(exchange)
        if body:
            exchange.take_data(body)
        if complete:
            exchange.take_end(())
        exchange.choose(rule)
        return exchange

    async def act(
        self, act: Callable[[Exchange], Awaitable[None]], start: str = "GET /", *headers: tuple[str, str], **more: Any
    ) -> Exchange:
        """What an act does with an exchange of its own."""
        exchange = self.exchange(start, *headers, **more)
        await act(exchange)
        return exchange


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def compiled(rule_files: RuleFiles) -> Callable[[str], CompiledRule]:
    """A rule, given as the keys of one, that has been used once."""

    def build(text: str) -> CompiledRule:
        rule = CompiledRule(rule_files.rule(text), lambda handler: lambda request: True)
        rule.used = 1
        return rule

    return build


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
