"""Random expressions over random records: every back end gives the same answers."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockrec.formats.parquet.columns import TableMaker
from mockrec.formats.parquet.header_lists import header_table
from mockrec.formats.query import FilterError, parse
from mockrec.formats.query.arrow import BatchAnswerer, compile_arrow
from mockrec.formats.query.extract import Context
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.query.typed import DecodeError, compile_typed

Record = dict[str, Any]

WORDS = st.sampled_from(
    [
        "a",
        "GET",
        "post",
        "/orders/",
        "x.test",
        "curl",
        "7",
        "2.0",
        "é",
        "replay",
        "ECONNRESET",
        "",
        "\x00",
        "7\x00",
        "9007199254740993",
    ]
)
ODD_NUMBERS = st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1e300, -1e300, -0.0, 5e-324])
NUMBERS = st.one_of(
    st.sampled_from([0, 7, 200, 404, 499.5, 500, 599, 600]), st.integers(-5, 1000), st.floats(0, 1000), ODD_NUMBERS
)
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans(), st.none())
URLS = st.sampled_from(
    [
        "http://x.test/orders/7?q=a&q=7",
        "https://x.test:8443/",
        "http://x.test:80?a=b",
        "ws://[::1]:9/x",
        "x",
        "",
        "https://u:p@x.test/a#f",
    ]
)
STAMPS = st.sampled_from(["2026-11-18T11:00:00.000000Z", "2026-11-18T11:20:59.999999Z", "2026-12-01T00:00:00.000000Z"])
HEADERS = st.dictionaries(
    st.sampled_from(["user-agent", "content-type", "cookie", "x"]), st.one_of(WORDS, st.just("a=7; b=2")), max_size=3
).flatmap(
    lambda plain: st.one_of(
        st.just(plain),
        st.lists(st.sampled_from(["a=7; Path=/", "x"]), max_size=2).map(
            lambda cookies: {**plain, "set-cookie": cookies}
        ),
    )
)
JSON_TEXTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
).map(lambda value: orjson.dumps(value).decode())
ODD_JSON = st.sampled_from(
    [
        '{"query":"query a {b}"}',
        '{"jsonrpc":"2.0","method":"a"}',
        '{"type":"message","content":[],"model":"a","usage":{"output_tokens":7}}',
        'data: {"choices":[{"delta":{"content":"a"}}],"object":"chat.completion.chunk"}\n\n',
        '{"a":1e400}',
        '{"a":-1e400}',
        '{"a":NaN}',
        '{"a":9007199254740993}',
        '{"a":18446744073709551616}',
        '{"a":1,"a":7}',
        '{"a":"\\ud800"}',
        '{"a":"7\\u0000"}',
        '{"a":' * 300 + "7" + "}" * 300,
        '{"a":' * 2000 + "7" + "}" * 2000,
        '{"a":{"b":' + "[" * 990 + "]" * 990 + "}}",
        '\ufeff{"a":7}',
        "7\n",
    ]
)
BODIES = st.one_of(JSON_TEXTS, WORDS, ODD_JSON).map(lambda text: {"size": len(text.encode()), "text": text}) | st.just(
    {"size": 3, "base64": "/2Fi"}
)
ERRORS = st.fixed_dictionaries({}, optional={"code": WORDS, "name": WORDS, "message": WORDS})
DESTINATIONS = st.fixed_dictionaries({"hostname": WORDS, "port": st.sampled_from([443, 80])})
TLS = st.fixed_dictionaries({}, optional={"sniHostname": WORDS, "ja4Fingerprint": WORDS})
INNER = st.fixed_dictionaries(
    {},
    optional={
        "statusCode": NUMBERS,
        "headers": HEADERS,
        "body": BODIES,
        "url": URLS,
        "method": WORDS,
        "tags": st.lists(WORDS, max_size=2),
        "tlsMetadata": TLS,
    },
)
KINDS = st.sampled_from(
    [
        "request-initiated",
        "request",
        "response",
        "abort",
        "websocket-accepted",
        "response-information",
        "client-error",
        "tls-client-error",
        "websocket-message-sent",
        "websocket-message-received",
        "response-body-data",
        "rule-event",
        "later",
    ]
)
RECORDS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "id": st.sampled_from(["i1", "i2", "aaaaaaaa-0000-7000-8000-000000000000"]),
        "timestamp": STAMPS,
        "method": st.sampled_from(["GET", "POST", "a"]),
        "url": URLS,
        "statusCode": NUMBERS,
        "duration": NUMBERS,
        "httpVersion": st.sampled_from(["1.1", "2.0"]),
        "protocol": WORDS,
        "headers": HEADERS,
        "body": BODIES,
        "content": BODIES,
        "requestBody": BODIES,
        "tags": st.lists(WORDS, max_size=3),
        "matchedRuleId": WORDS,
        "error": ERRORS,
        "errorCode": WORDS,
        "destination": DESTINATIONS,
        "tlsMetadata": TLS,
        "request": INNER,
        "response": INNER,
        "isBinary": st.booleans(),
        "closeCode": st.integers(1000, 1010),
        "timingEvents": st.just({"startTime": 7.5, "startTimestamp": 100.25}),
        "eventTimestamp": st.sampled_from([107.25, 500.0]),
        "eventData": st.dictionaries(st.sampled_from(["a", "b"]), SCALARS, max_size=2),
    },
)
DEEP = st.sampled_from([100, 240]).map(lambda levels: orjson.loads("[" * levels + "7" + "]" * levels))
WRONG = st.tuples(
    RECORDS,
    st.sampled_from(["statusCode", "headers", "response", "url", "body", "tags", "tlsMetadata", "duration", "id"]),
    SCALARS | DEEP,
).map(lambda made: {**made[0], made[1]: made[2]})
"""A record that somebody has edited."""

TEXT_FIELDS = st.sampled_from(
    [
        "method",
        "url",
        "host",
        "hostname",
        "path",
        "query",
        "query[q]",
        "protocol",
        "version",
        "id",
        "rule",
        "tag",
        "sni",
        "ja4",
        "error",
        "body",
        "request.body",
        "header[user-agent]",
        "request.header[x]",
        "response.header[set-cookie]",
        "cookie[a]",
        "type",
        "errorCode",
        "response.headers.x",
        "tlsMetadata.sniHostname",
        "operation",
        "graphql.operation",
        "rpc.method",
        "llm.model",
    ]
)
NUMBER_FIELDS = st.sampled_from(
    [
        "llm.ttft",
        "llm.tokens.output",
        "status",
        "statusCode",
        "duration",
        "size",
        "request.size",
        "port",
        "close_code",
        "response.statusCode",
    ]
)
ANY_FIELDS = st.sampled_from(
    ["json[a]", "json[$.a.b]", "json[*]", "request.json[b]", "eventData.a", "response", "headers", "body.text"]
)
QUOTED = WORDS.map(lambda word: f'"{word}"')
TESTS = st.one_of(
    st.one_of(TEXT_FIELDS, NUMBER_FIELDS, ANY_FIELDS),
    st.builds(
        "{} {} {}".format,
        TEXT_FIELDS,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "contains", "startswith", "endswith", "~", "~*", "!~"]),
        QUOTED,
    ),
    st.builds(
        "{} {} {}".format,
        ANY_FIELDS.filter(lambda name: name != "body.text"),
        st.sampled_from(["==", "!=", "<", ">="]),
        st.one_of(
            QUOTED, st.sampled_from(["7", "true", "null", "a", "200.5", "9007199254740993", "18446744073709551616"])
        ),
    ),
    st.builds(
        "{} {} {}".format,
        NUMBER_FIELDS,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(["0", "7", "200", "404", "500", "1000", "9007199254740993", "18446744073709551615", "0.0"]),
    ),
    st.builds(
        "status {} {}".format,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "="]),
        st.sampled_from(["4xx", "5xx", "404", "200"]),
    ),
    st.builds("{} in {}".format, NUMBER_FIELDS, st.sampled_from(["(7, 200, 404)", "200..299", "(0..7, 500)"])),
    st.builds("{} in ({}, {})".format, TEXT_FIELDS, QUOTED, QUOTED),
    st.builds(
        "time {} {}".format,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(["2026-11-18", "2026-11", "2026-11-18T11:20", "2026-11-18T11:20:59.999999"]),
    ),
    st.sampled_from(["isBinary == true", "isBinary == false", "isBinary"]),
)
EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("({}) ({})".format, inner, inner),
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expression=EXPRESSIONS, records=st.lists(RECORDS | WRONG, min_size=1, max_size=5), single=st.booleans())
def test_partial_decoding_answers_like_the_predicate(expression: str, records: list[Record], single: bool) -> None:
    plan = parse(expression, records=single)
    predicate, typed = compile_predicate(plan, Context()), compile_typed(plan, Context())
    for record in records:
        try:
            needed = typed.decode(orjson.dumps(record))
        except DecodeError:
            continue  # an object that is none: such a line takes the slow way, which is the predicate
        assert typed.bits(needed) == predicate(record), expression


def with_pairs(record: Record) -> Record:
    """As mockrec writes it: `headers` follows from `rawHeaders`."""
    pairs = [
        [name.title(), value]
        for name, values in record["headers"].items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    table = header_table(pairs)
    return {
        **{key: value for key, value in record.items() if key != "headers"},
        **({"headers": table} if table else {}),
        "rawHeaders": pairs,
    }


AS_WRITTEN = RECORDS.map(lambda record: with_pairs(record) if isinstance(record.get("headers"), dict) else record)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    expression=EXPRESSIONS, records=st.lists(AS_WRITTEN | RECORDS | WRONG, min_size=1, max_size=5), single=st.booleans()
)
def test_columns_answer_like_the_predicate(expression: str, records: list[Record], single: bool) -> None:
    plan = parse(expression, records=single)
    records = [{"seq": number, **record} for number, record in enumerate(records)]
    batch = TableMaker().table(b"".join(orjson.dumps(record) + b"\n" for record in records))
    made = compile_arrow(plan)
    predicate = compile_predicate(plan, Context())
    expected = {row: bits for row, record in enumerate(records) if (bits := predicate(record))}
    assert BatchAnswerer(made, Context()).answer(batch.select(made.columns)) == expected, expression


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            ["status", "==", "500", "(", ")", "and", "not", '"', "[", "]", "in", "..", ",", "~", "!", "json"]
        ),
        max_size=10,
    ).map(" ".join)
)
def test_no_expression_breaks_the_parser(expression: str) -> None:
    try:
        parse(expression)
    except FilterError as error:
        caught = error
    else:
        return
    assert 0 <= caught.position <= len(expression)
    assert str(caught).splitlines()[-1].strip() == "^"
