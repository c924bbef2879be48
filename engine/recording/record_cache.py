"""Parts of records that come again and again, heads above all: redacted and encoded once.

To look for secrets takes several times as long as to encode what was looked at, and most heads are those of the
exchange before, but for the second in which they were sent.
"""

from __future__ import annotations

from typing import Final

import orjson

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.recording.envelope import Record
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.wire.parts import ResponseHead

_MOST: Final = 512
_LARGEST: Final = 4096
"""Bytes of a part that is kept. Both together bound the memory this takes at some MB."""


class RecordCache:
    """Of one recording."""

    def __init__(self, redactor: Redactor | None) -> None:
        """Without a redactor, secrets stay."""
        self._redactor = redactor
        self._told: dict[bytes, tuple[Record, SecretMap | None]] = {}

    def request_head(self, exchange: Exchange) -> Record:
        """What every record with the head of this request says; it is kept with the head's address."""
        head, address = exchange.head, exchange.target
        logged: Record = {
            "protocol": address.protocol,
            "httpVersion": head.version,
            "method": head.method,
            "url": address.url,
            "path": address.path,
            "destination": address.destination,
        }
        if address.headers:
            logged["headers"] = address.headers
        logged["rawHeaders"] = address.raw_headers
        address.logged, address.known = self.part(logged, "request")
        return address.logged

    def response_head(self, head: ResponseHead) -> Record:
        """The same for the head of an answer; it is kept with it."""
        logged: Record = {"statusCode": head.status, "statusMessage": head.reason}
        if head.headers:
            logged["headers"] = head.headers
        logged["rawHeaders"] = head.raw_headers
        head.logged, head.known = self.part(logged, "response")
        return head.logged

    def part(self, part: Record, side: str) -> tuple[Record, SecretMap | None]:
        """How a part of a record stands in the log, which nobody may change, and what was found in it.

        `side` is what it belongs to, `request` or `response`.
        """
        plain = orjson.dumps(part)
        told = self._told.get(plain)
        if told is None:
            known = None
            if self._redactor is not None:
                part, known = self._redactor.head(part, side)
            told = _encoded(part), known
            if len(plain) <= _LARGEST:
                if len(self._told) >= _MOST:
                    self._told.clear()  # what is said now is not what was said then
                self._told[plain] = told
        return told


def _encoded(part: Record) -> Record:
    """The fields that take long are encoded once."""
    return {
        key: orjson.Fragment(orjson.dumps(item)) if isinstance(item, (dict, list)) else item
        for key, item in part.items()
    }
