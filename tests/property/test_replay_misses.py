"""Whatever a client asks for: a miss has its reason, and with the options that it names the same request is none."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mockrec.engine.replay.serve.cassette import Cassette, Miss
from mockrec.engine.replay.serve.miss import miss_text
from mockrec.engine.replay.session.fingerprint import DEFAULT_MATCH, MatchOptions
from mockrec.engine.replay.session.selectors import parse_selector
from mockrec.engine.rules.matching.request import RequestView

NAMES = st.sampled_from(["a", "b c", "code", "state", "ü", "x'y", "$", "n[0]", 'q"', "nonce", "1"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.just(1.0), st.sampled_from(["", "x", "y", "redacted-0123abcd"])
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(NAMES, st.sampled_from(["", "1", "2", "x y"]), max_size=3)
BODIES = st.one_of(
    st.tuples(st.just("application/json"), DOCUMENTS.map(json.dumps)),
    st.tuples(st.just("application/x-www-form-urlencoded"), FIELDS.map(urlencode)),
    st.tuples(st.just("text/plain"), st.sampled_from(["", "one", "two", "{"])),
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST"]),
        "path": st.sampled_from(["/a", "/b", "/a/b", "/A"]),
        "query": FIELDS.map(urlencode),
        "tenant": st.sampled_from(["", "t1", "t2"]),
        "body": BODIES,
    }
)


def _posted(document: str) -> dict[str, Any]:
    return {"method": "POST", "path": "/a", "query": "", "tenant": "", "body": ("application/json", document)}


def asked(request: dict[str, Any]) -> RequestView:
    kind, body = request["body"]
    target = f"{request['path']}?{request['query']}" if request["query"] else request["path"]
    headers = {"content-type": kind} | ({"x-tenant": request["tenant"]} if request["tenant"] else {})
    return RequestView(
        request["method"], "http", f"http://x{target}", "x", 80, target, headers, [], False, body.encode
    )  # fmt: skip


@contextmanager
def taped(requests: list[dict[str, Any]], match: MatchOptions) -> Iterator[Cassette]:
    lines: list[dict[str, Any]] = []
    for number, request in enumerate(requests):
        kind, body = request["body"]
        view = asked(request)
        base = {"id": str(number), "timestamp": "2026-01-01T00:00:00.000000Z", "connectionId": "c"}
        fields = [["Content-Type", kind], *([["X-Tenant", request["tenant"]]] if request["tenant"] else [])]
        head = {"method": view.method, "url": view.url, "path": view.target, "rawHeaders": fields}
        lines.append({"type": "request", **base, **head, "body": {"size": len(body.encode()), "text": body}})
        lines.append({"type": "response", **base, "statusCode": 200, "rawHeaders": [["Vary", "X-Tenant"]]})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        cassette = Cassette(str(path), match)
        try:
            yield cassette
        finally:
            cassette.close()


def options(text: str) -> MatchOptions | None:
    """The `--match` and `--ignore` that a miss names."""
    found = re.search(r"^It would match with (.*)$", text, re.MULTILINE)
    if found is None:
        return None
    words = iter(shlex.split(found[1]))
    match, ignore = DEFAULT_MATCH, []
    for word in words:
        if word == "--match":
            match = tuple(next(words).split(","))
        else:
            assert word == "--ignore"
            ignore.append(parse_selector(next(words)))
    return MatchOptions(match, tuple(ignore))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REQUESTS, min_size=1, max_size=4), REQUESTS)
@example([_posted("[null]")], _posted("[null, false, 1.0]"))
@example([_posted("[[null, null]]")], _posted("[[null, false]]"))
def test_a_miss_has_a_reason_and_its_options_help(recorded: list[dict[str, Any]], request: dict[str, Any]) -> None:
    view = asked(request)
    with taped(recorded, MatchOptions()) as cassette:
        found = cassette.find(view, None)
        if not isinstance(found, Miss):
            return
        assert found.nearest is not None and found.differs
        if any(one["path"] == request["path"] for one in recorded):
            assert not any(place == "path" for place, _, _ in found.differs)
        better = options(miss_text(view, cassette, found))
    if better is None:
        assert any(place in ("path", "websocket") for place, _, _ in found.differs) or len(found.differs) > 5, found
        return
    with taped(recorded, better) as cassette:
        assert not isinstance(cassette.find(view, None), Miss), (found.differs, better)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REQUESTS, min_size=1, max_size=4))
def test_what_was_recorded_is_served(recorded: list[dict[str, Any]]) -> None:
    for strict in (False, True):
        with taped(recorded, MatchOptions(strict=strict)) as cassette:
            for request in recorded:
                assert not isinstance(cassette.find(asked(request), None), Miss)
            assert cassette.unused_count == 0 or len(recorded) > 1
