"""A session in which anything may stand anywhere: a finding, or a value that means nothing; never a defect.

One value at a time is put into the place of each key of each type of record, and every command reads what comes out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli import __main__ as program

HOLE = '"@hole@"'
VALUES = {
    "null": "null",
    "true": "true",
    "negative": "-1",
    "infinite": "1e999",
    "no number": "NaN",
    "beyond 64 bits": "1" + "0" * 30,
    "a text": '""',
    "controls": r'"\u001b[2J\r\n\u0000"',
    "half a pair": r'"\ud800"',
    "a list": "[]",
    "a list in a list": "[[]]",
    "lists of texts": '[["a"],["b","c","d"]]',
    "an object": '{"a":null}',
    "100 levels": "[" * 100 + "]" * 100,
    "240 levels": '{"a":' * 240 + "1" + "}" * 240,
    "300 levels": "[" * 300 + "]" * 300,
    "20,000 levels": "[" * 20_000 + "]" * 20_000,
}
EXPRESSION = (
    "status >= 200 and duration > 1ms and json[$.a[0]] == 1 and header[accept] ~ x and body contains x "
    "or method == POST and url startswith http or tag == slow or error ~ x or host == example.test or rule == greet"
)


@pytest.fixture(scope="session")
def records() -> Callable[[str], dict[str, Any]]:
    """A complete record of a type."""
    import importlib.util

    place = Path(__file__).parents[1] / "unit" / "conftest.py"
    spec = importlib.util.spec_from_file_location("record_samples", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[str], dict[str, Any]] = module.complete_record
    made.types = list(module.COMPLETE)  # type: ignore[attr-defined]
    return made


def story(kind: str) -> list[str]:
    """The types that a record of this one stands among."""
    if kind.startswith("websocket"):
        return ["websocket-request", "websocket-accepted", "websocket-message-sent", "websocket-close"]
    if kind.startswith(("tls-passthrough", "raw-passthrough")):
        opened = kind.rpartition("-")[0] + "-opened"
        return list(dict.fromkeys([opened, kind, kind.rpartition("-")[0] + "-closed"]))
    if kind in ("client-error", "tls-client-error", "gap", "rules-reloaded", "callback-error"):
        return [kind]
    return list(dict.fromkeys(["request-initiated", "request", kind, "abort" if kind == "abort" else "response"]))


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in members:
        yield from places(item, (*way, key))


def session(path: Path, value: str, records: Any, step: int) -> str:
    """One exchange for every `step`th place of a value, which is there in the place of what belongs there."""
    lines = [json.dumps(records("session-started"))]
    number = 0
    for kind in records.types[1:-1]:
        for way in places(records(kind)):
            number += 1
            if way == ("type",) or number % step:
                continue
            types = story(kind)
            for each in types if kind in types else [*types, kind]:
                record = records(each)
                record.update({key: f"id-{number}" for key in ("id", "streamId", "requestId") if key in record})
                if each == kind:
                    holder = record
                    for part in way[:-1]:
                        holder = holder[part]
                    holder[way[-1]] = json.loads(HOLE)
                lines.append(json.dumps(record).replace(HOLE, value))
    lines.append(json.dumps(records("session-ended")))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def commands(path: str, folder: Path, other: str) -> Iterator[list[str]]:
    yield ["show", path]
    yield ["show", "--as", "json", path]
    yield ["stats", path]
    yield ["verify", path]
    yield ["filter", path, "-w", EXPRESSION, "--count"]
    yield ["filter", path, "-w", EXPRESSION, "--records", "-o", f"{folder}/found.jsonl", "--force"]
    yield ["filter", path, "--fields", "id,url,status,duration,body,size,time,tags", "--sort", "-duration"]
    yield ["filter", path, "--fields", "id,error,host,header[accept]", "--as", "csv", "--records"]
    for name in ("copy.jsonl", "copy.har", "copy.parquet"):
        yield ["filter", path, "-o", f"{folder}/{name}", "--force"]
    yield ["filter", path, "--redact", "-o", f"{folder}/redacted.jsonl", "--force"]
    yield ["filter", path, "-o", f"{folder}/exchanges.parquet", "--table", "exchanges", "--force"]
    yield ["diff", path, other, "--requests", "--timing", "--as", "json"]
    yield ["diff", other, path, "--strict"]
    yield ["report", path, "-o", f"{folder}/report.html", "--force"]
    yield ["report", path, "--redact", "-o", f"{folder}/report.html", "--force"]
    yield ["diff", path, other, "-o", f"{folder}/diff.html", "--force"]
    yield ["replay", path, "--to", "http://127.0.0.1:9", "--dry-run"]
    yield ["replay", path, "--to-rules", f"{folder}/rules.yaml", "--force"]


def written(folder: Path) -> Iterator[list[str]]:
    """What has been made of it is read as well."""
    for name in ("copy.har", "copy.parquet"):
        if (folder / name).exists():
            yield ["stats", f"{folder}/{name}"]
            yield ["verify", f"{folder}/{name}"]
            yield ["filter", f"{folder}/{name}", "-o", f"{folder}/back.jsonl", "--force"]
    if (folder / "rules.yaml").exists():
        yield ["check", f"{folder}/rules.yaml"]


@pytest.mark.parametrize("name", VALUES)
def test_no_value_in_a_session_is_a_defect(
    name: str, tmp_path: Path, records: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    defects: list[BaseException] = []
    monkeypatch.setattr(program, "report_defect", defects.append)
    other = session(tmp_path / "other.jsonl", "1", records, 150)
    # Another start for each value: together they reach every place.
    path = session(tmp_path / "session.jsonl", VALUES[name], records, 61 + list(VALUES).index(name))
    for made in (commands(path, tmp_path, other), written(tmp_path)):
        for command in made:
            out, err = StringIO(), StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = program.main(command)
            if defects:
                raise AssertionError(command[:3]) from defects[0]
            assert code in (0, 1, 2), (command, err.getvalue())
            assert "Traceback" not in err.getvalue()
    capfd.readouterr()
