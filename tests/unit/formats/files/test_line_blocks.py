"""Lines that are read in blocks: the same lines, numbers and errors as one by one."""

from __future__ import annotations

import io
from collections.abc import Callable

import orjson
import pytest

from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Session

STARTED = b'{"seq":0,"type":"session-started","schemaVersion":1}\n'
PLAIN = b'{"type":"plain"}\n'
OTHER = b'{"type":"other"}\n'
ENDED = b'{"type":"session-ended"}'


def session_of(data: bytes) -> Session:
    return Session(Source("s.jsonl", io.BytesIO(data)))


def taker(taken: list[bytes]) -> Callable[[bytes], bool]:
    """Takes lines that are plain, all of a piece or none."""

    def take(lines: bytes) -> bool:
        found = lines.split(b"\n")
        if any(b"plain" not in line for line in found):
            return False
        taken.extend(found)
        return True

    return take


def others(data: bytes) -> tuple[list[int], int, Session]:
    session, taken = session_of(data), []
    numbers = [number for number, _ in session.not_consumed(taker(taken), orjson.loads)]
    return numbers, len(taken), session


@pytest.mark.parametrize("count", [0, 1, 5, 3_000, 50_000])
def test_every_line_is_read_once(count: int) -> None:
    numbers, taken, session = others(STARTED + PLAIN * count + OTHER + b"\n" + PLAIN * count + ENDED)
    assert numbers == [1, count + 2, 2 * count + 4]
    assert taken == 2 * count
    assert session.complete


@pytest.mark.parametrize("count", [0, 3, 3_000])
def test_a_bad_line_is_told_with_its_number(count: int) -> None:
    for bad in (b"{bad\n", b"[1]\n"):
        with pytest.raises(SessionError, match=rf"^s\.jsonl:{count + 2}: expected "):
            others(STARTED + PLAIN * count + bad + PLAIN * count + ENDED)
        with pytest.raises(SessionError, match=rf"^s\.jsonl:{count + 2}: expected "):
            others(STARTED + PLAIN * count + bad + OTHER)


@pytest.mark.parametrize("count", [0, 3, 3_000])
def test_a_last_line_that_is_cut_is_no_error(count: int) -> None:
    numbers, taken, session = others(STARTED + PLAIN * count + b'{"type":"ot')
    assert (numbers, taken) == ([1], count)
    assert session.torn == f"line {count + 2} is cut off"
    assert not session.complete


def test_a_session_whose_end_is_followed_by_more_is_not_complete() -> None:
    assert not others(STARTED + ENDED + b"\n" + PLAIN)[2].complete
    assert others(STARTED + PLAIN + ENDED + b"\n\n")[2].complete


def test_a_session_that_is_only_begun() -> None:
    numbers, taken, session = others(b'{"seq":0,"ty')
    assert (numbers, taken, session.torn) == ([], 0, "line 1 is cut off")
    assert others(b"")[0] == []
    with pytest.raises(SessionError, match=r"^s\.jsonl:1: "):
        others(b"{bad\n" + OTHER)
