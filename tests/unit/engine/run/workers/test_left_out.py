"""What a worker tells of the records that it leaves out."""

from __future__ import annotations

from mockrec.engine.run.workers.left_out import LeftOutRecords
from mockrec.engine.run.workers.messages import LeftOut


def test_counts_and_ends_since_the_last_time() -> None:
    notes = LeftOutRecords()
    assert notes.take() is None
    notes.add({"type": "response", "id": "a"})
    notes.add({"type": "request", "id": "b"})
    assert notes.take() == LeftOut({"response": 1, "request": 1}, ("a",))
    assert notes.take() is None


def test_an_exchange_that_is_not_in_the_log_at_all_has_no_end_there() -> None:
    notes = LeftOutRecords()
    notes.add({"type": "request-initiated", "id": "a"})
    notes.add({"type": "response", "id": "a"})
    assert notes.take() == LeftOut({"request-initiated": 1, "response": 1}, ())
