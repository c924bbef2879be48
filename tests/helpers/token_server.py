"""A shop in this process whose cookies, tokens, codes and ids are others each time it is started, and a client of it."""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx


class Shop:
    """The state of one server."""

    def __init__(self, first_id: int) -> None:
        self.next_id = first_id
        self.given: set[str] = set()
        self.items: dict[int, str] = {}
        self.asked: list[tuple[str, str, int]] = []
        """Method, target and status of each request."""
        self.hold: Callable[[str], None] = lambda target: None
        """Called with the target before each response."""

    def new(self, kind: str) -> str:
        """Return a new random value, and remember it."""
        value = secrets.token_urlsafe(18) + "0a1"
        self.given.add(f"{kind} {value}")
        return value

    def knows(self, kind: str, value: str | None) -> bool:
        """Return whether the server issued this value."""
        return f"{kind} {value}" in self.given


def answer(shop: Shop, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any, list[tuple[str, str]]]:
    """Return status, content (JSON or text) and further fields of the response."""
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    form = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
    cookies = {name: one.value for name, one in SimpleCookie(headers.get("Cookie", "")).items()}
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    match method, url.path:
        case "GET", "/login":
            csrf = shop.new("csrf")
            return 200, f'<form><input type="hidden" name="csrf" value="{csrf}"></form>', [("Set-Cookie", f"t={csrf}")]
        case "POST", "/login" if shop.knows("csrf", form.get("csrf")) and cookies.get("t") == form["csrf"]:
            return 302, "", [("Set-Cookie", f"sid={shop.new('sid')}; HttpOnly"), ("Location", "/home")]
        case "GET", "/home" if shop.knows("sid", cookies.get("sid")):
            return 200, "hello", []
        case "GET", "/authorize":
            return 302, "", [("Location", f"/cb?code={shop.new('code')}&state={shop.new('state')}")]
        case "GET", "/cb" if shop.knows("code", query.get("code")) and shop.knows("state", query.get("state")):
            return 200, "come in", []
        case "POST", "/token" if shop.knows("code", form.get("code")):
            return (
                200,
                {"access_token": shop.new("bearer"), "client": {"name": shop.new("user"), "secret": shop.new("pw")}},
                [],
            )
        case "POST", "/items" if scheme == "Bearer" and shop.knows("bearer", token):
            number, shop.next_id = shop.next_id, shop.next_id + 1
            shop.items[number] = json.loads(body)["name"]
            return 201, {"id": number, "page": 1, "lang": "en"}, []
        case "POST", "/orders" if json.loads(body).get("item_id") in shop.items and json.loads(body)["count"] == 1:
            return 201, {"ok": True}, []
        case "POST", "/upload" if f'name="item_id"\r\n\r\n{max(shop.items, default=-1)}\r\n'.encode() in body:
            return 200, "stored", []
        case "GET", "/basic" if scheme == "Basic":
            user, _, password = base64.b64decode(token).decode().partition(":")
            return (200, "in", []) if shop.knows("user", user) and shop.knows("pw", password) else (401, "out", [])
        case "GET", "/list":
            cursor = query.get("after")
            if cursor and not shop.knows("cursor", cursor):
                return 400, "bad cursor", []
            return 200, {"page": 1, "next": None if cursor else f"/list?after={shop.new('cursor')}&limit=2"}, []
        case _ if (found := re.fullmatch(r"/items/(\d+)", url.path)) and int(found[1]) in shop.items:
            tag = f'"{found[1]}-{shop.items[int(found[1])]}"'
            if method == "PUT" and headers.get("If-Match") != tag:
                return 412, "changed", []
            return 200, {"id": int(found[1])}, [("ETag", tag)]
    return 403, "no", []


@contextmanager
def token_server(first_id: int) -> Iterator[tuple[str, Shop]]:
    """Run the server until the end of the block; yield its URL and state."""
    shop = Shop(first_id)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            shop.hold(self.path)
            status, content, fields = answer(shop, self.command, self.path, self.headers, body)
            shop.asked.append((self.command, self.path, status))
            is_json = not isinstance(content, str)
            data = json.dumps(content).encode() if is_json else content.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if is_json else "text/html")
            for name, value in (*fields, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def visit(url: str) -> None:
    """Send the requests of a browser, an API client and an uploader, each with values of earlier responses."""
    with httpx.Client(base_url=url, timeout=30) as client:
        csrf = re.search('value="([^"]+)"', client.get("/login").text)
        assert csrf is not None
        client.post("/login", data={"csrf": csrf[1]})
        client.get("/home")
        callback = client.get("/authorize").headers["location"]
        client.get(callback)
        code = httpx.URL(callback).params["code"]
        got = client.post("/token", data={"grant_type": "authorization_code", "code": code}).json()
        bearer = {"Authorization": f"Bearer {got['access_token']}"}
        made = client.post("/items", json={"name": "cup"}, headers=bearer).json()["id"]
        tag = client.get(f"/items/{made}").headers["etag"]
        client.put(f"/items/{made}", json={"page": 1, "lang": "en"}, headers={"If-Match": tag})
        client.post("/orders", json={"item_id": made, "count": 1})
        client.post("/upload", data={"item_id": str(made)}, files={"f": b"bytes"})
        client.get("/basic", auth=(got["client"]["name"], got["client"]["secret"]))
        client.get(client.get("/list").json()["next"])
