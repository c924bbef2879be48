"""A request after rules that go on have changed it: what later rules are asked about, and what a server is sent.

The log's records of the request show what the client has sent; they are not made of this.
"""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.wire.content import codings as content


@dataclass(slots=True)
class EditedRequest:
    """What the client's request has become."""

    method: str
    target: TargetUri
    body: bytes | None = None
    """On the wire, in place of the client's; None: the client's body is as it was."""
    keeps_host: bool = False
    """Whether `Host` stays where the request goes to another server."""
    edits: int = 1
    """How often it was changed."""

    def decoded(self, limit: int) -> bytes:
        """The body with its content codings undone. Raises UndecodableError."""
        coding = self.target.headers.get("content-encoding", "")
        return content.decoded_whole(self.body or b"", content.codings_of(coding), limit)

    def fits(self, size: int, client: MessageBody | None = None) -> bool:
        """Whether the decoded body (the `client`'s if no rule set one) has at most `size` bytes: `MessageBody.fits`."""
        body = client
        if self.body is not None or body is None:
            body = MessageBody(len(self.body or b""))
            body.add(self.body or b"")
        return body.fits(self.target.headers.get("content-encoding", ""), size)
