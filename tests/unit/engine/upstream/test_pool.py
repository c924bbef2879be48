"""Connections to servers that stand open, and whom they are given to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.engine.upstream.pool import Pool

Make = Callable[..., Any]


def test_an_idle_connection_is_taken_once(make: Make) -> None:
    pool, made = Pool(), make()
    pool.put("a", made.connection)
    assert pool.take("b") is None
    assert pool.take("a") is made.connection
    assert pool.take("a") is None
    assert made.pipe.closed == 0


def test_the_connection_that_was_given_last_is_taken_first(make: Make) -> None:
    pool, first, second = Pool(), make(), make()
    pool.put("a", first.connection)
    pool.put("a", second.connection)
    assert [pool.take("a"), pool.take("a")] == [second.connection, first.connection]


def test_a_connection_that_has_ended_meanwhile_is_not_given_out(make: Make) -> None:
    pool, good, ended = Pool(), make(), make()
    pool.put("a", good.connection)
    pool.put("a", ended.connection)
    ended.pipe.alive = False
    assert pool.take("a") is good.connection
    assert (ended.pipe.closed, ended.forgotten) == (1, [ended.connection])


def test_an_idle_connection_ends_with_its_server(make: Make) -> None:
    pool, made = Pool(), make()
    pool.put("a", made.connection)
    made.pipe.end()
    assert (made.pipe.closed, made.forgotten) == (1, [made.connection])
    assert pool.take("a") is None


def test_a_connection_in_use_is_left_to_its_user(make: Make) -> None:
    pool, made = Pool(), make()
    pool.put("a", made.connection)
    pool.take("a")
    made.pipe.end()
    assert made.pipe.closed == 0


def test_a_connection_with_an_open_request_is_not_kept(make: Make) -> None:
    pool, made = Pool(), make()
    made.ask()
    pool.put("a", made.connection)
    assert pool.take("a") is None
    assert made.pipe.closed == 1


def test_a_connection_that_was_closed_is_not_kept(make: Make) -> None:
    pool, made = Pool(), make()
    made.connection.close()
    assert not made.connection.reusable
    pool.put("a", made.connection)
    assert pool.take("a") is None
    assert (made.pipe.closed, len(made.forgotten)) == (1, 1)


def test_when_the_client_goes_so_do_its_connections(make: Make) -> None:
    pool, early, late = Pool(), make(), make()
    pool.put("a", early.connection)
    pool.close()
    assert (early.pipe.closed, early.forgotten) == (1, [early.connection])
    pool.put("a", late.connection)
    assert late.pipe.closed == 1
    assert pool.take("a") is None


def test_a_connection_is_forgotten_once(make: Make) -> None:
    made = make()
    made.connection.close()
    made.connection.close()
    assert (made.pipe.closed, len(made.forgotten)) == (1, 1)
