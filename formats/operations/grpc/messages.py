"""The messages of one recorded body, decompressed, with the trailers of gRPC-Web and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from mockrec.formats.operations.grpc.frames import Decompressor, split_frames
from mockrec.formats.operations.grpc.media import GrpcKind, grpc_kind, is_protobuf
from mockrec.formats.operations.grpc.status import decode_message, status_name
from mockrec.formats.operations.grpc.wire_format import WireError, decode_fields, text_of

_LARGEST_DECODED = 1024 * 1024
"""Bytes of a message that is decoded to fields; a longer one is shown by its size."""


class Decoder(Protocol):
    """Makes JSON of the messages of one method and one direction."""

    def __call__(self, message: bytes) -> Any:
        """Return the message as JSON. Raises ValueError if it is none of that type."""


class GrpcMessage(msgspec.Struct, frozen=True):
    """One message."""

    data: bytes
    """Decompressed; as it was sent if that is impossible."""
    is_compressed: bool
    problem: str = ""
    """What is wrong with it; empty if nothing is."""

    def value(self, decoder: Decoder | None = None, *, protobuf: bool = True) -> Any:
        """Return it as plain JSON: by a decoder's schema, or by field numbers. Never raises."""
        if self.problem:
            return {"bytes": self.data.hex()[:128], "size": len(self.data), "problem": self.problem}
        if len(self.data) > _LARGEST_DECODED:
            return {"size": len(self.data), "problem": f"messages over {_LARGEST_DECODED} bytes are not decoded"}
        problem = ""
        if decoder is not None:
            try:
                return decoder(self.data)
            except ValueError as error:
                problem = str(error)
        try:
            value: Any = decode_fields(self.data) if protobuf else self._text()
        except WireError as error:
            value = {"bytes": self.data.hex()[:128], "size": len(self.data)}
            problem = problem or f"it is no protobuf: {error}"
        return {**value, "problem": problem} if problem and isinstance(value, dict) else value

    def _text(self) -> Any:
        text = text_of(self.data)
        return text if text is not None else {"bytes": self.data.hex()[:128], "size": len(self.data)}


class GrpcBody(msgspec.Struct):
    """The messages of a body."""

    messages: list[GrpcMessage]
    trailers: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """The trailers that gRPC-Web puts into the body; gRPC has them in trailer fields."""
    problems: list[str] = msgspec.field(default_factory=list)
    """What is cut or malformed, each as a clause: `message 2 is cut: 3 of 10 bytes`."""
    protobuf: bool = True
    """Whether the content type says that the messages are protobuf."""


def read_body(body: bytes, headers: Mapping[str, Any]) -> GrpcBody | None:
    """Read a body by the header fields of its message; None if these are not gRPC. Never raises."""
    content_type = str(headers.get("content-type", ""))
    kind = grpc_kind(content_type)
    if kind is None:
        return None
    frames = split_frames(body, kind)
    decompressor = Decompressor(str(headers.get("grpc-encoding", "")))
    found = GrpcBody([], protobuf=is_protobuf(content_type))
    for frame in frames.frames:
        data, problem = decompressor.message(frame)
        if frame.is_trailers:
            found.trailers += _trailer_fields(data)
            continue
        if found.trailers:
            problem = problem or "it follows the trailers"
        found.messages.append(GrpcMessage(data, frame.is_compressed, problem))
        if problem:
            found.problems.append(f"message {len(found.messages)}: {problem}")
    if frames.problem:
        found.problems.append(frames.problem)
    return found


def _trailer_fields(data: bytes) -> list[tuple[str, str]]:
    """Split the trailers of gRPC-Web, which are written as HTTP/1 writes fields."""
    lines = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


class GrpcStatus(msgspec.Struct, frozen=True):
    """How a call ended."""

    name: str
    """`OK`, `NOT_FOUND`; the text of the field if it is no known number."""
    message: str = ""


def status_of(
    headers: Mapping[str, Any], trailers: Mapping[str, Any], body: GrpcBody | None = None
) -> GrpcStatus | None:
    """Return the status of a response: from its trailers, those in its body, or its headers (Trailers-Only); None if
    it has none."""
    inside = dict(body.trailers) if body is not None else {}
    for fields in (trailers, inside, headers):
        value = fields.get("grpc-status")
        if isinstance(value, str):
            return GrpcStatus(status_name(value), decode_message(str(fields.get("grpc-message", ""))))
    return None


__all__ = ["Decoder", "GrpcBody", "GrpcKind", "GrpcMessage", "GrpcStatus", "read_body", "status_of"]
