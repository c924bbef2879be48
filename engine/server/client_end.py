"""How a client ends its connection before its time: the error codes, and the exceptions that say so."""

from __future__ import annotations

from typing import Final, Protocol

from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.parts import Fault

TIMEOUT = "ERR_HTTP_REQUEST_TIMEOUT"
RESET = "ECONNRESET"
TOO_MANY = "ERR_TOO_MANY_CONNECTIONS"
TOOK_NOTHING: Final = {
    "name": "ClientError",
    "code": "ERR_HTTP_SEND_TIMEOUT",
    "message": "the client took nothing of the answer for server.timeouts.sendIdle",
}
"""The error of an exchange whose client does not read the response."""


class ClientLeft(Exception):
    """The client has ended the connection, which is not an error."""


class ProtocolViolation(Exception):
    """The client has broken the protocol."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class DeadlineHolder(Protocol):
    """What a protocol reports to the listener, which checks the deadlines of all connections."""

    deadline: float
    """When the client has taken too long, in monotonic milliseconds."""
    stalled: bool
    """Whether the listener has reset the connection because the client did not read."""


def client_error(fault: Fault) -> dict[str, str]:
    """The error of an exchange that ends with `fault`."""
    return {"name": "ClientError", "code": fault.code, "message": fault_words(fault)}
