"""The log forms of heads and bodies that repeat: redacted and encoded once, used in many records.

Searching for secrets takes several times as long as encoding, and most heads equal those of the exchange before, except
for the second in their `Date`. `RecordCache` owns all these forms. It leaves each in the slot `log_form` of the object
that it was made from (`TargetUri`, `ResponseHead`, `PreparedResponse`), where the next record finds it without a
search; no other module fills or reads that slot.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from mockrec.engine.bounded_cache import comes_again, remember
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.state import ExchangeState
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.recording.body_encoder import EMPTY_BODY, BodyEncoder
from mockrec.engine.recording.body_files import INLINE_BYTES
from mockrec.engine.recording.envelope import Record
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import DetachedScope, SecretScope
from mockrec.engine.wire.parts import ResponseHead
from mockrec.formats.files.jsonl import encode_value
from mockrec.formats.operations.readers import recognise

_MOST: Final = 512
_MOST_SEEN: Final = 4096
_LARGEST: Final = 4096
"""Bytes of a part that is cached. Both together bound the memory of the cache at some MB."""
SMALL: Final = 1024
"""Bytes of a body that is cached here by its content; for longer ones, see `repeated_bodies.py`."""
_PLAIN_BODY: Final = frozenset({"size", "text"})


class LogForm:
    """Fields of a record as they are written to the log: encoded and redacted. Shared by records, so never changed."""

    __slots__ = ("_fields", "operation", "outcome", "secrets", "text")

    def __init__(
        self,
        fields: Record | None,
        secrets: SecretMap | None,
        operation: Record | None = None,
        text: bytes = b"",
        outcome: bytes = b"",
    ) -> None:
        """`fields` None: they are made of `text` when they are asked for. Most heads are recorded as `text` only."""
        self._fields = fields
        self.secrets = secrets
        """The secrets that were replaced in `fields`."""
        self.operation = operation
        """Of a request head: the field `operation` of its `request` record, if its protocol has operations."""
        self.text = text
        """Of parts of records: `fields` as JSON, without the braces. Of a body: `fields` as JSON."""
        self.outcome = outcome
        """Of a request head: method, URL and host, as the record of the response repeats them, as JSON without
        braces."""

    @property
    def fields(self) -> Record:
        """The fields; lists and objects in them are encoded."""
        if self._fields is None:
            self._fields = _encoded(orjson.loads(b"{%b}" % self.text))
        return self._fields


class RecordCache:
    """The log forms of one recording."""

    def __init__(self, redactor: Redactor | None) -> None:
        """Without a redactor, secrets stay in the log."""
        self._redactor = redactor
        self._forms: dict[bytes, LogForm] = {}
        self._seen: set[int] = set()
        """The hashes of request heads whose forms are not cached before they come again."""
        self._bodies: dict[tuple[bytes, Any], LogForm] = {}
        """Bodies without secrets that other servers have sent, with their content types."""
        self._messages: dict[bytes, bytes] = {}
        """Messages without secrets: many are sent again, and an echo is one that was received."""

    def request_head(self, exchange: ExchangeState) -> LogForm:
        """Return the fields that every record with the head of this request has; kept with its target URI."""
        target = exchange.target
        form = target.log_form
        if isinstance(form, LogForm):
            return form
        head = exchange.head
        fields: Record = {
            "protocol": target.protocol,
            "httpVersion": head.version,
            "method": head.method,
            "url": target.url,
            "path": target.path,
            "destination": target.destination,
        }
        if target.headers:
            fields["headers"] = target.headers
        fields["rawHeaders"] = target.raw_headers
        form = target.log_form = self.part(fields, "request", exchange)
        return form

    def secrets_of_request(self, target: TargetUri) -> SecretMap | None:
        """Return the secrets in a request head, if it has been logged and held any."""
        form = target.log_form
        return form.secrets if isinstance(form, LogForm) else None

    def response_head(self, head: ResponseHead) -> LogForm:
        """Return the fields that every record with this response head has; kept with the head."""
        form = head.log_form
        if isinstance(form, LogForm):
            return form
        fields: Record = {"statusCode": head.status, "statusMessage": head.reason}
        if head.headers:
            fields["headers"] = head.headers
        fields["rawHeaders"] = head.raw_headers
        form = head.log_form = self.part(fields, "response")
        return form

    def part(self, part: Record, side: str, request: ExchangeState | None = None) -> LogForm:
        """Return the log form of some fields of a record; `side` is `request` or `response`, whose fields they are.
        `request` is given for the head of a request."""
        plain = orjson.dumps(part)
        key = plain if request is None else plain + request.target.host.encode("utf-8", "surrogatepass")
        form = self._forms.get(key)
        if form is None:
            redacted, secrets = part, None
            if self._redactor is not None:
                redacted, secrets = self._redactor.head(part, side, plain)
            text = (plain if redacted is part else orjson.dumps(redacted))[1:-1]
            if request is None:
                form = LogForm(_encoded(redacted), secrets, text=text)
            else:
                outcome = _outcome(request, redacted)
                form = LogForm(None, secrets, _operation(request), text, outcome)
            if len(key) <= _LARGEST and (request is None or comes_again(self._seen, key, _MOST_SEEN)):
                remember(self._forms, key, form, _MOST)  # heads with an older `Date` do not come again
        return form

    def ready_body(self, exchange: LoggedExchange, body: bytes | None) -> LogForm | None:
        """Return the log form of a small `body` that was sent whole, if it needs no work at all: it was made for an
        earlier exchange, is not truncated, and neither it nor the exchange has a secret. Otherwise None; see `body`."""
        if body is None or exchange.known is not None or exchange.waiting or exchange.response_trailers:
            return None
        if not body:
            return _EMPTY_BODY
        prepared = exchange.prepared
        if prepared is None or len(body) > INLINE_BYTES:
            return None
        form = prepared.log_form
        if form is None and len(body) <= SMALL and exchange.response_head is not None:
            form = self._bodies.get((body, exchange.response_head.headers.get("content-type")))
            if form is not None and "content-encoding" not in exchange.response_head.headers:
                return form
        if isinstance(form, LogForm) and form.secrets is None and "truncated" not in form.fields:
            if not form.text:
                form.text = encode_value(form.fields)
            return form
        return None

    def body(
        self,
        body: bytes,
        prepared: PreparedResponse | None,
        head: ResponseHead,
        owner: SecretScope,
        bodies: BodyEncoder,
    ) -> Record:
        """Return the log form of a body that was sent whole; that of a prepared response is made once and kept with it.

        `owner` remembers the secrets that it holds. Raises TooMuch as `bodies` does.
        """
        if prepared is None or self._holds_secrets_of(owner.known, body, head):
            return bodies.whole(body, head.headers, "response", owner)
        form = prepared.log_form
        if not isinstance(form, LogForm):
            found = DetachedScope()
            fields = bodies.whole(body, head.headers, "response", found)
            form = prepared.log_form = LogForm(fields, found.known)
            if len(body) <= SMALL and found.known is None and fields.keys() == _PLAIN_BODY:
                form = LogForm(fields, None, text=encode_value(fields))
                remember(self._bodies, (body, head.headers.get("content-type")), form, _MOST)
            if found.known is not None:
                owner.remember(found.known)
            return fields
        if "truncated" in form.fields:
            bodies.truncated += 1
        if form.secrets is not None:
            if bodies.redactor is not None:
                bodies.redactor.count += form.secrets.count
            owner.remember(form.secrets)
        return form.fields

    def message(self, data: bytes, size: int, bodies: BodyEncoder) -> bytes | None:
        """Return the encoded log form of a short message of a WebSocket, of `size` bytes, that holds nothing that may
        be secret; None for another."""
        if size > SMALL or len(data) != size:
            return None
        text = self._messages.get(data)
        if text is None:
            fields = bodies.plain_message(data)
            if fields is not None:
                text = remember(self._messages, data, encode_value(fields), _MOST)
        return text

    def _holds_secrets_of(self, known: SecretMap | None, body: bytes, head: ResponseHead) -> bool:
        """Return whether a shared body may hold secrets of this exchange, so that it needs a log form of its own."""
        if known is None or self._redactor is None:
            return False
        return "content-encoding" in head.headers or known.occurs(body)


_EMPTY_BODY: Final = LogForm(EMPTY_BODY, None, text=orjson.dumps(EMPTY_BODY))


def _outcome(exchange: ExchangeState, head: Record) -> bytes:
    """Return what `add_outcome` repeats of the request."""
    outcome = {"method": exchange.head.method, "url": head["url"], "host": exchange.target.host}
    return encode_value(outcome)[1:-1]


def _operation(exchange: ExchangeState) -> Record | None:
    """Return the field `operation` of a request, once for each different head."""
    protocol = recognise(exchange.head.method, exchange.target.path, exchange.target.headers)
    return None if protocol is None else {"protocol": protocol}


def _encoded(part: Record) -> Record:
    """Return the part with its lists and objects encoded: these take long."""
    return {
        key: orjson.Fragment(orjson.dumps(item)) if isinstance(item, (dict, list)) else item
        for key, item in part.items()
    }
