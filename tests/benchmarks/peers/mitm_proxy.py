"""mitmdump addon: prints the port on stdout when mitmdump listens, and changes nothing."""

from __future__ import annotations

from mitmproxy import ctx  # type: ignore[import-not-found, unused-ignore]


def running() -> None:
    """Called once the servers are bound."""
    address = ctx.master.addons.get("proxyserver").listen_addrs()[0]
    print(address[1], flush=True)
