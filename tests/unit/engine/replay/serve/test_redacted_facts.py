"""Requests that a recording with redaction marks may be meant by."""

from __future__ import annotations

from typing import Any

from mockrec.engine.replay.serve.loader import hash_of
from mockrec.engine.replay.serve.redacted_facts import blanked, layout_of
from mockrec.engine.replay.session.fingerprint import fits

MARK, OTHER = "redacted-0123abcd", "redacted-ffffffff"


def test_where_marks_are() -> None:
    facts = {
        "query": {"t": [MARK], "u": ["redacted-"]},
        "path": f"/u/{MARK}/x",
        "body": {"json": {"a": [1, f"B {MARK}"]}},
    }
    assert layout_of(facts) == (
        (("query", "t", 0), "\0"),
        (("path", 2), "\0"),
        (("body", "json", "a", 1), "B \0"),
    )
    assert layout_of({"path": "/"}) == ()


def test_what_fits_has_the_same_hash() -> None:
    recorded: Any = {"path": f"/u/{MARK}/x", "body": {"json": {"a": f"Bearer {MARK}.x", "b": MARK, "n": 1}}}
    layout = layout_of(recorded)
    key = hash_of(blanked(recorded, layout) or {})

    def asked(path: str = "/u/7/x", **members: Any) -> Any:
        return {"path": path, "body": {"json": {"a": "Bearer 1.x", "b": None, "n": 1, **members}}}

    for facts in (asked(), asked(b={"any": "thing"}), asked(b=OTHER), asked(a=f"Bearer {OTHER}.x")):
        assert fits(recorded, facts)
        assert hash_of(blanked(facts, layout) or {}) == key
    for facts in (asked("/u/7/y"), asked(a="Basic 1.x"), asked(a=1), {"path": "/u/7/x", "body": {"json": {"n": 1}}}, {"path": "/u/7/x", "body": "x"}, {"path": None}):  # fmt: skip
        assert not fits(recorded, facts)
        assert hash_of(blanked(facts, layout) or {}) != key
    other = blanked(asked(n=2), layout)
    assert other is not None and hash_of(other) != key


def test_lists_that_are_too_short_have_no_such_place() -> None:
    layout = layout_of({"body": {"json": [1, MARK]}})
    assert blanked({"body": {"json": [1]}}, layout) is None
    assert blanked({"body": {"json": [1, 2]}}, layout) == {"body": {"json": [1, "\0"]}}


def test_a_body_that_was_cut_is_any() -> None:
    layout = layout_of({"body": MARK, "path": "/"})
    assert blanked({"body": {"text": "x"}, "path": "/"}, layout) == {"body": "\0", "path": ["", ""]}


def test_paths_that_differ_beside_the_mark_have_one_layout() -> None:
    layouts = {layout_of({"path": f"/u/{MARK}/v-{OTHER}/x{number}"}) for number in range(5)}
    assert len(layouts) == 1
    (layout,) = layouts
    assert blanked({"path": "/u/1/v-2/x7"}, layout) == {"path": ["", "u", "\0", "v-\0", "x7"]}
    assert blanked({"path": "/u/1/w-2/x7"}, layout) is None
