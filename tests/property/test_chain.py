"""Values in requests: found in anything, and put back without changing anything else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mockrec.engine.replay.chain.answer_values import values_of
from mockrec.engine.replay.chain.slot import put
from mockrec.engine.replay.chain.slots import slots_of
from mockrec.engine.replay.session.editable import EditableRequest

MEDIA = st.sampled_from([
    "application/json", "text/html", "text/xml", "text/plain", "application/x-www-form-urlencoded", "text/event-stream",
    "multipart/form-data; boundary=XX", "",
])  # fmt: skip
PIECES = st.sampled_from([
    "a8f3k2m9x7", '"', "'", "\\", "{", "}", "[", "]", ":", ",", "<", ">", "/", "=", "&", "?", "%", "%2F", "+", " ", "id",
    "user_id", "--XX\r\n", "--XX--", "\r\n\r\n", 'name="t"', "1", "é", "\\u00e9", "Bearer ", "Basic ", "YTpi", ";", "#", "\0",
])  # fmt: skip
TEXT = st.lists(PIECES, max_size=30).map("".join)


@given(TEXT, TEXT, TEXT, MEDIA)
def test_equal_values_change_nothing_that_is_meant(target: str, header: str, body: str, media: str) -> None:
    header = re.sub(r"[\r\n\0]", "", header)  # which no header has
    fields = [["Content-Type", media], ["Authorization", header], ["Cookie", header], ["X-Token", header]]
    one = EditableRequest("POST", "/" + target, [[*pair] for pair in fields], body.encode())
    slots = [slot for slot in slots_of(one) if slot.keys]
    before = [(slot.place, slot.text) for slot in slots]
    put(one, [(slot, slot.text) for slot in slots])
    assert [(slot.place, slot.text) for slot in slots_of(one) if slot.keys] == before


@given(TEXT, TEXT, MEDIA, st.binary(max_size=50))
def test_anything_can_be_an_answer(value: str, body: str, media: str, odd: bytes) -> None:
    head = [["Content-Type", media], ["Location", value], ["Set-Cookie", value], ["Link", value], ["ETag", value]]
    for text in (body, odd.decode("utf-8", "replace"), odd.decode("latin-1")):
        for one in values_of("/" + value, head, text, every=True):
            assert one.place


@given(TEXT, TEXT, MEDIA, st.binary(max_size=50))
def test_anything_can_be_a_request(target: str, header: str, media: str, odd: bytes) -> None:
    one = EditableRequest(
        "POST", target, [["Content-Type", media], ["Authorization", header], ["If-Match", header]], odd
    )
    for slot in slots_of(one):
        assert slot.whole[slice(*slot.inner)] == slot.text or slot.inner_codec != "raw"
