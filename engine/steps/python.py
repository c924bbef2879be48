"""The step `python`: a function of the user's gets the complete request and returns the response.

It returns a mapping with the keys of `reply` (`status`, `statusMessage`, `headers`, one of `body`, `json` and
`base64`, `trailers`), or the word `close` or `reset`. A body may be a generator (`python_stream.py`). Plain functions
run in a thread, so that a slow one does not delay other exchanges (`usercode/`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.matching.match import MatcherError
from mockrec.engine.rules.model import Python
from mockrec.engine.rules.yaml.scalars import double_quoted
from mockrec.engine.rules.yaml.types import nearest_hint
from mockrec.engine.steps import faults
from mockrec.engine.steps.failures import reply_failure
from mockrec.engine.steps.plan import CompiledSteps, StepHandler
from mockrec.engine.steps.python_stream import Streamed, is_stream
from mockrec.engine.steps.reply import JSON_TYPE, json_bytes
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import Failure, UserError, described
from mockrec.engine.wire.syntax import TOKEN
from mockrec.formats.content import codings as content

_NOT_IN_VALUES = re.compile(r"[^\x01-\xff]|[\r\n]")
_KEYS = ("status", "statusMessage", "headers", "body", "json", "base64", "trailers")


def _ignored(failure: Failure) -> None:
    """Report the failure nowhere."""


def python_handler(function: Callable[..., Any], report: Callable[[Failure], None] = _ignored) -> StepHandler:
    """Respond with the result of `function`. An exception becomes a 500 and a rule-event with the traceback, and is
    passed to `report`."""

    async def handle(exchange: Exchange) -> None:
        await exchange.wait_for_body()
        try:
            response = await call(function, exchange.view, then=to_response)
            await reply_with(function, exchange, response)
        except UserError as failed:
            await user_failed(exchange, failed, report)

    return handle


async def user_failed(exchange: Exchange, failed: UserError, report: Callable[[Failure], None]) -> None:
    """Respond 500 for a function that has failed, log it, and report it."""
    report(failed.failure)
    if exchange.finished:
        return  # the client has left meanwhile
    exchange.log.rule_event(exchange, "python-error", {"error": described(failed.error)})
    await reply_failure(exchange, failed_words(failed.failure))


def to_response(result: Any) -> PreparedResponse | Streamed | str:
    """The response that a function's result stands for, or the word `close` or `reset`. Raises as `response_of`."""
    if isinstance(result, str) and result in ("close", "reset"):
        return str(result)
    if is_stream(result):
        result = {"body": result}
    if isinstance(result, Mapping) and is_stream(result.get("body")):
        return Streamed(response_of({**result, "body": b""}), result["body"])
    return response_of(result)


async def reply_with(
    function: Callable[..., Any], exchange: Exchange, response: PreparedResponse | Streamed | str
) -> None:
    """Send a function's response. Raises UserError for a head that no message can hold."""
    if isinstance(response, str):
        await (faults.close if response == "close" else faults.reset)(exchange)
        return
    try:
        if isinstance(response, Streamed):
            await _send_pieces(function, exchange, response)
        else:
            await exchange.reply(response)
    except ValueError as error:
        if exchange.response_started:
            raise
        raise UserError(function, error) from error


async def _send_pieces(function: Callable[..., Any], exchange: Exchange, response: Streamed) -> None:
    """Send a body in pieces. Raises UserError that names the function which returned the generator."""
    try:
        await response.send(exchange)
    except UserError as failed:
        raise UserError(function, failed.error) from failed.error


def failed_words(failure: Failure) -> str:
    """The failure as the client gets it: which function, where, and what it raised."""
    lines = [f"{failure.function} failed: {failure.error}", *(f"  {frame}" for frame in failure.frames)]
    return "\n".join(lines)


def matcher_failed(error: MatcherError, report: Callable[[Failure], None] = _ignored) -> CompiledSteps:
    """The plan for a `python` matcher that raised, after which no rule can be selected."""

    async def handle(exchange: Exchange) -> None:
        data = {"error": described(error.exception)}
        exchange.log.rule_event(exchange, "python-error", data, rule_id=error.rule_id)
        report(error.failure)
        frames = "".join(f"\n  {frame}" for frame in error.failure.frames)
        await reply_failure(exchange, f"the python matcher of {error}{frames}")

    return CompiledSteps([handle], never_blocks=True)


def response_of(result: Any) -> PreparedResponse:
    """The response that a function's result stands for. Raises TypeError or ValueError for another result."""
    if result is None:
        raise TypeError('it returned None; an answer is a mapping such as {"status": 204}, "close" or "reset"')
    if not isinstance(result, Mapping):
        raise TypeError(
            f'expected a mapping with the keys of reply, "close" or "reset", not {type(result).__name__}'
            + (f" {double_quoted(result[:40])}" if isinstance(result, str) else "")
        )
    for key in result:
        if key not in _KEYS:
            raise ValueError(nearest_hint(str(key), _KEYS, "unknown key"))
    status = result.get("status", 200)
    if type(status) is not int or not 200 <= status <= 599:
        raise ValueError(f"status: expected 200 to 599, got {status!r}")
    reason = result.get("statusMessage")
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"statusMessage: expected text, got {reason!r}")
    headers = pairs_of(result.get("headers"), "headers")
    body, is_json = body_of(result)
    if is_json and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, JSON_TYPE)
    if is_json or isinstance(result.get("body"), str):
        body = _coded(body, headers)
    # Framing is added when it is sent: a length that is not the body's would break the connection.
    headers = tuple(pair for pair in headers if pair[0].lower() not in ("content-length", "transfer-encoding"))
    return PreparedResponse(status, headers, body, reason=reason, trailers=pairs_of(result.get("trailers"), "trailers"))


def _coded(body: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A text body in the content coding that the headers name. Raises ValueError."""
    codings = content.codings_of(", ".join(value for name, value in headers if name.lower() == "content-encoding"))
    return content.encode(body, codings) if codings else body


def body_of(result: Mapping[str, Any]) -> tuple[bytes, bool]:
    """The body in a mapping, and whether it is JSON. Raises TypeError and ValueError."""
    given = [key for key in ("body", "json", "base64") if key in result]
    if len(given) > 1:
        raise ValueError(f"give only one of {' and '.join(given)}")
    if "json" in result:
        return json_bytes(result["json"]), True
    if "base64" in result:
        return base64.b64decode(result["base64"], validate=True), False
    body = result.get("body", b"")
    if isinstance(body, str):
        return body.encode(), False
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"body: expected text or bytes, got {type(body).__name__}; `json` takes data")
    return bytes(body), False


def is_token(value: Any) -> bool:
    """Whether it is a token, as the names of methods and fields are (RFC 9110, 5.6.2)."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def pairs_of(headers: Any, what: str) -> tuple[tuple[str, str], ...]:
    """Header fields as a mapping (values may be lists) or as pairs. Raises TypeError, ValueError."""
    if headers is None:
        return ()
    items = headers.items() if isinstance(headers, Mapping) else headers
    pairs: list[tuple[str, str]] = []
    try:
        for name, value in items:
            values = value if isinstance(value, (list, tuple)) else (value,)
            pairs += [(str(name), str(one)) for one in values]
    except (TypeError, ValueError):
        raise TypeError(f"{what}: expected a mapping or pairs, got {headers!r}") from None
    for name, value in pairs:
        if not TOKEN.fullmatch(name) or _NOT_IN_VALUES.search(value):
            raise ValueError(f"{what}: no message can hold the field {name!r}: {value!r}")
    return tuple(pairs)


STEPS = (
    StepSpec(
        Python,
        lambda step, context: python_handler(context.handlers.resolve(step.handler), context.report_failure),
        never_blocks=False,
        needs_body=True,
    ),
)
