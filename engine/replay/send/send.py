"""`replay --to`: sends a session to servers and, if asked to, records the replay as a session of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio

from mockrec.engine.config import RecordSettings, UpstreamSettings
from mockrec.engine.exchange.websocket import SocketSettings
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.event_log import wanted_types
from mockrec.engine.recording.outputs import Rotate
from mockrec.engine.recording.recording import Recording
from mockrec.engine.recording.session_records import session_started
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.replay.chain.chains import Chained, Chains
from mockrec.engine.replay.chain.in_time import in_time
from mockrec.engine.replay.chain.plan import ChainPlan as ChainPlan
from mockrec.engine.replay.chain.plan import ChainSurvey as ChainSurvey
from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.recorded_exchange import SendContext
from mockrec.engine.replay.send.sender import Sender, SendProgress, Sends
from mockrec.engine.replay.send.survey import Survey, SurveyedRequest, survey
from mockrec.engine.replay.send.target import Server, Targets
from mockrec.engine.replay.session.editable import EditableRequest, fill, set_header
from mockrec.engine.replay.session.only import ExchangeFilter, judge
from mockrec.engine.replay.session.requests import (
    RecordedMessage,
    RecordedRequest,
    RecordedResponse,
    recorded_requests,
    relevant_records,
)
from mockrec.engine.rules.language.load import Loaded, no_rules
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.transport.connector import Connector
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.formats.files.outfile import is_pipe
from mockrec.formats.query import Plan
from mockrec.formats.schema.errors import FormatError, worse
from mockrec.formats.schema.vocabulary import Selector
from mockrec.formats.sessions.session import Reading, Session, open_session

_AT_ONCE = 100
"""Concurrent requests at most, unless they are sent at recorded times."""
_ALL_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class SendSettings:
    """What to send, to which servers and how, and where to record. Durations in seconds."""

    session: str
    servers: dict[str, Server]
    """See `Targets.servers`."""
    pace: Pace = field(default_factory=lambda: Pace(factor=1.0))
    concurrency: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[Selector, str], ...] = ()
    keep_host: bool = False
    timeout: float = 30.0
    repeat: int = 1
    chain: bool = True
    """Whether values from responses are put into later requests."""
    only: Plan | None = None
    """Selects the exchanges that are sent; None: all."""
    trusted_cas: tuple[str, ...] = ()
    insecure: bool = False
    loaded: Loaded = field(default_factory=lambda: no_rules(os.getcwd()))
    record: RecordSettings = field(default_factory=RecordSettings)
    outputs: tuple[str, ...] = ()
    output_format: str | None = None
    force: bool = False
    file_mode: int = 0o600
    rotate: Rotate | None = None
    inline_bodies: bool = False
    command: None = None

    @property
    def is_read_once(self) -> bool:
        """Whether the session comes from stdin or a pipe, so that it cannot be surveyed before it is sent."""
        return self.session == "-" or is_pipe(self.session)


class ReplayRun:
    """One replay. `look` surveys the session, `run` sends it."""

    def __init__(self, settings: SendSettings, defect: Callable[[BaseException], None]) -> None:
        """Raises ConfigError for a CA file that cannot be used."""
        self.settings = settings
        self.progress = SendProgress()
        self.survey: Survey | None = None
        self.chained = Chained()
        self.plan: ChainPlan | None = None
        """The values that are put from responses into requests; known after the survey."""
        self.reading: Reading | None = None
        """How the session was read; known when it has been read to its end."""
        self.failure: FormatError | None = None
        """Why the recording could not be written."""
        self._only: ExchangeFilter | None = None
        self._scope: anyio.CancelScope | None = None
        upstream = UpstreamSettings(
            trusted_cas=settings.trusted_cas,
            ignore_tls_errors=settings.insecure,
            connect_timeout=min(10.0, settings.timeout),
            head_timeout=settings.timeout,
            body_idle_timeout=settings.timeout,
        )
        self._options = UpstreamOptions(upstream)
        self._upstream_client = UpstreamClient(
            Dialer(Connector().connect, ClientContexts(), lambda host, port: False), 0, report_defect=defect
        )
        self._upstream_client.dialer.check(self._options)
        # A user who sets the header `Host` wants this value sent.
        named = [*settings.headers, *((one.value, value) for one, value in settings.settings if one.kind == "header")]
        keep_host = settings.keep_host or any(name.lower() == "host" and value for name, value in named)
        self._targets = Targets(settings.servers, self._options, keep_host)

    def look(self, each: Callable[[RecordedRequest, SurveyedRequest], None] | None = None) -> Survey:
        """Survey the session before it is sent; `each` is called with every request. Raises SessionError."""
        chain = ChainSurvey() if self.settings.chain else None
        with self._opened(answers=chain is not None) as (session, found):
            fillers = self._fill, self._fill_message
            ordered = found if chain is None else in_time(found)
            self.survey = survey(ordered, self._targets, *fillers, session.bodies_folder, each, chain)
        if chain is not None:
            self.plan = chain.finish()
        return self.survey

    @property
    def total(self) -> int | None:
        """The number of requests that will be sent, if it is known."""
        return None if self.survey is None else self.survey.to_send * self.settings.repeat

    async def run(self, settle: Callable[[Ending], Ending]) -> Ending:
        """Send the session. `settle` decides on the reason and exit code. Raises SessionError and OutputError."""
        settings = self.settings
        redactor = Redactor.of(settings.record.redact, os.environ)
        recording = Recording(settings, redactor, self._recording_failed)
        kept = wanted_types(settings.record.events) if settings.outputs else frozenset[str]()
        limit = settings.record.max_body_size
        notes = recording.exchange_log(kept)
        tools = SendContext(self._upstream_client, notes, settings.timeout, limit, SocketSettings().message)
        ending = Ending("failed", 70)
        try:
            recording.log.add(self._started(kept, recording.redaction))
            async with anyio.create_task_group() as group:
                group.start_soon(self._upstream_client.run)
                with anyio.CancelScope() as self._scope:
                    for _ in range(settings.repeat):
                        await self._send(tools)
                self._upstream_client.begin_shutdown()
                group.cancel_scope.cancel()
            ending = settle(Ending("replayed"))
        finally:
            with anyio.CancelScope(shield=True):
                await recording.close(lambda: recording.ended(ending, RuleSet(())))
        return ending

    async def _send(self, tools: SendContext) -> None:
        settings, looked = self.settings, self.survey or Survey()
        at_once = _ALL_AT_ONCE if settings.pace.factor is not None else _AT_ONCE
        with self._opened() as (session, found):
            sends = Sends(
                targets=self._targets,
                pace=settings.pace,
                concurrency=settings.concurrency or at_once,
                fill=self._fill,
                fill_message=self._fill_message,
                folder=session.bodies_folder,
                left=looked.left,
                silenced=frozenset(looked.silenced),
                chains=Chains(self.plan or ChainPlan(), settings.timeout, self.chained),
            )
            await Sender(sends, tools, self.progress).send(found)

    def _started(self, kept: frozenset[str], redaction: dict[str, Any] | None) -> dict[str, Any]:
        settings = self.settings
        record = session_started(settings, None, kept, redaction)
        header: dict[str, Any] = {}
        if not settings.is_read_once:
            with open_session(settings.session) as session:
                header = session.header or {}
        record["replay"] = {
            **({"of": header["sessionId"]} if "sessionId" in header else {}),
            "from": settings.session,
            "to": [
                f"{f'{host}=' if host else ''}{protocol}://{f'[{name}]' if ':' in name else name}:{port}"
                for host, (protocol, name, port) in settings.servers.items()
            ],
            "pace": str(settings.pace),
        }
        return record

    @contextmanager
    def _opened(
        self, *, answers: bool = False
    ) -> Iterator[tuple[Session, Iterator[RecordedRequest | RecordedMessage | RecordedResponse]]]:
        """Open the session, and read its requests without those that `--only` leaves out."""
        path, plan = self.settings.session, self.settings.only
        if plan is not None and self._only is None:
            self._only = judge(path, plan)
        with open_session(path) as session:
            records = relevant_records(session, responses=answers) if self._only is None else self._only.of(session)
            found = recorded_requests(records, responses=answers)
            try:
                yield session, found
                self.reading = session.reading
            finally:
                with suppress(ValueError):  # a thread is still reading, and is not waited for
                    found.close()

    def stop(self) -> None:
        """Send no more requests, and wait for no more responses."""
        if self._scope is not None:
            self._scope.cancel()

    def _recording_failed(self, error: FormatError) -> None:
        self.failure = worse(self.failure, error)
        self.stop()

    def _fill(self, draft: EditableRequest) -> None:
        for name, value in self.settings.headers:
            set_header(draft, name, value)
        fill(draft, self.settings.settings)

    def _fill_message(self, data: bytes) -> bytes:
        if not self.settings.settings:
            return data
        draft = EditableRequest("", "", [], data)
        fill(draft, [one for one in self.settings.settings if one[0].kind in ("json", "name", "text")])
        return draft.body
