"""The control API of a running recorder: rules, resets, exchanges, and who is refused."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from devtools import developer_tools
from programs import RunProgram
from recorders import Recorder, Session, StartRecorder

from mockrec.testing.client import ControlClient, ControlError

RULES = """
version: 1
rules:
  - {id: file, when: {path: /file}, then: {reply: {body: file}}}
  - {id: one, when: {path: /turns}, then: {reply: {body: one}}}
  - {id: two, when: {path: /turns}, then: {reply: {body: two}}}
  - id: chunks
    when: {path: /chunks}
    then: {stream: {chunks: [{data: a}, {data: b}, {data: c}]}}
  - {id: gone, when: {path: /gone}, then: {reset: true}}
  - {id: long, when: {path: /long}, then: {reply: {body: "%s"}}}
""" % ("x" * 70_000)


HOSTILE = """
(async () => {
  const api = 'http://127.0.0.1:PORT', name = 'http://rebound.evil.test:PORT', told = {origin: location.origin};
  const attempt = async (what, act) => { try { told[what] = await act(); } catch { told[what] = 'failed'; } };
  const load = tag => new Promise(done => {
    const element = document.createElement(tag);
    element.onload = () => done('loaded');
    element.onerror = () => done('failed');
    element.src = `${api}/v1/session`;
    document.body.append(element);
  });
  await attempt('read', async () => (await fetch(`${api}/v1/session`)).text());
  await attempt('read by name', async () => (await fetch(`${name}/v1/session`)).text());
  await attempt('with a header', () => fetch(`${api}/v1/session`, {headers: {Authorization: 'Bearer x'}}));
  await attempt('image', () => load('img'));
  await attempt('script', () => load('script'));
  await attempt('post', async () => (await fetch(`${api}/v1/reset`, {method: 'POST', mode: 'no-cors', body: ''})).type);
  await attempt('delete', () => fetch(`${api}/v1/rules`, {method: 'DELETE'}));
  return told;
})()
"""


def get(url: str, path: str = "", **headers: str) -> tuple[int, bytes]:
    """Send a GET on a connection of its own."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def shared(shared_recorder: StartRecorder) -> Recorder:
    return shared_recorder(RULES, "--control")


@pytest.fixture
def control(shared: Recorder) -> Iterator[ControlClient]:
    client = shared.control
    client.reset()
    yield client
    client.close()


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────


def test_added_rules_come_before_those_of_the_file(shared: Recorder, control: ControlClient) -> None:
    ids = control.add_rules([{"when": {"path": "/file"}, "then": {"reply": {"body": "added"}}, "times": 1}])
    assert [get(shared.url, "/file")[1] for _ in range(2)] == [b"added", b"file"]
    control.add_rules("rules:\n- {id: mine, when: {path: /new}, then: {reply: {body: '🙂'}}}\n")
    assert get(shared.url, "/new") == (200, "🙂".encode())
    assert control.remove_rules(rule="mine") == 1
    assert get(shared.url, "/new")[0] == 503
    assert [rule["id"] for rule in control.session()["rules"]][:2] == [*ids, "file"]


def test_many_rules_are_added_and_removed_as_one_is(shared: Recorder, control: ControlClient) -> None:
    """So many are compiled and put in order in a thread."""
    many = [
        {"id": f"n{n}", "when": {"path": f"/n/{n % 700}"}, "then": {"reply": {"body": str(n)}}} for n in range(1400)
    ]
    assert control.add_rules(many) == [rule["id"] for rule in many]
    assert [get(shared.url, "/n/7")[1] for _ in range(3)] == [b"7", b"707", b"707"]
    control.open_scope("own")
    assert control.add_rules(many[:600], scope="own")[0].startswith("added-")
    assert [get(shared.url, "/n/7", Mockrec_Scope="own")[1] for _ in range(2)] == [b"7", b"7"]
    assert control.remove_rules(rule="n707") == 1
    assert [get(shared.url, "/n/7")[1], get(shared.url, "/file")[1]] == [b"7", b"file"]
    assert control.remove_rules() == 1999
    assert get(shared.url, "/n/7")[0] == 503
    control.add_rules(many)
    control.reset()
    assert (get(shared.url, "/n/7")[0], get(shared.url, "/file")[1]) == (503, b"file")
    control.close_scope("own")


def test_replies_that_are_added_one_by_one_are_a_sequence(shared: Recorder, control: ControlClient) -> None:
    for body in ("a", "b"):
        control.add_rules([{"when": {"path": "/file"}, "then": {"reply": {"body": body}}}])
    assert [get(shared.url, "/file")[1] for _ in range(3)] == [b"a", b"b", b"b"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"when": {"pat": "/"}, "then": {"close": True}}, 'did you mean "path"'),
        ({"then": {"reply": {"body": "${HOME}"}}}, "variables"),
        ({"then": {"reply": {"file": "/etc/passwd"}}}, "below the folder of the rule file"),
        ({"then": {"reply": {"file": "../../../../etc/passwd"}}}, "below the folder of the rule file"),
        ({"then": {"reply": {"folder": "/etc"}}}, "below the folder of the rule file"),
        ({"then": {"python": "handlers.py:answer"}}, "Python functions"),
        ({"when": {"python": "handlers.py:answer"}, "then": {"close": True}}, "Python functions"),
        ({"then": {"passthrough": {"request": {"python": "handlers.py:answer"}}}}, "Python functions"),
        ({"then": {"replay": "rules.yaml"}}, "--cassettes"),
    ],
)
def test_rules_that_reach_too_far_are_refused(control: ControlClient, rule: dict[str, Any], words: str) -> None:
    before = control.session()["rules"]
    with pytest.raises(ControlError, match=words) as refused:
        control.add_rules([rule])
    assert refused.value.status == 422
    assert control.session()["rules"] == before


def test_a_reset_sets_everything_back(shared: Recorder, control: ControlClient) -> None:
    control.add_rules([{"when": {"path": "/new"}, "then": {"reply": {"body": "new"}}}])
    first = [get(shared.url, path)[1] for path in ("/turns", "/turns", "/new")]
    assert len(control.exchanges()) == 3
    control.reset()
    assert control.exchanges() == []
    session = control.session()
    assert (session["exchanges"], session["unmatched"], session["openExchanges"]) == (0, 0, 0)
    assert all(rule["used"] == 0 for rule in session["rules"])
    assert first == [b"one", b"two", b"new"]
    assert get(shared.url, "/turns")[1] == b"one"
    assert get(shared.url, "/new")[0] == 503


# ── exchanges ──────────────────────────────────────────────────────────────────────────────────────


def test_a_look_straight_after_a_call_never_sees_too_little(shared: Recorder, control: ControlClient) -> None:
    at = urlsplit(shared.url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    for number in range(1000):
        if number % 50 == 0:
            control.reset()
        path = ("/file", "/chunks", "/long", "/gone")[number % 4]
        try:
            connection.request("GET", f"{path}?n={number}")
            connection.getresponse().read()
        except (http.client.HTTPException, ConnectionError):
            connection.close()
        assert len(control.exchanges(f"query[n] == '{number}'")) == 1, number
    connection.close()


def test_what_an_exchange_shows(shared: Recorder, control: ControlClient) -> None:
    at = urlsplit(shared.url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    connection.request("POST", "/file?a=1", b'{"currency": "EUR"}', {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()
    (seen,) = control.exchanges("method == POST and request.json[$.currency] == EUR")
    assert seen["request"]["body"] == '{"currency": "EUR"}'
    assert (seen["response"]["status"], seen["response"]["body"], seen["rule"]) == (200, "file", "file")
    assert seen["scope"] is None
    assert seen["duration"] > 0
    assert control.exchanges("method == GET") == []
    assert len(control.exchanges(limit=1)) == 1


def test_an_expression_may_compare_a_secret(shared: Recorder, control: ControlClient) -> None:
    get(shared.url, "/file?api_key=query-secret-1", Authorization="Bearer header-secret-1")
    (seen,) = control.exchanges('header[authorization] == "Bearer header-secret-1"')
    assert "secret-1" not in json.dumps(seen)
    assert len(control.exchanges("query[api_key] == query-secret-1")) == 1
    assert len(control.exchanges("header[authorization] contains header-secret-1")) == 1
    assert control.exchanges('header[authorization] == "Bearer header-secret-2"') == []
    assert control.exchanges('header[authorization] == "header-secret-1"') == []


def test_after_a_flush_the_log_can_be_read(shared: Recorder, control: ControlClient) -> None:
    get(shared.url, "/file?flushed")
    last = control.flush()
    assert shared.log is not None
    lines = shared.log.read_bytes().splitlines()
    assert json.loads(lines[-1])["seq"] == last
    assert b"/file?flushed" in lines[-1]


def test_metrics(shared: Recorder, control: ControlClient) -> None:
    get(shared.url, "/file")
    get(shared.url, "/nothing")
    token = {"Authorization": f"Bearer {shared.ready['control']['token']}"}
    assert get(control.url, "/v1/health", **token) == (200, b"ok\n")
    text = get(control.url, "/v1/metrics", **token)[1].decode()
    assert 'mockrec_exchanges_total{rule="file",status_class="2xx"}' in text
    assert "mockrec_exchange_duration_seconds_count" in text


# ── who is refused ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "TOKEN", "Origin": "http://127.0.0.1"}, 403),
        ({"Authorization": "TOKEN", "Origin": "null"}, 403),
        ({"Authorization": "TOKEN", "Host": "evil.test"}, 403),
        ({"Authorization": "TOKEN", "Host": "127.0.0.1.evil.test"}, 403),
        ({"Authorization": "TOKEN", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "TOKEN", "Host": "localhost"}, 200),
        ({"Authorization": "TOKEN", "Host": "[::1]:1"}, 200),
        ({"Authorization": "TOKEN"}, 200),
    ],
)
def test_only_programs_with_the_token_get_in(
    shared: Recorder, control: ControlClient, headers: dict[str, str], status: int
) -> None:
    token = f"Bearer {shared.ready['control']['token']}"
    given = {name: token if value == "TOKEN" else value for name, value in headers.items()}
    assert get(control.url, "/v1/session", **given)[0] == status


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_hostile_page_gets_nothing(shared: Recorder, control: ControlClient, tmp_path: Path) -> None:
    """The page knows the port of the control API, and has a name that leads to this machine."""
    page = "<!doctype html><title>hostile</title>"
    html = {"headers": {"Content-Type": "text/html"}, "body": page}
    control.add_rules([{"id": "page", "when": {"path": "/page"}, "then": {"reply": html}}])
    at = urlsplit(control.url)
    resolver = "--host-resolver-rules=MAP *.evil.test 127.0.0.1"
    script = HOSTILE.replace("PORT", str(at.port))
    with developer_tools(tmp_path / "profile", f"http://page.evil.test:{shared.port}/page", (resolver,)) as evaluate:
        told = evaluate(script)
    assert told == {
        "origin": f"http://page.evil.test:{shared.port}",
        "read": "failed",
        "read by name": "failed",
        "with a header": "failed",
        "image": "failed",
        "script": "failed",
        "post": "opaque",
        "delete": "failed",
    }
    assert control.session()["rules"][0]["id"] == "page"  # nothing was reset
    assert len(control.exchanges("path == /page")) == 1


def test_requests_that_make_no_sense(shared: Recorder, control: ControlClient) -> None:
    token = {"Authorization": f"Bearer {shared.ready['control']['token']}"}
    assert get(control.url, "/v1/nothing", **token)[0] == 404
    assert get(control.url, "/v1/reset", **token)[0] == 405
    assert get(control.url, "/v1/exchanges?wher=a", **token)[0] == 400
    status, body = get(control.url, "/v1/exchanges?where=foo", **token)
    assert (status, json.loads(body)["error"]["problems"][0]["column"]) == (400, 1)


def test_the_control_api_is_not_recorded_through_the_proxy(shared: Recorder, control: ControlClient) -> None:
    """COMMAND has an empty NO_PROXY, so its requests for the control API come through the proxy."""
    token = f"Bearer {shared.ready['control']['token']}"
    address = urlsplit(control.url)
    proxy = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=60)
    proxy.request("GET", f"{control.url}/v1/health", headers={"Authorization": token})
    plain = proxy.getresponse().read()
    proxy.close()
    tunnel = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=60)
    tunnel.set_tunnel("127.0.0.1", address.port)
    tunnel.request("GET", "/v1/health", headers={"Authorization": token})
    inside = tunnel.getresponse().read()
    tunnel.close()
    assert (plain, inside) == (b"ok\n", b"ok\n")
    assert control.session()["exchanges"] == 0
    assert control.exchanges() == []
    control.flush()
    assert shared.log is not None
    assert b"/v1/health" not in shared.log.read_bytes()


# ── a run ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_end_of_a_run(recorder: StartRecorder, tmp_path: Path) -> None:
    run = recorder(RULES, "--control")
    ready = tmp_path / "ready-0.json"
    assert ready.stat().st_mode & 0o777 == 0o600
    token = run.ready["control"]["token"]
    get(run.url, "/turns", X_Odd=token)
    run.control.reset()
    get(run.url, "/turns")
    session: Session = run.stop()
    assert not ready.exists()
    assert token not in (tmp_path / "session.jsonl").read_text(encoding="utf-8")
    uses = {rule["id"]: rule["used"] for rule in session.one("session-ended")["rules"]}
    assert uses == {"file": 0, "one": 2, "two": 0, "chunks": 0, "gone": 0, "long": 0}


def test_command_gets_the_control_api(program: RunProgram, tmp_path: Path) -> None:
    script = (
        "import urllib.request, os\n"
        "from mockrec.testing import ControlClient\n"
        "control = ControlClient.from_environment()\n"
        "control.add_rules([{'when': {'path': '/a'}, 'then': {'reply': {'body': 'scripted'}}}])\n"
        "print(urllib.request.urlopen('http://api.test/a').read().decode())\n"
        "assert len(control.exchanges('path == /a')) == 1\n"
    )
    run = program("run", "--control", "-o", "s.jsonl", "--", sys.executable, "-c", script)
    assert (run.returncode, run.stdout.strip()) == (0, "scripted"), run.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--control",), "nobody would get the token"),
        (("--control", "--ready-file", "r.json", "--workers", "2"), "those of one process"),
        (("--cassettes", "."), "means nothing without --control"),
        (("--control", "--ready-file", "r.json", "--cassettes", "nowhere"), "is not a folder"),
    ],
)
def test_options_that_do_not_fit(program: RunProgram, options: tuple[str, ...], words: str) -> None:
    run = program("run", *options)
    assert run.returncode == 2
    assert words in " ".join(run.stderr.split())
