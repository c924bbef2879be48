"""The COMMAND of the recordings: uses what needs a package of its own in mockrec. Its exit code is 0 if all went well."""

import base64
import json
import os
import socket
import urllib.error
import urllib.request

LONG = 300_000  # more than stays in the log itself
BROTLI = base64.b64decode("iwWAeyJpdGVtcyI6IDV9Aw==")

recorder = os.environ["MOCKREC_URL"]
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with direct.open(urllib.request.Request(recorder + path, body, fields), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


assert ask("/hello") == (200, b"Hello, GET")
order = json.dumps({"items": 3}).encode()
assert ask("/orders", order, Content_Type="application/json") == (201, b'{"id":7}')
assert ask("/orders", BROTLI, Content_Type="application/json", Content_Encoding="br") == (201, b'{"id":7}')
assert ask("/long") == (200, b"x" * LONG)
assert ask("/passed") == (200, b"GET /passed")
# As the environment says: through the proxy, with a certificate of its authority.
with urllib.request.urlopen("https://shop.test/hello", timeout=30) as answer:
    assert answer.read() == b"Hello, GET"
with socket.create_connection(("127.0.0.1", int(os.environ["MOCKREC_PORT"])), timeout=30) as sock:
    sock.sendall(
        b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    stream = sock.makefile("rb")
    assert stream.readline().startswith(b"HTTP/1.1 101 ")
    while stream.readline() != b"\r\n":
        pass
    sock.sendall(b"\x81\x82\0\0\0\0hi")
    assert stream.read(4) == b"\x81\x02hi"
    sock.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
    assert stream.read() == b"\x88\x02\x03\xe8"
assert ask("/nowhere")[0] == 503
