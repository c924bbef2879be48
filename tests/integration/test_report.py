"""Reports in a browser: every view, the keyboard, the filter language, and text that looks like a program."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorders import StartRecorder
from report_page import ReportPage, chromium_page

from mockrec.cli.__main__ import main

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
CANARY = "\"'><img src=x onerror=canary()><script>canary()</script></script><svg onload=canary()>${canary()}javascript:canary()"
MOMENT = "2026-11-18T11:00:00.000000Z"
KEPT = {
    "type",
    "timestamp",
    "id",
    "connectionId",
    "streamId",
    "requestId",
    "direction",
    "file",
    "sha256",
    "base64",
    "raw",
}
"""Keys whose values have a form that readers need."""
STORIES = {
    "e": ["request-initiated", "request", "response-initiated", "response-information", "response", "rule-event"],
    "a": ["request-initiated", "abort"],
    "w": [
        "request-initiated", "websocket-request", "websocket-accepted", "websocket-message-received",
        "websocket-message-sent", "websocket-close",
    ],
    "t": ["tls-passthrough-opened", "tls-passthrough-closed"],
    "r": ["raw-passthrough-opened", "raw-passthrough-data", "raw-passthrough-closed"],
    "c": ["client-error"],
    "f": ["tls-client-error"],
    "s": ["gap", "rules-reloaded", "callback-error"],
}  # fmt: skip
"""Identity → types of the records of a session in which every type occurs."""


@pytest.fixture(scope="module")
def samples() -> Any:
    """The complete records of the unit tests."""
    place = Path(__file__).parents[1] / "unit" / "conftest.py"
    spec = importlib.util.spec_from_file_location("record_samples", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportPage]:
    with chromium_page(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def quiet(page: ReportPage) -> Iterator[None]:
    """No test leaves a message in the console, a request, an exception or a broken policy."""
    page.said.clear()
    yield
    page.evaluate("1")
    assert page.said == []


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({**record, "seq": seq}) + "\n" for seq, record in enumerate(records)))
    return path


def report(session: Path, *options: str) -> Path:
    made = session.with_suffix(".html")
    assert main(["report", str(session), "-o", str(made), "--force", "-q", *options]) == 0
    return made


def everything(samples: Any, change: Any = lambda value: value) -> list[dict[str, Any]]:
    """Records of every type, each changed."""
    records = [samples.complete_record("session-started")]
    del records[0]["part"]
    for identity, kinds in STORIES.items():
        for kind in kinds:
            record = samples.complete_record(kind, len(records))
            record.update({key: identity for key in ("id", "streamId", "requestId") if key in record})
            records.append({**record, "scope": "tests/test_a.py::test_b", "operation": "query Cart"})
    records.append({**samples.complete_record("gap"), "scope": "tests/test_a.py::test_b", "outcome": "failed"})
    records.append(samples.complete_record("session-ended"))
    return [change(record) for record in records]


def with_canaries(value: Any, key: str = "") -> Any:
    """The value with the canary in each text, and in each name of a header field."""
    if isinstance(value, dict):
        free = key in ("headers", "eventData", "trailers", "derived")
        return {f"{CANARY}{name}" if free else name: with_canaries(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_canaries(inner, key) for inner in value]
    if key == "url" and isinstance(value, str):
        return f"{value}/{CANARY}"
    return f"{CANARY}{value}" if isinstance(value, str) and key not in KEPT else value


SEEN = """[...document.querySelectorAll('#app *')].filter(e => /^(IMG|SCRIPT|IFRAME|OBJECT|EMBED|A|LINK|BASE)$/i.test(e.tagName)
    || [...e.attributes].some(a => /^on/i.test(a.name) || a.name === 'href' || a.name === 'src')).map(e => e.outerHTML)"""


def test_no_recorded_text_is_markup(page: ReportPage, samples: Any, tmp_path: Path) -> None:
    made = report(write(tmp_path / "s.jsonl", everything(samples, with_canaries)))
    page.open(made, "#exchanges")
    page.evaluate("window.canaries = 0; window.canary = () => window.canaries++")
    for view in ("Summary", "Exchanges", "Waterfall", "Latency", "Scopes"):
        page.view(view)
        assert page.evaluate(SEEN) == [], view
        assert view == "Waterfall" or "<img src=x" in page.text("main"), view
    page.view("Exchanges")
    for identity in "eawtrcf":
        page.evaluate(f"location.hash = '#exchanges?id={identity}'")
        page.wait(f"document.querySelector('.detail')?.innerText.includes('Id\\n{identity}')")
        page.wait("!/unpacking/.test(document.querySelector('.detail').innerText)")
        assert page.evaluate(SEEN) == [], identity
        assert "<img src=x" in page.text(".detail"), identity
    assert page.evaluate("window.canaries") == 0


def test_no_difference_is_markup(page: ReportPage, samples: Any, tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", everything(samples, with_canaries))
    b = write(tmp_path / "b.jsonl", json.loads(json.dumps(everything(samples, with_canaries)).replace("hello", "bye")))
    made = tmp_path / "d.html"
    assert main(["diff", str(a), str(b), "--requests", "-o", str(made), "-q"]) == 1
    page.open(made)
    page.evaluate("window.canaries = 0; window.canary = () => window.canaries++")
    page.evaluate("document.querySelectorAll('.finding > button').forEach(button => button.click())")
    page.wait("document.querySelectorAll('.sides .body').length > 0 && !/unpacking/.test(document.body.innerText)")
    assert "<img src=x" in page.text("main")
    assert page.evaluate(SEEN) == []
    assert page.evaluate("window.canaries") == 0


def test_an_exchange_in_full(page: ReportPage, samples: Any, tmp_path: Path) -> None:
    page.open(report(write(tmp_path / "s.jsonl", everything(samples))), "#exchanges?id=e")
    page.wait("document.querySelector('.detail .body pre')")
    shown = page.text(".detail")
    for words in (
        "201 POST https://example.test/hello?a=b", "greet", "text/html", "X-Sum", "hello", "TLSv1.3", "first byte",
        "Interim response 103", "note", "query Cart",
    ):  # fmt: skip
        assert words in shown, words
    page.evaluate("location.hash = '#exchanges?id=w'")
    page.wait("/2 messages/.test(document.querySelector('.detail').innerText)")
    assert "serverCloseCode\n4000" in page.text(".detail")


def test_the_summary_names_what_needs_a_look(page: ReportPage, samples: Any, tmp_path: Path) -> None:
    page.open(report(write(tmp_path / "s.jsonl", everything(samples))))
    shown = page.text("main")
    for words in ("ECONNRESET", "cert-rejected", "3 records were left out", "github", "abc",
                  "https://ci.test/1", "pytest -q", "signal, exit code 0"):  # fmt: skip
        assert words in shown, words
    page.view("Scopes")
    assert "tests/test_a.py::test_b" in page.text("main")
    assert "failed" in page.text(".endpoint:not(.head)")


def test_a_session_of_a_proxy_reads_well(page: ReportPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Causes of failures, upgrades over HTTP/2, paths in other scripts, operations, and no column of `unmatched`."""
    records: list[dict[str, Any]] = [{"type": "session-started", "timestamp": MOMENT, "schemaVersion": 1, "rules": []}]
    head = {
        "timestamp": MOMENT,
        "connectionId": "c",
        "method": "GET",
        "httpVersion": "2.0",
        "matchedRuleId": "unmatched",
    }
    timing = {"startTime": 0.0, "startTimestamp": 1.0}
    lost = {**head, "id": "lost", "url": "https://nohost.test/%E7%8C%AB", "timingEvents": timing}
    records.append({"type": "request", **lost})
    failed = {"statusCode": 502, "duration": 30.0, "tags": ["passthrough-error:ENOTFOUND"]}
    records.append({"type": "response", **lost, **failed, "timingEvents": {**timing, "headersSentTimestamp": 31.0}})
    socket = {**head, "id": "socket", "method": "CONNECT", "url": "wss://shop.test/live"}
    records += [{"type": "websocket-request", **socket}, {"type": "websocket-accepted", **socket, "statusCode": 200}]
    records.append({"type": "websocket-close", **socket, "closeCode": 1000, "duration": 5.0})
    for number, query in enumerate(("query Cart { id }", "mutation Add { id }")):
        text = json.dumps({"query": query})
        call = {**head, "id": f"call{number}", "method": "POST", "url": "https://shop.test/graphql"}
        fields = {"rawHeaders": [["content-type", "application/json"]], "headers": {"content-type": "application/json"}}
        body = {"size": len(text), "text": text}
        records.append({"type": "request", **call, **fields, "body": body, "operation": {"protocol": "graphql"}})
        records.append({"type": "response", **call, "statusCode": 200, "duration": 1.0})
    session = write(tmp_path / "s.jsonl", records)
    page.open(report(session))
    assert "4\npassed on without a rule" in page.text("main")
    assert "matched no rule" not in page.text("main")
    page.evaluate(
        "[...document.querySelectorAll('main .link')].find(e => e.textContent === 'dns: no such host').click()"
    )
    page.wait("document.querySelector('#filter-said')?.textContent === '1 of 4 exchanges'")
    assert "/猫" in page.text(".rows")
    assert "dns: no such host" in page.text(".rows")
    for expression in ('operation == "query Cart"', "operation ~ ^mutation", "operation"):
        capsys.readouterr()
        assert main(["filter", str(session), expression, "--count", "-q"]) == 0
        assert page.filter(expression) == f"{capsys.readouterr().out.strip()} of 4 exchanges"
    page.filter("")
    titles = page.evaluate("[...document.querySelectorAll('.row.head .cell')].map(e => e.textContent)")
    assert "Operation" in titles
    assert "Rule" not in titles
    assert "\nWS\n" in page.text(".rows")
    page.view("Waterfall")
    assert "Connection 1 · nohost.test, shop.test · HTTP/2 · 4 exchanges" in page.text(".rows")
    page.wait("document.querySelector('rect.phase-1 title')?.textContent === 'dns: 30 ms'")
    page.view("Latency")
    assert "POST shop.test/graphql query Cart" in page.text("main")


def shop(count: int) -> list[dict[str, Any]]:
    """Exchanges of a shop, with JSON bodies, cookies and header fields."""
    records: list[dict[str, Any]] = [
        {"type": "session-started", "timestamp": "2026-11-18T11:00:00.000000Z", "schemaVersion": 1, "rules": []}
    ]
    for number in range(count):
        stamp = f"2026-11-18T{11 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.{number:06d}Z"
        status = (200, 201, 404, 500)[number % 4]
        url = f"http://shop.test{':8080' if number % 5 == 0 else ''}/items/{number}?page={number % 3}&q=a%20b"
        fields = [["Accept", "text/html"], ["accept", "*/*"], ["Cookie", f"sid={number % 2}; a=b"]]
        head = {
            "id": f"0189{number:04x}-ac96-774b-bcce-b302099a8057", "connectionId": f"c{number % 7}", "method": "GETPOST"[number % 2 * 3 :][: 3 + number % 2],
            "url": url, "protocol": "http", "httpVersion": "2.0" if number % 2 else "1.1", "tags": ["replay"] if number % 3 else [],
            "matchedRuleId": f"rule-{number % 3}", "remoteIpAddress": "127.0.0.1",
            "rawHeaders": fields, "headers": {"accept": "text/html, */*", "cookie": fields[2][1]},
            "timingEvents": {"startTime": 0.0, "startTimestamp": float(number)},
        }  # fmt: skip
        text = json.dumps(
            {"id": number, "name": f"item {number}", "long": 9007199254740993, "tags": ["x", "y"], "none": None}
        )
        answer = {
            "statusCode": status, "duration": number * 1.5, "host": "shop.test",
            "headers": {"content-type": "application/json", "set-cookie": [f"sid={number % 2}; Path=/"]},
            "rawHeaders": [["Content-Type", "application/json"], ["Set-Cookie", f"sid={number % 2}; Path=/"]],
            "body": {"size": len(text), "text": text},
        }  # fmt: skip
        records.append({"type": "request", "timestamp": stamp, **head, "body": {"size": 3, "text": "a b"}})
        records.append({"type": "response", "timestamp": stamp, **head, **answer})
    records.append({"type": "session-ended", "timestamp": "2026-11-18T12:20:00.000000Z", "reason": "SIGINT"})
    return records


EXPRESSIONS = (
    "status >= 500", "status == 4xx", "status in 200..299", "status in (404, 500)", "not status < 500", "method == post",
    "method=POST status=5xx", "host == shop.test", "host == shop.test:8080", "hostname == SHOP.test", "port == 80", "port > 80",
    "path == /items/3", "path contains /items/1", "path == /items/3?page=0&q=a%20b", "path ~ ^/items/1\\d$", "path ~* ITEMS",
    "path !~ 1", "query[page] == 2", 'query[q] == "a b"', "query contains page=1", "duration > 30ms", "duration in 3..9",
    "duration >= 0.015s", "size > 70", "request.size == 3", 'request.body == "a b"', 'body contains "item 7"', "json[id] == 7",
    "json[$.id] > 10", 'json[name] == "item 3"', "json[tags[1]] == y", "json[tags[*]] == x", "json[none] == null", "json[missing]",
    "json[long] == 9007199254740993", "json[long] == 9007199254740992", "header[accept] contains text", "header[ACCEPT]",
    'header[accept] == "text/html, */*"', "request.header[content-type]", "response.header[content-type] endswith json", "cookie[sid] == 1",
    "cookie[a] == b", "protocol == HTTP", "version == 2", "version == 1.1", "id == 018900", "id startswith 01890003", "connection == c1",
    "rule == rule-1", "tag == replay", "not tag", "ip == 127.0.0.1", "error", "type == response", "type == websocket-close",
    "time == 2026-11-18", "time > 2026-11-18", "time >= 2026-11-18T11:00:10", "time in 2026-11-18T11:00:05Z..2026-11-18T12:00:09+01:00",
    "ws.count > 0", "status", "not (status == 200 or status == 404) and duration < 20ms", "status == 200 && !tag || rule == rule-2",
    "status != 200", "rule != rule-1", "dur > 1", "tags == replay", "request.method == GET",
)  # fmt: skip
WRONG = (
    "statuss == 200", "status = = 200", "status === 200", "status == abc", "(status == 200", "status == 200)", "status == 200 and",
    "", "and", "method like POST", "header == x", "status[x] == 1", "query[] == 1", "json[..a] == 1", 'path == "abc', "duration > 5x",
    "path ~ (", "path ~ a(?=b)", "status in 300..200", "status ~ 5", "not", "size > 1XB", "time == 2026-13",
)  # fmt: skip


def test_the_filter_selects_what_mockrec_filter_selects(
    page: ReportPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = write(tmp_path / "s.jsonl", shop(24))
    page.open(report(session), "#exchanges")
    wrong = []
    for expression in EXPRESSIONS:
        capsys.readouterr()
        assert main(["filter", str(session), expression, "--count", "-q"]) == 0, expression
        expected = f"{capsys.readouterr().out.strip()} of 24 exchanges"
        if (found := page.filter(expression)) != expected:
            wrong.append((expression, found, expected))
    assert wrong == []


def test_the_filter_refuses_what_mockrec_filter_refuses(
    page: ReportPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = write(tmp_path / "s.jsonl", shop(3))
    page.open(report(session), "#exchanges")
    wrong = []
    for expression in WRONG:
        capsys.readouterr()
        assert main(["filter", str(session), "-w", expression, "--count"]) == 2, expression
        said = capsys.readouterr().err
        column = said.partition("filter: column ")[2].partition(":")[0]
        found = page.filter(expression)
        if expression and f"column {column}:" not in found:
            wrong.append((expression, found, said))
    assert wrong == []
    assert "`mockrec filter` can" in page.filter("path ~ '(ab)+'")
    assert "`mockrec filter` knows them" in page.filter("timingEvents.startTime > 1")


def test_a_body_that_is_left_out_is_said(page: ReportPage, tmp_path: Path) -> None:
    page.open(report(write(tmp_path / "s.jsonl", shop(8)), "--bodies", "200B"), "#exchanges")
    assert "6 bodies not in this report" in page.filter("body contains item")
    page.filter("")
    page.press("j")
    page.press("Enter")
    page.wait("/not in this report/.test(document.querySelector('.detail')?.innerText)")


def test_only_visible_rows_exist_and_the_last_is_reached(page: ReportPage, tmp_path: Path) -> None:
    page.open(report(write(tmp_path / "s.jsonl", shop(3000))), "#exchanges")
    page.wait("document.querySelector('.row:not(.head)')")
    rows = "document.querySelectorAll('.row:not(.head)').length"
    assert 10 < page.evaluate(rows) < 80
    page.evaluate("document.querySelector('.list').focus()")
    page.press("End")
    page.wait("document.querySelector('.row.selected')?.ariaRowIndex === '3000'")
    assert page.evaluate(rows) < 80
    page.press("Enter")
    page.wait("/items\\/2999/.test(document.querySelector('.detail h2')?.innerText)")
    page.press("k")
    page.wait("/items\\/2998/.test(document.querySelector('.detail h2')?.innerText)")
    page.press("Escape")
    page.wait("!document.querySelector('.detail')")
    page.view("Waterfall")
    page.wait("document.querySelector('.fall-bar rect')")
    assert page.evaluate(rows) < 80
    page.view("Latency")
    assert "GET shop.test/items/{id}" in page.text("main")


def test_the_keyboard_is_enough(page: ReportPage, tmp_path: Path) -> None:
    page.open(report(write(tmp_path / "s.jsonl", shop(8))))
    page.press("2")
    page.wait("document.querySelector('nav [aria-current]').textContent === 'Exchanges'")
    page.press("/")
    page.wait("document.activeElement.id === 'filter'")
    for char in "status==404":
        page.press(char)
    page.wait("/^2 of 8/.test(document.querySelector('#filter-said').textContent)")
    page.press("Escape")
    page.press("j")
    page.press("j")
    page.press("Enter")
    page.wait("/404/.test(document.querySelector('.detail h2')?.innerText)")
    assert "/items/6" in page.text(".detail h2")
    assert page.evaluate("location.hash") == "#exchanges?filter=status%3D%3D404&id=01890006-ac96-774b-bcce-b302099a8057"
    page.press("Escape")
    page.wait("!document.querySelector('.detail')")
    page.press("?")
    page.wait("document.querySelector('.help')")


def test_a_narrow_window_needs_no_scrolling_to_the_side(page: ReportPage, samples: Any, tmp_path: Path) -> None:
    made = report(write(tmp_path / "s.jsonl", everything(samples)))
    page.open(made, width=400, height=700)
    wide = "[document.documentElement, ...document.querySelectorAll('.page, .detail, .list')].map(e => e.scrollWidth - e.clientWidth)"
    for view in ("Summary", "Exchanges", "Waterfall", "Latency", "Scopes"):
        page.view(view)
        assert max(page.evaluate(wide)) <= 0, view
    page.view("Exchanges")
    page.press("j")
    page.press("Enter")
    page.wait("document.querySelector('.detail .fields')")
    assert max(page.evaluate(wide)) <= 0


def test_a_comparison_side_by_side(page: ReportPage, tmp_path: Path) -> None:
    a, b = shop(8), shop(8)
    for record in b:
        if record.get("id", "").startswith("01890001") and record["type"] == "response":
            record["body"]["text"] = record["body"]["text"].replace('"item 1"', '"thing 1"')
    made = tmp_path / "d.html"
    assert (
        main(["diff", str(write(tmp_path / "a.jsonl", a)), str(write(tmp_path / "b.jsonl", b)), "-o", str(made), "-q"])
        == 1
    )
    page.open(made)
    assert "1 difference in 8 pairs" in page.text("main")
    page.evaluate("document.querySelector('.finding > button').click()")
    page.wait("document.querySelectorAll('.sides .line.marked').length === 2")
    marked = page.evaluate("[...document.querySelectorAll('.sides .line.marked')].map(e => e.innerText.trim())")
    assert marked == ['"name": "item 1",', '"name": "thing 1",']
    assert "--ignore 'POST shop.test/items/* response.json:$.name'" in page.text("main") or "--ignore" in page.text(
        "main"
    )


COPIES = """(async () => {
    window.copied = [];
    Object.defineProperty(navigator, 'clipboard', {configurable: true, value: {writeText: async text => window.copied.push(text)}});
    for (const button of document.querySelectorAll('.detail .tools button'))
        if (/^Copy/.test(button.textContent)) { button.click(); await new Promise(done => setTimeout(done)); }
})()"""


def test_what_is_copied_can_be_used(page: ReportPage, tmp_path: Path, recorder: StartRecorder) -> None:
    """The rule answers as recorded, and the command of curl sends what was recorded."""
    odd = "a 'b' \"c\" $HOME ${HOME} `x` \\ é\n\t[1-3]{a,b}"
    records = shop(1)
    for record in records[1:3]:
        record.update(method="POST", url="http://shop.test/it's?a[]=1&b={2}")
        record["rawHeaders"] = [["X-Odd", 'it\'s "q" $x ${HOME}'], ["X-Empty", ""], ["Content-Type", "text/plain"]]
    records[1]["body"] = {"size": len(odd.encode()), "text": odd}
    records[2]["body"] = {"size": len(odd.encode()), "text": odd}
    page.open(report(write(tmp_path / "s.jsonl", records)), "#exchanges?id=01890000-ac96-774b-bcce-b302099a8057")
    page.wait("document.querySelector('.detail .body pre')")
    page.evaluate(COPIES)
    page.wait("window.copied.length === 2")
    command, rule = sorted(page.evaluate("window.copied"))
    assert command.startswith("curl ")
    assert rule.startswith("version: 1\n")
    running = recorder(rule)
    sent = command.replace("http://shop.test", running.url)
    done = subprocess.run(
        ["bash", "-c", f"{sent} --silent --include"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("HTTP/1.1 200 OK")
    assert done.stdout.replace("\r\n", "\n").endswith(f"\n\n{odd}")
    assert 'X-Odd: it\'s "q" $x ${HOME}' in done.stdout
    request = running.stop().one("request")
    assert request["body"]["text"] == odd
    assert ["X-Odd", 'it\'s "q" $x ${HOME}'] in request["rawHeaders"]
    assert ["X-Empty", ""] in request["rawHeaders"]
    assert request["url"].endswith("/it's?a[]=1&b={2}")


def test_a_run_writes_its_report(tmp_path: Path) -> None:
    """The report is there when the command has ended, and the exit code is still the command's."""
    done = subprocess.run(
        [sys.executable, "-m", "mockrec.cli", "run", "-o", "s.jsonl", "--report", "r.html", "--", sys.executable, "-c", "raise SystemExit(7)"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "0 exchanges in r.html" in done.stderr
    assert b"Content-Security-Policy" in (tmp_path / "r.html").read_bytes()
