"""Steps of `then`, but for those that change messages (`changes.py`).

A step that answers the request has the class attribute `final`; only the last step of a rule may be final.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from mockrec.engine.rules.model.location import SourceLocation

HeaderPairs = tuple[tuple[str, str], ...]
"""Header fields in file order; names in the file's case."""


class Step(msgspec.Struct, frozen=True):
    """Base of all steps. `place` is the place of the step's key in the rule file."""

    name: ClassVar[str] = ""
    final: ClassVar[bool] = True
    place: SourceLocation


class BodySource(msgspec.Struct, frozen=True):
    """The source of a reply's body; at most one of the fields is set."""

    text: str | None = None
    """From `body`."""
    json: Any = None
    """From `json`; only meaningful when `is_json`."""
    is_json: bool = False
    file: str | None = None
    """Absolute path, read when the step runs."""
    folder: str | None = None
    """Absolute path of a folder; the request's path names the file in it."""
    data: bytes | None = None
    """From `base64`, decoded."""
    place: SourceLocation | None = None


class Reply(Step, frozen=True):
    name: ClassVar[str] = "reply"
    status: int = 200
    status_message: str | None = None
    headers: HeaderPairs = ()
    body: BodySource = msgspec.field(default_factory=BodySource)
    trailers: HeaderPairs = ()
    template: bool = False
    index: str | None = "index.html"
    """With a folder: the file that is served for a folder; None: folders are not served."""
    prefix: str = ""
    """With a folder: the start of the paths that map to its files."""


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a streamed body, sent `after` seconds after the previous one."""

    data: bytes
    after: float = 0.0


class Stream(Step, frozen=True):
    """`stream`; the loader has turned server-sent events into chunks and a content type."""

    name: ClassVar[str] = "stream"
    status: int = 200
    status_message: str | None = None
    headers: HeaderPairs = ()
    chunks: tuple[Chunk, ...] = ()
    trailers: HeaderPairs = ()


class JsonRpc(Step, frozen=True):
    name: ClassVar[str] = "jsonRpc"
    result: Any = None
    error: Mapping[str, Any] | None = None


class Llm(Step, frozen=True):
    """`llm`; times are in seconds."""

    name: ClassVar[str] = "llm"
    provider: str | None = None
    """None: the path of the request tells."""
    model: str | None = None
    """None: the request's."""
    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name, and arguments as JSON."""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_per_second: float = 0.0
    """0: all at once."""
    first_token_after: float = 0.0


class Python(Step, frozen=True):
    name: ClassVar[str] = "python"
    handler: str = ""
    """`/absolute/handlers.py:name`."""


class Close(Step, frozen=True):
    name: ClassVar[str] = "close"


class Reset(Step, frozen=True):
    name: ClassVar[str] = "reset"


class Timeout(Step, frozen=True):
    name: ClassVar[str] = "timeout"


class Malformed(Step, frozen=True):
    """Raw bytes, or a reply that is cut off after `truncate_after` bytes of its body."""

    name: ClassVar[str] = "malformed"
    raw: bytes | None = None
    truncate_after: int | None = None
    reply: Reply | None = None


class Delay(Step, frozen=True):
    """A pause in seconds. Exactly one of the three is set."""

    name: ClassVar[str] = "delay"
    final: ClassVar[bool] = False
    fixed: float | None = None
    uniform: tuple[float, float] | None = None
    lognormal: tuple[float, float] | None = None
    """Median in seconds, and sigma."""


class WaitForBody(Step, frozen=True):
    name: ClassVar[str] = "waitForBody"
    final: ClassVar[bool] = False


class Informational(Step, frozen=True):
    name: ClassVar[str] = "informational"
    final: ClassVar[bool] = False
    status: int = 103
    headers: HeaderPairs = ()


class Webhook(Step, frozen=True):
    name: ClassVar[str] = "webhook"
    final: ClassVar[bool] = False
    url: str = ""
    events: tuple[str, ...] = ("request", "response")


class Emit(Step, frozen=True):
    """The `type` and `data` (a mapping) of a custom rule event; strings in them are templates."""

    name: ClassVar[str] = "emit"
    final: ClassVar[bool] = False
    type: str = ""
    data: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Echo(Step, frozen=True):
    name: ClassVar[str] = "echo"


class WebSocketListen(Step, frozen=True):
    name: ClassVar[str] = "listen"


class Reject(Step, frozen=True):
    """Refuses a WebSocket handshake with an ordinary response."""

    name: ClassVar[str] = "reject"
    reply: Reply | None = None


class ScriptLine(msgspec.Struct, frozen=True):
    """One line of a script.

    `value` by `kind`: `send` a text, or a mapping with `json` or `base64` (bytes); `expect` a text, or a mapping of
    `equals`, `regex`, `includes`, `json`, `jsonIncludes`; `wait` seconds; `ping` a text; `close` None, a code, or a
    mapping of `code` and `reason`.
    """

    kind: str
    value: Any
    place: SourceLocation


class Script(Step, frozen=True):
    name: ClassVar[str] = "script"
    lines: tuple[ScriptLine, ...] = ()


class Replay(Step, frozen=True):
    """Answers requests from a recorded session."""

    name: ClassVar[str] = "replay"
    session: str = ""
    """Absolute path."""
    match: tuple[str, ...] = ("method", "url", "body")
    ignore: tuple[str, ...] = ()
    """Selectors as written in the file."""
    strict_match: bool = False
    """Whether values that are volatile by nature have to be equal, too."""
    latency: str = "none"
    """`none`, `recorded` or a factor such as `2x`."""
    repeat: bool = True
    """Whether the last recorded response is repeated for further requests."""
    on_miss: str = "fail"
    """What a request without a recording gets: `fail` (a 503), `passthrough` (the response of the server that is meant)
    or `record` (the same, and the exchange becomes part of the session)."""
    max_age: float | None = None
    """Seconds; older recordings are misses."""
    refresh: str | None = None
    """A filter expression: recordings that match it are misses. Empty: all of them."""
