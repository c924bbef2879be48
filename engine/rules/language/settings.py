"""The keys of `server`, `tls` and `record`, loaded into the types of `engine/config.py`."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from mockrec.engine.config import (
    Cors,
    Limits,
    RecordSettings,
    ServerSettings,
    Timeouts,
    TlsSettings,
)
from mockrec.engine.rules.language.grpc import ProtobufFiles
from mockrec.engine.rules.language.names import EventType, SelectorType
from mockrec.engine.rules.yaml.containers import ByKind, List, MapOf, OneOrMany
from mockrec.engine.rules.yaml.context import LoadContext
from mockrec.engine.rules.yaml.nodes import AnyNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import HEADER_NAME, METHOD, File, Handler, Pattern
from mockrec.engine.rules.yaml.types import (
    Bool,
    BoolOr,
    Duration,
    Enum,
    FirstOf,
    Int,
    InvalidValue,
    Null,
    ScalarType,
    Schema,
    Size,
    Str,
    ValueType,
    or_variable,
)


class Port(ScalarType[tuple[int, int]]):
    """A port, 0 for any free port, or `8000-8100` for the first free port in it → first and last port."""

    expects = "a port, 0 for any free one, or a range such as 8000-8100"

    def parse(self, text: str, plain: bool) -> tuple[int, int]:
        found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
        if found is None or (found[2] is None and not plain):
            raise InvalidValue
        first, last = int(found[1]), int(found[2] or found[1])
        if last > 65535:
            raise InvalidValue("a port is at most 65535")
        if found[2] and not 0 < first <= last:
            raise InvalidValue("a range of ports goes from a lower one, at least 1, to a higher one")
        return first, last

    def schema(self, defs: dict[str, Schema]) -> Schema:
        numbers = {"type": "integer", "minimum": 0, "maximum": 65535}
        return or_variable({"anyOf": [numbers, {"type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,5}$"}]}, defs)


class _Positive(Duration):
    """A duration that is not 0."""

    expects = "a duration of at least 10ms, such as 100ms, 2s or 1m"

    def parse(self, text: str, plain: bool) -> float:
        seconds = super().parse(text, plain)
        if seconds < 0.01:
            raise InvalidValue
        return seconds


class _NewFile(ValueType[str | None]):
    """The name of a file, which need not exist, relative to the rule file's folder → absolute path; or null."""

    expects = "the name of a file or null"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str | None:
        name = _FILE_NAME.read(node, where, context)
        return None if name is None else context.absolute(name)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _FILE_NAME.schema(defs)


_FILE_NAME = FirstOf(Null(), Str(empty=False), expects="the name of a file or null")
_NAMES = List(Str(empty=False))


# ── server ─────────────────────────────────────────────────────────────────────────────────────────

TIMEOUTS: Final = Record(
    {
        "head": Key(Duration(), "How long a request head may take (30s)."),
        "bodyIdle": Key(Duration(), "The longest pause inside a request body (60s)."),
        "keepAlive": Key(Duration(), "How long a connection stays open between two requests (75s)."),
        "handshake": Key(Duration(), "How long a TLS handshake may take (10s)."),
        "sendIdle": Key(Duration(), "How long a client may take nothing of what is sent to it (5m)."),
    },
    lambda given: Timeouts(**given.fields()),
    may_be_nothing=True,
)

LIMITS: Final = Record(
    {
        "head": Key(Size(), "The largest request head (64KiB)."),
        "connections": Key(Int(1), "The most connections at a time (10000)."),
        "streams": Key(Int(1), "The most streams of an HTTP/2 connection at a time (100)."),
        "wsMessage": Key(Size(), "The largest WebSocket message (100MiB)."),
        "matchTime": Key(_Positive(), "The CPU time that matchers and changes of one request may take (5s)."),
        "templateSteps": Key(Int(1), "The most steps of work that a step's templates take for a request (400000)."),
        "templateSize": Key(Size(), "The most bytes of text and values that they make for it (32MiB)."),
    },
    lambda given: Limits(**given.fields()),
    may_be_nothing=True,
)


def _cors(given: ParsedMapping) -> Cors:
    named = given.fields()
    if "maxAge" in given:
        named["max_age"] = int(given.get("maxAge"))
    return Cors(**named)


CORS: Final = ByKind(
    scalar=Bool(),
    mapping=Record(
        {
            "origins": Key(OneOrMany(Str(empty=False)), 'Allowed origins, "*" for all (the default).'),
            "methods": Key(OneOrMany(METHOD), "Allowed methods (GET, POST, PUT, DELETE, PATCH, OPTIONS)."),
            "headers": Key(OneOrMany(HEADER_NAME), "Allowed request headers; default: those that are asked for."),
            "expose": Key(OneOrMany(HEADER_NAME), "Response headers that scripts may read."),
            "credentials": Key(Bool(), "Whether cookies and credentials are allowed (false)."),
            "maxAge": Key(
                FirstOf(Int(0), Duration()),
                "How long a preflight may be cached, in seconds or as a duration.",
            ),
        },
        _cors,
    ),
)


def _server(given: ParsedMapping) -> ServerSettings:
    named = given.fields("host", "http2", "lenient", "socks", "passthrough", "timeouts", "limits", "auth")
    if "port" in given:
        named["ports"] = given.get("port")
    cors = given.get("cors", False)
    return ServerSettings(**named, cors=Cors() if cors is True else cors or None)


SERVER: Final = Record(
    {
        "host": Key(Str(empty=False), "The address to listen on (127.0.0.1)."),
        "port": Key(Port(), 'The port (8000), 0 for any free one, or "8000-8100" for the first free one.'),
        "http2": Key(
            BoolOr("fallback"),
            "Whether HTTP/2 is spoken (true); `fallback` prefers HTTP/1.1.",
        ),
        "lenient": Key(Bool(), "Whether odd requests are repaired, as odd responses of servers are (false)."),
        "socks": Key(
            ByKind(
                scalar=Bool(),
                mapping=Record(
                    {
                        "auth": Key(
                            List(Enum("no-auth", "user-password-metadata"), at_least=1),
                            "The authentication methods that are accepted.",
                            required=True,
                        )
                    },
                    lambda given: given.get("auth"),
                ),
            ),
            "Whether SOCKS proxy connections are accepted (false).",
        ),
        "cors": Key(CORS, "Answer CORS preflights and add the headers (false)."),
        "passthrough": Key(
            List(Enum("unknown-protocol")),
            "What is tunnelled without being read ([]).",
        ),
        "timeouts": Key(TIMEOUTS, "How long a client may take."),
        "limits": Key(LIMITS, "How much a client may ask for."),
        "auth": Key(
            FirstOf(Null(), Pattern("user:password", "[^:]+:.*")),
            "user:password that a client of the proxy has to give.",
        ),
    },
    _server,
    may_be_nothing=True,
)

# ── tls ────────────────────────────────────────────────────────────────────────────────────────────


def _tls(given: ParsedMapping) -> TlsSettings:
    named = given.fields()
    authority = named.pop("ca", {})
    return TlsSettings(**named, ca_cert=authority.get("cert"), ca_key=authority.get("key"))


TLS: Final = Record(
    {
        "ca": Key(
            Record(
                {
                    "cert": Key(File(), "The certificate of the authority, PEM.", required=True),
                    "key": Key(File(), "Its key, PEM.", required=True),
                },
                lambda given: dict(given.values),
            ),
            "The authority that signs the certificates shown to clients.",
        ),
        "defaultDomain": Key(Str(empty=False), "The name for clients that send none (localhost)."),
        "keyType": Key(Enum("ecdsa", "rsa"), "The kind of keys made (ecdsa)."),
        "keyLength": Key(Int(1024, 16384), "The length of RSA keys (2048)."),
        "minVersion": Key(
            Enum("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
            "The lowest version accepted (TLSv1.2).",
        ),
        "passthrough": Key(_NAMES, "Host names that are not intercepted."),
        "interceptOnly": Key(_NAMES, "The only host names that are intercepted."),
        "keyLogFile": Key(_NewFile(), "Where TLS keys are logged (NSS format)."),
    },
    _tls,
    one_of=[("passthrough", "interceptOnly")],
    may_be_nothing=True,
)

# ── record ─────────────────────────────────────────────────────────────────────────────────────────


def _record(given: ParsedMapping) -> RecordSettings:
    callbacks = MappingProxyType(given.get("callbacks", {}))
    names = ("events", "maxBodySize", "holdTime", "bodies", "redact", "rawData", "protobuf")
    return RecordSettings(**given.fields(*names), callbacks=callbacks)


RECORD: Final = Record(
    {
        "events": Key(
            ByKind(scalar=Enum("default", "all"), items=List(EventType())),
            "Which events are recorded: `default`, `all` or a list of types.",
        ),
        "maxBodySize": Key(Size(), "How much of a body is kept in the log (10MiB)."),
        "holdTime": Key(
            Duration(),
            "How long a piece of a body waits for the rest of its line, where secrets are redacted (100ms).",
        ),
        "bodies": Key(Enum("decoded", "raw", "both"), "Bodies as decoded (default), as on the wire, or both."),
        "redact": Key(
            ByKind(
                scalar=Enum("default", "none"),
                mapping=Record(
                    {
                        "add": Key(List(SelectorType()), "Selectors of values that are replaced as well."),
                        "keep": Key(List(SelectorType()), "Selectors of values that stay."),
                    },
                    lambda given: dict(given.values),
                ),
            ),
            "Which secret values are replaced before anything is written (default).",
        ),
        "rawData": Key(Bool(), "Whether passed-on bytes of unknown protocols are kept (false)."),
        "protobuf": Key(
            ProtobufFiles(),
            "Descriptor sets (.pb), .proto files or folders of them, by which gRPC messages are decoded.",
        ),
        "callbacks": Key(
            MapOf(Handler(), key=EventType(without=("callback-error",))),
            "Event type → handlers.py:name, called with it.",
        ),
    },
    _record,
    may_be_nothing=True,
)
