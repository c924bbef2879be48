"""Compare bodies of gRPC message by message, whatever their compression: by names where a session has descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from mockrec.formats.diff.compare import headers
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind
from mockrec.formats.operations.grpc.messages import Decoder, GrpcBody, read_body, status_of
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.text.json import dump

if TYPE_CHECKING:
    from mockrec.formats.diff.compare.bodies import ComparedMessage

STATUS_FIELDS: Final = frozenset({"grpc-status", "grpc-message"})


def message_texts(body: GrpcBody, decoder: Decoder | None) -> list[str]:
    """Return the messages as JSON texts."""
    return [dump(one.value(decoder, protobuf=body.protobuf)).decode() for one in body.messages]


def ends(a: GrpcBody, b: GrpcBody, values: ValueComparer, side: str) -> Iterator[Finding]:
    """Yield the differences after the messages: what is malformed, and the trailers of gRPC-Web."""
    if a.problems != b.problems:
        words = ["; ".join(one.problems[:3]) or "well-formed" for one in (a, b)]
        yield Finding(DifferenceKind.value, Severity.changed, f"{side}.body", Subject(side, "body"), *words)
    yield from headers.compare(dict(a.trailers), dict(b.trailers), values, side, "trailer", skip=STATUS_FIELDS)


def _web_body(message: ComparedMessage) -> GrpcBody | None:
    """Return the body of a gRPC-Web response, which holds its trailers; None for others, and where it is unreadable."""
    if grpc_kind(message.content_type) is GrpcKind.GRPC:
        return None
    try:
        return read_body(message.body.bytes, message.headers)
    except SessionError:
        return None


def statuses(a: Any, b: Any, message_a: ComparedMessage, message_b: ComparedMessage) -> Iterator[Finding]:
    """Yield the difference of the statuses of two responses, given as contents with `h` and `t`."""
    found_a, found_b = (
        status_of(content.get("h", {}), content.get("t", {}), _web_body(message))
        for content, message in ((a, message_a), (b, message_b))
    )
    name_a, name_b = (ABSENT if one is None else one.name for one in (found_a, found_b))
    if name_a != name_b:
        subject = Subject("response", "trailer", "grpc-status")
        yield Finding(DifferenceKind.status, Severity.breaking, "grpc.status", subject, name_a, name_b)
    elif found_a is not None and found_b is not None and found_a.message != found_b.message:
        subject = Subject("response", "trailer", "grpc-message")
        texts = found_a.message, found_b.message
        yield Finding(DifferenceKind.value, Severity.changed, "grpc.message", subject, *texts)
