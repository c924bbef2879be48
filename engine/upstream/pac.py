"""Proxy auto-config: the proxies that a script names for a server. Runs in a helper process, which its time limit ends.

Scripts may call the functions that browsers have had since Netscape's (`_LIBRARY`, `pac.js`).
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from typing import Any

from mockrec.engine.upstream.options import ProxyAddress, read_proxy

MISSING = "automatic configuration needs a JavaScript engine: pip install 'mockrec[pac]'"
_LIBRARY = Path(__file__).with_name("pac.js")
_MOST_BYTES = 1 << 20
_FETCH_SECONDS = 10.0
_FRESH_SECONDS = 300.0
"""How long a script is used before it is read again."""
_SCHEMES = {
    "PROXY": "http",
    "HTTP": "http",
    "HTTPS": "https",
    "SOCKS": "socks4a",
    "SOCKS4": "socks4a",
    "SOCKS5": "socks5h",
}
_ANSWER = re.compile(r"([A-Za-z0-9]+)(?:\s+(\S+))?")

_scripts: dict[str, tuple[float, Any]] = {}
"""Source → when it was read, and the interpreter that has loaded it."""


def find_proxies(source: str, url: str, host: str) -> str:
    """The result of `FindProxyForURL` in a file or URL. Raises ValueError, which names the script and the fault."""
    try:
        interpreter = _interpreter(source)
        said = interpreter.evaljs("FindProxyForURL(dukpy.url, dukpy.host)", url=url, host=host)
    except ImportError:
        raise ValueError(MISSING) from None
    except Exception as error:  # the engine's own exceptions, and those of reading the script
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"the proxy script {source} fails: {first_line}") from None
    if said is not None and not isinstance(said, str):
        raise ValueError(f"the proxy script {source} returns {str(said)[:60]}, not text such as DIRECT")
    return said or "DIRECT"


def read_answer(text: str) -> list[ProxyAddress | None]:
    """`PROXY a:3128; SOCKS5 b:1080; DIRECT` → these proxies in their order, None for a direct connection.

    Unknown entries are ignored, as browsers do; if no entry is left, the connection is direct.
    """
    found: list[ProxyAddress | None] = []
    for part in text.split(";"):
        matched = _ANSWER.fullmatch(part.strip())
        if matched is None:
            continue
        word, address = matched[1].upper(), matched[2]
        if word == "DIRECT":
            found.append(None)
        elif word in _SCHEMES and address:
            try:
                found.append(read_proxy(f"{_SCHEMES[word]}://{address}"))
            except ValueError:
                continue
    return found or [None]


def _interpreter(source: str) -> Any:
    read_at, interpreter = _scripts.get(source, (0.0, None))
    if interpreter is None or time.monotonic() - read_at > _FRESH_SECONDS:
        import dukpy

        interpreter = dukpy.JSInterpreter()
        interpreter.export_function("resolve", _resolve)
        interpreter.export_function("own", _own_address)
        interpreter.evaljs(_LIBRARY.read_text(encoding="utf-8"))
        interpreter.evaljs(_read(source))
        _scripts.clear()  # a run has one script, or a few
        _scripts[source] = time.monotonic(), interpreter
    return interpreter


def _read(source: str) -> str:
    if re.match(r"https?://", source):
        from urllib.request import ProxyHandler, build_opener

        with build_opener(ProxyHandler({})).open(source, timeout=_FETCH_SECONDS) as answer:
            data: bytes = answer.read(_MOST_BYTES + 1)
    else:
        with open(source, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    return data.decode("utf-8-sig", "replace")


def _resolve(host: str) -> str | None:
    """The IPv4 address of a host, as scripts expect it."""
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        return None


def _own_address() -> str:
    """This machine's address on the route to the internet; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
