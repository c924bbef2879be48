"""The keys of `upstream`: how origin servers are reached. Steps that pass requests on have them, too."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.rules.yaml.containers import ByKind, List, MapOf
from mockrec.engine.rules.yaml.context import LoadContext
from mockrec.engine.rules.yaml.nodes import AnyNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import File, Pattern
from mockrec.engine.rules.yaml.types import Bool, BoolOr, Duration, FirstOf, Null, Schema, Str, ValueType

_NAMES = List(Str(empty=False))
_PROXY = Pattern("a proxy such as http://proxy:3128", r"(?:https?|socks(?:5h?)?|socks4a?)://[^\s/?#]+/?")


class _Script(ValueType[str]):
    """The URL of a proxy script, or the name of its file."""

    expects = "a file or a URL such as http://wpad/wpad.dat"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> str:
        if isinstance(node, ScalarNode) and node.text.startswith(("http://", "https://")):
            return Str().read(node, where, context)
        return File().read(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return File().schema(defs)


_PAC = Record(
    {"pac": Key(_Script(), "The file or URL of a script with FindProxyForURL.", required=True)},
    lambda given: dict(given.values),
)
_CERTIFICATE = Record(
    {
        "cert": Key(File(), "The client certificate, PEM."),
        "key": Key(File(), "Its key, PEM."),
        "pfx": Key(File(), "Certificate and key, PKCS #12."),
        "passphrase": Key(Str(), "The passphrase of the key or of the pfx file."),
    },
    lambda given: dict(given.values),
    one_of=[("cert", "pfx"), ("key", "pfx")],
    some_of=[("cert", "pfx"), ("key", "pfx")],
)
_UPSTREAM_TIMEOUTS = Record(
    {
        "connect": Key(Duration(), "How long connecting may take (10s)."),
        "head": Key(Duration(), "How long the response head may take (60s)."),
        "bodyIdle": Key(Duration(), "The longest pause inside a response body (60s)."),
    },
    lambda given: {f"{name}_timeout": value for name, value in given.fields().items()},
)


def upstream_keys() -> dict[str, Key]:
    """The options of connections to origin servers, for `upstream` and for the steps that override it."""
    hosts = ByKind(scalar=Bool(), items=_NAMES)
    return {
        "proxy": Key(
            ByKind(scalar=FirstOf(Null(), _PROXY), mapping=_PAC),
            "The proxy on the way to servers, or `pac`: the script that names it.",
        ),
        "noProxy": Key(_NAMES, "Hosts that are reached without it."),
        "trustedCAs": Key(List(File()), "Files of authorities that are trusted besides the system's."),
        "ignoreTlsErrors": Key(hosts, "Hosts whose certificates are not checked, or true for all."),
        "clientCertificates": Key(MapOf(_CERTIFICATE), "Host → client certificate."),
        "dnsServers": Key(_NAMES, "Name servers to ask instead of the system's."),
        "timeouts": Key(_UPSTREAM_TIMEOUTS, "How long a server may take."),
        "http2": Key(
            BoolOr("prior-knowledge"),
            "Whether servers get HTTP/2: where the client speaks it (true), never, or always.",
        ),
        "simulateConnectionErrors": Key(Bool(), "Show the client how a server fails instead of a 502."),
    }


_KEYS: Final = upstream_keys()


def upstream_fields(given: ParsedMapping) -> dict[str, Any]:
    """The given options under the names of the fields of `UpstreamSettings`."""
    named = given.fields(*(key for key in _KEYS if key != "timeouts"))
    if isinstance(named.get("proxy"), dict):
        named |= {"pac": named["proxy"]["pac"], "proxy": None}
    if "client_certificates" in named:
        named["client_certificates"] = MappingProxyType(named["client_certificates"])
    return {**named, **given.get("timeouts", {})}


UPSTREAM: Final = Record(_KEYS, lambda given: UpstreamSettings(**upstream_fields(given)), may_be_nothing=True)
