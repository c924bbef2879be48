"""The column `operation` of the exchanges table: the name of a call behind a URL that many share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mockrec.formats.analysis.notebook import tabulate
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.tables import FleetTables
from mockrec.formats.parquet import files as files_module
from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.files import EventsFile
from mockrec.formats.parquet.operation_names import ExchangeLines, with_operations
from mockrec.formats.sessions.outputs import open_sink

_JSON = {"content-type": "application/json"}
_QUERY = '{"query":"query Cart { cart }"}'


def _calls(*bodies: Any, method: str = "POST", url: str = "http://x.test/graphql") -> list[dict[str, Any]]:
    """An exchange for each body of a request."""
    records: list[dict[str, Any]] = []
    for number, body in enumerate(bodies):
        known = {"size": len(body), "text": body} if isinstance(body, str) else body
        head = {"id": f"e{number}", "method": method, "url": url}
        headers = {"rawHeaders": [["Content-Type", "application/json"]], "headers": _JSON}
        records += [
            {"type": "request-initiated", **head, **headers},
            {"type": "request", **head, **headers, "body": known},
            {"type": "response", **head, "statusCode": 200},
        ]
    return records


def _batch(records: list[dict[str, Any]]) -> pa.RecordBatch:
    return TableMaker().table(encode_lines(records))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (_QUERY, "query Cart"),
        (
            '[{"query":"{a}"},{"query":"{b}"},{"query":"{c}"},{"query":"{d}"}]',
            "query {a}, query {b}, query {c}, … 1 more",
        ),
        ('{"query":"query Cart { cart"}', None),
        ({"size": 900, "text": _QUERY, "truncated": True}, None),
        ('{"name":"a query"}', None),
        ({"size": 0}, None),
    ],
)
def test_a_request_names_its_operation(body: Any, name: str | None) -> None:
    found = with_operations(_batch(_calls(body))).column("operation").to_pylist()
    assert found == [None, name, None]


_SOAP = "<Envelope><Body><GetPrice/></Body></Envelope>"


@pytest.mark.parametrize(
    ("headers", "body", "name"),
    [
        ([["SOAPAction", '"urn:Price"']], _SOAP, "urn:Price"),
        ([["Content-Type", "application/soap+xml"]], _SOAP, "GetPrice"),
        ([["content-type", "application/graphql"]], "mutation Pay { pay }", "mutation Pay"),
        ([["X-Other", "graphql"]], "text", None),
        ([["Content-Type", "application/grpc"]], {"size": 7, "base64": "AAAAAAIIBw=="}, "shop.Orders/Get"),
        ([], '{"jsonrpc":"2.0","id":1,"method":"add"}', "rpc add"),
    ],
)
def test_a_hint_in_any_column_is_found_among_other_requests(headers: Any, body: Any, name: str | None) -> None:
    records = _calls("a", body, "b", url="http://x.test/shop.Orders/Get")
    for record in records[3:5]:
        record |= {"rawHeaders": headers, "headers": {key.lower(): value for key, value in headers}}
    batch = _batch(records)
    expected = [None, None, None, None, name, *[None] * 4]
    assert with_operations(batch).column("operation").to_pylist() == expected
    # A value that no column holds exactly: the pairs do not follow from the table, or the body is in `extra` whole.
    records[4] |= {"headers": {**records[4]["headers"], "later": "1"}}
    records[4]["body"] = {**records[4]["body"], "later": 1}
    batch = _batch(records)
    assert batch.column("extra")[4].is_valid
    assert with_operations(batch).column("operation").to_pylist() == expected


def _convert(records: list[dict[str, Any]], path: Path) -> None:
    sink = open_sink(str(path))
    sink.write(encode_lines([{"seq": seq, **record} for seq, record in enumerate(records)]))
    sink.close()


def test_a_footer_says_that_no_request_can_have_an_operation(tmp_path: Path) -> None:
    for name, body in (("plain", "a"), ("named", _QUERY)):
        _convert(_calls("b", body, url="http://x.test/a"), tmp_path / f"{name}.parquet")
    files = {name: EventsFile(name, None, str(tmp_path / f"{name}.parquet")) for name in ("plain", "named")}
    assert files["plain"].has_no_operations
    assert not files["named"].has_no_operations
    assert "operations" not in files["named"].metadata
    for file in files.values():
        file.close()


def test_a_footer_that_was_copied_to_other_rows_does_not_count(tmp_path: Path) -> None:
    _convert(_calls("b", url="http://x.test/a"), tmp_path / "plain.parquet")
    _convert(_calls(_QUERY, url="http://x.test/a"), tmp_path / "named.parquet")
    plain, named = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("plain", "named"))
    said = pq.read_metadata(tmp_path / "plain.parquet").metadata
    assert b"mockrec.operations" in said
    pq.write_table(pa.concat_tables([plain, named]).replace_schema_metadata(said), tmp_path / "both.parquet")
    found = tabulate(tmp_path / "both.parquet", None, "exchanges").column("operation").to_pylist()
    assert "query Cart" in found


def test_a_footer_of_a_version_with_other_protocols_does_not_count(tmp_path: Path, monkeypatch: Any) -> None:
    _convert(_calls("b", url="http://x.test/a"), tmp_path / "s.parquet")
    monkeypatch.setattr(files_module, "NO_OPERATIONS", "none by another list of hints")
    file = EventsFile("s", None, str(tmp_path / "s.parquet"))
    assert not file.has_no_operations
    file.close()


def test_a_body_in_a_file_of_its_own_names_an_operation(tmp_path: Path) -> None:
    digest = hashlib.sha256(_QUERY.encode()).hexdigest()
    file = tmp_path / "s.jsonl.bodies" / digest[:2] / digest
    file.parent.mkdir(parents=True)
    file.write_text(_QUERY)
    body = {"size": len(_QUERY), "file": f"{digest[:2]}/{digest}", "sha256": digest}
    session = tmp_path / "s.jsonl"
    session.write_bytes(encode_lines(_calls(body)))
    assert tabulate(session, None, "exchanges").column("operation").to_pylist() == ["query Cart"]


def test_other_columns_are_read_only_for_requests_that_can_name_an_operation() -> None:
    asked: list[Any] = []
    plain = _batch(_calls({"size": 0}, {"size": 0}, method="GET", url="http://x.test/orders"))
    assert with_operations(plain, asked.append).column("operation").null_count == len(plain)  # type: ignore[arg-type]
    assert asked == []
    posted = _batch(_calls("a", _QUERY, "b"))
    few = posted.select(["type", "method", "url"])
    found = with_operations(
        few, lambda names, rows: [posted.take(rows.slice(at, 2)).select(list(names)) for at in range(0, len(rows), 2)]
    )
    assert found.column("operation").to_pylist() == [None, None, None, None, "query Cart", *[None] * 4]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines,
        lambda lines: lines.removesuffix(b"\n"),
        lambda lines: lines.replace(b"\n", b"\n \n"),
        lambda lines: lines.replace(b"\n", b""),
        lambda lines: lines.replace(b',"method"', b',\n"method"').replace(b"}\n", b"} "),
    ],
    ids=["lines", "torn", "blank", "one line", "several lines"],
)
def test_lines_name_their_operations_without_columns_of_bodies(change: Callable[[bytes], bytes]) -> None:
    found = ExchangeLines().table(change(encode_lines(_calls("a", _QUERY, "b"))))
    assert "bodyText" not in found.schema.names
    assert found.column("operation").to_pylist() == [None, None, None, None, "query Cart", *[None] * 4]


def test_tables_of_earlier_versions_get_the_column(write_tables: Any, tmp_path: Path) -> None:
    write_tables(f"{tmp_path}/data/", _calls(_QUERY, "a"))
    stored = tmp_path / "data" / "exchanges" / "part-000001.parquet"
    table = pq.read_table(stored)
    assert table.column("operation").to_pylist() == ["query Cart", None]
    pq.write_table(table.drop_columns(["operation"]), stored)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = FleetTables([f"{tmp_path}/data/"], scratch, Skipped()).table("exchanges").to_table()
    assert found.column("operation").to_pylist() == ["query Cart", None]
    assert found.column("endpoint").to_pylist() == ["/graphql", "/graphql"]
