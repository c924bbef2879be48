"""The rule file as types: what `load.py` makes and everything else reads. Frozen; nothing here acts.

Steps that answer carry a `final` class attribute; only the last step of a rule may be final.
`headers` are pairs in file order, names in the file's case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mockrec.engine.config import RecordSettings, ServerSettings, TlsSettings, UpstreamSettings

HeaderPairs = tuple[tuple[str, str], ...]
Replacements = tuple[tuple[str, str], ...]
"""Pattern (`patterns.py`) and template (`\\1`, `\\g<name>`), applied one after another, each to all that it finds."""


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where something stands in the rule file; line and column count from 1."""

    file: str
    line: int
    column: int
    where: str
    """For example `rules[2].then.reply.body`."""


# ── when ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Condition:
    """`{equals, regex, includes, absent, present, gt, gte, lt, lte}`; None means not asked for.

    A pattern, here and in `When`, is one of RE2 unless it is a `PythonRegex`.
    """

    equals: Any = None
    regex: str | None = None
    includes: str | None = None
    absent: bool = False
    present: bool = False
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


Expected = Any
"""A scalar (str, int, float, bool, None), a tuple of scalars (each must be present), or a `Condition`."""


@dataclass(frozen=True, slots=True)
class MultipartPart:
    """One entry of `multipart`; given keys must equal those of one part."""

    name: str | None = None
    filename: str | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class When:
    """All given matchers must match. `None` (or an empty mapping) means not given; see `given`."""

    method: tuple[str, ...] | None = None
    """Upper-case names; None also for `ANY`."""
    url: str | None = None
    path: str | None = None
    path_template: str | None = None
    path_regex: str | None = None
    url_regex: str | None = None
    host: str | None = None
    hostname: str | None = None
    port: int | None = None
    protocol: str | None = None
    headers: Mapping[str, Expected] | None = None
    query: Mapping[str, Expected] | None = None
    cookies: Mapping[str, Expected] | None = None
    form: Mapping[str, Expected] | None = None
    exact_query: str | None = None
    multipart: tuple[MultipartPart, ...] | None = None
    body: str | None = None
    body_includes: str | None = None
    body_regex: str | None = None
    json: Any = None
    """Only meaningful when `"json"` is in `given` (JSON null is a value)."""
    json_includes: Any = None
    json_path: Mapping[str, Expected] | None = None
    json_schema: Mapping[str, Any] | bool | None = None
    json_rpc: Mapping[str, Any] | None = None
    websocket: bool | None = None
    not_: When | None = None
    any_of: tuple[When, ...] | None = None
    python: str | None = None
    """`handlers.py:name`, the path already made relative to the rule file's folder."""
    given: tuple[str, ...] = ()
    """The YAML keys that were given, in file order: `("method", "path")`."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """The plain YAML values as given (for explanations and for comparing two `when`s)."""


# ── then ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Step:
    """Base of all steps. `place` points at the step's key."""

    name: ClassVar[str] = ""
    final: ClassVar[bool] = True
    place: SourceLocation


@dataclass(frozen=True, slots=True)
class BodySource:
    """Where a reply's body comes from; at most one is set."""

    text: str | None = None
    """From `body`."""
    json: Any = None
    """From `json`; only meaningful when `is_json`."""
    is_json: bool = False
    file: str | None = None
    """Absolute path, read when the step runs."""
    folder: str | None = None
    """Absolute path of a folder, of which the request's path names a file."""
    data: bytes | None = None
    """From `base64`, decoded."""
    place: SourceLocation | None = None


@dataclass(frozen=True, slots=True)
class Reply(Step):
    name: ClassVar[str] = "reply"
    status: int = 200
    status_message: str | None = None
    headers: HeaderPairs = ()
    body: BodySource = field(default_factory=BodySource)
    trailers: HeaderPairs = ()
    template: bool = False
    index: str | None = "index.html"
    """With a folder: the file that stands for a folder; None: none does."""
    prefix: str = ""
    """With a folder: what the paths of its files begin with."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream: sent `after` seconds after the one before it."""

    data: bytes
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Stream(Step):
    """`stream`; server-sent events are already turned into chunks and a content-type."""

    name: ClassVar[str] = "stream"
    status: int = 200
    status_message: str | None = None
    headers: HeaderPairs = ()
    chunks: tuple[Chunk, ...] = ()
    trailers: HeaderPairs = ()


@dataclass(frozen=True, slots=True)
class JsonRpc(Step):
    name: ClassVar[str] = "jsonRpc"
    result: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Python(Step):
    name: ClassVar[str] = "python"
    handler: str = ""
    """`/absolute/handlers.py:name`."""


@dataclass(frozen=True, slots=True)
class Close(Step):
    name: ClassVar[str] = "close"


@dataclass(frozen=True, slots=True)
class Reset(Step):
    name: ClassVar[str] = "reset"


@dataclass(frozen=True, slots=True)
class Timeout(Step):
    name: ClassVar[str] = "timeout"


@dataclass(frozen=True, slots=True)
class Malformed(Step):
    """Either raw bytes, or a reply cut off after `truncate_after` bytes of its body."""

    name: ClassVar[str] = "malformed"
    raw: bytes | None = None
    truncate_after: int | None = None
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Delay(Step):
    """Seconds. Exactly one of the three is set."""

    name: ClassVar[str] = "delay"
    final: ClassVar[bool] = False
    fixed: float | None = None
    uniform: tuple[float, float] | None = None
    lognormal: tuple[float, float] | None = None
    """Median in seconds, and sigma."""


@dataclass(frozen=True, slots=True)
class WaitForBody(Step):
    name: ClassVar[str] = "waitForBody"
    final: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Informational(Step):
    name: ClassVar[str] = "informational"
    final: ClassVar[bool] = False
    status: int = 103
    headers: HeaderPairs = ()


@dataclass(frozen=True, slots=True)
class Webhook(Step):
    name: ClassVar[str] = "webhook"
    final: ClassVar[bool] = False
    url: str = ""
    events: tuple[str, ...] = ("request", "response")


@dataclass(frozen=True, slots=True)
class Emit(Step):
    """`type` and `data` (a mapping) of a custom rule-event; strings in them are templates."""

    name: ClassVar[str] = "emit"
    final: ClassVar[bool] = False
    type: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


# ── passing on ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Either `replace`, or any of the others."""

    set: HeaderPairs = ()
    """These replace all of the same name."""
    add: HeaderPairs = ()
    remove: tuple[str, ...] = ()
    replace: HeaderPairs | None = None
    """All headers, instead of the message's own."""


@dataclass(frozen=True, slots=True)
class BodyChange:
    """What becomes of a body; exactly one is given."""

    data: bytes | None = None
    """Another body: `body` in UTF-8, or `json` as compact JSON."""
    is_json: bool = False
    """Whether `data` comes from `json`."""
    file: str | None = None
    """Absolute path, read at each use."""
    merge_json: Any = None
    """Only meaningful when `has_merge` (JSON null is a value)."""
    has_merge: bool = False
    patch_json: tuple[Mapping[str, Any], ...] | None = None
    """Operations of RFC 6902."""
    match_replace: Replacements | None = None

    @property
    def key(self) -> str:
        """The key of the rule language that it was given by, where it depends on the body there was."""
        if self.match_replace is not None:
            return "matchReplaceBody"
        return "patchJson" if self.patch_json is not None else "mergeJson"


@dataclass(frozen=True, slots=True)
class RequestChanges:
    """What is changed in a request on its way to the server; at most one of `host` and `match_replace_host`."""

    method: str | None = None
    host: str | None = None
    """`name[:port]`."""
    protocol: str | None = None
    """`http` or `https`, also where the file says `ws` or `wss`."""
    update_host_header: bool | str | None = None
    """False: Host stays; a text: it becomes that; otherwise it follows the server."""
    match_replace_host: Replacements = ()
    match_replace_path: Replacements = ()
    match_replace_query: Replacements = ()
    headers: HeaderChanges = field(default_factory=HeaderChanges)
    body: BodyChange | None = None
    python: str | None = None
    """`/absolute/handlers.py:name`: a function that sees the request after all other changes."""


@dataclass(frozen=True, slots=True)
class ResponseChanges:
    """What is changed in a response on its way to the client."""

    status: int | None = None
    headers: HeaderChanges = field(default_factory=HeaderChanges)
    body: BodyChange | None = None
    python: str | None = None
    """`/absolute/handlers.py:name`: a function that sees the response after all other changes."""


@dataclass(frozen=True, slots=True)
class Change(Step):
    """Changes of a request before later rules are asked, and of the answer that one of them gives."""

    name: ClassVar[str] = "change"
    final: ClassVar[bool] = False
    request: RequestChanges = field(default_factory=RequestChanges)
    response: ResponseChanges = field(default_factory=ResponseChanges)


@dataclass(frozen=True, slots=True)
class Passthrough(Step):
    name: ClassVar[str] = "passthrough"
    upstream: Mapping[str, Any] = field(default_factory=dict)
    """The given options only, under the names of `UpstreamSettings`' fields."""
    request: RequestChanges = field(default_factory=RequestChanges)
    response: ResponseChanges = field(default_factory=ResponseChanges)
    delay: Delay | None = None
    """Before the response."""


@dataclass(frozen=True, slots=True)
class Forward(Passthrough):
    """`passthrough` to another server; what `request` says of host and protocol comes after `to`."""

    name: ClassVar[str] = "forward"
    to_protocol: str | None = None
    """`http` or `https`; None where `to` has no scheme: the request's own."""
    to_host: str = ""
    """Lower-case, an IPv6 address without brackets."""
    to_port: int | None = None
    """None: the protocol's own."""


@dataclass(frozen=True, slots=True)
class Echo(Step):
    name: ClassVar[str] = "echo"


@dataclass(frozen=True, slots=True)
class Listen(Step):
    name: ClassVar[str] = "listen"


@dataclass(frozen=True, slots=True)
class Reject(Step):
    """Refuses a WebSocket with an ordinary reply."""

    name: ClassVar[str] = "reject"
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One line of a script.

    `value` by `kind`: `send` a text, or a mapping with `json` or `base64` (bytes); `expect` a text, or a mapping of
    `equals`, `regex`, `includes`, `json`, `jsonIncludes`; `wait` seconds; `ping` a text; `close` None, a code, or a
    mapping of `code` and `reason`.
    """

    kind: str
    value: Any
    place: SourceLocation


@dataclass(frozen=True, slots=True)
class Script(Step):
    name: ClassVar[str] = "script"
    lines: tuple[ScriptLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay(Step):
    """Answers from a recorded session."""

    name: ClassVar[str] = "replay"
    session: str = ""
    """Absolute path."""
    match: tuple[str, ...] = ("method", "url", "body")
    ignore: tuple[str, ...] = ()
    """Selectors, as they are written."""
    strict_match: bool = False
    """Whether values that are volatile by nature have to be the same, too."""
    latency: str = "none"
    """`none`, `recorded` or a factor such as `2x`."""
    repeat: bool = True
    """Whether the last recorded answer goes on answering."""


# ── the file ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    when: When
    steps: tuple[Step, ...]
    times: int | str | None
    """A number, `always`, or None where nothing was said."""
    priority: float
    place: SourceLocation
    position: int
    """0-based place in the file."""
    continues: bool = False
    """Whether rules after it are asked too: it changes, and another one answers."""

    @property
    def edits_request(self) -> bool:
        """Whether later rules are asked about another request than it was."""
        return any(isinstance(step, Change) and step.request != RequestChanges() for step in self.steps)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A whole rule file. `sha256` is of its bytes, `folder` is what its relative names start from."""

    path: str
    folder: str
    sha256: str
    server: ServerSettings = field(default_factory=ServerSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    unmatched: str = "reject"
    rules: tuple[Rule, ...] = ()
