"""Scopes: which exchange belongs to which test, and what is kept apart."""

from __future__ import annotations

import http.client
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from programs import RunProgram
from recorders import Recorder, StartRecorder

from mockrec.formats.session import open_session
from mockrec.testing.client import ControlClient, ControlError

RULES = """
version: 1
rules:
  - {id: one, when: {path: /turns}, then: {reply: {body: one}}}
  - {id: two, when: {path: /turns}, then: {reply: {body: two}}}
  - {id: echo, when: {path: /seen}, then: {reply: {body: "{{ request.headers['mockrec-scope'] | default('none') }}", template: true}}}
"""
NAME = "tests/test_shop.py::test_pay[eur]"


def ask(port: int, target: str, **headers: str) -> tuple[int, str]:
    """Send a GET, to a proxy if the target is a whole URL."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", target, headers={"Host": "shop.test", **given})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def credentials(name: str, password: str = "") -> str:
    return "Basic " + b64encode(f"scope-{name}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def shared(shared_recorder: StartRecorder) -> Recorder:
    return shared_recorder(RULES, "--control")


@pytest.fixture
def control(shared: Recorder) -> Iterator[ControlClient]:
    client = shared.control
    for name in client.session()["scopes"]:
        client.close_scope(name)
    client.reset()
    yield client
    client.close()


def test_before_a_scope_was_opened_the_field_is_an_ordinary_one(recorder: StartRecorder) -> None:
    run = recorder(RULES, "--control")
    plain = ask(run.port, "/seen", mockrec_scope="mine")
    refused = ask(run.port, "http://shop.test/seen", Proxy_Authorization=credentials("mine"))[0]
    run.control.open_scope("mine")
    taken_out = ask(run.port, "/seen", mockrec_scope="mine")
    session = run.stop()
    assert (plain, refused, taken_out) == ((200, "mine"), 407, (200, "none"))
    assert [record.get("scope") for record in session.by_type("response")] == [None, "mine"]
    assert [record["errorCode"] for record in session.by_type("client-error")] == ["ERR_UNKNOWN_SCOPE"]


def test_the_ways_to_name_a_scope(shared: Recorder, control: ControlClient) -> None:
    opened = control.open_scope(NAME)
    control.open_scope("other")
    assert opened["proxyUrl"] == f"http://scope-{quote(NAME, safe='')}@127.0.0.1:{shared.port}"
    assert ask(shared.port, "http://shop.test/turns?1", Proxy_Authorization=credentials(NAME))[0] == 200
    assert ask(shared.port, "http://shop.test/turns?2", Proxy_Authorization=credentials(quote(NAME, safe="")))[0] == 200
    assert ask(shared.port, "/turns?3", **{name.replace("-", "_"): v for name, v in opened["header"].items()})[0] == 200
    both = {"Proxy_Authorization": credentials(NAME), "mockrec_scope": "other"}
    assert ask(shared.port, "http://shop.test/turns?4", **both)[0] == 200
    assert ask(shared.port, "/turns?5")[0] == 200
    seen = {one["request"]["url"].partition("?")[2]: one["scope"] for one in control.exchanges()}
    assert seen == {"1": NAME, "2": NAME, "3": NAME, "4": NAME, "5": None}
    control.close_scope("other")
    ask(shared.port, "/turns?6")  # the only open one
    assert len(control.exchanges(scope=NAME)) == 5
    assert control.close_scope(NAME)["exchanges"] == 5


def test_clients_with_the_proxy_url_are_in_the_scope(shared: Recorder, control: ControlClient) -> None:
    proxy = control.open_scope(NAME)["proxyUrl"]
    control.open_scope("other")
    for url in ("http://shop.test/turns", "https://shop.test/turns"):
        command = ["curl", "--silent", "--cacert", shared.ready["ca"], "--proxy", proxy, url]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert [(one["request"]["url"], one["scope"]) for one in control.exchanges()] == [
        ("http://shop.test/turns", NAME),
        ("https://shop.test/turns", NAME),
    ]


def test_an_unknown_name_is_refused_and_makes_no_scope(shared: Recorder, control: ControlClient) -> None:
    control.open_scope("known")
    assert ask(shared.port, "http://shop.test/turns", Proxy_Authorization=credentials("unknown"))[0] == 407
    assert ask(shared.port, "/turns", mockrec_scope="unknown")[0] == 400
    assert control.session()["scopes"] == ["known"]
    assert control.exchanges() == []
    with pytest.raises(ControlError, match="no scope"):
        control.add_rules([{"then": {"close": True}}], scope="unknown")


def test_a_tunnel_of_a_closed_scope_is_refused(shared: Recorder, control: ControlClient) -> None:
    control.open_scope("mine")
    tunnel = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=60)
    tunnel.set_tunnel("shop.test", 80, {"Proxy-Authorization": credentials("mine")})
    tunnel.request("GET", "/turns")
    assert tunnel.getresponse().read() == b"one"
    control.close_scope("mine")
    tunnel.request("GET", "/turns")
    assert tunnel.getresponse().status == 407
    tunnel.close()


def test_two_scopes_see_nothing_of_each_other(shared: Recorder, control: ControlClient) -> None:
    for name in ("a", "b"):
        control.open_scope(name)
        control.add_rules([{"id": "mine", "when": {"path": "/own"}, "then": {"reply": {"body": name}}}], name)
    for name in ("a", "b"):
        assert ask(shared.port, "/own", mockrec_scope=name) == (200, name)
        assert [ask(shared.port, "/turns", mockrec_scope=name)[1] for _ in range(3)] == ["one", "two", "two"]
    assert ask(shared.port, "/own")[0] == 503
    uses = {(one["scope"], one["id"]): one["used"] for one in control.session()["rules"]}
    assert [uses[scope, "one"] for scope in (None, "a", "b")] == [0, 1, 1]
    assert control.close_scope("a")["exchanges"] == 4


def test_a_password_of_the_proxy_is_that_of_scopes(recorder: StartRecorder) -> None:
    run = recorder('server: {auth: "user:p:w"}\n' + RULES.replace("version: 1\n", ""), "--control")
    opened = run.control.open_scope("mine")
    url = "http://shop.test/turns"
    right = ask(run.port, url, Proxy_Authorization=credentials("mine", "pw"))[0]
    assert right == 407  # not the whole password
    assert urlsplit(opened["proxyUrl"]).password == "p%3Aw"
    run.stop()


def test_two_hundred_scopes_at_once(shared: Recorder, control: ControlClient) -> None:
    """Four workers of a suite share one recorder."""

    def work(worker: int) -> list[tuple[str, str]]:
        client = ControlClient(control.url, shared.ready["control"]["token"])
        wrong = []
        for number in range(50):
            name = f"worker {worker}: test {number}"
            client.open_scope(name)
            client.add_rules([{"when": {"path": "/own"}, "then": {"reply": {"body": name}}}], name)
            for way in ({"mockrec_scope": name}, {"Proxy_Authorization": credentials(name)}):
                target = "/own" if "mockrec_scope" in way else "http://shop.test/own"
                status, body = ask(shared.port, target, **way)
                if (status, body) != (200, name):
                    wrong.append((name, body))
            seen = client.exchanges(scope=name)
            wrong += [(name, str(seen))] if [one["response"]["body"] for one in seen] != [name, name] else []
            wrong += [(name, "count")] if client.close_scope(name)["exchanges"] != 2 else []
        client.close()
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert [one for found in pool.map(work, range(4)) for one in found] == []


# ── the log ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def recorded(shared_recorder: StartRecorder) -> Path:
    """A session with exchanges of a scope, and with one of none."""
    run = shared_recorder(RULES, "--control", "--events", "all", out="scoped.jsonl")
    run.control.open_scope("mine")
    ask(run.port, "/turns")
    ask(run.port, "/nothing")
    run.control.close_scope("mine")
    ask(run.port, "/turns")
    run.stop()
    assert run.log is not None
    return run.log


def scopes_of(path: Path) -> list[tuple[str, Any]]:
    with open_session(path) as session:
        return [(record["type"], record.get("scope")) for _, record in session if "id" in record]


def test_every_record_of_an_exchange_has_its_scope(recorded: Path) -> None:
    found = scopes_of(recorded)
    assert {kind for kind, scope in found if scope == "mine"} == {
        "request-initiated", "request-body-data", "request", "response-initiated", "response-body-data", "response",
    }  # fmt: skip
    assert [scope for kind, scope in found if kind == "response"] == ["mine", "mine", None]


@pytest.mark.parametrize("name", ["s.har", "s.parquet", "s.jsonl.gz"])
def test_other_formats_and_filters_keep_it(program: RunProgram, recorded: Path, tmp_path: Path, name: str) -> None:
    assert program("filter", recorded, "-o", name).returncode == 0
    assert program("filter", name, "scope == mine", "-o", "back.jsonl").returncode == 0
    assert {scope for _, scope in scopes_of(tmp_path / "back.jsonl")} == {"mine"}
    if name == "s.har":
        assert (tmp_path / name).read_text(encoding="utf-8").count('"_scope":"mine"') == 2
    else:
        program("filter", name, "-o", "whole.jsonl")
        with open_session(tmp_path / "whole.jsonl") as whole, open_session(recorded) as session:
            assert [record for _, record in whole] == [record for _, record in session]


def test_a_replay_keeps_it(program: RunProgram, recorder: StartRecorder, recorded: Path, tmp_path: Path) -> None:
    run = recorder(RULES)
    replayed = program("replay", recorded, "--to", run.url, "--pace", "max", "-o", "again.jsonl")
    run.stop()
    assert replayed.returncode == 0, replayed.stderr
    found = [scope for kind, scope in scopes_of(tmp_path / "again.jsonl") if kind == "response"]
    assert sorted(found, key=str) == [None, "mine", "mine"]


# ── cassettes ──────────────────────────────────────────────────────────────────────────────────────


def test_each_scope_has_its_own_cassette(recorder: StartRecorder, recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "cassettes").mkdir()
    (tmp_path / "cassettes" / "turns.jsonl").write_bytes(recorded.read_bytes())
    (tmp_path / "outside.jsonl").write_bytes(recorded.read_bytes())
    run = recorder("version: 1\nrules: []\n", "--control", "--cassettes", tmp_path / "cassettes", out=None)
    control = run.control
    for name in ("a", "b"):
        assert control.open_scope(name, cassette="turns.jsonl")["unused"] == 3
    for name in ("a", "b"):
        assert [ask(run.port, "/turns", mockrec_scope=name)[1] for _ in range(2)] == ["one", "one"]
    assert ask(run.port, "/other", mockrec_scope="a")[0] == 503
    closed = control.close_scope("a")
    assert (closed["exchanges"], closed["missed"], closed["unused"]) == (3, 1, 1)
    assert control.scope("b")["missed"] == 0
    control.reset()
    assert control.scope("b")["unused"] == 3
    for cassette, words in (("../outside.jsonl", "below"), ("nowhere.jsonl", "nowhere.jsonl"), ("/etc/hosts", "below")):
        with pytest.raises(ControlError, match=words):
            control.open_scope("c", cassette=cassette)
    with pytest.raises(ControlError, match="onMiss"):
        control.open_scope("c", cassette="turns.jsonl", onMiss="sometimes")
    assert control.session()["scopes"] == ["b"]
    run.stop()
