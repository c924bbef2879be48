"""mitmdump addon: answers every request with the mocked body, before anything goes upstream.

Run in reverse mode with a lazy connection strategy, so that the plain requests of a load
generator are taken and the upstream, which does not exist, is never dialled:

    mitmdump -q -w FILE -s mitm_mock.py --mode reverse:http://127.0.0.1:9
             --set connection_strategy=lazy --listen-host 127.0.0.1 --listen-port 0

Prints its port on stdout when it listens. Runs in mitmproxy's own environment, hence the Any.
"""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx, http  # type: ignore[import-not-found, unused-ignore]


def running() -> None:
    """Called once the servers are bound: the line tells the harness that, and the port."""
    address = ctx.master.addons.get("proxyserver").listen_addrs()[0]
    print(address[1], flush=True)


def request(flow: Any) -> None:
    """An answer that is set here keeps mitmproxy from connecting to the upstream."""
    flow.response = http.Response.make(200, b"Hello", {"content-type": "text/plain"})
