"""A request that rules with `continue` have changed: later rules match this, and an origin server is sent this.

The log's records of the request are not made from it: they show what the client has sent.
"""

from __future__ import annotations

import msgspec

from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.target_uri import TargetUri
from mockrec.formats.content import codings as content


class EditedRequest(msgspec.Struct):
    """The client's request after changes by rules."""

    method: str
    target: TargetUri
    body: bytes | None = None
    """Replaces the client's body, content codings applied; None: the client's body is unchanged."""
    keeps_host: bool = False
    """Whether `Host` stays as it is although the request is sent to another server."""
    edits: int = 1
    """How many times the request was changed."""

    def decoded(self, limit: int) -> bytes:
        """Return the body with its content codings undone. Raises UndecodableError."""
        coding = self.target.headers.get("content-encoding", "")
        return content.decoded_whole(self.body or b"", content.codings_of(coding), limit)

    def fits(self, size: int, client: MessageBody | None = None) -> bool:
        """Return whether the decoded body has at most `size` bytes; see `MessageBody.fits`. `client` is the client's
        body, which counts if no rule has replaced it."""
        body = client
        if self.body is not None or body is None:
            body = MessageBody(len(self.body or b""))
            body.add(self.body or b"")
        return body.fits(self.target.headers.get("content-encoding", ""), size)
