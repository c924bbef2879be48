"""When something has taken too long: times only, nobody waits."""

from __future__ import annotations

import math

from mockrec.engine.config import Timeouts
from mockrec.engine.server.http2_deadlines import Http2Deadlines

TIMEOUTS = Timeouts(head=10.0, body_idle=20.0, keep_alive=30.0)


def test_only_an_idle_connection_ends_for_nothing() -> None:
    deadlines = Http2Deadlines(TIMEOUTS)
    assert deadlines.next(1000.0, idle=True) == 31_000.0
    assert deadlines.next(1000.0, idle=False) == math.inf


def test_a_head_has_its_time_from_its_beginning() -> None:
    deadlines = Http2Deadlines(TIMEOUTS)
    deadlines.set_head_open(True, 1000.0)
    deadlines.set_head_open(True, 5000.0)
    assert deadlines.next(5000.0, idle=True) == deadlines.next(5000.0, idle=False) == 11_000.0
    assert not deadlines.head_is_late(10_999.0) and deadlines.head_is_late(11_000.0)
    deadlines.set_head_open(False, 6000.0)
    assert deadlines.next(6000.0, idle=False) == math.inf and not deadlines.head_is_late(99_000.0)


def test_each_body_has_its_time_from_its_last_piece() -> None:
    deadlines = Http2Deadlines(TIMEOUTS)
    deadlines.restart_body(1, 1000.0)
    deadlines.restart_body(3, 2000.0)
    deadlines.restart_body(1, 3000.0)
    assert deadlines.next(3000.0, idle=False) == 22_000.0
    assert deadlines.late_bodies(21_999.0) == []
    assert deadlines.late_bodies(22_000.0) == [3]
    assert deadlines.late_bodies(23_000.0) == [3, 1]
    deadlines.forget_body(3)
    deadlines.forget_body(5)
    assert deadlines.next(3000.0, idle=False) == 23_000.0


def test_what_passes_while_we_do_not_read_does_not_count() -> None:
    deadlines = Http2Deadlines(TIMEOUTS)
    deadlines.restart_all(500.0)
    assert deadlines.next(500.0, idle=False) == math.inf
    deadlines.restart_body(1, 1000.0)
    deadlines.set_head_open(True, 1000.0)
    deadlines.restart_all(50_000.0)
    assert not deadlines.head_is_late(50_000.0) and deadlines.late_bodies(50_000.0) == []
    assert deadlines.late_bodies(70_000.0) == [1] and deadlines.head_is_late(60_000.0)
