"""The two messages of an HTTP/1 exchange as the server sees them (RFC 9112, 9.3): which event may follow which.

Request and response have a table each, because either may be complete first: a server may respond before it has the
whole request, and a request that breaks off does not end the response. An event that has no entry in the row of a state
is not allowed there. A connection carries another exchange if both tables allow `next`.
"""

from __future__ import annotations

from typing import Final, Literal

RequestState = Literal["awaited", "content", "complete", "faulty"]
RequestEvent = Literal["head", "head-with-content", "end", "fault", "next"]

ResponseState = Literal["due", "content", "complete", "last", "switched"]
ResponseEvent = Literal["interim", "head", "data", "end", "end-and-close", "whole", "whole-and-close", "switch", "next"]

REQUEST_STATES: Final[dict[RequestState, dict[RequestEvent, RequestState]]] = {
    # No complete head has been received.
    "awaited": {"head": "complete", "head-with-content": "content", "fault": "faulty"},
    # The head is complete, the content (RFC 9112, 6) is not.
    "content": {"end": "complete", "fault": "faulty"},
    # Bytes that follow belong to the next request (RFC 9112, 9.3.2) or to the protocol that was switched to.
    "complete": {"next": "awaited"},
    # The client broke the protocol. Where its next message would begin is unknown: nothing more is read.
    "faulty": {},
}

RESPONSE_STATES: Final[dict[ResponseState, dict[ResponseEvent, ResponseState]]] = {
    # No final head has been sent; any number of interim responses may have been (RFC 9110, 15.2).
    "due": {
        "interim": "due",
        "head": "content",
        "whole": "complete",
        "whole-and-close": "last",
        "switch": "switched",
    },
    # The final head has been sent, the end has not.
    "content": {"data": "content", "end": "complete", "end-and-close": "last"},
    # The response is complete and the connection stays open.
    "complete": {"next": "due"},
    # The response is complete and the connection ends with it (RFC 9112, 9.6).
    "last": {},
    # A 101 was sent: the connection speaks another protocol (RFC 9110, 15.2.2).
    "switched": {},
}
