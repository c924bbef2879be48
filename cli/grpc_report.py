"""The messages of a gRPC exchange as text, for `show`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mockrec.cli.printing import escape, size
from mockrec.formats.operations.grpc.descriptors import Descriptors
from mockrec.formats.operations.grpc.media import grpc_kind, method_of
from mockrec.formats.operations.grpc.messages import GrpcBody, read_body
from mockrec.formats.operations.message import path_of
from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.schema.lenient import object_of, text_of

_MOST_SHOWN = 200
"""Messages of a body that are shown."""
_LONGEST = 2000
"""Characters of a message."""


class GrpcReport:
    """Shows the bodies of one exchange."""

    def __init__(self, method: str, descriptors: Descriptors | None) -> None:
        """`method` is the called one, `descriptors` name the fields of its messages."""
        self._method = method
        self._descriptors = descriptors

    @classmethod
    def of(cls, url: str, descriptors: Descriptors | None) -> GrpcReport:
        """Return the report of an exchange with this URL."""
        return cls(method_of(path_of(url)), descriptors)

    def body(self, record: Mapping[str, Any], body: Mapping[str, Any], folder: Path | None) -> Iterator[str]:
        """Yield lines with the messages of a body; none if it is not gRPC."""
        found = _read(record, body, folder)
        if found is None:
            return
        side = "response" if "statusCode" in record else "request"
        decoder = None if self._descriptors is None else self._descriptors.decoder(self._method, side)
        for number, message in enumerate(found.messages[:_MOST_SHOWN]):
            text = json.dumps(message.value(decoder, protobuf=found.protobuf), ensure_ascii=False)
            more = f" … {size(len(text) - _LONGEST)} more" if len(text) > _LONGEST else ""
            yield f"message {number}: {escape(text[:_LONGEST])}{more}"
        if len(found.messages) > _MOST_SHOWN:
            yield f"… {len(found.messages) - _MOST_SHOWN} more messages"
        for problem in found.problems[:_MOST_SHOWN]:
            yield f"malformed: {escape(problem)}"


def _read(record: Mapping[str, Any], body: Mapping[str, Any], folder: Path | None) -> GrpcBody | None:
    headers = object_of(record.get("headers"))
    if grpc_kind(text_of(headers.get("content-type"))) is None or not body.get("size"):
        return None
    try:
        return read_body(Body.from_record(body, folder).bytes, headers)
    except (FormatError, TypeError, AttributeError, ValueError):
        return None  # the caller shows why
