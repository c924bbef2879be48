"""The two messages of an HTTP/1 exchange as the server sees them (RFC 9112, 9.3): which event may follow which.

The states have the names that h11 gives them. A property test drives h11 and these tables side by side. Request and
response have a table each, because either may be complete first: a server may respond before it has the whole request,
and a request that breaks off does not end the response. An event that has no entry in the row of a state is not allowed
there. A connection carries another exchange if both tables allow `next`.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal["IDLE", "SEND_RESPONSE", "SEND_BODY", "DONE", "MUST_CLOSE", "SWITCHED_PROTOCOL", "ERROR"]
"""Compare states with `is`: each is the one object below."""

IDLE: Final = "IDLE"
SEND_RESPONSE: Final = "SEND_RESPONSE"
SEND_BODY: Final = "SEND_BODY"
DONE: Final = "DONE"
MUST_CLOSE: Final = "MUST_CLOSE"
SWITCHED_PROTOCOL: Final = "SWITCHED_PROTOCOL"
ERROR: Final = "ERROR"

RequestStep = Literal["head", "head-with-content", "end", "fault", "next"]
ResponseStep = Literal["interim", "head", "data", "end", "end-and-close", "whole", "whole-and-close", "switch", "next"]

REQUEST_STATES: Final[dict[State, dict[RequestStep, State]]] = {
    # No complete head has been received.
    IDLE: {"head": DONE, "head-with-content": SEND_BODY, "fault": ERROR},
    # The head is complete, the content (RFC 9112, 6) is not.
    SEND_BODY: {"end": DONE, "fault": ERROR},
    # Bytes that follow belong to the next request (RFC 9112, 9.3.2) or to the protocol that was switched to.
    DONE: {"next": IDLE},
    # The client broke the protocol. Where its next message would begin is unknown: nothing more is read.
    ERROR: {},
}

RESPONSE_STATES: Final[dict[State, dict[ResponseStep, State]]] = {
    # No final head has been sent; any number of interim responses may have been (RFC 9110, 15.2).
    SEND_RESPONSE: {
        "interim": SEND_RESPONSE,
        "head": SEND_BODY,
        "whole": DONE,
        "whole-and-close": MUST_CLOSE,
        "switch": SWITCHED_PROTOCOL,
    },
    # The final head has been sent, the end has not.
    SEND_BODY: {"data": SEND_BODY, "end": DONE, "end-and-close": MUST_CLOSE},
    # The response is complete and the connection stays open.
    DONE: {"next": SEND_RESPONSE},
    # The response is complete and the connection ends with it (RFC 9112, 9.6).
    MUST_CLOSE: {},
    # A 101 was sent: the connection speaks another protocol (RFC 9110, 15.2.2).
    SWITCHED_PROTOCOL: {},
}
