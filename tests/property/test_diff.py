"""Comparing sessions, for whatever sessions there are: nothing differs from itself, order is no difference, and
neither side is favoured."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.formats.diff import second_reader
from mockrec.formats.diff.collect import Filters
from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.documents import parse
from mockrec.formats.diff.compare.exchange import Comparer
from mockrec.formats.diff.compare.tree import compare as compare_trees
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.compare.volatile import _WHOLE, Window, mask
from mockrec.formats.diff.comparison import compare_sessions
from mockrec.formats.diff.model.exchange import Digest
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import ContentSpool, new_file
from mockrec.formats.diff.reading import read_session
from mockrec.formats.diff.result import Result
from mockrec.formats.query import parse as parse_query
from mockrec.formats.schema.body import encode_body
from mockrec.formats.sessions.outputs import open_sink

VALUES = ValueComparer(Window.around(1_767_600_000.0))
STRICT = ValueComparer(Window.around(1_767_600_000.0), strict=True)

# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────

KEYS = st.sampled_from(["id", "name", "a", "b", "c d", "é"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "y", "550e8400-e29b-41d4-a716-446655440000", "2026-01-05T09:00:00Z", "redacted-00000001"]
    ),
)


class Twice(list[tuple[str, Any]]):
    """The members of an object, in which a key may stand twice."""


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=5),
        st.lists(st.tuples(KEYS, children), max_size=5).map(Twice),
        st.lists(st.fixed_dictionaries({"id": st.integers(0, 9), "v": children}), max_size=5),
    )


DOCUMENTS = st.recursive(SCALARS, _objects, max_leaves=20)


def dumped(value: Any) -> str:
    """JSON text, repeated keys included."""
    if isinstance(value, Twice):
        return "{" + ",".join(f"{json.dumps(key)}:{dumped(item)}" for key, item in value) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumped(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumped(item) for item in value) + "]"
    return json.dumps(value)


@given(DOCUMENTS)
def test_a_document_does_not_differ_from_itself(document: Any) -> None:
    text = dumped(document)
    assert not list(compare_trees(parse(text), parse(text), VALUES))
    assert not list(compare_trees(parse(text), parse(text), STRICT))


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_in_as_many_places_from_either_side(one: Any, other: Any) -> None:
    a, b = parse(dumped(one)), parse(dumped(other))
    there, back = list(compare_trees(a, b, VALUES)), list(compare_trees(b, a, VALUES))
    swapped = {"added": "removed", "removed": "added"}
    assert Counter(change.kind for change in there) == Counter(swapped.get(change.kind, change.kind) for change in back)


@given(DOCUMENTS, DOCUMENTS)
def test_whatever_is_told_is_there(one: Any, other: Any) -> None:
    a, b = parse(dumped(one)), parse(dumped(other))
    for change in compare_trees(a, b, STRICT):
        for document, location, value in ((a, change.locations[0], change.a), (b, change.locations[1], change.b)):
            if location is not None and change.kind != "moved":
                for part in location:
                    document = document[part]
                assert document == value


@given(DOCUMENTS, DOCUMENTS)
def test_strictly_equal_documents_are_those_without_a_difference(one: Any, other: Any) -> None:
    def plain(value: Any) -> Any:
        """With types, because True == 1 in Python and not in JSON."""
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return (isinstance(value, bool), value)

    # A mark stands for any text where the other side has none, so no document here has one.
    a, b = (parse(dumped(document).replace("redacted-00000001", "marked")) for document in (one, other))
    assert (not list(compare_trees(a, b, STRICT))) == (plain(a) == plain(b))


@given(st.integers(), st.integers(-3, 3))
def test_integers_of_any_size(number: int, step: int) -> None:
    big = number * 10**30
    found = list(compare_trees(parse(f'{{"n":{big}}}'), parse(f'{{"n":{big + step}}}'), STRICT))
    assert [change.path for change in found] == (["$.n"] if step else [])


TEXTS = st.lists(st.sampled_from("abc"), max_size=12)


@given(TEXTS, TEXTS)
def test_alignment_covers_both_sides_once_and_in_order(a: list[str], b: list[str]) -> None:
    pairs = list(align(a, b))
    assert [index for index, _ in pairs if index is not None] == list(range(len(a)))
    assert [index for _, index in pairs if index is not None] == list(range(len(b)))
    assert sorted((y, x) for x, y in pairs if x is not None and y is not None) == sorted(
        (x, y) for x, y in align(b, a) if x is not None and y is not None
    )


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────

CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["GET", "POST"]),
            "path": st.sampled_from(["/", "/users/1", "/users/2", "/users?page=1", "/x/550e8400-e29b-41d4-a716-446655440000"]),
            "status": st.sampled_from([200, 404]),
            "body": st.sampled_from(["", '{"a":1}', '{"a":2,"at":"2026-01-05T09:00:00Z"}', "text\nlines"]),
            "sent": st.sampled_from(["", "x"]),
        }
    ),
    max_size=12,
)  # fmt: skip


def records(calls: list[dict[str, Any]], run: int) -> Iterator[dict[str, Any]]:
    """The records of a session in which these calls were made, one after another."""
    yield {"seq": 0, "type": "session-started", "schemaVersion": 1, "startTime": 1_767_600_000_000}
    for number, call in enumerate(calls):
        identity, url = f"{run}-{number}", f"http://x.test{call['path']}"
        head = {"id": identity, "method": call["method"], "url": url, "headers": {}, "tags": []}
        yield {"type": "request-initiated", **head}
        yield {"type": "request", **head, "body": encode_body(call["sent"].encode())}
        kind = {"content-type": "application/json"} if call["body"].startswith("{") else {}
        yield {
            "type": "response",
            **head,
            "headers": kind,
            "statusCode": call["status"],
            "duration": 1.0,
            "body": encode_body(call["body"].encode()),
        }
    yield {"type": "session-ended", "reason": "finished"}


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def compare(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Result:
    with folder() as place:
        paths = []
        for number, calls in enumerate((a, b)):
            paths.append(place / f"{number}.jsonl")
            lines = (json.dumps({**record, "seq": seq}) + "\n" for seq, record in enumerate(records(calls, number)))
            paths[-1].write_text("".join(lines))
        return compare_sessions(str(paths[0]), str(paths[1]), DiffOptions(requests=True), Filters())


@given(CALLS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_is_no_difference(calls: list[dict[str, Any]], source: random.Random) -> None:
    shuffled = source.sample(calls, len(calls))
    result = compare(calls, shuffled)
    assert result.same
    assert not result.differences
    assert sum(result.paired.values()) == len(calls)


@given(CALLS, CALLS)
@settings(deadline=None)
def test_neither_side_is_favoured(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    there, back = compare(a, b), compare(b, a)
    assert there.paired == back.paired
    assert sum(there.by_severity.values()) == sum(back.by_severity.values())
    only = [
        [sum(one.occurrences for one in side) for side in (result.only_a, result.only_b)] for result in (there, back)
    ]
    assert only[0] == only[1][::-1]
    swapped = {"added": "removed", "removed": "added"}
    assert there.by_kind == {swapped.get(kind, kind): count for kind, count in back.by_kind.items()}


@given(CALLS, CALLS)
@settings(deadline=None)
def test_everybody_is_paired_once_or_left_over(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    result = compare(a, b)
    pairs = sum(result.paired.values())
    assert pairs + sum(only.occurrences for only in result.only_a) == len(a)
    assert pairs + sum(only.occurrences for only in result.only_b) == len(b)


@given(CALLS.filter(len), st.data())
@settings(deadline=None)
def test_a_call_that_is_dropped_or_doubled_is_all_that_differs(
    calls: list[dict[str, Any]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(calls) - 1))
    fewer = calls[:index] + calls[index + 1 :]
    more = [*calls, copy.deepcopy(calls[index])]
    for a, b, only in ((calls, fewer, (1, 0)), (calls, more, (0, 1))):
        result = compare(a, b)
        assert [difference.finding.path for difference in result.differences] == ["calls"]
        assert (len(result.only_a), len(result.only_b)) == only


WRONG = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
                  st.just([7]), st.just({"x": 7})).map(copy.deepcopy)  # fmt: skip
"""Copies, for what has been put in one place may be changed there."""


@given(CALLS.filter(len), st.data())
@settings(deadline=None)
def test_a_session_that_was_edited_by_hand_is_no_defect(calls: list[dict[str, Any]], data: st.DataObject) -> None:
    """Any value of any record may be of any type, but for the types of records."""
    edited = json.loads(json.dumps(list(records(calls, 0))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(edited))
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        if inner and data.draw(st.booleans()):
            place = data.draw(st.sampled_from(inner))
        keys = [key for key in place if key not in ("type", "schemaVersion")]
        if keys:
            place[data.draw(st.sampled_from(keys))] = data.draw(WRONG)
    with folder() as name:
        for path, content in ((name / "a.jsonl", records(calls, 0)), (name / "b.jsonl", iter(edited))):
            path.write_text(
                "".join(json.dumps(record) + "\n" for record in content).replace("NaN", "0").replace("Infinity", "1")
            )
        for a, b in (("a", "b"), ("b", "a"), ("b", "b")):
            compare_sessions(str(name / f"{a}.jsonl"), str(name / f"{b}.jsonl"), DiffOptions(requests=True), Filters())


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.text(max_size=6))


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values of a document."""
    yield way
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in members:
        yield from places(item, (*way, key))


TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.lists(st.fixed_dictionaries({"id": st.integers(0, 9), "v": inner}), max_size=4),
    ),
    max_leaves=15,
)


@given(TREES, LEAVES, st.data())
@settings(deadline=None)
def test_one_change_anywhere_is_found(document: Any, leaf: Any, data: st.DataObject) -> None:
    way = data.draw(st.sampled_from(list(places(document))))
    root = {"root": copy.deepcopy(document)}
    holder, key = root, "root"
    for part in way:
        holder, key = holder[key], part
    before = holder[key]
    holder[key] = leaf
    same = json.dumps(before) == json.dumps(leaf)
    call = {"method": "GET", "path": "/", "status": 200, "sent": ""}
    a, b = ({**call, "body": json.dumps({"root": one})} for one in (document, root["root"]))
    assert compare([a], [b]).same == same


# ── plain records are read in another way than others ────────────────────────────────────────────────

ALL = parse_query("method or not method")
"""Every exchange: with an expression all records are read as mappings."""
FIELDS = st.dictionaries(
    st.sampled_from(["content-type", "date", "last-modified", "etag", "x-a", "via", "content-length", "set-cookie", "x-b"]),
    st.sampled_from(
        ["", "a", "text/plain", "application/json", "Mon, 05 Jan 2026 09:00:00 GMT", "Tue, 06 Jan 2026 09:00:00 GMT", "no date"]
    ),
    max_size=5,
)  # fmt: skip
CONTENTS = st.one_of(
    st.sampled_from(
        [
            encode_body(b""),
            encode_body(b'{"a":1}'),
            encode_body('{"a":"é","at":"2026-01-05T09:00:00Z"}'.encode()),
            encode_body(b"\xff\xfe"),
            {"size": 3, "text": "ab", "truncated": True},
            {"size": 2, "text": "ab", "charset": "latin-1"},
            {"size": 2.0, "text": "ab"},
            {"size": 2, "text": None},
            {},
            None,
        ]
    )
)
ODD_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["", "1", "2", "3", 4]),
            "kinds": st.lists(
                st.sampled_from(
                    ["request-initiated", "request", "response", "response", "abort", "response-information",
                     "websocket-accepted", "websocket-message-sent", "websocket-close", "later"]
                ),
                min_size=1,
                max_size=5,
            ),
            "method": st.sampled_from(["GET", "POST", ""]),
            "url": st.sampled_from(
                ["http://x.test/a", "http://x.test/a?b=1", "http://u@x.test/a", "http://x.test", "x", "ws://x/a/b", "https://127.0.0.1:8/a"]
            ),
            "tags": st.sampled_from([[], ["replay-of:1"], ["x"], None]),
            "statusCode": st.sampled_from([200, 404, 200.0, None, True]),
            "statusMessage": st.sampled_from(["OK", "", None, "Fine"]),
            "headers": FIELDS,
            "trailers": st.sampled_from([None, {}, {"x-t": "1"}]),
            "duration": st.sampled_from([1.0, 2, None, "3"]),
            "timingEvents": st.sampled_from([{}, None, {"startTimestamp": 1.0, "headersSentTimestamp": 2}, {"startTimestamp": "1"}]),
            "error": st.sampled_from([None, {"code": "E"}]),
            "body": CONTENTS,
        }
    ),
    max_size=6,
)  # fmt: skip


def odd_records(calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records of calls that came in any order, and of which some never began or ended."""
    yield {"type": "session-started", "schemaVersion": 1, "startTime": 1_767_600_000_000}
    for call in calls:
        said = {
            key: value
            for key, value in call.items()
            if key != "kinds" and (value is not None or key == "statusMessage")
        }
        for kind in call["kinds"]:
            yield {"type": kind, **said}
    yield {"type": "session-ended", "reason": "finished"}


def outcome(result: Result) -> list[Any]:
    return [
        result.paired,
        result.endpoints,
        result.by_severity,
        result.by_kind,
        result.notes,
        [(one.fingerprint, one.finding, one.occurrences, one.id_a, one.id_b, one.paired_by) for one in result.differences],
        result.only_a,
        result.only_b,
    ]  # fmt: skip


@given(ODD_CALLS, ODD_CALLS, st.booleans(), st.booleans(), st.booleans())
@settings(deadline=None)
def test_plain_records_are_read_as_all_others_are(
    a: list[dict[str, Any]], b: list[dict[str, Any]], requests: bool, strict: bool, blank: bool
) -> None:
    end = "\n\n" if blank else "\n"
    with folder() as place:
        paths = []
        for number, calls in enumerate((a, b)):
            paths.append(str(place / f"{number}.jsonl"))
            lines = [json.dumps({"seq": seq, **record}) + end for seq, record in enumerate(odd_records(calls))]
            Path(paths[-1]).write_text("".join(lines))
        fast, exact = (
            outcome(
                compare_sessions(
                    *paths, DiffOptions(requests=requests, strict=strict, timing=True, only=only), Filters()
                )
            )
            for only in (None, ALL)
        )
    assert fast == exact


@given(CALLS.filter(len), CALLS, st.booleans())
@settings(deadline=None, max_examples=15)
def test_every_format_says_the_same(a: list[dict[str, Any]], b: list[dict[str, Any]], requests: bool) -> None:
    found = {}
    with folder() as place:
        for name in ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.har", "x.parquet"):
            paths = []
            for number, calls in enumerate((a, b)):
                paths.append(str(place / f"{number}{name}"))
                sink = open_sink(paths[-1])
                for seq, record in enumerate(records(calls, number)):
                    sink.write(json.dumps({**record, "seq": seq}).encode() + b"\n")
                sink.close()
            for only in (None, ALL):
                result = compare_sessions(*paths, DiffOptions(requests=requests, only=only), Filters())
                found[name, only is None] = outcome(result)
    assert all(one == found["x.jsonl", False] for one in found.values())


# ── texts that are masked in parts ───────────────────────────────────────────────────────────────────

PIECES = st.sampled_from(
    [
        '"',
        '\\"',
        ",",
        "-",
        " ",
        "a",
        "T",
        "7",
        "550e8400-e29b-41d4-a716-446655440000",
        "2026-01-05T09:00:00Z",
        "Mon, 05 Jan 2026 09:00:00 GMT",
        "1767600000",
        "redacted-00000001",
        "127.0.0.1:8000",
        "%2F127.0.0.1:9000",
        "507f1f77bcf86cd799439011",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ]
)
MASKED = st.lists(PIECES, max_size=12).map("".join)


@given(MASKED, MASKED)
@settings(max_examples=400)
def test_what_is_masked_in_parts_is_the_same_as_what_is_masked_whole(a: str, b: str) -> None:
    hosts = ValueComparer(Window.around(1_767_600_000.0), own=(("127.0.0.1:8000",), ("127.0.0.1:9000",)))
    quoted = ValueComparer(Window.around(1_767_600_000.0), own=(('a"7',), ('7"a',)))
    short = ValueComparer(Window.around(1_767_600_000.0), own=(("41d4",), ("2026-01-05T09:00:00Z",)))
    for values in (VALUES, STRICT, hosts, quoted, short):
        assert values.same_masked(a, b) is (values.masked(a, 0) == values.masked(b, 1))
        assert values.same_masked(a, a) is (values.masked(a, 0) == values.masked(a, 1))


@given(st.from_regex(_WHOLE, fullmatch=True))
def test_one_value_is_masked_as_it_is_within_a_text(text: str) -> None:
    assert mask(text, VALUES._window) == mask(f" {text} ", VALUES._window)[1:-1]


HEADS = st.sampled_from(["", "{}", '{"etag":"550e8400-e29b-41d4-a716-446655440000"}', '{"location":"127.0.0.1:8000"}'])
HOSTS = st.sampled_from([(), ("127.0.0.1:8000",), ("127.0.0.1:9000",), ('a"7',)])


@given(st.tuples(HEADS, MASKED, HEADS), st.tuples(HEADS, MASKED, HEADS), HOSTS, HOSTS, st.booleans())
@settings(max_examples=300)
def test_shapes_that_are_not_made_are_equal_if_those_that_are_made_are(
    one: tuple[str, str, str], other: tuple[str, str, str], own: tuple[str], others: tuple[str], strict: bool
) -> None:
    values = ValueComparer(Window.around(1_767_600_000.0), own=(own, others), strict=strict)
    with closing(ContentSpool()) as spool:
        numbers = [spool.put("\n".join(key).encode(), {}) for key in (one, other, one)]
        a, b, c = (Digest(str(number), "response", "GET", "", status=200, response=number) for number in numbers)

        def comparer() -> Comparer:
            spool.forget_shapes()
            return Comparer(spool, DiffOptions(), values, (None, None))

        for left, right in ((a, b), (b, a), (a, c)):
            found = comparer().have_same_shape(left, right)
            made = comparer()
            assert found is (made.shape(left, 0) == made.shape(right, 1))


# ── a session that another process reads ─────────────────────────────────────────────────────────────


@given(ODD_CALLS, ODD_CALLS, st.booleans(), st.booleans(), st.sampled_from(["", "x-a"]))
@settings(deadline=None)
def test_digests_of_another_process_are_those_of_this_one(
    a: list[dict[str, Any]], b: list[dict[str, Any]], requests: bool, strict: bool, header: str
) -> None:
    options = DiffOptions(requests=requests, strict=strict, pair_header=header)
    with folder() as place, closing(ContentSpool()) as here, closing(ContentSpool()) as spool:
        paths = []
        for number, calls in enumerate((a, b)):
            paths.append(str(place / f"{number}.jsonl"))
            lines = [json.dumps({"seq": seq, **record}) + "\n" for seq, record in enumerate(odd_records(calls))]
            Path(paths[-1]).write_text("".join(lines))
        read_session(paths[0], here, options)
        expected = read_session(paths[1], here, options)
        read_session(paths[0], spool, options)
        file = new_file()
        task = second_reader.Task(paths[1], second_reader.path_of(file), strict, requests, header)
        found = second_reader.adopted(second_reader.read(msgspec.msgpack.encode(task)), file, spool)
        assert found == expected
        numbers = [number for digest in expected.digests for number in (digest.request, digest.response) if number >= 0]
        numbers += [number if number >= 0 else ~number for one in expected.digests for number in one.messages or ()]
        assert [(spool.key(one), spool.get(one)) for one in numbers] == [
            (here.key(one), here.get(one)) for one in numbers
        ]
