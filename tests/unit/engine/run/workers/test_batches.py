"""A worker's records on their way to its parent."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.run.workers.batches import Unpacker, pack
from mockrec.formats.files.jsonl import encode_each, encode_lines

KINDS = ("request-initiated", "request", "response", "abort", "rule-event")
RECORDS = st.lists(
    st.builds(
        lambda kind, identity, text: {"seq": 0, "type": kind, "id": identity, "text": text},
        st.sampled_from(KINDS),
        st.sampled_from("abc"),
        st.text(max_size=20),
    ),
    max_size=8,
)


def packed(records: list[dict[str, Any]]) -> bytes:
    return pack(
        [record["type"] for record in records], [record.get("id", "") for record in records], encode_lines(records)
    )


@given(st.lists(RECORDS, max_size=4), st.lists(st.integers(0, 3000), max_size=6))
def test_batches_come_cut_anywhere(batches: list[list[dict[str, Any]]], cuts: list[int]) -> None:
    data = b"".join(map(packed, batches))
    unpacker = Unpacker()
    found = []
    begin = 0
    for end in [*sorted(cuts), len(data)]:
        found += unpacker.feed(data[begin:end])
        begin = max(begin, end)
    assert unpacker.rest() is None
    assert [list(batch.types) for batch in found] == [[record["type"] for record in batch] for batch in batches]
    assert [batch.lines for batch in found] == [encode_lines(batch) for batch in batches]
    assert [batch.each_line for batch in found] == [encode_each(batch) for batch in batches]


@given(RECORDS, st.data())
def test_the_rest_is_whole_lines(records: list[dict[str, Any]], draw: st.DataObject) -> None:
    data = packed(records)
    size = draw.draw(st.integers(0, len(data) - 1))
    unpacker = Unpacker()
    assert list(unpacker.feed(data[:size])) == []
    rest = unpacker.rest()
    lines = encode_each(records)
    found = [] if rest is None else rest.each_line
    assert found == lines[: len(found)]
    if rest is not None:
        missing = len(data) - size
        assert len(b"".join(lines[len(found) + 1 :])) <= missing <= len(b"".join(lines[len(found) :]))
        assert [*Unpacker().feed(packed(records[: len(found)]))] == [rest]


def test_what_begins_and_does_not_end_and_the_other_way_round() -> None:
    def record(kind: str, identity: str) -> dict[str, Any]:
        return {"seq": 0, "type": kind, "id": identity}

    (batch,) = Unpacker().feed(
        packed(
            [
                record("response", "before"),
                record("request-initiated", "both"),
                record("request-initiated", "after"),
                record("request", "after"),
                record("abort", "both"),
            ]
        )
    )
    assert (batch.opened, batch.ended) == ([("after", 2)], ["before"])
