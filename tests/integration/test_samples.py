"""Every rule file in samples/ runs, and its commands get the answers that its comments promise."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
from waiting import until_recorded

Start = Callable[..., Any]

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = sorted(path.name for path in SAMPLES.glob("*.yaml"))
SECONDS = 20.0


class Calls:
    """Calls to a running sample, noted so that no command of its comments is left out."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.made: set[tuple[str, str]] = set()

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[HTTPConnection, HTTPResponse]:
        self.made.add((method, path))
        connection = HTTPConnection("127.0.0.1", self.program.port, timeout=SECONDS)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, fields)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection, response = self.open(method, path, body, **headers)
        try:
            data = response.read()
        finally:
            connection.close()
        return response.status, data, {name.lower(): value for name, value in response.getheaders()}

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        status, data, _ = self.call(method, path, body, **headers)
        return status, json.loads(data)

    def raw(self, path: str) -> bytes:
        """Everything that comes back, as it is on the wire."""
        self.made.add(("GET", path))
        with socket.create_connection(("127.0.0.1", self.program.port), SECONDS) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            data = bytearray()
            while piece := sock.recv(65536):
                data += piece
        return bytes(data)


def commands(name: str) -> set[tuple[str, str]]:
    """Method and path of every curl command in a sample's comments."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    variables = dict(
        re.fullmatch(r"(\w+)=(\S+)", line).groups() for line in comments if re.fullmatch(r"(\w+)=(\S+)", line)
    )
    found = set()
    for line in comments:
        if not line.startswith("curl"):
            continue
        for variable, value in variables.items():
            line = line.replace(f"${variable}", value)
        url = re.search(r"http://127\.0\.0\.1:8000([^\s\"]*)", line)
        assert url is not None, line
        if method := re.search(r"-X (\w+)", line):
            verb = method[1]
        else:
            verb = "POST" if re.search(r" (--json|-d) ", line) else "GET"
        found.add((verb, url[1]))
    return found


@pytest.fixture
def sample(recorder: Start, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The sample that the test is named after; at its end every command of the comments must have been tried."""
    name = request.node.name.removeprefix("test_").replace("_", "-") + ".yaml"
    path, port = SAMPLES / name, "0"
    if name in ("webhook-emit.yaml", "forward.yaml"):  # with another port, what they send to themselves has to follow
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        path = tmp_path / name
        path.write_text((SAMPLES / name).read_text(encoding="utf-8").replace(":8000", f":{port}"), encoding="utf-8")
    calls = Calls(recorder(path, "--port", port))
    yield calls
    promised = commands(name)
    assert promised
    assert promised <= calls.made, promised - calls.made
    session = calls.program.stop()
    assert session.code == 0
    assert "warning" not in session.stderr.lower()


def test_every_sample_is_in_the_table_and_has_a_test() -> None:
    table = (SAMPLES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w.-]+\.(?:yaml|py)|[\w-]+/)\)", table))
    there = {f"{path.name}/" if path.is_dir() else path.name for path in SAMPLES.iterdir()}
    assert linked == {name for name in there if not name.startswith(("README", "__pycache__"))}
    tests = {f"test_{name.removesuffix('.yaml').replace('-', '_')}" for name in FILES}
    assert tests <= set(globals())
    assert len(FILES) >= 9


@pytest.mark.parametrize("name", FILES)
def test_every_sample_is_checked_without_a_word(program: Callable[..., Any], name: str) -> None:
    done = program("check", SAMPLES / name)
    assert (done.returncode, "warning" in (done.stdout + done.stderr).lower()) == (0, False)


# ── one test for each file ─────────────────────────────────────────────────────────────────────────


def test_hello(sample: Calls) -> None:
    assert sample.call("GET", "/hello")[:2] == (200, b"Hello\n")
    status, text, _ = sample.call("GET", "/goodbye")
    assert status == 503
    assert b"greet" in text


def test_grpc(sample: Calls) -> None:
    def ask(method: str, message: str) -> bytes:
        kind = "application/grpc-web-text"
        status, data, headers = sample.call("POST", f"/shop.v1.Cart/{method}", message, Content_Type=kind)
        assert (status, headers["content-type"]) == (200, kind)
        return base64.b64decode(data)

    assert ask("AddItem", "AAAAAAYKAngxEAI=").endswith(b"grpc-status: 0\r\nx-cart: c-1\r\n")
    assert b"grpc-status: 5\r\ngrpc-message: no such item" in ask("AddItem", "AAAAAAYKBGdvbmU=")
    watched = ask("Watch", "AAAAAAA=")
    assert watched.startswith(b"\0\0\0\0\4\n\2x1\0\0\0\0\4\n\2x2\x80")
    assert b"grpc-status: 14" in watched
    assert b"grpc-status: 12" in ask("Other", "AAAAAAA=")


def test_rest_api(sample: Calls) -> None:
    status, users = sample.json("GET", "/api/users")
    assert (status, len(users)) == (200, 2)
    status, users = sample.json("GET", "/api/users?role=admin&sort=name")
    assert [user["name"] for user in users] == ["Ada"]
    assert sample.json("GET", "/api/users/7") == (200, {"id": "7", "name": "User 7"})
    assert sample.call("GET", "/api/users/0")[0] == 404
    grace = {"name": "Grace", "email": "grace@example.test"}
    status, data, headers = sample.call("POST", "/api/users", grace)
    assert (status, headers["location"], json.loads(data)["name"]) == (201, "/api/users/3", "Grace")
    assert sample.call("POST", "/api/users", {"name": "Grace"})[0] == 422
    assert sample.call("POST", "/api/users", {"name": "root", "email": "root@example.test"})[0] == 409
    assert sample.json("PUT", "/api/users/7", {"role": "admin"}, If_Match='"v1"') == (200, {"id": "7", "role": "admin"})
    assert sample.call("PUT", "/api/users/7", {"role": "admin"})[0] == 428
    assert sample.call("DELETE", "/api/users/7")[:2] == (204, b"")
    states = [sample.json("GET", "/api/jobs/1")[1]["state"] for _ in range(4)]
    assert states == ["queued", "running", "done", "done"]
    assert [sample.call("GET", "/api/health")[0] for _ in range(3)] == [503, 200, 200]
    assert sample.json("GET", "/api/nothing") == (404, {"error": "nothing at /api/nothing"})


def test_templates(sample: Calls) -> None:
    status, text, headers = sample.call("GET", "/greet/Ada?greeting=Good+morning")
    assert (status, text.strip(), headers["x-greeted"]) == (200, b"Good morning, Ada!", "Ada")
    assert sample.call("GET", "/greet/Bob")[1].strip() == b"Hello, Bob!"
    first, second = (sample.json("GET", "/ticket")[1] for _ in range(2))
    assert (first["call"], second["call"]) == ("1", "2")
    assert first["ticket"] != second["ticket"]
    assert 0 <= float(first["luck"]) < 1
    text = sample.call("GET", "/me", Cookie="theme=dark", User_Agent="demo")[1]
    assert b"You are demo at 127.0.0.1:" in text
    assert b"Your theme is dark." in text
    assert b"It is dark here." in text
    assert sample.json("POST", "/sum", {"numbers": [1, 2, 3]}) == (200, {"sum": 6, "seen": [1, 2, 3]})
    status, text, _ = sample.call("POST", "/sum", {"numbers": "none"})
    assert status == 500
    assert b"templates.yaml:" in text
    form = "application/x-www-form-urlencoded"
    found = sample.json("POST", "/form", "name=Ada&tag=a&tag=b", Content_Type=form)
    assert found == (200, {"name": "Ada", "tags": "a, b"})
    assert sample.call("PATCH", "/raw", "anything")[1] == b"Here {{ request.method }} is plain text.\n"


def test_streaming(sample: Calls) -> None:
    began = time.monotonic()
    assert sample.call("GET", "/count")[1] == b"one\ntwo\nthree\n"
    assert time.monotonic() - began >= 1.0
    _, text, headers = sample.call("GET", "/events")
    assert headers["content-type"] == "text/event-stream"
    assert text.count(b"event: price") == 2
    assert b"data: A text of several lines\ndata: arrives as several data: lines." in text
    _, text, _ = sample.call("GET", "/chat")
    tokens = [line.removeprefix("data: ") for line in text.decode().splitlines() if line]
    assert "".join(json.loads(token)["token"] for token in tokens[:-1]) == "Once upon a time"
    assert tokens[-1] == "[DONE]"
    assert sample.raw("/trailers").endswith(b"\r\n0\r\nX-Lines: 2\r\n\r\n")
    answer = sample.raw("/digest")
    digest = base64.b64encode(hashlib.sha256(b"hello").digest())
    assert answer.endswith(b"5\r\nhello\r\n0\r\nContent-Digest: sha-256=:" + digest + b":\r\n\r\n")


def test_faults(sample: Calls) -> None:
    with pytest.raises(RemoteDisconnected):
        sample.call("GET", "/close")
    with pytest.raises(ConnectionResetError):
        sample.raw("/reset")
    sample.made.add(("GET", "/timeout"))
    with socket.create_connection(("127.0.0.1", sample.program.port), 0.3) as sock:
        sock.sendall(b"GET /timeout HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert sample.raw("/garbage") == b"this is not HTTP\r\n\r\n"
    with pytest.raises(IncompleteRead) as wrong:
        sample.call("GET", "/wrong-length")
    assert wrong.value.partial == b"only this"
    with pytest.raises(IncompleteRead) as cut:
        sample.call("GET", "/truncated")
    assert cut.value.partial == b"0123456789"
    for path, least in (("/slow", 0.3), ("/jitter", 0.05), ("/network", 0.0)):
        began = time.monotonic()
        assert sample.call("GET", path)[0] == 200
        assert least <= time.monotonic() - began
    hints = sample.raw("/hints")
    assert hints.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\nHTTP/1.1 200 OK"
    )
    assert sample.call("POST", "/upload", (SAMPLES.parent / "README.md").read_bytes())[0] == 201
    with pytest.raises(ConnectionResetError):
        sample.raw("/flaky")
    status, _, headers = sample.call("GET", "/flaky")
    assert (status, headers["retry-after"]) == (503, "1")
    assert [sample.call("GET", "/flaky")[:2] for _ in range(2)] == [(200, b"well again\n")] * 2


def test_python(sample: Calls) -> None:
    status, data, headers = sample.call("POST", "/notes", {"text": "buy milk"})
    assert (status, headers["location"], json.loads(data)) == (201, "/notes/1", {"id": 1, "text": "buy milk"})
    assert sample.json("GET", "/notes") == (200, ["buy milk"])
    began = time.monotonic()
    assert sample.json("GET", "/slow-notes") == (200, ["buy milk"])
    assert time.monotonic() - began >= 0.3
    with pytest.raises(RemoteDisconnected):
        sample.call("GET", "/cut")
    status, text, _ = sample.call("GET", "/broken")
    assert status == 500
    assert b"this handler is broken on purpose" in text
    signature = hmac.new(b"secret", b"amount=10", hashlib.sha256).hexdigest()
    assert sample.json("POST", "/pay", "amount=10", X_Signature=signature) == (200, {"paid": True})
    assert sample.call("POST", "/pay", "amount=10", X_Signature="0")[0] == 401
    session = sample.program.stop()
    assert f"POST {sample.program.url}/notes: {{201: 1}}" in session.stderr
    assert session.by_type("callback-error") == []


def test_files(sample: Calls) -> None:
    files = SAMPLES / "files"
    for path, name, kind in (
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/data.json", "data.json", "application/json"),
        ("/pixel.png", "pixel.png", "image/png"),
    ):
        status, data, headers = sample.call("GET", path)
        assert (status, data, headers["content-type"]) == (200, (files / name).read_bytes(), kind)
    assert sample.call("GET", "/pixel.gif")[1].startswith(b"GIF89a")
    status, packed, headers = sample.call("GET", "/poem.txt")
    assert headers["content-encoding"] == "gzip"
    poem = gzip.decompress(packed).decode()
    status, data, headers = sample.call("HEAD", "/poem.txt")
    assert (status, data, headers["content-length"]) == (200, b"", str(len(packed)))
    first, *_ = [record for record in sample.program.stop().by_type("response") if record["url"].endswith("/poem.txt")]
    assert (first["body"]["text"], first["body"]["contentEncoding"]) == (poem, "gzip")


def test_stacked(sample: Calls) -> None:
    for path, prices in (("/v2/prices", {"book": 12}), ("/v1/prices", {"book": 12, "old": True})):
        status, body, headers = sample.call("GET", path)
        assert (status, json.loads(body), headers["x-recorded-by"]) == (200, prices, "mockrec")
    assert sample.call("GET", "/pixel?id=7")[0] == 204
    assert sample.call("GET", "/")[1] == (SAMPLES / "files" / "index.html").read_bytes()
    assert sample.call("GET", "/..%2fhello.yaml")[0] == 404
    session = sample.program.stop()
    assert session.one("rule-event")["eventData"] == {"now": "/v2/prices"}
    told = [(record["matchedRuleId"], record["continuedRuleIds"]) for record in session.by_type("response")]
    assert told[:3] == [
        ("prices", ["marked"]), ("prices", ["marked", "old-names"]), ("trackers", ["marked"]),
    ]  # fmt: skip


def test_json_rpc(sample: Calls) -> None:
    def call(**fields: Any) -> Any:
        return sample.json("POST", "/rpc", {"jsonrpc": "2.0", **fields})[1]

    assert call(id=1, method="ping") == {"jsonrpc": "2.0", "id": 1, "result": "pong"}
    assert call(id=2, method="user.get", params={"id": 7})["result"]["name"] == "Ada"
    assert call(id=3, method="user.get", params={"id": 8})["error"]["code"] == -32001
    assert call(id="x", method="nonsense") == {
        "jsonrpc": "2.0", "id": "x", "error": {"code": -32601, "message": "Method not found"},
    }  # fmt: skip
    assert sample.call("POST", "/rpc", {"method": "ping"})[0] == 400
    assert sample.call("POST", "/rpc", [{"jsonrpc": "2.0", "id": 1, "method": "ping"}])[0] == 400


def test_graphql(sample: Calls) -> None:
    def call(query: str, **variables: Any) -> tuple[int, Any]:
        return sample.json("POST", "/graphql", {"query": query, "variables": variables})

    assert call("query Cart($id: ID!) { cart(id: $id) { total } }", id=7) == (200, {"data": {"cart": {"total": 42}}})
    assert call("query Cart { cart(id: 8) { total } }", id=8)[1]["errors"][0]["message"] == "no such cart"
    assert call("mutation AddItem { add(sku: 1) { total } }") == (200, {"data": {"add": {"total": 43}}})
    assert call("{ cart {")[0] == 400


def test_llm(sample: Calls) -> None:
    request = {"model": "m", "messages": [], "input": "", "contents": []}
    chat = sample.json("POST", "/v1/chat/completions", request)[1]
    assert (chat["model"], chat["choices"][0]["message"]["content"]) == ("m", "Hello from the mock.")
    _, body, headers = sample.call("POST", "/v1/chat/completions", {**request, "stream": True})
    assert headers["content-type"] == "text/event-stream"
    assert body.endswith(b"data: [DONE]\n\n")
    called = sample.json("POST", "/v1/chat/completions", {**request, "tools": [{}]})[1]["choices"][0]
    assert (called["finish_reason"], called["message"]["content"]) == ("tool_calls", None)
    response = sample.json("POST", "/v1/responses", request)[1]
    assert response["output"][0]["content"][0]["text"] == "Hello from the mock."
    message = sample.json("POST", "/v1/messages", request)[1]
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]
    gemini = sample.json("POST", "/v1beta/models/gemini-2:generateContent", request)[1]
    assert gemini["candidates"][0]["content"]["parts"] == [{"text": "Hallo."}]
    _, body, headers = sample.call("POST", "/api/chat", request)
    assert headers["content-type"] == "application/x-ndjson"
    assert json.loads(body.splitlines()[-1])["done"] is True


def test_mcp(sample: Calls) -> None:
    def call(method: str, **params: Any) -> Any:
        return sample.json("POST", "/mcp", {"jsonrpc": "2.0", "id": 7, "method": method, "params": params})[1]

    assert call("initialize")["result"]["serverInfo"]["name"] == "mock"
    assert call("tools/list")["result"]["tools"][0]["name"] == "search"
    assert call("tools/call", name="search") == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"content": [{"type": "text", "text": "found it"}]},
    }
    assert call("tools/call", name="other")["error"]["code"] == -32601
    assert sample.call("POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"})[0] == 202
    assert sample.call("GET", "/mcp")[0] == 405


def test_soap(sample: Calls) -> None:
    headers = {"Content_Type": "text/xml", "SOAPAction": '"urn:GetPrice"'}
    status, body, _ = sample.call("POST", "/soap", "<Envelope/>", **headers)
    assert (status, b"<Price>42</Price>" in body) == (200, True)


def test_forward(sample: Calls) -> None:
    assert sample.json("GET", "/shop/prices") == (200, {"bread": 3.2, "milk": 1.1})
    status, body, headers = sample.call("GET", "/sale/prices")
    assert (status, json.loads(body), headers["server"]) == (200, {"bread": 0.5}, "sale")
    began = time.monotonic()
    assert sample.json("GET", "/slow/prices") == (200, {"bread": 3.2, "milk": 1.1})
    assert time.monotonic() - began >= 0.3
    status, body, _ = sample.call("GET", "/gone/prices")
    assert status == 502
    assert b"ECONNREFUSED" in body
    told = [record["eventData"] for record in sample.program.stop().by_type("rule-event")]
    assert [data["path"] for data in told if "path" in data] == ["/shop/prices", "/shop/prices", "/gone/prices"]


def test_websocket(sample: Calls) -> None:
    from websockets.exceptions import ConnectionClosedError, InvalidStatus
    from websockets.sync.client import connect

    def socket_to(path: str) -> Any:
        return connect(f"ws://127.0.0.1:{sample.program.port}{path}", subprotocols=["chat.v1"], proxy=None)  # type: ignore[list-item]

    assert b"/chat" in sample.call("GET", "/")[1]
    assert sample.json("GET", "/members") == (200, ["Ada", "Grace"])
    with socket_to("/echo") as echo:
        echo.send("twice")
        assert echo.recv(SECONDS) == "twice"
    with socket_to("/chat") as chat:
        assert chat.subprotocol == "chat.v1"
        assert chat.recv(SECONDS) == "welcome"
        chat.send('{"type": "hello"}')
        assert json.loads(chat.recv(SECONDS)) == {"type": "joined", "members": 2}
        with pytest.raises(ConnectionClosedError) as closed:
            chat.recv(SECONDS)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "the room is closed")
    with pytest.raises(InvalidStatus) as refused:
        socket_to("/members")
    assert refused.value.response.status_code == 401


def test_replay(sample: Calls) -> None:
    assert [one["name"] for one in sample.json("GET", "/goods")[1]] == ["tea", "mug"]
    assert [len(sample.json("GET", "/orders")[1]["orders"]) for _ in range(3)] == [0, 1, 1]
    assert sample.json("POST", "/cart", {"id": 2, "at": "18:45"}) == (201, {"cart": [2]})
    assert sample.json("GET", "/health") == (200, {"ok": True})


def test_webhook_emit(sample: Calls) -> None:
    assert sample.json("POST", "/orders", {"item": "book", "quantity": 2}) == (202, {"accepted": "book"})
    until_recorded(sample.program, "response", 3)
    session = sample.program.stop()
    event = session.one("rule-event")
    assert event["eventType"] == "order-received"
    assert event["eventData"] == {"item": "book", "quantity": "2", "order": "1", "source": "shop", "priority": 3}
    posted = [record for record in session.by_type("request") if record["path"] == "/hook"]
    assert sorted(json.loads(record["body"]["text"])["eventType"] for record in posted) == ["request", "response"]
