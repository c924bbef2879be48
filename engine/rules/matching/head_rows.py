"""Rows of the matchers of the method, the URL and the header fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mockrec.engine.rules.matching import head
from mockrec.engine.rules.matching.spec import AnySpec, EntriesSpec, Slot, ValueSpec, Weight
from mockrec.engine.rules.matching.types import HOSTNAME, PATH, PATH_TEMPLATE, TEXT, URL
from mockrec.engine.rules.wording import pattern_words, short, shown
from mockrec.engine.rules.yaml.containers import MapOf, OneOrMany
from mockrec.engine.rules.yaml.context import quoted
from mockrec.engine.rules.yaml.regex import REGEX
from mockrec.engine.rules.yaml.strings import HEADER_NAME, HOST, METHOD, URL_SCHEMES
from mockrec.engine.rules.yaml.types import Enum, Int

_SEGMENT: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


def _method_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """The methods in alphabetical order: their order in the file has no meaning."""
    return tuple(sorted({value} if isinstance(value, str) else set(value)))


def _in_lower_case(headers: Any) -> Any:
    """The mapping with names in lower case: header names are case-insensitive."""
    if not isinstance(headers, Mapping):
        return headers
    return {str(name).lower(): expected for name, expected in headers.items()}


def _braces(key: str) -> Callable[[str], str | None]:
    """A warning about `{name}` in a matcher without templates."""

    def warning(value: str) -> str | None:
        if not _SEGMENT.search(value):
            return None
        template = f"pathTemplate: {quoted(value)}" if key == "path" else "`pathTemplate`"
        return f"braces stand for themselves in `{key}`; {template} matches any value"

    return warning


HEAD_ROWS: Final[tuple[AnySpec, ...]] = (
    ValueSpec(
        key="method",
        type=OneOrMany(METHOD),
        about="The method, a list of methods, or ANY.",
        rank=2,
        slot=Slot.METHOD,
        weight=Weight.METHOD,
        expected_of=lambda names: None if "ANY" in names else names,
        canonical=_method_names,
        check=head.method_check,
        phrase=lambda names: "" if "ANY" in names else " or ".join(names),
        expected=" or ".join,
        found=lambda request: shown(request.method),
    ),
    ValueSpec(
        key="url",
        type=URL,
        about="`/path`, `http://host/path` or `host/path`; the query does not count.",
        rank=3,
        slot=Slot.URL,
        weight=Weight.PATH,
        warning=_braces("url"),
        check=head.url_check,
        phrase=short,
        found=lambda request: shown(request.url.partition("?")[0]),
    ),
    ValueSpec(
        key="path",
        type=PATH,
        about="The exact path, without the query.",
        rank=1,
        slot=Slot.PATH,
        weight=Weight.PATH,
        warning=_braces("path"),
        check=head.path_check,
        phrase=short,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="pathTemplate",
        type=PATH_TEMPLATE,
        about="A path with named segments such as `/users/{id}`.",
        rank=4,
        slot=Slot.URL,
        weight=Weight.PATH,
        check=head.path_template_check,
        sets_params=True,
        phrase=short,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="pathRegex",
        type=REGEX,
        about="A regular expression that is found in the path.",
        rank=10,
        slot=Slot.PATTERN,
        weight=Weight.PATH,
        check=head.path_regex_check,
        is_pattern=True,
        phrase=lambda pattern: f"path matching {pattern_words(pattern)}",
        expected=pattern_words,
        found=lambda request: shown(request.path),
    ),
    ValueSpec(
        key="urlRegex",
        type=REGEX,
        about="A regular expression that is found in the URL without its query.",
        rank=11,
        slot=Slot.PATTERN,
        weight=Weight.PATH,
        check=head.url_regex_check,
        is_pattern=True,
        phrase=lambda pattern: f"URL matching {pattern_words(pattern)}",
        expected=pattern_words,
        found=lambda request: shown(request.url.partition("?")[0]),
    ),
    ValueSpec(
        key="host",
        type=HOST,
        about="The host, with its port unless that is the default.",
        rank=8,
        slot=Slot.SERVER,
        check=head.host_check,
        phrase="for host {}".format,
        found=lambda request: shown(request.host),
    ),
    ValueSpec(
        key="hostname",
        type=HOSTNAME,
        about="The host's name on any port; `*` stands for any text.",
        rank=9,
        slot=Slot.SERVER,
        check=head.hostname_check,
        phrase="for hostname {}".format,
        found=lambda request: shown(request.hostname),
    ),
    ValueSpec(
        key="port",
        type=Int(1, 65535),
        about="The port.",
        rank=7,
        slot=Slot.SERVER,
        check=lambda port: lambda request: request.port == port,
        phrase="for port {}".format,
        found=lambda request: shown(request.port),
    ),
    ValueSpec(
        key="protocol",
        type=Enum(*URL_SCHEMES),
        about="http, https, ws or wss.",
        rank=6,
        slot=Slot.SERVER,
        check=lambda protocol: lambda request: request.protocol == protocol,
        phrase="by {}".format,
        found=lambda request: shown(request.protocol),
    ),
    EntriesSpec(
        key="headers",
        type=MapOf(TEXT, key=HEADER_NAME, fold_case=True),
        about="Headers that must be there.",
        rank=13,
        canonical=_in_lower_case,
        check=head.header_check,
        noun="header",
        values=lambda request, name: request.header_values(name.lower()),
    ),
    EntriesSpec(
        key="query",
        type=MapOf(TEXT),
        about="Query parameters that must be there, decoded.",
        rank=14,
        check=head.query_check,
        noun="query parameter",
        values=lambda request, name: request.query.get(name, ()),
    ),
    EntriesSpec(
        key="cookies",
        type=MapOf(TEXT),
        about="Cookies that must be there.",
        rank=15,
        check=head.cookie_check,
        noun="cookie",
        values=lambda request, name: request.cookies.get(name, ()),
    ),
)
