"""What is computed from sessions: HAR and Parquet files, filter expressions, two sessions compared, rules to ignore."""

from __future__ import annotations

import io
import tempfile
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import orjson
from fuzz_files import check_message, session
from fuzz_target import Target

from mockrec.cli.diff_text import report as text_report
from mockrec.formats.diff.baseline import read_baseline
from mockrec.formats.diff.collect import Filters
from mockrec.formats.diff.comparison import compare_sessions
from mockrec.formats.diff.ignore import read_rules
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.report import github as report_github
from mockrec.formats.diff.report import json as report_json
from mockrec.formats.diff.report import junit as report_junit
from mockrec.formats.diff.report import markdown as report_markdown
from mockrec.formats.query import FilterError, parse
from mockrec.formats.query.extract import Context
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import DecodeError, compile_typed
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.select.parquet_input import ParquetInput
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session, open_session

_SEEDS = Path(__file__).parent / "seeds"
_HARS = Path(__file__).parents[1] / "data" / "har"
_FOLDER = Path(tempfile.gettempdir())
_BETWEEN = b"\n====\n"


def _written(name: str, data: bytes) -> Path:
    """A file for readers that take none but real ones; the next input replaces it."""
    path = _FOLDER / f"mockrec-fuzz-{name}"
    path.write_bytes(data)
    return path


def har(data: bytes, chance: Random) -> None:
    """Always read as HAR: what is none is tried by the target `session`."""
    session(b'{"log":' + data.removeprefix(b'{"log":'), chance)


def parquet(data: bytes, chance: Random) -> None:
    """The whole file, then by its columns where the damage is not in the footer.

    What pyarrow finds wrong with the statistics in a footer, it may end the process for (`terminate`)."""
    path = _written("parquet", data)
    try:
        with open_session(path) as opened:
            records = [record for _, record in opened]
        assert all(type(record) is dict for record in records)
    except FormatError as found:
        check_message(found)
        return
    if _footer(data) not in _FOOTERS:
        return
    table = None
    try:
        table = ParquetInput(str(path), [path])
        table.probe()
        table.header()
        plan = parse(chance.choice(_EXPRESSIONS))
        table.count(plan)
        for kept in table.take(table.judge(plan)):
            orjson.loads(kept.raw)
    except FormatError as found:
        check_message(found)
    finally:
        if table is not None:
            table.close()


def _footer(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") :]


def expression(data: bytes, chance: Random) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        plan = parse(text, records=chance.random() < 0.3)
    except FilterError as found:
        check_message(found)
        return
    bits, typed = compile_predicate(plan, Context()), compile_typed(plan, Context())
    for line in _LINES:
        answered = bits(orjson.loads(line))
        plan.decide(answered)
        try:
            assert typed.bits(typed.decode(line)) == answered, line
        except DecodeError:
            pass


def diff(data: bytes, chance: Random) -> None:
    """Two sessions with a mark between them; without it, one against the seed."""
    first, mark, second = data.partition(_BETWEEN)
    a, b = _written("a", first), _written("b", second if mark else _LOG)
    options = DiffOptions(strict=chance.random() < 0.5, requests=chance.random() < 0.5, timing=chance.random() < 0.5)
    try:
        result = compare_sessions(str(a), str(b), options, Filters())
    except FormatError as found:
        check_message(found)
        return
    list(text_report(result, verbose=True))
    for shape in (report_json, report_github, report_junit, report_markdown):
        shape.report(result).encode("utf-8", "backslashreplace")


def ignore(data: bytes, chance: Random) -> None:
    """Files of people that `diff` reads: rules to ignore, and a baseline."""
    path = str(_written("ignore", data))
    for read in (lambda: read_rules(path, date(2026, 1, 1)), lambda: read_baseline(path)):
        try:
            read()
        except FormatError as found:
            check_message(found)


def _records(data: bytes) -> list[dict[str, Any]]:
    with Session(Source("seed", io.BytesIO(data))) as opened:
        return [record for _, record in opened]


_LOG = (_SEEDS / "session.jsonl").read_bytes()
_ODD: list[dict[str, Any]] = [
    {"type": "request", "id": "a", "url": "http://a:" + "9" * 5000 + "/", "headers": {"cookie": ";;=;a"}, "body": {"text": "\ud7ff"}},
    {"type": "response", "id": "a", "statusCode": "200", "headers": [], "body": {"size": "x", "base64": "!"}, "tags": [1, None, {}]},
    {"type": "abort", "id": 7, "url": 5, "error": "x", "duration": 1e308, "timestamp": "2026-13-45T99:99:99Z", "tlsMetadata": []},
]  # fmt: skip
_LINES = [*_LOG.splitlines(), *(orjson.dumps(record) for record in _ODD)]
_EXPRESSIONS = [
    "status >= 500", "method == POST and host == a.test", "url ~ '^http' or not type == abort", "json[$.a[0]] == 1",
    "header[content-type] contains json", "duration in 1ms..2s", "time > 2026-01-01", "tag == t", "path startswith /x",
    "status in (200, 404)", "request.body contains a", "error", "id == a", "query[q] == 1", "cookie[a] == b",
]  # fmt: skip
_WORDS = (
    b"status url host hostname path method type id time duration json[$.a] header[a] cookie[ query[ body error tag tls rule size"
    b" request. response. == != < <= > >= ~ ~* !~ !~* contains startswith endswith in .. ( ) and or not && || ! ' \" \\ /(a+)+$/"
    b" 5xx 1ms 2s 10KB 2026-01-01 $..* [?(@.a)] ] , * \xc3\xa9 (?i) \\d+ (((( a{1000}"
).split(b" ")
_HAR_WORDS = (
    b'"log": "entries": [{ }] "request": "response": "postData": "content": "text": "encoding":"base64" "headers":[] "_mockrec":'
    b' {"events":[]} "_mockrecSession": {"format":1} "startedDateTime":"2026-01-01T00:00:00Z" "time":-1 "timings":{} null 1e400'
    b' "_webSocketMessages":[] "records":[] "others": "at":1e99 "record":{} "type":"x" "seq":-1 "\\ud800" true "set":{} "cut":'
).split(b" ")
_DIFFED = [_LOG + _BETWEEN + _LOG.replace(b"200", b"500"), _LOG, _LOG[:-40] + _BETWEEN, _BETWEEN + _LOG]
_IGNORED = [
    b"ignore:\n  - {selector: 'json:$.a', reason: r, until: 2030-12-31}\n  - {endpoint: 'GET /a/*', selector: 'header:x', reason: r}\n",
    b"ignore: [{selector: 'text:(a+)+', reason: r}]", b'{"differences": [{"fingerprint": "a"}]}',
]  # fmt: skip

_TABLES = [(_SEEDS / "events.parquet").read_bytes(), (_SEEDS / "exchanges.parquet").read_bytes()]
_FOOTERS = {_footer(table) for table in _TABLES}

TARGETS = [
    Target(
        "har", har,
        [(_SEEDS / "session.har").read_bytes(), *(path.read_bytes() for path in sorted(_HARS.glob("*.har")))],
        _HAR_WORDS, most=16 * 1024,
    ),
    Target(
        "parquet", parquet,
        _TABLES,
        [b"PAR1", b"\x15\x00", b"\x19\x1c", b"\x00\x00\x00\x00"], most=64 * 1024,
    ),
    Target("expression", expression, [one.encode() for one in _EXPRESSIONS], _WORDS),
    Target("diff", diff, _DIFFED, (b'"body": {"size": "text": "statusCode": "id": null [] {} \n "headers": "timingEvents":').split(b" "), most=16 * 1024),
    Target("ignore", ignore, _IGNORED, b"ignore: selector: reason: until: endpoint: &a *a [ ] { } !!python/name:os.system !!int << json:$ text: \n 2026-99-99".split(b" ")),
]  # fmt: skip
