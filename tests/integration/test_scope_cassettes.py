"""Scopes that record: what is added to their cassettes, when, and what stays as it was. The real program and servers."""

from __future__ import annotations

import http.client
import re
import shutil
from pathlib import Path

import pytest
from recorders import Recorder, StartRecorder
from upstreams import StartUpstream, counting

from mockrec.formats.analysis.verify import Audit
from mockrec.formats.files.scope_names import scope_name
from mockrec.formats.session import open_session
from mockrec.testing.client import ControlError

NO_RULES = "version: 1\nrules: []\n"


def ask(run: Recorder, url: str, scope: str) -> tuple[int, str]:
    """Send a GET through the proxy, in a scope."""
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
    try:
        connection.request("GET", url, headers={"mockrec-scope": scope})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def paths_of(path: Path) -> list[str]:
    """The paths of the recorded responses' requests, if `verify` finds nothing in the session."""
    with open_session(path) as session:
        audit = Audit(session.header, session.bodies_folder, unit=session.unit)
        records = []
        for number, record in session:
            audit.check(number, record)
            records.append(record)
        audit.finish()
        assert (audit.findings, session.cut_off) == ([], "")
    return [record["path"] for record in records if record["type"] == "request"]


def test_a_scope_that_passed_is_added_to_its_cassette_and_then_serves_alone(
    recorder: StartRecorder, upstream: StartUpstream, tmp_path: Path
) -> None:
    server = upstream(counting())
    run = recorder(NO_RULES, "--control", "--cassettes", tmp_path, "-o", "none", out=None)
    control, names = run.control, ("passed", "failed", "said nothing", "Tests/a.py::b[x]")
    for name in names:
        opened = control.open_scope(name, cassette="{scope}.jsonl", onMiss="record")
        assert (opened["unused"], opened["missed"]) == (0, 0)
    answers = {name: ask(run, f"{server.url}/{number}", name) for number, name in enumerate(names)}
    closed = {
        name: control.close_scope(name, outcome)
        for name, outcome in zip(names, ("passed", "failed", None, "passed"), strict=True)
    }
    assert {name: (one["exchanges"], one["missed"], one["added"]) for name, one in closed.items()} == {
        "passed": (1, 1, 1),
        "failed": (1, 1, 0),
        "said nothing": (1, 1, 0),
        "Tests/a.py::b[x]": (1, 1, 1),
    }
    written = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert written == sorted(["passed.jsonl", f"{scope_name(names[3])}.jsonl"])
    assert paths_of(tmp_path / "passed.jsonl") == ["/0"]
    before = (tmp_path / "passed.jsonl").read_bytes()
    # Without a server: what was recorded answers, and nothing else does.
    server.close()
    control.open_scope("passed", cassette="{scope}.jsonl")
    assert ask(run, f"{server.url}/0", "passed") == answers["passed"] == (200, "/0 1")
    assert ask(run, f"{server.url}/1", "passed")[0] == 503
    replayed = control.close_scope("passed", "passed")
    counts = ("exchanges", "served", "missed", "expired", "unused", "added")
    assert [replayed[key] for key in counts] == [2, 1, 1, 0, 0, 0]
    assert (tmp_path / "passed.jsonl").read_bytes() == before


def test_only_the_scope_that_missed_is_touched(
    recorder: StartRecorder, upstream: StartUpstream, tmp_path: Path
) -> None:
    server = upstream(counting())
    run = recorder(NO_RULES, "--control", "--cassettes", tmp_path, "-o", "none", out=None)
    control = run.control
    for name in ("a", "b"):
        control.open_scope(name, cassette="{scope}.jsonl", onMiss="record")
        ask(run, f"{server.url}/first", name)
        control.close_scope(name, "passed")
    before = {name: (tmp_path / f"{name}.jsonl").read_bytes() for name in ("a", "b")}
    for name in ("a", "b"):
        control.open_scope(name, cassette="{scope}.jsonl", onMiss="record")
    assert ask(run, f"{server.url}/first", "a") == (200, "/first 1")
    assert ask(run, f"{server.url}/second", "a") == (200, "/second 3")
    assert ask(run, f"{server.url}/first", "b") == (200, "/first 2")
    assert [control.close_scope(name, "passed")["added"] for name in ("a", "b")] == [1, 0]
    assert paths_of(tmp_path / "a.jsonl") == ["/first", "/second"]
    assert (tmp_path / "b.jsonl").read_bytes() == before["b"]
    # All but the last record is, byte for byte, what it was.
    assert (tmp_path / "a.jsonl").read_bytes().startswith(before["a"][: before["a"].rstrip().rindex(b"\n")])


def test_what_scopes_may_do_on_a_miss(recorder: StartRecorder, upstream: StartUpstream, tmp_path: Path) -> None:
    server = upstream(counting())
    run = recorder(NO_RULES, "--control", "--cassettes", tmp_path, "-o", "none", out=None)
    control = run.control
    control.open_scope("first", cassette="shared.jsonl", onMiss="record")
    with pytest.raises(ControlError, match=r"'first' records into .*shared\.jsonl") as refused:
        control.open_scope("second", cassette="shared.jsonl", onMiss="record")
    assert refused.value.status == 409
    assert control.session()["scopes"] == ["first"]
    ask(run, f"{server.url}/a", "first")
    assert control.close_scope("first", "passed")["added"] == 1
    recorded = (tmp_path / "shared.jsonl").read_bytes()
    control.open_scope("on", cassette="shared.jsonl", onMiss="passthrough")
    assert [ask(run, f"{server.url}/{path}", "on")[1] for path in ("a", "b")] == ["/a 1", "/b 2"]
    assert control.close_scope("on", "passed")["added"] == 0
    control.open_scope("old", cassette="shared.jsonl", maxAge="0s")
    assert ask(run, f"{server.url}/a", "old")[0] == 503
    closed = control.close_scope("old", "passed")
    assert (closed["served"], closed["missed"], closed["expired"]) == (0, 0, 1)
    assert (tmp_path / "shared.jsonl").read_bytes() == recorded
    control.open_scope("none", cassette="{scope}.jsonl")  # no file: every request is a miss, and none leaves
    assert ask(run, f"{server.url}/a", "none")[0] == 503
    control.close_scope("none", "passed")
    for given, words in (
        ({"maxAge": "soon", "cassette": "shared.jsonl"}, "maxAge: expected an age"),
        ({"maxAge": "1d"}, "maxAge is of a cassette"),
        ({"cassette": "nowhere/{scope}.jsonl", "onMiss": "record"}, "folder is not there"),
        ({"cassette": "../{scope}.jsonl", "onMiss": "record"}, "below"),
    ):
        with pytest.raises(ControlError, match=words):
            control.open_scope("wrong", **given)
    step = {"replay": {"session": str(tmp_path / "shared.jsonl"), "onMiss": "record"}}
    with pytest.raises(ControlError, match="onMiss: record"):
        control.add_rules([{"when": {"path": "/"}, "then": step}])
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["shared.jsonl"]


def test_each_scope_has_a_session_of_its_own(recorder: StartRecorder, tmp_path: Path) -> None:
    rules = "version: 1\nrules:\n  - {when: {path: /a}, then: {reply: {body: yes}}}\n"
    folder = tmp_path / "sessions"
    run = recorder(rules, "--control", "-o", f"{folder}/{{scope}}.jsonl", out=None)
    control = run.control
    for name in ("one", "two", "open"):
        control.open_scope(name)
    for name in ("one", "two", "open", "one"):
        ask(run, "http://shop.test/a", name)
    control.close_scope("one", "failed")
    assert paths_of(folder / "one.jsonl") == ["/a", "/a"]
    control.close_scope("two")
    assert run.stop().code == 0
    assert [paths_of(folder / f"{name}.jsonl") for name in ("two", "open")] == [["/a"], ["/a"]]
    again = recorder(rules, "--control", "-o", f"{folder}/{{scope}}.jsonl", out=None)
    with pytest.raises(ControlError, match="--force"):
        again.control.open_scope("one")


def test_no_recorder_loses_what_a_scope_made(recorder: StartRecorder, tmp_path: Path) -> None:
    rules = "version: 1\nrules:\n  - {when: {}, then: {reply: {body: yes}}}\n"
    folder = tmp_path / "sessions"
    first, second = (recorder(rules, "--control", "-o", f"{folder}/{{scope}}.jsonl", out=None) for _ in range(2))
    for run, path in ((first, "/first"), (second, "/second")):
        run.control.open_scope("both")
        ask(run, f"http://shop.test{path}", "both")
    second.control.open_scope("other")
    ask(second, "http://shop.test/other", "other")
    first.control.open_scope("both")  # begins again: what it made before stays
    ask(first, "http://shop.test/again", "both")
    first.control.close_scope("both")
    with pytest.raises(ControlError, match="exists already"):
        second.control.close_scope("both")
    ended = second.stop()
    assert ended.code != 0
    assert f"recording to {folder}/{{scope}}.jsonl · secrets redacted" in ended.stderr
    found = re.search(r"the records of the scope 'both' could not be written; they are kept in (\S+)", ended.stderr)
    assert found is not None, ended.stderr
    kept = Path(found[1])
    with open_session(str(kept)) as session:
        assert [record["path"] for _, record in session if record["type"] == "request"] == ["/second"]
    shutil.rmtree(kept.parent)
    assert paths_of(folder / "both.jsonl") == ["/first", "/again"]
    assert paths_of(folder / "other.jsonl") == ["/other"]
