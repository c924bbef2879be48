"""Compare two exchanges. Contents with equal keys are not read from the spool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mockrec.formats.diff.compare import bodies, cookies, forms, grpc, headers
from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.bodies import ComparedMessage
from mockrec.formats.diff.compare.keys import split
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.exchange import Digest, Pair
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool
from mockrec.formats.operations.grpc.descriptors import Descriptors
from mockrec.formats.operations.grpc.media import grpc_kind, method_of
from mockrec.formats.schema.body import Body

Content = Mapping[str, Any]

_OUTCOMES = {"response": "answered", "websocket-close": "closed", "abort": "aborted", "open": "has no end"}


class Comparer:
    """Compares pairs of exchanges of two sessions, whose contents are in a spool."""

    def __init__(
        self,
        spool: ContentSpool,
        options: DiffOptions,
        values: ValueComparer,
        folders: tuple[Path | None, Path | None],
        descriptors: tuple[Descriptors | None, Descriptors | None] = (None, None),
    ) -> None:
        """`folders` hold body files, and `descriptors` name the fields of gRPC messages, of the two sessions."""
        self._spool = spool
        self._options = options
        self._values = values
        self._folders = folders
        self._descriptors = descriptors
        self._known_alike: set[tuple[int, int]] = set()
        """Contents of A and B with equal shapes, which were compared without making these."""

    def shape(self, digest: Digest, side: int) -> tuple[object, ...]:
        """Return a hashable summary of an exchange's response and messages, without volatile values."""
        messages = [self._shape(number, side, self._values) for number in digest.messages or () if number >= 0]
        return digest.status, self._shape(digest.response, side, self._values), *messages

    def have_same_shape(self, a: Digest, b: Digest) -> bool:
        """True if an exchange of A and one of B have equal shapes: takes half the time of making both."""
        if a.messages is not None or b.messages is not None or a.response == b.response:
            return self.shape(a, 0) == self.shape(b, 1)
        if a.status != b.status:
            return False
        key_a, key_b = self._spool.key(a.response).decode(), self._spool.key(b.response).decode()
        if not self._values.mask_both_sides_alike(key_a, key_b):
            return self.shape(a, 0) == self.shape(b, 1)
        if not _same_masked(key_a, key_b, self._values):
            return False
        self._known_alike.add((a.response, b.response))
        return True

    def _shape(self, number: int, side: int, values: ValueComparer) -> bytes:
        return self._spool.shape(number, lambda key: _masked(key, side, values))

    def may_differ(self, pair: Pair) -> bool:
        """False if the contents of two exchanges are identical, as most pairs are in a session without changes."""
        a, b = pair.a, pair.b
        return (
            a.response != b.response
            or a.messages is not None
            or b.messages is not None
            or (self._options.requests and (a.request != b.request or a.url != b.url))
        )

    def findings(self, pair: Pair) -> Iterator[Finding]:
        """Yield all differences of a pair, before ignore rules and other filters."""
        a, b = pair.a, pair.b
        values = self._values if a.host == b.host else self._values.with_hosts(a.host, b.host)
        if self._options.requests:
            yield from self._requests(a, b, values)
        if a.response != b.response and not self._alike(a.response, b.response, values):
            yield from self._responses(pair, self._spool.get(a.response), self._spool.get(b.response), values)
        if a.messages != b.messages:
            yield from self._conversation(a, b, values)

    def _alike(self, a: int, b: int, values: ValueComparer) -> bool:
        """True if two contents are equal apart from volatile values. Much cheaper than comparing value by value."""
        if values is self._values:
            if (a, b) in self._known_alike:
                return True
            if self._spool.has_shape(a) and self._spool.has_shape(b):
                return self._shape(a, 0, values) == self._shape(b, 1, values)
        return _same_masked(self._spool.key(a).decode(), self._spool.key(b).decode(), values)

    def _responses(self, pair: Pair, a: Content, b: Content, values: ValueComparer) -> Iterator[Finding]:
        outcome_a, outcome_b = _outcome(a), _outcome(b)
        if outcome_a != outcome_b:
            yield Finding(
                DifferenceKind.value, Severity.breaking, "error", Subject("response", "error"), outcome_a, outcome_b
            )
        status_a, status_b = _or_absent(a.get("s")), _or_absent(b.get("s"))
        if status_a != status_b:
            yield Finding(
                DifferenceKind.status, Severity.breaking, "status", Subject("response", "status"), status_a, status_b
            )
        elif a.get("r") != b.get("r") and a.get("r") and b.get("r"):
            yield Finding(DifferenceKind.value, Severity.info, "reason", Subject("response", "reason"), a["r"], b["r"])
        yield from _interim(a.get("i", ()), b.get("i", ()), values)
        head_a, head_b = a.get("h", {}), b.get("h", {})
        message_a, message_b = self._message(a, 0, pair.a.url), self._message(b, 1, pair.b.url)
        is_grpc = message_a.family == "grpc" and message_b.family == "grpc"
        skip = grpc.STATUS_FIELDS if is_grpc else frozenset[str]()
        if is_grpc:
            yield from grpc.statuses(a, b, message_a, message_b)
        yield from headers.compare(head_a, head_b, values, "response", skip=skip)
        yield from cookies.set_cookies(head_a, head_b, values)
        yield from bodies.compare(message_a, message_b, values, "response")
        yield from headers.compare(a.get("t", {}), b.get("t", {}), values, "response", "trailer", skip)
        if a.get("c") != b.get("c"):
            close_a, close_b = _or_absent(a.get("c")), _or_absent(b.get("c"))
            yield Finding(
                DifferenceKind.value, Severity.changed, "close", Subject("response", "close"), close_a, close_b
            )

    def _requests(self, a: Digest, b: Digest, values: ValueComparer) -> Iterator[Finding]:
        if a.url != b.url:
            yield from _urls(a.url, b.url, values)
        if a.request == b.request or a.request < 0 or b.request < 0:
            return
        content_a, content_b = self._spool.get(a.request), self._spool.get(b.request)
        head_a, head_b = content_a["h"], content_b["h"]
        yield from headers.compare(head_a, head_b, values, "request", skip=frozenset({"host"}))
        yield from cookies.request_cookies(head_a, head_b, values)
        yield from bodies.compare(
            self._message(content_a, 0, a.url), self._message(content_b, 1, b.url), values, "request"
        )
        yield from headers.compare(content_a["t"], content_b["t"], values, "request", "trailer")

    def _message(self, content: Content, side: int, url: str = "") -> ComparedMessage:
        record = content.get("b") or {"size": 0, "text": ""}
        head = content.get("h", {})
        content_type = str(head.get("content-type", ""))
        decoder = None
        descriptors = self._descriptors[side]
        if descriptors is not None and grpc_kind(content_type) is not None:
            message_side = "request" if content.get("k") == "request" else "response"
            decoder = descriptors.decoder(method_of(split(url).path), message_side)
        return ComparedMessage(Body.from_record(record, self._folders[side]), content_type, head, decoder)

    def _conversation(self, a: Digest, b: Digest, values: ValueComparer) -> Iterator[Finding]:
        sent_a = [number for number in a.messages or () if number >= 0]
        sent_b = [number for number in b.messages or () if number >= 0]
        yield from self._messages(sent_a, sent_b, values, "response")
        if self._options.requests:
            received_a = [~number for number in a.messages or () if number < 0]
            received_b = [~number for number in b.messages or () if number < 0]
            yield from self._messages(received_a, received_b, values, "request")

    def _messages(self, a: list[int], b: list[int], values: ValueComparer, side: str) -> Iterator[Finding]:
        """Compare one direction of a WebSocket, message by message."""
        shapes_a = [self._shape(number, 0, self._values).hex() for number in a]
        shapes_b = [self._shape(number, 1, self._values).hex() for number in b]
        place = f"{side}.message"
        for index_a, index_b in align(shapes_a, shapes_b):
            if index_a is None or index_b is None:
                text_a = ABSENT if index_a is None else self._text(a[index_a], 0)
                text_b = ABSENT if index_b is None else self._text(b[index_b], 1)
                yield bodies.lone_item(index_a, index_b, text_a, text_b, side, place)
            elif shapes_a[index_a] != shapes_b[index_b]:
                yield from self._message_pair(a[index_a], b[index_b], values, side, f"{place}[{index_a}]")

    def _message_pair(self, a: int, b: int, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
        content_a, content_b = self._spool.get(a), self._spool.get(b)
        if content_a["k"] != content_b["k"]:
            yield Finding(
                DifferenceKind.type, Severity.breaking, place, Subject(side, "body"), content_a["k"], content_b["k"]
            )
            return
        text_a, text_b = self._text(a, 0), self._text(b, 1)
        if content_a["k"] == "binary":
            if text_a != text_b:
                yield Finding(DifferenceKind.value, Severity.changed, place, Subject(side, "body"), text_a, text_b)
        else:
            yield from bodies.documents(text_a, text_b, values, side, place)

    def _text(self, number: int, side: int) -> str:
        body = self._message(self._spool.get(number), side).body
        text = body.text
        return bodies.shown(body) if text is None else text


def _same_masked(key_a: str, key_b: str, values: ValueComparer) -> bool:
    """True if the keys of two contents are equal apart from volatile values."""
    head_a, rest_a, exact_a = key_a.split("\n")
    head_b, rest_b, exact_b = key_b.split("\n")
    # Both parts are always compared, because rules count what they hide.
    same_head = _masked_head(head_a, 0, values) == _masked_head(head_b, 1, values)
    same_rest = values.same_masked(rest_a, rest_b)
    return same_head and same_rest and exact_a == exact_b


def _masked(key: bytes, side: int, values: ValueComparer) -> bytes:
    """Return a content's key without volatile values."""
    head, rest, exact = key.decode().split("\n")
    return f"{_masked_head(head, side, values)}\n{values.masked(rest, side)}\n{exact}".encode()


def _masked_head(head: str, side: int, values: ValueComparer) -> str:
    masked = values.masked_head(head, side)
    # A cookie's lifetime depends on the dates, so they count where a cookie with `Expires` is set.
    return masked + head if '"set-cookie"' in head and "xpires=" in head else masked


def _outcome(content: Content) -> str:
    word = _OUTCOMES.get(content["k"], content["k"])
    error = content.get("e")
    return f"{word}: {error}" if error else str(word)


def _or_absent(value: Any) -> Any:
    return ABSENT if value is None else value


def _interim(a: Any, b: Any, values: ValueComparer) -> Iterator[Finding]:
    """Compare interim responses: their statuses in order, then their fields."""
    statuses_a, statuses_b = [str(status) for status, _ in a], [str(status) for status, _ in b]
    if statuses_a != statuses_b:
        shown = [" ".join(statuses) or ABSENT for statuses in (statuses_a, statuses_b)]
        yield Finding(DifferenceKind.status, Severity.changed, "interim", Subject("response", "interim"), *shown)
        return
    for index, ((_, head_a), (_, head_b)) in enumerate(zip(a, b, strict=True)):
        for finding in headers.compare(head_a, head_b, values, "response"):
            finding.path = f"interim[{index}].{finding.path}"
            yield finding


def _urls(a: str, b: str, values: ValueComparer) -> Iterator[Finding]:
    parts_a, parts_b = split(a), split(b)
    if not values.same_text(parts_a.path, parts_b.path):
        subject = Subject("request", "path")
        yield Finding(DifferenceKind.value, Severity.changed, "request.path", subject, parts_a.path, parts_b.path)
    if parts_a.query != parts_b.query:
        yield from forms.named(forms.pairs(parts_a.query), forms.pairs(parts_b.query), values, "request", "query")
