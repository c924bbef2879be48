"""Cross-origin requests (the Fetch standard's CORS protocol): preflights answered, headers added to answers."""

from __future__ import annotations

from mockrec.engine.config import Cors
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.steps.plan import CompiledSteps

_ANY = ("*",)


def prepare(exchange: Exchange, settings: Cors) -> bool:
    """Put the headers on whatever answers `exchange`; True if it is a preflight, to be answered by `PREFLIGHT`."""
    headers = exchange.target.headers
    origin = headers.get("origin")
    if origin is None:
        return False
    exchange.extra_headers = _allowed(settings, origin)
    if exchange.head.method != "OPTIONS" or "access-control-request-method" not in headers:
        return False
    asked = settings.headers or (headers.get("access-control-request-headers", ""),)
    exchange.extra_headers += (
        ("Access-Control-Allow-Methods", ", ".join(settings.methods)),
        *((("Access-Control-Allow-Headers", ", ".join(asked)),) if any(asked) else ()),
        *((("Access-Control-Max-Age", str(settings.max_age)),) if settings.max_age is not None else ()),
    )
    return True


def _allowed(settings: Cors, origin: str) -> tuple[tuple[str, str], ...]:
    # With credentials, or where not everybody may, the one origin is named and caches have to know that.
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
