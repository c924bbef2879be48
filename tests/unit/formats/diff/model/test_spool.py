"""The temporary file of contents."""

from __future__ import annotations

import json
from contextlib import closing

from mockrec.formats.diff.model.spool import ContentSpool, new_file


def test_contents_come_back() -> None:
    with closing(ContentSpool()) as spool:
        numbers = [spool.put(f"key {n}".encode(), {"n": n}) for n in range(1000)]
        assert numbers == list(range(1000))
        assert [spool.get(number) for number in (0, 999, 500)] == [{"n": 0}, {"n": 999}, {"n": 500}]
        assert spool.put(b"key 5", "other") == 5
        assert spool.get(spool.put(b"late", [1])) == [1]
        assert spool.key(7) == b"key 7"


def test_shapes_are_made_once() -> None:
    made = []
    with closing(ContentSpool()) as spool:
        number = spool.put(b"key", 1)
        shapes = {spool.shape(number, lambda key: made.append(key) or key) for _ in range(3)}  # type: ignore[func-returns-value]
    assert len(shapes) == 1
    assert made == [b"key"]


def _plain(spool: ContentSpool, text: str) -> int:
    key = b'{"x":""}\n{"b":{"text":%b},"k":"response","r":"OK","s":200}\n' % json.dumps(text).encode()
    return spool.put_plain(key, 7, {"x": "{"})


def test_plain_response_comes_back() -> None:
    with closing(ContentSpool()) as spool:
        number = _plain(spool, '{"a": "é"}\n')
        assert spool.get(number) == {
            "k": "response",
            "s": 200,
            "r": "OK",
            "h": {"x": "{"},
            "b": {"size": 7, "text": '{"a": "é"}\n'},
        }
        assert _plain(spool, '{"a": "é"}\n') == number


def test_contents_of_another_spool_have_the_numbers_of_one() -> None:
    file = new_file()
    other = ContentSpool(file)
    there = [other.put(f"key {n}".encode(), {"n": n, "there": True}) for n in (5, 11, 3, 12)] + [_plain(other, "x")]
    with closing(ContentSpool()) as spool:
        for n in range(10):
            spool.put(f"key {n}".encode(), {"n": n})
        numbers = spool.adopt(file, *other.index())
        assert [numbers[number] for number in there] == [5, 10, 3, 11, 12]
        assert [spool.get(number) for number in (5, 10)] == [{"n": 5}, {"n": 11, "there": True}]
        assert spool.key(11) == b"key 12"
        assert spool.get(12)["b"] == {"size": 7, "text": "x"}
        assert spool.put(b"key 11", {}) == 10
        assert spool.put(b"new", {"new": 1}) == 13
        assert spool.get(13) == {"new": 1}
