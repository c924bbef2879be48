"""gRPC in rules: the call that a request must be, and the answer to it."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from mockrec.engine.rules.model.steps import HeaderPairs, Step
from mockrec.formats.operations.grpc.descriptors import Descriptors


class GrpcCall(msgspec.Struct, frozen=True, eq=False):
    """`when: {grpc: {method, message}}`."""

    method: str
    """`shop.v1.Cart/AddItem`, or a service, for all of its methods."""
    message: Any = None
    """What the first message of the request contains, as written; None: it may be any."""
    expected: Any = None
    """The same in the form in which messages are decoded."""
    descriptors: Descriptors | None = None
    """By which messages are decoded; None: by field numbers."""

    @property
    def source(self) -> dict[str, Any]:
        """The call as written."""
        return {"method": self.method} | ({} if self.message is None else {"message": self.message})


class GrpcReply(Step, frozen=True):
    """`then: {grpc: …}`: messages, and a status in the trailers."""

    name: ClassVar[str] = "grpc"
    messages: tuple[Any, ...] = ()
    """Each as JSON, by names or by field numbers."""
    status: int = 0
    text: str = ""
    """The `grpc-message` of the status."""
    headers: HeaderPairs = ()
    trailers: HeaderPairs = ()
    descriptors: Descriptors | None = None

    def encoded(self, method: str) -> tuple[bytes, ...]:
        """Return the bytes of the messages as answers of a method. Raises ValueError."""
        return tuple(encoded_message(message, method, self.descriptors) for message in self.messages)


def encoded_message(message: Any, method: str, descriptors: Descriptors | None) -> bytes:
    """Return the bytes of a response message. Raises ValueError."""
    from mockrec.formats.operations.grpc.descriptors import DescriptorError
    from mockrec.formats.operations.grpc.wire_format import encode_fields, has_numbers

    if has_numbers(message) or message == {}:
        return encode_fields(message)
    if descriptors is None:
        raise DescriptorError("a message with names needs `record.protobuf`; without it, give field numbers: {1: text}")
    return descriptors.encode(method, "response", message)
