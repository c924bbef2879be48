"""The requests of the control API: what each may contain, and what it is answered with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, unquote

import orjson

from mockrec.engine.errors import ConfigError, RuleFileError
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.scope import Scope
from mockrec.engine.run.control import metrics
from mockrec.engine.run.control.cassette import ScopeCassette, options_of
from mockrec.engine.run.control.guard import refusal
from mockrec.engine.run.control.posted import load_posted
from mockrec.engine.run.control.scope_files import Written
from mockrec.engine.server.admission import SCOPE_FIELD, USER_PREFIX
from mockrec.engine.usercode.calls import own_call
from mockrec.formats.files.scope_names import PLACEHOLDER
from mockrec.formats.query import FilterError, parse
from mockrec.formats.schema.errors import FormatError

if TYPE_CHECKING:
    from mockrec.engine.run.control.control import Control

_JSON: Final = "application/json"
_MOST_SCOPES: Final = 10_000
_LONGEST_NAME: Final = 1000
_AT_ONCE: Final = 16 * 1024
"""Bytes of rules that are read in the event loop; longer ones in a thread."""
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ApiError(Exception):
    """A request that cannot be done, with the status that says so."""

    def __init__(self, status: int, message: str, problems: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problems = problems or []


class Call:
    """One request."""

    def __init__(self, exchange: Exchange, rest: str, query: dict[str, list[str]]) -> None:
        self.rest = rest
        """The path behind that of its route, decoded."""
        self._exchange = exchange
        self._query = query

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query; None if it is not given."""
        given = self._query.get(name, [])
        if len(given) > 1:
            raise ApiError(400, f"the parameter {name} is given {len(given)} times; expected once")
        return given[0] if given else None

    async def body(self) -> bytes:
        """Return the request body."""
        await self._exchange.wait_for_body()
        body = self._exchange.request_body
        if body.truncated:
            raise ApiError(413, f"the body is longer than {body.limit} bytes")
        if self._exchange.target.headers.get("content-encoding", "identity") != "identity":
            raise ApiError(415, "the body must have no Content-Encoding")
        return body.kept

    @property
    def is_yaml(self) -> bool:
        """Whether the body is YAML."""
        return "yaml" in str(self._exchange.target.headers.get("content-type", "")).lower()


Answer = tuple[int, Any]
"""Status and JSON value; bytes are sent as they are."""
Action = Callable[["ControlApi", Call], Awaitable[Answer]]


class ControlApi:
    """Answers the requests for one control API. `handle` is the step that answers all of them."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def handle(self, exchange: Exchange) -> None:
        """Answer a request."""
        target = exchange.target
        refused = refusal(target.headers, target.hostname, self._control.settings.token)
        if refused is not None:
            status, message = refused
            await self._reply(exchange, status, _error(message))
            return
        kind = _JSON
        try:
            action, call = _route(exchange)
            status, value = await action(self, call)
        except ApiError as error:
            status, value = error.status, _error(str(error), error.problems)
        if isinstance(value, str):
            kind = metrics.CONTENT_TYPE if target.path.startswith("/v1/metrics") else "text/plain; charset=utf-8"
        await self._reply(exchange, status, value, kind)

    async def _reply(self, exchange: Exchange, status: int, value: Any, kind: str = _JSON) -> None:
        body = b"" if value is None else value.encode() if isinstance(value, str) else orjson.dumps(value)
        headers = [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        if status == 405:
            headers.append(("Allow", ", ".join(sorted(_methods_of(exchange)))))
        headers.append(("Content-Length", str(len(body))))
        await exchange.reply(PreparedResponse(status, tuple(headers), body, is_own=True))

    # ── the session ────────────────────────────────────────────────────────────────────────────────

    async def session(self, call: Call) -> Answer:
        """`GET /v1/session`."""
        await self._control.settle()
        return 200, self._control.described()

    async def reset(self, call: Call) -> Answer:
        """`POST /v1/reset`."""
        await self._control.reset()
        return 200, {}

    async def flush(self, call: Call) -> Answer:
        """`POST /v1/flush`."""
        return 200, {"seq": await self._control.flush()}

    async def exchanges(self, call: Call) -> Answer:
        """`GET /v1/exchanges`."""
        where, scope, limit = call.parameter("where"), call.parameter("scope"), call.parameter("limit")
        if limit is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", limit):
            raise ApiError(400, f"limit: expected a number from 1, got {limit!r}")
        try:
            plan = parse(where) if where else None
        except FilterError as error:
            problem = {"line": 1, "column": error.position + 1, "message": error.message}
            raise ApiError(400, str(error), [problem]) from None
        return 200, await self._control.exchanges(plan, scope, None if limit is None else int(limit))

    async def health(self, call: Call) -> Answer:
        """`GET /v1/health`."""
        return 200, "ok\n"

    async def metrics(self, call: Call) -> Answer:
        """`GET /v1/metrics`."""
        return 200, self._control.metrics_text

    # ── rules ──────────────────────────────────────────────────────────────────────────────────────

    async def add_rules(self, call: Call) -> Answer:
        """`POST /v1/rules`."""
        control, body = self._control, await call.body()
        named = call.parameter("scope")

        def load() -> Any:
            return load_posted(body, is_yaml=call.is_yaml, folder=control.folder, cassettes=control.settings.cassettes)

        try:
            loaded, given = load() if len(body) <= _AT_ONCE else await own_call(load)
            scope = self._open_scope(given if given is not None else named)
            ids = await control.rules.add(loaded, scope)
        except RuleFileError as error:
            problems = [
                {"line": one.line, "column": one.column, "where": one.where, "message": one.message}
                for one in error.problems
            ]
            raise ApiError(422, str(error), problems) from None
        except ConfigError as error:
            raise ApiError(422, str(error)) from None
        return 201, {"ids": ids, "warnings": [str(warning) for warning in loaded.warnings]}

    async def remove_rules(self, call: Call) -> Answer:
        """`DELETE /v1/rules`."""
        name, scope = call.parameter("id"), call.parameter("scope")
        removed = await self._control.rules.remove(name, self._open_scope(scope))
        if name is not None and not removed:
            raise ApiError(404, f"no rule with the id {name!r} was added")
        return 200, {"removed": removed}

    # ── scopes ─────────────────────────────────────────────────────────────────────────────────────

    async def open_scope(self, call: Call) -> Answer:
        """`PUT /v1/scopes/NAME`: open a scope; one that is open begins again."""
        control, name = self._control, call.rest
        admission = control.admission
        if not name or len(name) > _LONGEST_NAME or _CONTROL_CHARACTER.search(name):
            raise ApiError(422, f"a scope's name has 1 to {_LONGEST_NAME} characters, and no control characters")
        if len(admission.scopes) >= _MOST_SCOPES and name not in admission.scopes:
            raise ApiError(422, f"{_MOST_SCOPES} scopes are open; close some with DELETE /v1/scopes/NAME")
        cassette = await self._cassette(_object(await call.body()), name)
        try:
            self._refuse_second_writer(cassette, name)
            while name in admission.scopes:
                await self._end(name)
                self._refuse_second_writer(cassette, name)
        except ApiError:
            if cassette is not None:
                cassette.replays.close()
            raise
        try:
            scope = control.rules.open(name, cassette)
        except ConfigError as error:
            raise ApiError(422, str(error)) from None
        try:
            control.files.begin(scope, control.rules.of(scope).recordings)
        except ConfigError as error:
            control.rules.close(scope)
            raise ApiError(422, str(error)) from None
        admission.scopes[name] = scope
        admission.was_opened = True
        return 200, self._described(scope)

    async def _end(self, name: str) -> None:
        """Close a scope that begins again; another request may have closed it meanwhile. Raises ApiError."""
        try:
            await self._write(name, passed=False)
        except ApiError as error:
            if error.status != 404:
                raise

    def _refuse_second_writer(self, cassette: ScopeCassette | None, name: str) -> None:
        """Raise ApiError if another open scope records into the cassette."""
        if cassette is None or not cassette.records:
            return
        other = self._control.rules.writer_of(cassette.path, name)
        if other is not None:
            raise ApiError(
                409,
                f"the open scope {other!r} records into {cassette.path}; with {PLACEHOLDER} in the name of the cassette"
                " each scope has a file of its own",
            )

    async def close_scope(self, call: Call) -> Answer:
        """`DELETE /v1/scopes/NAME`. A scope whose file cannot be written stays open, so that nothing is lost."""
        outcome = call.parameter("outcome")
        if outcome not in (None, "passed", "failed"):
            raise ApiError(400, f"outcome: expected passed or failed, got {outcome!r}")
        described, written = await self._write(call.rest, passed=outcome == "passed")
        return 200, described | {"added": written.added, "notAdded": written.left_out}

    async def _write(self, name: str, *, passed: bool) -> tuple[dict[str, Any], Written]:
        """Close a scope when its files are written; return what it was, and what was written. Raises ApiError."""
        control = self._control
        await control.flush()
        async with control.closing:
            scope = self._open_scope(name)
            assert scope is not None
            described, recordings = self._described(scope), control.rules.of(scope).recordings
            try:
                written = await control.files.write(scope, recordings, passed=passed)
            except FormatError as error:
                raise ApiError(500, f"the scope stays open, because its file cannot be written: {error}") from None
            if control.admission.scopes.get(scope.name) is scope:
                self._close(scope)
        return described, written

    async def show_scope(self, call: Call) -> Answer:
        """`GET /v1/scopes/NAME`."""
        await self._control.settle()
        scope = self._open_scope(call.rest)
        assert scope is not None
        return 200, self._described(scope)

    def _close(self, scope: Scope) -> None:
        del self._control.admission.scopes[scope.name]
        scope.closed = True
        self._control.files.forget(scope)
        self._control.rules.close(scope)

    async def _cassette(self, given: Mapping[str, Any], scope: str) -> ScopeCassette | None:
        """Return the recordings that a PUT asks for. Raises ApiError."""
        control = self._control
        try:
            options = options_of(given, scope, control.settings.cassettes)
            if options is None:
                return None
            return await own_call(ScopeCassette, options, control.responder)
        except ConfigError as error:
            raise ApiError(422, str(error)) from None

    def _open_scope(self, name: str | None) -> Scope | None:
        """Return the open scope of this name, None for None. Raises ApiError."""
        if name is None:
            return None
        scope = self._control.admission.scopes.get(name)
        if scope is None:
            raise ApiError(404, f"no scope {name!r} is open")
        return scope

    def _described(self, scope: Scope) -> dict[str, Any]:
        control = self._control
        url, name = control.server_url, quote(scope.name, safe="")
        cassette = control.rules.of(scope).cassette
        return {
            "name": scope.name,
            "proxyUrl": url.replace("://", f"://{USER_PREFIX}{name}{control.proxy_password}@", 1),
            "url": url,
            "header": {SCOPE_FIELD: name},
            "exchanges": scope.exchanges,
            "unmatched": scope.unmatched,
            "served": scope.served,
            "missed": scope.missed,
            "expired": scope.expired,
            "unused": 0 if cassette is None else cassette.unused,
        }


_PARAMETERS: Final = {
    ("/v1/rules", "POST"): ("scope",),
    ("/v1/rules", "DELETE"): ("id", "scope"),
    ("/v1/exchanges", "GET"): ("where", "scope", "limit"),
    ("/v1/scopes/", "DELETE"): ("outcome",),
}
"""The parameters of a query that a request may have."""
_ROUTES: Final[dict[str, dict[str, Action]]] = {
    "/v1/session": {"GET": ControlApi.session},
    "/v1/rules": {"POST": ControlApi.add_rules, "DELETE": ControlApi.remove_rules},
    "/v1/reset": {"POST": ControlApi.reset},
    "/v1/flush": {"POST": ControlApi.flush},
    "/v1/exchanges": {"GET": ControlApi.exchanges},
    "/v1/scopes/": {
        "GET": ControlApi.show_scope,
        "PUT": ControlApi.open_scope,
        "DELETE": ControlApi.close_scope,
    },
    "/v1/health": {"GET": ControlApi.health},
    "/v1/metrics": {"GET": ControlApi.metrics},
}
"""Path → method → action. A path that ends with a slash is followed by a name."""


def _split(exchange: Exchange) -> tuple[str, str, str]:
    """Return the route's path, what follows it, and the query."""
    path, _, query = exchange.target.path.partition("?")
    for route in _ROUTES:
        if path == route or (route.endswith("/") and path.startswith(route)):
            return route, path[len(route) :], query
    return "", "", query


def _methods_of(exchange: Exchange) -> list[str]:
    return list(_ROUTES.get(_split(exchange)[0], ()))


def _route(exchange: Exchange) -> tuple[Action, Call]:
    """Return what a request asks for. Raises ApiError."""
    route, rest, query = _split(exchange)
    if not route:
        known = ", ".join(f"{path}NAME" if path.endswith("/") else path for path in _ROUTES)
        raise ApiError(404, f"there is no such path; expected one of {known}")
    action = _ROUTES[route].get(exchange.head.method)
    if action is None:
        raise ApiError(405, f"{exchange.head.method} is not possible here; expected {' or '.join(_ROUTES[route])}")
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise ApiError(400, "the query has more than 20 parameters") from None
    allowed = _PARAMETERS.get((route, exchange.head.method), ())
    for name in given:
        if name not in allowed:
            known = f"; expected {' or '.join(allowed)}" if allowed else "; expected none"
            raise ApiError(400, f"unknown parameter {name!r}{known}")
    return action, Call(exchange, unquote(rest), given)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; an empty body is an empty object. Raises ApiError."""
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        problem = {"line": error.lineno, "column": error.colno, "message": error.msg}
        raise ApiError(400, f"the body is not JSON: {error.msg}", [problem]) from None
    if not isinstance(value, dict):
        raise ApiError(422, 'expected a JSON object such as {"cassette": "orders.jsonl"}')
    return value


def _error(message: str, problems: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "problems": problems or []}}
