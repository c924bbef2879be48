"""The step `reply`: a complete response, the same for all requests, rendered for each, or with a body from a file."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.model import BodySource, HeaderPairs, Reply, SourceLocation
from mockrec.engine.rules.templates.template import (
    Scope,
    TemplateError,
    compile_headers,
    compile_template,
    compile_tree,
)
from mockrec.engine.steps.failures import reply_failure, template_failed, unsendable_head
from mockrec.engine.steps.folder import folder_handler
from mockrec.engine.steps.plan import StepHandler
from mockrec.engine.steps.spec import StepSpec
from mockrec.engine.steps.template_scope import TemplateScopes, let_others
from mockrec.formats.files.small_file import BODY_LIMIT, read_small

JSON_TYPE = ("Content-Type", "application/json")
_PIECE = 64 * 1024
"""Longer files are read piece by piece, as the client takes them; one piece is in memory."""


def reply_handler(step: Reply, scopes: TemplateScopes) -> StepHandler:
    """Respond as the step says."""
    if step.body.folder is not None:
        return folder_handler(step)
    if step.body.file is not None:
        return _file_handler(step, step.body.file, scopes)
    if step.template:
        return _template_handler(step, scopes)
    response = _fixed(step)

    async def handle(exchange: Exchange) -> None:
        await exchange.reply(response)

    return handle


def responder(step: Reply, scopes: TemplateScopes) -> Callable[[Exchange], Awaitable[PreparedResponse]]:
    """A function that returns the step's complete response to an exchange. It raises TemplateError and OSError."""
    fixed = None if step.template or step.body.file is not None else _fixed(step)
    render = _rendering(step) if step.template else None
    path = step.body.file

    async def respond(exchange: Exchange) -> PreparedResponse:
        if fixed is not None:
            return fixed
        if render is not None:
            await exchange.wait_for_body()
        if render is None:
            result = _fixed(step)
        else:
            scope = scopes.of(exchange)
            try:
                result = render(scope)
            finally:
                await let_others(scope)
        if path is not None:
            result.body = await anyio.to_thread.run_sync(read_small, path, BODY_LIMIT)
        return result

    return respond


def reads_file(step: Reply) -> bool:
    """Whether the body comes from a file, which may have to be waited for."""
    return step.body.file is not None or step.body.folder is not None


def _fixed(step: Reply) -> PreparedResponse:
    return PreparedResponse(
        step.status, headers_of(step), body_bytes(step.body), reason=step.status_message, trailers=step.trailers
    )


def headers_of(step: Reply) -> HeaderPairs:
    """The step's headers, with the content type of JSON unless the rule names one."""
    if step.body.is_json and not any(name.lower() == "content-type" for name, _ in step.headers):
        return (*step.headers, JSON_TYPE)
    return step.headers


def body_bytes(source: BodySource) -> bytes:
    """A body that the rule file contains."""
    if source.is_json:
        return json_bytes(source.json)
    if source.data is not None:
        return source.data
    return (source.text or "").encode()


def json_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# ── templates ──────────────────────────────────────────────────────────────────────────────────────


def _template_handler(step: Reply, scopes: TemplateScopes) -> StepHandler:
    respond = responder(step, scopes)

    async def handle(exchange: Exchange) -> None:
        try:
            await exchange.reply(await respond(exchange))
        except TemplateError as error:
            await template_failed(exchange, step.place, error)
        except ValueError as error:
            await unsendable_head(exchange, step.place, error)

    return handle


def _rendering(step: Reply) -> Callable[[Scope], PreparedResponse]:
    place = step.body.place or step.place
    headers = compile_headers(headers_of(step), step.place)
    trailers = compile_headers(step.trailers, step.place)
    body = _body_rendering(step.body, place)

    def render(context: Scope) -> PreparedResponse:
        return PreparedResponse(
            step.status,
            headers.render(context),
            body(context),
            reason=step.status_message,
            trailers=trailers.render(context),
        )

    return render


def _body_rendering(source: BodySource, place: SourceLocation) -> Callable[[Scope], bytes]:
    if source.is_json:
        tree = compile_tree(source.json, place)
        return lambda context: json_bytes(tree.render(context))
    if source.text is not None:
        text = compile_template(source.text, place)
        return lambda context: text.render(context).encode("utf-8", "replace")
    data = source.data or b""
    return lambda context: data


# ── files ──────────────────────────────────────────────────────────────────────────────────────────


def _file_handler(step: Reply, path: str, scopes: TemplateScopes) -> StepHandler:
    """The file is read for each response, so that it can be edited while mockrec runs."""
    headers = compile_headers(step.headers, step.place) if step.template else None
    trailers = compile_headers(step.trailers, step.place) if step.template else None

    async def handle(exchange: Exchange) -> None:
        pairs, fields = step.headers, step.trailers
        if headers is not None and trailers is not None:
            await exchange.wait_for_body()
            try:
                context = scopes.of(exchange)
                pairs, fields = headers.render(context), trailers.render(context)
            except TemplateError as error:
                await template_failed(exchange, step.place, error)
                return
        try:
            await _send_file(
                exchange, path, PreparedResponse(step.status, pairs, reason=step.status_message, trailers=fields)
            )
        except ValueError as error:
            await unsendable_head(exchange, step.place, error)

    return handle


async def _send_file(exchange: Exchange, path: str, response: PreparedResponse) -> None:
    """Send `response` with the file's content as its body. Raises ValueError for a head that cannot be sent."""
    try:
        file = await anyio.open_file(path, "rb")
    except OSError as error:
        await reply_failure(exchange, f"cannot read {path}: {error.strerror or error}")
        return
    async with file:
        try:
            data = await file.read(_PIECE + 1)
            size = await file.seek(0, 2) if len(data) > _PIECE else len(data)
            await file.seek(len(data))
        except OSError as error:
            await reply_failure(exchange, f"cannot read {path}: {error.strerror or error}")
            return
        if len(data) <= _PIECE:
            response.body = data
            await exchange.reply(response)
            return
        await exchange.begin(response, size)
        left = size
        while data:
            # A file that grows meanwhile must not break the length that was promised.
            await exchange.send(data[:left])
            left -= min(left, len(data))
            data = await file.read(min(_PIECE, left)) if left else b""
        if left:
            exchange.abort({"name": "AbortError", "code": "E_RULE_FILE", "message": f"{path} became shorter"})
            exchange.channel.close()
            return
        await exchange.finish()


STEPS = (
    StepSpec(
        Reply,
        lambda step, context: reply_handler(step, context.scopes),
        never_blocks=lambda step: not reads_file(step),
        needs_body=lambda step: step.template,
    ),
)
