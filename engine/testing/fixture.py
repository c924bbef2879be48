"""What tests use: `mockrec.reply(…)`, `mockrec.exchanges(…)`, `mockrec.assert_called(…)`."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from mockrec.testing.client import ControlError
from mockrec.testing.exchanges import Exchange
from mockrec.testing.recorder import Recorder

_TARGET = re.compile(r"(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+) +)?(\S+)")
_MOST_SHOWN = 10
_MOST_CLAUSES = 10
_MOST_COMPARED = 50
"""Exchanges that are compared with an expression by their texts; more keep their order."""
_LONGEST = 200
"""Characters of each that are compared."""
_CLAUSE = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[[^\]]*\]|\([^()]*\))|(\s+and\s+|\s*&&\s*)""")


class Mockrec:
    """The recorder as one test sees it: its rules, and its exchanges."""

    def __init__(self, recorder: Recorder, scope: str, opened: Mapping[str, Any]) -> None:
        """`opened`: what the control API has said of the open scope."""
        self._recorder = recorder
        self._client = recorder.client
        self._opened = opened
        self.scope = scope
        """The scope of this test: its name in the log."""

    # ── where it is ────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The base URL of the mock server."""
        return self._recorder.url

    @property
    def port(self) -> int:
        """Its port."""
        return int(self._recorder.ready["port"])

    @property
    def proxy_url(self) -> str:
        """The URL of the proxy, with the scope as its user."""
        # Encoded twice: some clients allow no colon in a user name, even if it was percent-encoded.
        user = quote(quote(f"scope-{self.scope}", safe=""), safe="")
        return self.url.replace("://", f"://{user}@", 1)

    @property
    def proxies(self) -> dict[str, str]:
        """The proxies for `requests` and clients like it."""
        return {"http": self.proxy_url, "https": self.proxy_url}

    @property
    def header(self) -> dict[str, str]:
        """The header field that names this scope, for clients that do not use the proxy."""
        return {str(name): str(value) for name, value in self._opened["header"].items()}

    @property
    def ca(self) -> str | None:
        """The path of the certificate that clients have to trust for HTTPS."""
        return self._recorder.ca

    @property
    def env(self) -> dict[str, str]:
        """The whole environment for a child process: it uses the recorder as its proxy, and trusts its certificates."""
        env = dict(self._recorder.environment)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            env[name] = env[name.lower()] = self.proxy_url
        return env

    # ── rules ──────────────────────────────────────────────────────────────────────────────────────

    def reply(
        self,
        request: str,
        *,
        status: int = 200,
        json: Any = ...,
        body: str | bytes | None = None,
        headers: Mapping[str, str | Sequence[str]] | None = None,
        times: int | None = None,
        when: Mapping[str, Any] | None = None,
    ) -> str:
        """Answer requests such as `POST /orders`, `/orders/{id}` or `GET https://api.test/x`. Return the rule's id.

        `when` has more matchers. Replies for the same request answer one after the other, the last one for ever.
        """
        __tracebackhide__ = True
        reply: dict[str, Any] = {"status": status}
        if json is not ...:
            reply["json"] = json
        elif isinstance(body, bytes):
            reply["base64"] = base64.b64encode(body).decode("ascii")
        elif body is not None:
            reply["body"] = body
        if headers is not None:
            reply["headers"] = {name: v if isinstance(v, str) else list(v) for name, v in headers.items()}
        rule: dict[str, Any] = {"when": {**_when(request), **(when or {})}, "then": {"reply": reply}}
        if times is not None:
            rule["times"] = times
        return self.rules([rule])[0]

    def rules(self, rules: str | list[dict[str, Any]]) -> list[str]:
        """Add rules, as a list or as YAML text that begins with `rules:`; return their ids."""
        __tracebackhide__ = True
        return self._client.add_rules(rules, self.scope)

    def pending(self) -> list[str]:
        """Return the ids of the rules that were used less often than they say; without `times`, never."""
        rules = self._client.session()["rules"]
        return [rule["id"] for rule in rules if rule["scope"] == self.scope and rule["pending"]]

    # ── exchanges ──────────────────────────────────────────────────────────────────────────────────

    def exchanges(self, where: str | None = None) -> list[Exchange]:
        """Return the exchanges of this test that have ended and match an expression of the filter language."""
        return [Exchange(one) for one in self._client.exchanges(where, self.scope)]

    def assert_called(self, where: str, *, times: int | None = None) -> list[Exchange]:
        """Fail unless a request matched (`times`: exactly so many). Return the exchanges that match."""
        __tracebackhide__ = True
        found = self.exchanges(where)
        if len(found) == times or (times is None and found):
            return found
        wanted = "a request" if times is None else f"{times} request{'' if times == 1 else 's'}"
        verb = "matches" if times in (None, 1) else "match"
        raise AssertionError(f"expected {wanted} that {verb}: {where}\n{self._instead(where, found)}")

    def assert_not_called(self, where: str | None = None) -> None:
        """Fail if a request matched; without an expression, if there was any."""
        __tracebackhide__ = True
        found = self.exchanges(where)
        if found:
            raise AssertionError(f"expected no request that matches: {where or 'any'}\n{_listed('got', found)}")

    def _instead(self, where: str, found: Sequence[Exchange]) -> str:
        """Return what was called, the requests that come nearest to the expression first."""
        if found:
            return _listed(f"got {len(found)}", found)
        others = self.exchanges()
        if not others:
            return "no request was made"
        missing = self._missing(where)
        near = {one.id: _likeness(where, one) for one in others[:_MOST_COMPARED]}
        others.sort(key=lambda one: (len(missing.get(one.id, ())), -near.get(one.id, 0.0)))
        lines = [f"got none; {len(others)} other{'' if len(others) == 1 else 's'}, nearest first:"]
        for number, exchange in enumerate(others[:_MOST_SHOWN], 1):
            differs = missing.get(exchange.id, [])
            lines.append(f"  {number}. {exchange}{f'; not: {chr(32).join(differs)}' if len(differs) == 1 else ''}")
            if len(differs) > 1:
                lines[-1] += f"; not: {', not: '.join(differs)}"
        if len(others) > _MOST_SHOWN:
            lines.append(f"  … and {len(others) - _MOST_SHOWN} more")
        return "\n".join(lines)

    def _missing(self, where: str) -> dict[str, list[str]]:
        """Return for each exchange the parts of an expression that it does not match, if the parts can be told."""
        parts = list(_clauses(where))[:_MOST_CLAUSES]
        missing: dict[str, list[str]] = {}
        if len(parts) < 2:
            return missing
        everything = [one.id for one in self.exchanges()]
        for part in parts:
            try:
                matching = {one.id for one in self.exchanges(part)}
            except ControlError:
                return {}  # the expression was not cut between two of its parts
            for identity in everything:
                if identity not in matching:
                    missing.setdefault(identity, []).append(part)
        return missing


def _likeness(where: str, exchange: Exchange) -> float:
    """Return how much of an expression stands in the request's method and path, from 0 to 1."""
    from difflib import SequenceMatcher  # imported here, because most tests pass

    text = f"{exchange.request.method} {exchange.request.path}"
    return SequenceMatcher(None, where[:_LONGEST], text[:_LONGEST], autojunk=False).ratio()


def _clauses(where: str) -> Iterator[str]:
    """Yield the parts of an expression between its outermost `and`s."""
    start = 0
    for found in _CLAUSE.finditer(where):
        if found[2]:
            yield where[start : found.start()]
            start = found.end()
    yield where[start:]


def _listed(title: str, exchanges: Sequence[Exchange]) -> str:
    lines = [f"  {number}. {exchange}" for number, exchange in enumerate(exchanges[:_MOST_SHOWN], 1)]
    if len(exchanges) > _MOST_SHOWN:
        lines.append(f"  … and {len(exchanges) - _MOST_SHOWN} more")
    return "\n".join([f"{title}:", *lines])


def _when(request: str) -> dict[str, Any]:
    """`POST /orders` → the matchers for it."""
    found = _TARGET.fullmatch(request.strip())
    if found is None:
        raise ValueError(f"expected a request such as 'POST /orders', got {request!r}")
    method, target = found[1], found[2]
    target, mark, query = target.partition("?")
    when: dict[str, Any] = {} if method is None else {"method": method.upper()}
    if "{" in target and target.startswith("/"):
        when["pathTemplate"] = target
    elif target.startswith("/"):
        when["path"] = target
    elif target != "*":
        when["url"] = target
    if mark:
        when["exactQuery"] = f"?{query}"
    return when


@contextmanager
def open_scope(recorder: Recorder, name: str, **options: str) -> Iterator[Mockrec]:
    """Open a scope of a recorder that other code started, and close it at the end."""
    opened = recorder.client.open_scope(name, **options)
    try:
        yield Mockrec(recorder, name, opened)
    finally:
        recorder.client.close_scope(name)
