"""Cross-origin requests (the Fetch standard's CORS protocol): answers preflights and adds headers to responses."""

from __future__ import annotations

from mockrec.engine.config import Cors
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.steps.plan import CompiledSteps

_ANY = ("*",)


def prepare(exchange: Exchange, settings: Cors) -> bool:
    """Add the headers to the response of `exchange`. Return True for a preflight, which `PREFLIGHT` answers."""
    headers = exchange.target.headers
    origin = headers.get("origin")
    if origin is None:
        return False
    exchange.extra_headers = _allowed(settings, origin)
    if exchange.head.method != "OPTIONS" or "access-control-request-method" not in headers:
        return False
    requested = settings.headers or (headers.get("access-control-request-headers", ""),)
    exchange.extra_headers += (
        ("Access-Control-Allow-Methods", ", ".join(settings.methods)),
        *((("Access-Control-Allow-Headers", ", ".join(requested)),) if any(requested) else ()),
        *((("Access-Control-Max-Age", str(settings.max_age)),) if settings.max_age is not None else ()),
    )
    return True


def _allowed(settings: Cors, origin: str) -> tuple[tuple[str, str], ...]:
    """The headers that every response to `origin` gets."""
    # With credentials, or if not every origin is allowed, the one origin is named, and caches have to know that.
    if settings.origins == _ANY and not settings.credentials:
        pairs: tuple[tuple[str, str], ...] = (("Access-Control-Allow-Origin", "*"),)
    elif settings.origins == _ANY or origin in settings.origins:
        pairs = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
    else:
        return (("Vary", "Origin"),)
    if settings.credentials:
        pairs += (("Access-Control-Allow-Credentials", "true"),)
    if settings.expose:
        pairs += (("Access-Control-Expose-Headers", ", ".join(settings.expose)),)
    return pairs


async def _answer_preflight(exchange: Exchange) -> None:
    await exchange.reply(PreparedResponse(204))


PREFLIGHT = CompiledSteps([_answer_preflight], never_blocks=True)
