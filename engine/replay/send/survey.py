"""A survey of a whole session before it is sent: how many requests it has, and which cannot be sent.

Keeps counts, and the few exchanges that are sent in a special way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from mockrec.engine.bounded_cache import remember
from mockrec.engine.replay.chain.plan import ChainSurvey as ChainSurvey
from mockrec.engine.replay.chain.plan import Link
from mockrec.engine.replay.chain.slot import Slot, put, put_in_message
from mockrec.engine.replay.chain.slots import slots_of
from mockrec.engine.replay.send.target import Server, Targets
from mockrec.engine.replay.session.editable import MARK, EditableRequest, draft_of, marked_places
from mockrec.engine.replay.session.origin import host_of
from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, RecordedResponse
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.formats.schema.errors import SessionError

_EXAMPLES = 1000
"""Different places that are counted separately."""


@dataclass(frozen=True, slots=True)
class ClientAbort:
    """How a recorded client has aborted its exchange: the replay does the same."""

    size: int | None
    """Bytes of the response body, on the wire, that had arrived; None if no response had begun."""
    seconds: float
    """How long the client had waited."""


@dataclass(slots=True)
class Survey:
    """What a session contains."""

    requests: int = 0
    to_send: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)
    """Host that no `--to` maps → its requests."""
    marked: Counter[str] = field(default_factory=Counter)
    """Place that still contains redaction marks → how often."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Reason why a request cannot be sent → how often."""
    silenced: set[str] = field(default_factory=set)
    """Ids of WebSockets whose messages still contain marks."""
    left: dict[str, ClientAbort] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        """The number of requests that are not sent."""
        return self.requests - self.to_send


Fill = Callable[[EditableRequest], None]


class Find(Protocol):
    """Returns the links of a request to values in earlier responses."""

    def __call__(self, request: EditableRequest, *, slots: Sequence[Slot] | None) -> tuple[Link, ...]:
        """`slots`: those of the request, if they are known already."""


def survey(
    found: Iterable[RecordedRequest | RecordedMessage | RecordedResponse],
    targets: Targets,
    fill: Fill,
    fill_message: Callable[[bytes], bytes],
    folder: Path | None,
    each: Callable[[RecordedRequest, SurveyedRequest], None] | None = None,
    chain: ChainSurvey | None = None,
) -> Survey:
    """Survey a session. `each` is called with every request; `chain` finds values from responses in later requests."""
    result, judgement = Survey(), Judgement(targets, fill, folder)
    sent_sockets: set[str] = set()
    for one in found:
        if isinstance(one, RecordedMessage):
            _look_at_said(one, result, sent_sockets, fill_message, chain)
            continue
        if isinstance(one, RecordedResponse):
            if chain is not None:
                chain.answer(one.id, one.record, folder)
            continue
        result.requests += 1
        find = None if chain is None else partial(chain.links, order=one.order, began=one.began)
        judged = judgement.of(one, find)
        draft, reason = judged.draft, judged.reason
        if not reason:
            result.to_send += 1
            if chain is not None:
                chain.will_send(one, draft)
            if one.is_websocket:
                sent_sockets.add(one.id)
        elif reason == UNMAPPED:
            result.unmapped[host_of(one.record)[0]] += 1
        elif reason.startswith(MARKED):
            place = f"{draft.method} {draft.target.partition('?')[0]}: {reason.removeprefix(MARKED)}"
            if place in result.marked or len(result.marked) < _EXAMPLES:
                result.marked[place] += 1
        else:
            result.unusable[reason] += 1
        if each is not None:
            each(one, judged)
    return result


UNMAPPED = "no --to names its host"
MARKED = "redaction marks in "


@dataclass(slots=True)
class SurveyedRequest:
    """A request as it will be sent."""

    draft: EditableRequest
    reason: str = ""
    """Why it cannot be sent; empty if it can."""
    links: tuple[Link, ...] = ()
    """Its links to values in earlier responses."""
    server: Server | None = None
    """Where it will be sent; None if no server is mapped to its host."""
    outgoing: tuple[UpstreamRequest, bytes] | None = None
    """What is sent for it; made when it is sent for the first time, and anew when its draft has changed."""


_MOST_KEPT: Final = 512
_LONGEST_KEPT: Final = 4096
"""Bytes of a record's parts. Both together bound the memory of what is kept at a few MB."""


class Judgement:
    """Judges the requests of a session: `judge`, but once for equal requests, of which a session may have many."""

    def __init__(self, targets: Targets, fill: Fill, folder: Path | None) -> None:
        self._arguments = targets, fill, folder
        self._kept: Final[dict[bytes, tuple[SurveyedRequest, tuple[Slot, ...] | None]]] = {}

    def of(self, call: RecordedRequest, find: Find | None = None) -> SurveyedRequest:
        """Return what `judge` returns. The same object may be returned for other requests: if it has links, which may
        change its draft, it is the caller's own."""
        key = _parts(call.record)
        if key is None:
            return judge(call, *self._arguments, find)
        judged, slots = self._kept.get(key, (None, None))
        if judged is None or (slots is None and find is not None):
            judged = judge(call, *self._arguments)
            if judged.reason:
                return judged if find is None else judge(call, *self._arguments, find)
            slots = None if find is None else tuple(slots_of(judged.draft))
            remember(self._kept, key, (judged, slots), _MOST_KEPT)
        links = () if find is None else find(judged.draft, slots=slots)
        return SurveyedRequest(judged.draft.copy(), "", links, judged.server) if links else judged


def _parts(record: Mapping[str, Any]) -> bytes | None:
    """Return all that `judge` and `outgoing` use of a request with a short body; None for any other request."""
    if record.get("type") != "request":
        return None
    body = record.get("body")
    if isinstance(body, Mapping) and body.get("size") and not _is_short(body):
        return None
    try:
        parts = orjson.dumps([record.get(name) for name in _USED])
    except orjson.JSONEncodeError:
        return None
    return parts if len(parts) <= _LONGEST_KEPT else None


def _is_short(body: Mapping[str, Any]) -> bool:
    size = body["size"]
    return body.keys() == _PLAIN_BODY and isinstance(size, int) and size <= _LONGEST_KEPT


_USED: Final = ("method", "url", "path", "httpVersion", "rawHeaders", "headers", "body")
_PLAIN_BODY: Final = frozenset({"size", "text"})


def judge(
    call: RecordedRequest, targets: Targets, fill: Fill, folder: Path | None, find: Find | None = None
) -> SurveyedRequest:
    """The request with its values filled in. A redaction mark that a value from a response will replace does not keep
    it from being sent."""
    try:
        draft = draft_of(call.record, folder)
    except SessionError as error:
        no_draft = EditableRequest(str(call.record.get("method")), str(call.record.get("path")), [], b"")
        return SurveyedRequest(no_draft, f"its body: {error}")
    server = targets.server_for(call.record)
    if server is None:
        return SurveyedRequest(draft, UNMAPPED)
    if draft.problem:
        return SurveyedRequest(draft, draft.problem, server=server)
    fill(draft)
    links = () if find is None else find(draft, slots=None)
    left = draft
    if any(MARK.search(link.slot.text) for link in links):
        left = draft.copy()
        put(left, [(link.slot, "x") for link in links if not link.slot.is_link])
    places = marked_places(left)
    return SurveyedRequest(draft, MARKED + ", ".join(places) if places else "", links, server)


def _look_at_said(
    said: RecordedMessage,
    result: Survey,
    sent: set[str],
    fill_message: Callable[[bytes], bytes],
    chain: ChainSurvey | None,
) -> None:
    kind = said.record["type"]
    if kind == "abort":
        if chain is not None:
            chain.answer(said.id, said.record, None)
        if "requestBody" in said.record:
            result.requests += 1
            result.unusable["its client left before it was complete"] += 1
        elif (left := left_of(said.record)) is not None:
            result.left[said.id] = left
    elif kind == "websocket-message-received" and said.id in sent:
        text = (said.record.get("content") or {}).get("text")
        if not isinstance(text, str):
            return
        filled = fill_message(text.encode("utf-8", "surrogateescape"))
        links = () if chain is None else chain.message_links(filled, said.record)
        if MARK.search(text):
            filled = put_in_message(filled, [(link.slot, "x") for link in links])
            if MARK.search(filled.decode("utf-8", "replace")):
                sent.discard(said.id)
                result.silenced.add(said.id)
                result.to_send -= 1
                result.marked["WebSocket messages"] += 1


def left_of(record: Mapping[str, Any]) -> ClientAbort | None:
    """How the client has aborted an exchange, if this `abort` is the client's."""
    if record.get("error"):
        return None
    response = record.get("response")
    size = None
    if isinstance(response, Mapping):
        body = response.get("body")
        body = body if isinstance(body, Mapping) else {}
        size = int(body.get("encodedSize") or body.get("size") or 0)
    duration = record.get("duration")
    return ClientAbort(size, duration / 1000.0 if isinstance(duration, (int, float)) else 0.0)
