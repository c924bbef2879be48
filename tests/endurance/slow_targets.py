"""What a client, a server or a file says is given to: one function a target, which gets a text and is to take time in
proportion to it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hpack.hpack import Encoder
from slow_words import WORDS

from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_scope import DetachedScope
from mockrec.engine.rules.explain.explain import explain_miss
from mockrec.engine.rules.matching.match import compile_when
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Condition, MultipartPart, Reply, Rule, SourceLocation, When
from mockrec.engine.rules.patterns import searcher
from mockrec.engine.rules.templates.template import TemplateError, TemplateRequest, compile_template
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.http2.frames import PREFACE
from mockrec.engine.wire.http2.server import H2Server
from mockrec.engine.wire.multipart import header_parameter
from mockrec.engine.wire.urls import normal_hostname, normal_path
from mockrec.engine.wire.websocket.connection import WebSocket
from mockrec.engine.wire.websocket.handshake import negotiate, offered_protocols
from mockrec.formats.diff.compare import documents, forms, lines, sse, tree
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import Window
from mockrec.formats.query import FilterError, parse
from mockrec.formats.query.regex import matcher
from mockrec.formats.text.regex import RegexError

_MB = 1024 * 1024
_QUICK = 64 * 1024
_PLACE = SourceLocation("rules.yaml", 1, 1, "rules[0].then")
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A function under search."""

    name: str
    area: str
    call: Callable[[str], object]
    words: str
    """Which words its texts are made of, besides those of every text."""
    longest: int = _MB
    """Bytes of the longest text that it gets at once: what is longer is refused, or goes to a helper."""
    on_loop: bool = True
    """Whether everybody waits meanwhile, so that the longest text must not take longer than the hold that is allowed."""
    vocabulary: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", (*WORDS[self.words], *WORDS["text"]))


def targets() -> Iterator[Target]:
    """All of them."""
    yield from _matchers()
    yield from _readers()
    yield from _protocols()
    yield from _redaction()
    yield from _templates()
    yield from _filters()
    yield from _diff()


def planted() -> Target:
    """A function that takes the square of the length, for one word only: a search that does not find it finds nothing."""
    scan = re.compile(r"(?:Bearer )+\Z")
    return Target("planted", "planted", lambda text: scan.search(text.replace("\n", "")), "secret")


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────


def view_of(
    body: str = "", *, url: str = "http://a.test/x", kind: str = "text/plain", headers: dict[str, str] | None = None
) -> RequestView:
    """A request as a connection makes it."""
    fields = {"content-type": kind, **(headers or {})}
    raw = [[name, value] for name, value in fields.items()]
    data = body.encode("utf-8", "surrogatepass")
    view = RequestView("POST", "http", url, "a.test", 80, "/x", fields, raw, False, lambda: data)
    view.body_complete = True
    return view


_BODIES: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("body", {"body": "x" * 1000}, "text/plain", "text"),
    ("bodyIncludes", {"body_includes": "aab" * 10}, "text/plain", "text"),
    ("bodyRegex", {"body_regex": r"(a+)+b.*\d{1,20}=(x|y)*$"}, "text/plain", "text"),
    ("form", {"form": {"a": Condition(regex="^(a+)+$")}}, "application/x-www-form-urlencoded", "form"),
    (
        "multipart",
        {"multipart": (MultipartPart(name="b", content="x"),)},
        "multipart/form-data; boundary=s",
        "multipart",
    ),
    ("json", {"json": {"a": [1, {"b": [2]}]}}, "application/json", "json"),
    ("jsonIncludes", {"json_includes": {"a": [1, "x", {"a": 2}, {"b": {"a": 3}}, [1], 1]}}, "application/json", "json"),
    ("jsonIncludes.list", {"json_includes": [1, True, "x", {"a": 2}, {"a": "y"}, [[1]]]}, "application/json", "json"),
    ("jsonRpc", {"json_rpc": {"method": "a", "params": [{"a": 1}]}}, "application/json", "json"),
    ("jsonPath.singular", {"json_path": {"$.a[1].b": Condition(regex="(a*)*b")}}, "application/json", "json"),
    ("jsonSchema.unique", {"json_schema": {"uniqueItems": True}}, "application/json", "json"),
    (
        "jsonSchema",
        {
            "json_schema": {
                "contains": {"pattern": "^(a+)+$"},
                "propertyNames": {"pattern": "(a|a)*b"},
                "minContains": 9,
            }
        },
        "application/json",
        "json",
    ),
)


def _matchers() -> Iterator[Target]:
    for name, given, kind, words in _BODIES:
        when = compile_when(When(given=(name,), **given), lambda handler: bool)
        call = lambda text, when=when, kind=kind: when.match(view_of(text, kind=kind))  # noqa: E731
        yield Target(name, "matchers", call, words, longest=_QUICK)
    when = compile_when(When(json_path={"$..a[?@.b > 1].c": 1}), lambda handler: bool)
    yield Target("jsonPath.linear", "matchers", lambda text: when.match(view_of(text)), "json", longest=8 * 1024)
    heads: tuple[tuple[str, dict[str, Any], Callable[[str], RequestView]], ...] = (
        ("path", {"path": "/x/é"}, _in_path),
        ("pathTemplate", {"path_template": "/{a}-{b}-{c}/{d}x{e}/{f}"}, _in_path),
        ("pathRegex", {"path_regex": r"^/(a+)+/(\w|\d)*$"}, _in_path),
        ("urlRegex", {"url_regex": r"(.*)(.*)(.*)!$"}, _in_path),
        ("hostname", {"hostname": "*a*b*a*b*.test"}, _in_host),
        ("query", {"query": {"a": Condition(regex="^(a+)+$"), "b": ("1", "2")}}, _in_query),
        ("exactQuery", {"exact_query": "?a"}, _in_query),
        ("cookies", {"cookies": {"a": Condition(regex="^(a+)+$")}}, lambda text: view_of(headers={"cookie": text})),
        ("headers", {"headers": {"x": Condition(regex="^(a+)+$")}}, lambda text: view_of(headers={"x": text})),
    )
    for name, given, make in heads:
        when = compile_when(When(given=(name,), **given), lambda handler: bool)
        call = lambda text, when=when, make=make: when.match(make(text))  # noqa: E731
        yield Target(name, "matchers", call, "head", longest=_HEAD_LIMIT)
    rules = [
        Rule("r", When(given=(name,), **given), (Reply(_PLACE),), None, 1, _PLACE, 0) for name, given, *_ in _BODIES
    ]
    rule_set = RuleSet(rules, lambda handler: bool)
    yield Target(
        "explain_miss", "matchers", lambda text: explain_miss(_in_path(text), rule_set), "head", longest=_HEAD_LIMIT
    )


def _in_path(text: str) -> RequestView:
    return view_of(url=f"http://a.test/{text.replace('?', '')}")


def _in_query(text: str) -> RequestView:
    return view_of(url=f"http://a.test/?{text}")


def _in_host(text: str) -> RequestView:
    view = view_of()
    view.hostname = text
    return view


def _readers() -> Iterator[Target]:
    form = "application/x-www-form-urlencoded"
    readers: tuple[tuple[str, Callable[[str], object], str], ...] = (
        ("query", lambda text: _in_query(text).query, "form"),
        ("cookies", lambda text: view_of(headers={"cookie": text}).cookies, "head"),
        ("form", lambda text: view_of(text, kind=form).form, "form"),
        ("header_parameter", lambda text: header_parameter(text, "boundary"), "multipart"),
        ("charset", lambda text: view_of("a", kind=text).text, "multipart"),
        ("boundary", lambda text: view_of(text, kind=f'multipart/form-data; boundary="{text}"').multipart, "multipart"),
        ("normal_path", normal_path, "head"),
        ("normal_hostname", normal_hostname, "head"),
    )
    for name, call, words in readers:
        yield Target(f"read {name}", "readers", call, words, longest=_HEAD_LIMIT)


# ── protocols ──────────────────────────────────────────────────────────────────────────────────────


def _h1(text: str, before: str = "", after: str = "") -> None:
    server = H1Server(_HEAD_LIMIT)
    data = (before + text + after).encode("latin-1", "replace")
    for start in range(0, len(data), 16 * 1024):
        server.receive(data[start : start + 16 * 1024])


def _h2_fields(text: str) -> None:
    server = H2Server(head_limit=_HEAD_LIMIT, streams=5)
    server.start()
    pairs = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
        ("x", text),
        ("cookie", text),
    ]
    # Without Huffman codes: hpack takes the square of the length to make them, but not to read them.
    block = Encoder().encode([(name, value.encode("utf-8", "replace")) for name, value in pairs], huffman=False)
    data = PREFACE + b"\0\0\0\4\0\0\0\0\0"
    for index, start in enumerate(range(0, len(block), 16384)):
        piece = block[start : start + 16384]
        last = start + 16384 >= len(block)
        kind, flags = (1, 1 | (4 if last else 0)) if index == 0 else (9, 4 if last else 0)
        data += len(piece).to_bytes(3, "big") + bytes((kind, flags)) + (1).to_bytes(4, "big") + piece
    server.receive(data)


def _ws(text: str) -> None:
    codec = WebSocket("server", deflate=None, message_limit=_MB * 4)
    client = WebSocket("client", deflate=None, message_limit=_MB * 4)
    codec.receive(client.send_message(text.encode("utf-8", "surrogatepass"), is_binary=False))


def _protocols() -> Iterator[Target]:
    get = "GET / HTTP/1.1\r\nHost: a\r\n"
    chunks = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield Target("HTTP/1 head", "protocols", lambda text: _h1(text, get, "\r\n\r\n"), "head", longest=_HEAD_LIMIT)
    yield Target(
        "HTTP/1 target", "protocols", lambda text: _h1(text, "GET /", " HTTP/1.1\r\n\r\n"), "head", _HEAD_LIMIT
    )
    yield Target("HTTP/1 first line", "protocols", lambda text: _h1(text, "", "\r\n\r\n"), "head", longest=_HEAD_LIMIT)
    yield Target("HTTP/1 chunks", "protocols", lambda text: _h1(text, chunks), "chunked", longest=_QUICK)
    yield Target("HTTP/2 fields", "protocols", _h2_fields, "head", longest=_HEAD_LIMIT)
    yield Target("WebSocket message", "protocols", _ws, "text", longest=_QUICK)
    yield Target("WebSocket extensions", "protocols", negotiate, "websocket", longest=_HEAD_LIMIT)
    yield Target(
        "WebSocket protocols",
        "protocols",
        lambda text: offered_protocols({"sec-websocket-protocol": text}),
        "websocket",
        longest=_HEAD_LIMIT,
    )


# ── redaction, templates ───────────────────────────────────────────────────────────────────────────

_KINDS = (
    *("text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=s"),
    *("text/html", "application/xml", "text/event-stream", "application/octet-stream", ""),
)


def _redaction() -> Iterator[Target]:
    redactor = Redactor.of("default", {}, ("very-secret-value",), b"k" * 32)
    assert redactor is not None
    for kind in _KINDS:
        call = lambda text, kind=kind: redactor.body(text.encode(), kind, "request", DetachedScope())  # noqa: E731
        # What is long and not plain goes to a thread.
        yield Target(
            f"redact body {kind or 'without a type'}", "redaction", call, "secret", longest=_QUICK * 4, on_loop=False
        )
    yield Target(
        "redact text", "redaction", lambda text: redactor.text(text, DetachedScope()), "secret", longest=_QUICK
    )

    def head(text: str) -> None:
        fields = {"authorization": text, "cookie": text, "x": text, "set-cookie": [text]}
        raw = [[name, text] for name in fields]
        url = f"http://a.test/?{text}"
        record = {"type": "request-initiated", "id": "1", "url": url, "path": url, "headers": fields, "rawHeaders": raw}
        redactor.record(record, DetachedScope())

    yield Target("redact head", "redaction", head, "secret", longest=_HEAD_LIMIT // 4)

    def piece(text: str) -> None:
        hold = redactor.hold()
        data = text.encode()
        for start in range(0, len(data), 16 * 1024):
            hold.feed(data[start : start + 16 * 1024])
        hold.end()

    yield Target("redact in pieces", "redaction", piece, "secret", longest=_QUICK * 4, on_loop=False)


def _templates() -> Iterator[Target]:
    source = (
        "{{ request.body|upper }}{{ request.query.a }}{{ request.json.a|default('') }}"
        "{% for x in request.headers %}{{ x|replace('a','b') }}{% endfor %}"
    )
    template = compile_template(source, _PLACE)

    def render(text: str) -> None:
        with contextlib.suppress(TemplateError):
            template.render({"request": _template_view(text)})

    yield Target("template renders a request", "templates", render, "json", longest=_QUICK)

    def compiled(text: str) -> None:
        with contextlib.suppress(TemplateError):
            compile_template(text, _PLACE)

    yield Target("template is read", "templates", compiled, "template", longest=16 * 1024, on_loop=False)


def _template_view(text: str) -> TemplateRequest:
    return TemplateRequest(view_of(text, kind="application/json"))


# ── files and expressions ──────────────────────────────────────────────────────────────────────────


def _filters() -> Iterator[Target]:
    def expression(text: str) -> None:
        with contextlib.suppress(FilterError):
            parse(text)

    yield Target("filter expression", "filters", expression, "filter", longest=10_000, on_loop=False)

    def pattern(text: str) -> None:
        with contextlib.suppress(RegexError):
            searcher(text)("a" * 2000)

    yield Target("pattern of a rule", "filters", pattern, "regex", longest=1000, on_loop=False)
    for regex in (r"(a+)+$", r"a*a*a*b", r"(\w+\s?)*!", "x.*y.*z"):
        search = matcher(regex, ignore_case=True)
        yield Target(f"filter ~ {regex}", "filters", search, "text", on_loop=False)


def _diff() -> Iterator[Target]:
    def values() -> ValueComparer:
        return ValueComparer(Window.around(None))

    def changed(text: str) -> str:
        return text[: len(text) // 2] + "x" + text[len(text) // 2 :]

    def json_trees(text: str) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            a = documents.parse(text)
            list(tree.compare(a, json.loads(json.dumps(documents.plain(a))), values()))

    readers: tuple[tuple[str, Callable[[str], object], str], ...] = (
        ("lines", lambda text: list(lines.compare_lines(text, changed(text), values(), "response", "body")), "lines"),
        ("JSON", json_trees, "json"),
        ("forms", lambda text: list(forms.fields(text, changed(text), values(), "request")), "form"),
        (
            "parts",
            lambda text: list(
                forms.parts(
                    (text.encode(), "multipart/form-data; boundary=s"),
                    (changed(text).encode(), "multipart/form-data; boundary=s"),
                    values(),
                    "request",
                )
            ),
            "multipart",
        ),
        ("events", lambda text: sse.events(text), "lines"),
    )
    for name, call, words in readers:
        yield Target(f"diff of {name}", "diff", call, words, longest=_QUICK, on_loop=False)
