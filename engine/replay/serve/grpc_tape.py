"""The course of a recorded gRPC call: when each message passed, and in which order those of both sides did.

A call is a *conversation* if the client sent messages after the server had answered: the client of such a call may wait
for an answer before it sends its next message, so the recording is found by the messages before the first answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.operations.grpc.frames import HEAD
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind
from mockrec.formats.schema.lenient import number_of, object_of

RECEIVED, SENT = 0, 1


@dataclass(slots=True)
class GrpcCourse:
    """The messages of one call, in order, while its records are read."""

    script: list[tuple[int, int, float]] = field(default_factory=list)
    """`RECEIVED` or `SENT`, the number of messages, and the time in monotonic milliseconds."""
    pieces: list[float] = field(default_factory=list)
    """Time and size of each message of the response, as in `RecordedExchange.pieces`."""
    has_sizes: bool = True
    """Whether each message of the response has a record of its own."""

    def take(self, record: Mapping[str, Any]) -> None:
        """Take a `grpc-message-received` or `grpc-message-sent` record."""
        side = SENT if record["type"] == "grpc-message-sent" else RECEIVED
        at, size, more = (number_of(record.get(key)) for key in ("eventTimestamp", "size", "followedBy"))
        count = 1 + int(more or 0)
        last = self.script[-1] if self.script else None
        if side == RECEIVED and last is not None and last[0] == RECEIVED:
            self.script[-1] = (RECEIVED, last[1] + count, at or 0.0)
        else:
            self.script.append((side, count, at or 0.0))
        if side == SENT:
            self.has_sizes = self.has_sizes and not more and at is not None and size is not None
            if self.has_sizes:
                self.pieces += (at or 0.0, HEAD + (size or 0.0))

    @property
    def before_answer(self) -> int | None:
        """The number of the client's messages before the first answer, if the call is a conversation."""
        first = next((place for place, entry in enumerate(self.script) if entry[0] == SENT), len(self.script))
        if all(entry[0] == SENT for entry in self.script[first:]):
            return None
        return sum(entry[1] for entry in self.script[:first])


def is_grpc(record: Mapping[str, Any]) -> bool:
    """Whether a record has the head of a gRPC request."""
    return grpc_kind(str(object_of(record.get("headers")).get("content-type", ""))) is GrpcKind.GRPC


def is_waiting_call(record: Mapping[str, Any]) -> bool:
    """Whether an `abort` is that of a gRPC call to which nothing was answered until the client's deadline."""
    return not record.get("error") and not record.get("response") and is_grpc(record)


def without_request(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `request` of a call that the client has cancelled before its last message, from its `abort`."""
    body = {name: value for name, value in object_of(record.get("requestBody")).items() if name != "incomplete"}
    return {**record, "type": "request", "body": body or {"size": 0, "text": ""}}
