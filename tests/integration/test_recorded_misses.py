"""`replay --serve` with `--on-miss`, `--refresh`, `--max-age`, a COMMAND, and the receipt: the real program, real servers."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from programs import RunProgram
from serving import Serving, serve
from upstreams import Served, StartUpstream, counting

from mockrec.formats.analysis.verify import Audit
from mockrec.formats.session import open_session

__all__ = ["serve"]

Start = Callable[..., Serving]

GET = """
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=30).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def command(*urls: str) -> list[str]:
    """A COMMAND that asks for each URL, after the dashes."""
    return ["--", sys.executable, "-c", GET, *urls]


def findings(path: Path) -> list[str]:
    """What `mockrec verify` finds in a session."""
    with open_session(path) as session:
        audit = Audit(session.header, session.bodies_folder, unit=session.unit)
        for number, record in session:
            audit.check(number, record)
        audit.finish()
        return [*audit.findings, *([session.cut_off] if session.cut_off else [])]


def by_proxy(run: Serving) -> httpx.Client:
    return httpx.Client(proxy=run.url, trust_env=False, timeout=30)


def records_of(path: Path) -> list[dict[str, Any]]:
    with open_session(path) as session:
        return [record for _, record in session]


def test_a_new_cassette_is_recorded_and_then_serves_alone(
    tmp_path: Path, serve: Start, upstream: StartUpstream
) -> None:
    server = upstream(counting())
    path = tmp_path / "new.jsonl"
    run = serve(path, "--on-miss", "record")
    with by_proxy(run) as client:
        recorded = [client.get(f"{server.url}/{name}").text for name in ("a", "a", "b")]
    code, said = run.stop()
    assert (code, recorded) == (0, ["/a 1", "/a 2", "/b 3"])
    assert "3 exchanges added" in said
    assert findings(path) == []
    assert path.stat().st_mode & 0o777 == 0o600
    server.close()
    alone = serve(path, "--strict")
    with by_proxy(alone) as client:
        assert [client.get(f"{server.url}/{name}").text for name in ("a", "a", "b")] == recorded
    assert alone.stop()[0] == 0


def test_what_is_added_comes_behind_records_that_stay(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    before: list[bytes] = []
    for names in (("a",), ("a", "b"), ("b", "c")):
        run = serve(path, "--on-miss", "record")
        with by_proxy(run) as client:
            for name in names:
                client.get(f"{server.url}/{name}")
        assert run.stop()[0] == 0
        lines = path.read_bytes().splitlines()
        assert lines[: len(before)] == before
        assert findings(path) == []
        before = lines[:-1]
    records = records_of(path)
    assert [record["seq"] for record in records] == list(range(len(records)))
    parts = [record for record in records if record["type"] == "session-started"]
    assert [part.get("part") for part in parts] == [None, 2, 3]
    assert len({part["startTime"] for part in parts}) == len({part["redaction"]["keyId"] for part in parts}) == 3
    assert len({part["sessionId"] for part in parts}) == 1
    assert [record["type"] for record in records].count("session-ended") == 1
    assert [received.target for received in server.requests] == ["/a", "/b", "/c"]


@pytest.mark.parametrize("name", ["s.jsonl.zst", "s.har", "s.parquet"])
def test_other_formats_get_equal_records(tmp_path: Path, serve: Start, upstream: StartUpstream, name: str) -> None:
    server = upstream(counting())
    path = tmp_path / name
    records: list[dict[str, Any]] = []
    for wanted in ("a", "b"):
        run = serve(path, "--on-miss", "record")
        with by_proxy(run) as client:
            client.get(f"{server.url}/{wanted}")
        assert run.stop()[0] == 0
        now = records_of(path)
        assert now[: len(records)] == records
        assert findings(path) == []
        records = now[:-1]


def test_only_complete_exchanges_of_servers_are_added(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    def breaking(connection: Served) -> None:
        received = connection.request()
        if received is not None:
            whole = b"whole" if received.target == "/whole" else b"cut"
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n" + whole)

    server = upstream(serve=breaking)
    nobody = upstream()
    nobody.close()
    path = tmp_path / "s.jsonl"
    run = serve(path, "--on-miss", "record")
    with by_proxy(run) as client:
        assert client.get(f"{server.url}/whole").text == "whole"
        with pytest.raises(httpx.HTTPError):
            client.get(f"{server.url}/cut")
        assert client.get(nobody.url).status_code == 502
    code, said = run.stop()
    assert code == 0
    assert "2 exchanges not added" in said and "it broke off" in said and "its server has not answered" in said
    assert [record["path"] for record in records_of(path) if record["type"] == "request"] == ["/whole"]


def test_a_failed_run_changes_nothing(tmp_path: Path, program: RunProgram, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    done = program("replay", path, "--serve", "--on-miss", "record", *command(f"{server.url}/a"))
    assert (done.returncode, done.stdout) == (0, "/a 1\n")
    before = path.read_bytes()
    failing = ["--", sys.executable, "-c", f"{GET}\nsys.exit(3)", f"{server.url}/b"]
    done = program("replay", path, "--serve", "--on-miss", "record", "--receipt", "r.json", *failing)
    assert (done.returncode, done.stdout) == (3, "/b 2\n")
    assert "stays as it was" in done.stderr
    assert path.read_bytes() == before
    receipt = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (receipt["isolated"], receipt["exitCode"], receipt["added"]) == (False, 3, 0)


def test_what_cannot_be_added_is_kept(tmp_path: Path, program: RunProgram, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    in_the_way = ["--", sys.executable, "-c", f"{GET}\nimport os\nos.mkdir('s.jsonl')", f"{server.url}/a"]
    done = program("replay", path, "--serve", "--on-miss", "record", *in_the_way)
    assert (done.returncode, done.stdout) == (125, "/a 1\n")
    assert f"cannot write {path}: " in done.stderr
    found = re.search(r"what was recorded is kept in (\S+)", done.stderr)
    assert found is not None, done.stderr
    kept = Path(found[1])
    assert [record["path"] for record in records_of(kept) if record["type"] == "request"] == ["/a"]
    shutil.rmtree(kept.parent)


def test_a_command_that_cannot_be_run_has_sent_nothing(tmp_path: Path, program: RunProgram) -> None:
    done = program("replay", tmp_path / "s.jsonl", "--serve", "--on-miss", "record", "--", tmp_path / "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr
    assert "nothing came through" not in done.stderr


def test_a_miss_that_is_passed_on_is_not_added(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    run = serve(path, "--on-miss", "record")
    with by_proxy(run) as client:
        client.get(f"{server.url}/a")
    run.stop()
    before = path.read_bytes()
    run = serve(path, "--on-miss", "passthrough", "--strict")
    with by_proxy(run) as client:
        assert [client.get(f"{server.url}/{name}").text for name in ("a", "b")] == ["/a 1", "/b 2"]
    assert run.stop()[0] == 1
    assert path.read_bytes() == before
    tags = [record["tags"] for record in run.records if record["type"] == "response"]
    assert [any(tag.startswith("replay-of:") for tag in tags[0]), "replay-miss" in tags[1]] == [True, True]
    events = [record["eventType"] for record in run.records if record["type"] == "rule-event"]
    assert "passthrough-response-head" in events


def test_a_refreshed_recording_takes_the_place_of_the_old_one(
    tmp_path: Path, serve: Start, upstream: StartUpstream
) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"

    def served(*options: str, names: str = "aaab") -> list[str]:
        run = serve(path, *options)
        with by_proxy(run) as client:
            texts = [client.get(f"{server.url}/{name}").text for name in names]
        assert run.stop()[0] == 0
        return texts

    assert served("--on-miss", "record") == ["/a 1", "/a 2", "/a 3", "/b 4"]
    assert served("--refresh", "path == /a", names="ab") == ["/a 5", "/b 4"]
    assert served() == ["/a 5", "/a 2", "/a 3", "/b 4"]
    assert served("--refresh", names="aaaab") == ["/a 6", "/a 7", "/a 8", "/a 9", "/b 10"]
    assert served(names="aaaaab") == ["/a 6", "/a 7", "/a 8", "/a 9", "/a 9", "/b 10"]
    assert findings(path) == []


def test_an_old_recording_is_a_miss_that_says_so(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    run = serve(path, "--on-miss", "record")
    with by_proxy(run) as client:
        client.get(f"{server.url}/a")
    run.stop()
    text = path.read_text(encoding="utf-8").replace('"timestamp":"2', '"timestamp":"1')
    path.write_text(text, encoding="utf-8")
    receipt = tmp_path / "r.json"
    run = serve(path, "--max-age", "30d", "--strict", "--receipt", str(receipt))
    with by_proxy(run) as client:
        missed = client.get(f"{server.url}/a")
    assert missed.status_code == 503 and "has expired" in missed.text
    code, said = run.stop()
    assert code == 1 and "1 request whose recording has expired" in said
    found = json.loads(receipt.read_text(encoding="utf-8"))
    assert (found["expired"], found["missed"], found["isolated"]) == (1, 0, False)
    assert any("replay-expired" in record.get("tags", ()) for record in run.records)
    run = serve(path, "--max-age", "30d", "--on-miss", "record")
    with by_proxy(run) as client:
        assert client.get(f"{server.url}/a").text == "/a 2"
    run.stop()
    run = serve(path, "--max-age", "30d", "--strict")
    with by_proxy(run) as client:
        assert client.get(f"{server.url}/a").text == "/a 2"
    assert run.stop()[0] == 0


def test_two_runs_that_end_together_lose_nothing(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    runs = [serve(path, "--on-miss", "record") for _ in range(3)]
    for number, run in enumerate(runs):
        with by_proxy(run) as client:
            client.get(f"{server.url}/{number}")
    for run in runs:
        run.process.send_signal(2)
    assert [run.process.wait(60) for run in runs] == [0, 0, 0]
    assert findings(path) == []
    assert sorted(record["path"] for record in records_of(path) if record["type"] == "request") == ["/0", "/1", "/2"]


def test_the_rule_step_records_too(tmp_path: Path, recorder: Any, upstream: StartUpstream, serve: Start) -> None:
    server = upstream(counting())
    rules = """\
version: 1
rules:
  - {when: {path: /own}, then: {reply: {body: own}}}
  - {when: {}, then: {replay: {session: tape.jsonl, onMiss: record, maxAge: 30d}}}
"""
    run = recorder(rules)
    with httpx.Client(proxy=run.url, trust_env=False, timeout=30) as client:
        assert [client.get(f"{server.url}/{name}").text for name in ("own", "a")] == ["own", "/a 1"]
    session = run.stop()
    assert session.code == 0
    path = tmp_path / "tape.jsonl"
    assert findings(path) == []
    assert [record["path"] for record in records_of(path) if record["type"] == "request"] == ["/a"]
    assert not session.records[0].get("part")


FOREIGN = {
    "old.yaml": "interactions:\n- request: {method: GET, uri: 'http://shop.test/', headers: {}, body: null}\n"
    "  response: {status: {code: 200, message: OK}, headers: {}, body: {string: hello}}\nversion: 1\n",
    "old.har": '{"log": {"version": "1.2", "creator": {"name": "Polly.JS", "version": "6"}, "entries": []}}',
}


@pytest.mark.parametrize("name", FOREIGN)
def test_recordings_of_other_tools_are_not_written_to(tmp_path: Path, program: RunProgram, name: str) -> None:
    (tmp_path / name).write_text(FOREIGN[name], encoding="utf-8")
    done = program("replay", name, "--serve", "--port", "0", "--on-miss", "record")
    assert done.returncode == 2
    assert "mockrec filter" in done.stderr and "-o old.jsonl" in done.stderr
    assert (tmp_path / name).read_text(encoding="utf-8") == FOREIGN[name]


def test_a_request_to_the_recorder_itself_needs_a_server(tmp_path: Path, serve: Start, upstream: StartUpstream) -> None:
    server = upstream(counting())
    path = tmp_path / "s.jsonl"
    run = serve(path, "--on-miss", "record")
    with httpx.Client(trust_env=False, timeout=30) as client:
        missed = client.get(f"{run.url}/a")
    assert missed.status_code == 503 and "--upstream" in missed.text
    run.stop()
    run = serve(path, "--on-miss", "record", "--upstream", server.url)
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.get(f"{run.url}/a").text == "/a 1"
    run.stop()
    server.close()
    run = serve(path, "--strict")
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.get(f"{run.url}/a").text == "/a 1"
    assert run.stop()[0] == 0


def test_the_receipt_of_a_run_that_proves_something(
    tmp_path: Path, program: RunProgram, upstream: StartUpstream
) -> None:
    server = upstream(counting())
    url = f"{server.url}/a"
    assert program("replay", "s.jsonl", "--serve", "--on-miss", "record", *command(url)).returncode == 0
    server.close()
    receipt = tmp_path / "r.json"
    receipt.write_text("an earlier one", encoding="utf-8")
    options = ("replay", "s.jsonl", "--serve", "--strict", "--receipt", receipt)
    done = program(*options, *command(url))
    assert (done.returncode, done.stdout) == (0, "/a 1\n")
    found = json.loads(receipt.read_text(encoding="utf-8"))
    assert (found["served"], found["unused"], found["missed"], found["expired"]) == (1, 0, 0, 0)
    assert (found["isolated"], found["enforced"], found["reached"]) == (True, False, [])
    assert found["sentence"] in done.stderr
    # A green run that has not asked for anything proves nothing.
    done = program("replay", "s.jsonl", "--serve", "--receipt", receipt, *command())
    found = json.loads(receipt.read_text(encoding="utf-8"))
    assert (done.returncode, found["isolated"], found["unused"]) == (0, False, 1)
    assert "no recording was served" in found["sentence"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's")
def test_an_isolated_command_reaches_the_recorder_only(
    tmp_path: Path, program: RunProgram, upstream: StartUpstream
) -> None:
    server = upstream(counting())
    url = f"{server.url}/a"
    assert program("replay", "s.jsonl", "--serve", "--on-miss", "record", *command(url)).returncode == 0
    around = f"{GET}\nimport socket\ntry:\n    socket.create_connection(('127.0.0.1', {server.port}), 5)\n"
    around += "except OSError:\n    print('nothing there')\n"
    options = ("replay", "s.jsonl", "--serve", "--isolate", "--receipt", "r.json")
    done = program(*options, "--", sys.executable, "-c", around, url)
    if done.returncode == 125:  # a system without such namespaces refuses, and says why
        assert "--isolate" in done.stderr and "COMMAND was not run" in done.stderr and done.stdout == ""
        return
    assert (done.returncode, done.stdout) == (0, "/a 1\nnothing there\n")
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (found["isolated"], found["enforced"]) == (True, True)
    assert program(*options, "--", "/nowhere/at-all").returncode == 127


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--isolate",), "there is no COMMAND to isolate"),
        (("--upstream", "http://a.test"), "--on-miss passthrough or record"),
        (("--refresh", "--on-miss", "fail"), "nothing is recorded again"),
        (("--on-miss", "sometimes"), "expected fail or passthrough or record"),
        (("--max-age", "soon"), "expected an age such as 12h"),
    ],
)
def test_options_that_contradict_are_refused(
    tmp_path: Path, program: RunProgram, options: tuple[str, ...], said: str
) -> None:
    done = program("replay", "s.jsonl", "--serve", *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
