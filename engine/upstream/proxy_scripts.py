"""The proxies for a server: the one of the options, or those that a proxy script names (`pac.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockrec.engine import clock
from mockrec.engine.bounded_cache import remember
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.upstream.errors import PROXY_FAILED, UpstreamError
from mockrec.engine.upstream.options import ProxyAddress
from mockrec.engine.upstream.pac import find_proxies, read_answer

if TYPE_CHECKING:
    from mockrec.engine.upstream.route import Route

_FRESH_MS = 60_000.0
_MOST = 1024

Proxies = list[ProxyAddress | None]
"""In the order in which they are tried; None is a direct connection."""


class ProxyScripts:
    """Runs proxy scripts in helper processes, once a minute for each server."""

    def __init__(self, helpers: Helpers | None = None) -> None:
        """Without `helpers`, no script can be run."""
        self._helpers = helpers
        self._found: dict[tuple[str, str], tuple[float, Proxies]] = {}
        """Script and URL → when the script was run, and its result."""

    async def proxies_for(self, route: Route) -> Proxies:
        """The proxies for a server. Raises UpstreamError for a script that cannot be used."""
        options, secure = route.options, route.secure or route.raw
        source = options.settings.pac
        if source is None:
            return [options.proxy_for(route.name, route.port, secure=secure)]
        if options.is_direct(route.name, route.port):
            return [None]
        scheme = "https" if secure else "http"
        default = 443 if secure else 80
        url = f"{scheme}://{route.name if route.port == default else route}/"
        asked_at, proxies = self._found.get((source, url), (0.0, []))
        if not proxies or clock.now() - asked_at > _FRESH_MS:
            if self._helpers is None:
                raise UpstreamError(PROXY_FAILED, f"the proxy script {source} cannot be run here")
            try:
                proxies = read_answer(await self._helpers.call(find_proxies, source, url, route.name))
            except TooLong as why:
                raise UpstreamError(
                    PROXY_FAILED, f"the proxy script {source} {why} (server.limits.matchTime)"
                ) from None
            except ValueError as error:
                raise UpstreamError(PROXY_FAILED, str(error)) from None
            remember(self._found, (source, url), (clock.now(), proxies), _MOST)
        return proxies
