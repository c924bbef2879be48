"""The thread that writes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mockrec.engine.recording.writer import Writer
from mockrec.formats.schema.errors import FormatError, OutputError

FULL = OutputError("x", "No space left on device")


class Heard:
    """What the writer says."""

    def __init__(self) -> None:
        self.failures: list[FormatError] = []
        self.batches = 0
        self.wrote_something = threading.Event()

    def wrote(self) -> None:
        self.batches += 1
        self.wrote_something.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


def writer(heard: Heard, sink: Any) -> Writer:
    return Writer(sink, heard.failures.append, heard.wrote)


def test_the_sink_gets_everything_in_order(heard: Heard, sink: Any) -> None:
    it = writer(heard, sink)
    for number in range(100):
        it.put(b"%d\n" % number)
    it.finish()
    it.join()
    assert sink.data == b"".join(b"%d\n" % number for number in range(100))
    assert it.written == len(sink.data)
    assert sink.closed == 1
    assert sink.thread == "mockrec-writer"
    assert heard.failures == []


def test_waiting_batches_are_written_together(heard: Heard, sink: Any) -> None:
    sink.hold()
    it = writer(heard, sink)
    for _ in range(50):
        it.put(b"x\n")
    sink.release()
    it.finish()
    it.join()
    assert sink.data == b"x\n" * 50
    assert len(sink.batches) <= 3


def test_it_reports_each_write(heard: Heard, sink: Any) -> None:
    it = writer(heard, sink)
    it.put(b"x\n")
    assert heard.wrote_something.wait(20)
    assert it.written == 2
    it.finish()
    it.join()


def test_sinks_are_synced_also_while_nothing_happens(heard: Heard, sink: Any) -> None:
    synced = threading.Event()

    def sync_point(now: float | None = None) -> None:
        assert now is not None
        synced.set()

    sink.sync_point = sync_point
    it = writer(heard, sink)
    assert synced.wait(20)
    it.finish()
    it.join()


def test_a_sink_that_fails_is_given_up(heard: Heard, sink: Any) -> None:
    sink.fails = FULL
    it = writer(heard, sink)
    it.put(b"a\n")
    assert heard.wrote_something.wait(20)
    sink.fails = None
    it.put(b"b\n")
    it.finish()
    it.join()
    assert heard.failures == [FULL]
    assert sink.data == b""
    assert it.written == 4
    assert sink.closed == 1


def test_a_sink_that_cannot_be_closed_is_reported(heard: Heard, sink: Any) -> None:
    sink.fails_to_close = FULL
    it = writer(heard, sink)
    it.put(b"a\n")
    it.finish()
    it.join()
    assert heard.failures == [FULL]
    assert sink.closed == 1


def test_a_failure_is_reported_once(heard: Heard, sink: Any) -> None:
    sink.fails = sink.fails_to_close = FULL
    it = writer(heard, sink)
    it.put(b"a\n")
    it.finish()
    it.join()
    assert heard.failures == [FULL]
    assert sink.closed == 1


def test_a_defect_of_a_sink_is_reported_and_the_thread_ends(heard: Heard, sink: Any) -> None:
    """Also while it closes: an exception in a thread would not be seen."""
    sink.fails_to_close = PermissionError(13, "Permission denied")
    it = writer(heard, sink)
    it.finish()
    it.join()
    assert [str(error) for error in heard.failures] == [
        "cannot write memory: PermissionError: [Errno 13] Permission denied"
    ]
