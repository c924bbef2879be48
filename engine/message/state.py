"""The state of one exchange: its request, its response, the rule that answers, and when each thing happened.

Plain facts without behaviour. `recording/logged_exchange.py` adds what the log remembers about the exchange, and
`exchange/exchange.py` adds the actions that change this state. Records are built from it (`recording/`), and so is the
summary that people see (`summary.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.scope import Scope
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.wire.parts import RequestHead, ResponseHead


class ExchangeState:
    """One request and its response, as far as they have got.

    Times are monotonic milliseconds (`clock.now`), None until they happen.
    """

    __slots__ = (
        "abort_reason",
        "aborted_at",
        "acting_rule",
        "body_received_at",
        "client",
        "continued",
        "finished",
        "head",
        "headers_sent_at",
        "id",
        "prepared",
        "request_body",
        "response_body",
        "response_head",
        "response_sent_at",
        "response_trailers",
        "rule",
        "scope",
        "start_time",
        "started_at",
        "tags",
        "target",
        "unmatched",
        "websocket",
        "ws_accepted_at",
        "ws_closed_at",
    )

    def __init__(
        self, head: RequestHead, target: TargetUri, client: ClientConnection, request_body: MessageBody
    ) -> None:
        """The exchange starts now; `request_body` is still empty."""
        self.started_at = clock.now()
        wall = clock.wall(self.started_at)
        self.start_time = int(wall)
        """`started_at` in milliseconds since the epoch."""
        self.id = new_id(wall)
        self.head = head
        self.target = target
        """The target URI of the client's request, which records show even if a rule has changed the request."""
        self.client = client
        self.websocket = target.protocol in ("ws", "wss")
        self.request_body = request_body
        self.body_received_at: float | None = None
        self.headers_sent_at: float | None = None
        self.response_sent_at: float | None = None
        self.aborted_at: float | None = None
        self.abort_reason = ""
        """Why it was aborted; empty if the client disconnected."""
        self.ws_accepted_at: float | None = None
        self.ws_closed_at: float | None = None
        self.rule: CompiledRule | None = None
        """The rule that answers; None until rules were matched, and where none matched."""
        self.continued: tuple[CompiledRule, ...] = ()
        """The rules with `continue` that matched before `rule`; each may have changed the request."""
        self.acting_rule: CompiledRule | None = None
        """The rule of `continued` whose steps run now; None: `rule` acts."""
        self.unmatched = False
        """Whether no rule matched, which the response then explains."""
        self.prepared: PreparedResponse | None = None
        """The response that is being sent, or was; None until its head is sent."""
        self.response_head: ResponseHead | None = None
        self.response_body: MessageBody | None = None
        """The body of a response that is sent in pieces; one that is sent whole is `prepared.body`."""
        self.response_trailers: Sequence[Sequence[str]] = ()
        self.tags: tuple[str, ...] = client.tags
        self.scope: Scope | None = client.scope
        """The scope that it belongs to; None without scopes."""
        self.finished = False
        """Whether the terminal record (`response`, `abort`, `websocket-close`) has been added to the log."""
