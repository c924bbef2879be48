"""The temporary file of contents."""

from __future__ import annotations

from contextlib import closing

from mockrec.formats.diff.model.spool import ContentSpool


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
