"""The thread that writes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mockrec.engine.record.writer import Writer
from mockrec.formats.errors import FormatError, OutputError

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


def writer(heard: Heard, *sinks: Any) -> Writer:
    return Writer(sinks, heard.failures.append, heard.wrote)


def test_every_sink_gets_everything_in_order(heard: Heard, sink: Any, other_sink: Any) -> None:
    it = writer(heard, sink, other_sink)
    for number in range(100):
        it.put(b"%d\n" % number)
    it.finish()
    it.join()
    assert sink.data == other_sink.data == b"".join(b"%d\n" % number for number in range(100))
    assert it.written == len(sink.data)
    assert (sink.closed, other_sink.closed) == (1, 1)
    assert sink.thread == "mockrec-writer"
    assert heard.failures == []


def test_what_waits_goes_out_together(heard: Heard, sink: Any) -> None:
    sink.hold()
    it = writer(heard, sink)
    for _ in range(50):
        it.put(b"x\n")
    sink.release()
    it.finish()
    it.join()
    assert sink.data == b"x\n" * 50
    assert len(sink.batches) <= 3


def test_it_says_when_it_has_written(heard: Heard, sink: Any) -> None:
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


def test_a_sink_that_fails_is_given_up_and_the_others_go_on(heard: Heard, sink: Any, other_sink: Any) -> None:
    sink.fails = FULL
    it = writer(heard, sink, other_sink)
    it.put(b"a\n")
    assert heard.wrote_something.wait(20)
    it.put(b"b\n")
    it.finish()
    it.join()
    assert heard.failures == [FULL]
    assert other_sink.data == b"a\nb\n"
    assert it.written == 4
    assert (sink.closed, other_sink.closed) == (1, 1)


def test_a_sink_that_cannot_be_closed_is_told_once(heard: Heard, sink: Any, other_sink: Any) -> None:
    sink.fails_to_close = FULL
    other_sink.fails = other_sink.fails_to_close = FULL
    it = writer(heard, sink, other_sink)
    it.put(b"a\n")
    it.finish()
    it.join()
    assert heard.failures == [FULL, FULL]
    assert (sink.closed, other_sink.closed) == (1, 1)
