"""A small web site for browsers: a page that makes every kind of request, and its server."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PART = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(5000))
"""Long enough to be stored in a file next to the session."""
PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>loading</title><link rel="icon" href="/icon.png">
<link rel="stylesheet" href="/site.css"><script type="module" src="/site.js"></script></head>
<body><p>text é</p><img src="/image.png" alt=""><iframe src="/frame.html"></iframe></body></html>
"""
STYLE = """@font-face { font-family: Site; src: url(/site.woff2); }
p { font-family: Site, sans-serif; background: url(/background.png); }
"""
SCRIPT = """import { part } from "/part.js"
const told = {}
const hash = async text => [...new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))]
    .map(byte => byte.toString(16).padStart(2, "0")).join("")
told.part = await hash(part)
told.fetch = (await (await fetch("/api/fetch")).json()).name
told.moved = (await (await fetch("/api/moved")).json()).name
told.posted = (await (await fetch("/api/post", {method: "POST", body: JSON.stringify({a: 1}),
    headers: {"Content-Type": "application/json"}})).json()).sent
told.bytes = (await (await fetch("/api/post", {method: "POST", body: new Uint8Array([0, 254, 255]),
    headers: {"Content-Type": "application/octet-stream"}})).json()).sent
told.empty = (await fetch("/api/empty")).status
told.xhr = await new Promise(done => {
    const request = new XMLHttpRequest()
    request.onload = () => done(request.responseText)
    request.onerror = () => done("failed")
    request.open("GET", "/api/xhr")
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest")
    request.send()
})
told.events = await new Promise(done => {
    const source = new EventSource("/api/events"), seen = []
    source.onmessage = event => {
        seen.push(event.data)
        if (seen.length === 2) { source.close(); done(seen) }
    }
})
await document.fonts.ready
const image = document.querySelector("img"), frame = document.querySelector("iframe")
told.image = image.naturalWidth
told.frame = frame.contentDocument.body.textContent.trim()
told.font = getComputedStyle(document.querySelector("p")).fontFamily
told.cookies = document.cookie.split("; ").sort()
document.title = JSON.stringify(told)
"""
TOLD = {
    "part": hashlib.sha256(PART.encode()).hexdigest(),
    "fetch": "fetched",
    "moved": "fetched",
    "posted": '{"a":1}',
    "bytes": "AP7/",
    "empty": 204,
    "xhr": '{"name": "xhr é"}',
    "events": ["one", "two"],
    "image": 1,
    "frame": "framed",
    "font": "Site, sans-serif",
    "cookies": ["first=1", "second=2"],
}
"""The page's title, as JSON, once everything is loaded."""
_JSON = "application/json"
_CONTENTS: dict[str, tuple[str, bytes]] = {
    "/": ("text/html; charset=utf-8", PAGE.encode()),
    "/frame.html": ("text/html", b"<body>framed</body>"),
    "/site.css": ("text/css", STYLE.encode()),
    "/site.js": ("text/javascript", SCRIPT.encode()),
    "/part.js": ("text/javascript", f'export const part = "{PART}"'.encode()),
    "/image.png": ("image/png", IMAGE),
    "/background.png": ("image/png", IMAGE),
    "/icon.png": ("image/png", IMAGE),
    "/site.woff2": ("font/woff2", b"wOF2 that is none"),
    "/api/fetch": (_JSON, b'{"name": "fetched"}'),
    "/api/xhr": ("text/plain; charset=iso-8859-1", '{"name": "xhr é"}'.encode("latin-1")),
    "/api/events": ("text/event-stream; charset=utf-8", b"data: one\n\ndata: two\n\n"),
}
PATHS = frozenset(_CONTENTS) | {"/start", "/api/post", "/api/moved", "/api/empty"}
"""The paths that a browser requests to show the page."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/start":
            self._answer(302, b"", ("Location", "/"))
        elif self.path == "/api/moved":
            self._answer(307, b"", ("Location", "/api/fetch"))
        elif self.path == "/api/empty":
            self._answer(204, b"")
        elif self.path in _CONTENTS:
            kind, body = _CONTENTS[self.path]
            fields = [("Content-Type", kind)]
            if self.path == "/":
                fields += [("Set-Cookie", "first=1"), ("Set-Cookie", "second=2; Path=/")]
            if self.path in ("/site.css", "/part.js"):
                body = gzip.compress(body)
                fields.append(("Content-Encoding", "gzip"))
            self._answer(200, body, *fields)
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        told = sent.decode() if sent.isascii() else base64.b64encode(sent).decode()
        self._answer(200, json.dumps({"sent": told}).encode(), ("Content-Type", _JSON))

    def _answer(self, status: int, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def site(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve the site on loopback until the end of the block; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
