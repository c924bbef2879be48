"""What of a head goes on: everything but what belongs to one connection, in its place and case."""

from __future__ import annotations

import pytest

from mockrec.engine.upstream.headers import (
    end_to_end,
    end_to_end_trailers,
    with_chunks,
    with_host,
    with_length,
    without,
)

Fields = list[list[str]]


def fields(*lines: str) -> Fields:
    return [line.split(":", 1) for line in lines]


ORDINARY = fields("hOST:a", "X-B:1", "content-LENGTH:5", "x-b:2", "Trailer:x", "Accept:", "Transfer-Encoding:chunked")


# ── what belongs to a connection (RFC 9110, 7.6.1) ─────────────────────────────────────────────────


def test_what_is_not_of_the_connection_passes_as_it_is() -> None:
    assert end_to_end(ORDINARY) == ORDINARY


def test_what_comes_out_is_a_copy() -> None:
    given = fields("X:y", "Connection:close")
    for raw in (given, given[:1]):
        out = end_to_end(raw)
        out[0][1] = "changed"
        out.append(["A", "b"])
    assert given == fields("X:y", "Connection:close")


@pytest.mark.parametrize(
    "field",
    ["Connection:close", "connection:", "Keep-Alive:timeout=5", "PROXY-Connection:keep-alive", "Upgrade:h2c"],
)
def test_the_fields_of_a_connection_stay_on_it(field: str) -> None:
    assert end_to_end(fields("A:b", field, "C:d")) == fields("A:b", "C:d")


def test_what_connection_names_stays_on_it() -> None:
    given = fields("X-A:1", "Connection:x-a, CLOSE ,,X-C", "X-B:2", "connection:x-d", "x-a:3", "X-c:4", "X-D:5")
    assert end_to_end(given) == fields("X-B:2")


def test_an_upgrade_is_not_passed_on() -> None:
    assert end_to_end(fields("Upgrade:websocket", "Connection:Upgrade", "X:y")) == fields("X:y")


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive", " keep-alive ,", "keep-alive, keep-alive"])
def test_keep_alive_is_as_true_on_the_other_connection(value: str) -> None:
    given = fields("A:b", f"Connection:{value}", "C:d")
    assert end_to_end(given) == given
    assert end_to_end([*given, ["Keep-Alive", "timeout=5"]]) == given


def test_keep_alive_with_something_else_is_not() -> None:
    assert end_to_end(fields("Connection:keep-alive, x", "X:y", "A:b")) == fields("A:b")
    assert end_to_end(fields("Connection:keep-alive", "connection:close", "A:b")) == fields("A:b")


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "Content-Encoding", "content-type"])
def test_connection_cannot_take_away_what_the_message_needs(name: str) -> None:
    assert end_to_end([["Connection", f"{name}, close"], [name, "x"]]) == [[name, "x"]]


@pytest.mark.parametrize("value", ["trailers", "Trailers", " trailers "])
def test_trailers_are_wanted_on_the_other_connection_too(value: str) -> None:
    assert end_to_end(fields("Connection:TE, close", f"TE:{value}", "A:b")) == [
        ["TE", value],
        ["A", "b"],
        ["Connection", "TE"],
    ]
    assert end_to_end(fields(f"te:{value}", "A:b")) == [["te", value], ["A", "b"]]


@pytest.mark.parametrize("value", ["gzip", "trailers, deflate;q=0.5", "chunked", ""])
@pytest.mark.parametrize("connection", [[], [["Connection", "TE"]], [["Connection", "TE, close"]]])
def test_transfer_codings_that_we_do_not_know_are_not_asked_for(value: str, connection: Fields) -> None:
    assert end_to_end([*connection, ["TE", value], ["A", "b"]]) == fields("A:b")


def test_connection_may_name_a_te_that_is_not_there() -> None:
    assert end_to_end(fields("Connection:TE", "A:b")) == fields("A:b")


def test_a_field_with_many_values_keeps_all_of_them() -> None:
    given = fields("Set-Cookie:a=1", "Connection:close", "set-cookie:b=2", "Set-Cookie:a=1")
    assert end_to_end(given) == fields("Set-Cookie:a=1", "set-cookie:b=2", "Set-Cookie:a=1")


# ── framing ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (fields("A:b"), fields("A:b", "Content-Length:7")),
        (fields("content-length:5", "A:b"), fields("content-length:7", "A:b")),
        (fields("A:b", "TRANSFER-encoding:chunked", "C:d"), fields("A:b", "Content-Length:7", "C:d")),
        (fields("Transfer-Encoding:chunked", "A:b", "content-length:5"), fields("Content-Length:7", "A:b")),
        (fields("Content-Length:5", "A:b", "Content-Length:5"), fields("Content-Length:7", "A:b")),
        ([], fields("Content-Length:7")),
    ],
)
def test_a_new_length_stands_where_the_framing_stood(given: Fields, expected: Fields) -> None:
    assert with_length(given, 7) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (fields("A:b"), fields("A:b", "Transfer-Encoding:chunked")),
        (fields("TRANSFER-encoding:Chunked", "A:b"), fields("TRANSFER-encoding:chunked", "A:b")),
        (fields("transfer-encoding:chunked", "content-length:5", "A:b"), fields("transfer-encoding:chunked", "A:b")),
        (fields("content-length:5", "A:b"), fields("A:b", "Transfer-Encoding:chunked")),
        (fields("Transfer-Encoding:gzip, chunked", "A:b"), fields("A:b", "Transfer-Encoding:chunked")),
        (
            fields("Transfer-Encoding:chunked", "A:b", "transfer-encoding:chunked"),
            fields("A:b", "Transfer-Encoding:chunked"),
        ),
    ],
)
def test_chunks_are_said_once_and_alone(given: Fields, expected: Fields) -> None:
    assert with_chunks(given) == expected


def test_trailers_that_frame_or_direct_stay_behind() -> None:
    plain = fields("X-Sum:1", "Server-Timing:a")
    assert end_to_end_trailers(plain) is plain
    given = fields("Content-Length:5", "X-Sum:1", "HOST:evil.test", "Transfer-Encoding:chunked", "te:trailers")
    assert end_to_end_trailers(given) == fields("X-Sum:1")


def test_fields_are_taken_away_by_their_names_in_any_case() -> None:
    assert without(fields("A:1", "b:2", "a:3", "C:4"), "a", "c") == fields("b:2")


# ── Host ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("replace", [True, False])
def test_a_missing_host_comes_first(replace: bool) -> None:
    assert with_host(fields("A:b"), "x.test:1", replace=replace) == [["Host", "x.test:1"], ["A", "b"]]


def test_a_host_is_replaced_in_its_place_or_left() -> None:
    given = fields("A:b", "HOST:a.test", "C:d")
    assert with_host(given, "x.test", replace=True) == fields("A:b", "HOST:x.test", "C:d")
    assert with_host(given, "x.test", replace=False) == given
