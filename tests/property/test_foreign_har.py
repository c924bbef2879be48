"""Whatever another tool's HAR says: what is read of it is a session as the log promises, and a head can hold its fields."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from audited import audited
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine.replay.serve.cassette import Cassette
from mockrec.engine.replay.serve.step import Unservable, answer_of
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.replay.to_rules.to_rules import write_rules
from mockrec.engine.rules.language.load import load_rules
from mockrec.engine.wire.http1.written_heads import field_lines, head_bytes
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session

Record = dict[str, Any]

ODD = "aAé報😀\ud800\udce9\0\x01\x7f\t\r\n :;,=\"'()<>@/\\{}%&?#~.-_\ufeff\xa0"
USUAL = """GET / HTTP/1.1|HTTP/1.1 200 OK|Set-Cookie|:status|:path|a=1; path=/, b=2|Content-Type|base64|200|HEAD|gzip|dcb|br
multipart/form-data|text/html; charset=punycode|application/json|Content-Encoding|Content-Length|Transfer-Encoding|chunked
Host|http://a.test/|2026-01-01T00:00:00Z"""
texts = st.text(ODD, max_size=12) | st.sampled_from(USUAL.replace("\n", "|").split("|"))
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
header = st.fixed_dictionaries({"name": texts | anything, "value": texts | anything})
headers = st.lists(header, max_size=5) | st.dictionaries(texts, texts, max_size=3) | anything
cookies = st.lists(st.fixed_dictionaries({"name": texts, "value": texts}, optional={"path": texts, "expires": texts}))


def mostly(usual: Any, odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value that is usual, more often than not."""
    return st.just(usual) | st.just(usual) | odd


def message(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    return st.fixed_dictionaries(
        {"headers": headers, **members}, optional={"cookies": cookies | anything, "_trailers": headers}
    )


content = st.fixed_dictionaries(
    {},
    optional={
        "size": anything,
        "text": texts | anything,
        "encoding": texts,
        "mimeType": texts,
        "_file": texts,
        "params": st.lists(st.fixed_dictionaries({"name": texts}, optional={"value": anything, "fileName": texts}))
        | anything,
    },
)
entries = st.fixed_dictionaries(
    {
        "startedDateTime": mostly("2026-01-01T00:00:00Z", anything),
        "request": message(
            method=mostly("GET", texts),
            url=mostly("http://a.test/x", texts.map(lambda path: f"http://a.test/{path}") | texts),
            postData=content | anything,
        ),
        "response": message(
            status=mostly(200, st.sampled_from([204, 302, 304, 101, "200 OK", 99]) | anything),
            statusText=texts,
            content=content | anything,
        ),
    },
    optional={
        "time": anything,
        "timings": anything,
        "_webSocketMessages": st.lists(anything),
        "_resourceType": st.just("websocket"),
    },
)


def lines_of(made: list[Record]) -> tuple[list[Record], bytes]:
    data = json.dumps({"log": {"entries": made}}).encode()
    session = Session(Source("s.har", io.BytesIO(data), ours=False))
    records = audited(session)
    return records, b"".join(json.dumps(record).encode() + b"\n" for record in records)


@given(st.lists(entries, max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_is_read_can_stand_in_a_head(made: list[Record]) -> None:
    records, _ = lines_of(made)
    for record in records:
        for key in ("rawHeaders", "rawTrailers"):
            field_lines([pair for pair in record.get(key, []) if not pair[0].startswith(":")])
        if "statusCode" in record:
            assert head_bytes(record["statusCode"], record["statusMessage"], [])
        if record["type"] == "request":
            assert record["url"].isascii()
            assert record["path"].isprintable() and " " not in record["path"]


@given(made=st.lists(entries, max_size=3))
@settings(max_examples=40, deadline=None)
def test_what_is_read_can_be_served_and_made_rules_of(made: list[Record], tmp_path_factory: Any) -> None:
    _, lines = lines_of(made)
    folder: Path = tmp_path_factory.mktemp("foreign")
    (folder / "s.jsonl").write_bytes(lines)
    cassette = Cassette(str(folder / "s.jsonl"), MatchOptions())
    try:
        for recording in cassette.recordings:
            assert recording.answer is not None
            record = cassette.read(recording.answer)
            if record["type"] == "response":
                why = ""
                try:
                    answer_of(record, cassette, recording, bodiless=False, version="1.1")
                except Unservable as problem:
                    why = str(problem)
                assert not why or "not in the recording" in why or "no status" in why or "was cut" in why
    finally:
        cassette.close()
    write_rules(str(folder / "s.jsonl"), folder / "rules.yaml", force=True, file_mode=0o600)
    text = (folder / "rules.yaml").read_bytes()
    load_rules(text, path="rules.yaml", folder=str(folder), read_file=lambda name: Path(name).read_bytes(), env={})
