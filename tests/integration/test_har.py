"""`-o session.har`: everything that a log can hold, live and afterwards, and what other programs make of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audited import audited
from devtools import developer_tools
from websockets.sync.client import connect

from mockrec.formats.sessions.session import open_session

Make = Callable[..., Any]
Har = dict[str, Any]

SECONDS = 20.0
PEERS = Path(os.environ.get("MOCKREC_PEERS") or Path(__file__).parents[1] / "benchmarks" / ".peers")
RULES = """\
version: 1
server: {passthrough: [unknown-protocol]}
rules:
  - {id: echo, when: {path: /echo}, then: echo}
  - {id: closed, when: {path: /closed}, then: close}
  - {id: moved, when: {path: /moved}, then: {reply: {status: 302, headers: {Location: "/x?a=1", Set-Cookie: ["a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2; HttpOnly"]}}}}
  - {id: binary, when: {path: /binary}, then: {reply: {base64: "AP+A", headers: {Content-Type: image/png}}}}
  - id: slowly
    when: {path: /slowly}
    then: [{informational: {status: 103, headers: {Link: "</a.css>"}}}, {emit: {type: noted, data: {a: null}}}, {reply: {json: {a: [1, 2]}}}]
  - {id: rest, then: {reply: {body: "answer é"}}}
"""
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*options: str | Path) -> None:
    subprocess.run(["curl", "-s", "-o", os.devnull, *options], check=False, timeout=SECONDS)


def websocket(url: str) -> None:
    with connect(url.replace("http", "ws") + "/echo", proxy=None) as client:
        for message in ("text é", b"\x00\xff", b"also text", ""):
            client.send(message)
            assert client.recv(SECONDS) == message


def raw_tunnel(port: int, to: int) -> None:
    """Something that is neither HTTP nor TLS, through CONNECT."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        client.sendall(f"CONNECT 127.0.0.1:{to} HTTP/1.1\r\nHost: 127.0.0.1:{to}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(b"\x00\x01nothing known\r\n")
        assert client.recv(1000) == b"\x02\xff"


def no_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")


def traffic(run: Any, ca: Path, other: int) -> None:
    """One of everything."""
    curl(f"{run.url}/get?q=a%20b&q=c&empty", "-b", "one=1; two=2")
    curl(f"{run.url}/form", "-d", "a=1&b=x+y")
    curl(
        f"{run.url}/bytes", "--data-binary", "@" + str(ca.with_name("bytes")), "-H", "Content-Type: application/x-thing"
    )
    curl(f"{run.url}/head", "-I")
    for path in ("moved", "binary", "slowly", "closed"):
        curl(f"{run.url}/{path}")
    curl(f"{run.url}/two", "--http2-prior-knowledge")
    curl("https://secret.test/in?tls=1", "-x", run.url, "--cacert", ca)
    curl("https://untrusted.test/", "-x", run.url)
    websocket(run.url)
    no_request(run.port)
    raw_tunnel(run.port, other)


class Recorded:
    """A recording of everything, as HAR and as JSON Lines."""

    def __init__(self, folder: Path, har: Path) -> None:
        self.folder = folder
        self.path = har
        self.har: Har = json.loads(har.read_text("utf-8"))
        self.entries: list[Har] = self.har["log"]["entries"]

    def at(self, path: str) -> Har:
        """The entry of a path."""
        (found,) = (entry for entry in self.entries if re.search(rf"{path}(\?|$)", entry["request"]["url"]))
        return found


@pytest.fixture(scope="module")
def recorded(shared_recorder: Make, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("har")
    (folder / "ca").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = shared_recorder(
            RULES, "-o", folder / "s.jsonl", "--events", "all", "--redact", "none",
            out="session.har", env={"MOCKREC_CA_DIR": str(folder / "ca")},
        )  # fmt: skip
        (folder / "ca" / "bytes").write_bytes(b"\x00\xfe\xff")
        port = other.getsockname()[1]

        def answer() -> None:
            server, _ = other.accept()
            with server:
                server.recv(1000)
                server.sendall(b"\x02\xff")
                server.recv(1000)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        traffic(run, folder / "ca" / "ca.pem", port)
        run.stop()
        thread.join(SECONDS)
    return Recorded(folder, run.log)


def lines(path: Path) -> list[bytes]:
    with open_session(path) as session:
        found = [line.raw for line in session.scan()]
    assert session.complete
    assert session.problems == []
    return found


# ── what is in it ──────────────────────────────────────────────────────────────────────────────────


def test_the_same_records_are_in_it(recorded: Recorded) -> None:
    assert lines(recorded.path) == lines(recorded.folder / "s.jsonl")
    kinds = {json.loads(line)["type"] for line in lines(recorded.path)}
    assert kinds >= {"abort", "client-error", "raw-passthrough-data", "response-information", "rule-event"}
    assert kinds >= {"tls-client-error", "websocket-message-sent", "websocket-close", "response-body-data"}


def test_nothing_but_it_is_left(recorded: Recorded) -> None:
    assert [path.name for path in recorded.path.parent.iterdir() if "har" in path.name] == ["session.har"]
    assert recorded.path.stat().st_mode & 0o777 == 0o600


def test_requests(recorded: Recorded) -> None:
    request = recorded.at("/get")["request"]
    assert request["queryString"] == [
        {"name": "q", "value": "a b"}, {"name": "q", "value": "c"}, {"name": "empty", "value": ""},
    ]  # fmt: skip
    assert request["cookies"] == [{"name": "one", "value": "1"}, {"name": "two", "value": "2"}]
    form = recorded.at("/form")["request"]["postData"]
    assert form["text"] == "a=1&b=x+y"
    assert form["params"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "x y"}]
    sent = recorded.at("/bytes")["request"]
    assert "postData" not in sent, "base64 in it would be sent again as it stands"
    assert sent["_content"] == {"size": 3, "text": "AP7/", "encoding": "base64"}


def test_responses(recorded: Recorded) -> None:
    moved = recorded.at("/moved")["response"]
    assert (moved["status"], moved["redirectURL"]) == (302, "/x?a=1")
    assert moved["cookies"] == [
        {"name": "a", "value": "1", "path": "/", "expires": "2026-10-21T07:28:00.000Z"},
        {"name": "b", "value": "2", "httpOnly": True},
    ]
    assert recorded.at("/binary")["response"]["content"] == {
        "size": 3, "mimeType": "image/png", "text": "AP+A", "encoding": "base64",
    }  # fmt: skip
    assert recorded.at("/get")["response"]["content"]["text"] == "answer é"
    assert recorded.at("/two")["response"]["httpVersion"] == "http/2.0"
    closed = recorded.at("/closed")
    assert (closed["response"]["status"], bool(closed["response"]["_error"])) == (0, True)
    slowly = recorded.at("/slowly")
    assert [one["status"] for one in slowly["_informational"]] == [103]
    assert [one["eventType"] for one in slowly["_ruleEvents"]] == ["noted"]
    assert slowly["_matchedRuleId"] == "slowly"
    assert slowly["time"] == pytest.approx(
        sum(slowly["timings"][name] for name in ("send", "wait", "receive")), abs=0.01
    )


def test_websockets(recorded: Recorded) -> None:
    entry = recorded.at("/echo")
    assert entry["_resourceType"] == "websocket"
    assert [(one["type"], one["opcode"], one["data"]) for one in entry["_webSocketMessages"][:4]] == [
        ("send", 1, "text é"), ("receive", 1, "text é"), ("send", 2, "AP8="), ("receive", 2, "AP8="),
    ]  # fmt: skip
    assert entry["_webSocketClose"]["code"] == 1000


def test_what_has_no_entry(recorded: Recorded) -> None:
    log = recorded.har["log"]
    kinds = [event["type"] for event in log["_mockrec"]["events"]]
    assert {"client-error", "tls-client-error", "raw-passthrough-opened", "session-ended"} <= set(kinds)
    (error,) = log["_tlsErrors"]
    assert error["hostname"] == "untrusted.test"


@pytest.mark.parametrize("command", [["show"], ["show", "--as", "json"], ["verify"]])
def test_every_command_reads_it_as_it_reads_json_lines(recorded: Recorded, program: Make, command: list[str]) -> None:
    name, *options = command
    told = [program(name, path, *options) for path in (recorded.path, recorded.folder / "s.jsonl")]
    assert [done.returncode for done in told] == [0, 0]
    assert told[0].stdout.replace(str(recorded.path), "") == told[1].stdout.replace(
        str(recorded.folder / "s.jsonl"), ""
    )
    assert told[0].stderr == told[1].stderr


# ── what others make of it ─────────────────────────────────────────────────────────────────────────


def test_the_json_schema(recorded: Recorded, har_problems: Callable[[Any], list[str]]) -> None:
    assert har_problems(recorded.har) == []


def test_haralyzer(recorded: Recorded) -> None:
    haralyzer = pytest.importorskip("haralyzer")
    parser = haralyzer.HarParser(recorded.har)
    (page,) = parser.pages  # without pages, everything is on one that is unknown
    assert len(page.entries) == len(recorded.entries)
    assert parser.browser["name"] == "mockrec"
    assert {entry.request.method for entry in page.entries} >= {"GET", "POST", "HEAD"}
    assert all(isinstance(entry.port, int) for entry in page.entries)
    assert all(entry.response.text is not None and entry.time >= 0 for entry in page.entries)


def test_har_validator(recorded: Recorded) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    script = """
        let validator
        try { validator = require("har-validator") } catch { process.exit(77) }
        const har = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
        validator.har(har).then(() => console.log("valid"), error => { console.log(JSON.stringify(error.errors)) })
    """
    env = {**os.environ, "NODE_PATH": os.environ.get("MOCKREC_NODE_PATH", ""), "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(
        ["node", "-e", script, str(recorded.path)], capture_output=True, text=True, check=False, timeout=60, env=env
    )
    if done.returncode == 77:
        pytest.skip("the npm package har-validator is not there: .ci/tools installs it (MOCKREC_NODE_PATH)")
    assert done.stdout == "valid\n", done.stderr


def mitmdump() -> str:
    found = shutil.which("mitmdump") or shutil.which("mitmdump", path=str(PEERS / "mitmproxy" / "bin"))
    if found is None:
        pytest.skip("mitmproxy is not there: .ci/tools installs it")
    return found


def test_mitmproxy(recorded: Recorded, tmp_path: Path) -> None:
    """It reads every entry, and what it writes of them is a session again."""
    theirs = tmp_path / "theirs.har"
    done = subprocess.run(
        [mitmdump(), "--no-server", "--set", f"confdir={tmp_path}", "--set", f"hardump={theirs}", "-r", recorded.path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr
    exported = json.loads(theirs.read_text("utf-8"))["log"]["entries"]
    assert len(exported) == len(recorded.entries)
    versions = {entry["request"]["url"]: entry["request"]["httpVersion"] for entry in exported}
    assert versions[recorded.at("/two")["request"]["url"]] in ("HTTP/2.0", "HTTP/2", "http/2.0")
    assert_imported(theirs, len(recorded.entries))


def assert_imported(path: Path, exchanges: int) -> list[dict[str, Any]]:
    """Another tool's HAR as a session that keeps the log's guarantees; its records."""
    from mockrec.formats.sessions.rows import rows_of

    with open_session(path) as session:
        records = audited(session)
    assert session.problems == []
    assert session.complete
    assert len(list(rows_of(enumerate(records)))) == exchanges
    return records


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_devtools(recorded: Recorded, devtools: Callable[[str], Any], tmp_path: Path) -> None:
    """The importer of the Network panel itself, and its export again."""
    told = json.loads(devtools(IMPORT % json.dumps(json.dumps(recorded.har))))
    assert len(told["requests"]) == len(recorded.entries)
    by_url = {request["url"]: request for request in told["requests"]}
    echo = by_url[recorded.at("/echo")["request"]["url"]]
    assert echo["type"] == "websocket"
    assert [frame["text"] for frame in echo["frames"]][:2] == ["text é", "text é"]
    form = by_url[recorded.at("/form")["request"]["url"]]
    assert form["form"] == "a=1&b=x+y"
    assert (form["status"], form["protocol"]) == (200, "http/1.1")
    assert by_url[recorded.at("/two")["request"]["url"]]["protocol"] in ("h2", "http/2.0")
    assert all(request["duration"] >= 0 for request in told["requests"])
    theirs = tmp_path / "chrome.har"
    theirs.write_text(json.dumps({"log": told["log"]}), encoding="utf-8")
    assert_imported(theirs, len(recorded.entries))


IMPORT = """(async () => {
    const har = await import("devtools://devtools/bundled/models/har/har.js")
    const root = new har.HARFormat.HARRoot(JSON.parse(%s))
    const requests = har.Importer.Importer.requestsFromHARLog(root.log)
    const log = await har.Log.Log.build(requests, {sanitize: false})
    const told = []
    for (const request of requests) told.push({
        url: request.url(), status: request.statusCode, protocol: request.protocol, duration: request.duration,
        type: request.resourceType().name(), frames: request.frames(), form: await request.requestFormData(),
    })
    return JSON.stringify({requests: told, log})
})()"""


@pytest.fixture
def devtools(tmp_path: Path) -> Any:
    with developer_tools(tmp_path / "profile") as evaluate:
        yield evaluate
