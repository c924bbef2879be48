"""Checks of matchers that need only the request's head: functions from the expected value to the check."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import re2

from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.values import text_check
from mockrec.engine.rules.model import Expected
from mockrec.engine.rules.patterns import searcher
from mockrec.engine.wire.urls import (
    DEFAULT_PORTS,
    normal_hostname,
    normal_path,
    parse_url_pattern,
    split_host,
)

Check = Callable[[RequestView], bool]

_SEGMENT_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")


def method_check(names: tuple[str, ...]) -> Check:
    if "ANY" in names:
        return lambda request: True
    if len(names) == 1:
        only = names[0]
        return lambda request: request.method == only
    return lambda request: request.method in names


def path_check(path: str) -> Check:
    wanted = normal_path(path)
    return lambda request: request.path == wanted


def url_check(url: str) -> Check:
    pattern = parse_url_pattern(url)
    wanted = pattern.path
    if pattern.hostname is None:
        return lambda request: request.path == wanted
    authority = _authority(pattern.hostname, pattern.port)
    scheme = pattern.scheme
    return lambda request: (
        request.path == wanted and (scheme is None or request.protocol == scheme) and authority(request)
    )


def _authority(hostname: str, port: int | None) -> Check:
    """A check of the host name, and of the port: `port`, or the default of the request's protocol."""
    return lambda request: (
        request.port == (DEFAULT_PORTS.get(request.protocol) if port is None else port)
        and normal_hostname(request.hostname) == hostname
    )


def host_check(host: str) -> Check:
    return _authority(*split_host(host))


def hostname_check(pattern: str) -> Check:
    wanted = normal_hostname(pattern)
    if "*" not in wanted:
        return lambda request: normal_hostname(request.hostname) == wanted
    first, *between, last = wanted.split("*")

    def check(request: RequestView) -> bool:
        name = normal_hostname(request.hostname)
        if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
            return False
        position, end = len(first), len(name) - len(last)
        for piece in between:
            # The first occurrence is the best: it leaves most for the pieces that follow.
            position = name.find(piece, position, end) + len(piece)
            if position < len(piece):
                return False
        return True

    return check


def template_names(template: str) -> tuple[str, ...]:
    """The names in braces of a `pathTemplate`, in order."""
    return tuple(_SEGMENT_NAME.findall(template))


def path_template_check(template: str) -> Check:
    """A check of a template: `{name}` matches one or more characters in a segment, literal parts are as in `path`."""
    pieces = _SEGMENT_NAME.split(template)
    names = pieces[1::2]
    literals = [re.escape(normal_path(piece)) for piece in pieces[0::2]]
    pattern = "([^/]+)".join(literals)
    # With one name to a segment, `re` takes linear time; with several it would backtrack.
    several = any(segment.count("{") > 1 for segment in template.split("/"))
    fits = (re2 if several else re).compile(pattern).fullmatch

    def check(request: RequestView) -> bool:
        found = fits(request.path)
        if found is None:
            return False
        request.params = {name: unquote(value) for name, value in zip(names, found.groups(), strict=True)}
        return True

    return check


def path_regex_check(pattern: str) -> Check:
    search = searcher(pattern)
    return lambda request: search(request.path)


def url_regex_check(pattern: str) -> Check:
    search = searcher(pattern)
    return lambda request: search(request.url.partition("?")[0])


def header_check(name: str, expected: Expected) -> Check:
    """A check of a header; one sent in several lines matches by any of them, or by all of them joined."""
    lower = name.lower()
    check = text_check(expected)

    def check_header(request: RequestView) -> bool:
        values = request.header_values(lower)
        return check(values) or (len(values) > 1 and check((", ".join(values),)))

    return check_header


def query_check(name: str, expected: Expected) -> Check:
    check = text_check(expected)
    return lambda request: check(request.query.get(name, ()))


def cookie_check(name: str, expected: Expected) -> Check:
    check = text_check(expected)
    return lambda request: check(request.cookies.get(name, ()))
