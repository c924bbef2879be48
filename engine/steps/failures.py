"""Failures of a rule: a 500 with the reason, and a rule-event."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.templates.template import TemplateError

TEXT_TYPE = ("Content-Type", "text/plain; charset=utf-8")


async def reply_failure(exchange: Exchange, message: str) -> None:
    """Respond 500 with a text, or end the connection if a response has begun."""
    rule = exchange.acting_rule or exchange.rule
    text = f"rule {rule.rule.id} ({rule.rule.place.file}:{rule.rule.place.line}): {message}" if rule else message
    if exchange.response_started:
        exchange.abort({"name": "RuleError", "code": "E_RULE_FAILED", "message": text})
        exchange.channel.close()
        return
    await exchange.reply(PreparedResponse(500, (TEXT_TYPE,), f"{text}\n".encode("utf-8", "replace"), is_own=True))


async def template_failed(exchange: Exchange, place: SourceLocation, error: TemplateError) -> None:
    """Respond for a template that failed on this request, and log it."""
    where = f"{place.file}:{error.place_line}:{error.column}"
    exchange.log.rule_event(
        exchange, "template-error", {"message": error.message, "file": place.file, "line": error.place_line}
    )
    await reply_failure(exchange, f"the template in {where} failed: {error.message}")


async def unsendable_head(exchange: Exchange, place: SourceLocation, error: ValueError) -> None:
    """Respond for a header field that a template has made and no head can hold, and log it."""
    await template_failed(exchange, place, TemplateError(place.line, str(error)))
