"""The Arrow schemas of the Parquet tables: `events` (one row a record) and `exchanges` (one row an exchange).

They are the same for every session, so that files of many sessions can be one data set. Later versions may add columns,
which are null in old files; a column never changes its type. Imports pyarrow, so only readers and writers of tables
import this.
"""

from __future__ import annotations

import pyarrow as pa

from mockrec.formats.parquet.layout import EXTRA, FROM_HEADERS, TABLE_VERSION, all_columns
from mockrec.formats.schema.version import mockrec_version

TIME = pa.timestamp("us", tz="UTC")
PAIRS = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))
"""Header fields in their original order and case, each as often as it was sent."""
TEXTS = pa.list_(pa.string())
JSON = pa.json_(pa.string())

_TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "time": TIME,
    "texts": TEXTS,
    "pairs": PAIRS,
    "base64": pa.binary(),
    "json": JSON,
}
_NARROW = {
    "statusCode": pa.int16(),
    "closeCode": pa.int32(),
    "remotePort": pa.int32(),
    "destinationPort": pa.int32(),
}

EVENTS = pa.schema(
    [
        *(pa.field(column.name, _NARROW.get(column.name, _TYPES[column.kind])) for column in all_columns().values()),
        *(pa.field(name, pa.string()) for name in FROM_HEADERS),
        pa.field(EXTRA, JSON),
    ]
)
"""One row for each record; all columns may be null. `formats/parquet/layout.py` defines the columns."""

EXCHANGES = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("type", pa.string()),  # of the record that ended it; null without an end
        pa.field("connectionId", pa.string()),
        pa.field("scope", pa.string()),
        pa.field("seqFirst", pa.int64()),
        pa.field("seqLast", pa.int64()),
        pa.field("timestamp", TIME),  # of its first record
        pa.field("duration", pa.float64()),
        pa.field("ttfb", pa.float64()),  # ms from the request's head to the response's
        pa.field("protocol", pa.string()),
        pa.field("httpVersion", pa.string()),
        pa.field("method", pa.string()),
        pa.field("url", pa.string()),
        pa.field("host", pa.string()),
        pa.field("path", pa.string()),
        pa.field("endpoint", pa.string()),  # its path with {id} for ids
        pa.field("operation", pa.string()),  # the call's name, of a protocol with many calls behind one URL
        pa.field("statusCode", pa.int16()),
        pa.field("statusMessage", pa.string()),
        pa.field("matchedRuleId", pa.string()),
        pa.field("continuedRuleIds", TEXTS),
        pa.field("tags", TEXTS),
        pa.field("errorName", pa.string()),
        pa.field("errorCode", pa.string()),
        pa.field("errorMessage", pa.string()),
        pa.field("remoteIpAddress", pa.string()),
        pa.field("remotePort", pa.int32()),
        pa.field("destinationHostname", pa.string()),
        pa.field("destinationPort", pa.int32()),
        pa.field("tlsSniHostname", pa.string()),
        pa.field("tlsJa3Fingerprint", pa.string()),
        pa.field("tlsJa4Fingerprint", pa.string()),
        pa.field("requestContentType", pa.string()),
        pa.field("userAgent", pa.string()),
        pa.field("responseContentType", pa.string()),
        pa.field("requestBodySize", pa.int64()),
        pa.field("responseBodySize", pa.int64()),
        pa.field("requestHeaders", PAIRS),
        pa.field("responseHeaders", PAIRS),
        pa.field("messagesReceived", pa.int64()),  # WebSocket, from the client
        pa.field("messagesSent", pa.int64()),
        pa.field("closeCode", pa.int32()),
        pa.field("closeReason", pa.string()),
        pa.field("bytesReceived", pa.int64()),  # tunnels, from the client
        pa.field("bytesSent", pa.int64()),
        pa.field("startTime", pa.float64()),
        pa.field("startTimestamp", pa.float64()),
    ]
)
"""One row for each exchange, tunnel or fault, without bodies; `seqFirst` and `seqLast` lead to its rows in `events`."""

SCHEMAS = {"events": EVENTS, "exchanges": EXCHANGES}

REPEATING = frozenset(
    {
        *(
            "type",
            "connectionId",
            "scope",
            "matchedRuleId",
            "ruleId",
            "protocol",
            "httpVersion",
            "method",
            "host",
            "path",
            "endpoint",
            "operation",
            "url",
        ),
        *("statusMessage", "remoteIpAddress", "destinationHostname", "contentType", "userAgent", "contentEncoding"),
        *("tlsSniHostname", "tlsJa3Fingerprint", "tlsJa4Fingerprint", "tlsVersion", "tlsCipher", "direction"),
        *("eventType", "errorName", "errorCode", "errorMessage", "failureCause", "bodyContentEncoding"),
        *("requestContentType", "responseContentType", "statusCode"),
        *("rawHeaders.list.element.name", "rawHeaders.list.element.value", "rawTrailers.list.element.name"),
        *("requestHeaders.list.element.name", "requestHeaders.list.element.value"),
        *("responseHeaders.list.element.name", "responseHeaders.list.element.value"),
        *("tags.list.element", "tlsClientAlpn.list.element"),
    }
)
"""Columns with repeating values, which are written with a dictionary."""


def footer(table: str, **more: object) -> dict[str, str]:
    """The key-value metadata of a file; values of None are left out."""
    known = {"schema": TABLE_VERSION, "table": table, "writer": f"mockrec {mockrec_version()}", **more}
    return {f"mockrec.{key}": str(value) for key, value in known.items() if value is not None}
